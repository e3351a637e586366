package identities

import (
	"context"
	"fmt"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/postgres"
)

// Restore writes logins of a customer that is being restored, without passwords. No events are written: that of the customer
// stands for them.
func Restore(ctx context.Context, tx *postgres.Tx, logins []Identity) error {
	rows := make([]db.IdentityCopyParams, len(logins))
	var activities []db.IdentityActivityCopyParams
	for i, login := range logins {
		normalize(&login.Identity)
		rows[i] = db.IdentityCopyParams{
			ID: login.ID, CustomerID: login.CustomerID, Name: login.Name, Email: login.Email, Role: login.Role, RestoredAt: &tx.Now,
			Version: login.Version, CreatedAt: login.CreatedAt, UpdatedAt: login.UpdatedAt, NameKey: login.NameKey,
			EmailKey: login.EmailKey, SearchText: login.SearchText,
		}
		if login.LastLoginAt != nil {
			activities = append(activities, db.IdentityActivityCopyParams{IdentityID: login.ID, LastLoginAt: *login.LastLoginAt})
		}
	}
	if _, err := db.New().IdentityCopy(ctx, tx, rows); err != nil {
		return fmt.Errorf("restoring logins: %w", err)
	}
	if _, err := db.New().IdentityActivityCopy(ctx, tx, activities); err != nil {
		return fmt.Errorf("restoring when logins signed in: %w", err)
	}
	return nil
}
