package queue_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/postgres/embedded"
	"github.com/clientele-api/clientele/internal/queue"
)

func TestAJobIsThereWithItsTransactionOrNotAtAll(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	database := open(t, url)
	q, worked := counting(t)
	refused := errors.New("refused")
	err := database.Change(t.Context(), postgres.Change{}, func(tx *postgres.Tx) error {
		require.NoError(t, q.Enqueue(t.Context(), tx, countArgs{ID: 1}))
		return refused
	})
	require.ErrorIs(t, err, refused)
	require.Zero(t, count(t, database, "true"))

	enqueue(t, database, q, countArgs{ID: 2}) // nobody works yet
	require.Equal(t, 1, count(t, database, "state = 'available'"))
	run(t, q, url)
	eventually(t, func() bool { return count(t, database, "state = 'completed'") == 1 })
	require.Equal(t, 1, worked.of(2))
	require.Zero(t, worked.of(1))
}

func TestReplicasWorkEachJobOnce(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	database := open(t, url)
	first, one := counting(t)
	second, other := counting(t)
	run(t, first, url)
	run(t, second, url)
	const writers, each = 4, 50
	var group sync.WaitGroup
	for writer := range writers {
		group.Go(func() {
			for i := range each {
				err := database.Change(t.Context(), postgres.Change{}, func(tx *postgres.Tx) error {
					return first.Enqueue(t.Context(), tx, countArgs{ID: writer*each + i})
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	eventually(t, func() bool { return count(t, database, "state = 'completed'") == writers*each })
	for id := range writers * each {
		require.Equal(t, 1, one.of(id)+other.of(id), "job %d", id)
	}
	require.Positive(t, one.jobs())
	require.Positive(t, other.jobs())
}

func TestWhatNobodyWorksIsRefused(t *testing.T) {
	t.Parallel()
	database := open(t, dbtest.URL(t))
	q, _ := counting(t)
	err := database.Change(t.Context(), postgres.Change{}, func(tx *postgres.Tx) error {
		return q.Enqueue(t.Context(), tx, failArgs{})
	})
	require.ErrorContains(t, err, "enqueuing a job of the kind fail")
	require.ErrorIs(t, err, &river.UnknownJobKindError{})
}

func TestAJobWaitsForItsTime(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	database := open(t, url)
	q, worked := counting(t)
	enqueue(t, database, q, countArgs{ID: 1}, queue.At(time.Now().Add(time.Hour)))
	enqueue(t, database, q, countArgs{ID: 2})
	run(t, q, url)
	eventually(t, func() bool { return worked.of(2) == 1 })
	require.Equal(t, 1, count(t, database, "state = 'scheduled'"))
	_, err := database.Exec(t.Context(), "UPDATE river_job SET scheduled_at = now() WHERE state = 'scheduled'")
	require.NoError(t, err)
	eventually(t, func() bool { return worked.of(1) == 1 })
}

func TestAPeriodicJobIsOneReplicas(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	database := open(t, url)
	first, one := counting(t)
	second, other := counting(t)
	for _, q := range []*queue.Queue{first, second} {
		q.Every(time.Hour, countArgs{ID: 7})
	}
	stopFirst := run(t, first, url)
	eventually(t, func() bool { return one.of(7) == 1 }, "it is worked when work begins")
	run(t, second, url)
	for id := 100; other.jobs() == 0; id++ { // the second is at work, too
		require.Less(t, id, 10_000)
		enqueue(t, database, second, countArgs{ID: id})
	}
	require.Equal(t, 1, count(t, database, "args = '{\"id\": 7}'"), "the first leads")
	stopFirst()
	eventually(t, func() bool { return other.of(7) == 1 }, "the second leads now")
	require.Equal(t, 2, count(t, database, "args = '{\"id\": 7}'"))
}

func TestAPeriodicJobIsAddedOnceUntilItIsDone(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	database := open(t, url)
	q := newQueue(t, t.Output())
	begun := make(chan int, 100)
	release := make(chan struct{})
	worked := &counter{}
	queue.AddWorker(q, river.WorkFunc(func(ctx context.Context, job *river.Job[countArgs]) error {
		if job.Args.ID > 2 {
			return worked.work(ctx, job)
		}
		begun <- job.Args.ID
		select {
		case <-release:
		case <-ctx.Done():
		}
		return ctx.Err()
	}))
	for id := range 3 {
		q.Every(time.Second, countArgs{ID: id + 1})
	}
	run(t, q, url)
	eventually(t, func() bool { return worked.of(3) == 3 }, "a quick one comes at each interval")
	require.Equal(t, 3, <-begun+<-begun, "of the same kind, and another job")
	require.Equal(t, 2, count(t, database, "args->>'id' IN ('1', '2')"))
	close(release)
	eventually(t, func() bool { return len(begun) >= 2 }, "they go on")
}

// TestAKilledProcessesJobIsBegunAnew kills a replica that leads and works a job.
func TestAKilledProcessesJobIsBegunAnew(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	database := open(t, url)
	q, worked := counting(t)
	enqueue(t, database, q, countArgs{ID: 1})

	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childURL+"="+url)
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "begun\n", line)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.Equal(t, 1, count(t, database, "state = 'running'"))

	// Time passes: less than it takes to believe that the process is dead, and then more.
	_, err = database.Exec(t.Context(), "DELETE FROM river_leader")
	require.NoError(t, err)
	pass := func(by string) {
		_, err := database.Exec(t.Context(), "UPDATE river_job SET attempted_at = attempted_at - $1::interval", by)
		require.NoError(t, err)
	}
	pass("90 seconds")
	stop := run(t, q, url)
	enqueue(t, database, q, countArgs{ID: 2})
	eventually(t, func() bool { return worked.of(2) == 1 })
	require.Zero(t, worked.of(1), "it might still be worked")
	stop()
	pass("60 seconds")
	run(t, q, url)
	eventually(t, func() bool { return worked.of(1) == 1 })
	eventually(t, func() bool { return count(t, database, "state = 'completed' AND attempt = 2") == 1 })
}

// TestStopping: a job that is at work gets some seconds, then its context ends, and it is left to the next replica as if
// it had not been tried.
func TestStopping(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	database := open(t, url)
	q := newQueue(t, t.Output())
	begun := make(chan int, 2)
	release := make(chan struct{})
	queue.AddWorker(q, river.WorkFunc(func(ctx context.Context, job *river.Job[countArgs]) error {
		begun <- job.Args.ID
		if job.Args.ID == 1 { // soon done
			<-release
			return nil
		}
		<-ctx.Done()
		return fmt.Errorf("writing: %w", ctx.Err())
	}))
	stop := run(t, q, url)
	enqueue(t, database, q, countArgs{ID: 1})
	enqueue(t, database, q, countArgs{ID: 2})
	require.Equal(t, 3, <-begun+<-begun)
	time.AfterFunc(500*time.Millisecond, func() { close(release) })
	started := time.Now()
	stop()
	require.Less(t, time.Since(started), 7*time.Second)
	require.Equal(t, 1, count(t, database, "args = '{\"id\": 1}' AND state = 'completed'"))
	require.Equal(t, 1, count(t, database, "args = '{\"id\": 2}' AND state = 'available' AND attempt = 0 AND errors IS NULL"))

	next, worked := counting(t)
	run(t, next, url)
	eventually(t, func() bool { return worked.of(2) == 1 })
	require.Zero(t, worked.of(1))
}

// TestAJobThatDoesNotEnd does not keep the program from ending.
func TestAJobThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	log := &output{}
	q := newQueue(t, log)
	begun, release, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	queue.AddWorker(q, river.WorkFunc(func(context.Context, *river.Job[countArgs]) error {
		defer close(ended)
		close(begun)
		<-release
		return nil
	}))
	stop := run(t, q, url)
	enqueue(t, open(t, url), q, countArgs{ID: 1})
	<-begun
	started := time.Now()
	stop()
	require.Less(t, time.Since(started), 10*time.Second)
	require.Contains(t, log.String(), "is left behind")
	close(release)
	<-ended
}

func TestRowsOfDoneJobsAreDeleted(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	database := open(t, url)
	_, err := database.Exec(t.Context(), `INSERT INTO river_job (kind, args, state, max_attempts, finalized_at)
		SELECT 'count', '{}', state::river_job_state, 1, now() - age::interval FROM (VALUES
			('completed', '25 hours'), ('completed', '23 hours'), ('cancelled', '25 hours'), ('cancelled', '23 hours'),
			('discarded', '7 days 1 hour'), ('discarded', '6 days 23 hours')) AS rows (state, age)`)
	require.NoError(t, err)
	q, _ := counting(t)
	run(t, q, url)
	eventually(t, func() bool { return count(t, database, "true") == 3 })
	require.Equal(t, 1, count(t, database, "state = 'discarded' AND finalized_at > now() - interval '7 days'"))
	require.Equal(t, 2, count(t, database, "finalized_at > now() - interval '1 day'"))
}

// TestTheDatabaseGoesAwayAndComesBack: before the queue runs, and while it does.
func TestTheDatabaseGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	server := dbtest.Server(t)
	database := open(t, server.URL())
	worked, log := &counter{}, &output{}
	q := newQueue(t, log)
	queue.AddWorker(q, river.WorkFunc(worked.work))

	server.Stop(t)
	run(t, q, server.URL())
	eventually(t, func() bool { return strings.Contains(log.String(), "background work cannot begin for now") })
	server.Start(t)
	enqueue(t, database, q, countArgs{ID: 1})
	eventually(t, func() bool { return worked.of(1) == 1 })
	begun(t, log)

	server.Stop(t)
	eventually(t, func() bool { return strings.Contains(log.String(), "Error fetching jobs") })
	server.Start(t)
	database.Reset() // the test itself does not wait for its connections to be found dead
	enqueue(t, database, q, countArgs{ID: 2})
	eventually(t, func() bool { return worked.of(2) == 1 })
	eventually(t, func() bool { return listening(t, database) }, "it listens again")
}

func listening(t *testing.T, database *postgres.DB) (is bool) {
	t.Helper()
	require.NoError(t, database.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity
		WHERE datname = current_database() AND query LIKE 'LISTEN%')`).Scan(&is))
	return is
}

// TestAnotherAddress: of several servers the queue goes to the one that is there, and works what that one has.
func TestAnotherAddress(t *testing.T) {
	t.Parallel()
	first, second := dbtest.Server(t), dbtest.Server(t)
	one, err := url.Parse(first.URL())
	require.NoError(t, err)
	other, err := url.Parse(second.URL())
	require.NoError(t, err)
	name := strings.TrimPrefix(other.Path, "/")
	other.Path = "/" + embedded.DatabaseName
	_, err = open(t, other.String()).Exec(t.Context(), "ALTER DATABASE "+name+" RENAME TO "+strings.TrimPrefix(one.Path, "/"))
	require.NoError(t, err)
	both := *one
	query := both.Query()
	query.Set("host", query.Get("host")+","+other.Query().Get("host"))
	query.Set("port", query.Get("port")+","+other.Query().Get("port"))
	both.RawQuery = query.Encode()

	database := open(t, both.String())
	q, worked := counting(t)
	run(t, q, both.String())
	enqueue(t, database, q, countArgs{ID: 1})
	eventually(t, func() bool { return worked.of(1) == 1 })
	first.Stop(t)
	database.Reset()
	enqueue(t, database, q, countArgs{ID: 2})
	eventually(t, func() bool { return worked.of(2) == 1 })
	eventually(t, func() bool { return listening(t, database) })
}

// TestStoppingWithoutTheDatabase ends in time, too.
func TestStoppingWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	server := dbtest.Server(t)
	database := open(t, server.URL())
	log := &output{}
	q := newQueue(t, log)
	queue.AddWorker(q, river.WorkFunc((&counter{}).work))
	stop := run(t, q, server.URL())
	enqueue(t, database, q, countArgs{ID: 1})
	// What is not noted yet River tries to note for about as long as it has to end, which would leave it behind.
	eventually(t, func() bool { return count(t, database, "state = 'completed'") == 1 })
	begun(t, log)
	server.Stop(t)
	started := time.Now()
	stop()
	require.Less(t, time.Since(started), 10*time.Second)
}
