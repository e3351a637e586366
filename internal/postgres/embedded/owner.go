//go:build unix

package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/internal/postgres/embedded/filelock"
)

// Two locks guard a data directory. Whoever holds clientele.lock owns the
// server: makes, starts and stops it. Commands that joined a server hold
// clientele.users in common, so that a command which started one knows when
// nobody needs it any more.
const (
	ownerFile = "clientele.lock"
	usersFile = "clientele.users"
)

// owner is what the lock's holder tells the others, through the lock's file.
type owner struct {
	PID     int       `json:"pid"`
	Since   time.Time `json:"since"`
	Command bool      `json:"command"`
	Socket  string    `json:"socket,omitempty"` // directory of the socket, once the server accepts
	DataDir string    `json:"data_dir,omitempty"`
}

// readOwner returns what the holder has told so far, the zero value when that
// is nothing yet.
func readOwner(dataDir string) owner {
	var told owner
	content, err := os.ReadFile(filepath.Join(dataDir, ownerFile))
	if err != nil || json.Unmarshal(content, &told) != nil {
		return owner{}
	}
	return told
}

func (w owner) write(lock *filelock.Lock) error {
	content, err := json.Marshal(w)
	if err != nil {
		return err
	}
	return lock.Write(append(content, '\n'))
}

func inUse(dataDir string) *InUseError {
	told := readOwner(dataDir)
	return &InUseError{DataDir: dataDir, PID: told.PID, Since: told.Since, Command: told.Command}
}

// tryOwn takes the lock and signs it. filelock.ErrHeld means that somebody
// else has it.
func tryOwn(dataDir string, command bool) (*filelock.Lock, owner, error) {
	lock, err := tryLock(dataDir, ownerFile, filelock.Exclusive)
	if err != nil {
		return nil, owner{}, err
	}
	me := owner{PID: os.Getpid(), Since: time.Now().UTC().Truncate(time.Second), Command: command}
	if err := me.write(lock); err != nil {
		return nil, owner{}, errors.Join(err, lock.Release())
	}
	return lock, me, nil
}

func tryLock(dataDir, name string, mode filelock.Mode) (*filelock.Lock, error) {
	path := filepath.Join(dataDir, name)
	lock, err := filelock.Try(path, mode)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("the data directory %s belongs to another user: %w", dataDir, err)
	}
	if err != nil {
		return nil, err
	}
	if err := giveToOwnerOf(dataDir, path); err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	return lock, nil
}

// giveToOwnerOf makes a file that root created in somebody's directory theirs,
// so that they can go on without root.
func giveToOwnerOf(dir, path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	to, err := ownerOf(dir)
	if err != nil || to.uid == 0 {
		return err
	}
	return os.Lchown(path, to.uid, to.gid)
}

// own waits for the lock of a serving process: not at all for another serving
// process, a few seconds for a command.
func own(ctx context.Context, o Options) (*filelock.Lock, owner, error) {
	deadline := time.Now().Add(o.hooks.patience)
	for {
		lock, me, err := tryOwn(o.DataDir, false)
		if !errors.Is(err, filelock.ErrHeld) {
			return lock, me, err
		}
		holder := inUse(o.DataDir)
		serving := holder.PID != 0 && !holder.Command
		if serving || time.Now().After(deadline) {
			return nil, owner{}, holder
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return nil, owner{}, err
		}
	}
}

// join owns the data directory, or shares the server of the process that
// does, whichever is possible first.
func join(ctx context.Context, o Options) (*Server, error) {
	made, err := prepareDataDir(&o)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(o.hooks.joinWait)
	for {
		lock, me, err := tryOwn(o.DataDir, true)
		if err == nil {
			return run(ctx, o, lock, me, made)
		}
		if !errors.Is(err, filelock.ErrHeld) {
			return nil, err
		}
		if s, err := share(ctx, o); s != nil || err != nil {
			return s, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("the database did not come up within %s: %w", o.hooks.joinWait, inUse(o.DataDir))
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// share returns the owner's server, or nil while that is not to be had: still
// starting, or about to stop.
func share(ctx context.Context, o Options) (*Server, error) {
	users, err := tryLock(o.DataDir, usersFile, filelock.Shared)
	if errors.Is(err, filelock.ErrHeld) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// Read with the users' lock held: a command that owns the server can
	// from here on not decide to stop it.
	told := readOwner(o.DataDir)
	if told.Socket == "" || !answers(ctx, socketURL(told.Socket, DatabaseName)) {
		return nil, users.Release()
	}
	release := sync.OnceValue(users.Release)
	return &Server{
		dataDir: told.DataDir,
		url:     socketURL(told.Socket, DatabaseName),
		done:    make(chan struct{}),
		stop:    func(context.Context) error { return release() },
	}, nil
}

// answers reports whether the database accepts a connection now.
func answers(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return false
	}
	_ = conn.Close(ctx)
	return true
}

// waitForUsers waits until no command uses the server any more, or ctx ends,
// and keeps others from joining until release is called.
func waitForUsers(ctx context.Context, dataDir string) (release func(), err error) {
	for {
		users, err := tryLock(dataDir, usersFile, filelock.Exclusive)
		if err == nil {
			return func() { _ = users.Release() }, nil
		}
		if !errors.Is(err, filelock.ErrHeld) {
			return func() {}, err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return func() {}, err
		}
	}
}
