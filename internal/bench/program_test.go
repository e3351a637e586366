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
	p := buildProgram(b)
	p.run(b, func(process) {}) // makes the database
	var starts, memory []float64
	start := func() {
		p.run(b, func(running process) {
			starts = append(starts, running.took.Seconds())
			time.Sleep(idle)
			if megabytes, ok := running.memory(b, "VmRSS"); ok {
				memory = append(memory, megabytes)
			}
		})
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

// program is the program as it is built, with a data directory of its own.
type program struct{ path, dataDir string }

func buildProgram(b testing.TB) program {
	b.Helper()
	dir := b.TempDir()
	p := program{path: filepath.Join(dir, "clientele"), dataDir: filepath.Join(dir, "data")}
	build := exec.Command("go", "build", "-o", p.path, "github.com/clientele-api/clientele/cmd/clientele")
	if output, err := build.CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, output)
	}
	b.Cleanup(func() {
		must(b, embedded.Remove(context.Background(), embedded.Options{DataDir: p.dataDir}))
	})
	return p
}

// process is the program while it runs.
type process struct {
	pid  int
	addr string
	took time.Duration // until it was ready
}

// patience is how long the program may take to start, and to end.
const patience = time.Minute

var ready = regexp.MustCompile(`^Clientele is ready at http://([^,/]+),`)

// run starts the program, with more settings, lets something be done once it is ready, and ends it.
func (p program) run(b testing.TB, do func(process), settings ...string) {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cmd := exec.CommandContext(ctx, p.path)
	cmd.Env = append(os.Environ(), "CLIENTELE_ADDR=127.0.0.1:0", "CLIENTELE_DATA_DIR="+p.dataDir,
		"CLIENTELE_DATABASE_URL=", "CLIENTELE_LOG_LEVEL=warn", "CLIENTELE_RATE_LIMIT=0")
	cmd.Env = append(cmd.Env, settings...)
	cmd.Stderr = b.Output()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	output, err := cmd.StdoutPipe()
	must(b, err)
	started := time.Now()
	must(b, cmd.Start())
	ending := time.AfterFunc(patience, cancel)
	lines := bufio.NewReader(output)
	line, err := lines.ReadString('\n')
	took := time.Since(started)
	ending.Stop()
	defer func() { // though doing fails the benchmark: the program has a database to end
		ending.Reset(patience)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_, _ = io.Copy(io.Discard, lines)
		if err := errors.Join(err, cmd.Wait()); err != nil {
			b.Fatalf("the program: %v", err)
		}
	}()
	found := ready.FindStringSubmatch(line)
	switch {
	case err != nil:
	case found == nil:
		err = fmt.Errorf("it said %q", line)
	default:
		do(process{pid: cmd.Process.Pid, addr: found[1], took: took})
	}
}

var memoryLine = regexp.MustCompile(`(?m)^(\w+):\s+(\d+) kB$`)

// memory gives how much of the process's memory is in RAM (VmRSS), or was at most (VmHWM), in megabytes, pages of its
// file among it.
func (p process) memory(b testing.TB, what string) (float64, bool) {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if errors.Is(err, os.ErrNotExist) {
		return 0, false
	}
	must(b, err)
	for _, found := range memoryLine.FindAllSubmatch(status, -1) {
		if string(found[1]) == what {
			kilobytes, err := strconv.ParseFloat(string(found[2]), 64)
			must(b, err)
			return kilobytes * 1024 / 1e6, true
		}
	}
	b.Fatalf("no %s in %s", what, status)
	return 0, false
}

// forgetPeak has VmHWM begin anew.
func (p process) forgetPeak(b testing.TB) {
	b.Helper()
	err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.pid), []byte("5"), 0)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		b.Fatal(err)
	}
}
