package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/postgres"
)

func open(t *testing.T) *postgres.DB {
	t.Helper()
	database := postgres.New(dbtest.New(t), time.Now)
	_, err := database.Exec(t.Context(), `CREATE TABLE counters (name text PRIMARY KEY, value int NOT NULL);
		INSERT INTO counters VALUES ('a', 0), ('b', 0)`)
	require.NoError(t, err)
	return database
}

func value(t *testing.T, database *postgres.DB, name string) (found int) {
	t.Helper()
	require.NoError(t, database.QueryRow(t.Context(), `SELECT value FROM counters WHERE name = $1`, name).Scan(&found))
	return found
}

// TestChangeTellsTheDatabaseWhoActs: it guards some tables by that, and a connection that goes back to the pool acts for
// nobody any more.
func TestChangeTellsTheDatabaseWhoActs(t *testing.T) {
	t.Parallel()
	database := postgres.New(dbtest.New(t), time.Now)
	id := uuid.New()
	for expected, actor := range map[string]postgres.Actor{
		"identity " + id.String(): {Kind: "identity", ID: &id, Name: "Ada'; commit"},
		"system":                  {Kind: "system"},
		"it's":                    {Kind: "it's"},
		"":                        {},
	} {
		var told string
		const ask = "SELECT coalesce(current_setting('clientele.actor', true), '')"
		require.NoError(t, database.Change(t.Context(), postgres.Change{Actor: actor}, func(tx *postgres.Tx) error {
			return tx.QueryRow(t.Context(), ask).Scan(&told)
		}))
		require.Equal(t, expected, told)
		for range 10 {
			require.NoError(t, database.QueryRow(t.Context(), ask).Scan(&told))
			require.Empty(t, told)
		}
	}
}

const raise = `UPDATE counters SET value = value + 1 WHERE name = $1`

func TestChangeIsWholeOrNothing(t *testing.T) {
	t.Parallel()
	database := open(t)
	broken := errors.New("broken off")
	err := database.Change(t.Context(), postgres.Change{}, func(tx *postgres.Tx) error {
		_, err := tx.Exec(t.Context(), raise, "a")
		require.NoError(t, err)
		return broken
	})
	require.ErrorIs(t, err, broken)
	require.Zero(t, value(t, database, "a"))
	require.Panics(t, func() {
		_ = database.Change(t.Context(), postgres.Change{}, func(tx *postgres.Tx) error {
			_, _ = tx.Exec(t.Context(), raise, "a")
			panic("broken off")
		})
	})
	require.Zero(t, value(t, database, "a"))
	require.Zero(t, database.Stat().AcquiredConns(), "every connection is given back")
}

// Two changes that lock the same rows the other way round are both done: the one that PostgreSQL breaks off is run
// again.
func TestChangeIsRunAgainAfterADeadlock(t *testing.T) {
	t.Parallel()
	database := open(t)
	var firstLocks sync.WaitGroup
	firstLocks.Add(2)
	var group sync.WaitGroup
	attempts := make([]int, 2)
	for i, order := range [][]string{{"a", "b"}, {"b", "a"}} {
		group.Go(func() {
			err := database.Change(t.Context(), postgres.Change{}, func(tx *postgres.Tx) error {
				attempts[i]++
				if _, err := tx.Exec(t.Context(), raise, order[0]); err != nil {
					return err
				}
				if attempts[i] == 1 {
					firstLocks.Done()
					firstLocks.Wait()
				}
				_, err := tx.Exec(t.Context(), raise, order[1])
				return err
			})
			require.NoError(t, err)
		})
	}
	group.Wait()
	require.Equal(t, 2, value(t, database, "a"))
	require.Equal(t, 2, value(t, database, "b"))
	require.GreaterOrEqual(t, attempts[0]+attempts[1], 3, "one was broken off; on a slow machine both may be, each by the other")
}

func TestChangeOfACallerThatGoesAway(t *testing.T) {
	t.Parallel()
	database := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := database.Change(ctx, postgres.Change{}, func(tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, raise, "a")
		require.NoError(t, err)
		cancel()
		_, err = tx.Exec(ctx, raise, "b")
		return err
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, value(t, database, "a"))
}

func TestSnapshotSeesOneMomentAndWritesNothing(t *testing.T) {
	t.Parallel()
	database := open(t)
	require.NoError(t, database.Snapshot(t.Context(), func(tx pgx.Tx) error {
		var before, after int
		require.NoError(t, tx.QueryRow(t.Context(), `SELECT sum(value) FROM counters`).Scan(&before))
		_, err := database.Exec(t.Context(), raise, "a")
		require.NoError(t, err)
		require.NoError(t, tx.QueryRow(t.Context(), `SELECT sum(value) FROM counters`).Scan(&after))
		require.Equal(t, before, after)
		return nil
	}))
	err := database.Snapshot(t.Context(), func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), raise, "a")
		return err
	})
	require.True(t, fault.IsKind(err, fault.Unavailable))
}
