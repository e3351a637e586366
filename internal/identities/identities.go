// Package identities keeps the logins of customers: who may sign in for one, and with which password. Adding the first
// and deleting the last moves the customer through its life cycle, whose rules are with customers. It signs nobody in,
// and passwords reach it hashed.
package identities

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/idempotency"
	"github.com/clientele-api/clientele/internal/passwords"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/publishings"
	"github.com/clientele-api/clientele/internal/secrets"
	"github.com/clientele-api/clientele/internal/sessions"
	"github.com/clientele-api/clientele/internal/textfold"
)

// The roles of a login.
const (
	Member  = "member"
	Manager = "manager"
)

// Identity is a login with the time of its last sign-in.
type Identity struct {
	db.Identity
	LastLoginAt *time.Time
}

// Input is what a caller says of a new login.
type Input struct {
	ID           uuid.UUID // the zero id for a new one
	Name         *string   // nil for the customer's
	Email        *string   // nil for the customer's
	Role         string    // "" for a member
	PasswordHash *string   // nil for none yet
}

// Add gives a customer a login. The first one makes an unregistered customer inactive.
func Add(
	ctx context.Context, tx *postgres.Tx, keyring *secrets.Keyring, customerID uuid.UUID, input Input,
) (Identity, error) {
	customer, err := customers.Lock(ctx, tx, customerID)
	if err != nil {
		return Identity{}, err
	}
	identity, err := Insert(ctx, tx, keyring, customer, input)
	if err != nil {
		return Identity{}, err
	}
	// A link that was to create the first login has nothing to create any more.
	if err := db.New().ActivationRequestRevokeByIdentity(ctx, tx, tx.Now, customerID, nil); err != nil {
		return Identity{}, err
	}
	_, err = customers.Move(ctx, tx, customer, customers.ActionAddIdentity)
	return identity, err
}

// FirstStatus gives the status of a customer that is made together with its first login: active when somebody can and may
// sign in.
func FirstStatus(hasPassword, mayEnter bool) string {
	if hasPassword && mayEnter {
		return customers.Active
	}
	return customers.Inactive
}

// Insert stores a login of a locked customer and leaves its status to whoever calls. A login that was there before, and was
// deleted, finds its publishings again.
func Insert(
	ctx context.Context, tx *postgres.Tx, keyring *secrets.Keyring, customer db.Customer, input Input,
) (Identity, error) {
	login := db.Identity{ID: input.ID, Name: customer.Name, Role: input.Role, PasswordHash: input.PasswordHash}
	if login.ID == uuid.Nil {
		login.ID = uuid.Must(uuid.NewV7())
	}
	if input.Name != nil {
		login.Name = *input.Name
	}
	switch {
	case input.Email != nil:
		login.Email = *input.Email
	case customer.Email != nil:
		login.Email = *customer.Email
	default:
		return Identity{}, fault.InvalidBody(fault.Field{
			Pointer: "/email", Code: "required", Message: "is required, since the customer has no email address either",
		})
	}
	if login.Role == "" {
		login.Role = Member
	}
	normalize(&login)
	created, err := db.New().IdentityInsert(ctx, tx, db.IdentityInsertParams{
		ID: login.ID, CustomerID: customer.ID, Name: login.Name, Email: login.Email, Role: login.Role,
		PasswordHash: login.PasswordHash, CreatedAt: tx.Now, NameKey: login.NameKey, EmailKey: login.EmailKey,
		SearchText: login.SearchText,
	})
	if err != nil {
		return Identity{}, err
	}
	if err := publishings.Adopt(ctx, tx, keyring, created); err != nil {
		return Identity{}, err
	}
	return Identity{Identity: created}, record(ctx, tx, "created", nil, &created)
}

// lock reads a login for a change, with its customer locked before it: the links and sessions that the change ends are
// given out under that lock, so none comes into being beside it for what the login was.
func lock(ctx context.Context, tx *postgres.Tx, customerID, id uuid.UUID) (db.Identity, error) {
	if _, err := customers.Lock(ctx, tx, customerID); err != nil {
		return db.Identity{}, err
	}
	return db.New().IdentityGetForNoKeyUpdate(ctx, tx, id, customerID)
}

// normalize fills in what follows from the other fields.
func normalize(login *db.Identity) {
	login.NameKey = textfold.Key(login.Name)
	login.EmailKey = textfold.CaseKey(login.Email)
	login.SearchText = textfold.SearchText(login.Name, login.Email)
}

// Patch is what to change of a login; nil stays.
type Patch struct{ Name, Email, Role *string }

// Update changes a login. Nothing is written when the patch changes nothing.
func Update(
	ctx context.Context, tx *postgres.Tx, customerID, id uuid.UUID, versions etag.Versions, patch Patch,
) (Identity, error) {
	before, err := lock(ctx, tx, customerID, id)
	if err != nil {
		return Identity{}, err
	}
	if err := versions.Check(before.Version); err != nil {
		return Identity{}, err
	}
	edited := before
	if patch.Name != nil {
		edited.Name = *patch.Name
	}
	if patch.Email != nil {
		edited.Email = *patch.Email
	}
	if patch.Role != nil {
		edited.Role = *patch.Role
	}
	normalize(&edited)
	if edited == before {
		return Get(ctx, tx, nil, customerID, id)
	}
	if _, err := update(ctx, tx, before, edited); err != nil {
		return Identity{}, err
	}
	if edited.EmailKey != before.EmailKey {
		// After the update, which resets that are asked for beside it wait for.
		if err := revokeLinks(ctx, tx, before); err != nil {
			return Identity{}, err
		}
	}
	return Get(ctx, tx, nil, customerID, id)
}

// SetPassword gives a login another password and ends its sessions.
func SetPassword(
	ctx context.Context, tx *postgres.Tx, customerID, id uuid.UUID, versions etag.Versions, hash string,
) (Identity, error) {
	before, err := lock(ctx, tx, customerID, id)
	if err != nil {
		return Identity{}, err
	}
	if err := versions.Check(before.Version); err != nil {
		return Identity{}, err
	}
	if err := setPassword(ctx, tx, before, hash, nil); err != nil {
		return Identity{}, err
	}
	return Get(ctx, tx, nil, customerID, id)
}

// SetOwnPassword replaces a login's password by its owner's wish and ends all its sessions but the one to keep. The owner
// proved to know the present password by the login as it was read, which must still have it.
func SetOwnPassword(ctx context.Context, tx *postgres.Tx, read db.Identity, hash string, keep uuid.UUID) error {
	before, err := lock(ctx, tx, read.CustomerID, read.ID)
	if err != nil {
		return err
	}
	if before.PasswordHash == nil || read.PasswordHash == nil || *before.PasswordHash != *read.PasswordHash {
		return passwords.Wrong() // somebody changed it meanwhile
	}
	return setPassword(ctx, tx, before, hash, &keep)
}

// SetPasswordByLink gives a locked login the password, and maybe the name, that its owner chose by a link.
func SetPasswordByLink(ctx context.Context, tx *postgres.Tx, before db.Identity, hash string, name *string) (db.Identity, error) {
	if err := endAccess(ctx, tx, before, nil); err != nil {
		return db.Identity{}, err
	}
	edited := before
	edited.PasswordHash = &hash
	if name != nil {
		edited.Name = *name
	}
	normalize(&edited)
	return update(ctx, tx, before, edited)
}

// endAccess ends the sessions of a login, but for the one to keep, and makes its links worthless: they were given out
// for what it was.
func endAccess(ctx context.Context, tx *postgres.Tx, login db.Identity, keep *uuid.UUID) error {
	if err := sessions.EndAllOfIdentity(ctx, tx, login.ID, keep); err != nil {
		return err
	}
	return revokeLinks(ctx, tx, login)
}

// revokeLinks makes the links worthless that were mailed to the owner of a login.
func revokeLinks(ctx context.Context, tx *postgres.Tx, login db.Identity) error {
	err := db.New().ActivationRequestRevokeByIdentity(ctx, tx, tx.Now, login.CustomerID, &login.ID)
	if err != nil {
		return err
	}
	return db.New().PasswordResetRevokeByIdentity(ctx, tx, login.ID)
}

// setPassword gives a locked login another password and ends its sessions, but for the one to keep.
func setPassword(ctx context.Context, tx *postgres.Tx, before db.Identity, hash string, keep *uuid.UUID) error {
	if err := endAccess(ctx, tx, before, keep); err != nil {
		return err
	}
	edited := before
	edited.PasswordHash = &hash
	_, err := update(ctx, tx, before, edited)
	return err
}

// update stores a login as it was edited, with its event.
func update(ctx context.Context, tx *postgres.Tx, before, edited db.Identity) (db.Identity, error) {
	after, err := db.New().IdentityUpdate(ctx, tx, db.IdentityUpdateParams{
		ID: edited.ID, Name: edited.Name, Email: edited.Email, Role: edited.Role, PasswordHash: edited.PasswordHash,
		UpdatedAt: tx.Now, NameKey: edited.NameKey, EmailKey: edited.EmailKey, SearchText: edited.SearchText,
	})
	if err != nil {
		return db.Identity{}, err
	}
	return after, record(ctx, tx, "updated", &before, &after)
}

// Delete removes a login of an active customer. Without its last one the customer is unregistered.
func Delete(
	ctx context.Context, tx *postgres.Tx, keyring *secrets.Keyring, customerID, id uuid.UUID, versions etag.Versions,
) error {
	customer, err := customers.Lock(ctx, tx, customerID)
	if err != nil {
		return err
	}
	logins, err := db.New().IdentityListForUpdate(ctx, tx, customerID)
	if err != nil {
		return err
	}
	for _, login := range logins {
		if login.ID != id {
			continue
		}
		if err := versions.Check(login.Version); err != nil {
			return err
		}
		return remove(ctx, tx, keyring, customer, []db.Identity{login}, len(logins) == 1)
	}
	return fault.NoSuchResource()
}

// DeleteAll removes all the logins of an active customer, which is unregistered then. The versions are the customer's.
func DeleteAll(
	ctx context.Context, tx *postgres.Tx, keyring *secrets.Keyring, customerID uuid.UUID, versions etag.Versions,
) error {
	customer, err := customers.Lock(ctx, tx, customerID)
	if err != nil {
		return err
	}
	if err := versions.Check(customer.Version); err != nil {
		return err
	}
	logins, err := db.New().IdentityListForUpdate(ctx, tx, customerID)
	if err != nil {
		return err
	}
	return remove(ctx, tx, keyring, customer, logins, true)
}

// remove deletes logins of a locked customer with their sessions, keeps their publishings, and erases what the change log
// knows of them.
func remove(
	ctx context.Context, tx *postgres.Tx, keyring *secrets.Keyring, customer db.Customer, logins []db.Identity, all bool,
) error {
	if _, err := customers.Next(customer.Status, customers.ActionDeleteIdentities); err != nil {
		return err
	}
	for _, login := range logins {
		if err := publishings.Orphan(ctx, tx, keyring, login); err != nil {
			return err
		}
		if err := erase(ctx, tx, login); err != nil {
			return err
		}
	}
	if !all {
		return nil
	}
	if err := db.New().ActivationRequestRevokeByCustomer(ctx, tx, tx.Now, customer.ID); err != nil {
		return err
	}
	_, err := customers.Move(ctx, tx, customer, customers.ActionDeleteIdentities)
	return err
}

// erase deletes a login with its sessions, and what other records say of it.
func erase(ctx context.Context, tx *postgres.Tx, login db.Identity) error {
	if err := sessions.EndAllOfIdentity(ctx, tx, login.ID, nil); err != nil {
		return err
	}
	requests, err := db.New().ActivationRequestErase(ctx, tx, db.ActivationRequestEraseParams{
		UpdatedAt: tx.Now, IdentityID: &login.ID, CustomerID: login.CustomerID, Recipient: login.Email,
	})
	if err != nil {
		return err
	}
	for _, id := range requests {
		err := events.EraseResource(ctx, tx, login.CustomerID, events.ActivationRequest, id)
		if err != nil {
			return err
		}
	}
	if err := db.New().TermsAcceptanceErase(ctx, tx, &login.ID); err != nil {
		return err
	}
	if err := db.New().BackupEraseActor(ctx, tx, login.CustomerID, &login.ID); err != nil {
		return err
	}
	if err := db.New().IdentityDelete(ctx, tx, login.ID); err != nil {
		return err
	}
	if err := events.EraseResource(ctx, tx, login.CustomerID, events.Identity, login.ID); err != nil {
		return err
	}
	if err := events.EraseActor(ctx, tx, login.CustomerID, login.ID); err != nil {
		return err
	}
	if err := idempotency.Erase(ctx, tx, append(requests, login.ID)...); err != nil {
		return err
	}
	return events.Append(ctx, tx, events.Event{
		Kind: events.Identity, What: "deleted", ResourceID: login.ID, CustomerID: &login.CustomerID,
		Version: login.Version + 1,
	})
}

// Get reads a login of a customer that is within reach.
func Get(ctx context.Context, database db.DBTX, reach *uuid.UUID, customerID, id uuid.UUID) (Identity, error) {
	row, err := db.New().IdentityGetWithActivity(ctx, database, id, customerID, reach)
	return Identity{Identity: row.Identity, LastLoginAt: row.LastLoginAt}, err
}

// snapshot is a login as events show it. A new column is in no event until it is here.
type snapshot struct {
	ID         uuid.UUID  `json:"id"`
	CustomerID uuid.UUID  `json:"customer_id"`
	Name       string     `json:"name"`
	Email      string     `json:"email"`
	Role       string     `json:"role"`
	Status     string     `json:"status"`
	RestoredAt *time.Time `json:"restored_at"`
	Version    int64      `json:"version"`
	CreatedAt  time.Time  `json:"created_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
}

// Status tells whether a login has a password.
func Status(login db.Identity) string {
	if login.PasswordHash == nil {
		return "pending"
	}
	return "active"
}

func snapshotOf(i db.Identity) snapshot {
	return snapshot{i.ID, i.CustomerID, i.Name, i.Email, i.Role, Status(i), i.RestoredAt, i.Version, i.CreatedAt, i.UpdatedAt}
}

func record(ctx context.Context, tx *postgres.Tx, what string, before, after *db.Identity) error {
	event := events.Event{
		Kind: events.Identity, What: what, ResourceID: after.ID, CustomerID: &after.CustomerID, Version: after.Version,
		After: snapshotOf(*after),
	}
	if before != nil {
		event.Before = snapshotOf(*before)
	}
	return events.Append(ctx, tx, event)
}
