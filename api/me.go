package api

import (
	"context"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/staff"
)

// MeGet tells the caller who it is and what it may do.
func (s *Server) MeGet(ctx context.Context, _ openapi.MeGetRequestObject) (openapi.MeGetResponseObject, error) {
	caller := callerOf(ctx)
	account, err := staff.Get(ctx, s.db, caller.ID)
	if err != nil {
		return nil, goneIsInvalid(err)
	}
	return openapi.MeGet200JSONResponse{
		Kind: caller.Kind, Id: caller.ID, Name: account.Name, Email: &account.Email, Role: &account.Role,
		Scopes:    convert(caller.Scopes, func(s access.Scope) string { return string(s) }),
		SessionId: &caller.SessionID, TokenExpiresAt: caller.ExpiresAt,
	}, nil
}

// MePasswordUpdate changes the caller's own password.
func (s *Server) MePasswordUpdate(ctx context.Context, request openapi.MePasswordUpdateRequestObject) (openapi.MePasswordUpdateResponseObject, error) {
	if err := checkConfirmation(&request.Body.Password, request.Body.PasswordConfirmation); err != nil {
		return nil, err
	}
	err := staff.ChangePassword(ctx, s.db, requestOf(ctx).change(), s.hasher, callerOf(ctx),
		request.Body.CurrentPassword, request.Body.Password)
	if err != nil {
		return nil, goneIsInvalid(err)
	}
	return openapi.MePasswordUpdate204Response{}, nil
}

// goneIsInvalid says of a caller's account that is not there any more that its token is not valid, as authorization will
// a moment later.
func goneIsInvalid(err error) error {
	if err = postgres.Translate(err); fault.IsKind(err, fault.NotFound) {
		return invalidToken(err)
	}
	return err
}
