// Package background says what the program does apart from requests: which workers it has, and what happens when. It puts
// the queue together for the program and for tests alike, and knows no rule itself.
package background

import (
	"context"
	"log/slog"
	"time"

	"github.com/clientele-api/clientele/internal/activation"
	"github.com/clientele-api/clientele/internal/blobs"
	"github.com/clientele-api/clientele/internal/cleanup"
	"github.com/clientele-api/clientele/internal/contract"
	"github.com/clientele-api/clientele/internal/idempotency"
	"github.com/clientele-api/clientele/internal/imports"
	"github.com/clientele-api/clientele/internal/mail"
	"github.com/clientele-api/clientele/internal/messages"
	"github.com/clientele-api/clientele/internal/operations"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/queue"
	"github.com/clientele-api/clientele/internal/secrets"
	"github.com/clientele-api/clientele/internal/sessions"
	"github.com/clientele-api/clientele/internal/throttle"
	"github.com/clientele-api/clientele/internal/tokens"
	"github.com/clientele-api/clientele/internal/webhooks"
)

// sweepInterval is how often rows are deleted that nothing needs any more.
const sweepInterval = 10 * time.Minute

// Options is what workers work with.
type Options struct {
	DB       *postgres.DB
	Keyring  *secrets.Keyring
	Texts    *messages.Texts
	Sender   *mail.Sender // nil when no mail server is set
	Blobs    *blobs.Store
	Contract *contract.Contract
	Webhooks *webhooks.Sender
	BaseURL  string // of the pages that links in mails lead to
	Log      *slog.Logger
}

// Work is the queue, with all of the program's workers, and what adds jobs to it. It takes jobs at once, and works them
// where it is run.
type Work struct {
	Queue      *queue.Queue
	Activation *activation.Service
	Operations *operations.Service
	Webhooks   *webhooks.Service
}

// New puts the program's background work together.
func New(options Options) (Work, error) {
	q, err := queue.New(options.Log)
	if err != nil {
		return Work{}, err
	}
	service := activation.New(activation.Options{
		Keyring: options.Keyring, Texts: options.Texts, Sender: options.Sender, BaseURL: options.BaseURL, Queue: q,
	})
	queue.AddWorker(q, &activation.SendWorker{Service: service, DB: options.DB, Log: options.Log})
	queue.AddWorker(q, &activation.SendResetWorker{Service: service, DB: options.DB, Log: options.Log})
	queue.AddWorker(q, newSweeper(
		func(ctx context.Context) error { return sessions.Sweep(ctx, options.DB) },
		func(ctx context.Context) error { return tokens.Sweep(ctx, options.DB) },
		func(ctx context.Context) error { return throttle.Sweep(ctx, options.DB) },
		func(ctx context.Context) error { return activation.Sweep(ctx, options.DB) },
		func(ctx context.Context) error { return operations.Sweep(ctx, options.DB) },
		func(ctx context.Context) error { return idempotency.Sweep(ctx, options.DB) },
		func(ctx context.Context) error { return webhooks.Sweep(ctx, options.DB) },
		func(ctx context.Context) error {
			_, err := options.Blobs.Sweep(ctx)
			return err
		},
	))
	q.Every(sweepInterval, sweepArgs{})
	runners, err := imports.Runners(options.Blobs, options.Contract)
	if err != nil {
		return Work{}, err
	}
	runners[operations.CustomerBulkDelete] = cleanup.NewRunner(options.DB)
	return Work{
		Queue: q, Activation: service, Operations: operations.New(options.DB, q, options.Blobs, options.Log, runners),
		Webhooks: webhooks.New(webhooks.Options{
			DB: options.DB, Keyring: options.Keyring, Queue: q, Sender: options.Webhooks, Log: options.Log,
		}),
	}, nil
}
