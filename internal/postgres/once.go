package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Once makes a change happen once however often it is asked for. It claims a key before the change and stores the answer
// after it, both in the change's own transaction, so that key, effect and answer are there together or not at all. Its
// statements go into batches: what claims is sent together with BEGIN, what stores together with COMMIT, so that neither
// costs a round trip. When the change is run again, both are asked again.
type Once interface {
	// Claim takes the key, or fails with what keeps the change from being made. It must not wait for another transaction:
	// who waits holds a connection that others need.
	Claim(ctx context.Context, batch *Batch, now time.Time) error
	// Store keeps the answer.
	Store(ctx context.Context, batch *Batch, tx *Tx) error
}

// About says that the change is about these, and so its answer.
func (t *Tx) About(subjects ...uuid.UUID) {
	if t.subjects != nil {
		*t.subjects = append(*t.subjects, subjects...)
	}
}

// Subjects gives whom and what the change is about. It is known of changes that happen once.
func (t *Tx) Subjects() []uuid.UUID {
	if t.subjects == nil {
		return nil
	}
	return *t.subjects
}

// changeByKey is changeOnce for a change with a key.
func (d *DB) changeByKey(ctx context.Context, change Change, do func(tx *Tx) error) error {
	conn, err := d.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	defer conn.Release()
	tx := &Tx{Actor: change.Actor, Reach: change.Reach, RequestID: change.RequestID, Now: d.Now(), subjects: &[]uuid.UUID{}}
	begin := &Batch{to: conn}
	begin.queued.BeginTx(pgx.TxOptions{})
	begin.queued.Queue(tellActor, change.Actor.told())
	err = change.Once.Claim(ctx, begin, tx.Now)
	if closeErr := begin.Close(ctx); err == nil {
		err = closeErr
	}
	defer rollBack(ctx, conn)
	if err != nil {
		return err
	}
	tx.Tx = begin.results.Tx()
	if err := do(tx); err != nil {
		return err
	}
	commit := &Batch{to: conn}
	if err := change.Once.Store(ctx, commit, tx); err != nil {
		return err
	}
	commit.queued.Queue("commit")
	if err := commit.Close(ctx); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

// tellActor tells the database who acts in the transaction, as begin does.
const tellActor = `SELECT set_config('clientele.actor', $1, true)`

// rollBack ends a transaction that is not committed. A cancelled request still gives its connection back clean.
func rollBack(ctx context.Context, conn *pgxpool.Conn) {
	if connection := conn.Conn().PgConn(); connection.IsClosed() || connection.TxStatus() == 'I' {
		return
	}
	cleanUp, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, _ = conn.Exec(cleanUp, "rollback") // the pool throws away what is not clean
}
