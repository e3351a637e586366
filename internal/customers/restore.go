package customers

import (
	"context"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/postgres"
)

// RestoredStatus gives the status that a customer comes back with: its people come back without passwords, if there are any,
// and what was decided against them stays decided.
func RestoredStatus(status string, hasLogins bool) string {
	switch {
	case status == Deactivated:
		return Deactivated
	case hasLogins:
		return Inactive
	}
	return Unregistered
}

// Restore writes a customer as it was, in the status that it comes back with, and lets the rest of the transaction write what belongs to it,
// publishings among it. Its version goes on from the last one that there was here under its id, so that whoever follows the
// feed never takes it for older. Its event, which stands for all that came back with it, is written by RecordRestored.
func Restore(ctx context.Context, tx *postgres.Tx, customer db.Customer) (db.Customer, error) {
	if customer.ParentID != nil {
		if err := checkParent(ctx, tx, *customer.ParentID, 1); err != nil {
			return customer, err
		}
	}
	last, err := db.New().EventLastVersion(ctx, tx, customer.ID)
	if err != nil {
		return customer, err
	}
	customer.Version = max(customer.Version, last) + 1
	customer.RestoredAt = &tx.Now
	normalize(&customer)
	err = db.New().CustomerRestore(ctx, tx, db.CustomerRestoreParams{
		ID: customer.ID, Name: customer.Name, Email: customer.Email, Phone: customer.Phone, Company: customer.Company,
		Address: customer.Address, Comments: customer.Comments, Modules: customer.Modules, Properties: customer.Properties,
		ParentID: customer.ParentID, ExternalID: customer.ExternalID, Locale: customer.Locale, Status: customer.Status,
		InvitedAt: customer.InvitedAt, RestoredAt: customer.RestoredAt, Version: customer.Version, CreatedAt: customer.CreatedAt,
		UpdatedAt: customer.UpdatedAt, NameKey: customer.NameKey, EmailKey: customer.EmailKey, SearchText: customer.SearchText,
		SearchGrams: customer.SearchGrams,
	})
	if err != nil {
		return customer, err
	}
	return customer, db.New().CustomerRestoring(ctx, tx, customer.ID.String())
}

// RecordRestored writes the event of a customer that came back with all that belongs to it.
func RecordRestored(ctx context.Context, tx *postgres.Tx, customer db.Customer) error {
	return record(ctx, tx, "restored", nil, &customer)
}

// ParentFault tells why a customer cannot be restored below a parent, by people, who reach every one: "" when it can.
func ParentFault(ctx context.Context, database db.DBTX, parentID uuid.UUID) (code string, err error) {
	return parentFault(ctx, database, nil, parentID, 1)
}
