//go:build unix

package filelock_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/postgres/embedded/filelock"
)

func TestModesExcludeEachOther(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		held, asked filelock.Mode
		free        bool
	}{
		{filelock.Exclusive, filelock.Exclusive, false},
		{filelock.Exclusive, filelock.Shared, false},
		{filelock.Shared, filelock.Exclusive, false},
		{filelock.Shared, filelock.Shared, true},
	} {
		path := filepath.Join(t.TempDir(), "lock")
		held, err := filelock.Try(path, c.held)
		require.NoError(t, err)
		asked, err := filelock.Try(path, c.asked)
		if c.free {
			require.NoError(t, err)
			require.NoError(t, asked.Release())
		} else {
			require.ErrorIs(t, err, filelock.ErrHeld)
		}
		require.NoError(t, held.Release())
		again, err := filelock.Try(path, filelock.Exclusive)
		require.NoError(t, err)
		require.NoError(t, again.Release())
	}
}

func TestWriteReplacesTheContent(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := filelock.Try(path, filelock.Exclusive)
	require.NoError(t, err)
	require.NoError(t, lock.Write([]byte("something long")))
	require.NoError(t, lock.Write([]byte("short")))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "short", string(content))
	require.NoError(t, lock.Release())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestLinksAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Symlink(filepath.Join(dir, "target"), filepath.Join(dir, "lock")))
	_, err := filelock.Try(filepath.Join(dir, "lock"), filelock.Exclusive)
	require.Error(t, err)
}

// The lock must not linger in a process that is being started at that moment.
func TestReleaseIsNotDelayedByOtherProcesses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for range 100 {
			_ = exec.Command("/bin/sh", "-c", ":").Run()
		}
		close(done)
	})
	for running := true; running; {
		lock, err := filelock.Try(path, filelock.Exclusive)
		require.NoError(t, err)
		require.NoError(t, lock.Release())
		select {
		case <-done:
			running = false
		default:
		}
	}
	group.Wait()
}

// A file that its holder deletes before letting go must not leave two holders:
// one of the deleted file, one of the new.
func TestDeletedFileDoesNotCount(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	var holders, held atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 200 {
				lock, err := filelock.Try(path, filelock.Exclusive)
				if err != nil {
					continue
				}
				if holders.Add(1) != 1 {
					t.Error("two holders")
				}
				held.Add(1)
				holders.Add(-1)
				_ = os.Remove(path)
				_ = lock.Release()
			}
		})
	}
	group.Wait()
	require.Positive(t, held.Load())
}
