package events

import (
	"context"
	"fmt"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/postgres"
)

// Restore writes what happened to a customer before it was restored, in its order, for its history. None of it ever comes
// into the feed.
func Restore(ctx context.Context, tx *postgres.Tx, restored []db.Event) error {
	rows := make([]db.EventRestoreParams, len(restored))
	for i, event := range restored {
		rows[i] = db.EventRestoreParams{
			ID: event.ID, Type: event.Type, ResourceKind: event.ResourceKind, ResourceID: event.ResourceID, Version: event.Version,
			CustomerID: event.CustomerID, ActorKind: event.ActorKind, ActorID: event.ActorID, ActorName: event.ActorName,
			RequestID: event.RequestID, At: event.At, Data: event.Data, RestoredAt: &tx.Now,
		}
	}
	if _, err := db.New().EventRestore(ctx, tx, rows); err != nil {
		return fmt.Errorf("restoring events: %w", err)
	}
	return nil
}
