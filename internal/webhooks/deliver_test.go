package webhooks

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/queue"
	"github.com/clientele-api/clientele/internal/secrets"
)

// house is a service over a database of its own, whose clock the test moves, with an endpoint of one receiver. Nobody
// works the jobs: the test does what they do.
type house struct {
	*Service
	mu       sync.Mutex
	now      time.Time
	status   int // that the receiver answers with
	requests int
	endpoint db.WebhookEndpoint
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{now: time.Now(), status: http.StatusNoContent}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.requests++
		w.WriteHeader(h.status)
	}))
	t.Cleanup(receiver.Close)
	database, err := postgres.Open(t.Context(), dbtest.URL(t), func() time.Time { return h.now })
	require.NoError(t, err)
	t.Cleanup(database.Close)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	q, err := queue.New(log)
	require.NoError(t, err)
	h.Service = New(Options{
		DB: database, Keyring: keyring(t, oldKey), Queue: q, Sender: NewSender(SenderOptions{Allow: []netip.Prefix{loopback}}), Log: log,
	})
	h.change(t, func(tx *postgres.Tx) (err error) {
		h.endpoint, _, err = h.Create(t.Context(), tx, administrator, Input{URL: receiver.URL, EventTypes: []string{"customer.*"}})
		return err
	})
	return h
}

var administrator = &access.Principal{Kind: access.KindStaff, Scopes: access.Scopes()}

const (
	oldKey = "the secret key that was there before"
	newKey = "the secret key that is there by now!"
)

func keyring(t *testing.T, setting string) *secrets.Keyring {
	t.Helper()
	parsed, err := secrets.Parse(setting)
	require.NoError(t, err)
	return parsed
}

func (h *house) change(t *testing.T, do func(tx *postgres.Tx) error) {
	t.Helper()
	require.NoError(t, h.db.Change(t.Context(), system, do))
}

// write writes events and gives them their positions and deliveries.
func (h *house) write(t *testing.T, count int) []db.WebhookDelivery {
	t.Helper()
	all := make([]events.Event, count)
	for i := range all {
		all[i] = events.Event{Kind: events.Customer, What: "created", ResourceID: uuid.New(), Version: 1}
	}
	h.change(t, func(tx *postgres.Tx) error {
		if err := events.AppendAll(t.Context(), tx, all); err != nil {
			return err
		}
		_, err := db.New().EventPlace(t.Context(), tx, 1000)
		return err
	})
	require.Eventually(t, func() bool { // not while another one is at it
		through, err := h.fanOut(t.Context(), h.db)
		require.NoError(t, err)
		return through
	}, 20*time.Second, 5*time.Millisecond)
	return h.deliveries(t)
}

func (h *house) deliveries(t *testing.T) []db.WebhookDelivery {
	t.Helper()
	rows, err := db.New().WebhookDeliveryListNewestFirst(t.Context(), h.db, db.WebhookDeliveryListNewestFirstParams{
		EndpointID: h.endpoint.ID, BeforeCreatedAt: h.now.AddDate(1, 0, 0), RowLimit: 10_000,
	})
	require.NoError(t, err)
	return rows
}

func (h *house) read(t *testing.T) db.WebhookEndpoint {
	t.Helper()
	endpoint, err := Get(t.Context(), h.db, h.endpoint.ID)
	require.NoError(t, err)
	return endpoint
}

// TestThreeDays: what does not arrive is tried again, later and later, for three days. Then the endpoint is off, and what
// was about to be sent to it is given up.
func TestThreeDays(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.status = http.StatusBadGateway
	begun := h.now
	first := h.write(t, 1)[0]
	var last time.Duration
	for attempt := 1; attempt <= len(pauses); attempt++ {
		again, err := h.deliver(t.Context(), first.ID)
		require.NoError(t, err)
		require.Greater(t, again, last)
		require.LessOrEqual(t, again, pauses[attempt-1]*11/10)
		require.Equal(t, attempt, h.requests)
		last = pauses[attempt-1]

		early, err := h.deliver(t.Context(), first.ID) // as after a death
		require.NoError(t, err)
		require.InDelta(t, again, early, float64(time.Second))
		require.Equal(t, attempt, h.requests)
		h.now = h.now.Add(again)
	}
	require.True(t, h.read(t).Enabled)
	require.WithinDuration(t, begun, *h.read(t).FailingSince, time.Second)
	other := h.write(t, 1)[0]
	again, err := h.deliver(t.Context(), first.ID)
	require.NoError(t, err)
	require.Zero(t, again)
	require.InDelta(t, 72*time.Hour, h.now.Sub(begun), float64(8*time.Hour))
	require.GreaterOrEqual(t, h.now.Sub(begun), giveUpAfter)
	endpoint := h.read(t)
	require.False(t, endpoint.Enabled)
	require.Equal(t, failing, *endpoint.DisabledReason)
	requests := h.requests
	again, err = h.deliver(t.Context(), other.ID)
	require.NoError(t, err)
	require.Zero(t, again)
	require.Equal(t, requests, h.requests)
	for _, one := range h.deliveries(t) {
		require.Equal(t, failed, one.State)
		require.Nil(t, one.NextAttemptAt)
	}
}

// TestOneThatArrivesEndsTheCount: an endpoint is switched off for what fails without a break, not for what fails now and
// then.
func TestOneThatArrivesEndsTheCount(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.status = http.StatusBadGateway
	first := h.write(t, 1)[0]
	again, err := h.deliver(t.Context(), first.ID)
	require.NoError(t, err)
	require.NotNil(t, h.read(t).FailingSince)
	h.now, h.status = h.now.Add(again), http.StatusCreated
	again, err = h.deliver(t.Context(), first.ID)
	require.NoError(t, err)
	require.Zero(t, again)
	require.Nil(t, h.read(t).FailingSince)
	require.EqualValues(t, 1, h.read(t).Version)
	h.now, h.status = h.now.Add(giveUpAfter), http.StatusBadGateway
	_, err = h.deliver(t.Context(), h.write(t, 1)[0].ID)
	require.NoError(t, err)
	require.True(t, h.read(t).Enabled)
	require.Len(t, h.deliveries(t), 2)

	// Old ones go, but not what is still to be sent.
	h.now = h.now.Add(keepDeliveries)
	require.NoError(t, Sweep(t.Context(), h.db))
	left := h.deliveries(t)
	require.Len(t, left, 1)
	require.Equal(t, pending, left[0].State)
}

// TestNothingIsSkippedThoughFanOutDies: whatever breaks off between two events, each gets its delivery and its job once.
func TestNothingIsSkippedThoughFanOutDies(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write(t, 3)
	var group sync.WaitGroup
	for range 4 { // as replicas would, some of which are broken off
		group.Go(func() {
			for i := range 20 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*time.Millisecond)
				_, _ = h.fanOut(ctx, h.db)
				cancel()
			}
		})
	}
	for range 5 {
		h.change(t, func(tx *postgres.Tx) error {
			for range 40 {
				event := events.Event{Kind: events.Customer, What: "updated", ResourceID: uuid.New(), Version: 2}
				if err := events.Append(t.Context(), tx, event); err != nil {
					return err
				}
			}
			_, err := db.New().EventPlace(t.Context(), tx, 1000)
			return err
		})
	}
	group.Wait()
	require.Len(t, h.write(t, 1), 3+200+1)
	var positions, jobs int
	require.NoError(t, h.db.QueryRow(t.Context(), `SELECT count(DISTINCT position),
		(SELECT count(DISTINCT args->>'delivery_id') FROM river_job) FROM webhook_deliveries`).Scan(&positions, &jobs))
	require.Equal(t, []int{204, 204}, []int{positions, jobs})
}

// TestSecretsGoOverToANewKey of the installation's, before the old one is taken away.
func TestSecretsGoOverToANewKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.change(t, func(tx *postgres.Tx) (err error) {
		h.endpoint, _, err = h.RotateSecret(t.Context(), tx, h.endpoint.ID, etag.Versions{}, time.Hour)
		return err
	})
	signatures := func(setting string) (string, error) {
		return sign(keyring(t, setting), h.read(t), "id", h.now, []byte("{}"))
	}
	before, err := signatures(oldKey)
	require.NoError(t, err)
	_, err = signatures(newKey)
	require.ErrorIs(t, err, secrets.ErrUnreadable)
	h.change(t, func(tx *postgres.Tx) error { return Reseal(t.Context(), tx, keyring(t, newKey+","+oldKey)) })
	after, err := signatures(newKey)
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.Equal(t, h.endpoint.Version, h.read(t).Version)

	// By whom has a key that does not open them nothing is sent, and that is said. Another one, or the same later, does.
	h.keyring = keyring(t, oldKey)
	sent := h.write(t, 1)[0]
	again, err := h.deliver(t.Context(), sent.ID)
	require.NoError(t, err)
	require.Equal(t, secretForgotten, *h.deliveries(t)[0].Failure)
	require.Zero(t, h.requests)
	h.now = h.now.Add(again)
	h.keyring = keyring(t, newKey)
	_, err = h.deliver(t.Context(), sent.ID)
	require.NoError(t, err)
	require.Equal(t, delivered, h.deliveries(t)[0].State)

	// A secret from before that cannot be read any more takes nothing from the present one.
	h.change(t, func(tx *postgres.Tx) (err error) {
		_, _, err = h.RotateSecret(t.Context(), tx, h.endpoint.ID, etag.Versions{}, time.Hour)
		return err
	})
	both, err := signatures(newKey)
	require.NoError(t, err)
	require.Len(t, strings.Fields(both), 2)
	_, err = h.db.Exec(t.Context(), `UPDATE webhook_endpoints SET previous_secret_sealed = 'x'`)
	require.NoError(t, err)
	one, err := signatures(newKey)
	require.NoError(t, err)
	require.Equal(t, strings.Fields(both)[0], one)
}

// TestAStaleFailureSaysNothing: what failed before something else arrived does not make an endpoint failing, and what
// arrives ends that, whatever was known when it was begun.
func TestAStaleFailureSaysNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	begun := h.read(t)
	deliveries := h.write(t, 2)
	h.now = h.now.Add(15 * time.Second)
	_, err := h.conclude(t.Context(), deliveries[0], begun, h.now.Add(-15*time.Second), attempt{failure: timedOut})
	require.NoError(t, err)
	require.WithinDuration(t, h.now, *h.read(t).FailingSince, time.Millisecond, "before it ended something may have arrived")
	_, err = h.conclude(t.Context(), deliveries[1], begun, h.now, attempt{})
	require.NoError(t, err)
	require.Nil(t, h.read(t).FailingSince)
}
