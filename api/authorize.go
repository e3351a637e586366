package api

import (
	"cmp"
	"context"
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

// authorized lets a request through to an operation only when the contract's security lets its token in. Nothing else
// in the program decides who may call what. What is not an operation is a path that is not there, or one of the pages
// that show the contract: New has seen to it that there is no other.
func (s *Server) authorized(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		known := requestOf(c.Request().Context())
		if known.operation == nil || known.operation.IsPublic() {
			return next(c)
		}
		caller, err := s.authenticate(c)
		if err != nil {
			return err
		}
		known.caller = caller
		if err := s.counted(c, caller); err != nil {
			return err
		}
		if err := admit(caller, known.operation.Requirements); err != nil {
			return err
		}
		return next(c)
	}
}

func (s *Server) authenticate(c echo.Context) (*access.Principal, error) {
	scheme, token, _ := strings.Cut(c.Request().Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if token == "" || !strings.EqualFold(scheme, "Bearer") {
		return nil, &fault.Error{
			Kind: fault.Unauthenticated, Code: "token_missing",
			Detail: "Send an access token as Authorization: Bearer ….",
		}
	}
	caller, err := s.authority.Verify(c.Request().Context(), token)
	if errors.Is(err, tokens.ErrInvalid) {
		return nil, fault.InvalidToken(err)
	}
	if err != nil {
		return nil, err
	}
	if address := requestOf(c.Request().Context()).address; !caller.MayComeFrom(address) {
		return nil, &fault.Error{
			Kind: fault.Forbidden, Code: "network_not_allowed",
			Detail: "The API client may not be used from " + cmp.Or(address, "an address that a proxy does not tell") + ".",
		}
	}
	if caller.Kind == access.KindAPIClient {
		s.clients.Used(c.Request().Context(), caller.ID)
	}
	return caller, nil
}

// reauthorized looks once more at who makes a request that has lasted: they may have lost their access meanwhile.
func (s *Server) reauthorized(ctx context.Context) error {
	err := s.authority.VerifyAgain(ctx, s.db, callerOf(ctx))
	if errors.Is(err, tokens.ErrInvalid) {
		return fault.InvalidToken(err)
	}
	return err
}

// lacking is what a refusal is about: the scopes that would let the caller in.
type lacking []access.Scope

// admit lets the caller in when one of the requirements is met: its token is of that scheme and has all the scopes.
func admit(caller *access.Principal, requirements []contract.Requirement) error {
	var alternatives [][]access.Scope
	for _, requirement := range requirements {
		if requirement.Scheme != caller.Kind {
			continue
		}
		if demand(caller, requirement.Scopes) == nil {
			return nil
		}
		alternatives = append(alternatives, requirement.Scopes)
	}
	if len(alternatives) > 0 {
		return demand(caller, alternatives...)
	}
	return &fault.Error{
		Kind: fault.Forbidden, Code: "wrong_kind_of_caller",
		Detail: fmt.Sprintf("Tokens of the kind %s do not reach this operation.", caller.Kind),
	}
}

// demand refuses a caller whose token lacks one of the scopes, of each of the alternatives.
func demand(caller *access.Principal, alternatives ...[]access.Scope) error {
	var asked lacking
	var lacks []string
	for _, scopes := range alternatives {
		missing := slices.DeleteFunc(slices.Clone(scopes), caller.Has)
		if len(missing) == 0 {
			return nil
		}
		noun := "scope "
		if len(missing) > 1 {
			noun = "scopes "
		}
		asked = append(asked, scopes...)
		lacks = append(lacks, noun+tokens.JoinScopes(missing))
	}
	return &fault.Error{
		Kind: fault.Forbidden, Code: "insufficient_scope", About: asked,
		Detail: "The token lacks the " + strings.Join(lacks, " or the ") + ".",
	}
}

// admitBody lets a body through whose members ask for no more scopes than the caller has.
func admitBody(c echo.Context, operation *contract.Operation, body []byte) error {
	if scopes := operation.ScopesOf(body); len(scopes) > 0 {
		return demand(callerOf(c.Request().Context()), scopes)
	}
	return nil
}
