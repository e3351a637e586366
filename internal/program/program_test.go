package program_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/client"
	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/program"
)

// TestMain lets the tests run the program as a process of its own: this very binary, told so by a variable.
func TestMain(m *testing.M) {
	if os.Getenv("CLIENTELE_TEST_AS_PROGRAM") == "" {
		os.Exit(m.Run())
	}
	if len(os.Args) > 1 && os.Args[1] == countCustomers {
		os.Exit(countThem())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := program.Run(ctx, program.Environment{
		Args: os.Args[1:], Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	})
	stop()
	os.Exit(code)
}

// countCustomers has this binary be a tool that goes to the database by the variables of PostgreSQL.
const countCustomers = "count-customers"

func countThem() (code int) {
	connection, err := pgx.Connect(context.Background(), "")
	count := 0
	if err == nil {
		err = connection.QueryRow(context.Background(), "SELECT count(*) FROM customers").Scan(&count)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("there are", count)
	return 0
}

// process is the program at work.
type process struct {
	*exec.Cmd
	ready string
	url   string
	log   *lockedBuffer
}

type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

func command(dir string, variables []string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), append(variables, "CLIENTELE_TEST_AS_PROGRAM=1", "CLIENTELE_ADDR=127.0.0.1:0")...)
	return cmd
}

// start starts the program and waits for its ready line.
func start(t *testing.T, dir string, variables ...string) *process {
	t.Helper()
	p := &process{Cmd: command(dir, variables, "serve"), log: &lockedBuffer{}}
	p.Stderr = p.log
	stdout, err := p.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.Start())
	t.Cleanup(func() { p.end(syscall.SIGTERM) })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err, p.log.String())
	p.ready = line
	p.url = regexp.MustCompile(`http://[^,]+`).FindString(line)
	return p
}

// local gives the address of a program that calls itself by its public URL.
func (p *process) local(t *testing.T) (address string) {
	t.Helper()
	require.Eventually(t, func() bool { // the log comes by another way than the ready line
		address = regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(p.log.String())
		return address != ""
	}, 10*time.Second, 10*time.Millisecond)
	return address
}

func (p *process) end(how syscall.Signal) {
	_ = p.Process.Signal(how)
	_ = p.Wait()
}

// run runs another command to its end.
func run(t *testing.T, dir string, stdin string, args ...string) (output string, code int) {
	t.Helper()
	cmd := command(dir, nil, args...)
	cmd.Stdin = strings.NewReader(stdin)
	combined, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil {
		require.ErrorAs(t, err, &exit)
	}
	return string(combined), cmd.ProcessState.ExitCode()
}

func tokenOf(t *testing.T, base, email, password string) string {
	t.Helper()
	response, err := http.PostForm(base+"/oauth/token", url.Values{
		"grant_type": {"password"}, "client_id": {"staff"}, "username": {email}, "password": {password},
	})
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, 200, response.StatusCode, string(body))
	var token client.TokenResponse
	require.NoError(t, json.Unmarshal(body, &token))
	return token.AccessToken
}

func signIn(t *testing.T, base, email, password string) *client.ClientWithResponses {
	t.Helper()
	token := tokenOf(t, base, email, password)
	signedIn, err := client.NewClientWithResponses(base, client.WithRequestEditorFn(
		func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+token)
			return nil
		}))
	require.NoError(t, err)
	return signedIn
}

var login = regexp.MustCompile(`Sign in as (\S+) with the password (\S+),`)

func TestFromAnEmptyFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, dir)
	require.Contains(t, p.ready, p.url+"/docs")
	found := login.FindStringSubmatch(p.ready)
	require.Len(t, found, 3, p.ready)
	admin := signIn(t, p.url, found[1], found[2])
	created, err := admin.CustomerCreateWithResponse(t.Context(), nil, client.CustomerCreate{Name: "Stays"})
	require.NoError(t, err)
	require.Equal(t, 201, created.StatusCode(), string(created.Body))
	require.NotContains(t, p.log.String(), found[2], "the password is not in the log")

	// The data directory is taken; commands join the running database.
	output, code := run(t, dir, "", "serve")
	require.Equal(t, 1, code, output)
	require.Contains(t, output, "in use")
	output, code = run(t, dir, "", "staff", "create", "--email", "ada@example.com", "--role", "viewer")
	require.Equal(t, 0, code, output)
	password := regexp.MustCompile(`password is (\S+) `).FindStringSubmatch(output)
	require.Len(t, password, 2, output)
	viewer := signIn(t, p.url, "ada@example.com", password[1])
	output, code = run(t, dir, "", "keys", "rotate")
	require.Equal(t, 0, code, output)
	output, code = run(t, dir, "", "migrate", "status")
	require.Equal(t, 0, code, output)
	require.NotContains(t, output, "pending")
	read, err := viewer.CustomerGetWithResponse(t.Context(), created.JSON201.Id, nil)
	require.NoError(t, err)
	require.Equal(t, 200, read.StatusCode(), "a token signed before the rotation")

	// Killed without a chance to clean up, it comes back with its data and makes no second administrator.
	p.end(syscall.SIGKILL)
	p = start(t, dir)
	require.NotRegexp(t, login, p.ready)
	admin = signIn(t, p.url, found[1], found[2])
	read, err = admin.CustomerGetWithResponse(t.Context(), created.JSON201.Id, nil)
	require.NoError(t, err)
	require.Equal(t, "Stays", read.JSON200.Name)

	p.end(syscall.SIGTERM)
	require.Zero(t, p.ProcessState.ExitCode(), p.log.String())
	require.Contains(t, p.log.String(), "stopping")
	info, err := os.Stat(filepath.Join(dir, "clientele-data", "secret.key"))
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o077)
	output, code = run(t, dir, "", "migrate", "status") // starts the database for itself
	require.Equal(t, 0, code, output)

	// A key that is lost is asked for, not replaced by one that opens nothing.
	require.NoError(t, os.Remove(filepath.Join(dir, "clientele-data", "secret.key")))
	output, code = run(t, dir, "", "serve")
	require.Equal(t, 1, code)
	require.Contains(t, output, "put")
	require.NoFileExists(t, filepath.Join(dir, "clientele-data", "secret.key"))
}

// TestToolsOnTheEmbeddedDatabase: they find it, whether or not the program serves, and nothing is made in it for them.
func TestToolsOnTheEmbeddedDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	output, code := run(t, dir, "", "database", os.Args[0], countCustomers)
	require.Equal(t, 2, code, "of nothing there is nothing to dump")
	require.Contains(t, output, "no data directory")
	require.NoDirExists(t, filepath.Join(dir, "clientele-data"))
	ready := filepath.Join(dir, "ready")
	require.NoError(t, os.Mkdir(ready, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(ready, "secret.key"), []byte("a secret key of more than 32 characters\n"), 0o600))
	output, code = run(t, dir, "", "database", "--data-dir", ready, os.Args[0], countCustomers)
	require.Equal(t, 1, code)
	require.Contains(t, output, `relation "customers" does not exist`)
	p := start(t, dir, "CLIENTELE_ADMIN_EMAIL=root@example.com", "CLIENTELE_ADMIN_PASSWORD=four words are better")
	admin := signIn(t, p.url, "root@example.com", "four words are better")
	_, err := admin.CustomerCreateWithResponse(t.Context(), nil, client.CustomerCreate{Name: "n"})
	require.NoError(t, err)
	for range 2 {
		output, code = run(t, dir, "", "database", os.Args[0], countCustomers)
		require.Equal(t, 0, code, output)
		require.Contains(t, output, "there are 1")
		p.end(syscall.SIGTERM)
	}
	for _, wrong := range [][]string{{"database"}, {"database", "--database-url=postgres://db.example.com/x"}, {"database", "no-such-tool"}} {
		output, code = run(t, dir, "", wrong...)
		require.NotZero(t, code, output)
		require.Contains(t, output, "clientele")
	}
}

func TestReplicasOnOneDatabaseStartTogether(t *testing.T) {
	t.Parallel()
	database := dbtest.URL(t)
	variables := []string{
		"CLIENTELE_DATABASE_URL=" + database, "CLIENTELE_SECRET_KEY=a secret key of more than 32 characters",
		"CLIENTELE_PUBLIC_URL=https://api.example.com", "CLIENTELE_METRICS_ADDR=127.0.0.1:0",
		"CLIENTELE_ADMIN_EMAIL=root@example.com", "CLIENTELE_ADMIN_PASSWORD=four words are better",
	}
	processes := make([]*process, 3)
	var group sync.WaitGroup
	for i := range processes {
		group.Go(func() { processes[i] = start(t, t.TempDir(), variables...) })
	}
	group.Wait()
	for i, p := range processes {
		require.NotRegexp(t, login, p.ready, "the password was given")
		// A token of one is good for all: they share keys and the public URL.
		admin := signIn(t, "http://"+p.local(t), "root@example.com", "four words are better")
		_, err := admin.MeGetWithResponse(t.Context())
		require.NoError(t, err)
		created, err := admin.CustomerCreateWithResponse(t.Context(), nil, client.CustomerCreate{Name: "n"})
		require.NoError(t, err)
		require.Equal(t, 201, created.StatusCode(), "replica %d: %s", i, created.Body)
	}

	// What happens now and then happens once.
	connection, err := pgx.Connect(t.Context(), database)
	require.NoError(t, err)
	defer connection.Close(t.Context())
	var jobs []string
	require.Eventually(t, func() bool {
		rows, err := connection.Query(t.Context(), "SELECT kind || ' ' || state FROM river_job ORDER BY kind")
		require.NoError(t, err)
		jobs, err = pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return slices.Equal(jobs, []string{"sweep completed", "webhook_endpoint_settle completed"})
	}, 20*time.Second, 20*time.Millisecond, "%v", jobs)
	for _, p := range processes {
		p.end(syscall.SIGTERM)
		require.Zero(t, p.ProcessState.ExitCode(), p.log.String())
		require.NotContains(t, p.log.String(), "ERROR")
	}
}

// TestSlowQueriesDoNotTakeTheProgramDown: revocations and keys are followed though requests hold all of the pool.
func TestSlowQueriesDoNotTakeTheProgramDown(t *testing.T) {
	t.Parallel()
	database := dbtest.URL(t)
	p := start(t, t.TempDir(), "CLIENTELE_DATABASE_URL="+database+"&pool_max_conns=2",
		"CLIENTELE_SECRET_KEY=a secret key of more than 32 characters",
		"CLIENTELE_ADMIN_EMAIL=root@example.com", "CLIENTELE_ADMIN_PASSWORD=four words are better")
	admin := signIn(t, p.url, "root@example.com", "four words are better")
	connection, err := pgx.Connect(t.Context(), database)
	require.NoError(t, err)
	defer connection.Close(t.Context())
	lock, err := connection.Begin(t.Context())
	require.NoError(t, err)
	_, err = lock.Exec(t.Context(), "LOCK TABLE customers IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if _, err := admin.CustomerListWithResponse(t.Context(), nil); err != nil {
				t.Error(err)
			}
		})
	}
	defer group.Wait()
	defer func() { require.NoError(t, lock.Rollback(t.Context())) }()
	for until := time.Now().Add(2500 * time.Millisecond); time.Now().Before(until); {
		asked := time.Now()
		keys, err := admin.JwksGetWithResponse(t.Context())
		require.NoError(t, err)
		require.Equal(t, 200, keys.StatusCode(), string(keys.Body))
		require.Less(t, time.Since(asked), time.Second)
		time.Sleep(100 * time.Millisecond)
	}
}

func TestSettingsThatAreWrong(t *testing.T) {
	t.Parallel()
	cmd := command(t.TempDir(), []string{
		"CLIENTELE_PUBLIC_URL=ftp://x", "CLIENTELE_SECRET_KEY=tooshort", "CLIENTELE_LOG_LEVEL=loud",
		"CLIENTELE_DATABASE_URL=postgres://u:hidden-password@h:port/x", "CLIENTELE_ADMIN_EMAIL=a@example.com",
		"CLIENTELE_TRUSTED_PROXIES=10.0.0.0/99",
	}, "serve", "--metrics-addr", "nonsense")
	output, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, 2, cmd.ProcessState.ExitCode())
	for _, name := range []string{
		"PUBLIC_URL", "SECRET_KEY", "LOG_LEVEL", "DATABASE_URL", "ADMIN_PASSWORD", "TRUSTED_PROXIES", "METRICS_ADDR",
	} {
		require.Contains(t, string(output), "CLIENTELE_"+name)
	}
	for _, secret := range []string{"tooshort", "hidden-password"} {
		require.NotContains(t, string(output), secret)
	}
	for _, args := range [][]string{{"nonsense"}, {"migrate"}, {"staff", "create", "--email", "x"}, {"serve", "extra"}, {"serve", "--nope"}} {
		output, code := run(t, t.TempDir(), "", args...)
		require.Equal(t, 2, code, output)
	}
	version, code := run(t, t.TempDir(), "", "version")
	require.Zero(t, code)
	require.Contains(t, version, program.Version)
}
