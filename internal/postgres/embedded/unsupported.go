//go:build !unix

package embedded

import (
	"context"
	"fmt"
	"runtime"
)

func unsupported() error {
	return fmt.Errorf("the embedded PostgreSQL is not supported on %s: set CLIENTELE_DATABASE_URL to a PostgreSQL 15 or newer", runtime.GOOS)
}

func start(context.Context, Options) (*Server, error) { return nil, unsupported() }

func join(context.Context, Options) (*Server, error) { return nil, unsupported() }

func remove(context.Context, Options) error { return unsupported() }

// Installation is a set of PostgreSQL binaries on this machine.
type Installation struct {
	BinDir  string
	Version string
	Major   int
}

// Installed finds no server on this platform.
func Installed(context.Context) (Installation, error) { return Installation{}, unsupported() }
