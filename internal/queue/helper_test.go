package queue_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/queue"
)

const childURL = "QUEUE_TEST_DATABASE"

// TestMain also lets a test run a replica as a process of its own, to be killed: this very binary, told so by a variable.
func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		if err := child(context.Background(), url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	const ours = "github.com/clientele-api/clientele/internal/"
	goleak.VerifyTestMain(m, // but for the server of the tests, which ends with the process
		goleak.IgnoreAnyFunction(ours+"dbtest.removeAtExit.func1"),
		goleak.IgnoreAnyFunction(ours+"postgres/embedded.startChild.func1"),
		goleak.IgnoreAnyFunction(ours+"postgres/embedded.run.func2"))
}

// child is a replica whose jobs say that they began and never end.
func child(ctx context.Context, url string) error {
	q, err := queue.New(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	queue.AddWorker(q, river.WorkFunc(func(context.Context, *river.Job[countArgs]) error {
		fmt.Println("begun")
		select {}
	}))
	return q.Run(ctx, url)
}

// countArgs are of jobs that succeed, mostly.
type countArgs struct {
	ID int `json:"id"`
}

func (countArgs) Kind() string { return "count" }

// failArgs are of jobs that fail, and are tried twice.
type failArgs struct {
	How string `json:"how"`
}

func (failArgs) Kind() string                 { return "fail" }
func (failArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 2} }

// counter counts how often each job was worked.
type counter struct {
	mu    sync.Mutex
	times map[int]int
}

func (c *counter) work(_ context.Context, job *river.Job[countArgs]) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.times == nil {
		c.times = map[int]int{}
	}
	c.times[job.Args.ID]++
	return nil
}

func (c *counter) of(id int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.times[id]
}

func (c *counter) jobs() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.times)
}

// output is a log that tests read.
type output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String()
}

func open(t *testing.T, url string) *postgres.DB {
	t.Helper()
	database, err := postgres.Open(t.Context(), url, time.Now)
	require.NoError(t, err)
	t.Cleanup(database.Close)
	return database
}

func newQueue(t *testing.T, log io.Writer) *queue.Queue {
	t.Helper()
	q, err := queue.New(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelInfo})))
	require.NoError(t, err)
	return q
}

// counting makes a queue that counts.
func counting(t *testing.T) (*queue.Queue, *counter) {
	t.Helper()
	c := &counter{}
	q := newQueue(t, t.Output())
	queue.AddWorker(q, river.WorkFunc(c.work))
	return q, c
}

// run runs a queue as a replica until it is stopped, or the test ends.
func run(t *testing.T, q *queue.Queue, url string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- q.Run(ctx, url) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(20 * time.Second):
			require.Fail(t, "the queue does not stop")
		}
	})
	t.Cleanup(stop)
	return stop
}

func enqueue(t *testing.T, database *postgres.DB, q *queue.Queue, args river.JobArgs, options ...queue.Option) {
	t.Helper()
	require.NoError(t, database.Change(t.Context(), postgres.Change{}, func(tx *postgres.Tx) error {
		return q.Enqueue(t.Context(), tx, args, options...)
	}))
}

func count(t *testing.T, database *postgres.DB, where string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, database.QueryRow(t.Context(), "SELECT count(*) FROM river_job WHERE "+where, args...).Scan(&n))
	return n
}

// eventually waits for what another goroutine or process is about to do.
func eventually(t *testing.T, condition func() bool, about ...any) {
	t.Helper()
	require.Eventually(t, condition, 30*time.Second, 20*time.Millisecond, about...)
}

// begun waits until all of the queue runs. Jobs are worked before that already.
func begun(t *testing.T, log *output) {
	t.Helper()
	eventually(t, func() bool { return strings.Contains(log.String(), "background work has begun") })
}
