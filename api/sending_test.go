package api_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-message"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/mail"
)

// postOffice is an SMTP server that keeps what it is given, and refuses what a test tells it to.
type postOffice struct {
	mu      sync.Mutex
	refusal error
	letters []string
	sender  *mail.Sender
	server  *smtp.Server
}

func openPostOffice(t *testing.T) *postOffice {
	t.Helper()
	office := &postOffice{}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	office.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return counter{office}, nil }))
	office.server.Domain = "localhost"
	office.server.EnableSMTPUTF8 = true
	go func() { _ = office.server.Serve(listener) }()
	t.Cleanup(func() { _ = office.server.Close() })
	office.sender, err = mail.NewSender("smtp://"+listener.Addr().String()+"?tls=off", "Clientele <mail@example.com>")
	require.NoError(t, err)
	return office
}

func (o *postOffice) refuse(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refusal = err
}

// letter waits for the next letter and takes it.
func (o *postOffice) letter(t *testing.T) (subject, body string) {
	t.Helper()
	var text string
	require.Eventually(t, func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		if len(o.letters) == 0 {
			return false
		}
		text, o.letters = o.letters[0], o.letters[1:]
		return true
	}, 15*time.Second, 20*time.Millisecond)
	parsed, err := message.Read(strings.NewReader(text))
	require.NoError(t, err)
	subject, err = parsed.Header.Text("Subject")
	require.NoError(t, err)
	content, err := io.ReadAll(parsed.Body)
	require.NoError(t, err)
	return subject, strings.ReplaceAll(string(content), "\r\n", "\n")
}

// counter is where letters are handed in.
type counter struct{ office *postOffice }

func (c counter) Mail(string, *smtp.MailOptions) error { return nil }

func (c counter) Rcpt(string, *smtp.RcptOptions) error {
	c.office.mu.Lock()
	defer c.office.mu.Unlock()
	return c.office.refusal
}

func (c counter) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	c.office.mu.Lock()
	defer c.office.mu.Unlock()
	c.office.letters = append(c.office.letters, string(content))
	return err
}

func (counter) Reset() {}

func (counter) Logout() error { return nil }

func awaitState(t *testing.T, caller *apitest.Caller, request openapi.ActivationRequest, state string) openapi.ActivationRequest {
	t.Helper()
	var now openapi.ActivationRequest
	require.Eventually(t, func() bool {
		caller.Must(t, 200, "GET", requestPath(request), nil).JSON(t, &now)
		return string(now.State) == state
	}, 15*time.Second, 30*time.Millisecond, "still %s", now.State)
	return now
}

func TestActivationIsSent(t *testing.T) {
	t.Parallel()
	office := openPostOffice(t)
	database := dbtest.URL(t)
	s := apitest.NewOn(t, database, apitest.Mail(office.sender))
	replica := apitest.NewOn(t, database, apitest.PublicURL(s.URL), apitest.Mail(office.sender))
	admin := s.Staff(t, access.Administrator)
	customer := contact(t, admin, apitest.Fields{"name": "Königlich Essen 🍽"})
	draft := prepare(t, admin, customer, "{}")
	var queued openapi.ActivationRequest
	admin.Must(t, 202, "POST", requestPath(draft)+"/send", nil).JSON(t, &queued)
	require.EqualValues(t, "queued", queued.State)
	require.Equal(t, "request_state", admin.Must(t, 409, "POST", requestPath(draft)+"/send", nil).Problem(t).Code)
	require.Equal(t, "request_state", admin.Must(t, 409, "PATCH", requestPath(draft), apitest.Fields{"subject": "x"}).Problem(t).Code)
	s.Work(t)
	replica.Work(t)
	subject, body := office.letter(t)
	require.Equal(t, draft.Message.Subject, subject)
	require.Contains(t, body, *draft.Link)
	sent := awaitState(t, admin, draft, "sent")
	require.NotNil(t, sent.SentAt)
	var invited openapi.Customer
	admin.Must(t, 200, "GET", path(customer), nil).JSON(t, &invited)
	require.NotNil(t, invited.InvitedAt)
	follow(t, replica, tokenOf(t, *draft.Link), "")
	s.Anonymous().SignIn(t, "portal", *customer.Email, apitest.Password)
	require.Empty(t, office.letters, "it went out once")
}

func TestActivationThatCannotBeSent(t *testing.T) {
	t.Parallel()
	office := openPostOffice(t)
	s := apitest.New(t, apitest.Mail(office.sender))
	admin := s.Staff(t, access.Administrator)
	s.Work(t)
	office.refuse(&smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such user here"})
	draft := prepare(t, admin, contact(t, admin, nil), "{}")
	admin.Must(t, 202, "POST", requestPath(draft)+"/send", nil)
	failed := awaitState(t, admin, draft, "failed")
	require.Contains(t, *failed.Failure, "No such user here")
	require.NotNil(t, failed.Link, "the link works nevertheless")
	// Everybody who lists requests reads the reason.
	office.refuse(&smtp.SMTPError{Code: 554, Message: "Blocked for " + *draft.Link + " in it"})
	admin.Must(t, 202, "POST", requestPath(draft)+"/send", nil)
	require.Eventually(t, func() bool {
		failed = awaitState(t, admin, draft, "failed")
		return strings.Contains(*failed.Failure, "Blocked")
	}, 15*time.Second, 30*time.Millisecond)
	require.Contains(t, *failed.Failure, "#token=cla_… in it")
	office.refuse(nil)
	admin.Must(t, 202, "POST", requestPath(draft)+"/send", nil)
	require.Nil(t, awaitState(t, admin, draft, "sent").Failure)

	// What passes is tried again, until it has been tried often enough.
	office.refuse(&smtp.SMTPError{Code: 451, Message: "Come back later"})
	later := prepare(t, admin, contact(t, admin, nil), "{}")
	admin.Must(t, 202, "POST", requestPath(later)+"/send", nil)
	require.Eventually(t, func() bool {
		tag, err := s.DB.Exec(t.Context(), `UPDATE river_job SET attempt = max_attempts - 1, scheduled_at = now(), state = 'available'
			WHERE kind = 'activation_request_send' AND state = 'retryable'`)
		require.NoError(t, err)
		return tag.RowsAffected() == 1
	}, 10*time.Second, 20*time.Millisecond)
	require.Contains(t, *awaitState(t, admin, later, "failed").Failure, "Come back later")

	// Nothing of it is in the queue: neither whom it went to nor what the server said.
	var leaks int
	require.NoError(t, s.DB.QueryRow(t.Context(), `SELECT count(*) FROM river_job j
		WHERE row_to_json(j)::text LIKE '%@example.com%' OR row_to_json(j)::text LIKE '%Come back%'`).Scan(&leaks))
	require.Zero(t, leaks)
}

// TestAJobThatWasLost: a request whose job is gone does not stay queued for ever.
func TestAJobThatWasLost(t *testing.T) {
	t.Parallel()
	office := openPostOffice(t)
	s := apitest.New(t, apitest.Mail(office.sender))
	admin := s.Staff(t, access.Administrator)
	draft := prepare(t, admin, contact(t, admin, nil), "{}")
	admin.Must(t, 202, "POST", requestPath(draft)+"/send", nil)
	_, err := s.DB.Exec(t.Context(), "DELETE FROM river_job")
	require.NoError(t, err)
	s.Clock.Advance(7 * time.Hour)
	admin = s.Staff(t, access.Administrator)
	s.Work(t)
	require.Contains(t, *awaitState(t, admin, draft, "failed").Failure, "not sent in time")
	admin.Must(t, 202, "POST", requestPath(draft)+"/send", nil)
	awaitState(t, admin, draft, "sent")
}

// TestRevokedWhileItIsQueued: what is revoked before it is sent does not go out.
func TestRevokedWhileItIsQueued(t *testing.T) {
	t.Parallel()
	office := openPostOffice(t)
	s := apitest.New(t, apitest.Mail(office.sender))
	admin := s.Staff(t, access.Administrator)
	draft := prepare(t, admin, contact(t, admin, nil), "{}")
	admin.Must(t, 202, "POST", requestPath(draft)+"/send", nil)
	admin.Must(t, 204, "DELETE", requestPath(draft), nil)
	s.Work(t)
	require.Eventually(t, func() bool {
		var done int
		require.NoError(t, s.DB.QueryRow(t.Context(),
			"SELECT count(*) FROM river_job WHERE kind = 'activation_request_send' AND state = 'completed'").Scan(&done))
		return done == 1
	}, 10*time.Second, 20*time.Millisecond)
	require.Empty(t, office.letters)
}

func askForReset(t *testing.T, s *apitest.Server, email string) {
	t.Helper()
	response := s.Anonymous().Must(t, 202, "POST", "/v1/password-resets", apitest.Fields{"email": email})
	require.JSONEq(t, "{}", string(response.Body))
}

func TestPasswordReset(t *testing.T) {
	t.Parallel()
	office := openPostOffice(t)
	s := apitest.New(t, apitest.Mail(office.sender))
	admin := s.Staff(t, access.Administrator)
	me := portalUser(t, s, "member")
	s.Work(t)
	askForReset(t, s, strings.ToUpper(me.Email))
	_, body := office.letter(t)
	_, rest, found := strings.Cut(body, s.URL+"/reset")
	require.True(t, found, body)
	link, _, _ := strings.Cut(rest, "\n")
	complete := func(token, password string) *apitest.Response {
		return s.Anonymous().Do(t, "POST", "/v1/password-resets/complete", apitest.Fields{"token": token, "password": password})
	}
	token := tokenOf(t, strings.TrimSpace(link))
	require.Equal(t, 422, complete(token, "password12").Status)
	require.Equal(t, 204, complete(token, "another four words here").Status)
	portalRefused(t, s, me)
	s.Anonymous().SignIn(t, "portal", me.Email, "another four words here")
	refuseSignIn(t, s, me.Email, apitest.Password)
	require.Equal(t, "link_used", complete(token, apitest.Password).Problem(t).Code)

	// A newer link replaces the older one, and time and a suspension end both.
	next := func() string {
		s.Clock.Advance(2 * time.Minute)
		askForReset(t, s, me.Email)
		_, body := office.letter(t)
		_, token, _ := strings.Cut(body, "#token=")
		return strings.Fields(token)[0]
	}
	older, newer := next(), next()
	require.Equal(t, "link_revoked", complete(older, apitest.Password).Problem(t).Code)
	admin.Must(t, 200, "POST", fmt.Sprintf("/v1/customers/%s/deactivate", me.CustomerID), nil)
	require.Equal(t, "link_revoked", complete(newer, apitest.Password).Problem(t).Code)
	admin.Must(t, 200, "POST", fmt.Sprintf("/v1/customers/%s/activate", me.CustomerID), nil)
	require.Equal(t, "link_revoked", complete(newer, apitest.Password).Problem(t).Code)
	last := next()
	s.Clock.Advance(time.Hour)
	require.Equal(t, "link_expired", complete(last, apitest.Password).Problem(t).Code)
}

// TestResetsTellNothing: whoever asks learns nothing, and who has no login that may sign in gets no mail.
func TestResetsTellNothing(t *testing.T) {
	t.Parallel()
	office := openPostOffice(t)
	s := apitest.New(t, apitest.Mail(office.sender))
	admin := s.Staff(t, access.Administrator)
	suspended, pending := portalUser(t, s, "member"), admin.Identity(t, in(t, admin, "active").Id, nil)
	admin.Must(t, 200, "POST", fmt.Sprintf("/v1/customers/%s/deactivate", suspended.CustomerID), nil)
	me := portalUser(t, s, "member")
	jobs := func() (n int) {
		require.NoError(t, s.DB.QueryRow(t.Context(), "SELECT count(*) FROM river_job WHERE kind = 'password_reset_send'").Scan(&n))
		return n
	}
	for i, email := range []string{"nobody@example.com", suspended.Email, pending.Email, admin.Email, me.Email} {
		askForReset(t, s, email)
		require.Equal(t, i+1, jobs(), "the same is done for everybody")
	}
	for range 10 { // one a minute
		askForReset(t, s, me.Email)
		askForReset(t, s, "nobody@example.com")
	}
	require.Equal(t, 5, jobs())
	s.Work(t)
	office.letter(t)
	require.Eventually(t, func() bool {
		var done int
		require.NoError(t, s.DB.QueryRow(t.Context(),
			"SELECT count(*) FROM river_job WHERE kind = 'password_reset_send' AND state = 'completed'").Scan(&done))
		return done == 5
	}, 10*time.Second, 20*time.Millisecond)
	require.Empty(t, office.letters)
	for i := range 30 {
		s.Anonymous().Do(t, "POST", "/v1/password-resets", apitest.Fields{"email": fmt.Sprintf("%d@example.com", i)})
	}
	refused := s.Anonymous().Must(t, 429, "POST", "/v1/password-resets", apitest.Fields{"email": "last@example.com"})
	require.NotEmpty(t, refused.Header.Get("Retry-After"))
}
