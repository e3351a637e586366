// Package api is the hand-written half of the server: it turns requests into calls of the packages that know the rules,
// and their rows and faults into answers. It holds no SQL, no rules and no state; what it does is convert.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"

	"github.com/labstack/echo/v4"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/contract"
	"github.com/clientele-api/clientele/internal/passwords"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/secrets"
	"github.com/clientele-api/clientele/internal/sessions"
	"github.com/clientele-api/clientele/internal/tokens"
)

// Options is what the server works with.
type Options struct {
	DB             *postgres.DB
	Authority      *tokens.Authority
	Keyring        *secrets.Keyring
	Hasher         *passwords.Hasher
	TrustedProxies []netip.Prefix
	Metrics        *Metrics // nil for none
	Log            *slog.Logger
}

// Server implements the operations of the contract.
type Server struct {
	db        *postgres.DB
	authority *tokens.Authority
	sessions  *sessions.Service
	keyring   *secrets.Keyring
	hasher    *passwords.Hasher
	contract  *contract.Contract
	log       *slog.Logger
}

var _ openapi.StrictServerInterface = (*Server)(nil)

// New makes the HTTP handler of the whole API: every operation of the contract, behind one chain of middleware, and the
// pages that show the contract itself.
func New(options Options) (*echo.Echo, error) {
	loaded, err := contract.Load(openapi.Spec)
	if err != nil {
		return nil, err
	}
	s := &Server{
		db: options.DB, authority: options.Authority, keyring: options.Keyring, hasher: options.Hasher,
		sessions: sessions.New(options.DB, options.Authority, options.Hasher),
		contract: loaded, log: options.Log,
	}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = s.writeError
	e.IPExtractor = ipExtractor(options.TrustedProxies)
	e.Use(s.withRequest, s.logged, options.Metrics.measured, s.recovered, secured, conditional, s.authorized, s.validated)
	openapi.RegisterHandlers(e, openapi.NewStrictHandler(s, []openapi.StrictMiddlewareFunc{answered}))
	if err := s.registerDocs(e); err != nil {
		return nil, err
	}
	return e, nil
}

// answered guards against a handler that gives neither an answer nor an error, which would pass for an empty 200.
func answered(next openapi.StrictHandlerFunc, operation string) openapi.StrictHandlerFunc {
	return func(ctx echo.Context, request any) (any, error) {
		response, err := next(ctx, request)
		if err == nil && response == nil {
			return nil, fmt.Errorf("%s gave no answer", operation)
		}
		return response, err
	}
}

// change runs a change for the caller of the request and gives what it gives.
func change[T any](ctx context.Context, s *Server, do func(tx *postgres.Tx) (T, error)) (T, error) {
	var result T
	err := s.db.Change(ctx, requestOf(ctx).change(), func(tx *postgres.Tx) error {
		var err error
		result, err = do(tx)
		return err
	})
	return result, err
}

var errNoCaller = errors.New("an operation that needs a caller was reached without one")
