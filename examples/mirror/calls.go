package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/clientele-api/clientele/gen/client"
)

const (
	callTimeout = time.Minute
	maxAnswer   = 64 << 20
	maxPause    = time.Minute
	// early is how long before its end an access token is replaced.
	early = 30 * time.Second
)

// caller calls the API as somebody. It waits for a server that is away or too busy, and says so.
type caller struct {
	api              *client.Client
	clientID, secret string // of the API client that the program is
	access           string
	ends             time.Time     // of the access token
	patience         time.Duration // how long to wait at most; 0 for as long as it takes
	log              io.Writer
}

func newCaller(address, clientID, secret string) (*caller, error) {
	if address == "" || clientID == "" || secret == "" {
		return nil, errors.New("set CLIENTELE_URL, CLIENTELE_CLIENT_ID and CLIENTELE_CLIENT_SECRET")
	}
	parsed, err := url.Parse(address)
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" {
		return nil, errors.New("CLIENTELE_URL must be an address such as https://clientele.example.com")
	}
	c := &caller{clientID: clientID, secret: secret, log: io.Discard}
	c.api, err = client.NewClient(strings.TrimRight(address, "/"), client.WithHTTPClient(&http.Client{Timeout: callTimeout}),
		client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			if c.access != "" {
				r.Header.Set("Authorization", "Bearer "+c.access)
			}
			return nil
		}))
	return c, err
}

// call is a call of the generated client.
type call func(context.Context, *client.Client) (*http.Response, error)

// get calls, as somebody who is signed in, and decodes the answer. What was read may be read again, so that it tries
// until there is an answer.
func (c *caller) get(ctx context.Context, into any, do call) error {
	for renewed := false; ; {
		if time.Until(c.ends) < early {
			if err := c.signIn(ctx); err != nil {
				return err
			}
		}
		status, body, err := c.patiently(ctx, do)
		switch {
		case err != nil:
			return err
		case status == http.StatusUnauthorized && !renewed: // revoked meanwhile: sign in again, or learn why not
			c.ends, renewed = time.Time{}, true
		case status != http.StatusOK:
			return refusalOf(status, body)
		default:
			return json.Unmarshal(body, into)
		}
	}
}

// errCursor is the answer to a cursor that the server does not know: of events that are gone since its database was restored.
var errCursor = errors.New("the server does not know the cursor")

// refusalOf gives the server's own words (RFC 9457).
func refusalOf(status int, body []byte) error {
	var problem client.Problem
	if json.Unmarshal(body, &problem) != nil || problem.Code == "" { // something on the way answered
		return fmt.Errorf("the server answered %d", status)
	}
	if problem.Errors != nil && len(*problem.Errors) == 1 && (*problem.Errors)[0].Code == "invalid_cursor" {
		return errCursor
	}
	return fmt.Errorf("%d %s: %s", status, problem.Code, problem.Detail)
}

// signIn gets an access token.
func (c *caller) signIn(ctx context.Context) error {
	c.access = ""
	grant := client.TokenRequest{GrantType: "client_credentials", ClientId: &c.clientID, ClientSecret: &c.secret}
	asked := time.Now()
	status, body, err := c.patiently(ctx, func(ctx context.Context, api *client.Client) (*http.Response, error) {
		return api.TokenCreateWithFormdataBody(ctx, grant)
	})
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return refusedSignIn(status, body)
	}
	var granted client.TokenResponse
	if err := json.Unmarshal(body, &granted); err != nil {
		return err
	}
	c.access, c.ends = granted.AccessToken, asked.Add(time.Duration(granted.ExpiresIn)*time.Second)
	return nil
}

// refusedSignIn gives the server's own words (RFC 6749, 5.2).
func refusedSignIn(status int, body []byte) error {
	var refused client.OAuthError
	if json.Unmarshal(body, &refused) != nil || refused.Error == "" { // something on the way answered
		if status == http.StatusNotFound {
			return errors.New("the sign-in was refused: the server answered 404; CLIENTELE_URL may be wrong")
		}
		return fmt.Errorf("the sign-in was refused: the server answered %d", status)
	}
	return fmt.Errorf("the sign-in was refused: %s (%s)", refused.ErrorDescription, refused.Error)
}

// patiently calls until the server answers with something other than that it cannot just now.
func (c *caller) patiently(ctx context.Context, do call) (status int, body []byte, err error) {
	began, waiting := time.Now(), false
	for pause := time.Second; ; pause = min(2*pause, maxPause) {
		response, err := do(ctx, c.api)
		if err == nil {
			body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
			_ = response.Body.Close()
			if err == nil && response.StatusCode < 500 && response.StatusCode != http.StatusTooManyRequests {
				if waiting {
					fmt.Fprintln(c.log, "mirror: the server is back")
				}
				return response.StatusCode, body, nil
			}
			if err == nil {
				err = refusalOf(response.StatusCode, body)
			}
			if seconds, notANumber := strconv.Atoi(response.Header.Get("Retry-After")); notANumber == nil {
				pause = min(time.Duration(seconds)*time.Second, maxPause)
			}
		}
		if unanswered := (*url.Error)(nil); errors.As(err, &unanswered) { // whose text begins with the whole address
			err = unanswered.Err
		}
		switch {
		case ctx.Err() != nil:
			return 0, nil, ctx.Err()
		case c.patience > 0 && time.Since(began) > c.patience:
			return 0, nil, fmt.Errorf("the server is away: %w", err)
		case pause == time.Second || pause >= maxPause:
			waiting = true
			fmt.Fprintln(c.log, "mirror: waiting for the server:", err)
		}
		select {
		case <-ctx.Done():
			return 0, nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}
