package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Batch sends statements together, in one round trip. What is executed is put off until the query that follows, or until
// the batch is closed; at most the last statement may be a query. Each sees what the one before it has waited for.
// Without a transaction PostgreSQL makes one of them all.
type Batch struct {
	to      sender
	queued  pgx.Batch
	results pgx.BatchResults
}

// sender is a pool or one of its connections.
type sender interface {
	SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults
}

// NewBatch makes a batch that is sent to the database, on any connection.
func NewBatch(database *DB) *Batch { return &Batch{to: database} }

// Exec puts off a statement. Its error shows later.
func (b *Batch) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	b.queued.Queue(sql, args...)
	return pgconn.CommandTag{}, nil
}

// Query sends all.
func (b *Batch) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if err := b.send(ctx, sql, args); err != nil {
		return nil, err
	}
	return b.results.Query()
}

// QueryRow sends all, too.
func (b *Batch) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	_ = b.send(ctx, sql, args) // the row has the error as well
	return b.results.QueryRow()
}

// CopyFrom is refused: rows that are copied cannot be sent together with statements.
func (b *Batch) CopyFrom(context.Context, pgx.Identifier, []string, pgx.CopyFromSource) (int64, error) {
	return 0, errors.ErrUnsupported
}

func (b *Batch) send(ctx context.Context, sql string, args []any) error {
	before := b.queued.Len()
	b.queued.Queue(sql, args...)
	b.results = b.to.SendBatch(ctx, &b.queued)
	for range before {
		if _, err := b.results.Exec(); err != nil {
			return err
		}
	}
	return nil
}

// Close sends what was not sent. Only without an error has all of it been done.
func (b *Batch) Close(ctx context.Context) error {
	if b.results == nil {
		b.results = b.to.SendBatch(ctx, &b.queued)
	}
	return b.results.Close()
}
