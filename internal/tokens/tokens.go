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
}

// revocations are what the database says of tokens that have not expired: by session or subject, the first epoch that
// is valid.
type revocations map[uuid.UUID]int32

const noEpoch = int32(1<<31 - 1)

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
	reading  chan struct{}
}

// NewAuthority makes an Authority for tokens that name publicURL as their issuer, and reads the keys once. It goes on
// following keys and revocations until the context ends.
func NewAuthority(
	ctx context.Context, database *postgres.DB, keyring *secrets.Keyring, publicURL string, log *slog.Logger,
) (*Authority, error) {
	if err := EnsureKey(ctx, database, keyring); err != nil {
		return nil, err
	}
	cache, err := lru.New[[sha256.Size]byte, *access.Principal](cacheSize)
	if err != nil {
		return nil, fmt.Errorf("making the cache of tokens: %w", err)
	}
	a := &Authority{
		db: database, keyring: keyring, issuer: publicURL, audience: publicURL + "/v1", verified: cache,
		reading: make(chan struct{}, 1),
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}),
			jwt.WithIssuer(publicURL), jwt.WithAudience(publicURL+"/v1"),
			jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithTimeFunc(database.Now),
		),
	}
	if err := a.refresh(ctx); err != nil {
		return nil, err
	}
	go a.follow(ctx, log)
	return a, nil
}

// Issuer is the installation's name in its tokens: its public URL.
func (a *Authority) Issuer() string { return a.issuer }

// Issue signs an access token for the caller; ExpiresAt is set to when it ends.
func (a *Authority) Issue(ctx context.Context, caller *access.Principal, clientID string) (string, error) {
	current, err := a.fresh(ctx)
	if err != nil {
		return "", err
	}
	now := a.db.Now()
	caller.ExpiresAt = now.Add(Lifetime).Truncate(time.Second)
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: a.issuer, Subject: caller.ID.String(), Audience: jwt.ClaimStrings{a.audience},
			ExpiresAt: jwt.NewNumericDate(caller.ExpiresAt), IssuedAt: jwt.NewNumericDate(now),
			ID: uuid.Must(uuid.NewV7()).String(),
		},
		ClientID: clientID, SessionID: caller.SessionID, Scope: JoinScopes(caller.Scopes),
		Kind: caller.Kind, Name: caller.Name, Epoch: caller.Epoch,
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
	return &access.Principal{
		Kind: read.Kind, ID: id, Name: read.Name, SessionID: read.SessionID, Epoch: read.Epoch,
		Scopes: SplitScopes(read.Scope), ExpiresAt: read.ExpiresAt.Time,
	}, nil
}

// fresh gives keys and revocations that are at most a second old. When following has fallen behind it reads them now;
// without the database nobody can be judged.
func (a *Authority) fresh(ctx context.Context) (*state, error) {
	if current := a.state.Load(); time.Since(current.readAt) <= maxAge {
		return current, nil
	}
	select {
	case a.reading <- struct{}{}:
		defer func() { <-a.reading }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if current := a.state.Load(); time.Since(current.readAt) <= maxAge {
		return current, nil // somebody else read it meanwhile
	}
	if err := a.refresh(ctx); err != nil {
		return nil, err
	}
	return a.state.Load(), nil
}

func (a *Authority) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	started := time.Now()
	// Always all that count, never those newer than the last one seen: one that commits late would be missed.
	rows, err := db.New().TokenRevocationList(ctx, a.db, a.db.Now().Add(-keyGrace))
	if err != nil {
		return fault.DatabaseAway(err)
	}
	keys, err := loadKeys(ctx, a.db, a.keyring)
	if err != nil {
		return fault.DatabaseAway(err)
	}
	if keys.signer == nil {
		return fault.DatabaseAway(errors.New("there is no signing key"))
	}
	revoked := make(revocations, len(rows))
	for _, row := range rows {
		epoch := noEpoch
		if row.MinEpoch != nil {
			epoch = *row.MinEpoch
		}
		revoked[row.TargetID] = max(revoked[row.TargetID], epoch)
	}
	a.state.Store(&state{keys: keys, revocations: revoked, readAt: started})
	return nil
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
