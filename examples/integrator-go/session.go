package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/client"
)

const (
	maxAttempts = 5
	maxPause    = time.Minute
	// early is how long before its end an access token is replaced.
	early = 30 * time.Second
)

// session is what the generated client sends its requests through. It adds an access token that is good, and sends a
// request again when the server says that it may. It may be used by any number of goroutines.
type session struct {
	http             *http.Client
	url              string
	clientID, secret string // of the API client that the program is
	wait             func(context.Context, time.Duration) error

	mu     sync.Mutex
	access string
	ends   time.Time // of the access token
}

var _ client.HttpRequestDoer = (*session)(nil)

// Do sends a request. A token may end before its time, as when somebody changes what the API client may do: after a 401
// the request is sent once more, with another token.
func (s *session) Do(request *http.Request) (*http.Response, error) {
	if request.Method == http.MethodPost {
		// With a key the server does it once, however often it is sent.
		request.Header.Set("Idempotency-Key", uuid.NewString())
	}
	token, err := s.token(request.Context(), "")
	if err != nil {
		return nil, fmt.Errorf("signing in: %w", err)
	}
	response, err := s.sendWith(token, request)
	if err != nil || response.StatusCode != http.StatusUnauthorized || !rewind(request) {
		return response, err
	}
	_ = response.Body.Close()
	if token, err = s.token(request.Context(), token); err != nil {
		return nil, fmt.Errorf("signing in again: %w", err)
	}
	return s.sendWith(token, request)
}

func (s *session) sendWith(token string, request *http.Request) (*http.Response, error) {
	request.Header.Set("Authorization", "Bearer "+token)
	return s.send(request)
}

// send sends a request, and sends it again when the answer is 429 or 503: then nothing has happened, and Retry-After says
// when to come back.
func (s *session) send(request *http.Request) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		response, err := s.http.Do(request) //nolint:gosec // whoever runs this names the installation
		if err != nil || !comeBack(response.StatusCode) || attempt == maxAttempts || !rewind(request) {
			return response, err
		}
		_ = response.Body.Close()
		if err := s.wait(request.Context(), retryAfter(response.Header)); err != nil {
			return nil, err
		}
	}
}

// rewind makes a request ready to be sent again. Some cannot be: their body is gone once it was read.
func rewind(request *http.Request) bool {
	if request.Body == nil {
		return true
	}
	if request.GetBody == nil {
		return false
	}
	body, err := request.GetBody()
	if err != nil {
		return false
	}
	request.Body = body
	return true
}

func comeBack(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
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

// token gives an access token that is good for a while, and another one than the one that was refused.
func (s *session) token(ctx context.Context, refused string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.access == refused || time.Now().Add(early).After(s.ends) {
		if err := s.grant(ctx); err != nil {
			return "", err
		}
	}
	return s.access, nil
}

// refusedGrant is the answer of the token endpoint when it gives no token (RFC 6749, 5.2).
type refusedGrant struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

// Error gives the server's own words.
func (r *refusedGrant) Error() string { return r.Description + " (" + r.Code + ")" }

// grant gets an access token (RFC 6749, 4.4).
func (s *session) grant(ctx context.Context) error {
	form := url.Values{"grant_type": {"client_credentials"}}
	asked := time.Now()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(s.clientID, s.secret)
	response, err := s.send(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		refused := &refusedGrant{Code: strconv.Itoa(response.StatusCode), Description: "there is no token"}
		if response.StatusCode == http.StatusNotFound {
			refused.Description = "there is no token at this address; CLIENTELE_URL may be wrong"
		}
		_ = json.Unmarshal(body, refused) // something on the way may have answered with anything else
		return refused
	}
	var granted client.TokenResponse
	if err := json.Unmarshal(body, &granted); err != nil {
		return fmt.Errorf("reading the token: %w", err)
	}
	s.access, s.ends = granted.AccessToken, asked.Add(time.Duration(granted.ExpiresIn)*time.Second)
	return nil
}
