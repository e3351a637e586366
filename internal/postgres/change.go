package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Actor is who makes a change. ID is nil for the program itself.
type Actor struct {
	Kind string
	ID   *uuid.UUID
	Name string
}

// Change says who changes something, and on which request.
type Change struct {
	Actor     Actor
	RequestID string // "" when no request asked for it

	// Around, when set, runs inside the transaction in place of the closure, which it is given. A request with an
	// idempotency key claims the key there before the closure and stores the answer after it, so that key, effect and
	// answer commit together or not at all.
	Around func(ctx context.Context, tx *Tx, do func(*Tx) error) error
}

// Tx is an open transaction, with who changes what in it and when. Functions that write take one and never begin one.
type Tx struct {
	pgx.Tx
	Actor     Actor
	RequestID string
	Now       time.Time // the same for all that is written in it
}

// Change opens a transaction, runs the closure in it and commits. When the closure fails, nothing has happened. The
// closure is run again, in a new transaction, when PostgreSQL broke the first one off for a deadlock or a failed
// serialization; it must have no effect outside the transaction. Errors of the database come back as faults.
func (d *DB) Change(ctx context.Context, change Change, do func(tx *Tx) error) error {
	const attempts = 5
	for attempt := 1; ; attempt++ {
		err := d.changeOnce(ctx, change, do)
		if err == nil || attempt == attempts || !mayRetry(err) {
			return Translate(err)
		}
		select {
		case <-time.After(time.Duration(rand.Int64N(int64(attempt)*int64(10*time.Millisecond))) + time.Millisecond):
		case <-ctx.Done():
			return Translate(err)
		}
	}
}

func (d *DB) changeOnce(ctx context.Context, change Change, do func(tx *Tx) error) (err error) {
	pgxTx, err := d.Begin(ctx)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	defer func() {
		// A cancelled request still gives its connection back clean. After a commit this does nothing.
		cleanUp, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = pgxTx.Rollback(cleanUp)
	}()
	tx := &Tx{Tx: pgxTx, Actor: change.Actor, RequestID: change.RequestID, Now: d.Now()}
	if change.Around != nil {
		err = change.Around(ctx, tx, do)
	} else {
		err = do(tx)
	}
	if err != nil {
		return err
	}
	if err := pgxTx.Commit(ctx); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

func mayRetry(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && (pgErr.Code == "40P01" || pgErr.Code == "40001")
}

// Snapshot runs the closure in a read-only transaction that sees one moment of the database.
func (d *DB) Snapshot(ctx context.Context, read func(tx pgx.Tx) error) error {
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return Translate(pgx.BeginTxFunc(ctx, d, options, read))
}
