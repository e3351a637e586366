package dbtest

import "golang.org/x/sys/unix"

// free is the number of bytes that this user can still write to dir, 0 where
// there is none.
func free(dir string) uint64 {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil || unix.Access(dir, unix.W_OK) != nil {
		return 0
	}
	return stat.Bavail * uint64(stat.Bsize)
}
