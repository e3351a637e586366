package dbtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/db"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/postgres/embedded"
	"github.com/clientele-api/clientele/internal/postgres/embedded/filelock"
)

// templateDatabase is the migrated database that tests get clones of. Nobody
// may connect to it: PostgreSQL clones no database that is in use.
const templateDatabase = "template_clientele"

// templatePrefix begins the name of the template's data directory, which lies
// on the disk:
//
//	template-<key>/      a cluster that holds the template database, complete
//	template-<key>.lock  shared by those who copy it, exclusive while it is made
const (
	templatePrefix = "template-"
	lockSuffix     = ".lock"
)

// sharedTemplate returns the template's cluster and a lock that keeps it
// there, making it first where it is missing.
func sharedTemplate(ctx context.Context, root string) (string, *filelock.Lock, error) {
	key, err := templateKey(ctx)
	if err != nil {
		return "", nil, err
	}
	dir := filepath.Join(root, templatePrefix+key)
	for {
		lock, err := waitLock(ctx, dir+lockSuffix, filelock.Shared)
		if err != nil {
			return "", nil, err
		}
		if _, err := os.Stat(dir); err == nil {
			now := time.Now()
			return dir, lock, os.Chtimes(dir+lockSuffix, now, now)
		}
		if err := lock.Release(); err != nil {
			return "", nil, err
		}
		if lock, err = waitLock(ctx, dir+lockSuffix, filelock.Exclusive); err != nil {
			return "", nil, err
		}
		err = makeTemplate(ctx, dir)
		if err := errors.Join(err, lock.Release()); err != nil {
			return "", nil, fmt.Errorf("making the template database: %w", err)
		}
	}
}

func waitLock(ctx context.Context, path string, mode filelock.Mode) (*filelock.Lock, error) {
	for {
		lock, err := filelock.Try(path, mode)
		if !errors.Is(err, filelock.ErrHeld) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for another test process to make the template database: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// templateKey changes with whatever the template's content depends on.
func templateKey(ctx context.Context) (string, error) {
	installed, err := embedded.Installed(ctx)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "layout 1, PostgreSQL %s\n", installed.Version)
	err = fs.WalkDir(db.Migrations, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(db.Migrations, path)
		fmt.Fprintf(hash, "%s %d\n%s", path, len(content), content)
		return err
	})
	return fmt.Sprintf("%d-%s", installed.Major, hex.EncodeToString(hash.Sum(nil)[:8])), err
}

// makeTemplate makes the template where servers run best, copies it beside dir
// and renames the copy into place when it is complete. The caller holds dir's
// lock.
func makeTemplate(ctx context.Context, dir string) (err error) {
	if _, err := os.Stat(dir); err == nil {
		return nil // another process was faster
	}
	r, err := emptyRun(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.remove(ctx)) }()
	s, err := embedded.Start(ctx, options(r.dir))
	if err != nil {
		return err
	}
	err = fillTemplate(ctx, s.URL())
	if err := errors.Join(err, s.Stop(ctx)); err != nil {
		return err
	}
	fresh := dir + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := os.Mkdir(fresh, dirMode()); err != nil {
		return err
	}
	if err := copyCluster(s.DataDir(), fresh); err != nil {
		return err
	}
	return os.Rename(fresh, dir)
}

func fillTemplate(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+templateDatabase); err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	if err := postgres.MigrateUp(ctx, databaseURL(url, templateDatabase), log); err != nil {
		return err
	}
	for _, sql := range []string{
		"ALTER DATABASE " + templateDatabase + " IS_TEMPLATE true ALLOW_CONNECTIONS false",
		"DROP DATABASE postgres", // a fifth of what every process has to copy
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// copyCluster copies the cluster of one data directory to another.
func copyCluster(from, to string) error {
	const cluster = "postgres" // its name in every data directory
	from, to = filepath.Join(from, cluster), filepath.Join(to, cluster)
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		target := to + strings.TrimPrefix(path, from)
		switch {
		case entry.IsDir():
			err = os.Mkdir(target, info.Mode().Perm())
		case entry.Type().IsRegular():
			err = copyFile(path, target, info.Mode().Perm())
		default:
			err = fmt.Errorf("%s is neither a file nor a directory", path)
		}
		if err != nil {
			return err
		}
		return copyOwner(info, target)
	})
}

func copyFile(from, to string, mode fs.FileMode) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source) // file systems that can share the blocks do
	return errors.Join(err, target.Close())
}
