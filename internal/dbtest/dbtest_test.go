package dbtest_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/dbtest"
)

func TestEachTestHasItsOwnMigratedDatabase(t *testing.T) {
	t.Parallel()
	for i := range 20 {
		t.Run(fmt.Sprintf("Test %d, ünlike others", i), func(t *testing.T) {
			t.Parallel()
			pool := dbtest.New(t)
			var group sync.WaitGroup
			for range 12 { // more than the pool has
				group.Go(func() {
					if _, err := pool.Exec(t.Context(), "SELECT pg_sleep(0.01)"); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			_, err := pool.Exec(t.Context(), "CREATE TABLE mine (id int)")
			require.NoError(t, err, "nobody else's database")
			var migrations int
			require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM goose_db_version WHERE version_id > 0").Scan(&migrations))
			require.Positive(t, migrations)
		})
	}
}

func TestDatabaseIsDroppedAtTheTestsEnd(t *testing.T) {
	t.Parallel()
	var url string
	t.Run("user", func(t *testing.T) {
		url = dbtest.URL(t)
		conn, err := pgx.Connect(t.Context(), url)
		require.NoError(t, err)
		require.NoError(t, conn.Ping(t.Context())) // and left open, as a crashed program would
	})
	_, err := pgx.Connect(t.Context(), url)
	require.ErrorContains(t, err, "does not exist")
}

func TestServerCanBeTakenAwayAndBroughtBack(t *testing.T) {
	t.Parallel()
	server := dbtest.Server(t)
	conn, err := pgx.Connect(t.Context(), server.URL())
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "CREATE TABLE mark AS SELECT 'kept' AS state")
	require.NoError(t, err)

	server.Stop(t)
	require.Error(t, conn.Ping(t.Context()))
	_, err = pgx.Connect(t.Context(), server.URL())
	require.Error(t, err)

	server.Start(t)
	conn, err = pgx.Connect(t.Context(), server.URL())
	require.NoError(t, err)
	var state string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT state FROM mark").Scan(&state))
	require.Equal(t, "kept", state)
	require.NoError(t, conn.Close(t.Context()))
}

const childEnv = "DBTEST_CHILD"

// TestAsChild is what the test processes started below do; it is nothing by
// itself.
func TestAsChild(t *testing.T) {
	if os.Getenv(childEnv) == "" {
		return
	}
	pool := dbtest.New(t)
	require.NoError(t, pool.Ping(t.Context()))
	fmt.Println("directory", filepath.Dir(pool.Config().ConnConfig.Host))
	if os.Getenv(childEnv) == "hang" {
		select {}
	}
}

// child starts a test process with a temporary directory of its own and
// returns the data directory of its server.
func child(t *testing.T, tempDir, what string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestAsChild$")
	cmd.Env = append(os.Environ(), childEnv+"="+what, "TMPDIR="+tempDir)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(stdout)
	var said []string
	for lines.Scan() {
		if dir, ok := strings.CutPrefix(lines.Text(), "directory "); ok {
			go func() {
				for lines.Scan() { // or it would block
				}
			}()
			return cmd, dir
		}
		said = append(said, lines.Text())
	}
	t.Errorf("the test process failed: %s", strings.Join(said, "\n"))
	return cmd, ""
}

func requireGone(t *testing.T, dir string) {
	t.Helper()
	require.Eventually(t, func() bool {
		left, err := filepath.Glob(dir + "*")
		return err == nil && len(left) == 0
	}, 15*time.Second, 20*time.Millisecond, "left behind: %s", dir)
}

func TestProcessesShareOneTemplateAndCleanUp(t *testing.T) {
	t.Parallel()
	tempDir := t.TempDir()
	var group sync.WaitGroup
	dirs := make([]string, 4)
	for i := range dirs {
		group.Go(func() {
			var cmd *exec.Cmd
			cmd, dirs[i] = child(t, tempDir, "run")
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for i, dir := range dirs {
		require.NotEmpty(t, dir)
		require.NotContains(t, dirs[:i], dir)
		requireGone(t, dir)
	}
	templates, err := filepath.Glob(filepath.Join(tempDir, "clientele-dbtest-*", "template-*"))
	require.NoError(t, err)
	require.Len(t, templates, 2, "one, and its lock")
}

func TestKilledProcessLeavesNothing(t *testing.T) {
	t.Parallel()
	cmd, dir := child(t, os.TempDir(), "hang")
	require.NotEmpty(t, dir)
	require.DirExists(t, dir)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	requireGone(t, dir)
}

func BenchmarkNew(b *testing.B) {
	url := dbtest.URL(b)
	conn, err := pgx.Connect(context.Background(), url)
	require.NoError(b, err)
	require.NoError(b, conn.Close(context.Background()))
	for b.Loop() {
		dbtest.URL(b)
	}
}
