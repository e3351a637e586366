//go:build unix

package embedded

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStartKeepsDataAcrossRestarts(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	o := options(dir)
	o.Disposable = false

	s := mustStart(t, o)
	require.Equal(t, "UTF8", query(t, s.URL(), "SHOW server_encoding"))
	require.Equal(t, "UTC", query(t, s.URL(), "SHOW timezone"))
	require.Equal(t, "on", query(t, s.URL(), "SHOW fsync"))
	require.Equal(t, "", query(t, s.URL(), "SHOW listen_addresses"))
	require.Equal(t, "clientele", query(t, s.URL(), "SELECT current_user::text"))
	require.Equal(t, "clientele", query(t, s.URL(), "SELECT current_database()::text"))
	require.Equal(t, "ö", query(t, s.URL(), "SELECT lower('Ö')"))
	execute(t, s.URL(), "CREATE EXTENSION pg_trgm")
	execute(t, s.URL(), makeMark)
	require.NoError(t, s.Err())
	mustStop(t, s)
	mustStop(t, s)
	<-s.Done()
	require.NoError(t, s.Err(), "Stop is no unexpected end")

	begin := time.Now()
	again := mustStart(t, o)
	t.Logf("start on an existing directory: %s", time.Since(begin))
	require.Equal(t, "kept", query(t, again.URL(), readMark))
	require.Equal(t, s.URL(), again.URL())
	mustStop(t, again)
}

func TestSettingsOverrideTheBuiltInOnes(t *testing.T) {
	t.Parallel()
	o := options(seeded(t))
	o.Settings = map[string]string{"max_connections": "17"}
	s := mustStart(t, o)
	require.Equal(t, "17", query(t, s.URL(), "SHOW max_connections"))
	require.Equal(t, "off", query(t, s.URL(), "SHOW fsync"))
	mustStop(t, s)
}

func TestPathsWithOddCharacters(t *testing.T) {
	t.Parallel()
	for _, name := range []string{`bl ank'quo"te per%cent[1]*?ünï`, "com,ma"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := mustStart(t, options(filepath.Join(newDir(t), name)))
			execute(t, s.URL(), "SELECT 1")
			mustStop(t, s)
		})
	}
}

func TestSecondStartSaysWhoOwnsTheDirectory(t *testing.T) {
	t.Parallel()
	dir := seeded(t)
	owner, _ := launch(t, program{DataDir: dir}, "ready")

	_, err := Start(t.Context(), options(dir))
	var inUse *InUseError
	require.ErrorAs(t, err, &inUse)
	require.Equal(t, owner.Process.Pid, inUse.PID)
	require.Equal(t, dir, inUse.DataDir)
	require.False(t, inUse.Command)
	require.WithinDuration(t, time.Now(), inUse.Since, time.Minute)

	require.ErrorAs(t, Remove(t.Context(), options(dir)), &inUse)

	require.NoError(t, os.Symlink(dir, dir+"-link"))
	_, err = Start(t.Context(), options(dir+"-link"))
	require.ErrorAs(t, err, &inUse, "another name of the same directory")
}

func TestJoinUsesTheOwnersServer(t *testing.T) {
	t.Parallel()
	dir := seeded(t)
	_, url := launch(t, program{DataDir: dir}, "ready")

	joined := mustJoin(t, options(dir))
	require.Equal(t, url, joined.URL())
	require.Equal(t, dir, joined.DataDir())
	execute(t, joined.URL(), makeMark)
	mustStop(t, joined)
	mustStop(t, joined)
	require.Equal(t, "kept", query(t, url, readMark), "the owner's server goes on")
}

func TestJoinWaitsForAnOwnerThatIsStarting(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	_, _ = launch(t, program{DataDir: dir}, "starting")
	require.Eventually(t, func() bool { return readOwner(dir).PID != 0 }, 10*time.Second, time.Millisecond)

	joined := mustJoin(t, options(dir))
	execute(t, joined.URL(), "SELECT 1")
	mustStop(t, joined)
}

func TestJoinGivesUpOnAnOwnerThatNeverStarts(t *testing.T) {
	t.Parallel()
	o := options(newDir(t)).withDefaults()
	_, err := prepareDataDir(&o)
	require.NoError(t, err)
	lock, _, err := tryOwn(o.DataDir, false)
	require.NoError(t, err)
	defer lock.Release()

	o.hooks.joinWait = 200 * time.Millisecond
	_, err = Join(t.Context(), o)
	var inUse *InUseError
	require.ErrorAs(t, err, &inUse)
	require.ErrorContains(t, err, "did not come up")
}

func TestCommandsShareTheServerOfTheFirst(t *testing.T) {
	t.Parallel()
	o := options(seeded(t))
	first := mustJoin(t, o)
	second := mustJoin(t, o)
	require.Equal(t, first.URL(), second.URL())

	// A serving process says what it waits for.
	serve := o
	serve.hooks.patience = 100 * time.Millisecond
	_, err := Start(t.Context(), serve)
	var inUse *InUseError
	require.ErrorAs(t, err, &inUse)
	require.True(t, inUse.Command)
	require.ErrorContains(t, err, "a running command")

	// The first command is done, the second still needs the server.
	stopped := make(chan error, 1)
	go func() { stopped <- first.Stop(context.Background()) }()
	select {
	case err := <-stopped:
		require.Fail(t, "stopped under the second command", "%v", err)
	case <-time.After(200 * time.Millisecond):
	}
	execute(t, second.URL(), "SELECT 1")
	mustStop(t, second)
	require.NoError(t, <-stopped)
}

func TestStartWaitsForACommandToEnd(t *testing.T) {
	t.Parallel()
	o := options(seeded(t))
	command := mustJoin(t, o)
	go func() {
		time.Sleep(300 * time.Millisecond)
		_ = command.Stop(context.Background())
	}()
	mustStop(t, mustStart(t, o))
}

func TestDoneTellsOfAnUnexpectedEnd(t *testing.T) {
	t.Parallel()
	o := options(seeded(t))
	s := mustStart(t, o)
	pid, err := postmasterPID(clusterIn(s.DataDir()))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	<-s.Done()
	require.ErrorContains(t, s.Err(), "ended unexpectedly")
	require.ErrorContains(t, s.Err(), "postgres.log")
	mustStop(t, s)
	mustStop(t, mustStart(t, o)) // the directory is free again
}

func TestStopLosesPatience(t *testing.T) {
	t.Parallel()
	o := options(seeded(t))
	o.hooks.grace = 200 * time.Millisecond
	s := mustStart(t, o)
	pid, err := postmasterPID(clusterIn(s.DataDir()))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP)) // it will not listen to anything gentle
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, s.Stop(ctx), "made to quit")
	<-s.Done()
	mustStop(t, mustStart(t, o))
}

func TestCancelledStartLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	for _, after := range []time.Duration{0, 20, 60, 200, 400, 700} {
		ctx, cancel := context.WithTimeout(t.Context(), after*time.Millisecond)
		s, err := Start(ctx, options(dir))
		cancel()
		if err != nil {
			require.ErrorIs(t, err, context.DeadlineExceeded)
			requireNoProcess(t, dir)
			continue
		}
		mustStop(t, s)
	}
	mustStop(t, mustStart(t, options(dir)))
	left, err := filepath.Glob(filepath.Join(dir, "postgres.new-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestFailedStartQuotesTheServer(t *testing.T) {
	t.Parallel()
	o := options(seeded(t))
	o.Settings = map[string]string{"no_such_setting": "1"}
	_, err := Start(t.Context(), o)
	require.ErrorContains(t, err, `unrecognized configuration parameter "no_such_setting"`)
	require.NotContains(t, err.Error(), "\n")
}

func TestRemove(t *testing.T) {
	t.Parallel()
	missing := newDir(t)
	require.NoError(t, Remove(t.Context(), options(missing)))
	require.False(t, exists(missing))

	dir := seeded(t)
	cmd, _ := launch(t, program{DataDir: dir, NoDeathSignal: true}, "ready")
	kill(t, cmd)
	require.NoError(t, Remove(t.Context(), options(dir)), "stops what was left running")
	require.False(t, exists(dir))
}

func TestSocketOfALongPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(newDir(t), strings.Repeat("long", 30))
	s := mustStart(t, options(dir))
	socket := readOwner(dir).Socket
	require.NotEqual(t, filepath.Join(dir, "run"), socket)
	info, err := os.Stat(socket)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	joined := mustJoin(t, options(dir))
	execute(t, joined.URL(), "SELECT 1")
	mustStop(t, joined)
	mustStop(t, s)
	require.False(t, exists(socket))

	// Somebody could have put it there.
	require.NoError(t, os.Mkdir(socket, 0o700))
	t.Cleanup(func() { require.NoError(t, os.Remove(socket)) })
	require.NoError(t, os.Chmod(socket, 0o777))
	_, err = Start(t.Context(), options(dir))
	require.ErrorContains(t, err, "has mode 0777")
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chmod(socket, 0o700))
		require.NoError(t, os.Chown(socket, 12345, 12345))
		_, err = Start(t.Context(), options(dir))
		require.ErrorContains(t, err, "is not a directory of user id")
	}
}
