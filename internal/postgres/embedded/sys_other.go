//go:build unix && !linux

package embedded

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// maxSocketPath is the longest path of a unix socket: 104 bytes with the closing NUL on
// macOS and the BSDs.
const maxSocketPath = 103

const haveNamespaces = false

// sysProcAttr knows neither namespaces nor death signals here: root always
// drops to another user, and a server that lost its program is dealt with at
// the next start.
func (r runner) sysProcAttr(syscall.Signal) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if r.drop {
		attr.Credential = &syscall.Credential{Uid: uint32(r.uid), Gid: uint32(r.gid)}
	}
	return attr
}

// commandLine is what process pid was started with when it is a postgres
// started on the cluster, and empty otherwise. ps separates arguments by
// blanks, so a cluster with a blank in its path is never recognized: its
// leftover server is then reported, not stopped.
func commandLine(pid int, cluster string) []string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	line, err := output(ctx, "/bin/ps", "-o", "command=", "-p", strconv.Itoa(pid))
	if err != nil {
		return nil
	}
	args := strings.Fields(line)
	if len(args) == 0 || filepath.Base(args[0]) != "postgres" {
		return nil
	}
	if at := slices.Index(args, "-D"); at < 0 || at+1 >= len(args) || args[at+1] != cluster {
		return nil
	}
	return args
}

// processesIn cannot be told here; PostgreSQL itself refuses to start while
// processes of a former server hold its shared memory.
func processesIn(string) ([]int, error) { return nil, nil }
