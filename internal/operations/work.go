package operations

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/queue"
)

const (
	// stepAttempts is how often a step is tried before its operation fails.
	stepAttempts = 10
	// longStep is how long a step may take that is announced as a long one.
	longStep = 6 * time.Hour
)

// stepArgs is the job of doing a step of an operation.
type stepArgs struct {
	OperationID uuid.UUID `json:"operation_id"`
	Step        int64     `json:"step"` // that is the next one, or the job is about nothing any more
	Long        bool      `json:"long"`
}

// Kind names the job.
func (stepArgs) Kind() string { return "operation_step" }

// InsertOpts keeps operations from taking the places of all other work.
func (stepArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: stepAttempts, Queue: queue.Long}
}

type stepWorker struct {
	river.WorkerDefaults[stepArgs]
	service *Service
}

// Timeout says how long a step may take.
func (w *stepWorker) Timeout(job *river.Job[stepArgs]) time.Duration {
	if job.Args.Long {
		return longStep
	}
	return 0 // the queue's own
}

// NextRetry says when a step that failed is tried again.
func (w *stepWorker) NextRetry(job *river.Job[stepArgs]) time.Time {
	return time.Now().Add(min(time.Duration(job.Attempt*job.Attempt)*time.Second, time.Minute))
}

// Work does a step. When all attempts failed, so has the operation.
func (w *stepWorker) Work(ctx context.Context, job *river.Job[stepArgs]) error {
	err := w.service.step(ctx, job.Args.OperationID, job.Args.Step)
	if errors.Is(err, errElsewhere) {
		return nil
	}
	if err != nil && !errors.Is(ctx.Err(), context.Canceled) && job.Attempt >= job.MaxAttempts {
		err = errors.Join(err, w.service.giveUp(context.WithoutCancel(ctx), job.Args))
	}
	return err
}

// giveUp ends an operation that goes on failing for reasons that are not its own.
func (s *Service) giveUp(ctx context.Context, args stepArgs) error {
	operation, err := db.New().OperationGet(ctx, s.db, args.OperationID)
	if err != nil || operation.Step != args.Step {
		return err
	}
	return s.fail(ctx, operation, &Failure{
		Code: "internal", Message: "Something went wrong on our side. What was done until then stays.",
	})
}

// resumeInterval is how often operations are looked for that nobody goes on with, and stalledAfter is since when nothing
// has happened with those: a step takes less than that.
const (
	resumeInterval = 10 * time.Second
	stalledAfter   = 20 * time.Second
)

// Resume goes on, until the context ends, with operations whose replica died. Every replica looks for them: a job would have
// to wait for the queue to find out that the replica which worked the last such job is the one that died.
func (s *Service) Resume(ctx context.Context) {
	ticker := time.NewTicker(resumeInterval)
	defer ticker.Stop()
	for {
		if err := s.resume(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "operations that stand still are not looked for, for now", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// stalled are operations without a job that is to be worked. The job of a replica that died still counts as running for a
// while, so that running jobs say nothing: should one really run, the operation is locked, and another job has no effect.
// This is SQL in Go since sqlc does not know the tables of the queue.
const stalled = `SELECT id, step, is_long FROM operations WHERE finished_at IS NULL AND updated_at < $1 AND NOT EXISTS (
		SELECT FROM river_job WHERE kind = 'operation_step' AND args->>'operation_id' = operations.id::text
			AND state IN ('available', 'pending', 'retryable', 'scheduled'))`

// resume gives each of them a job again.
func (s *Service) resume(ctx context.Context) error {
	rows, err := s.db.Query(ctx, stalled, s.db.Now().Add(-stalledAfter))
	if err != nil {
		return err
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[struct {
		ID     uuid.UUID
		Step   int64
		IsLong bool
	}])
	if err != nil || len(found) == 0 {
		return err
	}
	return s.db.Change(ctx, postgres.Change{}, func(tx *postgres.Tx) error {
		for _, one := range found {
			if err := s.queue.Enqueue(ctx, tx, stepArgs{OperationID: one.ID, Step: one.Step, Long: one.IsLong}); err != nil {
				return err
			}
		}
		return nil
	})
}

// cleanUpArgs is the job that deletes what an operation needed while it ran.
type cleanUpArgs struct {
	OperationID uuid.UUID `json:"operation_id"`
	SpoolKey    *string   `json:"spool_key"`
}

// Kind names the job.
func (cleanUpArgs) Kind() string { return "operation_clean_up" }

type cleanUpWorker struct {
	river.WorkerDefaults[cleanUpArgs]
	service *Service
}

// deletedAtOnce is how many rows a statement deletes.
const deletedAtOnce = 10_000

// Work deletes the file that was imported, and the notes of the steps.
func (w *cleanUpWorker) Work(ctx context.Context, job *river.Job[cleanUpArgs]) error {
	if key := job.Args.SpoolKey; key != nil {
		if err := w.service.blobs.Delete(ctx, *key); err != nil {
			return err
		}
	}
	for _, remove := range []func(context.Context, db.DBTX, uuid.UUID, int32) (int64, error){
		db.New().OperationKeyDelete, db.New().OperationItemDelete,
	} {
		err := deleteAll(func() (int64, error) { return remove(ctx, w.service.db, job.Args.OperationID, deletedAtOnce) })
		if err != nil {
			return err
		}
	}
	return nil
}

// deleteAll deletes until there is nothing left to delete.
func deleteAll(some func() (int64, error)) error {
	for {
		deleted, err := some()
		if err != nil || deleted < deletedAtOnce {
			return err
		}
	}
}

const (
	// keepRefusals is how long refused rows can be read after their operation, and keepOperations how long the operation.
	keepRefusals   = 7 * 24 * time.Hour
	keepOperations = 90 * 24 * time.Hour

	sweepPage = 500
)

// Sweep deletes what operations refused a week ago, and operations that ended three months ago.
func Sweep(ctx context.Context, database *postgres.DB) error {
	before := database.Now().Add(-keepRefusals)
	err := deleteAll(func() (int64, error) {
		return db.New().OperationRefusalDeleteOld(ctx, database, &before, deletedAtOnce)
	})
	if err != nil {
		return fmt.Errorf("deleting refused rows: %w", postgres.Translate(err))
	}
	before = database.Now().Add(-keepOperations)
	old, err := db.New().OperationListFinishedBefore(ctx, database, &before, sweepPage)
	for _, id := range old {
		err = errors.Join(err, db.New().OperationDelete(ctx, database, id))
	}
	return err
}
