package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

const webhookEndpoints = "/v1/webhook-endpoints"

var loopback = netip.MustParsePrefix("127.0.0.0/8")

// webhookEndpoint makes an endpoint that gets events of the types.
func webhookEndpoint(t *testing.T, caller *apitest.Caller, url string, eventTypes ...string) openapi.WebhookEndpoint {
	t.Helper()
	var endpoint openapi.WebhookEndpoint
	caller.Must(t, 201, "POST", webhookEndpoints, apitest.Fields{"url": url, "event_types": eventTypes}).JSON(t, &endpoint)
	return endpoint
}

// webhookTarget makes an endpoint with deliveries that nobody makes.
func webhookTarget(t *testing.T, caller *apitest.Caller) (endpointID, deliveryID string) {
	t.Helper()
	endpoint := webhookEndpoint(t, caller, "https://example.com/"+uuid.NewString(), "terms.published")
	var delivery openapi.WebhookDelivery
	for range 2 {
		caller.Must(t, 202, "POST", webhookEndpoints+"/"+endpoint.Id.String()+"/test", nil).JSON(t, &delivery)
	}
	return endpoint.Id.String(), delivery.Id.String()
}

// got is a request as a receiver got it.
type got struct {
	header http.Header
	body   []byte
	event  openapi.Event
}

// receiver is a server that events are sent to.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []got
	answer func(w http.ResponseWriter, r *http.Request)
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "thank you") }}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		one := got{header: request.Header, body: body}
		if err == nil {
			err = json.Unmarshal(body, &one.event)
		}
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.got = append(r.got, one)
		answer := r.answer
		r.mu.Unlock()
		answer(w, request)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answers(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func (r *receiver) all() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]got(nil), r.got...)
}

// await waits until the receiver has got so many requests.
func (r *receiver) await(t *testing.T, count int) []got {
	t.Helper()
	require.Eventually(t, func() bool { return len(r.all()) >= count }, 20*time.Second, 10*time.Millisecond, "%d requests", count)
	return r.all()
}

func deliveriesOf(t *testing.T, caller *apitest.Caller, endpoint openapi.WebhookEndpoint, query string) []openapi.WebhookDelivery {
	t.Helper()
	var page openapi.WebhookDeliveryPage
	caller.Must(t, 200, "GET", webhookEndpoints+"/"+endpoint.Id.String()+"/deliveries"+query, nil).JSON(t, &page)
	return page.Data
}

// finished waits until nothing is to be sent to the endpoint any more.
func finished(t *testing.T, caller *apitest.Caller, endpoint openapi.WebhookEndpoint, count int) []openapi.WebhookDelivery {
	t.Helper()
	var all []openapi.WebhookDelivery
	require.Eventually(t, func() bool {
		all = deliveriesOf(t, caller, endpoint, "")
		return len(all) == count && !slices.ContainsFunc(all, func(one openapi.WebhookDelivery) bool {
			return one.State == openapi.WebhookDeliveryStatePending
		})
	}, 20*time.Second, 20*time.Millisecond)
	return all
}

func TestWebhookEndpoints(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin, viewer := s.Staff(t, access.Administrator), s.Staff(t, access.Viewer)
	var made, read, now openapi.WebhookEndpoint
	response := admin.Must(t, 201, "POST", webhookEndpoints, apitest.Fields{
		"url": "https://crm.example.com/hooks?key=1", "event_types": []string{"customer.*", "domain.deleted"}, "description": "CRM",
	})
	response.JSON(t, &made)
	at := webhookEndpoints + "/" + made.Id.String()
	require.Equal(t, at, response.Header.Get("Location"))
	require.Regexp(t, `^whsec_[A-Za-z0-9+/]{43}=$`, *made.Secret)
	require.True(t, made.Enabled)
	require.Subset(t, made.Scopes, []string{"customers:read", "staff:read", "webhooks:read"})
	require.NotContains(t, made.Scopes, "customers:write")

	response = viewer.Must(t, 200, "GET", at, nil)
	require.NotContains(t, string(response.Body), "whsec_")
	response.JSON(t, &read)
	read.Secret = made.Secret
	require.Equal(t, made, read)
	require.NotContains(t, string(viewer.Must(t, 200, "GET", webhookEndpoints+"?include_total=true", nil).Body), "whsec_")
	viewer.Must(t, 304, "GET", at, nil, apitest.Header("If-None-Match", response.Header.Get("ETag")))
	var stored string
	require.NoError(t, s.DB.QueryRow(t.Context(), "SELECT row_to_json(webhook_endpoints)::text FROM webhook_endpoints").Scan(&stored))
	require.NotContains(t, stored, strings.TrimPrefix(*made.Secret, "whsec_"), "the secret is kept encrypted")

	admin.Must(t, 412, "PATCH", at, apitest.Fields{"enabled": false}, apitest.Header("If-Match", `"7.x"`))
	admin.Must(t, 200, "PATCH", at, apitest.Fields{"enabled": false}).JSON(t, &now)
	require.Equal(t, []any{false, "manual", int64(2)}, []any{now.Enabled, *now.DisabledReason, now.Version})
	require.Equal(t, "endpoint_disabled", admin.Must(t, 409, "POST", at+"/test", nil).Problem(t).Code)
	admin.Must(t, 200, "PATCH", at, apitest.Fields{"enabled": true, "description": "", "event_types": []string{"*"}}).JSON(t, &now)
	require.True(t, now.Enabled)
	require.Nil(t, now.DisabledReason)
	admin.Must(t, 200, "PATCH", at, apitest.Fields{"enabled": true}).JSON(t, &now)
	require.EqualValues(t, 3, now.Version, "nothing has changed")

	var rotated openapi.WebhookEndpoint
	admin.Must(t, 200, "POST", at+"/rotate-secret", "{}").JSON(t, &rotated)
	require.NotEqual(t, *made.Secret, *rotated.Secret)
	require.WithinDuration(t, time.Now().Add(24*time.Hour), *rotated.PreviousSecretExpiresAt, time.Minute)
	admin.Must(t, 200, "POST", at+"/rotate-secret", `{"overlap_seconds":60}`)
	s.Clock.Advance(time.Minute)
	var listed openapi.WebhookEndpointPage
	admin.Must(t, 200, "GET", at, nil).JSON(t, &now)
	admin.Must(t, 200, "GET", webhookEndpoints, nil).JSON(t, &listed)
	require.Nil(t, now.PreviousSecretExpiresAt, "it is over")
	require.Nil(t, listed.Data[0].PreviousSecretExpiresAt)
	admin.Must(t, 200, "POST", at+"/rotate-secret", `{"overlap_seconds":0}`).JSON(t, &rotated)
	require.Nil(t, rotated.PreviousSecretExpiresAt)

	admin.Must(t, 204, "DELETE", at, nil)
	admin.Must(t, 404, "GET", at, nil)
	admin.Must(t, 404, "GET", at+"/deliveries", nil)
	admin.Must(t, 404, "POST", at+"/test", nil)
}

func TestWebhookEndpointsThatAreRefused(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	narrow := bearing(s, s.Token(t, &access.Principal{
		Kind: access.KindStaff, ID: admin.ID, Name: "Test", SessionID: uuid.New(), Epoch: 1,
		Scopes: []access.Scope{"webhooks:write", "customers:read"},
	}))
	for url, expected := range map[string]string{
		"http://crm.example.com/": "https_required", "https://127.0.0.1/": "address_not_allowed", "https://10.1.2.3:8443/": "address_not_allowed",
		"https://169.254.169.254/latest/": "address_not_allowed", "https://[::1]/": "address_not_allowed",
		"https://[::ffff:192.168.0.1]/": "address_not_allowed", "https://[64:ff9b::7f00:1]/": "address_not_allowed",
		"https://[2002:7f00:1::]/": "address_not_allowed", "https://user:secret@example.com/": "invalid_format", "ftp://example.com/": "invalid_format",
	} {
		requireFaults(t, admin.Must(t, 422, "POST", webhookEndpoints, apitest.Fields{"url": url, "event_types": []string{"*"}}), "/url "+expected)
	}
	other := admin.Must(t, 422, "POST", webhookEndpoints, apitest.Fields{"url": "https://bücher.example/", "event_types": []string{"*"}})
	requireFaults(t, other, "/url invalid_format")
	require.Equal(t, "must have its host in ASCII, which is xn--bcher-kva.example", (*other.Problem(t).Errors)[0].Message)
	requireFaults(t, admin.Must(t, 422, "POST", webhookEndpoints, apitest.Fields{
		"url": "https://example.com/", "event_types": []string{"customer.*", "customer.painted", "*.created", "customer", "webhook_endpoint.test"},
	}), "/event_types/1 invalid_format", "/event_types/2 invalid_format", "/event_types/3 invalid_format", "/event_types/4 invalid_format")
	requireFaults(t, narrow.Must(t, 422, "POST", webhookEndpoints, apitest.Fields{
		"url": "https://example.com/", "event_types": []string{"customer.created", "identity.*", "staff.created"},
	}), "/event_types/1 scope_missing", "/event_types/2 scope_missing")

	// Who has the events of somebody with more scopes sent elsewhere does not get what these show.
	endpoint := webhookEndpoint(t, admin, "https://example.com/", "*")
	at := webhookEndpoints + "/" + endpoint.Id.String()
	narrow.Must(t, 200, "PATCH", at, apitest.Fields{"description": "seen"}).JSON(t, &endpoint)
	require.Contains(t, endpoint.Scopes, "staff:read")
	narrow.Must(t, 200, "PATCH", at, apitest.Fields{"url": "https://elsewhere.example.com/"}).JSON(t, &endpoint)
	require.Equal(t, []string{"customers:read"}, endpoint.Scopes)

	_, err := s.DB.Exec(t.Context(), `INSERT INTO webhook_endpoints SELECT (jsonb_populate_record(webhook_endpoints,
		jsonb_build_object('id', gen_random_uuid()))).* FROM webhook_endpoints, generate_series(1, 99)`)
	require.NoError(t, err)
	require.Equal(t, "too_many_endpoints", admin.Must(t, 409, "POST", webhookEndpoints,
		apitest.Fields{"url": "https://example.com/", "event_types": []string{"*"}}).Problem(t).Code)
}

// TestWebhooksWithoutEncryption: http goes to the networks of one's own alone. What a name means is known when it is sent to.
func TestWebhooksWithoutEncryption(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, apitest.WebhookAllow(loopback))
	admin := s.Staff(t, access.Administrator)
	endpoint := webhookEndpoint(t, admin, "http://127.0.0.1:9000/", "*")
	at := webhookEndpoints + "/" + endpoint.Id.String()
	for url, expected := range map[string]string{
		"http://8.8.8.8/": "https_required", "http://[2606:4700::1111]:8080/": "https_required",
		"http://10.1.2.3/": "address_not_allowed", "http://[::1]/": "address_not_allowed", "https://10.1.2.3/": "address_not_allowed",
		"http://[::ffff:127.0.0.1]:9000/": "address_not_allowed", "https://[::ffff:7f00:1]/": "address_not_allowed",
		"http://[::ffff:8.8.8.8]/": "address_not_allowed", "https://[::ffff:8.8.8.8]/": "address_not_allowed",
	} {
		requireFaults(t, admin.Must(t, 422, "POST", webhookEndpoints, apitest.Fields{"url": url, "event_types": []string{"*"}}), "/url "+expected)
		requireFaults(t, admin.Must(t, 422, "PATCH", at, apitest.Fields{"url": url}), "/url "+expected)
	}
	for _, url := range []string{"http://crm.example.com/", "http://localhost:9000/", "https://8.8.8.8/", "https://127.0.0.1/"} {
		webhookEndpoint(t, admin, url, "*")
	}
}

// TestWebhooksAreSent: what is chosen comes, as the feed has it and signed, and nothing else does.
func TestWebhooksAreSent(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, apitest.WebhookAllow(loopback))
	s.Work(t)
	admin := s.Staff(t, access.Administrator)
	before := admin.Customer(t, nil)
	r := newReceiver(t)
	settled(t, s)
	endpoint := webhookEndpoint(t, admin, r.URL+"/hooks?key=1", "customer.*", "note.created", "staff.*")
	customer := admin.Customer(t, apitest.Fields{"name": "Zażółć & Söhne", "properties": raw(`{"b":1,"a":"<>"}`)})
	admin.Note(t, customer.Id, "a note")
	admin.Domain(t, customer.Id, nil)
	account := admin.StaffAccount(t, nil)

	arrived := map[string]got{}
	for _, one := range r.await(t, 3) {
		arrived[one.event.Type] = one
	}
	require.Len(t, arrived, 3)
	require.Equal(t, account.Id, arrived["staff.created"].event.Resource.Id)
	verifier, err := standardwebhooks.NewWebhook(*endpoint.Secret)
	require.NoError(t, err)
	var feed openapi.EventFeed
	response := admin.Must(t, 200, "GET", "/v1/events?types=customer.created&customer_id="+customer.Id.String(), nil)
	response.JSON(t, &feed)
	created := arrived["customer.created"]
	require.Contains(t, string(response.Body), string(created.body), "to the letter as the feed has it")
	require.NoError(t, verifier.Verify(created.body, created.header))
	require.Equal(t, feed.Data[0].Id.String(), created.header.Get("webhook-id"))
	require.Equal(t, "application/json", created.header.Get("Content-Type"))

	for _, delivery := range finished(t, admin, endpoint, 3) {
		require.Equal(t, []any{openapi.WebhookDeliveryStateDelivered, int32(1), "thank you", int32(200)},
			[]any{delivery.State, delivery.Attempts, *delivery.LastAttempt.Answer, *delivery.LastAttempt.Status})
		require.Nil(t, delivery.Failure)
	}

	// Once more, by hand, and a test.
	again := deliveriesOf(t, admin, endpoint, "?limit=1")[0]
	var redelivery, test openapi.WebhookDelivery
	admin.Must(t, 202, "POST", "/v1/webhook-deliveries/"+again.Id.String()+"/redeliver", nil).JSON(t, &redelivery)
	require.Equal(t, again.Id, *redelivery.RedeliveryOf)
	require.Equal(t, again.EventId.String(), r.await(t, 4)[3].header.Get("webhook-id"), "the same event")
	response = admin.Must(t, 202, "POST", webhookEndpoints+"/"+endpoint.Id.String()+"/test", nil)
	response.JSON(t, &test)
	tried := r.await(t, 5)[4]
	require.Equal(t, "webhook_endpoint.test", tried.event.Type)
	require.NoError(t, verifier.Verify(tried.body, tried.header))
	for _, one := range r.all() {
		var event any
		require.NoError(t, json.Unmarshal(one.body, &event))
		require.NoError(t, document().Components.Schemas["Event"].Value.VisitJSON(event), string(one.body))
	}

	// Both secrets sign while they overlap.
	var rotated openapi.WebhookEndpoint
	admin.Must(t, 200, "POST", webhookEndpoints+"/"+endpoint.Id.String()+"/rotate-secret", `{"overlap_seconds":60}`).JSON(t, &rotated)
	next, err := standardwebhooks.NewWebhook(*rotated.Secret)
	require.NoError(t, err)
	admin.Must(t, 200, "PATCH", path(before), apitest.Fields{"phone": "1"})
	both := r.await(t, 6)[5]
	require.NoError(t, verifier.Verify(both.body, both.header))
	require.NoError(t, next.Verify(both.body, both.header))
	s.Clock.Advance(time.Minute)
	admin.Must(t, 200, "PATCH", path(before), apitest.Fields{"phone": "2"})
	single := r.await(t, 7)[6]
	require.NoError(t, next.VerifyIgnoringTimestamp(single.body, single.header))
	require.Error(t, verifier.VerifyIgnoringTimestamp(single.body, single.header))
}

// TestWebhooksForget: once a customer is deleted, nothing of it is sent, and nothing is kept that receivers said of it.
func TestWebhooksForget(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, apitest.WebhookAllow(loopback))
	admin := s.Staff(t, access.Administrator)
	r := newReceiver(t)
	r.mu.Lock()
	r.answer = func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "Erased Person is known\x00\xff here")
	}
	r.mu.Unlock()
	settled(t, s)
	endpoint := webhookEndpoint(t, admin, r.URL, "customer.*", "note.*", "identity.*")
	s.Work(t)
	customer := admin.Customer(t, apitest.Fields{"name": "Erased Person"})
	kept := admin.ActiveCustomer(t, apitest.Fields{"name": "Kept"})
	login := admin.Identities(t, kept.Id)[0]
	finished(t, admin, endpoint, 3)
	require.Equal(t, "Erased Person is known here", *deliveriesOf(t, admin, endpoint, "?limit=1")[0].LastAttempt.Answer)

	admin.Must(t, 204, "DELETE", path(kept)+"/identities/"+login.Id.String(), nil)
	finished(t, admin, endpoint, 5)
	remove(t, admin, customer)
	deliveries := finished(t, admin, endpoint, 6)
	answers := map[string]int{}
	for _, delivery := range deliveries {
		if delivery.LastAttempt.Answer != nil {
			answers[delivery.EventType]++
		}
	}
	require.Equal(t, map[string]int{"customer.created": 1, "customer.identities_deleted": 1}, answers)

	// An event that is sent once more is sent as it is known now.
	for _, delivery := range deliveries {
		if delivery.EventType == "customer.created" && delivery.LastAttempt.Answer == nil {
			admin.Must(t, 202, "POST", "/v1/webhook-deliveries/"+delivery.Id.String()+"/redeliver", nil)
		}
	}
	last := r.await(t, 7)[6]
	require.Equal(t, customer.Id, last.event.Resource.Id)
	require.Nil(t, last.event.Data)
	require.NotContains(t, string(last.body), "Erased Person")
	var left int
	require.NoError(t, s.DB.QueryRow(t.Context(), `SELECT count(*) FROM webhook_deliveries WHERE to_jsonb(webhook_deliveries)::text LIKE '%Erased%'
		AND position = $1`, last.event.Position).Scan(&left))
	require.Zero(t, left)
}
