package postgres_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/postgres"
)

// emptyDatabase returns the connection string of a database without a schema.
func emptyDatabase(t *testing.T) string {
	t.Helper()
	url := dbtest.URL(t)
	// A setting of the pool, which PostgreSQL itself does not know.
	url += "&pool_max_conns=3"
	execSQL(t, url, "DROP SCHEMA public CASCADE")
	execSQL(t, url, "CREATE SCHEMA public")
	return url
}

func connectTo(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), strings.TrimSuffix(url, "&pool_max_conns=3"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func execSQL(t *testing.T, url, sql string, args ...any) {
	t.Helper()
	conn := connectTo(t, url)
	_, err := conn.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
}

func countSQL(t *testing.T, url, sql string) (n int) {
	t.Helper()
	require.NoError(t, connectTo(t, url).QueryRow(t.Context(), sql).Scan(&n))
	return n
}

func status(t *testing.T, url string) (applied, pending int) {
	t.Helper()
	list, err := postgres.MigrationStatus(t.Context(), url)
	require.NoError(t, err)
	require.NotEmpty(t, list)
	for i, m := range list {
		require.Regexp(t, `^\d{5}_\w+\.(sql|go)$`, m.Name)
		if i > 0 {
			require.Greater(t, m.Version, list[i-1].Version)
		}
		if m.AppliedAt == nil {
			pending++
			continue
		}
		applied++
		require.Equal(t, time.UTC, m.AppliedAt.Location())
		require.False(t, m.AppliedAt.After(time.Now().Add(time.Minute)))
	}
	return applied, pending
}

const relations = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"

func TestMigrationsGoUpDownAndUpAgain(t *testing.T) {
	t.Parallel()
	url := emptyDatabase(t)
	log := slog.New(slog.DiscardHandler)

	applied, all := status(t, url)
	require.Zero(t, applied)
	require.Zero(t, countSQL(t, url, relations), "asking for the status changes nothing")

	require.NoError(t, postgres.MigrateUp(t.Context(), url, log))
	applied, pending := status(t, url)
	require.Equal(t, all, applied)
	require.Zero(t, pending)
	built := countSQL(t, url, relations)

	for step := range all {
		require.NoError(t, postgres.MigrateDown(t.Context(), url, log))
		_, pending = status(t, url)
		require.Equal(t, step+1, pending, "one step at a time")
	}
	require.NoError(t, postgres.MigrateDown(t.Context(), url, log), "nothing left to undo")
	require.Zero(t, countSQL(t, url, relations+" AND relname NOT LIKE 'goose_db_version%'"))
	require.Zero(t, countSQL(t, url, "SELECT count(*) FROM pg_type WHERE typtype = 'e'"))
	require.Zero(t, countSQL(t, url, "SELECT count(*) FROM pg_proc WHERE proname LIKE 'river%'"))

	require.NoError(t, postgres.MigrateUp(t.Context(), url, log))
	require.Equal(t, built, countSQL(t, url, relations))
}

func TestReplicasMigrateTogether(t *testing.T) {
	t.Parallel()
	url := emptyDatabase(t)
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			if err := postgres.MigrateUp(t.Context(), url, slog.New(slog.DiscardHandler)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	applied, pending := status(t, url)
	require.Zero(t, pending)
	require.Equal(t, applied, countSQL(t, url, "SELECT count(*) FROM goose_db_version WHERE version_id > 0"))
}

func TestMigrateUpWaitsForTheLock(t *testing.T) {
	t.Parallel()
	url := emptyDatabase(t)
	holder := connectTo(t, url)
	_, err := holder.Exec(t.Context(), "SELECT pg_advisory_lock($1)", postgres.MigrationLock)
	require.NoError(t, err)

	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, postgres.MigrateUp(ctx, url, log), context.DeadlineExceeded)
	require.Equal(t, 1, strings.Count(out.String(), "waiting for another process"))
	require.Zero(t, countSQL(t, url, relations))

	require.NoError(t, holder.Close(t.Context()))
	require.NoError(t, postgres.MigrateUp(t.Context(), url, log))
	require.Contains(t, out.String(), "migration applied")
}

func TestNewerSchemaIsLeftAlone(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	execSQL(t, url, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)")
	require.NoError(t, postgres.MigrateUp(t.Context(), url, slog.New(slog.DiscardHandler)))
	_, pending := status(t, url)
	require.Zero(t, pending)
}

func TestFailedMigrationIsNamedAndUndone(t *testing.T) {
	t.Parallel()
	url := emptyDatabase(t)
	files := fstest.MapFS{
		"00001_good.sql": {Data: []byte("-- +goose Up\nCREATE TABLE good (id int);\n-- +goose Down\nDROP TABLE good;\n")},
		"00002_bad.sql":  {Data: []byte("-- +goose Up\nCREATE TABLE bad (id int);\nSELECT nonsense;\n-- +goose Down\nDROP TABLE bad;\n")},
	}
	var out bytes.Buffer
	err := postgres.MigrateUpFrom(t.Context(), url, files, slog.New(slog.NewTextHandler(&out, nil)))
	require.ErrorContains(t, err, "applying migration 00002_bad.sql")
	require.ErrorContains(t, err, "nonsense")
	require.Contains(t, out.String(), "00001_good.sql")
	require.Equal(t, 1, countSQL(t, url, relations+" AND relname IN ('good', 'bad')"))
}

func TestMigrationsOfAnUnreachableDatabase(t *testing.T) {
	t.Parallel()
	url := "postgres://nobody:hush@127.0.0.1:1/none"
	err := postgres.MigrateUp(t.Context(), url, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "connecting to migrate")
	require.NotContains(t, err.Error(), "hush")
	_, err = postgres.MigrationStatus(t.Context(), url)
	require.Error(t, err)
}

// TestRiversSchemaIsComplete: a new version of River that brings another step of its schema asks for a migration of
// ours that goes there.
func TestRiversSchemaIsComplete(t *testing.T) {
	t.Parallel()
	migrator, err := rivermigrate.New(riverpgxv5.New(dbtest.New(t)), nil)
	require.NoError(t, err)
	result, err := migrator.Validate(t.Context(), nil)
	require.NoError(t, err)
	require.True(t, result.OK, result.Messages)
}

// TestRiversSchemaIsContinued: its steps are committed one by one, so one may find the ones before it done.
func TestRiversSchemaIsContinued(t *testing.T) {
	t.Parallel()
	url := emptyDatabase(t)
	pool, err := pgxpool.New(t.Context(), strings.TrimSuffix(url, "&pool_max_conns=3"))
	require.NoError(t, err)
	defer pool.Close()
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	require.NoError(t, err)
	_, err = migrator.Migrate(t.Context(), rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: 3})
	require.NoError(t, err)
	require.NoError(t, postgres.MigrateUp(t.Context(), url, slog.New(slog.DiscardHandler)))
	result, err := migrator.Validate(t.Context(), nil)
	require.NoError(t, err)
	require.True(t, result.OK, result.Messages)
}
