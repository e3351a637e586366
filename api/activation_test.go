package api_test

import (
	"bytes"
	"fmt"
	"io"
	netmail "net/mail"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/dbtest"
)

func prepare(t *testing.T, caller *apitest.Caller, customer openapi.Customer, body any) openapi.ActivationRequest {
	t.Helper()
	var request openapi.ActivationRequest
	caller.Must(t, 201, "POST", path(customer)+"/activation-requests", body).JSON(t, &request)
	return request
}

func requestPath(request openapi.ActivationRequest) string {
	return fmt.Sprintf("/v1/customers/%s/activation-requests/%s", request.CustomerId, request.Id)
}

func tokenOf(t *testing.T, link string) string {
	t.Helper()
	_, token, found := strings.Cut(link, "#token=")
	require.True(t, found, link)
	return token
}

func contact(t *testing.T, admin *apitest.Caller, fields apitest.Fields) openapi.Customer {
	t.Helper()
	all := apitest.Fields{"email": uuid.NewString() + "@example.com"}
	for name, value := range fields {
		all[name] = value
	}
	return admin.Customer(t, all)
}

// follow follows a link and demands the code of the refusal; "" for none.
func follow(t *testing.T, s *apitest.Server, token, code string) openapi.Activation {
	t.Helper()
	var activated openapi.Activation
	response := s.Anonymous().Do(t, "POST", "/v1/activations", apitest.Fields{"token": token, "password": apitest.Password})
	if code == "" {
		require.Equal(t, 200, response.Status, string(response.Body))
		response.JSON(t, &activated)
		return activated
	}
	require.Equal(t, code, response.Problem(t).Code, string(response.Body))
	preview := s.Anonymous().Do(t, "POST", "/v1/activations/preview", apitest.Fields{"token": token})
	require.Equal(t, code, preview.Problem(t).Code)
	return activated
}

func TestActivationFromDraftToSignIn(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := contact(t, admin, apitest.Fields{"name": "Żółć & Söhne", "locale": "pl"})
	draft := prepare(t, admin, customer, "{}")
	require.EqualValues(t, "draft", draft.State)
	require.Nil(t, draft.IdentityId)
	require.Equal(t, *customer.Email, draft.Message.To)
	require.Contains(t, draft.Message.Body, *draft.Link)
	require.True(t, strings.HasPrefix(*draft.Link, s.URL+"/activate#token=cla_"))
	require.WithinDuration(t, time.Now().Add(72*time.Hour), draft.ExpiresAt, time.Minute)
	require.Contains(t, draft.Message.Body, "72 godziny", "in the customer's language")
	mailto, err := url.Parse(*draft.Message.MailtoUrl)
	require.NoError(t, err)
	require.Equal(t, draft.Message.Subject, mailto.Query().Get("subject"))
	require.Contains(t, mailto.Query().Get("body"), *draft.Link)

	// What staff changes is what goes out, with the link where it was.
	edited := strings.Replace(draft.Message.Body, *draft.Link, "→ "+*draft.Link+" ←", 1)
	var changed openapi.ActivationRequest
	admin.Must(t, 200, "PATCH", requestPath(draft), apitest.Fields{"subject": "Zażółć 🎈", "body": edited},
		apitest.Header("If-Match", `"1.x"`)).JSON(t, &changed)
	require.Equal(t, edited, changed.Message.Body)
	admin.Must(t, 412, "PATCH", requestPath(draft), apitest.Fields{"subject": "x"}, apitest.Header("If-Match", `"1.x"`))
	requireFaults(t, admin.Must(t, 422, "PATCH", requestPath(draft), apitest.Fields{"body": "no link"}), "/body link_missing")
	admin.Must(t, 200, "PATCH", requestPath(draft), apitest.Fields{"body": "Tu: {{link}}"}).JSON(t, &changed)
	require.Equal(t, "Tu: "+*draft.Link, changed.Message.Body)
	var stored string
	require.NoError(t, s.DB.QueryRow(t.Context(), "SELECT body FROM activation_requests WHERE id = $1", draft.Id).Scan(&stored))
	require.Equal(t, "Tu: {{link}}", stored)

	var preview openapi.ActivationPreview
	token := tokenOf(t, *draft.Link)
	s.Anonymous().Must(t, 200, "POST", "/v1/activations/preview", apitest.Fields{"token": token}).JSON(t, &preview)
	require.Equal(t, []any{*customer.Email, "Żółć & Söhne"}, []any{preview.Identity.Email, preview.Customer.Name})
	require.Nil(t, preview.Identity.Name)

	s.Anonymous().Must(t, 422, "POST", "/v1/activations", apitest.Fields{"token": token, "password": "password12"})
	var activated openapi.Activation
	s.Anonymous().Must(t, 200, "POST", "/v1/activations", apitest.Fields{
		"token": token, "password": apitest.Password, "password_confirmation": apitest.Password, "name": "Jan Żądło",
	}).JSON(t, &activated)
	require.EqualValues(t, "active", activated.Customer.Status)
	require.Equal(t, "Jan Żądło", activated.Identity.Name)
	s.Anonymous().SignIn(t, "portal", *customer.Email, apitest.Password)
	follow(t, s, token, "link_used")

	used := admin.Must(t, 200, "GET", requestPath(draft), nil)
	used.JSON(t, &changed)
	require.EqualValues(t, "used", changed.State)
	require.Nil(t, changed.Link)
	require.NotContains(t, string(used.Body), token)
	require.Equal(t, activated.Identity.Id, *changed.IdentityId)
	requireTypes(t, admin, customer, "customer.activated", "activation_request.used", "identity.created",
		"activation_request.updated", "activation_request.updated", "activation_request.created", "customer.created")
	var history openapi.EventPage
	response := admin.Must(t, 200, "GET", path(customer)+"/events?limit=3", nil)
	response.JSON(t, &history)
	for _, event := range history.Data {
		require.Equal(t, openapi.Actor{Kind: "identity", Id: &activated.Identity.Id, Name: "Jan Żądło"}, event.Actor)
	}
	require.NotContains(t, string(response.Body), "cla_")
}

func TestActivationDraftAsMail(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := contact(t, admin, apitest.Fields{"name": "Łódź\u2028Café", "email": "józef@żółw.example"})
	draft := prepare(t, admin, customer, "{}")
	admin.Must(t, 200, "PATCH", requestPath(draft), apitest.Fields{"subject": "Zażółć gęślą jaźń – 🎈"}).JSON(t, &draft)
	asMail := apitest.Header("Accept", "message/rfc822")
	response := admin.Must(t, 200, "GET", requestPath(draft), nil, asMail)
	require.Equal(t, "message/rfc822", response.Header.Get("Content-Type"))
	require.Contains(t, response.Header.Get("Content-Disposition"), ".eml")
	parsed, err := message.Read(bytes.NewReader(response.Body))
	require.NoError(t, err)
	require.Equal(t, "1", parsed.Header.Get("X-Unsent"))
	subject, err := parsed.Header.Text("Subject")
	require.NoError(t, err)
	require.Equal(t, draft.Message.Subject, subject)
	body, err := io.ReadAll(parsed.Body)
	require.NoError(t, err)
	require.Equal(t, draft.Message.Body, strings.TrimRight(strings.ReplaceAll(string(body), "\r\n", "\n"), "\n"))
	require.Contains(t, parsed.Header.Get("To"), "xn--", "the domain as the DNS has it")

	tag := response.Header.Get("ETag")
	admin.Must(t, 304, "GET", requestPath(draft), nil, asMail, apitest.Header("If-None-Match", tag))
	plain := admin.Must(t, 200, "GET", requestPath(draft), nil, apitest.Header("If-None-Match", tag))
	require.Contains(t, plain.Header.Get("Content-Type"), "application/json")
	for accept, media := range map[string]string{
		"": "application/json", "*/*": "application/json", "text/html": "application/json",
		"application/json;q=0.5, message/rfc822": "message/rfc822", "message/rfc822;q=0.1, application/json": "application/json",
		"message/*": "message/rfc822",
	} {
		answer := admin.Must(t, 200, "GET", requestPath(draft), nil, apitest.Header("Accept", accept))
		require.Contains(t, answer.Header.Get("Content-Type"), media, accept)
		require.Equal(t, "Accept", answer.Header.Get("Vary"))
	}
}

func TestHeadersCannotBeInjected(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := contact(t, admin, apitest.Fields{"name": "Bcc: all@example.com"})
	draft := prepare(t, admin, customer, "{}")
	for _, subject := range []string{"a\r\nBcc: x@example.com", "a\nb", "a\rb", "a\x00b", "a\u2028b\u0085c"} {
		response := admin.Do(t, "PATCH", requestPath(draft), apitest.Fields{"subject": subject})
		require.Contains(t, []int{422, 200}, response.Status)
		parsed, err := netmail.ReadMessage(bytes.NewReader(
			admin.Must(t, 200, "GET", requestPath(draft), nil, apitest.Header("Accept", "message/rfc822")).Body))
		require.NoError(t, err)
		require.Empty(t, parsed.Header.Get("Bcc"))
	}
	for _, name := range []string{"a\r\nBcc: x@example.com", "a\nb"} {
		requireFaults(t, admin.Must(t, 422, "PATCH", path(customer), apitest.Fields{"name": name}), "/name invalid_format")
	}
}

func TestWhoIsInvited(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	refused := func(customer openapi.Customer, body any, code string) {
		t.Helper()
		response := admin.Do(t, "POST", path(customer)+"/activation-requests", body)
		require.Equal(t, 409, response.Status, string(response.Body))
		require.Equal(t, code, response.Problem(t).Code)
	}
	// Nobody yet.
	mute := admin.Customer(t, nil)
	refused(mute, "{}", "no_email")
	requireFaults(t, admin.Must(t, 422, "POST", path(mute)+"/activation-requests", apitest.Fields{"identity_id": uuid.New()}),
		"/identity_id reference_not_found")
	taken := contact(t, admin, nil)
	admin.Identity(t, mute.Id, apitest.Fields{"email": strings.ToUpper(*taken.Email)})
	refused(taken, "{}", "login_email_taken")
	// The only login, whatever its customer's address.
	require.Equal(t, strings.ToUpper(*taken.Email), prepare(t, admin, mute, "{}").Message.To)
	// Of several, the one with the customer's address, or the one that is named.
	several := contact(t, admin, nil)
	first := admin.Identity(t, several.Id, nil)
	second := admin.Identity(t, several.Id, nil)
	refused(several, "{}", "identity_id_required")
	require.Equal(t, second.Email, prepare(t, admin, several, apitest.Fields{"identity_id": second.Id}).Message.To)
	third := admin.Identity(t, several.Id, apitest.Fields{"email": *several.Email})
	require.Equal(t, third.Id, *prepare(t, admin, several, "{}").IdentityId)
	stranger := admin.Identity(t, contact(t, admin, nil).Id, nil)
	requireFaults(t, admin.Must(t, 422, "POST", path(several)+"/activation-requests", apitest.Fields{"identity_id": stranger.Id}),
		"/identity_id reference_not_found")
	// Of an active customer, a pending login by name.
	admin.Must(t, 200, "PUT", identityPath(several.Id, first.Id)+"/password", apitest.Fields{"password": apitest.Password})
	admin.Must(t, 200, "POST", path(several)+"/activate", nil)
	refused(several, "{}", "identity_id_required")
	refused(several, apitest.Fields{"identity_id": first.Id}, "identity_active")
	invited := prepare(t, admin, several, apitest.Fields{"identity_id": second.Id})
	follow(t, s, tokenOf(t, *invited.Link), "")
	require.Equal(t, "active", statusOf(t, admin, several))
	s.Anonymous().SignIn(t, "portal", second.Email, apitest.Password)
	// A customer that is switched off invites nobody.
	admin.Must(t, 200, "POST", path(several)+"/deactivate", nil)
	refused(several, apitest.Fields{"identity_id": third.Id}, "action_not_allowed")
}

func TestLinksThatDoNotWork(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	good := tokenOf(t, *prepare(t, admin, contact(t, admin, nil), "{}").Link)
	require.Regexp(t, "^cla_[a-z2-7]{77}$", good, "nothing that a mail program would leave out of a link")
	flipped := strings.Replace(good, good[10:11], map[bool]string{true: "b", false: "a"}[good[10] == 'a'], 1)
	for _, token := range []string{
		"x", "cla_", good[:len(good)-1], good + "A", strings.ToUpper(good), "clp_" + strings.TrimPrefix(good, "cla_"), " " + good,
		flipped, "cla_" + strings.Repeat("a", 77), "../", "%00",
	} {
		follow(t, s, token, "link_unknown")
		refused := s.Anonymous().Must(t, 404, "POST", "/v1/password-resets/complete", apitest.Fields{"token": token, "password": apitest.Password})
		require.Equal(t, "link_unknown", refused.Problem(t).Code)
	}
	require.Zero(t, s.Hasher.Count(), "nothing is hashed for a link that does not work")

	replaced := contact(t, admin, nil)
	older := prepare(t, admin, replaced, "{}")
	newer := prepare(t, admin, replaced, "{}")
	follow(t, s, tokenOf(t, *older.Link), "link_revoked")

	revoked := prepare(t, admin, contact(t, admin, nil), "{}")
	admin.Must(t, 204, "DELETE", requestPath(revoked), nil)
	require.Equal(t, "request_state", admin.Must(t, 409, "DELETE", requestPath(revoked), nil).Problem(t).Code)
	follow(t, s, tokenOf(t, *revoked.Link), "link_revoked")

	moved := contact(t, admin, nil)
	old := prepare(t, admin, moved, "{}")
	admin.Must(t, 200, "PATCH", path(moved), apitest.Fields{"email": "another@example.com"})
	follow(t, s, tokenOf(t, *old.Link), "link_revoked")

	off := contact(t, admin, nil)
	login := admin.Identity(t, off.Id, nil)
	before := prepare(t, admin, off, "{}")
	admin.Must(t, 200, "PATCH", identityPath(off.Id, login.Id), apitest.Fields{"email": uuid.NewString() + "@example.com"})
	follow(t, s, tokenOf(t, *before.Link), "link_revoked")
	admin.Must(t, 200, "PUT", identityPath(off.Id, login.Id)+"/password", apitest.Fields{"password": apitest.Password})
	admin.Must(t, 200, "POST", path(off)+"/activate", nil)
	second := admin.Identity(t, off.Id, nil)
	open := prepare(t, admin, off, apitest.Fields{"identity_id": second.Id})
	admin.Must(t, 200, "POST", path(off)+"/deactivate", nil)
	follow(t, s, tokenOf(t, *open.Link), "link_revoked")
	require.Equal(t, "deactivated", statusOf(t, admin, off), "an old link never undoes it")
	admin.Must(t, 200, "POST", path(off)+"/activate", nil)
	follow(t, s, tokenOf(t, *open.Link), "link_revoked")
	open = prepare(t, admin, off, apitest.Fields{"identity_id": second.Id})
	admin.Must(t, 204, "DELETE", path(off)+"/identities", nil)
	follow(t, s, tokenOf(t, *open.Link), "link_revoked")
	shown := admin.Must(t, 200, "GET", path(off)+"/activation-requests", nil)
	require.NotContains(t, string(shown.Body), second.Email, "a deleted login leaves nothing behind")

	s.Clock.Advance(72*time.Hour + time.Second)
	follow(t, s, tokenOf(t, *newer.Link), "link_expired")
	admin = s.Staff(t, access.Administrator)
	var expired openapi.ActivationRequest
	admin.Must(t, 200, "GET", requestPath(newer), nil).JSON(t, &expired)
	require.EqualValues(t, "expired", expired.State)
	require.Nil(t, expired.Link)
	require.Equal(t, "request_state", admin.Must(t, 409, "POST", requestPath(newer)+"/mark-sent", nil).Problem(t).Code)
}

// TestTokensAreNotStored: not even when somebody puts one where everybody who lists requests would read it.
func TestTokensAreNotStored(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	request := prepare(t, admin, contact(t, admin, nil), "{}")
	token := tokenOf(t, *request.Link)
	requireFaults(t, admin.Must(t, 422, "PATCH", requestPath(request),
		apitest.Fields{"subject": "Your link: " + token, "body": *request.Link + " or " + token}),
		"/body link_misplaced", "/subject link_misplaced")
	requireFaults(t, admin.Must(t, 422, "PATCH", requestPath(request), apitest.Fields{"body": "Enter " + token}), "/body link_misplaced")
	admin.Must(t, 200, "PATCH", requestPath(request), apitest.Fields{"subject": "Link", "body": *request.Link})
	var stored int
	require.NoError(t, s.DB.QueryRow(t.Context(),
		"SELECT count(*) FROM activation_requests WHERE subject || body LIKE '%cla_%'").Scan(&stored))
	require.Zero(t, stored)
}

// TestFollowingIsOneChange: of the request too, whose login is there already.
func TestFollowingIsOneChange(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := in(t, admin, "unregistered")
	login := admin.Identity(t, customer.Id, nil)
	request := prepare(t, admin, customer, "{}")
	follow(t, s, tokenOf(t, *request.Link), "")
	admin.Must(t, 200, "GET", requestPath(request), nil).JSON(t, &request)
	require.EqualValues(t, "used", request.State)
	require.EqualValues(t, 2, request.Version)
	require.Equal(t, login.Id, *request.IdentityId)
	requireTypes(t, admin, customer, "customer.activated", "identity.updated", "activation_request.used",
		"activation_request.created", "customer.updated", "identity.created", "customer.created")
}

// TestWhatComesAfterALinkIsUsed: the link is used up and the password set, so what fails then is not the caller's to hear of.
func TestWhatComesAfterALinkIsUsed(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	token := tokenOf(t, *prepare(t, admin, contact(t, admin, nil), "{}").Link)
	_, err := s.DB.Exec(t.Context(), "DROP TABLE known_addresses")
	require.NoError(t, err)
	follow(t, s, token, "")
}

// TestOneOfTwoFollowsALink: of those who follow one link at once, on two replicas, exactly one wins.
func TestOneOfTwoFollowsALink(t *testing.T) {
	t.Parallel()
	database := dbtest.URL(t)
	one := apitest.NewOn(t, database)
	two := apitest.NewOn(t, database, apitest.PublicURL(one.URL))
	admin := one.Staff(t, access.Administrator)
	for range 4 {
		customer := contact(t, admin, nil)
		token := tokenOf(t, *prepare(t, admin, customer, "{}").Link)
		answers := make([]*apitest.Response, 6)
		var wait sync.WaitGroup
		for i := range answers {
			s := []*apitest.Server{one, two}[i%2]
			wait.Go(func() {
				answers[i] = s.Anonymous().Do(t, "POST", "/v1/activations", apitest.Fields{"token": token, "password": fmt.Sprint("four words and ", i)})
			})
		}
		wait.Wait()
		winner := -1
		for i, answer := range answers {
			if answer.Status == 200 {
				require.Equal(t, -1, winner, "two won")
				winner = i
				continue
			}
			require.Equal(t, "link_used", answer.Problem(t).Code)
		}
		require.GreaterOrEqual(t, winner, 0)
		one.Anonymous().SignIn(t, "portal", *customer.Email, fmt.Sprint("four words and ", winner))
		require.Len(t, admin.Identities(t, customer.Id), 1)
	}
}

func TestMarkSent(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := contact(t, admin, nil)
	draft := prepare(t, admin, customer, "{}")
	refused := admin.Must(t, 409, "POST", requestPath(draft)+"/send", nil)
	require.Equal(t, "mail_not_configured", refused.Problem(t).Code)
	s.Clock.Advance(2 * time.Hour)
	admin = s.Staff(t, access.Administrator)
	admin.Must(t, 412, "POST", requestPath(draft)+"/mark-sent", nil, apitest.Header("If-Match", `"9.x"`))
	var sent openapi.ActivationRequest
	admin.Must(t, 200, "POST", requestPath(draft)+"/mark-sent", nil).JSON(t, &sent)
	require.EqualValues(t, "sent", sent.State)
	require.WithinDuration(t, s.Clock.Now().Add(72*time.Hour), sent.ExpiresAt, time.Minute, "its time begins anew")
	var invited openapi.Customer
	admin.Must(t, 200, "GET", path(customer), nil).JSON(t, &invited)
	require.WithinDuration(t, s.Clock.Now(), *invited.InvitedAt, time.Minute)
	require.EqualValues(t, 2, invited.Version)
	problem := admin.Must(t, 409, "PATCH", requestPath(draft), apitest.Fields{"subject": "x"}).Problem(t)
	require.Equal(t, []string{"request_state", "sent"}, []string{problem.Code, *problem.CurrentStatus})
	requireTypes(t, admin, customer, "activation_request.sent", "customer.updated", "activation_request.created", "customer.created")

	names := func(query string) (found []uuid.UUID) {
		var page openapi.CustomerPage
		admin.Must(t, 200, "GET", "/v1/customers?"+query, nil).JSON(t, &page)
		for _, one := range page.Data {
			found = append(found, one.Id)
		}
		return found
	}
	require.Empty(t, names("expired_invitation=true"))
	s.Clock.Advance(73 * time.Hour)
	admin = s.Staff(t, access.Administrator)
	contact(t, admin, nil) // never invited
	require.Equal(t, []uuid.UUID{customer.Id}, names("expired_invitation=true&invited=true"))
	require.Len(t, names("expired_invitation=false"), 1)
	prepare(t, admin, customer, "{}")
	require.Empty(t, names("expired_invitation=true"))
}

func TestWhoSeesLinks(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin, viewer := s.Staff(t, access.Administrator), s.Staff(t, access.Viewer)
	customer := contact(t, admin, nil)
	draft := prepare(t, admin, customer, "{}")
	list := viewer.Must(t, 200, "GET", path(customer)+"/activation-requests", nil)
	for _, secret := range []string{"cla_", "{{link}}", draft.Message.Body} {
		require.NotContains(t, string(list.Body), secret)
	}
	viewer.Must(t, 403, "GET", requestPath(draft), nil)
	stranger := contact(t, admin, nil)
	for _, method := range []string{"GET", "DELETE"} {
		admin.Must(t, 404, method, path(stranger)+"/activation-requests/"+draft.Id.String(), nil)
	}
	for _, action := range []string{"/send", "/mark-sent"} {
		admin.Must(t, 404, "POST", path(stranger)+"/activation-requests/"+draft.Id.String()+action, nil)
	}
	var rows int
	require.NoError(t, s.DB.QueryRow(t.Context(), `SELECT count(*) FROM (
		SELECT row_to_json(r)::text AS row FROM activation_requests r UNION ALL SELECT row_to_json(e)::text FROM events e
		UNION ALL SELECT row_to_json(j)::text FROM river_job j) AS everything WHERE row LIKE '%cla\_%'`).Scan(&rows))
	require.Zero(t, rows, "a token is stored")
}

// TestPagesBehindLinks: where no portal is set, the program's own pages ask for the password, without anything from
// anywhere else.
func TestPagesBehindLinks(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	for _, page := range []string{"/activate", "/reset"} {
		response := s.Anonymous().Must(t, 200, "GET", page, nil)
		require.Contains(t, response.Header.Get("Content-Type"), "text/html")
		require.Contains(t, response.Header.Get("Content-Security-Policy"), "script-src 'self'")
		require.Equal(t, "no-referrer", response.Header.Get("Referrer-Policy"))
		require.Contains(t, string(response.Body), "/docs/link.js")
	}
	s.Anonymous().Must(t, 200, "GET", "/docs/link.js", nil)
}
