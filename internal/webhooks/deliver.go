package webhooks

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/queue"
	"github.com/clientele-api/clientele/internal/secrets"
)

// pauses are how long after an attempt the next one comes, which makes three days altogether. Up to a tenth is added to
// each, so that those who failed together do not all come back together.
var pauses = []time.Duration{
	5 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	24 * time.Hour, 26 * time.Hour,
}

// giveUpAfter is how long nothing may arrive at an endpoint, though it was tried, before it is switched off.
const giveUpAfter = 3 * 24 * time.Hour

const (
	// jobAttempts is how often a job may fail for reasons of ours, such as a database that is away; those of the receiver
	// are counted in the delivery. It is as good as for ever: a delivery is not lost.
	jobAttempts = 1000
	jobPause    = 30 * time.Second
	jobTime     = 45 * time.Second
)

// deliveryArgs is the job of sending something.
type deliveryArgs struct {
	DeliveryID uuid.UUID `json:"delivery_id"`
}

// Kind names the job.
func (deliveryArgs) Kind() string { return "webhook_delivery" }

// InsertOpts keeps slow receivers from taking the places of all other work.
func (deliveryArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: jobAttempts, Queue: queue.Outgoing}
}

type deliveryWorker struct {
	river.WorkerDefaults[deliveryArgs]
	service *Service
}

// Timeout says how long an attempt may take.
func (w *deliveryWorker) Timeout(*river.Job[deliveryArgs]) time.Duration { return jobTime }

// NextRetry says when a job is tried again that failed for reasons of ours.
func (w *deliveryWorker) NextRetry(*river.Job[deliveryArgs]) time.Time {
	return time.Now().Add(jobPause)
}

// Work makes an attempt, and puts itself off until the next one.
func (w *deliveryWorker) Work(ctx context.Context, job *river.Job[deliveryArgs]) error {
	again, err := w.service.deliver(ctx, job.Args.DeliveryID)
	if err == nil && again > 0 {
		return river.JobSnooze(again)
	}
	return err
}

// deliver makes an attempt at a delivery that is due, and tells when to come again; 0 when it is finished.
func (s *Service) deliver(ctx context.Context, id uuid.UUID) (again time.Duration, err error) {
	row, err := db.New().WebhookDeliveryGetWithEndpoint(ctx, s.db, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil // the endpoint is deleted
	}
	if err != nil {
		return 0, err
	}
	delivery := row.WebhookDelivery
	if delivery.State != pending {
		return 0, nil
	}
	var client *db.ApiClient
	if row.ClientID != nil {
		client = &db.ApiClient{CustomerID: row.ClientCustomerID, ExpiresAt: row.ClientExpiresAt, Scopes: row.ClientScopes}
	}
	endpoint, err := settled(ctx, s.db, row.WebhookEndpoint, client)
	if err != nil {
		return 0, err
	}
	if !endpoint.Enabled {
		return 0, s.fail(ctx, id, endpointOff)
	}
	// A job may come too early: when the one before it was done, and its process died before that was noted.
	if due := delivery.NextAttemptAt.Sub(s.db.Now()); due > time.Second {
		return due, nil
	}
	taken, later := s.places.take(ctx, endpoint.ID, endpoint.FailingSince != nil)
	if taken == nil {
		return later, ctx.Err()
	}
	defer taken.free()
	event, err := s.event(ctx, delivery, endpoint)
	if err != nil {
		return 0, err
	}
	if delivery.Position != nil && !mayBeShown(event, endpoint) {
		return 0, s.fail(ctx, id, scopeMissing)
	}
	m := message{url: endpoint.Url, id: delivery.EventID.String(), at: s.db.Now()}
	if m.body, err = events.Encode(event); err != nil {
		return 0, err
	}
	var made attempt
	m.signatures, err = sign(s.keyring, endpoint, m.id, m.at, m.body)
	switch {
	case errors.Is(err, secrets.ErrUnreadable): // by this replica: others may have the key, and this one later
		made.failure = secretForgotten
	case err != nil:
		return 0, err
	default:
		if made, err = s.sender.send(ctx, m); err != nil {
			return 0, err
		}
	}
	taken.sent(made)
	s.attempts.WithLabelValues(cmp.Or(made.failure, delivered)).Observe(made.took.Seconds())
	return s.conclude(ctx, delivery, endpoint, m.at, made)
}

func (s *Service) fail(ctx context.Context, id uuid.UUID, failure string) error {
	now := s.db.Now()
	return db.New().WebhookDeliveryFail(ctx, s.db, &failure, &now, id)
}

// mayBeShown tells whether what an endpoint may be sent has the event in it: by now, since it may have been sent elsewhere
// meanwhile by somebody who may see less, or belong to an API client that has lost scopes.
func mayBeShown(event db.Event, endpoint db.WebhookEndpoint) bool {
	return slices.Contains(endpoint.Scopes, string(events.ScopeOf(event.ResourceKind)))
}

// event gives what a delivery is about, as the change log has it now.
func (s *Service) event(ctx context.Context, delivery db.WebhookDelivery, endpoint db.WebhookEndpoint) (db.Event, error) {
	if delivery.Position != nil {
		return db.New().EventGetByPosition(ctx, s.db, delivery.Position)
	}
	return db.Event{
		ID: delivery.EventID, Type: delivery.EventType, ResourceKind: events.WebhookEndpoint, ResourceID: endpoint.ID,
		Version: endpoint.Version, ActorKind: access.KindSystem, ActorName: system.Actor.Name, At: delivery.CreatedAt,
	}, nil
}

// conclude notes what became of an attempt, and what that says of the endpoint. It is noted though the program is about
// to end: what has arrived need not arrive twice.
func (s *Service) conclude(
	ctx context.Context, delivery db.WebhookDelivery, endpoint db.WebhookEndpoint, at time.Time, made attempt,
) (again time.Duration, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	milliseconds := int32(made.took.Milliseconds())
	noted := db.WebhookDeliveryRecordParams{
		ID: delivery.ID, Position: delivery.Position, State: delivered, LastAttemptAt: &at, Milliseconds: &milliseconds,
		StatusCode: made.status, Answer: made.answer, Explanation: made.explanation,
	}
	ended := s.db.Now()
	noted.FinishedAt = &ended
	if made.failure != "" {
		noted.Failure, noted.State = &made.failure, failed
	}
	if made.failure != "" && made.failure != gone && int(delivery.Attempts) < len(pauses) {
		pause := pauses[delivery.Attempts]
		again = pause + rand.N(pause/10)
		next := ended.Add(again)
		noted.State, noted.FinishedAt, noted.NextAttemptAt = pending, nil, &next
	}
	switch failingSince, err := db.New().WebhookDeliveryRecord(ctx, s.db, noted); {
	case errors.Is(err, pgx.ErrNoRows): // somebody else has ended it meanwhile
		again = 0
	case err != nil:
		return 0, err
	default:
		endpoint.FailingSince = failingSince
	}
	return again, s.judge(ctx, endpoint, ended, made.failure)
}

// judge draws from an attempt, when it has ended, what it says of the endpoint. Most attempts say nothing new.
func (s *Service) judge(ctx context.Context, endpoint db.WebhookEndpoint, at time.Time, failure string) error {
	switch {
	case failure == "" && endpoint.FailingSince == nil:
		return nil
	case failure == "":
		return db.New().WebhookEndpointArrives(ctx, s.db, endpoint.ID)
	case failure == gone:
		return s.disable(ctx, endpoint, gone)
	case endpoint.FailingSince == nil:
		return db.New().WebhookEndpointFails(ctx, s.db, &at, endpoint.ID)
	case at.Sub(*endpoint.FailingSince) >= giveUpAfter:
		return s.disable(ctx, endpoint, failing)
	}
	return nil
}
