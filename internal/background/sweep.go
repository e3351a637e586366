package background

import (
	"context"
	"errors"

	"github.com/riverqueue/river"
)

// sweepArgs is the job that deletes what has expired.
type sweepArgs struct{}

// Kind names the job.
func (sweepArgs) Kind() string { return "sweep" }

type sweeper struct {
	river.WorkerDefaults[sweepArgs]
	sweeps []func(context.Context) error
}

func newSweeper(sweeps ...func(context.Context) error) *sweeper { return &sweeper{sweeps: sweeps} }

// Work sweeps everywhere, whether or not it fails somewhere.
func (s *sweeper) Work(ctx context.Context, _ *river.Job[sweepArgs]) error {
	var errs []error
	for _, sweep := range s.sweeps {
		errs = append(errs, sweep(ctx))
	}
	return errors.Join(errs...)
}
