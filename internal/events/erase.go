package events

import (
	"context"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/postgres"
)

// EraseCustomers makes the change log forget deleted customers: what changed of them and of what belonged to them, what
// their people were called, and what receivers of webhooks answered. That it happened stays.
//
// In here, and below, the events come first: an answer that is noted beside this waits for them, or is there by then.
func EraseCustomers(ctx context.Context, tx *postgres.Tx, customerIDs []uuid.UUID) error {
	if err := db.New().EventEraseCustomers(ctx, tx, customerIDs); err != nil {
		return err
	}
	return db.New().WebhookDeliveryEraseCustomers(ctx, tx, customerIDs)
}

// EraseResource makes the change log forget what it knows of a single resource of a customer.
func EraseResource(ctx context.Context, tx *postgres.Tx, customerID uuid.UUID, kind string, id uuid.UUID) error {
	if err := db.New().EventEraseResource(ctx, tx, &customerID, kind, id); err != nil {
		return err
	}
	return db.New().WebhookDeliveryEraseResource(ctx, tx, &customerID, kind, id)
}

// EraseActor makes the change log forget what a login that is gone was called. What it did stays.
func EraseActor(ctx context.Context, tx *postgres.Tx, customerID, loginID uuid.UUID) error {
	if err := db.New().EventEraseActor(ctx, tx, &customerID, &loginID); err != nil {
		return err
	}
	return db.New().WebhookDeliveryEraseActor(ctx, tx, &customerID, &loginID)
}
