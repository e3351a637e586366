package activation

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/identities"
	"github.com/clientele-api/clientele/internal/messages"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/textfold"
)

const openReset = "open"

// RequestReset has a mail sent by which the login with the email address sets its password anew. For an address without
// a login that may sign in it does the same, and no mail comes of it.
func (s *Service) RequestReset(ctx context.Context, tx *postgres.Tx, email string) error {
	id := uuid.Must(uuid.NewV7())
	_, err := db.New().PasswordResetInsert(ctx, tx, db.PasswordResetInsertParams{
		ID: id, EmailKey: textfold.CaseKey(email), ExpiresAt: tx.Now.Add(resetLifetime), CreatedAt: tx.Now,
	})
	if err != nil {
		return err
	}
	if err := db.New().PasswordResetRevokeOlder(ctx, tx, id); err != nil {
		return err
	}
	return s.Queue.Enqueue(ctx, tx, SendResetArgs{PasswordResetID: id})
}

// CheckReset tells whether a token works, before anything costly is done for it.
func (s *Service) CheckReset(ctx context.Context, database *postgres.DB, token string) error {
	_, err := s.findReset(ctx, database, token, database.Now())
	return err
}

func (s *Service) findReset(
	ctx context.Context, database db.DBTX, token string, now time.Time,
) (db.PasswordResetGetWithIdentityRow, error) {
	id, genuine := s.Keyring.ReadToken(resetPurpose, resetPrefix, token)
	if !genuine {
		return db.PasswordResetGetWithIdentityRow{}, errUnknown()
	}
	row, err := db.New().PasswordResetGetWithIdentity(ctx, database, id)
	if err != nil {
		return row, orUnknown(err)
	}
	if row.CustomerStatus != customers.Active {
		return row, spent(Revoked)
	}
	return row, spent(resetState(row.PasswordReset, now))
}

// resetState gives the state of a reset at a moment; "open" while its link works.
func resetState(reset db.PasswordReset, now time.Time) string {
	if reset.State == openReset && !now.Before(reset.ExpiresAt) {
		return Expired
	}
	return reset.State
}

// Reset follows a link that sets a password anew, and ends the login's sessions.
func (s *Service) Reset(ctx context.Context, tx *postgres.Tx, token, hash string) (db.Identity, error) {
	found, err := s.findReset(ctx, tx, token, tx.Now)
	if err != nil {
		return db.Identity{}, err
	}
	customer, err := db.New().CustomerGetForShareByIdentity(ctx, tx, found.Identity.ID)
	if err != nil {
		return db.Identity{}, orUnknown(err)
	}
	login, err := db.New().IdentityGetForNoKeyUpdate(ctx, tx, found.Identity.ID, customer.ID)
	if err != nil {
		return db.Identity{}, orUnknown(err)
	}
	// Read again under the lock: it may have been used or revoked a moment ago.
	reset, err := db.New().PasswordResetGetForUpdate(ctx, tx, found.PasswordReset.ID)
	if err != nil {
		return db.Identity{}, orUnknown(err)
	}
	if customer.Status != customers.Active {
		return db.Identity{}, spent(Revoked)
	}
	if err := spent(resetState(reset, tx.Now)); err != nil {
		return db.Identity{}, err
	}
	if err := db.New().PasswordResetSetState(ctx, tx, Used, reset.ID); err != nil {
		return db.Identity{}, err
	}
	tx.Actor = actor(login.ID, login.Name)
	return identities.SetPasswordByLink(ctx, tx, login, hash, nil)
}

// Sweep deletes resets that have long expired, and gives up requests whose job was lost.
func Sweep(ctx context.Context, database *postgres.DB) error {
	_, err := db.New().PasswordResetDeleteOld(ctx, database, database.Now().Add(-30*24*time.Hour))
	return errors.Join(err, failStuck(ctx, database))
}

// resetText gives what the mail of a reset says, without its link.
func (s *Service) resetText(row db.PasswordResetGetWithIdentityRow) (subject, body string, err error) {
	return s.Texts.Render(messages.PasswordReset, messages.Locale(row.Locale), messages.Data{
		Customer: row.CustomerName, Recipient: row.Identity.Name, Hours: int(resetLifetime.Hours()),
	})
}
