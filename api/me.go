package api

import (
	"context"
	"errors"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apiclients"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/identities"
	"github.com/clientele-api/clientele/internal/passwords"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/staff"
	"github.com/clientele-api/clientele/internal/throttle"
)

// MeGet tells the caller who it is and what it may do.
func (s *Server) MeGet(ctx context.Context, _ openapi.MeGetRequestObject) (openapi.MeGetResponseObject, error) {
	caller := callerOf(ctx)
	me := openapi.Me{
		Kind: caller.Kind, Id: caller.ID, SessionId: &caller.SessionID, TokenExpiresAt: caller.ExpiresAt,
		Scopes: convert(caller.Scopes, func(s access.Scope) string { return string(s) }),
	}
	switch caller.Kind {
	case access.KindIdentity:
		identity, err := identities.Get(ctx, s.db, nil, caller.CustomerID, caller.ID)
		if err != nil {
			return nil, gone(err)
		}
		me.Name, me.Email, me.Role, me.CustomerId = identity.Name, &identity.Email, &identity.Role, &identity.CustomerID
	case access.KindAPIClient:
		client, err := apiclients.Get(ctx, s.db, caller.ID)
		if err != nil {
			return nil, gone(err)
		}
		me.Name, me.CustomerId, me.ExpiresAt = client.Name, client.CustomerID, client.ExpiresAt
		me.PreviousSecretExpiresAt = client.PreviousSecretExpiresAt(s.db.Now())
	default:
		account, err := staff.Get(ctx, s.db, caller.ID)
		if err != nil {
			return nil, gone(err)
		}
		me.Name, me.Email, me.Role = account.Name, &account.Email, &account.Role
	}
	return openapi.MeGet200JSONResponse(me), nil
}

// MePasswordUpdate changes the caller's own password. Comparing and hashing take long, so they come before the change.
func (s *Server) MePasswordUpdate(ctx context.Context, request openapi.MePasswordUpdateRequestObject) (openapi.MePasswordUpdateResponseObject, error) {
	caller := callerOf(ctx)
	account, err := staff.Get(ctx, s.db, caller.ID)
	if err != nil {
		return nil, gone(err)
	}
	hash, err := s.replacement(ctx, throttle.Staff, account.Email, account.PasswordHash, *request.Body)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, func(tx *postgres.Tx) (openapi.MePasswordUpdateResponseObject, error) {
		err := staff.SetOwnPassword(ctx, tx, caller.ID, account.PasswordHash, hash, caller.SessionID)
		return openapi.MePasswordUpdate204Response{}, gone(err)
	})
}

// replacement gives the hash of a new password to somebody who knows the present one. Whoever has found a session open
// may guess no faster than at sign-in.
func (s *Server) replacement(
	ctx context.Context, realm throttle.Realm, email, presentHash string, body openapi.PasswordChange,
) (string, error) {
	attempt, err := s.guard.Attempt(ctx, realm, email, requestOf(ctx).address)
	if err != nil {
		return "", err
	}
	matches, err := s.hasher.Matches(ctx, presentHash, body.CurrentPassword)
	if err != nil {
		return "", errors.Join(err, attempt.Forget(ctx))
	}
	if !matches {
		return "", passwords.Wrong()
	}
	if err := attempt.Succeeded(ctx); err != nil {
		return "", err
	}
	return s.hasher.Hash(ctx, body.Password)
}

// gone says of a caller's account that is not there any more that its token is not valid, as authorization will a moment
// later.
func gone(err error) error {
	if fault.IsKind(postgres.Translate(err), fault.NotFound) {
		return fault.InvalidToken(err)
	}
	return err
}
