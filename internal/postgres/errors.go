package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/clientele-api/clientele/internal/fault"
)

// constraintFaults is what it means to a caller that a constraint was violated. Constraints that no input can violate
// are not in it: their violation is a fault of ours.
var constraintFaults = map[string]func() *fault.Error{
	"api_clients_customer_id_fkey": func() *fault.Error {
		return fault.InvalidBody(fault.Field{
			Pointer: "/customer_id", Code: "reference_not_found", Message: "there is no such customer",
		})
	},
	"customers_external_id_key": func() *fault.Error {
		return conflict("external_id_taken", "Another customer has this external id.", "/external_id")
	},
	"customers_parent_id_fkey": func() *fault.Error {
		return fault.InvalidBody(fault.Field{
			Pointer: "/parent_id", Code: "reference_not_found", Message: "there is no such customer",
		})
	},
	"customers_parent_id_check": HierarchyCycle,
	"domains_host_key": func() *fault.Error {
		return conflict("host_taken", "Another domain has this host.", "/host")
	},
	"identities_email_key": func() *fault.Error {
		return conflict("email_taken", "Another login has this email address.", "/email")
	},
	"notes_customer_id_fkey": fault.NoSuchResource,
	// What it belongs to is being deleted beside it.
	"publishing_accesses_publishing_id_fkey": fault.NoSuchResource,
	"publishings_identity_id_fkey":           fault.NoSuchResource,
	"staff_email_key": func() *fault.Error {
		return conflict("email_taken", "Another staff account has this email address.", "/email")
	},
}

func conflict(code, detail, pointer string) *fault.Error {
	return &fault.Error{Kind: fault.Conflict, Code: code, Detail: detail, Fields: []fault.Field{
		{Pointer: pointer, Code: code, Message: strings.ToLower(detail[:1]) + strings.TrimSuffix(detail[1:], ".")},
	}}
}

// HierarchyCycle tells that a customer cannot be below itself.
func HierarchyCycle() *fault.Error {
	return conflict("hierarchy_cycle", "A customer cannot be moved below itself.", "/parent_id")
}

// Translate turns an error of the database into a fault: no row into not found, a violated constraint into what it
// means to the caller, a lost connection into unavailable. Faults and unknown errors pass as they are.
func Translate(err error) error {
	var known *fault.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	if errors.Is(err, pgx.ErrNoRows) {
		notFound := fault.NoSuchResource()
		notFound.Cause = err
		return notFound
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return translatePgError(err, pgErr)
	}
	if isAway(err) {
		return fault.DatabaseAway(err)
	}
	return err
}

func translatePgError(err error, pgErr *pgconn.PgError) error {
	if meaning, mapped := constraintFaults[pgErr.ConstraintName]; mapped {
		translated := meaning()
		translated.Cause = err
		return translated
	}
	if pgErr.Code == "57014" {
		return fault.TooSlow(err)
	}
	switch pgErr.Code[:2] {
	case "22": // a value that the database does not take, and that should have been refused before
		return &fault.Error{
			Kind: fault.Malformed, Code: "invalid_value", Detail: "A value of the request cannot be stored or compared.",
			Cause: err,
		}
	case "08", "53", "57": // connection, out of resources, shutting down or cancelled
		return fault.DatabaseAway(err)
	case "25": // read-only: a replica that is not the primary (any more)
		return fault.DatabaseAway(err)
	case "40": // still in conflict after all attempts
		return &fault.Error{
			Kind: fault.Unavailable, Code: "busy", Detail: "Too many changes of the same data at once.",
			RetryAfter: time.Second, Cause: err,
		}
	}
	return err
}

// isAway tells whether the error is one of the connection and not of the query. That the caller itself went away is
// neither.
func isAway(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	var connectError *pgconn.ConnectError
	return errors.As(err, &connectError) || pgconn.Timeout(err) || pgconn.SafeToRetry(err) ||
		errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}
