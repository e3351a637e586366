package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/ratelimit"
)

const (
	// AnswerTime is how long a request may take that is neither an upload nor a download. What it asks of the database is
	// broken off then.
	AnswerTime = 30 * time.Second

	// How many expensive requests may be under way at once on a replica: of one caller, of the people of one customer, of
	// the people of all customers, and of all callers. However slowly portals upload, there are places for all others.
	expensiveEach     = 8
	expensiveCustomer = 16
	expensivePortals  = 48
	expensiveAll      = 64

	// How many requests may wait for events at once, of one caller and of all.
	waitingEach = 16
	waitingAll  = 1000
)

// counted counts a request of a caller against its quota, and tells how it stands with it (draft-ietf-httpapi-ratelimit-headers).
func (s *Server) counted(c echo.Context, caller *access.Principal) error {
	if s.limiter == nil {
		return nil
	}
	state := s.limiter.Take(credential(caller))
	header := c.Response().Header()
	header.Set("RateLimit-Policy", fmt.Sprintf(`"requests";q=%d;w=%d`, state.Quota, int(ratelimit.Window.Seconds())))
	header.Set("RateLimit", fmt.Sprintf(`"requests";r=%d;t=%d`, state.Remaining, wholeSeconds(state.Reset)))
	if state.Refused {
		return state.Fault()
	}
	return nil
}

func credential(caller *access.Principal) string { return caller.Kind + ":" + caller.ID.String() }

// expensive says how many expensive requests of a caller may be under way, with those of others.
func expensive(caller *access.Principal) []ratelimit.Bound {
	bounds := []ratelimit.Bound{{Of: credential(caller), Most: expensiveEach}}
	if caller.Kind == access.KindIdentity {
		bounds = append(bounds, ratelimit.Bound{Of: "customer:" + caller.CustomerID.String(), Most: expensiveCustomer},
			ratelimit.Bound{Of: "portals", Most: expensivePortals, Shared: true})
	}
	return append(bounds, ratelimit.Bound{Of: "all", Most: expensiveAll, Shared: true})
}

func waiting(caller *access.Principal) []ratelimit.Bound {
	return []ratelimit.Bound{
		{Of: credential(caller), Most: waitingEach}, {Of: "all", Most: waitingAll, Shared: true},
	}
}

// limited keeps a request from taking too much: those that the contract calls expensive have to find a slot, all others
// have to be answered in time.
func (s *Server) limited(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		known := requestOf(c.Request().Context())
		if known.operation == nil {
			return next(c)
		}
		if known.operation.IsExpensive() && known.caller != nil {
			release, err := s.slots.Take(expensive(known.caller)...)
			if err != nil {
				return err
			}
			defer release()
		}
		if known.operation.IsFile() {
			return next(c)
		}
		ctx, cancel := context.WithTimeout(c.Request().Context(), s.answerTime)
		defer cancel()
		known.http = c.Request().WithContext(ctx)
		c.SetRequest(known.http)
		err := next(c)
		if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fault.TooSlow(err)
		}
		return err
	}
}
