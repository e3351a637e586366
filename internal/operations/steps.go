package operations

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/bulk"
	"github.com/clientele-api/clientele/internal/postgres"
)

// Runner knows how to do a kind of operation.
type Runner interface {
	// Next prepares the next step, without a transaction: it reads what the step is about. A *Failure ends the operation.
	Next(ctx context.Context, operation db.Operation) (Step, error)
}

// Step does what was prepared, in a transaction, and tells how far the operation got. It is run again when the transaction
// fails for what others do at the same moment.
type Step func(ctx context.Context, tx *postgres.Tx) (Progress, error)

// Progress is what a step did.
type Progress struct {
	Place     any      // where the next step goes on, kept as JSON; nil when there is nothing left to do
	Long      bool     // whether the next step may take more than a minute
	Failure   *Failure // why the operation ends here; nil unless it does
	RowsTotal *int64   // nil where it is not known, or known already
	Columns   []string // the headers of the file; nil where there are none, or they are known already
	BytesRead int64    // of the file, from its beginning
	Refusals  []Refusal

	Read, Created, Updated, Deleted, Skipped int64 // rows, in this step
}

// Failure is why an operation as a whole failed.
type Failure struct {
	Code    string // for programs; stable
	Message string // for people; safe to show
}

// Error tells the failure for the log.
func (f *Failure) Error() string { return f.Code + ": " + f.Message }

// WithoutLimits lets the statements of a long step take as long as they do.
func WithoutLimits(ctx context.Context, tx *postgres.Tx) error {
	_, err := tx.Exec(ctx, `SELECT set_config('statement_timeout', '0', true),
		set_config('idle_in_transaction_session_timeout', '10min', true)`)
	return err
}

// Open tells a step that takes long whether its operation still goes on: the error of one that was cancelled ends the
// step, too.
func Open(ctx context.Context, tx *postgres.Tx, id uuid.UUID) error {
	operation, err := db.New().OperationGet(ctx, tx, id)
	if err == nil && operation.FinishedAt != nil {
		err = errElsewhere
	}
	return err
}

// errElsewhere tells that somebody else does, or did, the step, or that the operation is over.
var errElsewhere = errors.New("operations: the step is not ours to do")

// raceAttempts is how often a step is done anew because others wrote the same resources meanwhile.
const raceAttempts = 5

// step does a step of an operation, should it be the next one.
func (s *Service) step(ctx context.Context, id uuid.UUID, number int64) error {
	operation, err := db.New().OperationGet(ctx, s.db, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return errElsewhere
	}
	if err != nil {
		return err
	}
	if operation.FinishedAt != nil || operation.Step != number {
		return errElsewhere
	}
	runner := s.runners[operation.Kind]
	if runner == nil {
		return fmt.Errorf("nobody runs operations of the kind %s", operation.Kind)
	}
	next, err := runner.Next(ctx, operation)
	var failure *Failure
	if errors.As(err, &failure) {
		return s.fail(ctx, operation, failure)
	}
	if err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		err := s.db.Change(ctx, changeOf(operation), func(tx *postgres.Tx) error { return s.take(ctx, tx, operation, next) })
		// What a row meets while it is written, and was not there when it was judged, somebody else has just written.
		if bulk.RowFault(err) == nil || attempt == raceAttempts {
			return err
		}
	}
}

// changeOf says who makes the changes of an operation: whoever started it, and no further than that one could.
func changeOf(operation db.Operation) postgres.Change {
	change := postgres.Change{Reach: operation.Reach, Actor: postgres.Actor{
		Kind: operation.CreatedByKind, ID: operation.CreatedByID, Name: operation.CreatedByName,
	}}
	if operation.RequestID != nil {
		change.RequestID = *operation.RequestID
	}
	return change
}

// take does a step in its transaction, and notes that it is done.
func (s *Service) take(ctx context.Context, tx *postgres.Tx, operation db.Operation, step Step) error {
	locked, err := db.New().OperationTryLock(ctx, tx, operation.ID)
	if err != nil {
		return err
	}
	if now, err := db.New().OperationGet(ctx, tx, operation.ID); err != nil || !locked || now.Step != operation.Step || now.FinishedAt != nil {
		return errors.Join(err, errElsewhere)
	}
	progress, err := step(ctx, tx)
	if err != nil {
		return err
	}
	if err := writeRefusals(ctx, tx, operation, progress.Refusals); err != nil {
		return err
	}
	if operation.RowsRefused+int64(len(progress.Refusals)) > maxRefusals && progress.Failure == nil {
		progress.Failure = &Failure{
			Code: "too_many_refused", Message: fmt.Sprintf("More than %d rows were refused.", maxRefusals),
		}
	}
	place, err := json.Marshal(progress.Place)
	if err != nil {
		return fmt.Errorf("encoding the place of an operation: %w", err)
	}
	advanced, err := db.New().OperationAdvance(ctx, tx, db.OperationAdvanceParams{
		ID: operation.ID, Step: operation.Step, Place: place, IsLong: progress.Long, StartedAt: &tx.Now, UpdatedAt: s.db.Now(),
		Columns: progress.Columns, RowsTotal: progress.RowsTotal,
		RowsRead: progress.Read, RowsCreated: progress.Created, RowsUpdated: progress.Updated,
		RowsDeleted: progress.Deleted, RowsSkipped: progress.Skipped, RowsRefused: int64(len(progress.Refusals)),
		BytesRead: progress.BytesRead,
	})
	switch {
	case err != nil:
		return err
	case advanced == 0:
		return errElsewhere
	case progress.Failure != nil:
		return s.finish(ctx, tx, operation, Failed, progress.Failure)
	case progress.Place == nil:
		return s.finish(ctx, tx, operation, Succeeded, nil)
	}
	return s.queue.Enqueue(ctx, tx, stepArgs{OperationID: operation.ID, Step: operation.Step + 1, Long: progress.Long})
}

// fail ends an operation that cannot go on.
func (s *Service) fail(ctx context.Context, operation db.Operation, why *Failure) error {
	return s.db.Change(ctx, changeOf(operation), func(tx *postgres.Tx) error {
		return s.finish(ctx, tx, operation, Failed, why)
	})
}

// runPause is how long Run waits for a replica that does a step.
const runPause = 200 * time.Millisecond

// Run does an operation to its end in this process, beside replicas that may do steps of it too, and gives it as it is then.
// Between steps it tells how far that is.
func (s *Service) Run(ctx context.Context, id uuid.UUID, tell func(db.Operation)) (db.Operation, error) {
	for {
		operation, err := db.New().OperationGet(ctx, s.db, id)
		if err != nil {
			return operation, postgres.Translate(err)
		}
		tell(operation)
		if operation.FinishedAt != nil {
			return operation, nil
		}
		err = s.step(ctx, id, operation.Step)
		if errors.Is(err, errElsewhere) {
			select {
			case <-time.After(runPause):
			case <-ctx.Done():
				return operation, ctx.Err()
			}
			continue
		}
		if err != nil {
			return operation, err
		}
	}
}
