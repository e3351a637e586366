package program_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/dbtest"
)

// TestImportOnTheCommandLine imports without a server, which would work the steps beside it.
func TestImportOnTheCommandLine(t *testing.T) {
	t.Parallel()
	url, dir := dbtest.URL(t), t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	var said string
	run := func(args ...string) (stderr string, code int) {
		said = ""
		return runOn(t, url, func(text string) { said += text }, append([]string{"import"}, append(args, "--data-dir", dir)...)...)
	}
	file := write("shops.csv", "No;Shop;mail\nA;Łódź, Bazar;nobody\nB;Two;\n")
	refused := filepath.Join(dir, "refused.csv")
	flags := []string{"--map", "No=external_id", "--map", "Shop=name", "--map", "mail=email", "--refused", refused}
	stderr, code := run(append([]string{"customers", file, "--dry-run"}, flags...)...)
	require.Equal(t, 1, code, stderr)
	require.Contains(t, said, "Looked through "+file+": 2 rows, 1 created, 0 updated, 0 skipped, 1 refused.\n")
	stderr, code = run(append([]string{"customers", file}, flags...)...)
	require.Equal(t, 1, code, stderr)
	require.Equal(t, "clientele: a row was refused\n", stderr)
	require.Contains(t, said, "2 rows, 1 created, 0 updated, 0 skipped, 1 refused.\n  row 2: mail must be an email address\n")
	content, err := os.ReadFile(refused)
	require.NoError(t, err)
	require.Equal(t, "\ufeffrefused_row,refused_because,No,Shop,mail\r\n2,mail must be an email address,A,\"Łódź, Bazar\",nobody\r\n", string(content))

	mended := write("mended.csv", "refused_row,refused_because,No,Shop,mail\r\n2,x,A,\"Łódź, Bazar\",\r\n")
	stderr, code = run(append([]string{"customers", mended}, flags...)...)
	require.Zero(t, code, stderr)
	require.Contains(t, said, "1 created")

	connection, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer connection.Close(t.Context())
	var customer, actor string
	var blobs int
	require.NoError(t, connection.QueryRow(t.Context(), `SELECT id, (SELECT actor_name FROM events WHERE resource_id = customers.id)
		FROM customers WHERE external_id = 'A' AND name = 'Łódź, Bazar'`).Scan(&customer, &actor))
	require.Equal(t, "command line", actor)
	require.NoError(t, connection.QueryRow(t.Context(), "SELECT count(*) FROM operations WHERE finished_at IS NULL").Scan(&blobs))
	require.Zero(t, blobs)

	lines := write("hosts.ndjson", `{"host": "www.example.com"}`+"\n"+`{"host": "x y"}`+"\n")
	stderr, code = run("domains", lines, "--customer", customer, "--atomic")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "Rows were refused, so that none was written.")
	stderr, code = run("domains", lines, "--customer", customer)
	require.Equal(t, 1, code, stderr)
	require.Contains(t, said, "1 created")

	for _, args := range [][]string{
		{"customers"}, {"domains", file}, {"domains", file, "--customer", "x"}, {"customers", file, "--customer", customer},
		{"customers", file, "--delimiter", "space"}, {"customers", file, "--encoding", "koi8-r"}, {"customers", file, "--on-conflict", "x"},
		{"customers", file, "--format", "xlsx"}, {"customers", file, "--map", "x"}, {"customers", file, "--columns", `"a`}, {"nothing", file},
	} {
		stderr, code = run(args...)
		require.Equal(t, 2, code, "%v: %s", args, stderr)
	}
	stderr, code = run("domains", file, "--customer", uuid.NewString())
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "there is no customer")
	stderr, code = run("customers", filepath.Join(dir, "nothing.csv"))
	require.Equal(t, 1, code, stderr)
}
