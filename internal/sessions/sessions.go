// Package sessions opens, carries on and ends sessions: what the token endpoint does. A session belongs to one login and
// lives by its refresh tokens, of which only hashes are stored. Errors that the endpoint shows are *Error, in the words
// of RFC 6749; all others are faults.
package sessions

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/passwords"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/textfold"
	"github.com/clientele-api/clientele/internal/throttle"
	"github.com/clientele-api/clientele/internal/tokens"
)

const (
	// refreshLifetime is how long a session lasts without being used, sessionLifetime how long it lasts at all.
	refreshLifetime = 7 * 24 * time.Hour
	sessionLifetime = 30 * 24 * time.Hour
	// replayWindow is how long a spent refresh token may be used once more, for two tabs and lost answers.
	replayWindow = 30 * time.Second

	refreshPrefix = "clr_"
)

// Error is a refusal in the words of RFC 6749, section 5.2.
type Error struct {
	Code        string
	Description string
}

// Error describes the refusal for the log.
func (e *Error) Error() string { return e.Code + ": " + e.Description }

// The refusals that depend on more than the form of the request. An unknown login and a wrong password are the same.
var (
	errWrongLogin   = &Error{Code: "invalid_grant", Description: "The login or the password is wrong."}
	errRefreshToken = &Error{Code: "invalid_grant", Description: "The refresh token is not valid, has expired or was used before."}
)

// Grant is what a client gets.
type Grant struct {
	AccessToken    string
	RefreshToken   string // "" for none
	RefreshExpires time.Duration
	Expires        time.Duration // of the access token
	Scopes         []access.Scope
}

// Service grants tokens.
type Service struct {
	db        *postgres.DB
	authority *tokens.Authority
	hasher    *passwords.Hasher
	guard     *throttle.Guard
}

// New makes a Service.
func New(
	database *postgres.DB, authority *tokens.Authority, hasher *passwords.Hasher, guard *throttle.Guard,
) *Service {
	return &Service{db: database, authority: authority, hasher: hasher, guard: guard}
}

// SignIn is what somebody sends who wants to sign in.
type SignIn struct {
	Client    string // one of the clients that people sign in through
	Email     string
	Password  string
	Scope     string // narrows what the login gives; "" is all of it
	UserAgent string // of the program; "" when it does not say
	Address   string // that it comes from
}

// maxUserAgent is how much is kept of what a program calls itself.
const maxUserAgent = 200

// SignIn opens a session, unless there were too many attempts before.
func (s *Service) SignIn(ctx context.Context, asked SignIn) (Grant, error) {
	attempt, err := s.guard.Attempt(ctx, throttle.Realm(asked.Client), asked.Email, asked.Address)
	if err != nil {
		return Grant{}, err
	}
	grant, err := s.signIn(ctx, asked)
	switch {
	case err == nil:
		return grant, attempt.Succeeded(ctx)
	case !errors.Is(err, errWrongLogin):
		return grant, errors.Join(err, attempt.Forget(ctx))
	}
	return grant, err
}

// signIn compares the password before the transaction; what is read in it, under lock, decides.
func (s *Service) signIn(ctx context.Context, asked SignIn) (Grant, error) {
	of := realms[asked.Client]
	candidate, err := s.find(ctx, of, asked.Email)
	if err != nil {
		return Grant{}, err
	}
	matches, err := s.hasher.Matches(ctx, candidate.passwordHash, asked.Password)
	if err != nil {
		return Grant{}, err
	}
	if !matches {
		return Grant{}, errWrongLogin
	}
	var opened opening
	err = s.db.Change(ctx, postgres.Change{}, func(tx *postgres.Tx) error {
		login, err := of.lock(ctx, tx, candidate.caller.ID)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && login.passwordHash != candidate.passwordHash {
			return errWrongLogin
		}
		if err != nil {
			return err
		}
		opened, err = open(ctx, tx, of, login, asked)
		return err
	})
	if err != nil {
		return Grant{}, err
	}
	return s.grant(ctx, opened)
}

// find reads the login of an email address. Of an unknown one it gives a login whose password nothing matches.
func (s *Service) find(ctx context.Context, of realm, email string) (login, error) {
	if !utf8.ValidString(email) || strings.ContainsRune(email, 0) {
		return login{}, nil // a text that the database cannot hold
	}
	found, err := of.find(ctx, s.db, textfold.CaseKey(email))
	if errors.Is(err, pgx.ErrNoRows) {
		return login{}, nil
	}
	return found, err
}

// opening is a session with a refresh token that was just stored.
type opening struct {
	caller  *access.Principal
	client  string
	refresh string
	expires time.Duration
}

func open(ctx context.Context, tx *postgres.Tx, of realm, login login, asked SignIn) (opening, error) {
	scopes, err := Narrow(login.caller.Scopes, asked.Scope)
	if err != nil {
		return opening{}, err
	}
	caller := login.caller
	caller.SessionID, caller.Scopes = uuid.Must(uuid.NewV7()), scopes
	session := db.SessionInsertParams{
		ID: caller.SessionID, ClientID: asked.Client, CreatedAt: tx.Now, ExpiresAt: tx.Now.Add(sessionLifetime),
	}
	of.own(&session, caller.ID)
	if strings.TrimSpace(asked.Scope) != "" {
		session.Scope = &asked.Scope
	}
	if agent := []rune(strings.ToValidUTF8(asked.UserAgent, "")); len(agent) > 0 {
		shown := string(agent[:min(len(agent), maxUserAgent)])
		session.UserAgent = &shown
	}
	if err := db.New().SessionInsert(ctx, tx, session); err != nil {
		return opening{}, err
	}
	if err := of.signedIn(ctx, tx, &caller); err != nil {
		return opening{}, err
	}
	refresh, expires, err := newRefreshToken(ctx, tx, session.ID, session.ExpiresAt, nil)
	if err != nil {
		return opening{}, err
	}
	return opening{caller: &caller, client: asked.Client, refresh: refresh, expires: expires}, nil
}

func (s *Service) grant(ctx context.Context, opened opening) (Grant, error) {
	token, err := s.authority.Issue(ctx, opened.caller, opened.client)
	if err != nil {
		return Grant{}, err
	}
	return Grant{
		AccessToken: token, Expires: tokens.Lifetime, RefreshToken: opened.refresh, RefreshExpires: opened.expires,
		Scopes: opened.caller.Scopes,
	}, nil
}

// Narrow gives the scopes asked for, which must all be allowed; "" asks for all that are. The error is one of the endpoint's.
func Narrow(allowed []access.Scope, scope string) ([]access.Scope, error) {
	asked := tokens.SplitScopes(scope)
	if len(asked) == 0 {
		return allowed, nil
	}
	var beyond []string
	for _, one := range asked {
		if !slices.Contains(allowed, one) {
			beyond = append(beyond, string(one))
		}
	}
	if len(beyond) > 0 {
		return nil, &Error{Code: "invalid_scope", Description: "The caller may not have these scopes: " + fault.Names(beyond) + "."}
	}
	return slices.DeleteFunc(allowed, func(one access.Scope) bool { return !slices.Contains(asked, one) }), nil
}

// newRefreshToken stores a new refresh token of the session, the successor of the parent, and gives its text.
func newRefreshToken(
	ctx context.Context, tx *postgres.Tx, sessionID uuid.UUID, sessionExpires time.Time, parent []byte,
) (string, time.Duration, error) {
	text := refreshPrefix + rand.Text() + rand.Text()
	expires := tx.Now.Add(refreshLifetime)
	if expires.After(sessionExpires) {
		expires = sessionExpires
	}
	err := db.New().RefreshTokenInsert(ctx, tx, db.RefreshTokenInsertParams{
		Hash: hash(text), SessionID: sessionID, CreatedAt: tx.Now, ExpiresAt: expires, ParentHash: parent,
	})
	if err != nil {
		return "", 0, fmt.Errorf("storing a refresh token: %w", err)
	}
	return text, expires.Sub(tx.Now), nil
}

func hash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
