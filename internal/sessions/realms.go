package sessions

import (
	"context"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/postgres"
)

// The OAuth clients that people sign in through, public ones.
const (
	StaffClient  = "staff"
	PortalClient = "portal"
)

// realms says where the logins of each client are.
var realms = map[string]realm{StaffClient: staffRealm{}, PortalClient: portalRealm{}}

// IsClient tells whether people sign in through the client.
func IsClient(client string) bool { return realms[client] != nil }

// login is what signing in needs to know of an account, whosever it is.
type login struct {
	caller       access.Principal // with all the scopes that it may have, and without a session
	passwordHash string           // "" where no password opens a session
}

// realm is where the logins of a client are. Its errors for a login that is not there, or that nobody may use, are
// pgx.ErrNoRows.
type realm interface {
	// find reads a login by its folded email address.
	find(ctx context.Context, database db.DBTX, emailKey string) (login, error)
	// lock reads a login so that what decides about its sessions stays as it is until the transaction ends.
	lock(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (login, error)
	// own says whose a new session is.
	own(session *db.SessionInsertParams, id uuid.UUID)
	// signedIn notes that a password has opened a session, carriedOn that a refresh token has carried one on.
	signedIn(ctx context.Context, tx *postgres.Tx, caller *access.Principal) error
	carriedOn(ctx context.Context, tx *postgres.Tx, caller *access.Principal) error
}

// realmOf gives the realm of a session, and its login there.
func realmOf(session db.Session) (realm, uuid.UUID) {
	if session.StaffID != nil {
		return staffRealm{}, *session.StaffID
	}
	return portalRealm{}, *session.IdentityID
}

// staffRealm is the operator's own people. Their role gives their scopes.
type staffRealm struct{}

func (staffRealm) find(ctx context.Context, database db.DBTX, emailKey string) (login, error) {
	account, err := db.New().StaffGetByEmail(ctx, database, emailKey)
	return staffLogin(account), err
}

func (staffRealm) lock(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (login, error) {
	account, err := db.New().StaffGetForShare(ctx, tx, id)
	return staffLogin(account), err
}

func (staffRealm) own(session *db.SessionInsertParams, id uuid.UUID) { session.StaffID = &id }

func (staffRealm) signedIn(ctx context.Context, tx *postgres.Tx, caller *access.Principal) error {
	return db.New().StaffActivityUpsert(ctx, tx, caller.ID, tx.Now)
}

func (staffRealm) carriedOn(context.Context, *postgres.Tx, *access.Principal) error { return nil }

func staffLogin(account db.Staff) login {
	return login{passwordHash: account.PasswordHash, caller: access.Principal{
		Kind: access.KindStaff, ID: account.ID, Name: account.Name, Epoch: account.TokenEpoch,
		Scopes: access.Role(account.Role).Scopes(),
	}}
}

// portalRealm is the customers' people. Their customer's status decides whether they are let in, and what ends it ends
// their sessions too.
type portalRealm struct{}

// open is the status of customers whose people may sign in.
const openStatus = "active"

func (portalRealm) find(ctx context.Context, database db.DBTX, emailKey string) (login, error) {
	row, err := db.New().IdentityGetByEmail(ctx, database, emailKey)
	return portalLogin(row.Identity, row.CustomerStatus), err
}

func (portalRealm) lock(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (login, error) {
	customer, err := db.New().CustomerGetForShareByIdentity(ctx, tx, id)
	if err != nil {
		return login{}, err
	}
	identity, err := db.New().IdentityGetForShare(ctx, tx, id)
	return portalLogin(identity, customer.Status), err
}

func (portalRealm) own(session *db.SessionInsertParams, id uuid.UUID) { session.IdentityID = &id }

func (portalRealm) signedIn(ctx context.Context, tx *postgres.Tx, caller *access.Principal) error {
	if err := db.New().IdentityActivityUpsert(ctx, tx, caller.ID, tx.Now); err != nil {
		return err
	}
	return db.New().CustomerActivityUpsert(ctx, tx, caller.CustomerID, tx.Now)
}

func (portalRealm) carriedOn(ctx context.Context, tx *postgres.Tx, caller *access.Principal) error {
	return db.New().CustomerActivityUpsert(ctx, tx, caller.CustomerID, tx.Now)
}

func portalLogin(identity db.Identity, customerStatus string) login {
	if customerStatus != openStatus || identity.PasswordHash == nil {
		identity.PasswordHash = new(string) // matches nothing, and takes as long
	}
	return login{passwordHash: *identity.PasswordHash, caller: access.Principal{
		Kind: access.KindIdentity, ID: identity.ID, Name: identity.Name, CustomerID: identity.CustomerID,
		Scopes: []access.Scope{access.Portal},
	}}
}
