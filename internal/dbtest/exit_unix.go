//go:build unix

package dbtest

import (
	"os"
	"os/exec"
	"syscall"
)

// janitor waits for its input to end, stops the server in the data directory
// $1 where the kernel does not (it does on Linux), and removes the directory
// and the lock file $2.
const janitor = `
cat
[ -e /proc/self/cwd ] || { pid=$(head -n 1 "$1/postgres/postmaster.pid") && kill -QUIT "$pid"; }
tries=0
while [ -e "$1/postgres/postmaster.pid" ] && [ "$tries" -lt 100 ]; do
	sleep 0.1
	tries=$((tries + 1))
done
rm -rf "$1" "$2"
`

// removeAtExit sees to it that the data directory and its lock's file are
// removed when this process ends, however it ends: a process of its own waits
// on a pipe that nobody writes to and that the kernel closes then.
func removeAtExit(dir, lock string) error {
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reader.Close()
	cmd := exec.Command("/bin/sh", "-c", janitor, "sh", dir, lock)
	cmd.Dir = "/"
	cmd.Stdin = reader
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C is not for it
	if err := cmd.Start(); err != nil {
		_ = writer.Close()
		return err
	}
	// Kept open on purpose, and from the garbage collector, which would close
	// it: by the goroutine that also collects the process, should it die.
	go func() {
		_ = cmd.Wait()
		_ = writer.Close()
	}()
	return nil
}
