//go:build unix

package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// clusterName marks the servers this package started: it is among their
// arguments, and says "clientele" in a process listing.
const clusterName = "cluster_name=clientele"

// clearLeftovers stops a server that a dead process left running on the
// cluster, and clears what it or an interrupted start left behind. The caller
// holds the data directory's lock, so no server that this package started can
// have a living owner.
func clearLeftovers(ctx context.Context, base string, log *slog.Logger) error {
	halfMade, err := filepath.Glob(filepath.Join(globEscape(base), "postgres.new-*"))
	if err != nil {
		return err
	}
	for _, dir := range halfMade {
		if err := os.RemoveAll(dir); err != nil {
			log.WarnContext(ctx, "a half-made database could not be removed", "dir", dir, "error", err)
		}
	}
	pid, err := postmasterPID(clusterIn(base))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a clean shutdown, or no cluster
	}
	if errors.Is(err, errEmptyPIDFile) {
		if pids, err := processesIn(clusterIn(base)); err != nil || len(pids) > 0 {
			return errors.Join(errEmptyPIDFile, err)
		}
		return os.Remove(filepath.Join(clusterIn(base), "postmaster.pid"))
	}
	if err != nil {
		return err
	}
	if err := stopLeftover(ctx, pid, clusterIn(base), log); err != nil {
		return err
	}
	if err := stopOrphans(ctx, clusterIn(base), log); err != nil {
		return err
	}
	return disownPIDFile(clusterIn(base))
}

func globEscape(path string) string {
	var escaped bytes.Buffer
	for _, b := range []byte(path) {
		if bytes.IndexByte([]byte(`*?[\`), b) >= 0 {
			escaped.WriteByte('\\')
		}
		escaped.WriteByte(b)
	}
	return escaped.String()
}

// errEmptyPIDFile is what a power cut just after a start leaves: the file,
// but not its content. PostgreSQL does not start over it.
var errEmptyPIDFile = errors.New("the cluster's postmaster.pid is empty")

// postmasterPID reads the process id in the cluster's lock file. The error is
// fs.ErrNotExist when there is no such file.
func postmasterPID(cluster string) (int, error) {
	content, err := os.ReadFile(filepath.Join(cluster, "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	if len(content) == 0 {
		return 0, errEmptyPIDFile
	}
	first, _, _ := bytes.Cut(content, []byte("\n"))
	pid, err := strconv.Atoi(string(bytes.TrimSpace(first)))
	if err != nil {
		return 0, fmt.Errorf("%s holds no process id: remove the file when no PostgreSQL runs there", filepath.Join(cluster, "postmaster.pid"))
	}
	if pid < 0 { // a single-user server
		pid = -pid
	}
	return pid, nil
}

// stopLeftover ends the server pid if it is one of ours. A living server that
// somebody else started on the cluster is left alone and reported.
func stopLeftover(ctx context.Context, pid int, cluster string, log *slog.Logger) error {
	line := commandLine(pid, cluster)
	if line == nil {
		return nil // gone, or the number of an unrelated process by now
	}
	if !slices.Contains(line, clusterName) {
		return fmt.Errorf("a PostgreSQL server that this program did not start (pid %d) uses the database in %s: stop it", pid, cluster)
	}
	log.InfoContext(ctx, "stopping the database server of a process that died", "pid", pid)
	alive := func() bool { return commandLine(pid, cluster) != nil }
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGINT, 10 * time.Second}, {syscall.SIGQUIT, 5 * time.Second}} {
		_ = syscall.Kill(pid, step.signal) // gone already is as good
		gone, err := poll(ctx, step.wait, func() bool { return !alive() })
		if gone || err != nil {
			return err
		}
	}
	return fmt.Errorf("the database server of a process that died (pid %d) does not end: stop it", pid)
}

// stopOrphans ends session processes that outlived their postmaster. They
// notice its death by themselves as soon as they are idle.
func stopOrphans(ctx context.Context, cluster string, log *slog.Logger) error {
	var pids []int
	var listErr error
	none := func() bool {
		pids, listErr = processesIn(cluster)
		return len(pids) == 0
	}
	if gone, err := poll(ctx, time.Second, none); gone || err != nil || listErr != nil {
		return errors.Join(err, listErr)
	}
	log.InfoContext(ctx, "stopping sessions of a database server that died", "pids", pids)
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGQUIT)
	}
	if gone, err := poll(ctx, 5*time.Second, none); gone || err != nil || listErr != nil {
		return errors.Join(err, listErr)
	}
	return fmt.Errorf("sessions of a dead database server do not end (pids %v): stop them", pids)
}

// disownPIDFile lets the next server take over the cluster's lock file where
// the number in it is by now that of an unrelated process. It does so by
// naming this process, the next server's parent, which PostgreSQL takes for
// proof that the file is stale. Deleting the file instead would also skip
// PostgreSQL's own check that nobody is attached to the old shared memory.
func disownPIDFile(cluster string) error {
	path := filepath.Join(cluster, "postmaster.pid")
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, rest, _ := bytes.Cut(content, []byte("\n"))
	content = fmt.Appendf(nil, "%d\n%s", os.Getpid(), rest)
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(content, 0)
	return errors.Join(err, file.Truncate(int64(len(content))), file.Close())
}

// poll asks done every few milliseconds, for as long as limit, and returns
// its last answer. The error is ctx's.
func poll(ctx context.Context, limit time.Duration, done func() bool) (bool, error) {
	deadline := time.Now().Add(limit)
	for {
		if done() {
			return true, nil
		}
		if time.Now().After(deadline) {
			return false, nil
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return false, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
