// Package filelock locks a file between processes of one machine. The lock
// belongs to the open file, not to its content or to a process id, so it is
// free again the moment its holder ends, however it ends.
//
// It must not guess from pids or ages whether a lock is stale, and it must
// not wait: whoever wants to wait asks again.
package filelock

import (
	"errors"
	"fmt"
	"os"
)

// ErrHeld says that somebody else holds the lock in a mode that excludes the
// one asked for.
var ErrHeld = errors.New("the lock is held")

// Mode says whom a lock excludes.
type Mode int

const (
	// Exclusive excludes every other holder.
	Exclusive Mode = iota
	// Shared excludes exclusive holders alone.
	Shared
)

// Lock is a held lock. Its methods are not safe for concurrent use.
type Lock struct {
	file *os.File
}

// Try takes the lock on the file at path, creating the file with mode 0600,
// and returns an error that wraps ErrHeld when it is held. A symbolic link at
// path is refused. A file that was deleted or replaced while it was being
// locked does not count: holders of one path always exclude each other.
func Try(path string, mode Mode) (*Lock, error) {
	for {
		file, err := open(path)
		if err != nil {
			return nil, err
		}
		if err := flock(file, mode); err != nil {
			_ = file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		same, err := still(path, file)
		if err == nil && same {
			return &Lock{file: file}, nil
		}
		_ = file.Close()
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
	}
}

// Write replaces the content of the lock's file, which is for readers only
// and means nothing to the lock.
func (l *Lock) Write(content []byte) error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt(content, 0)
	return err
}

// Release gives the lock up. The file stays: deleting it is allowed to the
// exclusive holder alone, before Release. Closing the file would not do: a
// process that is just being forked elsewhere in the program shares it, and
// with it the lock, until it executes its own program.
func (l *Lock) Release() error {
	return errors.Join(funlock(l.file), l.file.Close())
}

// still reports whether path names the locked file.
func still(path string, file *os.File) (bool, error) {
	held, err := file.Stat()
	if err != nil {
		return false, err
	}
	named, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return os.SameFile(held, named), nil
}
