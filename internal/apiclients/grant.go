package apiclients

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/sessions"
	"github.com/clientele-api/clientele/internal/throttle"
	"github.com/clientele-api/clientele/internal/tokens"
)

const (
	// useInterval is how often a replica notes that a client is used: a write for every request would be too many.
	useInterval = 30 * time.Second
	// rememberedUses is of how many clients a replica knows when it last noted that.
	rememberedUses = 10_000
	// shortestLife is how long a token lives at least, since its time is in whole seconds.
	shortestLife = time.Second
)

// ErrUnsaid is the refusal of a request that does not say by which secret of which client it is made.
func ErrUnsaid() error { return errUnsaid }

// The refusals of credentials. An unknown client and a wrong secret are the same. The last two are told to those alone who
// know the secret.
var (
	errUnsaid = &sessions.Error{
		Code: "invalid_client",
		Description: "An API client signs in with client_id and client_secret, each of them once. Staff signs in with client_id=staff, " +
			"customers with client_id=portal.",
	}
	errUnknown = &sessions.Error{Code: "invalid_client", Description: "The client is unknown or its secret is wrong."}
	errExpired = &sessions.Error{Code: "invalid_client", Description: "The client has expired."}
	errNetwork = &sessions.Error{Code: "unauthorized_client", Description: "The client may not be used from this address."}
)

// Service signs clients in and notes when they are used.
type Service struct {
	db        *postgres.DB
	authority *tokens.Authority
	guard     *throttle.Guard
	noted     *lru.Cache[uuid.UUID, time.Time] // when this replica last noted that a client is used
	log       *slog.Logger
}

// New makes a Service.
func New(database *postgres.DB, authority *tokens.Authority, guard *throttle.Guard, log *slog.Logger) *Service {
	noted, err := lru.New[uuid.UUID, time.Time](rememberedUses)
	if err != nil {
		panic("apiclients: " + err.Error()) // only for a size that is none
	}
	return &Service{db: database, authority: authority, guard: guard, noted: noted, log: log}
}

// Credentials are what a program says to be a client, and the address that it says it from.
type Credentials struct{ ID, Secret, Address string }

// Grant gives a client an access token, with the scopes that are asked for, or all that it has for "". Errors that the
// endpoint shows are those of sessions.
func (s *Service) Grant(ctx context.Context, said Credentials, scope string) (sessions.Grant, error) {
	client, err := s.Authenticate(ctx, said)
	if err != nil {
		return sessions.Grant{}, err
	}
	caller := principalOf(client)
	if caller.Scopes, err = sessions.Narrow(caller.Scopes, scope); err != nil {
		return sessions.Grant{}, err
	}
	caller.SessionID = uuid.Must(uuid.NewV7()) // of this token alone: what it is revoked by
	// A change of the client that has been committed since it was read has ended the tokens of its epoch, and so this one.
	token, err := s.authority.Issue(ctx, &caller, client.ID.String())
	if err != nil {
		return sessions.Grant{}, err
	}
	s.Used(ctx, client.ID)
	left := caller.ExpiresAt.Sub(s.db.Now()) // its end is in whole seconds, and so is what is said of it
	return sessions.Grant{
		AccessToken: token, Expires: (left + time.Second - 1).Truncate(time.Second), Scopes: caller.Scopes,
	}, nil
}

func principalOf(client db.ApiClient) access.Principal {
	caller := access.Principal{
		Kind: access.KindAPIClient, ID: client.ID, Name: client.Name, Epoch: client.TokenEpoch,
	}
	for _, scope := range client.Scopes {
		// What a client could have once and cannot any more, it has not.
		if one := access.Scope(scope); access.ClientMayHold(one, client.CustomerID != nil) {
			caller.Scopes = append(caller.Scopes, one)
		}
	}
	if client.CustomerID != nil {
		caller.CustomerID = *client.CustomerID
	}
	if client.ExpiresAt != nil {
		caller.NotAfter = *client.ExpiresAt
	}
	caller.Networks = networksOf(client)
	return caller
}

func networksOf(client db.ApiClient) []netip.Prefix {
	networks := make([]netip.Prefix, len(client.AllowedNetworks))
	for i, text := range client.AllowedNetworks {
		// One that cannot be read, which none is, is the zero prefix, which holds no address.
		networks[i], _ = access.ParseNetwork(text)
	}
	return networks
}

// Authenticate gives the client whose credentials somebody says, unless there were too many attempts before.
func (s *Service) Authenticate(ctx context.Context, said Credentials) (db.ApiClient, error) {
	attempt, err := s.guard.Attempt(ctx, throttle.APIClient, said.ID, said.Address)
	if err != nil {
		return db.ApiClient{}, err
	}
	client, err := s.authenticate(ctx, said)
	switch {
	case err == nil:
		return client, attempt.Succeeded(ctx)
	case !errors.Is(err, errUnknown):
		return client, errors.Join(err, attempt.Forget(ctx))
	}
	return client, err
}

func (s *Service) authenticate(ctx context.Context, said Credentials) (db.ApiClient, error) {
	if said.Secret == "" {
		return db.ApiClient{}, errUnsaid
	}
	id, err := uuid.Parse(said.ID)
	if err != nil || said.ID != id.String() { // one way to write it, or there were more tries at it
		return db.ApiClient{}, errUnknown
	}
	client, err := db.New().ApiClientGet(ctx, s.db, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return db.ApiClient{}, errUnknown
	}
	if err != nil {
		return db.ApiClient{}, postgres.Translate(err)
	}
	now := s.db.Now()
	switch {
	case !knowsSecret(client, said.Secret, now):
		return db.ApiClient{}, errUnknown
	case client.ExpiresAt != nil && now.Add(shortestLife).After(*client.ExpiresAt):
		return db.ApiClient{}, errExpired
	case len(client.AllowedNetworks) > 0 && !access.Within(networksOf(client), said.Address):
		return db.ApiClient{}, errNetwork
	}
	return client, nil
}

// knowsSecret tells whether the secret is one of the client's at that moment.
func knowsSecret(client db.ApiClient, secret string, now time.Time) bool {
	said := hash(secret)
	knows := subtle.ConstantTimeCompare(said, client.SecretHash) == 1
	if ends := client.PreviousSecretExpiresAt; ends != nil && now.Before(*ends) {
		knows = knows || subtle.ConstantTimeCompare(said, client.PreviousSecretHash) == 1
	}
	return knows
}

// Used notes that a client is used, every so often. That it cannot be noted is not the caller's to hear of.
func (s *Service) Used(ctx context.Context, id uuid.UUID) {
	now := s.db.Now()
	if last, known := s.noted.Get(id); known && now.Sub(last) < useInterval {
		return
	}
	s.noted.Add(id, now)
	if err := db.New().ApiClientActivityUpsert(ctx, s.db, now, id); err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "the use of an API client is not noted", "error", err, "api_client_id", id)
	}
}
