package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/clientele-api/clientele/internal/fault"
)

// work works one job, logs what became of it, and gives back what its row may say of that.
func (q *Queue) work(ctx context.Context, job *rivertype.JobRow, next func(context.Context) error) error {
	err := recovering(ctx, next)
	if err == nil {
		return nil
	}
	level, message := slog.LevelWarn, "a job failed and will be tried again"
	switch {
	case errors.Is(err, &river.JobSnoozeError{}):
		level, message = slog.LevelDebug, "a job put itself off"
	case errors.Is(err, &river.JobCancelError{}):
		message = "a job gave up"
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		level, message = slog.LevelInfo, "a job was broken off"
	case job.Attempt >= job.MaxAttempts:
		level, message = slog.LevelError, "a job failed for good"
	}
	q.log.Log(ctx, level, message, "job_id", job.ID, "kind", job.Kind, "attempt", job.Attempt, "error", err)
	return recordable(err)
}

// recovering makes an error of a panic, since River would put its value into the row.
func recovering(ctx context.Context, do func(context.Context) error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value: value, stack: debug.Stack()}
		}
	}()
	return do(ctx)
}

type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", p.value, p.stack) }

// recordable is what a job's row may say of an error. What River acts on stays what it is: a job that puts itself off or
// gives up, a context that ended.
func recordable(err error) error {
	var snooze *river.JobSnoozeError
	var cancel *river.JobCancelError
	switch {
	case errors.As(err, &snooze):
		return snooze
	case errors.As(err, &cancel):
		return river.JobCancel(errors.New(describe(cancel.Unwrap())))
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	}
	return errors.New(describe(err))
}

// describe tells an error by codes and types. Texts hold values: PostgreSQL's the row that was refused, a mail server's
// the address, a client's the URL.
func describe(err error) string {
	switch known := err.(type) { //nolint:errorlint // it goes down the chain itself, to the first error that it knows
	case nil:
		return "no error"
	case *fault.Error:
		return known.Code
	case *pgconn.PgError:
		return strings.TrimSpace("PostgreSQL " + known.Code + " " + known.ConstraintName)
	case *panicError:
		return fmt.Sprintf("panic: %T", known.value)
	case interface{ Unwrap() []error }:
		var parts []string
		for _, part := range known.Unwrap() {
			parts = append(parts, describe(part))
		}
		return strings.Join(parts, ", ")
	case interface{ Unwrap() error }:
		if cause := known.Unwrap(); cause != nil {
			return describe(cause)
		}
	}
	return fmt.Sprintf("%T", err)
}
