package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"net/http"
	"reflect"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/backups"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/idempotency"
)

// keyed makes a request that comes with a key one that happens once. Everything after it may refuse the request by what
// has become of things since it was first sent, by the request itself most of all; so before a refusal is written, it
// looks for the answer of the first time. A request that succeeds looks for it where its change begins, which takes no
// round trip more; only a file is not received before it is known to be needed. A dry run changes nothing and leaves keys
// alone.
func (s *Server) keyed(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		known := requestOf(r.Context())
		lines := r.Header.Values(idempotency.Header)
		if len(lines) == 0 || known.operation == nil || !known.operation.TakesKey() {
			return next(c)
		}
		if len(lines) > 1 || !idempotency.IsKey(lines[0]) {
			// What else is wrong with it is told as well.
			return s.validated(func(echo.Context) error { return idempotency.Malformed() })(c)
		}
		if r.URL.Query().Get("dry_run") == "true" {
			return next(c)
		}
		known.key = s.keeper.Key(idempotency.Request{
			CallerKind: known.caller.Kind, CallerID: known.caller.ID, Key: lines[0],
			Reach: known.caller.Reach(), Method: r.Method, Target: r.URL.EscapedPath() + "?" + r.URL.RawQuery, Body: bodyOf(r, known), Subjects: subjects(c, known.caller),
		})
		err := s.once(c, known, next)
		var replayed *idempotency.Replayed
		if !errors.As(err, &replayed) {
			return err
		}
		if err := s.mayBeTold(r.Context(), replayed); err != nil {
			return err
		}
		return replay(c, replayed.Answer)
	}
}

// mayBeTold keeps an answer from whom the customers that it is about are out of reach by now, and from who has lost access
// while a file was received again.
func (s *Server) mayBeTold(ctx context.Context, replayed *idempotency.Replayed) error {
	known := requestOf(ctx)
	if known.operation.Streams() {
		if err := s.reauthorized(ctx); err != nil {
			return err
		}
	}
	var reached bool
	var err error
	switch reach := known.caller.Reach(); {
	case known.caller.Kind == access.KindIdentity:
		reached, err = db.New().CustomerAllManaged(ctx, s.db, replayed.Subjects, known.caller.CustomerID, known.caller.ID)
	case reach != nil:
		reached, err = db.New().CustomerAllReached(ctx, s.db, replayed.Subjects, *reach)
	default:
		return nil
	}
	if err == nil && !reached {
		err = idempotency.Erased(nil)
	}
	return err
}

// once does what a request with a key asks for, unless it is known to have been done.
func (s *Server) once(c echo.Context, known *request, next echo.HandlerFunc) error {
	ctx := c.Request().Context()
	if known.operation.Streams() {
		if err := known.key.Before(ctx); err != nil {
			return err
		}
	}
	err := next(c)
	if err != nil && !c.Response().Committed && s.mayHaveHappened(ctx, err) {
		if before := known.key.Before(ctx); before != nil {
			return before
		}
	}
	return err
}

// mayHaveHappened tells whether a refusal leaves open that the request was answered before. Who may not come in any more
// gets nothing, and without the database there is nothing to look for.
func (s *Server) mayHaveHappened(ctx context.Context, err error) bool {
	refusal := s.faultOf(ctx, err)
	switch refusal.Kind {
	case fault.Internal, fault.Unavailable, fault.Unauthenticated:
		return false
	case fault.Forbidden:
		return refusal.Code == "terms_acceptance_required" // of new ones, which ask nothing of what was done before
	}
	return true
}

// replay answers as the first time.
func replay(c echo.Context, answer idempotency.Answer) error {
	header := c.Response().Header()
	maps.Copy(header, answer.Header)
	header.Set("Idempotent-Replayed", "true")
	c.Response().WriteHeader(answer.Status)
	_, err := c.Response().Write(answer.Body)
	return err
}

// subjects are whom and what an answer is about, as far as the request says it.
func subjects(c echo.Context, caller *access.Principal) (ids []uuid.UUID) {
	for _, value := range c.ParamValues() {
		if id, err := uuid.Parse(value); err == nil {
			ids = append(ids, id)
		}
	}
	if caller.Kind == access.KindIdentity {
		ids = append(ids, caller.ID, caller.CustomerID)
	}
	return ids
}

// rendered gives an answer as it is written. What an operation answers with is an interface of one method, which writes it.
func rendered(answer reflect.Value) (idempotency.Answer, error) {
	if answer.Kind() != reflect.Interface || answer.IsNil() || answer.NumMethod() != 1 {
		return idempotency.Answer{}, fmt.Errorf("%s is no answer of an operation, so that it cannot be stored", answer.Type())
	}
	visit, known := answer.Method(0).Interface().(func(http.ResponseWriter) error)
	if !known {
		return idempotency.Answer{}, fmt.Errorf("%s does not write itself", answer.Type())
	}
	written := recorder{header: http.Header{}, status: http.StatusOK}
	err := visit(&written)
	return idempotency.Answer{Status: written.status, Header: written.header, Body: written.body.Bytes()}, err
}

// recorder keeps an answer instead of sending it.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header gives the header.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader keeps the status.
func (r *recorder) WriteHeader(status int) { r.status = status }

// Write keeps more of the body.
func (r *recorder) Write(body []byte) (int, error) { return r.body.Write(body) }

// bodyOf gives the body of a request to be hashed. One that streams is hashed as its handler reads it.
func bodyOf(r *http.Request, known *request) idempotency.Body {
	if !known.operation.Streams() {
		return wholeBody(known.body)
	}
	streamed := &streamedBody{ReadCloser: r.Body, ctx: r.Context(), hash: sha256.New()}
	r.Body = streamed
	return streamed
}

// wholeBody is a body that was read.
type wholeBody []byte

// Hash gives the SHA-256 of all of it.
func (b wholeBody) Hash() ([]byte, error) {
	sum := sha256.Sum256(b)
	return sum[:], nil
}

// streamedBody is a body that is hashed while it is read.
type streamedBody struct {
	io.ReadCloser
	ctx  context.Context
	hash hash.Hash
	err  error // io.EOF at its end
}

// Read reads on.
func (b *streamedBody) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	_, _ = b.hash.Write(into[:n]) // a hash takes everything
	b.err = err
	return n, err
}

// Hash gives the SHA-256 of all of it. A handler that refused the request may have left some: that is read and thrown away.
func (b *streamedBody) Hash() ([]byte, error) {
	if !errors.Is(b.err, io.EOF) {
		rest := http.MaxBytesReader(nil, io.NopCloser(upload(b.ctx, b)), backups.MaxArchive) // no operation takes more
		if _, err := io.Copy(io.Discard, rest); err != nil {
			var larger *http.MaxBytesError
			if errors.As(err, &larger) {
				return nil, tooLarge(backups.MaxArchive)
			}
			return nil, fault.BodyIncomplete(err)
		}
	}
	return b.hash.Sum(nil), nil
}
