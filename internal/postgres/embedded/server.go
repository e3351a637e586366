//go:build unix

package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/clientele-api/clientele/internal/postgres/embedded/filelock"
)

func start(ctx context.Context, o Options) (*Server, error) {
	made, err := prepareDataDir(&o)
	if err != nil {
		return nil, err
	}
	lock, me, err := own(ctx, o)
	if err != nil {
		return nil, err
	}
	return run(ctx, o, lock, me, made)
}

// prepareDataDir makes the data directory where it is missing, says whether
// it did, and puts its real path into o, so that every way to name one
// directory leads to the same locks and derived names.
func prepareDataDir(o *Options) (made bool, err error) {
	if o.DataDir == "" {
		return false, errors.New("the embedded PostgreSQL needs a data directory")
	}
	dir, err := filepath.Abs(o.DataDir)
	if err != nil {
		return false, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return false, err
	}
	switch err := os.Mkdir(dir, 0o700); {
	case err == nil:
		made = true
	case !errors.Is(err, fs.ErrExist):
		return false, err
	}
	o.DataDir, err = filepath.EvalSymlinks(dir)
	return made, err
}

// run starts the server for the holder of the lock, which it gives up when
// that fails.
func run(ctx context.Context, o Options, lock *filelock.Lock, me owner, made bool) (*Server, error) {
	r := &running{o: o, lock: lock, me: me}
	if err := r.launch(ctx, made); err != nil {
		if r.child != nil {
			_ = r.child.shutDown(ctx, o.hooks.grace)
		}
		return nil, errors.Join(err, r.release())
	}
	s := &Server{
		dataDir: r.place.base,
		url:     socketURL(r.socket, DatabaseName),
		done:    make(chan struct{}),
	}
	s.stop = func(ctx context.Context) error {
		err := r.stop(ctx)
		<-s.done
		return err
	}
	go func() {
		<-r.child.done
		if !r.stopping() {
			s.err = fmt.Errorf("PostgreSQL ended unexpectedly: %w; see %s", exitReason(r.child.err), r.logPath())
		}
		close(s.done)
	}()
	return s, nil
}

func exitReason(err error) error {
	if err == nil {
		return errors.New("it was shut down")
	}
	return err
}

// running is a server of this process.
type running struct {
	o      Options
	lock   *filelock.Lock
	me     owner
	place  place
	socket string
	child  *child

	asked    chan struct{} // closed when stop was asked for
	stopOnce sync.Once
	stopErr  error
}

func (r *running) logPath() string { return filepath.Join(r.o.DataDir, "postgres.log") }

// launch does everything from finding the place to telling others that the
// server accepts.
func (r *running) launch(ctx context.Context, made bool) error {
	r.asked = make(chan struct{})
	var err error
	if r.place, err = choosePlace(ctx, r.o, made); err != nil {
		return err
	}
	if r.place.base != r.o.DataDir {
		r.o.Log.InfoContext(ctx, "the database lies outside the data directory, which the user that runs PostgreSQL cannot enter",
			"data_dir", r.o.DataDir, "database", r.place.base, "runs_as", r.place.as.String())
	}
	if err := clearLeftovers(ctx, r.place.base, r.o.Log); err != nil {
		return err
	}
	if r.place.adopt {
		if err := chownTree(r.place.cluster(), r.place.as); err != nil {
			return err
		}
	}
	binaries, err := binariesFor(ctx, r.o, r.place)
	if err != nil {
		return err
	}
	if err := checkTrigrams(ctx, binaries); err != nil {
		return err
	}
	if !r.place.exists {
		r.o.Log.InfoContext(ctx, "making the database", "dir", r.place.cluster(), "version", binaries.Version)
		if err := makeCluster(ctx, r.o, r.place, binaries); err != nil {
			return fmt.Errorf("make the database: %w", err)
		}
	}
	if err := r.spawn(ctx, binaries); err != nil {
		return fmt.Errorf("start PostgreSQL %s: %w", binaries.Version, err)
	}
	if err := ensureDatabase(ctx, r.socket); err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	r.me.Socket, r.me.DataDir = r.socket, r.place.base
	return r.me.write(r.lock)
}

// spawn starts the server process and waits until it accepts connections,
// however long recovery takes.
func (r *running) spawn(ctx context.Context, binaries Installation) error {
	socket, err := r.place.socketDir()
	if err != nil {
		return err
	}
	if err := makePrivateDir(socket, r.place.as); err != nil {
		return err
	}
	r.socket = socket
	// The directory is private and its server is known to be gone.
	for _, stale := range []string{".s.PGSQL." + port, ".s.PGSQL." + port + ".lock"} {
		if err := os.Remove(filepath.Join(r.socket, stale)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	logFile, err := r.openLog()
	if err != nil {
		return err
	}
	defer logFile.Close()
	before, err := logFile.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	cmd := exec.Command(binaries.postgres(), r.arguments()...)
	cmd.Env = childEnv()
	cmd.Dir = r.place.cluster()
	cmd.Stdout = logFile // a file never blocks its writer
	cmd.Stderr = logFile
	if r.child, err = startChild(cmd, r.place.as, r.deathSignal()); err != nil {
		r.child = nil
		return fmt.Errorf("as %s: %w", r.place.as, err)
	}
	return r.awaitReady(ctx, before)
}

// deathSignal ends the server when this process dies without stopping it.
func (r *running) deathSignal() syscall.Signal {
	switch {
	case r.o.hooks.noDeathSignal:
		return 0
	case r.o.Disposable:
		return syscall.SIGQUIT // at once, as if it had crashed
	}
	return syscall.SIGINT // in order
}

// openLog opens the server's log for appending, after setting a big one
// aside.
func (r *running) openLog() (*os.File, error) {
	const big = 10 << 20
	if info, err := os.Lstat(r.logPath()); err == nil && info.Size() > big {
		if err := os.Rename(r.logPath(), r.logPath()+".old"); err != nil {
			return nil, err
		}
	}
	file, err := os.OpenFile(r.logPath(), os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := giveToOwnerOf(r.o.DataDir, r.logPath()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func (r *running) arguments() []string {
	settings := map[string]string{
		"listen_addresses":        "",
		"port":                    port,
		"unix_socket_directories": `"` + strings.ReplaceAll(r.socket, `"`, `""`) + `"`,
		"unix_socket_permissions": "0700",
		"max_connections":         "100",
		"shared_buffers":          "128MB",
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"jit":                     "off",
		"logging_collector":       "off",
		"log_destination":         "stderr",
		// Statements that fail are the program's to report; in the server's
		// log they would only spread customers' data (the detail of a unique
		// violation quotes the row) and grow the file.
		"log_min_messages": "log",
		"log_checkpoints":  "off",
	}
	if r.o.Disposable {
		maps.Copy(settings, map[string]string{
			"fsync":              "off",
			"synchronous_commit": "off",
			"full_page_writes":   "off",
			"wal_level":          "minimal",
			"max_wal_senders":    "0",
		})
	}
	maps.Copy(settings, r.o.Settings)
	args := []string{"-D", r.place.cluster(), "-c", clusterName}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// awaitReady waits until the server's lock file says that it accepts.
// logStart is where the server's part of the log begins.
func (r *running) awaitReady(ctx context.Context, logStart int64) error {
	lastWord := time.Now()
	for {
		if ready(r.place.cluster(), r.child.pid()) {
			return nil
		}
		select {
		case <-r.child.done:
			return fmt.Errorf("%w: %s", exitReason(r.child.err), r.logTail(logStart))
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(3 * time.Millisecond):
		}
		if time.Since(lastWord) > 10*time.Second {
			lastWord = time.Now()
			r.o.Log.InfoContext(ctx, "PostgreSQL is still starting, perhaps recovering", "log", r.logPath())
		}
	}
}

// ready reads the eighth line of the cluster's lock file, where the server
// pid states its state.
func ready(cluster string, pid int) bool {
	content, err := os.ReadFile(filepath.Join(cluster, "postmaster.pid"))
	if err != nil {
		return false
	}
	lines := bytes.Split(content, []byte("\n"))
	return len(lines) >= 8 &&
		string(bytes.TrimSpace(lines[0])) == strconv.Itoa(pid) &&
		string(bytes.TrimSpace(lines[7])) == "ready"
}

func (r *running) logTail(from int64) string {
	content, err := os.ReadFile(r.logPath())
	if err != nil || int64(len(content)) <= from {
		return "see " + r.logPath()
	}
	return lastLines(content[from:])
}

// ensureDatabase opens the program's database once, and makes it in a new
// cluster.
func ensureDatabase(ctx context.Context, socket string) error {
	conn, err := pgx.Connect(ctx, socketURL(socket, DatabaseName))
	if err == nil {
		return conn.Close(ctx)
	}
	const databaseMissing = "3D000"
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || pgErr.Code != databaseMissing {
		return err
	}
	conn, err = pgx.Connect(ctx, socketURL(socket, "postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{DatabaseName}.Sanitize())
	return errors.Join(err, conn.Close(ctx))
}

func (r *running) stopping() bool {
	select {
	case <-r.asked:
		return true
	default:
		return false
	}
}

func (r *running) stop(ctx context.Context) error {
	r.stopOnce.Do(func() {
		if r.me.Command {
			letIn, err := waitForUsers(ctx, r.o.DataDir)
			if err != nil {
				r.o.Log.WarnContext(ctx, "stopping a database that another command still uses", "error", err)
			}
			defer letIn()
		}
		close(r.asked)
		var err error
		select {
		case <-r.child.done:
		default:
			err = r.child.shutDown(ctx, r.o.hooks.grace)
		}
		r.stopErr = errors.Join(err, r.release())
	})
	return r.stopErr
}

// release gives up what the server needed besides its process.
func (r *running) release() error {
	if r.socket != "" && filepath.Dir(r.socket) != r.place.base {
		_ = os.Remove(r.socket) // unless the server left something in it
	}
	return errors.Join(r.lock.Write(nil), r.lock.Release())
}
