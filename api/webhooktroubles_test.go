package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

// TestWebhooksThatFail: an endpoint that says that it is gone is switched off, and comes back when somebody says so.
func TestWebhooksThatFail(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, apitest.WebhookAllow(loopback))
	s.Work(t)
	admin := s.Staff(t, access.Administrator)
	settled(t, s)
	r := newReceiver(t)
	endpoint := webhookEndpoint(t, admin, r.URL, "customer.created")
	at := webhookEndpoints + "/" + endpoint.Id.String()
	r.answers(503)
	admin.Customer(t, nil)
	var delivery openapi.WebhookDelivery
	require.Eventually(t, func() bool {
		all := deliveriesOf(t, admin, endpoint, "?state=pending")
		if len(all) == 1 {
			delivery = all[0]
		}
		return delivery.Attempts > 0
	}, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, "status", *delivery.Failure)
	require.EqualValues(t, 503, *delivery.LastAttempt.Status)
	require.Nil(t, delivery.LastAttempt.Explanation)
	require.WithinRange(t, *delivery.NextAttemptAt, delivery.LastAttempt.At.Add(5*time.Second), time.Now().Add(6*time.Second))
	require.Eventually(t, func() bool { // it is noted after the attempt
		admin.Must(t, 200, "GET", at, nil).JSON(t, &endpoint)
		return endpoint.FailingSince != nil
	}, 20*time.Second, 10*time.Millisecond)

	r.answers(410)
	admin.Must(t, 202, "POST", "/v1/webhook-deliveries/"+delivery.Id.String()+"/redeliver", nil)
	require.Eventually(t, func() bool {
		admin.Must(t, 200, "GET", at, nil).JSON(t, &endpoint)
		return !endpoint.Enabled
	}, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, "gone", *endpoint.DisabledReason)
	failures := map[string]bool{}
	for _, one := range finished(t, admin, endpoint, 2) {
		require.Equal(t, openapi.WebhookDeliveryStateFailed, one.State)
		failures[*one.Failure] = true
	}
	require.Equal(t, map[string]bool{"redelivered": true, "gone": true}, failures)
	require.Equal(t, "endpoint_disabled",
		admin.Must(t, 409, "POST", "/v1/webhook-deliveries/"+delivery.Id.String()+"/redeliver", nil).Problem(t).Code)

	// What happens while it is off is not sent later.
	r.answers(204)
	admin.Customer(t, nil)
	settled(t, s)
	admin.Must(t, 200, "PATCH", at, apitest.Fields{"enabled": true}).JSON(t, &endpoint)
	require.Nil(t, endpoint.FailingSince)
	last := admin.Customer(t, nil)
	finished(t, admin, endpoint, 3)
	all := r.all()
	require.Equal(t, last.Id, all[len(all)-1].event.Resource.Id)
	var history openapi.EventFeed
	admin.Must(t, 200, "GET", "/v1/events?types=webhook_endpoint.updated", nil).JSON(t, &history)
	require.Len(t, history.Data, 2)
	require.Equal(t, "system", history.Data[0].Actor.Kind)

	// Where there is no answer it is said why.
	nobody := webhookEndpoint(t, admin, "http://127.0.0.1:1/", "customer.created")
	admin.Must(t, 202, "POST", webhookEndpoints+"/"+nobody.Id.String()+"/test", nil)
	require.Eventually(t, func() bool {
		delivery = deliveriesOf(t, admin, nobody, "")[0]
		return delivery.LastAttempt != nil
	}, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, "connection", *delivery.Failure)
	require.Equal(t, "the connection was refused", *delivery.LastAttempt.Explanation)
}

// TestWhatAnEndpointMayBeSentIsDecidedWhenItIsSent: who may see less cannot have sent elsewhere what was chosen by who may
// see more.
func TestWhatAnEndpointMayBeSentIsDecidedWhenItIsSent(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, apitest.WebhookAllow(loopback))
	s.Work(t)
	admin := s.Staff(t, access.Administrator)
	settled(t, s)
	good, elsewhere := newReceiver(t), newReceiver(t)
	endpoint := webhookEndpoint(t, admin, good.URL, "*")
	at := webhookEndpoints + "/" + endpoint.Id.String()
	admin.Customer(t, nil)
	sent := finished(t, admin, endpoint, 2)[0] // with what was said of the endpoint itself
	require.Len(t, good.await(t, 2), 2)

	narrow := admin.APIClient(t, apitest.Fields{"scopes": []string{"webhooks:read", "webhooks:write", "domains:read"}})
	narrow.Must(t, 200, "PATCH", at, apitest.Fields{"url": elsewhere.URL})
	var again openapi.WebhookDelivery
	for caller, expected := range map[*apitest.Caller]bool{admin: true, narrow: false} {
		caller.Must(t, 200, "GET", "/v1/webhook-deliveries/"+sent.Id.String(), nil).JSON(t, &again)
		require.Equal(t, expected, again.LastAttempt.Answer != nil, "an answer may repeat the event")
		for _, one := range deliveriesOf(t, caller, endpoint, "?state=delivered") {
			shown := expected || strings.HasPrefix(one.EventType, "webhook_endpoint.")
			require.Equal(t, shown, one.LastAttempt.Answer != nil, one.EventType)
		}
	}
	narrow.Must(t, 202, "POST", "/v1/webhook-deliveries/"+sent.Id.String()+"/redeliver", nil).JSON(t, &again)
	await := func(id uuid.UUID, failure string) {
		t.Helper()
		require.Eventually(t, func() bool {
			admin.Must(t, 200, "GET", "/v1/webhook-deliveries/"+id.String(), nil).JSON(t, &again)
			return again.State == openapi.WebhookDeliveryStateFailed
		}, 20*time.Second, 10*time.Millisecond)
		require.Equal(t, failure, *again.Failure)
	}
	await(again.Id, "scope_missing")
	require.Nil(t, again.LastAttempt)

	// What the client may see comes, for as long as the client may.
	customer := admin.Customer(t, nil)
	domain := admin.Domain(t, customer.Id, nil)
	require.Eventually(t, func() bool {
		return slices.ContainsFunc(elsewhere.all(), func(one got) bool { return one.event.Resource.Id == domain.Id })
	}, 20*time.Second, 10*time.Millisecond)
	for _, one := range elsewhere.all() {
		require.Contains(t, []string{"domain", "webhook_endpoint"}, one.event.Resource.Kind)
	}
	var delivery openapi.WebhookDelivery
	for _, one := range deliveriesOf(t, admin, endpoint, "") {
		if one.EventType == "domain.created" {
			delivery = one
		}
	}
	admin.Must(t, 200, "PATCH", clientPath(narrow.ID), apitest.Fields{"scopes": []string{"webhooks:read", "webhooks:write"}})
	admin.Must(t, 202, "POST", "/v1/webhook-deliveries/"+delivery.Id.String()+"/redeliver", nil).JSON(t, &again)
	await(again.Id, "scope_missing")
}

// TestASlowReceiverHoldsUpNobodyElse, however much is to be sent to it.
func TestASlowReceiverHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, apitest.WebhookAllow(loopback))
	s.Work(t)
	admin := s.Staff(t, access.Administrator)
	settled(t, s)
	quick, slow := newReceiver(t), newReceiver(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	slow.mu.Lock()
	slow.answer = func(http.ResponseWriter, *http.Request) { <-release }
	slow.mu.Unlock()
	customer := admin.Customer(t, nil)
	const rows = 3000
	endpoint := webhookEndpoint(t, admin, slow.URL, "domain.created")
	webhookEndpoint(t, admin, quick.URL, "note.created")
	var file strings.Builder
	file.WriteString("host\n")
	for n := range rows {
		fmt.Fprintf(&file, "h%d.example.com\n", n)
	}
	admin.Finished(t, admin.Import(t, path(customer)+"/domains/import", file.String()).Id)
	slow.await(t, 1)
	require.Eventually(t, func() bool {
		var page openapi.WebhookDeliveryPage
		admin.Must(t, 200, "GET", webhookEndpoints+"/"+endpoint.Id.String()+"/deliveries?include_total=true", nil).JSON(t, &page)
		return *page.Total == rows
	}, 20*time.Second, 50*time.Millisecond)
	noted := time.Now()
	admin.Note(t, customer.Id, "a note")
	quick.await(t, 1)
	require.Less(t, time.Since(noted), 15*time.Second, "long before all of the other's were tried")
}

// TestWebhooksOfManyEventsAndReplicas: whatever is written beside each other, each event comes, and once.
func TestWebhooksOfManyEventsAndReplicas(t *testing.T) {
	t.Parallel()
	first := apitest.New(t, apitest.WebhookAllow(loopback))
	second := apitest.NewOn(t, first.DB.Config().ConnString(), apitest.WebhookAllow(loopback))
	admin := first.Staff(t, access.Administrator)
	settled(t, first)
	r := newReceiver(t)
	endpoint := webhookEndpoint(t, admin, r.URL, "customer.created")
	first.Work(t)
	second.Work(t)
	const writers, each = 6, 15
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			caller := []*apitest.Server{first, second}[w%2].Staff(t, access.Administrator)
			for i := range each {
				caller.Customer(t, apitest.Fields{"name": fmt.Sprint(w, i)})
			}
		})
	}
	group.Wait()
	r.await(t, writers*each)
	require.Len(t, deliveriesOf(t, admin, endpoint, "?limit=200"), writers*each)
	seen := map[uuid.UUID]bool{}
	for _, one := range r.all() {
		seen[one.event.Id] = true
	}
	require.Len(t, seen, writers*each)
	require.Len(t, r.all(), writers*each)
}
