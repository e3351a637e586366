package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clientele-api/clientele/gen/client"
)

const (
	callTimeout = 30 * time.Second
	maxAttempts = 10
	maxPause    = time.Minute
	maxAnswer   = 1 << 20
	// refreshBefore is how long before its end an access token is replaced.
	refreshBefore = time.Minute
)

// caller makes calls, and makes them again when the server asks for it.
type caller struct {
	wait    func(context.Context, time.Duration) error
	reached atomic.Bool // the server has answered before
}

// answer is what the server said.
type answer struct {
	status int
	body   []byte
}

// errNoAnswer says that a call got no answer. What it asked for may have happened all the same.
var errNoAnswer = errors.New("there was no answer")

// do makes a call. 429 and 503 say that nothing happened and when to try again. So does a server that cannot be
// reached any more: it is being restarted. One that was never reached is not waited for. A call that got no answer may
// have happened; it is made again where it is repeatable, which it is by an idempotency key.
func (c *caller) do(
	ctx context.Context, repeatable bool, call func(context.Context) (*http.Response, error),
) (answer, error) {
	for attempt := 1; ; attempt++ {
		response, err := call(ctx)
		var pause time.Duration
		var broken *url.Error // what net/http gives when a call fails on the way
		switch {
		case err != nil && cannotReach(err):
			if !c.reached.Load() || attempt == maxAttempts {
				return answer{}, err
			}
			pause = time.Duration(min(attempt, 5)) * time.Second
		case errors.As(err, &broken):
			if !repeatable || attempt == maxAttempts {
				return answer{}, fmt.Errorf("%w: %w", errNoAnswer, err)
			}
			pause = time.Second
		case err != nil:
			return answer{}, err
		default:
			c.reached.Store(true)
			said, err := read(response)
			if err != nil && repeatable && attempt < maxAttempts { // it was broken off in the middle
				pause = time.Second
				break
			}
			if err != nil || !comeBack(response) {
				return said, err
			}
			if attempt == maxAttempts {
				return answer{}, fmt.Errorf("the server still answered %d after %d attempts", said.status, attempt)
			}
			pause = retryAfter(response.Header)
		}
		if err := c.wait(ctx, pause); err != nil {
			return answer{}, err
		}
	}
}

// comeBack tells whether the server asks to be called again. So it does while it is still at work at the first call with
// the same key.
func comeBack(response *http.Response) bool {
	switch response.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return true
	case http.StatusConflict:
		return response.Header.Get("Retry-After") != ""
	}
	return false
}

// cannotReach tells whether no connection could be made, so that nothing was sent.
func cannotReach(err error) bool {
	var failed *net.OpError
	return errors.As(err, &failed) && failed.Op == "dial"
}

func read(response *http.Response) (answer, error) {
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	return answer{status: response.StatusCode, body: body}, nil
}

// retryAfter reads the header of that name, which holds seconds or a date (RFC 9110).
func retryAfter(header http.Header) time.Duration {
	text := header.Get("Retry-After")
	pause := time.Second
	if seconds, err := strconv.Atoi(text); err == nil {
		pause = time.Duration(seconds) * time.Second
	} else if moment, err := http.ParseTime(text); err == nil {
		pause = time.Until(moment)
	}
	return min(max(pause, 0), maxPause)
}

func sleep(ctx context.Context, pause time.Duration) error {
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// session keeps a token that is valid. It may be used by any number of goroutines.
type session struct {
	api             *client.Client
	calls           *caller
	email, password string
	now             func() time.Time

	mu      sync.Mutex
	access  string
	refresh string
	ends    time.Time // of the access token
}

// token gives an access token that is good for a while.
func (s *session) token(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.access != "" && s.now().Add(refreshBefore).Before(s.ends) {
		return s.access, nil
	}
	if s.refresh != "" {
		err := s.grant(ctx, client.TokenRequest{GrantType: "refresh_token", RefreshToken: &s.refresh})
		var refused *refusedGrant
		if !errors.As(err, &refused) {
			return s.access, err
		}
		// The session has ended; a new one begins.
	}
	err := s.grant(ctx, client.TokenRequest{GrantType: "password", Username: &s.email, Password: &s.password})
	return s.access, err
}

// refusedGrant is the answer of the token endpoint when it gives no token.
type refusedGrant struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

// Error gives the server's own words.
func (r *refusedGrant) Error() string { return r.Description + " (" + r.Code + ")" }

func (s *session) grant(ctx context.Context, request client.TokenRequest) error {
	clientID := "staff"
	request.ClientId = &clientID
	asked := s.now()
	said, err := s.calls.do(ctx, false, func(ctx context.Context) (*http.Response, error) {
		return s.api.TokenCreateWithFormdataBody(ctx, request)
	})
	if err != nil {
		return err
	}
	if said.status != http.StatusOK {
		var refused refusedGrant
		if err := json.Unmarshal(said.body, &refused); err != nil || refused.Code == "" {
			if said.status == http.StatusNotFound {
				return errors.New("the server answered 404 to the sign-in; the address may be wrong")
			}
			return fmt.Errorf("the server answered %d to the sign-in", said.status)
		}
		return &refused
	}
	var granted client.TokenResponse
	if err := json.Unmarshal(said.body, &granted); err != nil {
		return fmt.Errorf("reading the token: %w", err)
	}
	s.access, s.refresh = granted.AccessToken, granted.RefreshToken
	s.ends = asked.Add(time.Duration(granted.ExpiresIn) * time.Second)
	return nil
}
