//go:build unix

package dbtest

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checkOwn refuses a directory that somebody else could have prepared.
func checkOwn(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat := info.Sys().(*syscall.Stat_t) // what every unix has
	if !info.IsDir() || int(stat.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s is not a directory that only user id %d can write to: remove it", dir, os.Geteuid())
	}
	return nil
}

// copyOwner gives a copy to the original's owner. Only root's copies differ:
// the server may run as another user.
func copyOwner(original fs.FileInfo, path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	stat := original.Sys().(*syscall.Stat_t) // what every unix has
	return os.Lchown(path, int(stat.Uid), int(stat.Gid))
}
