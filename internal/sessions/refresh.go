package sessions

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/tokens"
)

// Refresh carries a session on. The refresh token is spent and answered with its successor; a second use that is more
// than a second tab or a lost answer ends the session, since then two hold what one should have.
// A token is good for the client only that its session was opened through (RFC 6749, section 6).
func (s *Service) Refresh(ctx context.Context, client, refreshToken, scope string) (Grant, error) {
	var opened opening
	var reused bool
	err := s.db.Change(ctx, postgres.Change{}, func(tx *postgres.Tx) error {
		reused = false
		held, err := lock(ctx, tx, client, refreshToken)
		if err != nil {
			return err
		}
		usable, err := use(ctx, tx, held.token)
		if err != nil {
			return err
		}
		if !usable {
			// This must be committed, though the caller is refused.
			reused = true
			return end(ctx, tx, held.session.ID)
		}
		opened, err = carryOn(ctx, tx, held, scope)
		return err
	})
	if err == nil && reused {
		err = errRefreshToken
	}
	if err != nil {
		return Grant{}, err
	}
	return s.grant(ctx, opened)
}

// held is what a refresh works on: the account locked against changes, the session against other refreshes.
type held struct {
	realm   realm
	login   login
	session db.Session
	token   db.RefreshToken
}

// lock finds what a refresh token belongs to and locks it, the account before the session as everybody does.
func lock(ctx context.Context, tx *postgres.Tx, client, refreshToken string) (h held, err error) {
	if h.token, err = db.New().RefreshTokenGet(ctx, tx, hash(refreshToken)); err != nil {
		return h, orRefused(err)
	}
	if h.session, err = db.New().SessionGet(ctx, tx, h.token.SessionID); err != nil {
		return h, orRefused(err)
	}
	if h.session.ClientID != client {
		return h, errRefreshToken // and it stays unspent for its own client
	}
	var owner uuid.UUID
	h.realm, owner = realmOf(h.session)
	if h.login, err = h.realm.lock(ctx, tx, owner); err != nil {
		return h, orRefused(err)
	}
	if h.login.passwordHash == "" {
		return h, errRefreshToken // nobody is let in with it
	}
	if h.session, err = db.New().SessionGetForUpdate(ctx, tx, h.session.ID); err != nil {
		return h, orRefused(err)
	}
	// Read again under the lock: it may have been spent a moment ago.
	if h.token, err = db.New().RefreshTokenGet(ctx, tx, h.token.Hash); err != nil {
		return h, orRefused(err)
	}
	if h.session.RevokedAt != nil || !tx.Now.Before(h.session.ExpiresAt) || !tx.Now.Before(h.token.ExpiresAt) {
		return h, errRefreshToken
	}
	return h, nil
}

func orRefused(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return errRefreshToken
	}
	return err
}

// use spends the token, or uses a spent one once more where that is allowed.
func use(ctx context.Context, tx *postgres.Tx, token db.RefreshToken) (bool, error) {
	if token.SpentAt == nil {
		return true, db.New().RefreshTokenSpend(ctx, tx, &tx.Now, token.Hash)
	}
	if token.ReplayedAt != nil || tx.Now.Sub(*token.SpentAt) > replayWindow {
		return false, nil
	}
	moved, err := db.New().RefreshTokenSuccessorSpent(ctx, tx, token.Hash)
	if err != nil || moved {
		return false, err
	}
	return true, db.New().RefreshTokenReplay(ctx, tx, &tx.Now, token.Hash)
}

func carryOn(ctx context.Context, tx *postgres.Tx, h held, scope string) (opening, error) {
	allowed := h.login.caller.Scopes
	if h.session.Scope != nil {
		// What the session was narrowed to, as far as the role still gives it.
		granted := tokens.SplitScopes(*h.session.Scope)
		allowed = slices.DeleteFunc(allowed, func(s access.Scope) bool { return !slices.Contains(granted, s) })
	}
	scopes, err := Narrow(allowed, scope)
	if err != nil {
		return opening{}, err
	}
	refresh, expires, err := newRefreshToken(ctx, tx, h.session.ID, h.session.ExpiresAt, h.token.Hash)
	if err != nil {
		return opening{}, err
	}
	caller := h.login.caller
	caller.SessionID, caller.Scopes = h.session.ID, scopes
	if err := h.realm.carriedOn(ctx, tx, &caller); err != nil {
		return opening{}, err
	}
	return opening{caller: &caller, client: h.session.ClientID, refresh: refresh, expires: expires}, nil
}

// Revoke ends the session of a refresh token or an access token; of a token that nobody knows there is nothing to end.
func (s *Service) Revoke(ctx context.Context, token string) error {
	sessionID := uuid.Nil
	if caller, err := s.authority.Verify(ctx, token); err == nil && caller.Kind == access.KindAPIClient {
		return ErrOthersToken() // which that client can revoke, who says its secret for it
	} else if err == nil {
		sessionID = caller.SessionID
	} else if !errors.Is(err, tokens.ErrInvalid) {
		return err
	}
	return s.db.Change(ctx, postgres.Change{}, func(tx *postgres.Tx) error {
		if sessionID == uuid.Nil {
			known, err := db.New().RefreshTokenGet(ctx, tx, hash(token))
			if errors.Is(err, pgx.ErrNoRows) {
				return nil
			}
			if err != nil {
				return err
			}
			sessionID = known.SessionID
		}
		return end(ctx, tx, sessionID)
	})
}

// RevokeOfClient ends an access token that an API client got. The tokens of others it is not to end.
func (s *Service) RevokeOfClient(ctx context.Context, clientID uuid.UUID, token string) error {
	caller, err := s.authority.Verify(ctx, token)
	switch {
	case err == nil && (caller.Kind != access.KindAPIClient || caller.ID != clientID):
		return ErrOthersToken()
	case err == nil:
		return s.db.Change(ctx, postgres.Change{}, func(tx *postgres.Tx) error {
			return tokens.RevokeSessions(ctx, tx, caller.SessionID)
		})
	case !errors.Is(err, tokens.ErrInvalid):
		return err
	}
	_, err = db.New().RefreshTokenGet(ctx, s.db, hash(token))
	switch {
	case err == nil:
		return ErrOthersToken()
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	}
	return err
}

// ErrOthersToken is the refusal of a token that was issued to another client (RFC 7009, section 2.1).
func ErrOthersToken() error {
	return &Error{Code: "unauthorized_client", Description: "The token was issued to another client."}
}

// end ends a session, once: a revocation for each time that somebody asks would be more for every replica to read.
func end(ctx context.Context, tx *postgres.Tx, sessionID uuid.UUID) error {
	ended, err := db.New().SessionRevoke(ctx, tx, &tx.Now, sessionID)
	if err != nil || ended == 0 {
		return err
	}
	return tokens.RevokeSessions(ctx, tx, sessionID)
}

// EndAllOfStaff ends the sessions of a staff account, but for the one to keep.
func EndAllOfStaff(ctx context.Context, tx *postgres.Tx, staffID uuid.UUID, keep *uuid.UUID) error {
	ended, err := db.New().SessionRevokeByStaff(ctx, tx, &tx.Now, &staffID, keep)
	if err != nil {
		return err
	}
	return tokens.RevokeSessions(ctx, tx, ended...)
}

// EndAllOfIdentity ends the sessions of a login, but for the one to keep.
func EndAllOfIdentity(ctx context.Context, tx *postgres.Tx, identityID uuid.UUID, keep *uuid.UUID) error {
	ended, err := db.New().SessionRevokeByIdentity(ctx, tx, &tx.Now, &identityID, keep)
	if err != nil {
		return err
	}
	return tokens.RevokeSessions(ctx, tx, ended...)
}

// EndAllOfCustomers ends the sessions of all the logins of these customers.
func EndAllOfCustomers(ctx context.Context, tx *postgres.Tx, customerIDs ...uuid.UUID) error {
	ended, err := db.New().SessionRevokeByCustomers(ctx, tx, &tx.Now, customerIDs)
	if err != nil {
		return err
	}
	return tokens.RevokeSessions(ctx, tx, ended...)
}

// Sweep deletes sessions that have expired, with their refresh tokens. They stay for as long as their last access token
// may live, since what is not there cannot be ended.
func Sweep(ctx context.Context, database *postgres.DB) error {
	_, err := db.New().SessionDeleteExpired(ctx, database, database.Now().Add(-2*tokens.Lifetime))
	return err
}
