// Package portal is what a customer's own people may do with their customer. Whatever it reads or changes belongs to the
// login of the caller: the login is in the condition of every query, and nothing else says whose it is.
package portal

import (
	"context"
	"time"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/identities"
	"github.com/clientele-api/clientele/internal/postgres"
)

// Profile is a login with its customer.
type Profile struct {
	Identity db.Identity
	Customer db.Customer
	// The customer's acceptance of the current terms; nil for none.
	TermsVersion    *int32
	TermsAcceptedAt *time.Time
}

// Version goes up by one with each change of either.
func (p Profile) Version() int64 { return p.Identity.Version + p.Customer.Version }

// GetProfile reads the caller's profile.
func GetProfile(ctx context.Context, database db.DBTX, caller *access.Principal) (Profile, error) {
	row, err := db.New().IdentityGetWithCustomer(ctx, database, caller.ID, caller.CustomerID)
	return Profile(row), err
}

// Patch is what to change of a profile.
type Patch struct {
	Name     *string          // of the login
	Customer *customers.Patch // nil for nothing
}

// UpdateProfile changes the caller's profile. The customer's part is for managers, and for the only login of a customer.
func UpdateProfile(
	ctx context.Context, tx *postgres.Tx, caller *access.Principal, versions etag.Versions, patch Patch,
) (Profile, error) {
	customer, err := customers.Lock(ctx, tx, caller.CustomerID)
	if err != nil {
		return Profile{}, err
	}
	identity, err := db.New().IdentityGetForNoKeyUpdate(ctx, tx, caller.ID, caller.CustomerID)
	if err != nil {
		return Profile{}, err
	}
	before := Profile{Identity: identity, Customer: customer}
	if err := versions.Check(before.Version()); err != nil {
		return Profile{}, err
	}
	if patch.Customer != nil {
		if err := mayEditCustomer(ctx, tx, identity); err != nil {
			return Profile{}, err
		}
		if _, err := customers.Update(ctx, tx, customer.ID, etag.Versions{}, *patch.Customer); err != nil {
			return Profile{}, fault.Under("/customer", postgres.Translate(err))
		}
	}
	own := identities.Patch{Name: patch.Name}
	if _, err := identities.Update(ctx, tx, customer.ID, identity.ID, etag.Versions{}, own); err != nil {
		return Profile{}, err
	}
	return GetProfile(ctx, tx, caller)
}

// mayEditCustomer refuses who shares a customer with others and does not manage it. The customer is locked: no login is
// added or deleted meanwhile.
func mayEditCustomer(ctx context.Context, tx *postgres.Tx, identity db.Identity) error {
	if identity.Role == identities.Manager {
		return nil
	}
	logins, err := db.New().IdentityCountByCustomer(ctx, tx, identity.CustomerID)
	if err == nil && logins > 1 {
		err = &fault.Error{
			Kind: fault.Forbidden, Code: "manager_required",
			Detail: "The customer has several logins; those with the role manager may change it.",
		}
	}
	return err
}
