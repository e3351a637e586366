//go:build unix

package embedded

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestKilledProgramKeepsItsData(t *testing.T) {
	t.Parallel()
	for name, noDeathSignal := range map[string]bool{"the kernel stops the server": false, "the server runs on": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := seeded(t)
			cmd, url := launch(t, program{DataDir: dir, NoDeathSignal: noDeathSignal, Durable: true}, "ready")
			execute(t, url, makeMark)
			session := connect(t, url) // must not hold anything up
			kill(t, cmd)

			s := mustStart(t, options(dir))
			require.Equal(t, "kept", query(t, s.URL(), readMark))
			require.Error(t, session.Ping(t.Context()), "a session of the former server")
			mustStop(t, s)
		})
	}
}

func TestKernelStopsTheServerOfAKilledProgram(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("a matter of Linux's death signals")
	}
	dir := seeded(t)
	cmd, _ := launch(t, program{DataDir: dir, Durable: true}, "ready")
	kill(t, cmd)
	requireNoProcess(t, dir)
	require.False(t, exists(filepath.Join(clusterIn(dir), "postmaster.pid")), "an orderly shutdown")
}

func TestKillDuringInitdbLeavesNothingHalfMade(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	cmd, _ := launch(t, program{DataDir: dir}, "starting")
	halfMade := func() []string {
		found, err := filepath.Glob(filepath.Join(dir, "postgres.new-*", "PG_VERSION"))
		require.NoError(t, err)
		return found
	}
	require.Eventually(t, func() bool { return len(halfMade()) > 0 }, 10*time.Second, time.Millisecond)
	kill(t, cmd)
	require.False(t, exists(clusterIn(dir)))

	s := mustStart(t, options(dir))
	execute(t, s.URL(), "SELECT 1")
	mustStop(t, s)
	require.Empty(t, halfMade())
}

func TestServerHearsNoCtrlCAndNoSecrets(t *testing.T) {
	t.Parallel()
	dir := seeded(t)
	cmd, url := launch(t, program{DataDir: dir}, "ready")
	session := connect(t, url)
	require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
	time.Sleep(100 * time.Millisecond)
	require.NoError(t, session.Ping(t.Context()))

	if runtime.GOOS == "linux" {
		pid, err := postmasterPID(clusterIn(dir))
		require.NoError(t, err)
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		require.NoError(t, err)
		require.NotContains(t, string(environ), "CLIENTELE_SECRET_KEY")
		require.NotContains(t, string(environ), "PGPORT")
	}
}

func TestOrphanedSessionsAreStopped(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere PostgreSQL's own check refuses the start")
	}
	o := options(seeded(t))
	s := mustStart(t, o)
	session := connect(t, s.URL())
	go func() { // a session too busy to notice that its postmaster is gone
		_, _ = session.Exec(t.Context(), "DO $$ BEGIN LOOP END LOOP; END $$")
	}()
	time.Sleep(100 * time.Millisecond)
	pid, err := postmasterPID(clusterIn(s.DataDir()))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	<-s.Done()
	mustStop(t, s)

	s = mustStart(t, o)
	execute(t, s.URL(), "SELECT 1")
	mustStop(t, s)
}

// stopped returns the options of a data directory with a cluster, and the
// content of the lock file that a server had there.
func stopped(t *testing.T) (Options, string) {
	t.Helper()
	o := options(seeded(t))
	s := mustStart(t, o)
	content, err := os.ReadFile(filepath.Join(clusterIn(s.DataDir()), "postmaster.pid"))
	require.NoError(t, err)
	mustStop(t, s)
	return o, string(content)
}

// leave writes a file as if the cluster's server had.
func leave(t *testing.T, path string, content []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, content, 0o600))
	require.NoError(t, giveToOwnerOf(filepath.Dir(path), path))
}

func TestStaleLockFileWithTheNumberOfAnotherProcess(t *testing.T) {
	t.Parallel()
	o, content := stopped(t)
	other := exec.Command("sleep", "60")
	other.Dir = clusterIn(o.DataDir) // not even that makes it a postgres
	require.NoError(t, other.Start())
	t.Cleanup(func() {
		_ = other.Process.Kill()
		_ = other.Wait()
	})
	_, rest, _ := strings.Cut(content, "\n")
	path := filepath.Join(clusterIn(o.DataDir), "postmaster.pid")
	leave(t, path, fmt.Appendf(nil, "%d\n%s", other.Process.Pid, rest))

	mustStop(t, mustStart(t, o))
	require.NoError(t, other.Process.Signal(syscall.Signal(0)), "the other process lives")
}

func TestEmptyLockFileAfterAPowerCut(t *testing.T) {
	t.Parallel()
	o, _ := stopped(t)
	path := filepath.Join(clusterIn(o.DataDir), "postmaster.pid")
	leave(t, path, nil)
	mustStop(t, mustStart(t, o))
}

func TestForeignServerIsLeftAlone(t *testing.T) {
	t.Parallel()
	o, _ := stopped(t)
	o = o.withDefaults()
	p, err := choosePlace(t.Context(), o, false)
	require.NoError(t, err)
	binaries, err := binariesFor(t.Context(), o, p)
	require.NoError(t, err)

	// An administrator looks after something by hand.
	r := &running{o: o, place: p, socket: filepath.Join(o.DataDir, "run")}
	args := slices.DeleteFunc(r.arguments(), func(arg string) bool { return arg == clusterName })
	args = slices.Delete(args, 2, 3) // its -c
	cmd := exec.Command(binaries.postgres(), args...)
	cmd.Dir = p.cluster()
	foreign, err := startChild(cmd, p.as, syscall.SIGQUIT)
	require.NoError(t, err)
	t.Cleanup(func() { _ = foreign.shutDown(context.Background(), 10*time.Second) })
	require.Eventually(t, func() bool { return ready(p.cluster(), foreign.pid()) }, 10*time.Second, time.Millisecond)

	_, err = Start(t.Context(), o)
	require.ErrorContains(t, err, fmt.Sprintf("did not start (pid %d)", foreign.pid()))
	require.True(t, ready(p.cluster(), foreign.pid()))
	select {
	case <-foreign.done:
		require.Fail(t, "the foreign server was stopped")
	default:
	}
}

func TestLockedByNobodyOnceItsHolderIsDead(t *testing.T) {
	t.Parallel()
	dir := seeded(t)
	cmd, _ := launch(t, program{DataDir: dir, Join: true}, "ready")
	require.Equal(t, cmd.Process.Pid, readOwner(dir).PID)
	kill(t, cmd)

	begin := time.Now()
	mustStop(t, mustStart(t, options(dir)))
	require.Less(t, time.Since(begin), 3*time.Second, "no waiting for a command that is gone")
}
