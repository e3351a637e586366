package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/db"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/postgres"
)

// constraint is a named rule of the schema. A unique index counts as one: PostgreSQL reports its violation alike.
type constraint struct {
	Table   string
	Name    string
	Kind    string   // of pg_constraint; i for a unique index that belongs to no constraint
	Columns []string // nil for an expression
}

func constraints(t *testing.T) []constraint {
	t.Helper()
	rows, err := dbtest.New(t).Query(t.Context(), `
		SELECT relation.relname AS table, conname AS name, contype::text AS kind, ARRAY(
			SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS key (number, place)
			JOIN pg_attribute ON attrelid = conrelid AND attnum = key.number ORDER BY place
		) AS columns
		FROM pg_constraint JOIN pg_class relation ON relation.oid = conrelid
		WHERE connamespace = 'public'::regnamespace
		UNION ALL
		SELECT relation.relname, index.relname, 'i', NULL
		FROM pg_index JOIN pg_class index ON index.oid = indexrelid JOIN pg_class relation ON relation.oid = indrelid
		WHERE indisunique AND index.relnamespace = 'public'::regnamespace
			AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
		ORDER BY 1, 2`)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[constraint])
	require.NoError(t, err)
	return slices.DeleteFunc(all, func(c constraint) bool {
		// Of libraries, which name theirs as they like. No input gets there: the violation of one is a fault of ours.
		return c.Table == "goose_db_version" || strings.HasPrefix(c.Table, "river_")
	})
}

// suffixes are what the name of a constraint ends with, by its kind.
var suffixes = map[string]string{"p": "pkey", "u": "key", "f": "fkey", "c": "check", "x": "excl", "i": "key"}

func TestConstraintsAreNamed(t *testing.T) {
	t.Parallel()
	all := constraints(t)
	require.NotEmpty(t, all)
	for _, one := range all {
		suffix, known := suffixes[one.Kind]
		require.True(t, known, "%s is of the kind %s", one.Name, one.Kind)
		if one.Kind == "i" { // of an expression, or partial: named for what it is about
			require.Regexp(t, "^"+one.Table+"_[a-z_]*[a-z]_key$", one.Name)
			continue
		}
		about := one.Table
		expected := []string{about + "_" + suffix}
		if one.Kind != "p" {
			expected = nil
			for i, column := range one.Columns {
				about += "_" + strings.TrimSuffix(column, "_key") // a folded copy is called what it copies
				if i == len(one.Columns)-1 || one.Kind == "c" {   // a check may compare its column with others
					expected = append(expected, about+"_"+suffix)
				}
			}
		}
		require.Contains(t, expected, one.Name)
	}
}

// TestConstraintsAreNamedWhereTheyAreMade: the name that PostgreSQL would make up may be the same today and another one
// as soon as a second constraint wants it.
func TestConstraintsAreNamedWhereTheyAreMade(t *testing.T) {
	t.Parallel()
	unnamed := regexp.MustCompile(`\b(PRIMARY KEY|UNIQUE|REFERENCES|CHECK|EXCLUDE)\b`)
	comment := regexp.MustCompile(`--.*`)
	files, err := fs.Glob(db.Migrations, "migrations/*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		content, err := fs.ReadFile(db.Migrations, file)
		require.NoError(t, err)
		for number, line := range strings.Split(string(content), "\n") {
			line = comment.ReplaceAllString(line, "")
			if unnamed.MatchString(line) && !strings.Contains(line, "CREATE UNIQUE INDEX") {
				require.Contains(t, line, "CONSTRAINT ", "%s:%d", file, number+1)
			}
		}
	}
}

// unreachable are the constraints that no input can violate: the contract, or a lock that is held, lets nothing through
// that would. Their violation is a fault of ours, and answered as one.
var unreachable = []string{
	"activation_requests_customer_id_fkey",
	"activation_requests_identity_id_fkey",
	"activation_requests_state_check",
	"api_client_activity_api_client_id_fkey",
	"api_clients_previous_secret_hash_check",
	"api_clients_scopes_check",
	"backups_customer_id_fkey",
	"backups_size_check",
	"blobs_kind_check",
	"customer_activity_customer_id_fkey",
	"customers_properties_check",
	"customers_status_check",
	"domains_customer_id_fkey",
	"domains_scheme_check",
	"domains_tls_protocol_check",
	"events_position_check",
	"events_position_key",
	"identities_customer_id_fkey",
	"identities_role_check",
	"identity_activity_identity_id_fkey",
	"job_files_blob_fkey",
	"job_files_job_id_fkey",
	"job_files_kind_check",
	"jobs_copies_check",
	"jobs_customer_id_fkey",
	"jobs_status_check",
	"operation_items_operation_id_fkey",
	"operation_keys_operation_id_fkey",
	"operation_refusals_operation_id_fkey",
	"operations_customer_id_fkey",
	"operations_finished_at_state_check",
	"operations_kind_check",
	"operations_spool_fkey",
	"operations_start_key",
	"operations_state_check",
	"password_resets_identity_id_fkey",
	"password_resets_state_check",
	"publishing_accesses_via_check",
	"publishings_customer_id_fkey",
	"publishings_identity_id_check",
	"publishings_state_check",
	"publishings_visibility_check",
	"refresh_tokens_session_id_fkey",
	"sessions_identity_id_fkey",
	"sessions_staff_id_check",
	"sessions_staff_id_fkey",
	"signing_keys_active_key",
	"staff_activity_staff_id_fkey",
	"terms_acceptances_customer_id_fkey",
	"terms_acceptances_first_key",
	"terms_acceptances_identity_id_terms_id_key",
	"terms_acceptances_terms_id_fkey",
	"terms_blob_fkey",
	"terms_version_key",
	"staff_role_check",
	"webhook_cursor_single_check",
	"webhook_deliveries_endpoint_id_fkey",
	"webhook_deliveries_state_check",
	"webhook_endpoints_enabled_disabled_reason_check",
}

func TestConstraintsAreTranslated(t *testing.T) {
	t.Parallel()
	var names []string
	for _, one := range constraints(t) {
		if one.Kind == "p" {
			continue // ids are made by the program
		}
		names = append(names, one.Name)
		_, translated := postgres.ConstraintFaults[one.Name]
		require.NotEqual(t, translated, slices.Contains(unreachable, one.Name),
			"%s must be in exactly one of constraintFaults and the list of what no input can violate", one.Name)
	}
	for name, meaning := range postgres.ConstraintFaults {
		require.Contains(t, names, name, "constraintFaults has a name that the schema does not have")
		found := meaning()
		require.NotEmpty(t, found.Code, name)
		require.NotEmpty(t, found.Detail, name)
		require.Contains(t, []fault.Kind{fault.Conflict, fault.Invalid, fault.NotFound}, found.Kind, name)
		require.NotSame(t, found, meaning(), "%s: a cause is put into it", name)
	}
	for _, name := range unreachable {
		require.Contains(t, names, name, "the schema does not have it")
	}
}

func TestTranslate(t *testing.T) {
	t.Parallel()
	known := fault.StaleVersion(3)
	unknown := errors.New("unknown")
	pgError := func(code, constraint string) error { return &pgconn.PgError{Code: code, ConstraintName: constraint} }
	for name, test := range map[string]struct {
		err  error
		kind fault.Kind
		code string
	}{
		"no row":                    {fmt.Errorf("reading: %w", pgx.ErrNoRows), fault.NotFound, "not_found"},
		"a taken external id":       {pgError("23505", "customers_external_id_key"), fault.Conflict, "external_id_taken"},
		"a taken email":             {fmt.Errorf("writing: %w", pgError("23505", "staff_email_key")), fault.Conflict, "email_taken"},
		"a parent that is not":      {pgError("23503", "customers_parent_id_fkey"), fault.Invalid, "invalid_body"},
		"a deadlock":                {pgError("40P01", ""), fault.Unavailable, "busy"},
		"too many connections":      {pgError("53300", ""), fault.Unavailable, "unavailable"},
		"shutting down":             {pgError("57P01", ""), fault.Unavailable, "unavailable"},
		"starting up":               {pgError("57P03", ""), fault.Unavailable, "unavailable"},
		"no primary any more":       {pgError("25006", ""), fault.Unavailable, "unavailable"},
		"nobody listens":            {&pgconn.ConnectError{}, fault.Unavailable, "unavailable"},
		"a value out of range":      {pgError("22003", ""), fault.Malformed, "invalid_value"},
		"the connection ended":      {fmt.Errorf("reading: %w", io.ErrUnexpectedEOF), fault.Unavailable, "unavailable"},
		"no answer in time":         {context.DeadlineExceeded, fault.Unavailable, "unavailable"},
		"a fault stays what it is":  {fmt.Errorf("checking: %w", known), fault.Stale, "stale_version"},
		"a fault with a cause, too": {&fault.Error{Kind: fault.Invalid, Code: "x", Cause: pgx.ErrNoRows}, fault.Invalid, "x"},
	} {
		var found *fault.Error
		require.ErrorAs(t, postgres.Translate(test.err), &found, name)
		require.Equal(t, test.kind, found.Kind, name)
		require.Equal(t, test.code, found.Code, name)
		require.Equal(t, test.kind == fault.Unavailable, found.RetryAfter > 0, name)
	}
	require.NoError(t, postgres.Translate(nil))
	for name, err := range map[string]error{
		"unknown": unknown, "the caller went away": context.Canceled,
		"a constraint of nobody's": pgError("23514", "customers_status_check"), "wrong SQL": pgError("42601", ""), "not the database's": &net.OpError{Op: "dial", Err: errors.New("refused")},
	} {
		require.Same(t, err, postgres.Translate(err), name)
	}
}

// TestDatabaseAwayAndBack: without the database requests are refused, politely; with it they work again, and nobody had
// to restart the server for that.
func TestDatabaseAwayAndBack(t *testing.T) {
	t.Parallel()
	server := dbtest.Server(t)
	s := apitest.NewOn(t, server.URL())
	admin := s.Staff(t, access.Administrator)
	customer := "/v1/customers/" + admin.Customer(t, nil).Id.String()
	form := apitest.Header("Content-Type", "application/x-www-form-urlencoded")

	server.Stop(t)
	for _, waits := range []time.Duration{0, 1200 * time.Millisecond} { // what is known of tokens is fresh, and then not
		time.Sleep(waits)
		for _, call := range []struct {
			method, path string
			body         any
		}{
			{"GET", "/readyz", nil},
			{"GET", "/v1/me", nil},
			{"GET", customer, nil},
			{"GET", "/v1/customers?q=x&include_total=true", nil},
			{"GET", customer + "/deletion-plan", nil},
			{"GET", "/v1/events", nil},
			{"POST", "/v1/customers", apitest.Fields{"name": "x"}},
			{"PATCH", customer, apitest.Fields{"name": "x"}},
			{"DELETE", customer, nil},
		} {
			response := admin.Must(t, 503, call.method, call.path, call.body)
			require.Equal(t, "1", response.Header.Get("Retry-After"))
			problem := response.Problem(t)
			require.Equal(t, "unavailable", problem.Code)
			require.Equal(t, "The database cannot be reached at the moment.", problem.Detail)
		}
		for path, body := range map[string]string{
			"/oauth/token":  "grant_type=password&client_id=staff&username=a&password=b",
			"/oauth/revoke": "client_id=staff&token=x",
		} {
			response := s.Anonymous().Must(t, 503, "POST", path, body, form)
			require.Equal(t, "1", response.Header.Get("Retry-After"))
			var refusal openapi.OAuthError
			response.JSON(t, &refusal)
			require.Equal(t, "temporarily_unavailable", refusal.Error)
		}
		admin.Must(t, 200, "GET", "/healthz", nil)
		s.Anonymous().Must(t, 401, "GET", customer, nil) // nothing has to be asked for that
	}
	require.Equal(t, 503, s.Anonymous().Do(t, "GET", "/.well-known/jwks.json", nil).Status)

	server.Start(t)
	require.Eventually(t, func() bool { return admin.Do(t, "GET", "/readyz", nil).Status == 200 }, 20*time.Second, 50*time.Millisecond)
	admin.Must(t, 200, "GET", customer, nil)
	admin.Must(t, 201, "POST", "/v1/customers", apitest.Fields{"name": "y"})
	require.Eventually(t, func() bool { // the sequencer has found its way back, too
		var feed openapi.EventFeed
		admin.Must(t, 200, "GET", "/v1/events?limit=200", nil).JSON(t, &feed)
		return len(feed.Data) == 3
	}, 10*time.Second, 50*time.Millisecond)
}

// TestLostConnections: a pool whose connections were all cut off makes new ones.
func TestLostConnections(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := admin.Customer(t, nil)
	_, err := s.DB.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		status := admin.Do(t, "PATCH", "/v1/customers/"+customer.Id.String(), apitest.Fields{"name": "z"}).Status
		require.Contains(t, []int{200, 503}, status)
		return status == 200
	}, 10*time.Second, 10*time.Millisecond)
}
