// Package migrations holds the steps of the schema, oldest first. Most of them are SQL and are read from the files; those
// that another library brings are Go, and list themselves in Go. It must not be used but to migrate.
package migrations

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// Go lists the migrations that are not SQL. They connect by the configuration that is given, which they do not change.
func Go(connect *pgxpool.Config) []*goose.Migration {
	return []*goose.Migration{
		goose.NewGoMigration(5,
			&goose.GoFunc{RunDB: func(ctx context.Context, _ *sql.DB) error {
				return river(ctx, connect, rivermigrate.DirectionUp, 8)
			}},
			&goose.GoFunc{RunDB: func(ctx context.Context, _ *sql.DB) error {
				return river(ctx, connect, rivermigrate.DirectionDown, nothing)
			}},
		),
	}
}

// nothing is the version of a River schema that is not there.
const nothing = -1

// river takes the tables of River, which holds the background jobs, to a version of River's own. A later version of
// River's schema is a migration of ours with a higher number, whose way down ends at the version before.
//
// River commits each of its steps by itself and notes it in a table of its own, so one that broke off is continued by
// the next attempt.
func river(ctx context.Context, connect *pgxpool.Config, direction rivermigrate.Direction, version int) error {
	config := connect.Copy()
	config.MaxConns, config.MinConns, config.MinIdleConns = 1, 0, 0
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connecting to migrate the background jobs: %w", err)
	}
	defer pool.Close()
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("reading River's migrations: %w", err)
	}
	if _, err := migrator.Migrate(ctx, direction, &rivermigrate.MigrateOpts{TargetVersion: version}); err != nil {
		return fmt.Errorf("migrating the background jobs: %w", err)
	}
	return nil
}
