//go:build unix

package embedded

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/clientele-api/clientele/internal/postgres/embedded/filelock"
)

func remove(ctx context.Context, o Options) error {
	if _, err := os.Stat(o.DataDir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := prepareDataDir(&o); err != nil {
		return err
	}
	lock, _, err := tryOwn(o.DataDir, true)
	if errors.Is(err, filelock.ErrHeld) {
		return inUse(o.DataDir)
	}
	if err != nil {
		return err
	}
	defer lock.Release()
	for _, base := range []string{o.DataDir, fallbackDir(o)} {
		if _, err := os.Stat(clusterIn(base)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := removePlace(ctx, o, base); err != nil {
			return err
		}
	}
	return os.RemoveAll(o.DataDir)
}

// removePlace removes the cluster in base, and base, where it is not the data
// directory itself.
func removePlace(ctx context.Context, o Options, base string) error {
	as, err := ownerOf(clusterIn(base))
	if err != nil {
		return err
	}
	if err := clearLeftovers(ctx, base, o.Log); err != nil {
		return err
	}
	if socket, err := (place{base: base, as: as}).socketDir(); err == nil && filepath.Dir(socket) != base {
		if err := os.RemoveAll(socket); err != nil {
			return err
		}
	}
	return os.RemoveAll(base)
}
