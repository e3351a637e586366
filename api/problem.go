package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/activation"
	"github.com/clientele-api/clientele/internal/backups"
	"github.com/clientele-api/clientele/internal/cleanup"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/jobs"
	"github.com/clientele-api/clientele/internal/jobstates"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/publishings"
	"github.com/clientele-api/clientele/internal/terms"
	"github.com/clientele-api/clientele/internal/tokens"
)

// statuses is the one table of what each kind of fault is in HTTP.
var statuses = map[fault.Kind]int{
	fault.Internal:             http.StatusInternalServerError,
	fault.Malformed:            http.StatusBadRequest,
	fault.Unauthenticated:      http.StatusUnauthorized,
	fault.Forbidden:            http.StatusForbidden,
	fault.NotFound:             http.StatusNotFound,
	fault.MethodNotAllowed:     http.StatusMethodNotAllowed,
	fault.Conflict:             http.StatusConflict,
	fault.Stale:                http.StatusPreconditionFailed,
	fault.TooLarge:             http.StatusRequestEntityTooLarge,
	fault.UnsupportedMedia:     http.StatusUnsupportedMediaType,
	fault.OutOfRange:           http.StatusRequestedRangeNotSatisfiable,
	fault.Invalid:              http.StatusUnprocessableEntity,
	fault.ConfirmationRequired: http.StatusPreconditionRequired,
	fault.TooManyRequests:      http.StatusTooManyRequests,
	fault.Unavailable:          http.StatusServiceUnavailable,
}

// writeError is the only writer of problems. Under /oauth it writes errors as RFC 6749 has them instead.
func (s *Server) writeError(err error, c echo.Context) {
	ctx := c.Request().Context()
	known := s.faultOf(ctx, err)
	status := statuses[known.Kind]
	if status >= http.StatusInternalServerError || c.Response().Committed {
		level := slog.LevelError
		if known.Code == "cancelled" { // by the caller, who may have waited for what did not come
			level = slog.LevelDebug
		}
		s.log.LogAttrs(ctx, level, "a request failed", slog.Any("error", err),
			slog.String("request_id", requestOf(ctx).id), slog.String("path", c.Request().URL.Path))
	}
	if c.Response().Committed {
		panic(http.ErrAbortHandler) // too late to say so: but what is broken off does not pass for the whole
	}
	header := c.Response().Header()
	if known.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(wholeSeconds(known.RetryAfter)))
	}
	if strings.HasPrefix(c.Request().URL.Path, "/oauth/") {
		writeOAuthError(c, status, known)
		return
	}
	if challenge := challengeOf(known); challenge != "" {
		header.Set("WWW-Authenticate", challenge)
	}
	body, encodeErr := json.Marshal(toProblem(known, status, c.Request().URL.EscapedPath(), requestOf(ctx).id))
	if encodeErr != nil {
		s.log.ErrorContext(ctx, "a problem does not encode", "error", encodeErr)
	}
	_ = c.Blob(status, "application/problem+json", body) // an error here is the connection's
}

// wholeSeconds is how many seconds to wait: who waits for as long is not too early.
func wholeSeconds(wait time.Duration) int { return int(math.Ceil(wait.Seconds())) }

// faultOf gives the fault that an error is. What is not known is internal, and nothing of it is shown; so is what the
// contract does not know of the operation, such as a row that is missing where none can be: that hides a mistake of ours.
func (s *Server) faultOf(ctx context.Context, err error) *fault.Error {
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return &fault.Error{Kind: fault.Unavailable, Code: "cancelled", Detail: "The caller went away.", Cause: err}
	}
	internal := &fault.Error{Kind: fault.Internal, Code: "internal", Detail: "Something went wrong on our side.", Cause: err}
	err = postgres.Translate(err)
	var known *fault.Error
	var routing *echo.HTTPError
	switch {
	case errors.As(err, &known):
	case errors.As(err, &routing):
		known = routingFault(routing)
	}
	operation := requestOf(ctx).operation
	if known == nil || operation != nil && !operation.HasAnswer(statuses[known.Kind]) {
		return internal
	}
	return known
}

// routingFault gives the fault of a request that the router or the generated code refused; nil for any other.
func routingFault(refused *echo.HTTPError) *fault.Error {
	switch refused.Code {
	case http.StatusNotFound:
		return fault.NoSuchResource()
	case http.StatusMethodNotAllowed:
		return &fault.Error{
			Kind: fault.MethodNotAllowed, Code: "method_not_allowed",
			Detail: "The path does not have this method; Allow names those it has.",
		}
	case http.StatusBadRequest:
		return &fault.Error{
			Kind: fault.Malformed, Code: "invalid_request", Detail: "The request cannot be read.", Cause: refused,
		}
	}
	return nil
}

// challengeOf says how to get in (RFC 6750), to callers who did not.
func challengeOf(known *fault.Error) string {
	const challenge = `Bearer realm="clientele"`
	switch {
	case known.Code == "invalid_token":
		return challenge + `, error="invalid_token"`
	case known.Kind == fault.Unauthenticated, known.Code == "wrong_kind_of_caller": // no scope would let that one in
		return challenge
	case known.Code == "insufficient_scope":
		scopes, _ := known.About.(lacking)
		return fmt.Sprintf(`%s, error="insufficient_scope", scope="%s"`, challenge, tokens.JoinScopes(scopes))
	}
	return ""
}

func toProblem(known *fault.Error, status int, path, requestID string) openapi.Problem {
	problem := openapi.Problem{
		Type: "/docs/errors#" + known.Code, Title: http.StatusText(status), Status: int32(status),
		Detail: known.Detail, Instance: path, Code: known.Code, RequestId: requestID,
	}
	switch status { // RFC 9110 has newer names than net/http
	case http.StatusRequestEntityTooLarge:
		problem.Title = "Content Too Large"
	case http.StatusRequestedRangeNotSatisfiable:
		problem.Title = "Range Not Satisfiable"
	case http.StatusUnprocessableEntity:
		problem.Title = "Unprocessable Content"
	}
	if len(known.Fields) > 0 {
		fields := convert(known.Fields, toFieldError)
		problem.Errors = &fields
	}
	switch about := known.About.(type) {
	case fault.CurrentVersion:
		problem.CurrentVersion = (*int64)(&about)
	case lacking:
		scopes := convert(about, func(s access.Scope) string { return string(s) })
		problem.RequiredScopes = &scopes
	case customers.Refusal:
		actions := ToAPIActions(about.Allowed)
		problem.CurrentStatus, problem.AllowedActions = &about.Status, &actions
	case publishings.Refusal:
		problem.CurrentStatus, problem.AllowedStates = &about.State, &about.Allowed
	case jobstates.Refusal:
		problem.CurrentStatus, problem.AllowedStatuses = &about.Status, &about.Allowed
	case jobs.NotActive:
		problem.CurrentStatus = &about.Status
	case activation.State:
		problem.CurrentStatus = (*string)(&about)
	case terms.Missing:
		acceptURL := "/v1/portal/terms-acceptances"
		problem.TermsId, problem.AcceptUrl = &about.TermsID, &acceptURL
	case backups.Wrong:
		if about.Entry != "" {
			problem.Entry = &about.Entry
		}
	case backups.Plan:
		plan := ToAPIRestorePlan(about)
		problem.RestorePlan = &plan
	case cleanup.Plan:
		plan := ToAPIBulkDeletionPlan(about)
		problem.BulkDeletionPlan, problem.ConfirmationToken = &plan, plan.ConfirmationToken
	case customers.DeletionPlan:
		plan := ToAPIDeletionPlan(about)
		problem.DeletionPlan, problem.ConfirmationToken = &plan, plan.ConfirmationToken
	}
	return problem
}

func toFieldError(field fault.Field) openapi.FieldError {
	converted := openapi.FieldError{Code: field.Code, Message: field.Message}
	switch {
	case field.Parameter != "":
		converted.Parameter = &field.Parameter
	case field.Header != "":
		converted.Header = &field.Header
	default:
		converted.Pointer = &field.Pointer
	}
	return converted
}

// oauthCodes says what a fault is called by RFC 6749; what is not in it is an invalid request.
var oauthCodes = map[fault.Kind]string{
	fault.Internal: "server_error", fault.Unavailable: "temporarily_unavailable",
	fault.TooManyRequests: "temporarily_unavailable",
}

func writeOAuthError(c echo.Context, status int, known *fault.Error) {
	code, description := oauthCodes[known.Kind], known.Detail
	if code == "" {
		code = "invalid_request"
	}
	if known.Kind == fault.Malformed && len(known.Fields) > 0 {
		description = "The request cannot be understood: " + described(known.Fields) + "."
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	_ = c.JSON(status, toOAuthError(code, description)) // an error here is the connection's
}

// An error of RFC 6749 has no list of faults, but a description, which is no longer than people read.
const (
	maxDescribed   = 3   // faults
	maxName        = 50  // characters of a parameter's name
	maxDescription = 400 // characters
)

// described tells of faults in one sentence.
func described(fields []fault.Field) string {
	var told []string
	for i, field := range fields {
		if i == maxDescribed {
			told = append(told, "and others")
			break
		}
		place := field.Parameter + field.Header + field.Pointer // of which there is one
		if place == "" {
			place = "the body"
		}
		told = append(told, fault.Beginning(place, maxName)+" "+field.Message)
	}
	return strings.Join(told, "; ")
}

// toOAuthError writes a description with the characters that RFC 6749, section 5.2, allows in one.
func toOAuthError(code, description string) openapi.OAuthError {
	allowed := strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r < ' ' || r > '~' || r == '\\':
			return '?'
		}
		return r
	}, strings.ReplaceAll(fault.Beginning(description, maxDescription), "…", "..."))
	return openapi.OAuthError{Error: code, ErrorDescription: allowed}
}
