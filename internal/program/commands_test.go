package program_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/program"
)

const secretKey = "a secret key of more than 32 characters"

// runOn runs a command in this process, on a database.
func runOn(t *testing.T, url string, stdout func(string), args ...string) (stderr string, code int) {
	t.Helper()
	variables := map[string]string{"CLIENTELE_DATABASE_URL": url, "CLIENTELE_SECRET_KEY": secretKey}
	var log strings.Builder
	code = program.Run(t.Context(), program.Environment{
		Args: args, Getenv: func(name string) string { return variables[name] }, Stdout: writer(stdout), Stderr: &log,
	})
	return log.String(), code
}

type writer func(string)

func (w writer) Write(p []byte) (int, error) {
	w(string(p))
	return len(p), nil
}

// TestKeysRotateTellsOfWhatHasHappened: what was printed is committed, though the transaction had to be run again.
func TestKeysRotateTellsOfWhatHasHappened(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	connection, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer connection.Close(t.Context())
	_, err = connection.Exec(t.Context(), `
		CREATE SEQUENCE attempts;
		CREATE FUNCTION fail_at_first() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('attempts') = 1 THEN RAISE EXCEPTION 'again' USING ERRCODE = 'serialization_failure'; END IF;
			RETURN NULL;
		END $$;
		CREATE CONSTRAINT TRIGGER signing_keys_fail AFTER INSERT ON signing_keys
			DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail_at_first()`)
	require.NoError(t, err)
	var said []string
	stderr, code := runOn(t, url, func(text string) {
		var id string
		require.NoError(t, connection.QueryRow(t.Context(), "SELECT id FROM signing_keys WHERE retired_at IS NULL").Scan(&id))
		require.Contains(t, text, id)
		said = append(said, text)
	}, "keys", "rotate")
	require.Zero(t, code, stderr)
	require.Len(t, said, 1)
	require.Contains(t, said[0], "in about two seconds")
	var attempts int
	require.NoError(t, connection.QueryRow(t.Context(), "SELECT last_value FROM attempts").Scan(&attempts))
	require.Equal(t, 2, attempts)
}

func TestStaffCreateWithAnEmailThatIsTaken(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	var said string
	create := func(email string) (string, int) {
		return runOn(t, url, func(text string) { said += text }, "staff", "create", "--email", email, "--role", "viewer")
	}
	stderr, code := create("ada@example.com")
	require.Zero(t, code, stderr)
	require.Contains(t, said, "Created ada@example.com, viewer.")
	said = ""
	stderr, code = create("Ada@Example.com")
	require.Equal(t, 1, code)
	require.Equal(t, "clientele: there is a staff account with the email address Ada@Example.com already\n", stderr)
	require.Empty(t, said)
}
