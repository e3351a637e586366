package webhooks

import (
	"context"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
)

// The states of a delivery. The last two are final.
const (
	pending   = "pending"
	delivered = "delivered"
	failed    = "failed"
)

// TestType is the type of the event that is sent as a test.
const TestType = events.WebhookEndpoint + ".test"

// Test has an event sent that is about nothing.
func (s *Service) Test(ctx context.Context, tx *postgres.Tx, endpointID uuid.UUID) (db.WebhookDelivery, error) {
	return s.begin(ctx, tx, db.WebhookDeliveryInsertParams{
		EndpointID: endpointID, EventID: uuid.Must(uuid.NewV7()), EventType: TestType,
	})
}

// Redeliver has an event sent once more. A delivery that goes on still is given up for the new one.
func (s *Service) Redeliver(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (db.WebhookDelivery, error) {
	before, err := db.New().WebhookDeliveryGet(ctx, tx, id)
	if err != nil {
		return before, err
	}
	again, err := s.begin(ctx, tx, db.WebhookDeliveryInsertParams{
		EndpointID: before.EndpointID, EventID: before.EventID, EventType: before.EventType, Position: before.Position,
		RedeliveryOf: &before.ID,
	})
	if err != nil {
		return again, err
	}
	reason := sentAnew
	return again, db.New().WebhookDeliveryFail(ctx, tx, &reason, &tx.Now, id)
}

// begin adds a delivery to an endpoint that is on, with its job.
func (s *Service) begin(
	ctx context.Context, tx *postgres.Tx, delivery db.WebhookDeliveryInsertParams,
) (db.WebhookDelivery, error) {
	endpoint, err := db.New().WebhookEndpointGetForKeyShare(ctx, tx, delivery.EndpointID)
	if err != nil {
		return db.WebhookDelivery{}, err
	}
	if !endpoint.Enabled {
		return db.WebhookDelivery{}, &fault.Error{
			Kind: fault.Conflict, Code: "endpoint_disabled", Detail: "The webhook endpoint is off. Switch it on first.",
		}
	}
	delivery.ID, delivery.CreatedAt = uuid.Must(uuid.NewV7()), &tx.Now
	begun, err := db.New().WebhookDeliveryInsert(ctx, tx, delivery)
	if err != nil {
		return begun, err
	}
	return begun, s.queue.Enqueue(ctx, tx, deliveryArgs{DeliveryID: begun.ID})
}

// GetDelivery reads a delivery.
func GetDelivery(ctx context.Context, database db.DBTX, id uuid.UUID) (db.WebhookDelivery, error) {
	return db.New().WebhookDeliveryGet(ctx, database, id)
}

// ListDeliveries reads a page of what was sent to an endpoint, the newest first; with a state, only what is in it.
func ListDeliveries(
	ctx context.Context, database *postgres.DB, endpointID uuid.UUID, state *string, page paging.Request,
) (paging.Page[db.WebhookDelivery], error) {
	if _, err := Get(ctx, database, endpointID); err != nil {
		return paging.Page[db.WebhookDelivery]{}, err
	}
	return paging.Read(page, paging.Query[db.WebhookDelivery, paging.ByTime]{
		Cursors: paging.CursorsOf("webhook deliveries", endpointID, state),
		Start:   paging.Newest,
		Rows: func(before paging.ByTime, limit int32) ([]db.WebhookDelivery, error) {
			return db.New().WebhookDeliveryListNewestFirst(ctx, database, db.WebhookDeliveryListNewestFirstParams{
				EndpointID: endpointID, BeforeCreatedAt: before.CreatedAt, BeforeID: before.ID, State: state, RowLimit: limit,
			})
		},
		PlaceOf: func(delivery db.WebhookDelivery) paging.ByTime {
			return paging.ByTime{CreatedAt: delivery.CreatedAt, ID: delivery.ID}
		},
		Count: func() (int64, error) { return db.New().WebhookDeliveryCount(ctx, database, endpointID, state) },
	})
}
