package api

import (
	"context"
	"errors"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/staff"
)

// MeGet tells the caller who it is and what it may do.
func (s *Server) MeGet(ctx context.Context, _ openapi.MeGetRequestObject) (openapi.MeGetResponseObject, error) {
	caller := callerOf(ctx)
	account, err := s.ownAccount(ctx)
	if err != nil {
		return nil, err
	}
	return openapi.MeGet200JSONResponse{
		Kind: caller.Kind, Id: caller.ID, Name: account.Name, Email: &account.Email, Role: &account.Role,
		Scopes:    convert(caller.Scopes, func(s access.Scope) string { return string(s) }),
		SessionId: &caller.SessionID, TokenExpiresAt: caller.ExpiresAt,
	}, nil
}

// MePasswordUpdate changes the caller's own password. Comparing and hashing take long, so they come before the change.
func (s *Server) MePasswordUpdate(ctx context.Context, request openapi.MePasswordUpdateRequestObject) (openapi.MePasswordUpdateResponseObject, error) {
	account, err := s.ownAccount(ctx)
	if err != nil {
		return nil, err
	}
	matches, err := s.hasher.Matches(ctx, account.PasswordHash, request.Body.CurrentPassword)
	if err != nil {
		return nil, err
	}
	if !matches {
		return nil, staff.WrongPassword()
	}
	hash, err := s.hasher.Hash(ctx, request.Body.Password)
	if err != nil {
		return nil, err
	}
	caller := callerOf(ctx)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.MePasswordUpdateResponseObject, error) {
		err := staff.SetOwnPassword(ctx, tx, caller.ID, account.PasswordHash, hash, caller.SessionID)
		return openapi.MePasswordUpdate204Response{}, gone(err)
	})
}

// ownAccount reads the caller's account.
func (s *Server) ownAccount(ctx context.Context) (staff.Account, error) {
	account, err := staff.Get(ctx, s.db, callerOf(ctx).ID)
	return account, gone(err)
}

// gone says of a caller's account that is not there any more that its token is not valid, as authorization will a moment
// later.
func gone(err error) error {
	if errors.Is(err, staff.ErrNone) {
		return &fault.Error{Kind: fault.Unauthenticated, Code: "invalid_token", Detail: tokenRefused, Cause: err}
	}
	return err
}
