// Package postgres is the program's way to PostgreSQL: the pool, the one helper that opens transactions for changes,
// lists, migrations, and the translation of the database's errors into faults. Of the resources it knows what it means
// that a constraint is violated, and no other rule.
package postgres

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// DB is a pool of connections together with the clock that changes are dated by.
type DB struct {
	*pgxpool.Pool
	now func() time.Time
}

// defaultConns is how many connections a small machine's pool has at most: commits that wait for the disk together cost
// it one write.
const defaultConns = 16

// Option changes how a pool is opened.
type Option func(*pgxpool.Config)

// Conns makes it a pool of at most that many connections, whatever the connection string says.
func Conns(n int32) Option {
	return func(config *pgxpool.Config) {
		config.MaxConns = n
		config.MinConns = min(config.MinConns, n)
		config.MinIdleConns = min(config.MinIdleConns, n)
	}
}

// Open makes a pool for the connection string. It does not connect; a database that is away now may be back for the
// first query. Settings of the pool may be given in the string, such as pool_max_conns, and settings of PostgreSQL, such
// as statement_timeout.
func Open(ctx context.Context, url string, now func() time.Time, options ...Option) (*DB, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("reading the database URL: %w", err)
	}
	if !strings.Contains(url, "pool_max_conns") {
		config.MaxConns = max(defaultConns, int32(4*runtime.GOMAXPROCS(0)))
	}
	config.ConnConfig.RuntimeParams["timezone"] = "UTC"
	if _, set := config.ConnConfig.RuntimeParams["application_name"]; !set {
		config.ConnConfig.RuntimeParams["application_name"] = "clientele"
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	if config.ConnConfig.ValidateConnect == nil {
		// Of several hosts, the one that can be written to.
		config.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	for _, change := range options {
		change(config)
	}
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, limitTimes); err != nil {
			return fmt.Errorf("limiting the time of statements: %w", err)
		}
		registerTypes(conn.TypeMap())
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("opening the pool: %w", err)
	}
	return New(pool, now), nil
}

// limitTimes gives a connection its limits, unless the connection string, the role or the database has others: what
// runs away must not keep its connection, and its locks, for ever. They are not sent with the start of the connection,
// since poolers refuse such a start.
const limitTimes = `SELECT set_config(name, limits.value, false) FROM (VALUES
		('statement_timeout', '30s'), ('idle_in_transaction_session_timeout', '60s')) AS limits (name, value)
	JOIN pg_settings USING (name) WHERE source NOT IN ('client', 'user', 'database', 'database user')`

// New makes a DB of a pool that is there already.
func New(pool *pgxpool.Pool, now func() time.Time) *DB {
	return &DB{Pool: pool, now: now}
}

// Now is the time by the clock, as PostgreSQL keeps it: UTC, to the microsecond.
func (d *DB) Now() time.Time { return d.now().UTC().Truncate(time.Microsecond) }
