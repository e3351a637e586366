package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/clientele-api/clientele/internal/postgres/embedded"
)

const (
	// idle is how long the program has nothing to do before its memory is read.
	idle = 3 * time.Second
	// minStarts is how often the program is started at least; -benchtime asks for more.
	minStarts = 3
)

// BenchmarkProgram builds the program, starts it on a data directory with its own database that an earlier start has
// made, and reports how long it takes until it says that it is ready, and how much memory it has when it idles: it
// alone, without the database's processes. Memory is known on Linux only.
func BenchmarkProgram(b *testing.B) {
	dir := b.TempDir()
	p := program{path: filepath.Join(dir, "clientele"), dataDir: filepath.Join(dir, "data")}
	build := exec.Command("go", "build", "-o", p.path, "github.com/clientele-api/clientele/cmd/clientele")
	if output, err := build.CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, output)
	}
	b.Cleanup(func() {
		must(b, embedded.Remove(context.Background(), embedded.Options{DataDir: p.dataDir}))
	})
	p.run(b, func(*exec.Cmd) {}) // makes the database
	var starts, memory []float64
	start := func() {
		took := p.run(b, func(running *exec.Cmd) {
			time.Sleep(idle)
			if megabytes, ok := residentMemory(b, running.Process.Pid); ok {
				memory = append(memory, megabytes)
			}
		})
		starts = append(starts, took.Seconds())
	}
	for b.Loop() {
		start()
	}
	for len(starts) < minStarts {
		start()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(starts), "s-to-ready")
	if len(memory) > 0 {
		b.ReportMetric(median(memory), "MB-idle")
	}
	b.Logf("%d starts, the slowest in %.2f s", len(starts), quantile(starts, 1))
}

type program struct{ path, dataDir string }

var ready = regexp.MustCompile(`^Clientele is ready at http`)

// run starts the program, lets something be done once it is ready, ends it, and gives how long it took to be ready.
func (p program) run(b testing.TB, do func(*exec.Cmd)) time.Duration {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.path)
	cmd.Env = append(os.Environ(), "CLIENTELE_ADDR=127.0.0.1:0", "CLIENTELE_DATA_DIR="+p.dataDir,
		"CLIENTELE_DATABASE_URL=", "CLIENTELE_LOG_LEVEL=warn")
	cmd.Stderr = b.Output()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	output, err := cmd.StdoutPipe()
	must(b, err)
	started := time.Now()
	must(b, cmd.Start())
	lines := bufio.NewReader(output)
	line, err := lines.ReadString('\n')
	took := time.Since(started)
	if err == nil && !ready.MatchString(line) {
		err = fmt.Errorf("it said %q", line)
	}
	if err == nil {
		do(cmd)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_, _ = io.Copy(io.Discard, lines)
	if err := errors.Join(err, cmd.Wait()); err != nil {
		b.Fatalf("the program: %v", err)
	}
	return took
}

var residentLine = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)

// residentMemory gives a process's memory that is in RAM, in megabytes, pages of its file among it.
func residentMemory(b testing.TB, pid int) (float64, bool) {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if errors.Is(err, os.ErrNotExist) {
		return 0, false
	}
	must(b, err)
	found := residentLine.FindSubmatch(status)
	if found == nil {
		b.Fatalf("no VmRSS in %s", status)
	}
	kilobytes, err := strconv.ParseFloat(string(found[1]), 64)
	must(b, err)
	return kilobytes * 1024 / 1e6, true
}
