package terms

import (
	"context"
	"fmt"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/postgres"
)

// RestoreAcceptances writes what a customer that is being restored had accepted. No events are written: that of the customer
// stands for them.
func RestoreAcceptances(ctx context.Context, tx *postgres.Tx, restored []db.TermsAcceptance) error {
	rows := make([]db.TermsAcceptanceCopyParams, len(restored))
	for i, acceptance := range restored {
		rows[i] = db.TermsAcceptanceCopyParams(acceptance)
		rows[i].RestoredAt = &tx.Now
	}
	if _, err := db.New().TermsAcceptanceCopy(ctx, tx, rows); err != nil {
		return fmt.Errorf("restoring acceptances of terms: %w", err)
	}
	return nil
}
