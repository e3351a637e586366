package dbtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/clientele-api/clientele/internal/postgres/embedded"
	"github.com/clientele-api/clientele/internal/postgres/embedded/filelock"
)

// runPrefix begins the name of a copy of the template's data directory:
//
//	run-<id>/      a copy, with a server running on it
//	run-<id>.lock  held by the process that runs it, for as long as it lives
const runPrefix = "run-"

// run is a copy of the template cluster, this process's own until remove or
// for as long as the process lives.
type run struct {
	dir  string
	lock *filelock.Lock
}

// startServer starts a server on a fresh copy of the template, which it makes
// if nobody has yet.
func startServer(ctx context.Context) (*server, error) {
	r, err := newRun(ctx)
	if err != nil {
		return nil, err
	}
	started, err := embedded.Start(ctx, options(r.dir))
	if err != nil {
		return nil, errors.Join(err, r.remove(ctx))
	}
	return &server{run: r, embedded: started}, nil
}

// newRun makes a copy of the template.
func newRun(ctx context.Context) (*run, error) {
	disk, err := ownDir(os.TempDir())
	if err != nil {
		return nil, err
	}
	sweep(ctx, disk)
	r, err := emptyRun(ctx)
	if err != nil {
		return nil, err
	}
	template, lock, err := sharedTemplate(ctx, disk)
	if err == nil {
		err = errors.Join(copyCluster(template, r.dir), lock.Release())
	}
	if err != nil {
		return nil, errors.Join(err, r.remove(ctx))
	}
	return r, nil
}

// emptyRun makes a data directory without a cluster, where servers run best.
func emptyRun(ctx context.Context) (*run, error) {
	parent, err := ownDir(fastDir())
	if err != nil {
		return nil, err
	}
	sweep(ctx, parent)
	id := fmt.Sprintf("%s%d-%s", runPrefix, os.Getpid(), strings.ToLower(rand.Text()[:8]))
	r := &run{dir: filepath.Join(parent, id)}
	if r.lock, err = filelock.Try(r.dir+lockSuffix, filelock.Exclusive); err != nil {
		return nil, err
	}
	err = removeAtExit(r.dir, r.dir+lockSuffix)
	if err == nil {
		err = os.Mkdir(r.dir, dirMode())
	}
	if err != nil {
		return nil, errors.Join(err, r.remove(ctx))
	}
	return r, nil
}

func (r *run) remove(ctx context.Context) error {
	return removeLocked(ctx, r.dir, r.lock)
}

// removeLocked removes a data directory for the holder of its lock.
func removeLocked(ctx context.Context, dir string, lock *filelock.Lock) error {
	err := embedded.Remove(ctx, options(dir))
	if err == nil {
		err = os.Remove(dir + lockSuffix)
	}
	return errors.Join(err, lock.Release())
}

// options gives room for many tests with small pools at once. Without
// autovacuum nobody connects to the template while it is being cloned.
func options(dir string) embedded.Options {
	return embedded.Options{
		DataDir:    dir,
		Disposable: true,
		Settings:   map[string]string{"max_connections": "300", "autovacuum": "off"},
	}
}

// fastDir is where copies lie: in memory when there is plenty, for making the
// hundreds of files of a database there takes a tenth of the time that it
// takes some disks.
func fastDir() string {
	const memory, plenty = "/dev/shm", 1 << 30
	if free(memory) >= plenty {
		return memory
	}
	return os.TempDir()
}

// ownDir makes this user's directory in parent, or makes sure that it is one.
func ownDir(parent string) (string, error) {
	dir := filepath.Join(parent, "clientele-dbtest-"+strconv.Itoa(os.Geteuid()))
	if err := os.Mkdir(dir, dirMode()); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return dir, checkOwn(dir)
}

// dirMode lets nobody in but this user. Only root's directories let others
// pass: where user namespaces are forbidden, root's server runs as one of
// them. The clusters inside are private in any case.
func dirMode() fs.FileMode {
	if os.Geteuid() == 0 {
		return 0o711
	}
	return 0o700
}

// sweep removes what dead processes left in dir: copies of theirs, and
// templates of migrations that nobody has tested for days. What cannot be
// removed now, perhaps because somebody else is at it, is left to the next
// process: no test fails for it.
func sweep(ctx context.Context, dir string) {
	locks, err := filepath.Glob(filepath.Join(dir, "*"+lockSuffix))
	if err != nil {
		return
	}
	for _, path := range locks {
		if strings.HasPrefix(filepath.Base(path), templatePrefix) && !abandoned(path) {
			continue
		}
		if lock, err := filelock.Try(path, filelock.Exclusive); err == nil {
			_ = removeLocked(ctx, strings.TrimSuffix(path, lockSuffix), lock)
		}
	}
}

// abandoned reports whether the template with that lock has not been used
// lately; each use dates the lock's file anew.
func abandoned(lock string) bool {
	info, err := os.Stat(lock)
	return err == nil && time.Since(info.ModTime()) > 3*24*time.Hour
}
