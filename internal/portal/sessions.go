package portal

import (
	"context"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/tokens"
)

// Session is an open session of a login.
type Session = db.SessionListByIdentityRow

// ListSessions reads a page of the caller's open sessions, the newest first.
func ListSessions(
	ctx context.Context, database *postgres.DB, caller *access.Principal, page paging.Request,
) (paging.Page[Session], error) {
	return paging.Read(page, paging.Query[Session, paging.ByTime]{
		Cursors: paging.CursorsOf("sessions", caller.ID),
		Start:   paging.Newest,
		Rows: func(before paging.ByTime, limit int32) ([]Session, error) {
			return db.New().SessionListByIdentity(ctx, database, db.SessionListByIdentityParams{
				IdentityID: &caller.ID, Now: database.Now(), BeforeCreatedAt: before.CreatedAt, BeforeID: before.ID,
				RowLimit: limit,
			})
		},
		PlaceOf: func(session Session) paging.ByTime {
			return paging.ByTime{CreatedAt: session.CreatedAt, ID: session.ID}
		},
		Count: func() (int64, error) {
			return db.New().SessionCountByIdentity(ctx, database, &caller.ID, database.Now())
		},
	})
}

// EndSession ends one of the caller's sessions.
func EndSession(ctx context.Context, tx *postgres.Tx, caller *access.Principal, id uuid.UUID) error {
	ended, err := db.New().SessionRevokeOfIdentity(ctx, tx, &tx.Now, id, &caller.ID)
	if err != nil {
		return err
	}
	if ended == 0 {
		return fault.NoSuchResource()
	}
	return tokens.RevokeSessions(ctx, tx, id)
}
