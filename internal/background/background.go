// Package background says what the program does apart from requests: which workers it has, and what happens when. It puts
// the queue together for the program and for tests alike, and knows no rule itself.
package background

import (
	"context"
	"log/slog"
	"time"

	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/queue"
	"github.com/clientele-api/clientele/internal/sessions"
	"github.com/clientele-api/clientele/internal/tokens"
)

// sweepInterval is how often rows are deleted that nothing needs any more.
const sweepInterval = 10 * time.Minute

// Options is what workers work with.
type Options struct {
	DB  *postgres.DB
	Log *slog.Logger
}

// NewQueue makes the program's queue, with all of its workers. It takes jobs at once, and works them where it is run.
func NewQueue(options Options) (*queue.Queue, error) {
	q, err := queue.New(options.Log)
	if err != nil {
		return nil, err
	}
	queue.AddWorker(q, newSweeper(
		func(ctx context.Context) error { return sessions.Sweep(ctx, options.DB) },
		func(ctx context.Context) error { return tokens.Sweep(ctx, options.DB) },
	))
	q.Every(sweepInterval, sweepArgs{})
	return q, nil
}
