package api_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

func endpointAt(t *testing.T, caller *apitest.Caller, endpoint openapi.WebhookEndpoint) (shown openapi.WebhookEndpoint) {
	t.Helper()
	caller.Must(t, 200, "GET", webhookEndpoints+"/"+endpoint.Id.String(), nil).JSON(t, &shown)
	return shown
}

func changeEndpoint(t *testing.T, caller *apitest.Caller, endpoint openapi.WebhookEndpoint, fields apitest.Fields) (shown openapi.WebhookEndpoint) {
	t.Helper()
	caller.Must(t, 200, "PATCH", webhookEndpoints+"/"+endpoint.Id.String(), fields).JSON(t, &shown)
	return shown
}

// TestAnEndpointHasWhatItsAPIClientHas: at once what it loses, and what it is given later when it says so.
func TestAnEndpointHasWhatItsAPIClientHas(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	scopes := []string{"customers:read", "domains:read", "webhooks:read", "webhooks:write"}
	client := admin.APIClient(t, apitest.Fields{"scopes": scopes})
	endpoint := webhookEndpoint(t, client, "https://example.com/", "*")
	require.Equal(t, []string{"customers:read", "domains:read", "webhooks:read"}, endpoint.Scopes)
	require.Equal(t, client.ID, *endpoint.Owner.Id)
	require.Equal(t, "api_client", endpoint.Owner.Kind)
	other := webhookEndpoint(t, admin, "https://example.com/", "*")

	admin.Must(t, 200, "PATCH", clientPath(client.ID), apitest.Fields{"name": "Another name"})
	require.Equal(t, endpoint.Version, endpointAt(t, admin, endpoint).Version)
	admin.Must(t, 200, "PATCH", clientPath(client.ID), apitest.Fields{"scopes": scopes[1:]})
	narrowed := endpointAt(t, admin, endpoint)
	require.Equal(t, []string{"domains:read", "webhooks:read"}, narrowed.Scopes)
	require.True(t, narrowed.Enabled)
	require.Equal(t, endpoint.Version+1, narrowed.Version)
	settled(t, s)
	event := feedOf(t, admin, "types=webhook_endpoint.updated").Data
	require.Len(t, event, 1)
	require.Equal(t, admin.ID, *event[0].Actor.Id)

	admin.Must(t, 200, "PATCH", clientPath(client.ID), apitest.Fields{"scopes": scopes})
	require.Equal(t, narrowed, endpointAt(t, admin, endpoint))
	client.Token = client.Granted(t, "").AccessToken
	require.Equal(t, narrowed.Scopes, changeEndpoint(t, client, endpoint, apitest.Fields{"description": "It says nothing of what is sent"}).Scopes)
	changed := changeEndpoint(t, client, endpoint, apitest.Fields{"event_types": []string{"*"}})
	require.Equal(t, endpoint.Scopes, changed.Scopes)
	require.Equal(t, changed, changeEndpoint(t, client, endpoint, apitest.Fields{"event_types": []string{"*"}, "enabled": true}), "nothing is new")
	require.Equal(t, other.Version, endpointAt(t, admin, other).Version, "it is nobody's but its owner's")

	// Whoever says what is sent where owns it, also where that is the same; who made it stays.
	var taken openapi.WebhookEndpoint
	for _, same := range []apitest.Fields{
		{"enabled": true}, {"url": "https://example.com/"}, {"event_types": []string{"*"}}, {"url": "https://www.example.com/"},
	} {
		require.Equal(t, client.ID, *changeEndpoint(t, client, endpoint, apitest.Fields{"enabled": true}).Owner.Id)
		taken = changeEndpoint(t, admin, endpoint, same)
		require.Equal(t, admin.ID, *taken.Owner.Id)
		require.Subset(t, taken.Scopes, []string{"staff:read"})
		require.Equal(t, client.ID, *taken.CreatedBy.Id)
	}
	settled(t, s)
	told := feedOf(t, admin, "types=webhook_endpoint.updated").Data
	require.Contains(t, string(*told[len(told)-1].Data), admin.ID.String())
	admin.Must(t, 204, "DELETE", clientPath(client.ID), nil)
	require.Equal(t, taken, endpointAt(t, admin, endpoint))
}

// TestAnEndpointEndsWithItsAPIClient, and can be taken over from then on.
func TestAnEndpointEndsWithItsAPIClient(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := admin.Customer(t, nil)
	patch := func(fields apitest.Fields) func(client *apitest.Caller) {
		return func(client *apitest.Caller) { admin.Must(t, 200, "PATCH", clientPath(client.ID), fields) }
	}
	for name, one := range map[string]struct {
		end    func(client *apitest.Caller)
		reason string
	}{
		"deleted": {func(client *apitest.Caller) { admin.Must(t, 204, "DELETE", clientPath(client.ID), nil) }, "api_client_ended"},
		"ended":   {patch(apitest.Fields{"expires_at": s.Clock.Now().Add(-time.Minute)}), "api_client_ended"},
		"limited": {patch(apitest.Fields{"scopes": []string{"domains:read"}, "customer_id": customer.Id}), "api_client_ended"},
		"reading": {patch(apitest.Fields{"scopes": []string{"domains:read", "webhooks:read"}}), "scope_missing"},
	} {
		client := admin.APIClient(t, nil)
		endpoint := webhookEndpoint(t, client, "https://example.com/", "job.*")
		test := webhookEndpoints + "/" + endpoint.Id.String() + "/test"
		admin.Must(t, 202, "POST", test, nil)
		one.end(client)
		off := endpointAt(t, admin, endpoint)
		require.False(t, off.Enabled, name)
		require.Equal(t, one.reason, *off.DisabledReason, name)
		require.Equal(t, endpoint.Version+1, off.Version, name)
		require.Equal(t, "endpoint_disabled", admin.Must(t, 409, "POST", test, nil).Problem(t).Code)

		taken := changeEndpoint(t, admin, endpoint, apitest.Fields{"enabled": true})
		require.True(t, taken.Enabled, name)
		require.Equal(t, admin.ID, *taken.Owner.Id, name)
		require.Subset(t, taken.Scopes, []string{"customers:read", "staff:read"})
		old := deliveriesOf(t, admin, endpoint, "")[0]
		require.Equal(t, "endpoint_disabled", *old.Failure, "what was to be sent before is not for who has it now")
		admin.Must(t, 202, "POST", test, nil)
	}
}

// TestAnAPIClientThatExpires: nobody does anything then, and its endpoint is off all the same.
func TestAnAPIClientThatExpires(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, apitest.WebhookAllow(loopback))
	admin := s.Staff(t, access.Administrator)
	r := newReceiver(t)
	client := admin.APIClient(t, apitest.Fields{"expires_at": s.Clock.Now().Add(time.Minute)})
	sending, taken, idle := webhookEndpoint(t, client, r.URL, "job.*"), webhookEndpoint(t, client, r.URL, "job.*"), webhookEndpoint(t, client, r.URL, "job.*")
	s.Clock.Advance(time.Minute)

	// Who switches one on takes it over, though it does not look switched off yet.
	require.True(t, endpointAt(t, admin, taken).Enabled)
	taken = changeEndpoint(t, admin, taken, apitest.Fields{"enabled": true})
	require.True(t, taken.Enabled)
	require.Equal(t, admin.ID, *taken.Owner.Id)

	// Nothing is sent, whoever is first: the job that looks at all of them, or what is to be sent.
	var delivery openapi.WebhookDelivery
	admin.Must(t, 202, "POST", webhookEndpoints+"/"+sending.Id.String()+"/test", nil).JSON(t, &delivery)
	s.Work(t)
	for _, endpoint := range []openapi.WebhookEndpoint{sending, idle} {
		require.Eventually(t, func() bool { return !endpointAt(t, admin, endpoint).Enabled }, 20*time.Second, 10*time.Millisecond)
		require.Equal(t, "api_client_ended", *endpointAt(t, admin, endpoint).DisabledReason)
	}
	require.Equal(t, "endpoint_disabled", *finished(t, admin, sending, 1)[0].Failure)
	admin.Must(t, 202, "POST", webhookEndpoints+"/"+taken.Id.String()+"/test", nil)
	require.Len(t, r.await(t, 1), 1)
}

// TestWhatIsSentGoesByWhatTheAPIClientHasThen, whatever the row of the endpoint says.
func TestWhatIsSentGoesByWhatTheAPIClientHasThen(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, apitest.WebhookAllow(loopback))
	admin := s.Staff(t, access.Administrator)
	r := newReceiver(t)
	client := admin.APIClient(t, nil)
	settled(t, s)
	endpoint := webhookEndpoint(t, client, r.URL, "*")
	_, err := s.DB.Exec(t.Context(), "UPDATE api_clients SET scopes = '{domains:read,webhooks:read,webhooks:write}' WHERE id = $1", client.ID)
	require.NoError(t, err)
	domain := admin.Domain(t, admin.Customer(t, nil).Id, nil)
	s.Work(t)
	require.Eventually(t, func() bool {
		return slices.ContainsFunc(r.all(), func(one got) bool { return one.event.Resource.Id == domain.Id })
	}, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, []string{"domains:read", "webhooks:read"}, endpointAt(t, admin, endpoint).Scopes)
	var failure *string
	require.Eventually(t, func() bool {
		for _, one := range deliveriesOf(t, admin, endpoint, "") {
			if one.EventType == "customer.created" {
				failure = one.Failure
			}
		}
		return failure != nil
	}, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, "scope_missing", *failure)
}
