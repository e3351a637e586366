// Package apitest runs the API for tests: the real router over a real database of the test's own, called over HTTP. Every
// answer is checked against the contract, whatever the test itself looks at.
package apitest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/api"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/background"
	"github.com/clientele-api/clientele/internal/backups"
	"github.com/clientele-api/clientele/internal/blobs"
	"github.com/clientele-api/clientele/internal/contract"
	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/exports"
	"github.com/clientele-api/clientele/internal/mail"
	"github.com/clientele-api/clientele/internal/messages"
	"github.com/clientele-api/clientele/internal/passwords"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/queue"
	"github.com/clientele-api/clientele/internal/ratelimit"
	"github.com/clientele-api/clientele/internal/secrets"
	"github.com/clientele-api/clientele/internal/staff"
	"github.com/clientele-api/clientele/internal/tokens"
	"github.com/clientele-api/clientele/internal/webhooks"
)

// Password is the password of the accounts that tests sign in with.
const Password = "four words are better"

// ExportConns is how many exports a server runs at a time.
const ExportConns = 2

// hashed is made once.
var hashed = sync.OnceValue(func() string {
	hash, err := passwords.NewTestHasher().Hash(context.Background(), Password)
	if err != nil {
		panic(err)
	}
	return hash
})

// signingKey makes one key for all servers, each of which has it under an id of its own: to make one takes long.
var signingKey = sync.OnceValues(tokens.NewKey)

var loaded = sync.OnceValue(func() *contract.Contract {
	c, err := contract.Load(openapi.Spec)
	if err != nil {
		panic(err)
	}
	return c
})

// Contract gives the contract that answers are checked against.
func Contract() *contract.Contract { return loaded() }

// Clock is a clock that tests move. It starts at the real time and goes on with it.
type Clock struct {
	mu     sync.Mutex
	offset time.Duration
}

// Now gives the time by the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

// Advance moves the clock on.
func (c *Clock) Advance(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += by
}

// Server is the API over a database of its own.
type Server struct {
	URL       string
	DB        *postgres.DB
	Clock     *Clock
	Authority *tokens.Authority
	Keyring   *secrets.Keyring
	Hasher    *passwords.Hasher
	Options   api.Options  // that it was made with
	Queue     *queue.Queue // takes jobs; they are worked once the test asks for Work
	Sequencer *events.Sequencer

	BlobDir string // where it keeps files; "" where a test has said where

	databaseURL string
}

// New starts a server that ends with the test.
func New(t testing.TB, changes ...Option) *Server {
	t.Helper()
	return NewOn(t, dbtest.URL(t), changes...)
}

// Option changes how a server is started.
type Option func(*options)

type options struct {
	publicURL     string
	sender        *mail.Sender
	blobURL       string
	termsRequired bool
	origins       []string
	proxies       []netip.Prefix
	rateLimit     int64
	answerTime    time.Duration
	webhookAllow  []netip.Prefix
}

// PublicURL makes the server a replica of the installation at that URL: it issues and takes the same tokens.
func PublicURL(url string) Option { return func(o *options) { o.publicURL = url } }

// Blobs says where the server keeps files; those of replicas must be the same.
func Blobs(url string) Option { return func(o *options) { o.blobURL = url } }

// TermsRequired makes customers' people accept the terms first.
func TermsRequired(o *options) { o.termsRequired = true }

// Origins lets pages of these origins call from a browser.
func Origins(origins ...string) Option { return func(o *options) { o.origins = origins } }

// Proxies believes what these say of where a request is from.
func Proxies(networks ...netip.Prefix) Option { return func(o *options) { o.proxies = networks } }

// WebhookAllow lets webhooks go to networks that are not public.
func WebhookAllow(networks ...netip.Prefix) Option {
	return func(o *options) { o.webhookAllow = networks }
}

// RateLimit lets each caller make so many requests a minute.
func RateLimit(requests int64) Option { return func(o *options) { o.rateLimit = requests } }

// AnswerTime gives each request that is not a file so long.
func AnswerTime(limit time.Duration) Option { return func(o *options) { o.answerTime = limit } }

// Mail makes the server one that sends mail.
func Mail(sender *mail.Sender) Option { return func(o *options) { o.sender = sender } }

// NewOn starts a server on a database that is there, such as a second replica.
func NewOn(t testing.TB, databaseURL string, changes ...Option) *Server {
	t.Helper()
	var chosen options
	for _, change := range changes {
		change(&chosen)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	s := &Server{Clock: &Clock{}, Hasher: passwords.NewTestHasher(), databaseURL: databaseURL}
	var err error
	s.DB, err = postgres.Open(ctx, databaseURL, s.Clock.Now)
	require.NoError(t, err)
	upkeep, err := postgres.Open(ctx, databaseURL, s.Clock.Now, postgres.Conns(3))
	require.NoError(t, err)
	exporting, err := postgres.Open(ctx, databaseURL, s.Clock.Now, postgres.Conns(ExportConns))
	require.NoError(t, err)
	s.Keyring, err = secrets.Parse("a secret key that is only for tests")
	require.NoError(t, err)
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	listener := httptest.NewUnstartedServer(nil)
	s.URL = "http://" + listener.Listener.Addr().String()
	require.NoError(t, tokens.EnsureKey(ctx, upkeep, s.Keyring, signingKey))
	s.Authority, err = tokens.NewAuthority(ctx, upkeep, s.Keyring, cmp.Or(chosen.publicURL, s.URL), log)
	require.NoError(t, err)
	texts, err := messages.Load("")
	require.NoError(t, err)
	if chosen.blobURL == "" {
		s.BlobDir = t.TempDir()
	}
	store, err := blobs.New(ctx, s.DB, cmp.Or(chosen.blobURL, blobs.FileURL(s.BlobDir)))
	require.NoError(t, err)
	work, err := background.New(background.Options{
		DB: s.DB, Blobs: store, Keyring: s.Keyring, Texts: texts, Sender: chosen.sender, BaseURL: cmp.Or(chosen.publicURL, s.URL),
		Contract: Contract(), Webhooks: webhooks.NewSender(webhooks.SenderOptions{Allow: chosen.webhookAllow}), Log: log,
	})
	require.NoError(t, err)
	s.Queue, s.Sequencer = work.Queue, events.NewSequencer(upkeep, log)
	snapshots := exports.NewSnapshots(exporting, 500*time.Millisecond)
	backingUp, err := backups.New(backups.Options{
		DB: s.DB, Snapshots: snapshots, Blobs: store, Contract: Contract(), Version: "test", Log: log,
	})
	require.NoError(t, err)
	s.Options = api.Options{
		DB: s.DB, Authority: s.Authority, Keyring: s.Keyring, Hasher: s.Hasher, Activation: work.Activation,
		Operations: work.Operations, Contract: Contract(), Blobs: store, Exports: snapshots, Backups: backingUp,
		TermsRequired: chosen.termsRequired, CORSOrigins: chosen.origins, TrustedProxies: chosen.proxies, AnswerTime: chosen.answerTime,
		Webhooks: work.Webhooks, Sequencer: s.Sequencer, Log: log,
	}
	if chosen.rateLimit > 0 {
		limiter := ratelimit.New(s.DB, chosen.rateLimit)
		s.Options.Limiter = limiter
		running.Go(func() { limiter.Run(ctx, log) })
	}
	listener.Config.Handler, err = api.New(s.Options)
	require.NoError(t, err)
	listener.Start()
	running.Go(func() { s.Authority.Follow(ctx) })
	running.Go(func() { s.Sequencer.Run(ctx) })
	running.Go(func() { work.Webhooks.Follow(ctx, upkeep, s.Sequencer) })
	t.Cleanup(func() {
		s.Sequencer.EndWaiting()
		listener.Close()
		checkEvents(t, s.DB)
		stop()
		running.Wait()
		upkeep.Close()
		exporting.Close()
		require.NoError(t, store.Close())
		s.DB.Close()
	})
	return s
}

// Work works jobs with the program's workers, those that are enqueued already and those to come, until the test's end.
func (s *Server) Work(t testing.TB) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Queue.Run(ctx, s.databaseURL) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
}

// Anonymous gives a caller without a token.
func (s *Server) Anonymous() *Caller { return &Caller{server: s, client: http.DefaultClient} }

// Staff makes a staff account of the role and gives a caller with its token.
func (s *Server) Staff(t testing.TB, role access.Role) *Caller {
	t.Helper()
	var account staff.Account
	err := s.DB.Change(t.Context(), postgres.Change{Actor: postgres.Actor{Kind: access.KindSystem, Name: "test"}},
		func(tx *postgres.Tx) (err error) {
			account, err = staff.Create(t.Context(), tx, staff.Input{
				Name: "Test " + string(role), Role: role, PasswordHash: hashed(),
				Email: string(role) + "-" + uuid.NewString() + "@example.com",
			})
			return err
		})
	require.NoError(t, err)
	caller := s.Anonymous()
	caller.ID, caller.Email = account.ID, account.Email
	caller.Token = s.Token(t, &access.Principal{
		Kind: access.KindStaff, ID: account.ID, Name: account.Name, SessionID: uuid.Must(uuid.NewV7()),
		Epoch: account.TokenEpoch, Scopes: role.Scopes(),
	})
	return caller
}

// Identity gives a caller that signed in as the first login of a customer, whose password is Password.
func (s *Server) Identity(t testing.TB, customerID uuid.UUID) *Caller {
	t.Helper()
	login := s.Staff(t, access.Administrator).Identities(t, customerID)[0]
	caller := s.Anonymous()
	caller.ID, caller.Email, caller.CustomerID = login.Id, login.Email, customerID
	granted := caller.SignIn(t, "portal", login.Email, Password)
	caller.Token, caller.RefreshToken = granted.AccessToken, granted.RefreshToken
	return caller
}

// SignIn gets tokens for a login.
func (c *Caller) SignIn(t testing.TB, client, email, password string) openapi.TokenResponse {
	t.Helper()
	form := url.Values{"grant_type": {"password"}, "client_id": {client}, "username": {email}, "password": {password}}
	var granted openapi.TokenResponse
	c.Must(t, 200, "POST", "/oauth/token", form.Encode(),
		Header("Content-Type", "application/x-www-form-urlencoded")).JSON(t, &granted)
	return granted
}

// Granted gets a token for an API client, which names its scopes, or "" for all that it has.
func (c *Caller) Granted(t testing.TB, scope string) openapi.TokenResponse {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
	var granted openapi.TokenResponse
	c.server.Anonymous().Must(t, 200, "POST", "/oauth/token", form.Encode(), func(r *http.Request) {
		r.SetBasicAuth(c.ID.String(), c.Secret)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}).JSON(t, &granted)
	return granted
}

// Token issues a token of the server's own.
func (s *Server) Token(t testing.TB, principal *access.Principal) string {
	t.Helper()
	token, err := s.Authority.Issue(t.Context(), principal, "staff")
	require.NoError(t, err)
	return token
}

// Caller calls the API as somebody.
type Caller struct {
	Secret       string // of an API client
	ID           uuid.UUID
	Email        string
	CustomerID   uuid.UUID // of an identity
	Token        string    // "" for none
	RefreshToken string    // "" for none
	server       *Server
	client       *http.Client
}

// Name gives what the caller is called in its tokens.
func (c *Caller) Name(t testing.TB) string {
	t.Helper()
	principal, err := c.server.Authority.Verify(t.Context(), c.Token)
	require.NoError(t, err)
	return principal.Name
}

// Response is an answer, read to its end.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// JSON decodes the body into a value.
func (r *Response) JSON(t testing.TB, into any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(r.Body, into), string(r.Body))
}

// Problem decodes the body as a problem.
func (r *Response) Problem(t testing.TB) openapi.Problem {
	t.Helper()
	require.Equal(t, "application/problem+json", r.Header.Get("Content-Type"), string(r.Body))
	var problem openapi.Problem
	r.JSON(t, &problem)
	require.Equal(t, int32(r.Status), problem.Status)
	require.Equal(t, r.Header.Get("X-Request-Id"), problem.RequestId)
	return problem
}

// With changes a request before it is sent.
type With func(*http.Request)

// Header sets a header of a request.
func Header(name, value string) With {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// Do calls the API. A body that is a string or bytes is sent as it is, any other as JSON; nil sends none.
func (c *Caller) Do(t testing.TB, method, path string, body any, with ...With) *Response {
	t.Helper()
	var reader io.Reader
	switch given := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(given)
	case []byte:
		reader = bytes.NewReader(given)
	case io.Reader:
		reader = given
	default:
		encoded, err := json.Marshal(given)
		require.NoError(t, err)
		reader = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, c.server.URL+path, reader)
	require.NoError(t, err)
	if reader != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.Token)
	}
	for _, change := range with {
		change(request)
	}
	answer, err := c.client.Do(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	response := &Response{Status: answer.StatusCode, Header: answer.Header}
	response.Body, err = io.ReadAll(answer.Body)
	require.NoError(t, err)
	check(t, request, response)
	return response
}

// Must calls the API and demands the status.
func (c *Caller) Must(t testing.TB, status int, method, path string, body any, with ...With) *Response {
	t.Helper()
	response := c.Do(t, method, path, body, with...)
	require.Equal(t, status, response.Status, "%s %s: %s", method, path, response.Body)
	return response
}

// check holds an answer against the contract. What the contract has no operation for answers with a problem.
func check(t testing.TB, request *http.Request, response *Response) {
	t.Helper()
	operation := Match(request.Method, request.URL.Path)
	if operation == nil {
		return
	}
	err := operation.CheckResponse(request, response.Status, response.Header, response.Body)
	require.NoError(t, err, "%s %s answered %d: %s", request.Method, request.URL.Path, response.Status, response.Body)
}

// Match finds the operation that a request is for; nil when there is none.
func Match(method, path string) *contract.Operation {
	steps := strings.Split(path, "/")
	for _, operation := range Contract().Operations() {
		if operation.Method == method && matches(strings.Split(operation.Path, "/"), steps) {
			return operation
		}
	}
	return nil
}

func matches(template, steps []string) bool {
	if len(template) != len(steps) {
		return false
	}
	for i, step := range template {
		if step != steps[i] && !strings.HasPrefix(step, "{") {
			return false
		}
	}
	return true
}
