package publishings

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/postgres"
)

// Restore writes publishings of a customer that is being restored: the guard of the table lets them in since customers.Restore
// has said so. No events are written: that of the customer stands for them.
func Restore(ctx context.Context, tx *postgres.Tx, restored []db.Publishing) error {
	rows := make([]db.PublishingCopyParams, len(restored))
	for i, publishing := range restored {
		setTitle(&publishing, publishing.Title)
		if err := setContent(&publishing, publishing.Content); err != nil {
			return err
		}
		rows[i] = db.PublishingCopyParams{
			ID: publishing.ID, CustomerID: publishing.CustomerID, IdentityID: publishing.IdentityID, OwnerHash: publishing.OwnerHash,
			Kind: publishing.Kind, Title: publishing.Title, Content: publishing.Content, State: publishing.State,
			Visibility: publishing.Visibility, TemplateID: publishing.TemplateID, SizeBytes: publishing.SizeBytes,
			Version: publishing.Version, CreatedAt: publishing.CreatedAt, UpdatedAt: publishing.UpdatedAt, RestoredAt: &tx.Now,
			TitleKey: publishing.TitleKey, Marks: publishing.Marks,
		}
	}
	if _, err := db.New().PublishingCopy(ctx, tx, rows); err != nil {
		return fmt.Errorf("restoring publishings: %w", err)
	}
	return nil
}

// RestoreAccesses writes who had read restored publishings before.
func RestoreAccesses(ctx context.Context, tx *postgres.Tx, restored []db.PublishingAccess) error {
	rows := make([]db.PublishingAccessCopyParams, len(restored))
	for i, one := range restored {
		rows[i] = db.PublishingAccessCopyParams(one)
	}
	if _, err := db.New().PublishingAccessCopy(ctx, tx, rows); err != nil {
		return fmt.Errorf("restoring who read publishings: %w", err)
	}
	return nil
}

// recordedAtOnce is how many readings a statement records.
const recordedAtOnce = 5000

// RecordAccesses is RecordAccess for many publishings. Of those that are gone meanwhile nothing is recorded: nobody is left
// who could see it.
func RecordAccesses(ctx context.Context, tx *postgres.Tx, publishingIDs []uuid.UUID, via string) error {
	for len(publishingIDs) > 0 {
		some := publishingIDs[:min(recordedAtOnce, len(publishingIDs))]
		publishingIDs = publishingIDs[len(some):]
		ids := make([]uuid.UUID, len(some))
		for i := range ids {
			ids[i] = uuid.Must(uuid.NewV7())
		}
		err := db.New().PublishingAccessInsertMany(ctx, tx, db.PublishingAccessInsertManyParams{
			PublishingIds: some, Ids: ids, ActorKind: tx.Actor.Kind, ActorID: tx.Actor.ID, ActorName: tx.Actor.Name, Via: via, At: tx.Now,
		})
		if err != nil {
			return fmt.Errorf("recording who reads publishings: %w", err)
		}
	}
	return nil
}
