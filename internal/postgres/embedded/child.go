//go:build unix

package embedded

import (
	"context"
	"errors"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// child is a started process. It is in a process group of its own, so that a
// terminal's Ctrl-C does not reach it.
type child struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // what Wait said; written before done is closed
}

// startChild starts cmd as r, to be sent death when this process dies.
//
// The kernel sends that signal when the thread that forked ends, hence the
// thread is kept for as long as the child lives.
func startChild(cmd *exec.Cmd, r runner, death syscall.Signal) (*child, error) {
	cmd.SysProcAttr = r.sysProcAttr(death)
	c := &child{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		c.err = cmd.Wait()
		close(c.done)
	}()
	return c, <-started
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// signal sends to the process alone. A process that is gone is no fault.
func (c *child) signal(s syscall.Signal) { _ = c.cmd.Process.Signal(s) }

// signalGroup sends to the process and its descendants. It must not be called
// once done is closed: the number may belong to somebody else by then.
func (c *child) signalGroup(s syscall.Signal) { _ = syscall.Kill(-c.pid(), s) }

// waitFor waits until the process has ended and reports whether it did within
// d, and before ctx ended.
func (c *child) waitFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.done:
		return true
	case <-ctx.Done():
	case <-timer.C:
	}
	return false
}

// runChild runs cmd to its end, or to ctx's, with all its descendants. Those
// it leaves to the process itself to end: initdb does so in order, while a
// bootstrapping postgres that is killed leaves shared memory behind.
func runChild(ctx context.Context, cmd *exec.Cmd, r runner) error {
	cmd.WaitDelay = 2 * time.Second
	c, err := startChild(cmd, r, syscall.SIGTERM)
	if err != nil {
		return err
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
	}
	c.signal(syscall.SIGTERM)
	if !c.waitFor(context.Background(), 5*time.Second) {
		c.signalGroup(syscall.SIGKILL)
		<-c.done
	}
	return ctx.Err()
}

// shutDown ends a postmaster: politely, and firmly when ctx ends or grace has
// passed. It returns when the process is gone. The error says that the
// shutdown was not a clean one; the data is safe even so.
func (c *child) shutDown(ctx context.Context, grace time.Duration) error {
	c.signal(syscall.SIGINT) // fast shutdown: end the sessions, write a checkpoint
	if c.waitFor(ctx, grace) {
		return nil
	}
	c.signal(syscall.SIGQUIT) // immediate shutdown: recovery at the next start
	if !c.waitFor(context.Background(), min(grace, 5*time.Second)) {
		c.signal(syscall.SIGKILL)
		<-c.done
	}
	return errors.New("PostgreSQL did not shut down in time and was made to quit; its next start recovers")
}
