// Package webhooks sends events to the URLs that asked for them, signed as Standard Webhooks has it: each at least once,
// and never to an address that is not public, unless the installation allows it. It reads the change log as any reader
// does, and keeps how far it has come in the database, together with the jobs that send: nothing is lost and nothing is
// skipped, whichever replica dies at whichever moment. What an event says is read when it is sent, so that what was erased
// meanwhile is not told any more. It decides nothing about who may make an endpoint.
package webhooks

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/queue"
	"github.com/clientele-api/clientele/internal/secrets"
)

// system is who switches endpoints off that nothing arrives at, or whose owner has ended.
var system = postgres.Change{Actor: postgres.Actor{Kind: access.KindSystem, Name: "system"}}

// Options is what webhooks work with.
type Options struct {
	DB      *postgres.DB
	Keyring *secrets.Keyring
	Queue   *queue.Queue
	Sender  *Sender
	Log     *slog.Logger
}

// Service keeps endpoints, and sends to them.
type Service struct {
	db      *postgres.DB
	keyring *secrets.Keyring
	queue   *queue.Queue
	sender  *Sender
	log     *slog.Logger
	places  places

	attempts *prometheus.HistogramVec // by outcome
}

// New makes a service. Its worker is added to the queue.
func New(options Options) *Service {
	s := &Service{
		db: options.DB, keyring: options.Keyring, queue: options.Queue, sender: options.Sender, log: options.Log,
		attempts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "clientele_webhook_attempt_duration_seconds",
			Help:    "How long attempts at deliveries to webhook endpoints took, by outcome: delivered, or the failure.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 14),
		}, []string{"outcome"}),
	}
	queue.AddWorker(s.queue, &deliveryWorker{service: s})
	queue.AddWorker(s.queue, &settleWorker{db: s.db})
	s.queue.Every(settleInterval, settleArgs{})
	return s
}

// Attempts measures what this process has sent.
func (s *Service) Attempts() prometheus.Collector { return s.attempts }

const (
	// keepDeliveries is how long it can be seen what was sent.
	keepDeliveries = 14 * 24 * time.Hour
	sweptAtOnce    = 10_000
)

// Sweep deletes deliveries that are finished and old.
func Sweep(ctx context.Context, database *postgres.DB) error {
	before := database.Now().Add(-keepDeliveries)
	for {
		deleted, err := db.New().WebhookDeliveryDeleteOld(ctx, database, before, sweptAtOnce)
		if err != nil || deleted < sweptAtOnce {
			return err
		}
	}
}
