package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/postgres"
)

// raising is a Once that leaves a trace of each step.
type raising struct {
	claim, store string
	refusal      error
	told         *string // who acts, as the database knows it when the key is claimed
}

func (r raising) Claim(ctx context.Context, batch *postgres.Batch, _ time.Time) error {
	if _, err := batch.Exec(ctx, raise, r.claim); err != nil {
		return err
	}
	var told string
	err := batch.QueryRow(ctx, "SELECT current_setting('clientele.actor')").Scan(&told)
	if r.told != nil {
		*r.told = told
	}
	return errors.Join(err, r.refusal)
}

func (r raising) Store(ctx context.Context, batch *postgres.Batch, _ *postgres.Tx) error {
	_, err := batch.Exec(ctx, raise, r.store)
	return err
}

func TestChangeOnceCommitsKeyEffectAndAnswerTogether(t *testing.T) {
	t.Parallel()
	database := open(t)
	id, broken := uuid.New(), errors.New("broken off")
	var told string
	change := postgres.Change{
		Actor: postgres.Actor{Kind: "identity", ID: &id}, Once: raising{claim: "a", store: "b", told: &told},
	}
	values := func() [2]int { return [2]int{value(t, database, "a"), value(t, database, "b")} }
	insert := func(tx *postgres.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO counters VALUES ('c', 7)`)
		return err
	}
	require.NoError(t, database.Change(t.Context(), change, func(tx *postgres.Tx) error {
		// A savepoint works in it as in any other.
		require.ErrorIs(t, tx.Savepoint(t.Context(), func(inner *postgres.Tx) error {
			require.NoError(t, insert(inner))
			return broken
		}), broken)
		return tx.Savepoint(t.Context(), insert)
	}))
	require.Equal(t, [2]int{1, 1}, values())
	require.Equal(t, 7, value(t, database, "c"))
	require.Equal(t, "identity "+id.String(), told)

	require.ErrorIs(t, database.Change(t.Context(), change, func(*postgres.Tx) error { return broken }), broken)
	require.Panics(t, func() {
		_ = database.Change(t.Context(), change, func(*postgres.Tx) error { panic("broken off") })
	})
	refused := change
	refused.Once = raising{claim: "a", store: "b", refusal: broken}
	require.ErrorIs(t, database.Change(t.Context(), refused, func(*postgres.Tx) error {
		require.Fail(t, "the change is made without its key")
		return nil
	}), broken)
	require.Error(t, database.Change(t.Context(), change, func(tx *postgres.Tx) error {
		require.Error(t, insert(tx))
		return nil // PostgreSQL does not forget it
	}))
	ctx, cancel := context.WithCancel(t.Context())
	require.Error(t, database.Change(ctx, change, func(*postgres.Tx) error {
		cancel()
		return nil
	}))
	require.Equal(t, [2]int{1, 1}, values())
	require.Zero(t, database.Stat().AcquiredConns(), "every connection is given back")
	var actor string
	for range 10 {
		const ask = "SELECT coalesce(current_setting('clientele.actor', true), '')"
		require.NoError(t, database.QueryRow(t.Context(), ask).Scan(&actor))
		require.Empty(t, actor)
	}
}

// TestChangeOnceIsRunAgain: with its key, when PostgreSQL broke it off.
func TestChangeOnceIsRunAgain(t *testing.T) {
	t.Parallel()
	database := open(t)
	attempts := 0
	require.NoError(t, database.Change(t.Context(), postgres.Change{Once: raising{claim: "a", store: "b"}},
		func(tx *postgres.Tx) error {
			if attempts++; attempts < 3 {
				return &pgconn.PgError{Code: "40P01"}
			}
			tx.About(uuid.Nil)
			require.Len(t, tx.Subjects(), 1, "nothing is left of the attempts before")
			return nil
		}))
	require.Equal(t, 1, value(t, database, "a"))
	require.Equal(t, 1, value(t, database, "b"))
	require.NoError(t, database.Change(t.Context(), postgres.Change{}, func(tx *postgres.Tx) error {
		tx.About(uuid.Nil)
		require.Empty(t, tx.Subjects(), "nobody asks")
		return nil
	}))
}

// TestBatchOfStatements: what is put off is done in its order, in one transaction.
func TestBatchOfStatements(t *testing.T) {
	t.Parallel()
	database := open(t)
	batch := postgres.NewBatch(database)
	for range 2 {
		_, err := batch.Exec(t.Context(), raise, "a")
		require.NoError(t, err)
	}
	require.Zero(t, value(t, database, "a"))
	var seen int
	require.NoError(t, batch.QueryRow(t.Context(), "SELECT value FROM counters WHERE name = 'a'").Scan(&seen))
	require.NoError(t, batch.Close(t.Context()))
	require.Equal(t, 2, seen)

	failing := postgres.NewBatch(database)
	for _, sql := range []string{"UPDATE counters SET value = 9", "INSERT INTO counters VALUES ('a', 1)"} {
		_, err := failing.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	require.Error(t, failing.Close(t.Context()))
	require.Equal(t, 2, value(t, database, "a"))
	_, err := failing.CopyFrom(t.Context(), pgx.Identifier{"counters"}, nil, nil)
	require.ErrorIs(t, err, errors.ErrUnsupported)
}
