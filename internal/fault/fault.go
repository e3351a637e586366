// Package fault is the closed vocabulary of what can go wrong. Whoever finds a fault names its kind, a stable code and a
// detail that may be shown to the caller; what status that becomes is decided where problems are written, not here.
// Any other error is unknown: it is logged and withheld.
package fault

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Kind says what sort of fault it is.
type Kind int

// The kinds of fault.
const (
	Internal             Kind = iota // ours; nothing of it is shown
	Malformed                        // the request cannot be understood: parameters, headers, cursors, the form of the body
	Unauthenticated                  // no token, or not a valid one
	Forbidden                        // a valid token that may not do this
	NotFound                         // no such resource, or none that the caller may know of
	MethodNotAllowed                 // the path exists, the method does not
	Conflict                         // state, hierarchy or uniqueness stand against it
	Stale                            // the resource has another version than the caller expects
	TooLarge                         // the body is larger than allowed
	UnsupportedMedia                 // the body has a media type that is not taken
	OutOfRange                       // bytes that a file does not have
	Invalid                          // members of the body are wrong
	ConfirmationRequired             // it happens only when confirmed
	TooManyRequests                  // slower, please
	Unavailable                      // the database is away, or the server is too busy
)

// Error is a fault as it is shown to the caller, with a cause that is not.
type Error struct {
	Kind       Kind
	Code       string        // for programs; stable
	Detail     string        // for people; safe to show
	Fields     []Field       // every fault of the request's parts
	About      any           // what it is about, in the terms of the resource: a plan, a version, missing scopes
	RetryAfter time.Duration // for TooManyRequests and Unavailable, and a Conflict that passes by itself
	Cause      error         // for the log
}

// Error describes the fault for the log.
func (e *Error) Error() string {
	text := e.Code + ": " + e.Detail
	for _, field := range e.Fields {
		text += fmt.Sprintf("; %s%s%s: %s", field.Pointer, field.Parameter, field.Header, field.Message)
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Field is one fault of a request. Exactly one of Pointer, Parameter and Header says where it is; a Pointer of ""
// with neither of the others set is the body as a whole.
type Field struct {
	Pointer   string // JSON pointer into the body
	Parameter string // query or path parameter
	Header    string
	Code      string
	Message   string
}

// InvalidBody tells what is wrong with members of the body.
func InvalidBody(fields ...Field) *Error {
	detail, listed := describe("The body", fields)
	return &Error{Kind: Invalid, Code: "invalid_body", Detail: detail, Fields: listed}
}

// Under says of a fault of an object's members that the object is a member of the body itself.
func Under(pointer string, err error) error {
	var known *Error
	if !errors.As(err, &known) {
		return err
	}
	moved := *known
	moved.Fields = slices.Clone(known.Fields)
	for i, field := range moved.Fields {
		if field.Parameter == "" && field.Header == "" {
			moved.Fields[i].Pointer = pointer + field.Pointer
		}
	}
	return &moved
}

// InvalidRequest tells what is wrong with a request that cannot be understood.
func InvalidRequest(fields ...Field) *Error {
	detail, listed := describe("The request", fields)
	return &Error{Kind: Malformed, Code: "invalid_request", Detail: detail, Fields: listed}
}

// maxFields is how many faults are listed: an answer is not to be larger than what it answers.
const maxFields = 200

func describe(subject string, fields []Field) (string, []Field) {
	switch n := len(fields); {
	case n == 1:
		return subject + " has 1 fault.", fields
	case n <= maxFields:
		return fmt.Sprintf("%s has %d faults.", subject, n), fields
	default:
		return fmt.Sprintf("%s has %d faults; the first %d are listed.", subject, n, maxFields), fields[:maxFields]
	}
}

// NoSuchResource is the answer for what is unknown and for what the caller may not know of.
func NoSuchResource() *Error {
	return &Error{Kind: NotFound, Code: "not_found", Detail: "There is no such resource."}
}

// InvalidToken tells that the access token is not good, or not any more.
func InvalidToken(cause error) *Error {
	return &Error{
		Kind: Unauthenticated, Code: "invalid_token", Detail: "The access token is not valid or has expired.", Cause: cause,
	}
}

// CurrentVersion is what a stale fault is about: the version that the resource has.
type CurrentVersion int64

// StaleVersion tells that the resource has another version than the caller expects.
func StaleVersion(current int64) *Error {
	return &Error{
		Kind: Stale, Code: "stale_version", Detail: fmt.Sprintf("The resource has version %d by now.", current),
		About: CurrentVersion(current),
	}
}

// BodyIncomplete tells that the sender of a body hung up before its end, unless the cause is a fault already.
func BodyIncomplete(cause error) *Error {
	var known *Error
	if errors.As(cause, &known) {
		return known
	}
	return &Error{
		Kind: Malformed, Code: "body_incomplete", Detail: "The body ended before it was complete.", Cause: cause,
	}
}

// InvalidCursor tells that the parameter cursor is not one that this list gave out, with the same filters and order where
// it has any.
func InvalidCursor(filtered bool) *Error {
	message := "must be a next_cursor that this list gave out"
	if filtered {
		message += ", with the same filters and order"
	}
	return InvalidRequest(Field{Parameter: "cursor", Code: "invalid_cursor", Message: message})
}

// TooSlow tells that a request took longer than any may, and was given up.
func TooSlow(cause error) *Error {
	return &Error{
		Kind: Unavailable, Code: "too_slow", Detail: "The request took too long. Ask for less.", RetryAfter: time.Second,
		Cause: cause,
	}
}

// DatabaseAway tells that the database cannot be reached.
func DatabaseAway(cause error) *Error {
	return &Error{
		Kind: Unavailable, Code: "unavailable", Detail: "The database cannot be reached at the moment.",
		RetryAfter: time.Second, Cause: cause,
	}
}

// IsKind tells whether the error is a fault of the kind.
func IsKind(err error, kind Kind) bool {
	var fault *Error
	return errors.As(err, &fault) && fault.Kind == kind
}
