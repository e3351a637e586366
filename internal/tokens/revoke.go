package tokens

import (
	"context"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/postgres"
)

// RevokeSessions makes every access token of the sessions invalid, on every replica within a second of the commit. A
// session that was revoked stays so.
func RevokeSessions(ctx context.Context, tx *postgres.Tx, ids ...uuid.UUID) error {
	if len(ids) == 0 {
		return nil
	}
	return db.New().TokenRevocationInsertMany(ctx, tx, ids, tx.Now)
}

// RevokeSubjectForGood makes every access token of the subject invalid, likewise: those it has, and those it would get
// while the revocation is listed, which is for twice the lifetime of a token. It is for accounts that are gone. Whoever
// is to be let in again, now or later, is kept out with RevokeBefore and a new epoch instead.
func RevokeSubjectForGood(ctx context.Context, tx *postgres.Tx, subjects ...uuid.UUID) error {
	if len(subjects) == 0 {
		return nil
	}
	return db.New().TokenRevocationInsertMany(ctx, tx, subjects, tx.Now)
}

// RevokeBefore makes the access tokens invalid that the subject got before the epoch, likewise. Those that carry the
// epoch, or a later one, are valid: to switch access off, raise the epoch and issue nothing; to switch it on again,
// issue.
func RevokeBefore(ctx context.Context, tx *postgres.Tx, subject uuid.UUID, epoch int32) error {
	return db.New().TokenRevocationInsert(ctx, tx, subject, &epoch, tx.Now)
}

// Sweep deletes revocations of tokens that have long expired, and that no request is under way with any more.
func Sweep(ctx context.Context, database *postgres.DB) error {
	_, err := db.New().TokenRevocationDeleteOld(ctx, database, database.Now().Add(-revocationsKept))
	return err
}
