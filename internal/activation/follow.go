package activation

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/identities"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/terms"
)

// errUnknown is the answer to a token that was never given out here.
func errUnknown() error {
	return &fault.Error{Kind: fault.NotFound, Code: "link_unknown", Detail: "There is no such link."}
}

// spent says why a link does not work any more; nil while it does.
func spent(state string) error {
	switch state {
	case Used:
		return conflict("link_used", "The link was used before. Sign in, or ask for a new one.")
	case Expired:
		return conflict("link_expired", "The link has expired. Ask for a new one.")
	case Revoked:
		return conflict("link_revoked", "The link does not work any more. Ask for a new one.")
	}
	return nil
}

// Preview is whom a link activates.
type Preview struct {
	CustomerName string
	Name         *string // of the login; nil while there is none
	Email        string
	ExpiresAt    time.Time
	Terms        *db.Terms // the current ones; nil when there are none
}

// Preview tells whom a token activates.
func (s *Service) Preview(ctx context.Context, database *postgres.DB, token string) (Preview, error) {
	request, err := s.find(ctx, database, token, database.Now())
	if err != nil {
		return Preview{}, err
	}
	customer, err := db.New().CustomerGet(ctx, database, request.CustomerID, nil)
	if err != nil {
		return Preview{}, orUnknown(err)
	}
	preview := Preview{CustomerName: customer.Name, Email: request.Recipient, ExpiresAt: request.ExpiresAt}
	current, err := terms.Current(ctx, database)
	switch {
	case err == nil:
		preview.Terms = &current
	case !errors.Is(err, pgx.ErrNoRows):
		return Preview{}, err
	}
	if request.IdentityID != nil {
		login, err := db.New().IdentityGet(ctx, database, *request.IdentityID, customer.ID)
		if err != nil {
			return Preview{}, orUnknown(err)
		}
		preview.Name = &login.Name
	}
	return preview, nil
}

// find reads the request of a token that works.
func (s *Service) find(ctx context.Context, database db.DBTX, token string, now time.Time) (db.ActivationRequest, error) {
	id, genuine := s.Keyring.ReadToken(requestPurpose, requestPrefix, token)
	if !genuine {
		return db.ActivationRequest{}, errUnknown()
	}
	request, err := db.New().ActivationRequestGet(ctx, database, id)
	if err != nil {
		return db.ActivationRequest{}, orUnknown(err)
	}
	return request, spent(StateAt(request, now))
}

// orUnknown: what a token was for may have been deleted.
func orUnknown(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return errUnknown()
	}
	return err
}

// Check tells whether a token works, before anything costly is done for it.
func (s *Service) Check(ctx context.Context, database *postgres.DB, token string) error {
	_, err := s.find(ctx, database, token, database.Now())
	return err
}

// Activated is what following a link led to.
type Activated struct {
	Identity db.Identity
	Customer db.Customer
}

// Activate follows a link: it sets the password of the login, which it creates where there is none yet, and opens the
// door. Who follows it is the actor of all that changes. Of two at once one finds the link used.
func (s *Service) Activate(
	ctx context.Context, tx *postgres.Tx, token, hash string, name *string, acceptTermsID *uuid.UUID,
) (Activated, error) {
	found, err := s.find(ctx, tx, token, tx.Now)
	if err != nil {
		return Activated{}, err
	}
	customer, err := customers.Lock(ctx, tx, found.CustomerID)
	if err != nil {
		return Activated{}, orUnknown(err)
	}
	before, err := db.New().ActivationRequestGetForUpdate(ctx, tx, found.ID, customer.ID)
	if err != nil {
		return Activated{}, orUnknown(err)
	}
	if err := spent(StateAt(before, tx.Now)); err != nil {
		return Activated{}, err
	}
	if _, err := customers.Next(customer.Status, customers.ActionFollowLink); err != nil {
		return Activated{}, spent(Revoked) // an old link never undoes a deactivation
	}
	edited := before
	if err := move(&edited, use, tx.Now); err != nil {
		return Activated{}, err
	}
	login, err := s.enter(ctx, tx, customer, before, edited, hash, name)
	if err != nil {
		return Activated{}, err
	}
	if acceptTermsID != nil {
		if _, _, err := terms.Accept(ctx, tx, customer.ID, login.ID, *acceptTermsID); err != nil {
			return Activated{}, err
		}
	}
	customer, err = customers.Move(ctx, tx, customer, customers.ActionFollowLink)
	return Activated{Identity: login, Customer: customer}, err
}

// enter stores a request as used and gives its login the password, making the login where there is none yet.
func (s *Service) enter(
	ctx context.Context, tx *postgres.Tx, customer db.Customer, before, used db.ActivationRequest, hash string, name *string,
) (db.Identity, error) {
	if before.IdentityID == nil {
		login, err := s.create(ctx, tx, customer, before.Recipient, hash, name)
		if err != nil {
			return db.Identity{}, err
		}
		used.IdentityID = &login.ID
		_, err = store(ctx, tx, before, used, "used")
		return login, err
	}
	login, err := db.New().IdentityGetForNoKeyUpdate(ctx, tx, *before.IdentityID, customer.ID)
	if err != nil {
		return db.Identity{}, orUnknown(err)
	}
	tx.Actor = actor(login.ID, login.Name)
	// Before the password, which revokes all links of the login that are open still.
	if _, err := store(ctx, tx, before, used, "used"); err != nil {
		return db.Identity{}, err
	}
	return identities.SetPasswordByLink(ctx, tx, login, hash, name)
}

// create makes the login that a link was sent for, called as its owner says or else as the customer.
func (s *Service) create(
	ctx context.Context, tx *postgres.Tx, customer db.Customer, email, hash string, name *string,
) (db.Identity, error) {
	id, called := uuid.Must(uuid.NewV7()), customer.Name
	if name != nil {
		called = *name
	}
	tx.Actor = actor(id, called)
	created, err := identities.Insert(ctx, tx, s.Keyring, customer, identities.Input{
		ID: id, Name: &called, Email: &email, PasswordHash: &hash,
	})
	if fault.IsKind(postgres.Translate(err), fault.Conflict) {
		return db.Identity{}, loginEmailTaken() // by now
	}
	return created.Identity, err
}

func actor(id uuid.UUID, name string) postgres.Actor {
	return postgres.Actor{Kind: access.KindIdentity, ID: &id, Name: name}
}
