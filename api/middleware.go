package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/etag"
)

const requestIDHeader = "X-Request-Id"

// requestID is what a caller may choose as the id of its request: it goes into logs, answers and the change log.
var requestID = regexp.MustCompile(`^[A-Za-z0-9._:/+=@-]{1,128}$`)

// withRequest gives the request its id and the place where the rest of the chain keeps what it learns of it.
func (s *Server) withRequest(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		id := r.Header.Get(requestIDHeader)
		if !requestID.MatchString(id) {
			id = uuid.Must(uuid.NewV7()).String()
		}
		c.Response().Header().Set(requestIDHeader, id)
		known := &request{id: id, address: c.RealIP(), controller: http.NewResponseController(c.Response()), operation: s.contract.Operation(r.Method, c.Path())}
		known.head, _ = r.Context().Value(headKey{}).(bool)
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, known))
		known.http = r
		c.SetRequest(r)
		return next(c)
	}
}

// logged writes a line for each request once it is answered, or broken off.
func (s *Server) logged(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		started := time.Now()
		defer func() { s.logRequest(c, time.Since(started)) }()
		if err := next(c); err != nil {
			c.Error(err) // written here, so that the line has the status
		}
		return nil
	}
}

func (s *Server) logRequest(c echo.Context, took time.Duration) {
	r := c.Request()
	if !s.log.Enabled(r.Context(), slog.LevelInfo) {
		return
	}
	known := requestOf(r.Context())
	attributes := []slog.Attr{
		slog.String("request_id", known.id),
		slog.String("method", r.Method),
		slog.String("path", r.URL.Path),
		slog.Int("status", c.Response().Status),
		slog.Int64("bytes", c.Response().Size),
		slog.Float64("milliseconds", float64(took.Microseconds())/1000),
		slog.String("ip", known.address),
	}
	if known.caller != nil {
		attributes = append(attributes, slog.String("caller", known.caller.Kind+":"+known.caller.ID.String()))
	}
	s.log.LogAttrs(r.Context(), slog.LevelInfo, "request", attributes...)
}

// recovered turns a panic into an internal error. A stream that is broken off on purpose stays broken off.
func (s *Server) recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch cause := recover().(type) {
			case nil:
			case error:
				if errors.Is(cause, http.ErrAbortHandler) {
					s.log.WarnContext(c.Request().Context(), "an answer was broken off", "error", cause,
						"request_id", requestOf(c.Request().Context()).id)
					panic(http.ErrAbortHandler) // this very value, or net/http would log it as a failure of ours
				}
				err = fmt.Errorf("panic: %w\n%s", cause, debug.Stack())
			default:
				err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
			}
		}()
		return next(c)
	}
}

// secured sets the headers that keep browsers from making anything of an answer but what it is.
func secured(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		header := c.Response().Header()
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		if c.Request().Header.Get("Authorization") != "" {
			header.Set("Cache-Control", "no-store")
		}
		return next(c)
	}
}

// conditional answers 304 where a read gives what the caller has already, by the ETag that the handler set.
func conditional(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		header := strings.Join(c.Request().Header.Values("If-None-Match"), ", ")
		if header == "" || c.Request().Method != http.MethodGet {
			return next(c)
		}
		response := c.Response()
		writer := &conditionalWriter{ResponseWriter: response.Writer, ifNoneMatch: header}
		response.Writer = writer
		err := next(c)
		response.Writer = writer.ResponseWriter
		if writer.unmodified {
			response.Status = http.StatusNotModified
			response.Size = 0
		}
		return err
	}
}

// conditionalWriter drops the body of an answer whose ETag the caller has.
type conditionalWriter struct {
	http.ResponseWriter
	ifNoneMatch string
	unmodified  bool
}

func (w *conditionalWriter) WriteHeader(status int) {
	tag := w.Header().Get("ETag")
	if status == http.StatusOK && tag != "" && etag.Matches(w.ifNoneMatch, tag) {
		w.unmodified = true
		w.Header().Del("Content-Type")
		w.Header().Del("Content-Length")
		status = http.StatusNotModified
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *conditionalWriter) Write(body []byte) (int, error) {
	if w.unmodified {
		return len(body), nil
	}
	return w.ResponseWriter.Write(body)
}

// Unwrap lets http.ResponseController reach what is below.
func (w *conditionalWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ipExtractor tells a caller's address: the peer's, unless that is a trusted proxy, whose word counts instead, and so on
// along X-Forwarded-For. Where the word is no address, the caller's is not known, and empty.
func ipExtractor(trusted []netip.Prefix) echo.IPExtractor {
	direct := echo.ExtractIPDirect()
	return func(r *http.Request) string {
		address := direct(r)
		hops := strings.Split(strings.Join(r.Header.Values(echo.HeaderXForwardedFor), ","), ",")
		for _, hop := range slices.Backward(hops) {
			if hop = strings.TrimSpace(hop); hop == "" {
				continue
			}
			if !access.Within(trusted, address) {
				break
			}
			address = forwarded(hop)
		}
		return address
	}
}

// forwarded gives the address that a proxy names: some write the port as well, or brackets.
func forwarded(hop string) string {
	if withPort, err := netip.ParseAddrPort(hop); err == nil {
		return withPort.Addr().String()
	}
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(hop, "["), "]"))
	if err != nil {
		return ""
	}
	return address.String()
}
