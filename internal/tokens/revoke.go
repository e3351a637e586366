package tokens

import (
	"context"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/postgres"
)

// RevokeAll makes every access token of the sessions or subjects invalid, on every replica within a second of the
// commit.
func RevokeAll(ctx context.Context, tx *postgres.Tx, targets ...uuid.UUID) error {
	if len(targets) == 0 {
		return nil
	}
	return db.New().TokenRevocationInsertMany(ctx, tx, targets, tx.Now)
}

// RevokeBefore makes the access tokens invalid that the subject got before the epoch.
func RevokeBefore(ctx context.Context, tx *postgres.Tx, subject uuid.UUID, epoch int32) error {
	return db.New().TokenRevocationInsert(ctx, tx, subject, &epoch, tx.Now)
}

// Sweep deletes revocations of tokens that have long expired.
func Sweep(ctx context.Context, database *postgres.DB) error {
	_, err := db.New().TokenRevocationDeleteOld(ctx, database, database.Now().Add(-2*keyGrace))
	return err
}
