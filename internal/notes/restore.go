package notes

import (
	"context"
	"fmt"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/postgres"
)

// Restore writes notes about a customer that is being restored, as they were signed. No events are written: that of the
// customer stands for them.
func Restore(ctx context.Context, tx *postgres.Tx, restored []db.Note) error {
	rows := make([]db.NoteCopyParams, len(restored))
	for i, note := range restored {
		rows[i] = db.NoteCopyParams(note)
		rows[i].RestoredAt = &tx.Now
	}
	if _, err := db.New().NoteCopy(ctx, tx, rows); err != nil {
		return fmt.Errorf("restoring notes: %w", err)
	}
	return nil
}
