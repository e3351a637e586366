// Package exports writes lists to their end, as CSV for spreadsheets or as lines of JSON: piece after piece, in constant
// memory, all from one moment of the database. It has connections of its own, few of them, since a slow reader keeps one
// for as long as it reads. It knows nothing of HTTP and decides nothing about who may see what: that is in the filter of
// the list. It changes nothing.
package exports

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/postgres"
)

// TimeLimit is how long an export may take in all. A snapshot that is held for longer keeps the database from clearing
// away what was deleted since.
const TimeLimit = 15 * time.Minute

// begin begins to see one moment. A statement, and the time between two of them, may be as long as the export: both wait
// for slow readers. No other process helps with a query, since it would wait for the reader as well, and the database has
// few of them for everybody.
var begin = fmt.Sprintf(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
	SET LOCAL statement_timeout = %[1]d; SET LOCAL idle_in_transaction_session_timeout = %[1]d;
	SET LOCAL max_parallel_workers_per_gather = 0`, TimeLimit.Milliseconds())

// Snapshots are views of single moments of the database, as many at a time as the pool has connections.
type Snapshots struct {
	pool *postgres.DB
	wait time.Duration
}

// NewSnapshots makes snapshots over a pool that nothing else uses. Who finds all of them taken waits for that long.
func NewSnapshots(pool *postgres.DB, wait time.Duration) *Snapshots {
	return &Snapshots{pool: pool, wait: wait}
}

// Snapshot is one moment of the database. It must be closed.
type Snapshot struct {
	pgx.Tx
	connection *pgxpool.Conn
}

// Open takes a snapshot. When none gets free in time the fault is busy.
func (s *Snapshots) Open(ctx context.Context) (*Snapshot, error) {
	connection, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	snapshot := &Snapshot{connection: connection}
	if snapshot.Tx, err = connection.BeginTx(ctx, pgx.TxOptions{BeginQuery: begin}); err != nil {
		connection.Release()
		return nil, postgres.Translate(fmt.Errorf("taking a snapshot: %w", err))
	}
	return snapshot, nil
}

func (s *Snapshots) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	waiting, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	connection, err := s.pool.Acquire(waiting)
	taken := s.pool.Stat()
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil && taken.AcquiredConns() == taken.MaxConns() {
		return nil, &fault.Error{
			Kind: fault.Unavailable, Code: "busy", Detail: "Too many exports are under way.", RetryAfter: 10 * time.Second,
			Cause: err,
		}
	}
	if err != nil {
		return nil, postgres.Translate(fmt.Errorf("taking a snapshot: %w", err))
	}
	return connection, nil
}

// Close gives the connection back, whatever became of the request that it was for.
func (s *Snapshot) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = s.Rollback(ctx) // a connection that cannot do even this is thrown away
	s.connection.Release()
}
