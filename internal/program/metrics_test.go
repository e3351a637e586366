package program_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/client"
	"github.com/clientele-api/clientele/internal/dbtest"
)

// TestMetrics reads them as Prometheus does: of a program that has sent something, and of one whose database does not
// answer.
func TestMetrics(t *testing.T) {
	t.Parallel()
	database := dbtest.URL(t)
	p := start(t, t.TempDir(), "CLIENTELE_DATABASE_URL="+database, "CLIENTELE_SECRET_KEY=a secret key of more than 32 characters",
		"CLIENTELE_ADMIN_EMAIL=root@example.com", "CLIENTELE_ADMIN_PASSWORD=four words are better",
		"CLIENTELE_METRICS_ADDR=127.0.0.1:0", "CLIENTELE_WEBHOOK_ALLOW=127.0.0.0/8")
	var address string
	require.Eventually(t, func() bool {
		found := regexp.MustCompile(`serving metrics.*(127\.0\.0\.1:\d+)`).FindStringSubmatch(p.log.String())
		if found != nil {
			address = found[1]
		}
		return found != nil
	}, 10*time.Second, 10*time.Millisecond)
	metrics := func() string {
		response, err := http.Get("http://" + address + "/metrics")
		require.NoError(t, err)
		defer response.Body.Close()
		require.Equal(t, 200, response.StatusCode)
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return string(text)
	}

	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	t.Cleanup(receiver.Close)
	admin := signIn(t, p.url, "root@example.com", "four words are better")
	endpoint, err := admin.WebhookEndpointCreateWithResponse(t.Context(), nil, client.WebhookEndpointCreate{
		Url: receiver.URL, EventTypes: client.WebhookEventTypes{"customer.*"},
	})
	require.NoError(t, err)
	require.Equal(t, 201, endpoint.StatusCode(), string(endpoint.Body))
	created, err := admin.CustomerCreateWithResponse(t.Context(), nil, client.CustomerCreate{Name: "n"})
	require.NoError(t, err)
	require.Equal(t, 201, created.StatusCode(), string(created.Body))

	var text string
	for _, line := range []string{
		`clientele_http_request_duration_seconds_count\{operation="customerCreate",status="201"\} 1`,
		`clientele_webhook_attempt_duration_seconds_count\{outcome="status"\} [1-9]`,
		"clientele_events_unplaced 0", "clientele_webhook_events_behind 0", "clientele_webhook_deliveries_pending 1",
		"clientele_webhook_delivery_overdue_seconds 0",
		`clientele_background_jobs\{queue="outgoing",state="(running|scheduled|available)"\} 1`,
		`clientele_database_connections_max\{pool="upkeep"\} [1-9]`,
		`clientele_database_connections\{pool="requests",state="idle"\} [0-9]`,
	} {
		sought := regexp.MustCompile("\n" + line + "\\S*\n")
		require.Eventually(t, func() bool { text = metrics(); return sought.MatchString(text) },
			20*time.Second, 50*time.Millisecond, line)
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)

	connection, err := pgx.Connect(t.Context(), database)
	require.NoError(t, err)
	defer connection.Close(t.Context())
	lock, err := connection.Begin(t.Context())
	require.NoError(t, err)
	_, err = lock.Exec(t.Context(), "LOCK TABLE events")
	require.NoError(t, err)
	text = metrics()
	require.Contains(t, text, "\nclientele_http_request_duration_seconds_count")
	require.NotContains(t, text, "\nclientele_events_unplaced")
	require.NoError(t, lock.Rollback(t.Context()))
	require.Contains(t, metrics(), "\nclientele_events_unplaced")
}
