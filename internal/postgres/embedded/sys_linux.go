package embedded

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// maxSocketPath is the longest path of a unix socket: 108 bytes with the closing NUL.
const maxSocketPath = 107

const haveNamespaces = true

// insideID is the user and group id that root appears as in the namespace.
const insideID = 1000

func (r runner) sysProcAttr(death syscall.Signal) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: death}
	switch {
	case r.namespace:
		attr.Cloneflags = syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: insideID, HostID: 0, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: insideID, HostID: 0, Size: 1}}
	case r.drop:
		attr.Credential = &syscall.Credential{Uid: uint32(r.uid), Gid: uint32(r.gid)}
	}
	return attr
}

// commandLine is what process pid was started with when it is a postgres
// process at work in the cluster, and empty otherwise: PostgreSQL's processes
// have their cluster for a working directory.
func commandLine(pid int, cluster string) []string {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	exe, err := os.Readlink(proc + "/exe")
	if err != nil || filepath.Base(strings.TrimSuffix(exe, " (deleted)")) != "postgres" {
		return nil
	}
	cwd, err := os.Stat(proc + "/cwd")
	if err != nil {
		return nil
	}
	dir, err := os.Stat(cluster)
	if err != nil || !os.SameFile(cwd, dir) {
		return nil
	}
	line, err := os.ReadFile(proc + "/cmdline")
	if err != nil {
		return nil
	}
	return strings.Split(string(bytes.TrimRight(line, "\x00")), "\x00")
}

// processesIn lists the postgres processes at work in the cluster.
func processesIn(cluster string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err == nil && commandLine(pid, cluster) != nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
