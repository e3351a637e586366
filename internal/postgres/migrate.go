package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/clientele-api/clientele/db"
	"github.com/clientele-api/clientele/db/migrations"
)

// Migration is one step of the schema. AppliedAt is null while it is pending.
type Migration struct {
	Version   int64      `json:"version"`
	Name      string     `json:"name"` // the file's name
	AppliedAt *time.Time `json:"applied_at"`
}

// MigrateUp applies the pending migrations, in order, each in a transaction of its own unless it says otherwise. Any
// number of processes may do so at once: one migrates, the others wait for it and find nothing left to do. A schema
// newer than this program is left alone.
func MigrateUp(ctx context.Context, url string, log *slog.Logger) error {
	return migrateUp(ctx, url, migrationFiles(), log)
}

func migrateUp(ctx context.Context, url string, files fs.FS, log *slog.Logger) error {
	m, err := openMigrator(url, files)
	if err != nil {
		return err
	}
	defer m.close()
	return m.locked(ctx, log, func() error {
		results, err := m.goose.Up(ctx)
		var partial *goose.PartialError
		if errors.As(err, &partial) {
			results = partial.Applied
		}
		for _, r := range results {
			log.InfoContext(ctx, "migration applied", "name", path.Base(r.Source.Path), "duration", r.Duration)
		}
		return migrationFault("applying", err)
	})
}

// MigrateDown undoes the newest applied migration; where there is none it does nothing.
func MigrateDown(ctx context.Context, url string, log *slog.Logger) error {
	m, err := openMigrator(url, migrationFiles())
	if err != nil {
		return err
	}
	defer m.close()
	return m.locked(ctx, log, func() error {
		result, err := m.goose.Down(ctx)
		if errors.Is(err, goose.ErrNoNextVersion) {
			log.InfoContext(ctx, "no migration to undo")
			return nil
		}
		if err == nil {
			log.InfoContext(ctx, "migration undone", "name", path.Base(result.Source.Path), "duration", result.Duration)
		}
		return migrationFault("undoing", err)
	})
}

// MigrationStatus lists all migrations that this program knows, oldest first. It takes no lock and changes nothing, so
// it also answers while another process migrates.
func MigrationStatus(ctx context.Context, url string) ([]Migration, error) {
	m, err := openMigrator(url, migrationFiles())
	if err != nil {
		return nil, err
	}
	defer m.close()
	return m.status(ctx)
}

// migrationFiles are the migrations, at the root.
func migrationFiles() fs.FS {
	files, err := fs.Sub(db.Migrations, "migrations")
	if err != nil {
		panic(err) // the constant path is a valid one
	}
	return files
}

// migrator has its own connections, since a pool's settings, such as a limit on a statement's time, are not made for
// building an index.
type migrator struct {
	db    *sql.DB
	goose *goose.Provider
}

func openMigrator(url string, files fs.FS) (*migrator, error) {
	// The pool's parser, because the program's URL may hold settings of the pool, which a server would refuse.
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("reading the database URL: %w", err)
	}
	conn := config.ConnConfig
	conn.RuntimeParams["timezone"] = "UTC" // goose notes times without one
	conn.RuntimeParams["application_name"] = "clientele migrate"
	if conn.ValidateConnect == nil { // of several hosts, the one that can be written to
		conn.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	pool := stdlib.OpenDB(*conn)
	provider, err := goose.NewProvider(goose.DialectPostgres, pool, files, goose.WithDisableGlobalRegistry(true),
		goose.WithGoMigrations(migrations.Go(config)...), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading the migrations: %w", err), pool.Close())
	}
	return &migrator{db: pool, goose: provider}, nil
}

func (m *migrator) close() { _ = m.db.Close() } // nothing is under way

// migrationLock is the advisory lock that lets one process at a time migrate.
const migrationLock = 7_236_275_028_114_571

// locked runs do while this process is the only one to migrate. The lock is asked for again and again, never waited for
// in a statement: such a statement holds a snapshot, which CREATE INDEX CONCURRENTLY in the process that migrates would
// wait for in its turn, for ever. goose's own lock comes too late, after it has made its table.
func (m *migrator) locked(ctx context.Context, log *slog.Logger, do func() error) error {
	conn, err := m.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connecting to migrate: %w", err)
	}
	defer conn.Close()
	for waits := 0; ; waits++ {
		var got bool
		if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", migrationLock).Scan(&got); err != nil {
			return fmt.Errorf("taking the migrations' lock: %w", err)
		}
		if got {
			break
		}
		if waits == 0 {
			log.InfoContext(ctx, "waiting for another process to finish migrating")
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the migrations' lock: %w", ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
	err = do()
	// A connection that is lost takes the lock with it.
	unlock, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, _ = conn.ExecContext(unlock, "SELECT pg_advisory_unlock($1)", migrationLock)
	return err
}

func (m *migrator) status(ctx context.Context) ([]Migration, error) {
	var begun bool
	err := m.db.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL", goose.DefaultTablename).Scan(&begun)
	if err != nil {
		return nil, fmt.Errorf("reading the schema's version: %w", err)
	}
	var list []Migration
	if !begun { // goose would make its table now
		for _, source := range m.goose.ListSources() {
			list = append(list, Migration{Version: source.Version, Name: path.Base(source.Path)})
		}
		return list, nil
	}
	states, err := m.goose.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the schema's version: %w", err)
	}
	for _, state := range states {
		migration := Migration{Version: state.Source.Version, Name: path.Base(state.Source.Path)}
		if state.State == goose.StateApplied {
			migration.AppliedAt = &state.AppliedAt
		}
		list = append(list, migration)
	}
	return list, nil
}

// migrationFault names the migration that failed.
func migrationFault(doing string, err error) error {
	if err == nil {
		return nil
	}
	var partial *goose.PartialError
	if errors.As(err, &partial) && partial.Failed != nil {
		return fmt.Errorf("%s migration %s: %w", doing, path.Base(partial.Failed.Source.Path), partial.Err)
	}
	return fmt.Errorf("%s migrations: %w", doing, err)
}
