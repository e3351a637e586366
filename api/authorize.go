package api

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/contract"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/tokens"
)

const challenge = `Bearer realm="clientele"`

// authorized lets a request through to an operation only when the contract's security lets its token in. Nothing else
// in the program decides who may call what.
func (s *Server) authorized(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		known := requestOf(c.Request().Context())
		if known.operation == nil || len(known.operation.Requirements) == 0 {
			return next(c) // an unknown path, the documentation, or an operation that is public by its contract
		}
		caller, err := s.authenticate(c)
		if err != nil {
			return err
		}
		if err := admit(caller, known.operation.Requirements); err != nil {
			return err
		}
		known.caller = caller
		return next(c)
	}
}

func (s *Server) authenticate(c echo.Context) (*access.Principal, error) {
	scheme, token, _ := strings.Cut(c.Request().Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if token == "" || !strings.EqualFold(scheme, "Bearer") {
		return nil, &fault.Error{
			Kind: fault.Unauthenticated, Code: "token_missing", Header: challenge,
			Detail: "Send an access token as Authorization: Bearer ….",
		}
	}
	caller, err := s.authority.Verify(c.Request().Context(), token)
	if errors.Is(err, tokens.ErrInvalid) {
		return nil, invalidToken(err)
	}
	return caller, err
}

func invalidToken(cause error) error {
	return &fault.Error{
		Kind: fault.Unauthenticated, Code: "invalid_token", Header: challenge + `, error="invalid_token"`,
		Detail: "The access token is not valid or has expired.", Cause: cause,
	}
}

// admit lets the caller in when one of the requirements is met: its token is of that scheme and has all the scopes.
func admit(caller *access.Principal, requirements []contract.Requirement) error {
	var missing []access.Scope
	for _, requirement := range requirements {
		if requirement.Scheme != caller.Kind {
			continue
		}
		missing = slices.DeleteFunc(slices.Clone(requirement.Scopes), caller.Has)
		if len(missing) == 0 {
			return nil
		}
		return insufficientScope(requirement.Scopes, missing)
	}
	return &fault.Error{
		Kind: fault.Forbidden, Code: "wrong_kind_of_caller", Header: challenge + `, error="insufficient_scope"`,
		Detail: fmt.Sprintf("A %s token does not reach this operation.", caller.Kind),
	}
}

func insufficientScope(required, missing []access.Scope) error {
	noun := "scope "
	if len(missing) > 1 {
		noun = "scopes "
	}
	return &fault.Error{
		Kind: fault.Forbidden, Code: "insufficient_scope",
		Detail:  "The token lacks the " + noun + tokens.JoinScopes(missing) + ".",
		Header:  challenge + fmt.Sprintf(`, error="insufficient_scope", scope="%s"`, tokens.JoinScopes(required)),
		Members: map[string]any{"required_scopes": required},
	}
}
