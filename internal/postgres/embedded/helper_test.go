//go:build unix

package embedded

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// programEnv turns this test binary into a program that owns a server, for
// tests that kill programs.
const programEnv = "EMBEDDED_TEST_PROGRAM"

// program is what such a program is told to do.
type program struct {
	DataDir       string
	Join          bool
	NoDeathSignal bool
	Durable       bool
}

func TestMain(m *testing.M) {
	if told := os.Getenv(programEnv); told != "" {
		if err := runProgram(told); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	if seed, err := makeSeed(); err == nil {
		_ = os.RemoveAll(seed)
	}
	os.Exit(code)
}

// makeSeed makes the data directory that seeded copies, once, and returns the
// directory that it is in.
var makeSeed = sync.OnceValues(func() (string, error) {
	parent, err := os.MkdirTemp(tempDir(), "embedded-seed-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(parent, 0o755); err != nil {
		return parent, err
	}
	s, err := Start(context.Background(), options(filepath.Join(parent, "data")))
	if err != nil {
		return parent, err
	}
	return parent, s.Stop(context.Background())
})

// seeded is a data directory with a cluster, for tests that are not about
// making one.
func seeded(t *testing.T) string {
	t.Helper()
	seed, err := makeSeed()
	require.NoError(t, err)
	dir := newDir(t)
	require.NoError(t, os.CopyFS(clusterIn(dir), os.DirFS(clusterIn(filepath.Join(seed, "data")))))
	require.NoError(t, os.Chmod(clusterIn(dir), 0o700))
	return dir
}

// runProgram starts a server, says so, and stops it when its input ends.
func runProgram(told string) error {
	var p program
	if err := json.Unmarshal([]byte(told), &p); err != nil {
		return err
	}
	signal.Ignore(syscall.SIGINT)
	o := options(p.DataDir)
	o.Disposable = !p.Durable
	o.hooks.noDeathSignal = p.NoDeathSignal
	fmt.Println("starting")
	open := Start
	if p.Join {
		open = Join
	}
	s, err := open(context.Background(), o)
	if err != nil {
		return err
	}
	fmt.Println("ready", s.URL())
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	return s.Stop(context.Background())
}

// launch runs a program in a process group of its own and waits until it has
// written a line beginning with until.
func launch(t *testing.T, p program, until string) (*exec.Cmd, string) {
	t.Helper()
	told, err := json.Marshal(p)
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), programEnv+"="+string(told), "CLIENTELE_SECRET_KEY=hush", "PGPORT=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), until); ok {
			return cmd, strings.TrimSpace(rest)
		}
		require.False(t, strings.HasPrefix(lines.Text(), "error:"), lines.Text())
	}
	require.Fail(t, "the program ended early")
	return nil, ""
}

// kill ends a program as an out-of-memory killer would.
func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
}

// options are those of a test whose data directory is dir, beside which goes
// whatever cannot lie in it.
func options(dir string) Options {
	o := Options{DataDir: dir, Disposable: true, Log: slog.New(slog.DiscardHandler)}
	o.hooks.fallbackRoot = filepath.Join(filepath.Dir(dir), "fallback")
	return o
}

// newDir is a data directory that does not exist yet, in one that every user
// can enter.
func newDir(t *testing.T) string {
	t.Helper()
	return newDirIn(t, 0o755)
}

// closedDir is a data directory that does not exist yet, in one that no other
// user can enter, like root's home.
func closedDir(t *testing.T) string {
	t.Helper()
	return newDirIn(t, 0o700)
}

func newDirIn(t *testing.T, mode fs.FileMode) string {
	t.Helper()
	parent, err := os.MkdirTemp(tempDir(), "embedded-test-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(parent, mode))
	dir := filepath.Join(parent, "data")
	t.Cleanup(func() {
		requireNoProcess(t, dir)
		require.NoError(t, os.RemoveAll(parent))
	})
	return dir
}

// tempDir is in memory where that is to be had: dozens of clusters come and
// go here.
func tempDir() string {
	const memory, plenty = "/dev/shm", 2 << 30
	var stat unix.Statfs_t
	if unix.Statfs(memory, &stat) != nil || unix.Access(memory, unix.W_OK) != nil {
		return os.TempDir()
	}
	free := int64(stat.Bavail) * int64(stat.Bsize) //nolint:unconvert // the types differ from system to system
	if free >= plenty {
		return memory
	}
	return os.TempDir()
}

// requireNoProcess fails when a postgres works in or below dir.
func requireNoProcess(t *testing.T, dir string) {
	t.Helper()
	var clusters []string
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && strings.HasPrefix(entry.Name(), "postgres") {
			clusters = append(clusters, path)
		}
		return nil
	})
	require.Eventually(t, func() bool {
		return !slices.ContainsFunc(clusters, func(c string) bool {
			pids, err := processesIn(c)
			return err != nil || len(pids) > 0
		})
	}, 5*time.Second, 10*time.Millisecond, "a server is still running")
}

func mustStart(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	return s
}

func mustJoin(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Join(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Stop(ctx)
	})
	return s
}

func mustStop(t *testing.T, s *Server) {
	t.Helper()
	require.NoError(t, s.Stop(context.Background()))
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func execute(t *testing.T, url, sql string) {
	t.Helper()
	conn := connect(t, url)
	_, err := conn.Exec(t.Context(), sql)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
}

func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn := connect(t, url)
	var answer string
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&answer))
	require.NoError(t, conn.Close(t.Context()))
	return answer
}

const (
	makeMark = "CREATE TABLE mark AS SELECT 'kept' AS state"
	readMark = "SELECT state FROM mark"
)

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
