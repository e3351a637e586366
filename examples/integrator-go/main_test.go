package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

// busy is something between the program and the server that turns some requests away, by their number.
type busy struct {
	next  http.Handler
	away  map[int]string // with this Retry-After
	ended int            // the request whose token has ended

	mu       sync.Mutex
	requests int
	keys     []string // of idempotency, that POSTs came with
	tokens   []string // that requests came with, from the one whose token has ended
}

func (b *busy) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	b.mu.Lock()
	b.requests++
	retryAfter, away := b.away[b.requests]
	ended := b.requests == b.ended
	if b.requests >= b.ended {
		b.tokens = append(b.tokens, request.Header.Get("Authorization"))
	}
	if request.Method == http.MethodPost && request.URL.Path == "/v1/customers" {
		b.keys = append(b.keys, request.Header.Get("Idempotency-Key"))
	}
	b.mu.Unlock()
	if ended {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if away {
		w.Header().Set("Retry-After", retryAfter)
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	b.next.ServeHTTP(w, request)
}

func TestTheTrip(t *testing.T) {
	t.Parallel()
	server := apitest.New(t)
	server.Work(t)
	staff := server.Staff(t, access.Administrator)
	program := staff.APIClient(t, apitest.Fields{"scopes": []string{
		"customers:read", "customers:write", "identities:write", "jobs:read", "jobs:write",
	}})
	target, err := url.Parse(server.URL)
	require.NoError(t, err)
	front := &busy{next: httputil.NewSingleHostReverseProxy(target), away: map[int]string{
		1: "7", 4: "", 5: time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), 9: "0",
	}, ended: 8}
	between := httptest.NewServer(front)
	t.Cleanup(between.Close)
	environment := map[string]string{
		"CLIENTELE_URL": between.URL + "/", "CLIENTELE_CLIENT_ID": program.ID.String(), "CLIENTELE_CLIENT_SECRET": program.Secret,
	}
	var pauses []time.Duration
	var out bytes.Buffer
	err = run(t.Context(), func(name string) string { return environment[name] }, &out, func(_ context.Context, pause time.Duration) error {
		pauses = append(pauses, pause)
		return nil
	})
	require.NoError(t, err, out.String())
	require.Equal(t, []time.Duration{7 * time.Second, time.Second, time.Minute, 0}, pauses, "they are the server's to name")
	require.Equal(t, front.keys[0], front.keys[1], "it is the same request that comes again")
	require.Equal(t, front.keys[0], front.keys[2])
	require.NotEqual(t, front.keys[2], front.keys[3])
	require.Equal(t, front.keys[4], front.keys[5], "and so does one whose token has ended")
	require.NotEqual(t, front.tokens[0], front.tokens[3], "with another token, after two requests for it")
	require.Equal(t, front.tokens[3], front.tokens[4])
	require.Contains(t, out.String(), "\nlisted 5 customers on 3 pages\nchanged: phone null, address Mataderos 2312, company Moreno S.A., properties")
	require.Contains(t, out.String(), "\ndeleted 5 customers\n")
	require.JSONEq(t, `{"data": [], "next_cursor": null}`, string(staff.Must(t, 200, "GET", "/v1/customers", nil).Body))
}

func TestWhoCannotSignInIsTold(t *testing.T) {
	t.Parallel()
	server := apitest.New(t)
	environment := map[string]string{"CLIENTELE_URL": server.URL}
	var out bytes.Buffer
	trip := func() error {
		return run(t.Context(), func(name string) string { return environment[name] }, &out, sleep)
	}
	require.EqualError(t, trip(), "set CLIENTELE_CLIENT_ID and CLIENTELE_CLIENT_SECRET")
	environment["CLIENTELE_CLIENT_ID"], environment["CLIENTELE_CLIENT_SECRET"] = "01a2016b-316f-7e0e-9f43-0c5a8b1d2e3f", "cls_guess"
	require.EqualError(t, trip(), "signing in: The client is unknown or its secret is wrong. (invalid_client)")
	environment["CLIENTELE_URL"] += "/v1"
	require.EqualError(t, trip(), "signing in: there is no token at this address; CLIENTELE_URL may be wrong (404)")
	for _, address := range []string{"127.0.0.1:8080", "localhost:8080", "clientele.example.com", "ftp://example.com", "http://"} {
		environment["CLIENTELE_URL"] = address
		require.EqualError(t, trip(), "CLIENTELE_URL must be an address such as https://clientele.example.com", address)
	}
	require.Empty(t, out.String(), "nothing was done")
}
