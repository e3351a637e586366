//go:build !unix

package filelock

import (
	"errors"
	"os"
)

func open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}

func flock(*os.File, Mode) error {
	return errors.ErrUnsupported
}

func funlock(*os.File) error { return nil }
