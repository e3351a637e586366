// Package tokens issues and verifies access tokens (JWTs after RFC 9068) and keeps the keys they are signed with. It
// knows nothing of passwords, sessions or accounts: who gets a token is decided by whoever calls Issue.
package tokens

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/secrets"
)

const (
	// Lifetime is how long an access token is valid.
	Lifetime = 10 * time.Minute

	tokenType = "at+jwt"
	// followInterval is how often a replica reads keys and revocations.
	followInterval = 250 * time.Millisecond
	// maxAge is how old the revocations may be that a token is judged by.
	maxAge = time.Second
	// cacheSize is how many verified tokens are remembered; checking a signature costs as much as the rest of a read.
	cacheSize = 10_000
	// readTimeout is how long keys and revocations may take to be read.
	readTimeout = 2 * time.Second
	// revocationsListed is how long a revocation is looked at. A token lives half as long; the rest is for the clocks
	// of replicas, since a revocation is dated by that of one, when its transaction begins, and read by that of another.
	revocationsListed = 2 * Lifetime
	// revocationsKept is how long a revocation is there for requests that began before it. None lasts longer.
	revocationsKept = 7 * 24 * time.Hour
)

// claims of an access token.
type claims struct {
	jwt.RegisteredClaims
	ClientID  string    `json:"client_id"`
	SessionID uuid.UUID `json:"sid"`
	Scope     string    `json:"scope"`
	Kind      string    `json:"kind"`
	Name      string    `json:"name"`
	Epoch     int32     `json:"epoch"`
	Customer  uuid.UUID `json:"customer_id,omitzero"`
	Networks  []string  `json:"networks,omitempty"` // that it may be used from; none for all

	NotAfter *jwt.NumericDate `json:"not_after,omitempty"` // when access ends, whatever tokens there are; none for no end
}

// revocations are what the database says of tokens that have not expired: by session or subject, the first epoch that
// is valid.
type revocations map[uuid.UUID]int32

// state is what a replica knows of keys and revocations, read together.
type state struct {
	keys        *keySet
	revocations revocations
	readAt      time.Time
}

// Authority issues and verifies the tokens of an installation.
type Authority struct {
	db       *postgres.DB
	keyring  *secrets.Keyring
	issuer   string
	audience string
	parser   *jwt.Parser
	verified *lru.Cache[[sha256.Size]byte, *access.Principal]
	state    atomic.Pointer[state]
	reads    singleflight.Group // lets one read at a time through, for all that wait for it
	log      *slog.Logger
}

// NewAuthority makes an Authority for tokens that name publicURL as their issuer, and reads the keys once. Follow has to
// run for as long as it is used. The database should be a pool that requests do not share: nobody can be judged while
// all of its connections are busy.
func NewAuthority(
	ctx context.Context, database *postgres.DB, keyring *secrets.Keyring, publicURL string, log *slog.Logger,
) (*Authority, error) {
	if err := EnsureKey(ctx, database, keyring, NewKey); err != nil {
		return nil, err
	}
	cache, err := lru.New[[sha256.Size]byte, *access.Principal](cacheSize)
	if err != nil {
		return nil, fmt.Errorf("making the cache of tokens: %w", err)
	}
	a := &Authority{
		db: database, keyring: keyring, issuer: publicURL, audience: publicURL + "/v1", verified: cache,
		log: log,
		// When a token was issued is not compared: it was by a replica whose clock may be ahead of this one's.
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}),
			jwt.WithIssuer(publicURL), jwt.WithAudience(publicURL+"/v1"),
			jwt.WithExpirationRequired(), jwt.WithTimeFunc(database.Now),
		),
	}
	if _, err := a.reread(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

// Follow keeps keys and revocations fresh until the context ends. Without it they are read on request, when a second has
// passed since they last were.
func (a *Authority) Follow(ctx context.Context) {
	ticker := time.NewTicker(followInterval)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		_, err := a.reread(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			a.log.WarnContext(ctx, "keys and revocations cannot be read", "error", err)
		}
		failing = err != nil
	}
}

// Issuer is the installation's name in its tokens: its public URL.
func (a *Authority) Issuer() string { return a.issuer }

// Issue signs an access token for the caller; ExpiresAt is set to when it ends, which is never later than NotAfter.
func (a *Authority) Issue(ctx context.Context, caller *access.Principal, clientID string) (string, error) {
	current, err := a.fresh(ctx)
	if err != nil {
		return "", err
	}
	now := a.db.Now()
	ends := now.Add(Lifetime)
	if !caller.NotAfter.IsZero() && caller.NotAfter.Before(ends) {
		ends = caller.NotAfter
	}
	caller.ExpiresAt = ends.Truncate(time.Second)
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: a.issuer, Subject: caller.ID.String(), Audience: jwt.ClaimStrings{a.audience},
			ExpiresAt: jwt.NewNumericDate(caller.ExpiresAt), IssuedAt: jwt.NewNumericDate(now),
			ID: uuid.Must(uuid.NewV7()).String(),
		},
		ClientID: clientID, SessionID: caller.SessionID, Scope: JoinScopes(caller.Scopes),
		Kind: caller.Kind, Name: caller.Name, Epoch: caller.Epoch, Customer: caller.CustomerID,
		Networks: networksOf(caller), NotAfter: dateOf(caller.NotAfter),
	})
	token.Header["typ"] = tokenType
	token.Header["kid"] = current.keys.signer.id.String()
	signed, err := token.SignedString(current.keys.signer.private)
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return signed, nil
}

// ErrInvalid is the answer for a token that is not one of ours, has expired or was revoked.
var ErrInvalid = errors.New("the access token is not valid or has expired")

// Verify tells who the bearer of a token is. The answer is at most a second old: a token that was revoked before is
// refused.
func (a *Authority) Verify(ctx context.Context, token string) (*access.Principal, error) {
	current, err := a.fresh(ctx)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256([]byte(token))
	caller, remembered := a.verified.Get(hash)
	if !remembered {
		if caller, err = a.parse(current, token); err != nil {
			return nil, err
		}
		a.verified.Add(hash, caller)
	}
	if !a.db.Now().Before(caller.ExpiresAt) {
		a.verified.Remove(hash)
		return nil, ErrInvalid
	}
	if current.revocations[caller.SessionID] > caller.Epoch || current.revocations[caller.ID] > caller.Epoch {
		return nil, ErrInvalid
	}
	return caller, nil
}

// VerifyAgain judges a caller whose request has been let in, and has lasted since: its access may have been revoked or have
// ended meanwhile. That its token has expired takes nothing away. The answer is of this moment.
func (a *Authority) VerifyAgain(ctx context.Context, database db.DBTX, caller *access.Principal) error {
	if !caller.NotAfter.IsZero() && !a.db.Now().Before(caller.NotAfter) {
		return ErrInvalid
	}
	revoked, err := db.New().TokenRevocationExists(ctx, database, []uuid.UUID{caller.SessionID, caller.ID}, caller.Epoch)
	if err != nil {
		return fmt.Errorf("looking for a revocation: %w", err)
	}
	if revoked {
		return ErrInvalid
	}
	return nil
}

func (a *Authority) parse(current *state, token string) (*access.Principal, error) {
	var read claims
	parsed, err := a.parser.ParseWithClaims(token, &read, func(token *jwt.Token) (any, error) {
		if token.Header["typ"] != tokenType {
			return nil, ErrInvalid
		}
		id, _ := token.Header["kid"].(string)
		if known, found := current.keys.byID[id]; found {
			return known.public, nil
		}
		return nil, ErrInvalid
	})
	if err != nil || !parsed.Valid {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	id, err := uuid.Parse(read.Subject)
	if err != nil {
		return nil, ErrInvalid
	}
	caller := &access.Principal{
		Kind: read.Kind, ID: id, Name: read.Name, CustomerID: read.Customer, SessionID: read.SessionID, Epoch: read.Epoch,
		Scopes: SplitScopes(read.Scope), ExpiresAt: read.ExpiresAt.Time,
	}
	if read.NotAfter != nil {
		caller.NotAfter = read.NotAfter.Time
	}
	for _, text := range read.Networks {
		network, err := access.ParseNetwork(text)
		if err != nil {
			return nil, ErrInvalid // without it the token could be used from more places than it may
		}
		caller.Networks = append(caller.Networks, network)
	}
	return caller, nil
}

// dateOf gives a moment as a claim, none for the zero value.
func dateOf(at time.Time) *jwt.NumericDate {
	if at.IsZero() {
		return nil
	}
	return jwt.NewNumericDate(at)
}

func networksOf(caller *access.Principal) []string {
	var networks []string
	for _, network := range caller.Networks {
		networks = append(networks, network.String())
	}
	return networks
}

// fresh gives keys and revocations that are at most a second old. When following has fallen behind it reads them now;
// without the database nobody can be judged.
func (a *Authority) fresh(ctx context.Context) (*state, error) {
	asked := time.Now()
	current := a.state.Load()
	// A read that was under way already may have begun too long ago; the next one cannot.
	for asked.Sub(current.readAt) > maxAge {
		var err error
		if current, err = a.reread(ctx); err != nil {
			return nil, err
		}
	}
	return current, nil
}

// reread reads keys and revocations. All that ask while a read is under way get what comes of it: when the database
// hangs they fail together and not one after another. The read goes on when one of them leaves.
func (a *Authority) reread(ctx context.Context) (*state, error) {
	outcome := a.reads.DoChan("", func() (any, error) {
		reading, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		current, err := a.read(reading)
		if err != nil && reading.Err() != nil {
			return nil, fault.DatabaseAway(err) // it has not answered in time
		}
		return current, postgres.Translate(err)
	})
	select {
	case result := <-outcome:
		current, _ := result.Val.(*state)
		return current, result.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (a *Authority) read(ctx context.Context) (*state, error) {
	started := time.Now()
	// Always all that count, never those newer than the last one seen: one that commits late would be missed.
	rows, err := db.New().TokenRevocationList(ctx, a.db, a.db.Now().Add(-revocationsListed))
	if err != nil {
		return nil, fmt.Errorf("reading the revocations: %w", err)
	}
	keys, err := loadKeys(ctx, a.db, a.keyring)
	if err != nil {
		return nil, err
	}
	if keys.signer == nil {
		return nil, errors.New("there is no signing key")
	}
	revoked := make(revocations, len(rows))
	for _, row := range rows {
		revoked[row.TargetID] = row.MinEpoch
	}
	current := &state{keys: keys, revocations: revoked, readAt: started}
	a.state.Store(current)
	return current, nil
}

// PublicKey is an RSA key as RFC 7518 writes it.
type PublicKey struct {
	ID, Modulus, Exponent string
}

// PublicKeys gives the keys that verify tokens, the oldest first.
func (a *Authority) PublicKeys(ctx context.Context) ([]PublicKey, error) {
	current, err := a.fresh(ctx)
	if err != nil {
		return nil, err
	}
	published := []PublicKey{}
	for _, key := range current.keys.order {
		published = append(published, PublicKey{
			ID:       key.id.String(),
			Modulus:  base64.RawURLEncoding.EncodeToString(key.public.N.Bytes()),
			Exponent: base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.public.E)).Bytes()),
		})
	}
	return published, nil
}

// JoinScopes writes scopes as OAuth does, separated by spaces.
func JoinScopes(scopes []access.Scope) string {
	var text strings.Builder
	for i, scope := range scopes {
		if i > 0 {
			text.WriteByte(' ')
		}
		text.WriteString(string(scope))
	}
	return text.String()
}

// SplitScopes reads scopes as OAuth writes them.
func SplitScopes(text string) []access.Scope {
	scopes := []access.Scope{}
	for scope := range strings.FieldsSeq(text) {
		scopes = append(scopes, access.Scope(scope))
	}
	return scopes
}
