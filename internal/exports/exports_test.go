package exports_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/domains"
	"github.com/clientele-api/clientele/internal/exports"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/sheets"
)

func open(t *testing.T, conns int32) *exports.Snapshots {
	t.Helper()
	pool, err := postgres.Open(t.Context(), dbtest.URL(t), time.Now, postgres.Conns(conns))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return exports.NewSnapshots(pool, 10*time.Second)
}

// TestStatementsOfSnapshotsMayTakeTheWholeTime: they wait for slow readers, but only those of snapshots.
func TestStatementsOfSnapshotsMayTakeTheWholeTime(t *testing.T) {
	t.Parallel()
	snapshots := open(t, 1)
	snapshot, err := snapshots.Open(t.Context())
	require.NoError(t, err)
	for _, setting := range []string{"statement_timeout", "idle_in_transaction_session_timeout"} {
		var limit time.Duration
		require.NoError(t, snapshot.QueryRow(t.Context(), "SELECT current_setting($1)::interval", setting).Scan(&limit))
		require.Equal(t, exports.TimeLimit, limit, setting)
	}
	snapshot.Close()
	snapshot, err = snapshots.Open(t.Context()) // the connection came back
	require.NoError(t, err)
	snapshot.Close()
}

// TestASlowReaderKeepsNoProcessesThatOthersNeed: a query that would be read with others' help is read without it.
func TestASlowReaderKeepsNoProcessesThatOthersNeed(t *testing.T) {
	t.Parallel()
	snapshot, err := open(t, 1).Open(t.Context())
	require.NoError(t, err)
	defer snapshot.Close()
	for _, setting := range []string{"min_parallel_table_scan_size", "parallel_setup_cost", "parallel_tuple_cost"} {
		_, err := snapshot.Exec(t.Context(), "SET LOCAL "+setting+" = 0")
		require.NoError(t, err)
	}
	plan := func() string {
		rows, err := snapshot.Query(t.Context(), "EXPLAIN SELECT * FROM domains")
		require.NoError(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return strings.Join(lines, "\n")
	}
	require.NotContains(t, plan(), "Gather")
	_, err = snapshot.Exec(t.Context(), "SET LOCAL max_parallel_workers_per_gather = 2")
	require.NoError(t, err)
	require.Contains(t, plan(), "Gather", "it would have been")
}

// TestStreamThatFails: what goes wrong in time is known before anything is written.
func TestStreamThatFails(t *testing.T) {
	t.Parallel()
	snapshot, err := open(t, 1).Open(t.Context())
	require.NoError(t, err)
	defer snapshot.Close()
	rows, err := domains.Reader(snapshot, domains.Filter{}, "host")
	require.NoError(t, err)
	table := sheets.Domains()
	table.Fields = append(table.Fields, "nothing")
	_, err = exports.Begin(t.Context(), rows, exports.CSV(table, false))
	require.ErrorContains(t, err, `column "nothing" does not exist`)
}
