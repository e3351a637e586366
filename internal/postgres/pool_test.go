package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/postgres"
)

func openURL(t *testing.T, url string, options ...postgres.Option) *postgres.DB {
	t.Helper()
	database, err := postgres.Open(t.Context(), url, time.Now, options...)
	require.NoError(t, err)
	t.Cleanup(database.Close)
	return database
}

func setting(t *testing.T, database *postgres.DB, name string) (value string) {
	t.Helper()
	require.NoError(t, database.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&value))
	return value
}

func TestStatementsHaveLimits(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	const statement, idle = "statement_timeout", "idle_in_transaction_session_timeout"
	for name, test := range map[string]struct{ more, statement, idle string }{
		"by default":          {"", "30s", "1min"},
		"of the URL":          {"&statement_timeout=5s&idle_in_transaction_session_timeout=7s", "5s", "7s"},
		"one of the URL":      {"&statement_timeout=2min", "2min", "1min"},
		"none, by the URL":    {"&statement_timeout=0&idle_in_transaction_session_timeout=0", "0", "0"},
		"in the URL's option": {"&options=-c%20statement_timeout%3D4s", "4s", "1min"},
	} {
		database := openURL(t, url+test.more)
		require.Equal(t, test.statement, setting(t, database, statement), name)
		require.Equal(t, test.idle, setting(t, database, idle), name)
		small := openURL(t, url+test.more, postgres.Conns(2))
		require.Equal(t, test.statement, setting(t, small, statement), name)
	}
	database := openURL(t, url)
	_, err := database.Exec(t.Context(), `DO $$ BEGIN
		EXECUTE format('ALTER DATABASE %I SET statement_timeout = ''9s''', current_database()); END $$`)
	require.NoError(t, err)
	require.Equal(t, "9s", setting(t, openURL(t, url), statement), "what the database was given counts")
	_, err = openURL(t, url+"&statement_timeout=50ms").Exec(t.Context(), "SELECT pg_sleep(10)")
	require.True(t, fault.IsKind(postgres.Translate(err), fault.Unavailable), "%v", err)
}

func TestConnsOfAPool(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	require.GreaterOrEqual(t, openURL(t, url).Config().MaxConns, int32(16))
	require.EqualValues(t, 5, openURL(t, url+"&pool_max_conns=5").Config().MaxConns)
	small := openURL(t, url+"&pool_max_conns=5&pool_min_conns=4", postgres.Conns(2))
	require.EqualValues(t, 2, small.Config().MaxConns)
	require.EqualValues(t, 2, small.Config().MinConns)
	require.Equal(t, "UTC", setting(t, small, "timezone"))
	require.Equal(t, "clientele", setting(t, small, "application_name"))
}
