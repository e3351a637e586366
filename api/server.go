// Package api is the hand-written half of the server: it turns requests into calls of the packages that know the rules,
// and their rows and faults into answers. It holds no SQL, no rules and no state; what it does is convert.
package api

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/activation"
	"github.com/clientele-api/clientele/internal/apiclients"
	"github.com/clientele-api/clientele/internal/backups"
	"github.com/clientele-api/clientele/internal/blobs"
	"github.com/clientele-api/clientele/internal/cleanup"
	"github.com/clientele-api/clientele/internal/contract"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/exports"
	"github.com/clientele-api/clientele/internal/idempotency"
	"github.com/clientele-api/clientele/internal/operations"
	"github.com/clientele-api/clientele/internal/passwords"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/ratelimit"
	"github.com/clientele-api/clientele/internal/secrets"
	"github.com/clientele-api/clientele/internal/sessions"
	"github.com/clientele-api/clientele/internal/throttle"
	"github.com/clientele-api/clientele/internal/tokens"
	"github.com/clientele-api/clientele/internal/webhooks"
)

// Options is what the server works with.
type Options struct {
	DB             *postgres.DB
	Authority      *tokens.Authority
	Keyring        *secrets.Keyring
	Hasher         *passwords.Hasher
	Activation     *activation.Service
	Operations     *operations.Service
	Webhooks       *webhooks.Service
	Sequencer      *events.Sequencer // that requests wait for events by
	Blobs          *blobs.Store
	Exports        *exports.Snapshots
	Backups        *backups.Service
	Limiter        *ratelimit.Limiter // nil for none
	AnswerTime     time.Duration      // AnswerTime, or less; 0 for AnswerTime itself
	TermsRequired  bool               // whether customers' people must have accepted the current terms
	TrustedProxies []netip.Prefix
	CORSOrigins    []string // of pages that may call from a browser; exactly these
	Metrics        *Metrics // nil for none
	Contract       *contract.Contract
	Log            *slog.Logger
}

// Server implements the operations of the contract.
type Server struct {
	db            *postgres.DB
	authority     *tokens.Authority
	sessions      *sessions.Service
	keyring       *secrets.Keyring
	hasher        *passwords.Hasher
	guard         *throttle.Guard
	keeper        *idempotency.Keeper
	activation    *activation.Service
	operations    *operations.Service
	clients       *apiclients.Service
	webhooks      *webhooks.Service
	sequencer     *events.Sequencer
	cleanup       *cleanup.Service
	blobs         *blobs.Store
	exports       *exports.Snapshots
	backups       *backups.Service
	limiter       *ratelimit.Limiter
	slots         *ratelimit.Slots // of expensive requests
	waiting       *ratelimit.Slots // of requests that wait for events
	answerTime    time.Duration
	termsRequired bool
	contract      *contract.Contract
	log           *slog.Logger
}

var _ openapi.StrictServerInterface = (*Server)(nil)

// New makes the HTTP handler of the whole API: every operation of the contract, behind one chain of middleware, and the
// pages that show the contract itself.
func New(options Options) (http.Handler, error) {
	s := &Server{
		db: options.DB, authority: options.Authority, keyring: options.Keyring, hasher: options.Hasher,
		activation: options.Activation, blobs: options.Blobs, exports: options.Exports, backups: options.Backups,
		termsRequired: options.TermsRequired, operations: options.Operations, webhooks: options.Webhooks,
		sequencer: options.Sequencer, contract: options.Contract, log: options.Log,
		limiter: options.Limiter, slots: ratelimit.NewSlots(),
		waiting:    ratelimit.NewSlots(),
		answerTime: cmp.Or(options.AnswerTime, AnswerTime),
	}
	s.cleanup = cleanup.New(options.DB, options.Keyring, options.Operations)
	s.guard = throttle.New(options.DB, options.Keyring)
	s.keeper = idempotency.NewKeeper(options.DB, options.Keyring)
	s.clients = apiclients.New(options.DB, options.Authority, s.guard, options.Log)
	s.sessions = sessions.New(options.DB, options.Authority, options.Hasher, s.guard)
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = s.writeError
	e.IPExtractor = ipExtractor(options.TrustedProxies)
	e.Use(s.withRequest, s.logged, options.Metrics.measured, s.recovered, secured, headAllowed)
	if len(options.CORSOrigins) > 0 {
		e.Use(crossOrigin(options.CORSOrigins))
	}
	e.Use(deprecating, conditional, s.authorized, s.limited, s.managing, received, s.keyed, s.acceptedTerms, s.validated)
	openapi.RegisterHandlers(e, openapi.NewStrictHandler(s, []openapi.StrictMiddlewareFunc{answered}))
	pages, err := s.registerDocs(e)
	if err != nil {
		return nil, err
	}
	if err := checkRoutes(e, s.contract, pages); err != nil {
		return nil, err
	}
	return withHead(e), nil
}

// checkRoutes refuses a route that is neither an operation of the contract nor one of the open pages, since nothing
// would guard it, and an operation that nothing serves.
func checkRoutes(e *echo.Echo, loaded *contract.Contract, pages []string) error {
	served := map[string]bool{}
	for _, route := range e.Routes() {
		served[route.Method+" "+route.Path] = true
		if loaded.Operation(route.Method, route.Path) == nil && !slices.Contains(pages, route.Path) {
			return fmt.Errorf("the route %s %s is neither in the contract nor an open page", route.Method, route.Path)
		}
	}
	for _, operation := range loaded.Operations() {
		if !served[operation.Method+" "+operation.Route] {
			return fmt.Errorf("nothing serves %s %s", operation.Method, operation.Path)
		}
	}
	return nil
}

// headKey marks the context of a request that was a HEAD.
type headKey struct{}

// withHead answers HEAD wherever GET is (RFC 9110, 9.3.2). net/http leaves the body out, since it sees the request as
// it came.
func withHead(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			r = r.Clone(context.WithValue(r.Context(), headKey{}, true))
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

// headAllowed names HEAD beside GET where the router lists the methods of a path: it does not know of withHead.
func headAllowed(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if allow, _ := c.Get(echo.ContextKeyHeaderAllow).(string); strings.Contains(allow, http.MethodGet) {
			c.Response().Before(func() {
				both := http.MethodGet + ", " + http.MethodHead
				c.Response().Header().Set(echo.HeaderAllow, strings.Replace(allow, http.MethodGet, both, 1))
			})
		}
		return next(c)
	}
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

// change makes a change for the caller of the request and gives its answer. The answer is made inside the transaction:
// nothing is committed that cannot be answered. Of a request with a key it is stored there, too, and a request that was
// answered before changes nothing: its answer travels as the error, up to keyed. So the change is the only one of its
// request, and what it gives is the answer of the operation.
func change[Answer any](ctx context.Context, s *Server, do func(tx *postgres.Tx) (Answer, error)) (Answer, error) {
	var answer Answer
	made, err := changing(ctx, s, &answer)
	if err != nil {
		return answer, err
	}
	err = s.db.Change(ctx, made, func(tx *postgres.Tx) (err error) {
		answer, err = do(tx)
		return err
	})
	return answer, err
}

// changing says how the request changes something: once, when it has a key. All of its body must be there, and its answer at
// the end of the change. Where the body may have taken long to come, its sender is looked at once more.
func changing[Answer any](ctx context.Context, s *Server, answer *Answer) (made postgres.Change, err error) {
	known := requestOf(ctx)
	if known.operation.Streams() {
		if err := s.reauthorized(ctx); err != nil {
			return made, err
		}
	}
	made = known.change()
	if known.key == nil {
		return made, nil
	}
	made.Once, err = known.key.Once(func() (idempotency.Answer, error) { return rendered(reflect.ValueOf(answer).Elem()) })
	return made, err
}
