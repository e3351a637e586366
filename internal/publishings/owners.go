package publishings

import (
	"context"
	"slices"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/secrets"
)

const ownerPurpose = "owners of publishings"

// ownerMessage is what is signed of a login: its email address, at this customer. The same person's at another customer
// is another message.
func ownerMessage(login db.Identity) []byte {
	return slices.Concat(login.CustomerID[:], []byte(login.EmailKey))
}

// Orphan keeps the publishings of a login that is about to be deleted. Nobody but staff sees them from now on; that they
// were this login's only who holds the installation's key can tell. The login is locked.
func Orphan(ctx context.Context, tx *postgres.Tx, keyring *secrets.Keyring, login db.Identity) error {
	return db.New().PublishingOrphan(ctx, tx, keyring.Sign(ownerPurpose, ownerMessage(login)), login.ID)
}

// Adopt gives a login that was just created what the same login of the same customer had before it was deleted.
func Adopt(ctx context.Context, tx *postgres.Tx, keyring *secrets.Keyring, login db.Identity) error {
	return db.New().PublishingAdopt(ctx, tx, login.ID, login.CustomerID, keyring.Signatures(ownerPurpose, ownerMessage(login)))
}
