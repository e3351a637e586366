package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
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

// told is what the database is told of who acts in a transaction: it guards by that what is for its owner alone to write.
func (a Actor) told() string {
	if a.ID == nil {
		return a.Kind
	}
	return a.Kind + " " + a.ID.String()
}

// begin opens a transaction and tells the database who acts in it, in one round trip. Kinds are words of the program's
// own, and an id is an id.
func (a Actor) begin() string {
	return "begin; set local clientele.actor = '" + strings.ReplaceAll(a.told(), "'", "''") + "'"
}

// Change says who changes something, and on which request.
type Change struct {
	Actor     Actor
	Reach     *uuid.UUID // the customer within which alone it may change something, with those below; nil for no limit
	RequestID string     // "" when no request asked for it
	Once      Once       // nil for a change that may happen again when it is asked for again
}

// Tx is an open transaction, with who changes what in it and when. Functions that write take one and never begin one.
type Tx struct {
	pgx.Tx
	Actor     Actor
	Reach     *uuid.UUID // as the change has it; queries that lock something take it
	RequestID string
	Now       time.Time // the same for all that is written in it

	subjects *[]uuid.UUID // whom and what it is about; nil where nobody asks
}

// Savepoint runs the closure so that, when it fails, only what it did itself is undone, and the transaction goes on.
func (t *Tx) Savepoint(ctx context.Context, do func(tx *Tx) error) error {
	nested, err := t.Begin(ctx)
	if err != nil {
		return fmt.Errorf("setting a savepoint: %w", err)
	}
	inner := *t
	inner.Tx = nested
	if err := do(&inner); err != nil {
		return errors.Join(err, nested.Rollback(ctx))
	}
	if err := nested.Commit(ctx); err != nil {
		return fmt.Errorf("releasing a savepoint: %w", err)
	}
	return nil
}

// Change opens a transaction, runs the closure in it and commits. When the closure fails, nothing has happened. The
// closure is run again, in a new transaction, when PostgreSQL broke the first one off (mayRetry); it must have no effect outside the transaction. Errors of the database come back as faults.
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

func (d *DB) changeOnce(ctx context.Context, change Change, do func(tx *Tx) error) error {
	if change.Once != nil {
		return d.changeByKey(ctx, change, do)
	}
	pgxTx, err := d.BeginTx(ctx, pgx.TxOptions{BeginQuery: change.Actor.begin()})
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	defer func() {
		// A cancelled request still gives its connection back clean. After a commit this does nothing.
		cleanUp, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = pgxTx.Rollback(cleanUp)
	}()
	tx := &Tx{Tx: pgxTx, Actor: change.Actor, Reach: change.Reach, RequestID: change.RequestID, Now: d.Now()}
	if err := do(tx); err != nil {
		return err
	}
	if err := pgxTx.Commit(ctx); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

// mayRetry tells whether the change may be made when it is run again: after a deadlock, a failed serialization, or when the
// answer to the same request was committed just while its key was claimed.
func mayRetry(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) &&
		(pgErr.Code == "40P01" || pgErr.Code == "40001" || pgErr.ConstraintName == "idempotency_keys_pkey")
}

// Snapshot runs the closure in a read-only transaction that sees one moment of the database.
func (d *DB) Snapshot(ctx context.Context, read func(tx pgx.Tx) error) error {
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return Translate(pgx.BeginTxFunc(ctx, d, options, read))
}
