// Package queue is the program's background work: jobs that are enqueued in the transaction of the change that asks for
// them, so that both happen or neither, and that any replica works after the commit. River keeps them in PostgreSQL.
//
// A job's row holds ids and nothing else that says anything about anybody: no names, no addresses, no secrets, neither in
// its args nor in its errors. Rows outlive what they are about, and nobody looks for them when a customer is erased. So a
// worker reads what it needs when it works, finds that it is gone, and is done then. Of an error the row keeps a code or
// a type; the log has the whole of it, with the job's id.
//
// A job is worked at least once: a process that dies, or a database that is away just when a job ends, leaves it half
// done, and it is begun anew some minutes later. Workers must bear that, must end when their context does, and take a
// minute at most unless their Timeout says otherwise; one without any limit (-1) is not taken up again when its process
// dies. Work that is long is cut into small jobs.
//
// It must not know what the jobs are: workers belong to the packages whose rules they follow.
package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/clientele-api/clientele/internal/postgres"
)

const (
	// conns is how many connections a replica's upkeep has: one that listens, one that fetches, one that notes what is
	// done, and one for whoever leads.
	conns = 4
	// jobsAtOnce is how many jobs a replica works at a time. They use the connections that requests use, too.
	jobsAtOnce = 8
	// longJobsAtOnce is how many of those that belong to work which takes long, so that other jobs find a place.
	longJobsAtOnce = 2
	// longPause is how long a replica waits between two looks for such jobs: the steps of one follow each other.
	longPause = 10 * time.Millisecond
	// outgoingJobsAtOnce is how many jobs a replica works at a time that mostly wait for somebody else's server, and
	// outgoingPause how long it waits between two looks for such jobs: they come many at once.
	outgoingJobsAtOnce = 64
	outgoingPause      = 20 * time.Millisecond
	// rescueAfter is when a job whose process died is begun anew, at the earliest, and if it may not take longer than
	// that. It leaves a job that had the usual minute another one to end.
	rescueAfter = 2 * time.Minute
	// finishTime is how long jobs may go on after Run is asked to stop, and cancelTime how long they may take to end
	// after their context has.
	finishTime = 3 * time.Second
	cancelTime = 5 * time.Second

	keepCompleted = 24 * time.Hour
	keepDiscarded = 7 * 24 * time.Hour

	// periodicAttempts is how often a periodic job is tried before it waits for its next time.
	periodicAttempts = 3
)

// Long is the queue of jobs that belong to work which takes long. A job goes there that says so in its args, by
// river.JobArgsWithInsertOpts.
const Long = "long"

// Outgoing is the queue of jobs that send something to somebody else's server and wait for the answer.
const Outgoing = "outgoing"

// Queue takes jobs and, where it is told to run, works them. Workers and periodic jobs are added before the first job is
// enqueued and before it runs.
type Queue struct {
	workers  *river.Workers
	periodic []*river.PeriodicJob
	inserts  *river.Client[pgx.Tx]
	log      *slog.Logger
}

// New makes a queue without any workers.
func New(log *slog.Logger) (*Queue, error) {
	q := &Queue{workers: river.NewWorkers(), log: log}
	var err error
	// Without a pool: it inserts through transactions alone. It knows the workers, to refuse what nobody works.
	q.inserts, err = river.NewClient(riverpgxv5.New(nil), &river.Config{Workers: q.workers, Logger: quiet(log)})
	if err != nil {
		return nil, fmt.Errorf("making the queue: %w", err)
	}
	return q, nil
}

// AddWorker has the jobs of the kind T worked by a worker. A kind has one: a second is a mistake in the program, and
// panics.
func AddWorker[T river.JobArgs](q *Queue, worker river.Worker[T]) { river.AddWorker(q.workers, worker) }

// Every has a job enqueued when work begins and in every interval after it, by one replica at a time. While the last one
// is not done no other is added. One that fails is tried again shortly, and then at the next interval.
func (q *Queue) Every(interval time.Duration, args river.JobArgs) {
	options := &river.InsertOpts{
		MaxAttempts: periodicAttempts,
		UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
			rivertype.JobStateRunning, rivertype.JobStateScheduled,
		}},
	}
	q.periodic = append(q.periodic, river.NewPeriodicJob(river.PeriodicInterval(interval),
		func() (river.JobArgs, *river.InsertOpts) { return args, options }, &river.PeriodicJobOpts{RunOnStart: true}))
}

// Option changes how one job is enqueued. What holds for all jobs of a kind their args say, by river.JobArgsWithInsertOpts.
type Option func(*river.InsertOpts)

// At keeps the job from being worked before the time.
func At(t time.Time) Option { return func(o *river.InsertOpts) { o.ScheduledAt = t } }

// Enqueue adds a job to the transaction. It is worked once that has committed, and was never there if it does not.
func (q *Queue) Enqueue(ctx context.Context, tx *postgres.Tx, args river.JobArgs, options ...Option) error {
	var chosen river.InsertOpts
	for _, option := range options {
		option(&chosen)
	}
	if _, err := q.inserts.InsertTx(ctx, tx.Tx, args, &chosen); err != nil {
		return fmt.Errorf("enqueuing a job of the kind %s: %w", args.Kind(), err)
	}
	return nil
}

// EnqueueAll is Enqueue for many jobs at once.
func (q *Queue) EnqueueAll(ctx context.Context, tx *postgres.Tx, all []river.JobArgs) error {
	jobs := make([]river.InsertManyParams, len(all))
	for i, args := range all {
		jobs[i].Args = args
	}
	if _, err := q.inserts.InsertManyFastTx(ctx, tx.Tx, jobs); err != nil {
		return fmt.Errorf("enqueuing %d jobs: %w", len(all), err)
	}
	return nil
}

// Run works jobs until the context ends. Those that are being worked then have some seconds to end, and are left to the
// next replica if they do not. While the database is away it waits for it. For its own upkeep it opens a small pool of
// connections, which it closes in the end; workers have the program's. An error means that the queue was put together
// wrongly.
func (q *Queue) Run(ctx context.Context, databaseURL string) error {
	pool, err := postgres.Open(ctx, databaseURL, time.Now, postgres.Conns(conns))
	if err != nil {
		return fmt.Errorf("background work: %w", err)
	}
	ended := make(chan error, 1)
	go func() {
		err := q.runClient(ctx, pool)
		pool.Close()
		ended <- err
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(finishTime + cancelTime):
		q.log.ErrorContext(ctx, "background work does not end in time and is left behind")
		go pool.Close() // what is left behind does nothing more; this waits for it
		return nil
	}
}

// runClient starts a client as soon as the database is there, and gives an error when that ends before the context does.
func (q *Queue) runClient(ctx context.Context, pool *postgres.DB) error {
	client, err := q.start(ctx, pool)
	if client == nil {
		return err
	}
	q.log.InfoContext(ctx, "background work has begun")
	<-client.Stopped()
	if ctx.Err() == nil {
		return errors.New("background work ended by itself")
	}
	return nil
}

// start gives a client that runs, or none when the context ends before the database is there. A database that goes away
// meanwhile can keep it for longer than the context.
func (q *Queue) start(ctx context.Context, pool *postgres.DB) (*river.Client[pgx.Tx], error) {
	for attempt := 1; ; attempt++ {
		client, err := river.NewClient(riverpgxv5.New(pool.Pool), q.config())
		if err != nil {
			return nil, fmt.Errorf("setting up background work: %w", err)
		}
		if err = client.Start(ctx); err == nil {
			return client, nil
		}
		if attempt == 1 && ctx.Err() == nil {
			q.log.WarnContext(ctx, "background work cannot begin for now", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil, nil
		case <-time.After(time.Second):
		}
	}
}

func (q *Queue) config() *river.Config {
	return &river.Config{
		Queues: map[string]river.QueueConfig{
			river.QueueDefault: {MaxWorkers: jobsAtOnce},
			Long:               {MaxWorkers: longJobsAtOnce, FetchCooldown: longPause},
			Outgoing:           {MaxWorkers: outgoingJobsAtOnce, FetchCooldown: outgoingPause},
		},
		Workers:      q.workers,
		PeriodicJobs: q.periodic,
		Middleware:   []rivertype.Middleware{river.WorkerMiddlewareFunc(q.work)},
		Logger:       quiet(q.log),

		SoftStopTimeout:             finishTime,
		RescueStuckJobsAfter:        rescueAfter,
		CompletedJobRetentionPeriod: keepCompleted,
		CancelledJobRetentionPeriod: keepCompleted,
		DiscardedJobRetentionPeriod: keepDiscarded,
		// Rebuilding an index waits for every older transaction, and a backup or an export may be one. Broken off, it
		// leaves an index behind that nobody can use and every write keeps up. Autovacuum does for rows that live a day.
		ReindexerIndexNames: []string{},
	}
}
