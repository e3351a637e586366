package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

// output is what the receiver prints.
type output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String()
}

func TestReceiver(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, apitest.WebhookAllow(netip.MustParsePrefix("127.0.0.0/8")))
	s.Work(t)
	admin := s.Staff(t, access.Administrator)
	var handler http.Handler
	begun := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-begun
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	var endpoint openapi.WebhookEndpoint
	admin.Must(t, 201, "POST", "/v1/webhook-endpoints", apitest.Fields{
		"url": server.URL, "event_types": []string{"customer.*"},
	}).JSON(t, &endpoint)
	var printed, side output
	var err error
	handler, err = receiver(*endpoint.Secret, &printed, &side)
	require.NoError(t, err)
	close(begun)

	customer := admin.Customer(t, nil)
	line := "customer.created " + customer.Id.String() + "\n"
	require.Eventually(t, func() bool { return printed.String() == line }, 20*time.Second, 20*time.Millisecond)
	var page openapi.WebhookDeliveryPage
	deliveries := "/v1/webhook-endpoints/" + endpoint.Id.String() + "/deliveries?state=delivered"
	delivered := func(count int) bool {
		admin.Must(t, 200, "GET", deliveries, nil).JSON(t, &page)
		return len(page.Data) == count
	}
	require.Eventually(t, func() bool { return delivered(1) }, 20*time.Second, 20*time.Millisecond)
	admin.Must(t, 202, "POST", "/v1/webhook-deliveries/"+page.Data[0].Id.String()+"/redeliver", nil)
	require.Eventually(t, func() bool { return delivered(2) }, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, line, printed.String(), "what comes again is passed over")

	forged, err := http.Post(server.URL, "application/json", strings.NewReader(`{"type":"customer.deleted"}`))
	require.NoError(t, err)
	require.NoError(t, forged.Body.Close())
	require.Equal(t, http.StatusBadRequest, forged.StatusCode)
	require.Regexp(t, "^receiver: refused a request: .+\n$", side.String())
	require.NotContains(t, side.String(), "customer.deleted")
	for _, secret := range []string{"", "null", "whsec_", "whsec_!!", "whsec_AAAA", strings.TrimPrefix(*endpoint.Secret, "whsec_")} {
		_, err = receiver(secret, &printed, &side)
		require.EqualError(t, err, "set WEBHOOK_SECRET to the secret of the endpoint, whsec_ and Base64", secret)
	}
}
