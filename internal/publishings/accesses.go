package publishings

import (
	"context"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
)

// The ways in which others than the people it is meant for come to see a content.
const (
	ViaRead   = "read"   // of that one publishing
	ViaBackup = "backup" // of the whole customer
)

// Read reads a publishing of a customer, with its content, and records who did. Both happen in the transaction: what is not
// recorded was not read.
func Read(ctx context.Context, tx *postgres.Tx, customerID, id uuid.UUID) (db.Publishing, error) {
	publishing, err := db.New().PublishingGetByCustomer(ctx, tx, id, customerID, tx.Reach)
	if err != nil {
		return db.Publishing{}, err
	}
	return publishing, RecordAccess(ctx, tx, id, ViaRead)
}

// RecordAccess records that whoever makes the change has the content of a publishing before them, for its owner to see.
func RecordAccess(ctx context.Context, tx *postgres.Tx, id uuid.UUID, via string) error {
	return db.New().PublishingAccessInsert(ctx, tx, db.PublishingAccessInsertParams{
		ID: uuid.Must(uuid.NewV7()), PublishingID: id, ActorKind: tx.Actor.Kind, ActorID: tx.Actor.ID,
		ActorName: tx.Actor.Name, Via: via, At: tx.Now,
	})
}

// ListAccesses reads a page of who read a publishing of the caller's own, the newest first.
func ListAccesses(
	ctx context.Context, database *postgres.DB, caller *access.Principal, id uuid.UUID, page paging.Request,
) (paging.Page[db.PublishingAccess], error) {
	found, err := paging.Read(page, paging.Query[db.PublishingAccess, paging.ByTime]{
		Cursors: paging.CursorsOf("publishing accesses", id),
		Start:   paging.Newest,
		Rows: func(before paging.ByTime, limit int32) ([]db.PublishingAccess, error) {
			return db.New().PublishingAccessListNewestFirst(ctx, database, db.PublishingAccessListNewestFirstParams{
				PublishingID: id, IdentityID: caller.ID, BeforeAt: before.CreatedAt, BeforeID: before.ID, RowLimit: limit,
			})
		},
		PlaceOf: func(one db.PublishingAccess) paging.ByTime { return paging.ByTime{CreatedAt: one.At, ID: one.ID} },
		Count:   func() (int64, error) { return db.New().PublishingAccessCount(ctx, database, id, caller.ID) },
	})
	if err == nil && len(found.Rows) == 0 {
		_, err = db.New().PublishingFind(ctx, database, id, caller.ID)
	}
	return found, err
}
