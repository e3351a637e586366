package webhooks

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/postgres"
)

const (
	// deliveriesAtOnce is how many deliveries a transaction adds, at most and about.
	deliveriesAtOnce = 5000
	// behindPause is how long a replica waits that is not through with the events, since another one is at them or
	// something went wrong.
	behindPause = time.Second
)

// Follow gives events their deliveries until the context ends, as the sequencer tells of them. Every replica follows; a
// lock lets one at a time through.
func (s *Service) Follow(ctx context.Context, database *postgres.DB, sequencer *events.Sequencer) {
	var seen int64
	failing := false
	for {
		last, moved := sequencer.Moved(ctx, seen)
		if !moved {
			return
		}
		through, err := s.fanOut(ctx, database)
		if err != nil && ctx.Err() == nil && !failing {
			s.log.WarnContext(ctx, "events are not sent to webhooks for now", "error", err)
		}
		failing = err != nil
		if through {
			seen = last
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(behindPause):
		}
	}
}

// fanOut gives all events their deliveries that have a position by now, and tells whether it got through.
func (s *Service) fanOut(ctx context.Context, database *postgres.DB) (through bool, err error) {
	// Most installations have no endpoint, which one cheap look tells.
	if exist, err := db.New().WebhookEndpointExistEnabled(ctx, database); err != nil || !exist {
		return err == nil, err
	}
	for {
		mine, more := false, false
		err := database.Change(ctx, system, func(tx *postgres.Tx) (err error) {
			if mine, err = db.New().WebhookCursorTryLock(ctx, tx); err != nil || !mine {
				return err
			}
			more, err = s.fanOutSome(ctx, tx)
			return err
		})
		if err != nil || !mine || !more {
			return err == nil && mine, err
		}
	}
}

// fanOutSome gives the next events their deliveries. These, their jobs and the cursor are there together or not at all.
func (s *Service) fanOutSome(ctx context.Context, tx *postgres.Tx) (more bool, err error) {
	cursor, err := db.New().WebhookCursorGet(ctx, tx)
	if err != nil {
		return false, err
	}
	endpoints, err := db.New().WebhookEndpointListEnabledForKeyShare(ctx, tx)
	if err != nil || len(endpoints) == 0 {
		return false, err
	}
	// What happened while there was none to be sent to is passed over.
	oldest := slices.MinFunc(endpoints, func(a, b db.WebhookEndpointListEnabledForKeyShareRow) int {
		return int(min(max(a.AfterPosition-b.AfterPosition, -1), 1))
	})
	limit := int32(max(1, deliveriesAtOnce/len(endpoints)))
	headers, err := db.New().EventListHeaders(ctx, tx, max(cursor, oldest.AfterPosition), limit)
	if err != nil || len(headers) == 0 {
		return false, err
	}
	if err := s.add(ctx, tx, deliveriesOf(tx, headers, endpoints)); err != nil {
		return false, err
	}
	last := headers[len(headers)-1].Position
	return len(headers) == int(limit), db.New().WebhookCursorMove(ctx, tx, last)
}

// deliveriesOf gives the deliveries of events to those endpoints that chose them and may be shown them.
func deliveriesOf(
	tx *postgres.Tx, headers []db.EventListHeadersRow, endpoints []db.WebhookEndpointListEnabledForKeyShareRow,
) []db.WebhookDeliveryCopyParams {
	filters := make([]events.Filter, len(endpoints))
	for i, endpoint := range endpoints {
		filters[i] = events.NewFilter(endpoint.EventTypes, func(scope access.Scope) bool {
			return slices.Contains(endpoint.Scopes, string(scope))
		})
	}
	var all []db.WebhookDeliveryCopyParams
	for _, header := range headers {
		for i, endpoint := range endpoints {
			if header.Position > endpoint.AfterPosition && filters[i].Lets(header) {
				all = append(all, db.WebhookDeliveryCopyParams{
					ID: uuid.Must(uuid.NewV7()), EndpointID: endpoint.ID, EventID: header.ID, EventType: header.Type,
					Position: &header.Position, NextAttemptAt: &tx.Now, CreatedAt: tx.Now,
				})
			}
		}
	}
	return all
}

func (s *Service) add(ctx context.Context, tx *postgres.Tx, all []db.WebhookDeliveryCopyParams) error {
	if len(all) == 0 {
		return nil
	}
	if _, err := db.New().WebhookDeliveryCopy(ctx, tx, all); err != nil {
		return err
	}
	jobs := make([]river.JobArgs, len(all))
	for i, delivery := range all {
		jobs[i] = deliveryArgs{DeliveryID: delivery.ID}
	}
	return s.queue.EnqueueAll(ctx, tx, jobs)
}
