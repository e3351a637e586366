package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/postgres"
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
	fault.Invalid:              http.StatusUnprocessableEntity,
	fault.ConfirmationRequired: http.StatusPreconditionRequired,
	fault.TooManyRequests:      http.StatusTooManyRequests,
	fault.Unavailable:          http.StatusServiceUnavailable,
}

// writeError is the only writer of problems. Under /oauth it writes errors as RFC 6749 has them instead.
func (s *Server) writeError(err error, c echo.Context) {
	ctx := c.Request().Context()
	if c.Response().Committed || errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return // nobody is there to read it
	}
	known := faultOf(err)
	status := statuses[known.Kind]
	if status >= http.StatusInternalServerError {
		s.log.LogAttrs(ctx, slog.LevelError, "a request failed", slog.Any("error", err),
			slog.String("request_id", requestOf(ctx).id), slog.String("path", c.Request().URL.Path))
	}
	header := c.Response().Header()
	if known.Header != "" {
		header.Set("WWW-Authenticate", known.Header)
	}
	if known.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(max(1, int(known.RetryAfter.Seconds()))))
	}
	if strings.HasPrefix(c.Request().URL.Path, "/oauth/") {
		writeOAuthError(c, status, known)
		return
	}
	body, encodeErr := encodeProblem(toProblem(known, status, c.Request().URL.Path, requestOf(ctx).id), known.Members)
	if encodeErr != nil {
		s.log.ErrorContext(ctx, "a problem does not encode", "error", encodeErr)
	}
	_ = c.Blob(status, "application/problem+json", body) // an error here is the connection's
}

// faultOf gives the fault that an error is. What is not known is internal, and nothing of it is shown.
func faultOf(err error) *fault.Error {
	err = postgres.Translate(err)
	var known *fault.Error
	if errors.As(err, &known) {
		return known
	}
	var routing *echo.HTTPError
	if errors.As(err, &routing) {
		switch routing.Code {
		case http.StatusNotFound:
			return fault.NoSuchResource()
		case http.StatusMethodNotAllowed:
			return &fault.Error{
				Kind: fault.MethodNotAllowed, Code: "method_not_allowed",
				Detail: "The path does not have this method; Allow names those it has.",
			}
		case http.StatusBadRequest:
			return &fault.Error{Kind: fault.Malformed, Code: "invalid_request", Detail: "The request cannot be read.", Cause: err}
		}
	}
	return &fault.Error{Kind: fault.Internal, Code: "internal", Detail: "Something went wrong on our side.", Cause: err}
}

func toProblem(known *fault.Error, status int, path, requestID string) openapi.Problem {
	problem := openapi.Problem{
		Type: "/docs/errors#" + known.Code, Title: http.StatusText(status), Status: int32(status),
		Detail: known.Detail, Instance: path, Code: known.Code, RequestId: requestID,
	}
	if status == http.StatusRequestEntityTooLarge {
		problem.Title = "Content Too Large" // RFC 9110; net/http still has the older name
	}
	if status == http.StatusUnprocessableEntity {
		problem.Title = "Unprocessable Content"
	}
	if len(known.Fields) > 0 {
		fields := make([]openapi.FieldError, len(known.Fields))
		for i, field := range known.Fields {
			fields[i] = toFieldError(field)
		}
		problem.Errors = &fields
	}
	return problem
}

// encodeProblem writes a problem, the members of its kind after the common ones.
func encodeProblem(problem openapi.Problem, members map[string]any) ([]byte, error) {
	body, err := json.Marshal(problem)
	if err != nil || len(members) == 0 {
		return body, err
	}
	more, err := json.Marshal(members)
	if err != nil {
		return body, err
	}
	body[len(body)-1] = ','
	return append(body, more[1:]...), nil
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
	answer := openapi.OAuthError{Error: oauthCodes[known.Kind], ErrorDescription: known.Detail}
	if answer.Error == "" {
		answer.Error = "invalid_request"
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	_ = c.JSON(status, answer) // an error here is the connection's
}
