package ratelimit_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/ratelimit"
)

// clock is a time that the test moves.
type clock struct{ at atomic.Pointer[time.Time] }

func (c *clock) set(at time.Time) { c.at.Store(&at) }
func (c *clock) now() time.Time   { return *c.at.Load() }

// minute is the beginning of some minute.
var minute = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// replica starts a Limiter over the database.
func replica(t *testing.T, url string, at *clock, quota int64) *ratelimit.Limiter {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	database, err := postgres.Open(ctx, url, at.now, postgres.Conns(1))
	require.NoError(t, err)
	limiter := ratelimit.New(database, quota)
	var running sync.WaitGroup
	running.Go(func() { limiter.Run(ctx, slog.New(slog.NewTextHandler(t.Output(), nil))) })
	t.Cleanup(func() {
		stop()
		running.Wait()
		database.Close()
	})
	return limiter
}

func TestAQuotaIsForAMinuteAndACredential(t *testing.T) {
	t.Parallel()
	at := &clock{}
	at.set(minute.Add(18 * time.Second))
	limiter := replica(t, dbtest.URL(t), at, 3)
	for left := int64(2); left >= 0; left-- {
		require.Equal(t, ratelimit.State{Quota: 3, Remaining: left, Reset: 42 * time.Second}, limiter.Take("staff:1"))
	}
	for range 2 {
		refused := limiter.Take("staff:1")
		require.Equal(t, ratelimit.State{Quota: 3, Reset: 42 * time.Second, Refused: true}, refused)
		var told *fault.Error
		require.ErrorAs(t, refused.Fault(), &told)
		require.Equal(t, fault.TooManyRequests, told.Kind)
		require.Equal(t, 42*time.Second, told.RetryAfter)
	}
	require.False(t, limiter.Take("staff:2").Refused, "others have their own")
	at.set(minute.Add(time.Minute))
	require.Equal(t, int64(2), limiter.Take("staff:1").Remaining)
}

// TestReplicasCountTogether: what one has let through, the other knows of soon, and the count of one minute is not that of
// the next.
func TestReplicasCountTogether(t *testing.T) {
	t.Parallel()
	at := &clock{}
	at.set(minute)
	url := dbtest.URL(t)
	one, other := replica(t, url, at, 100), replica(t, url, at, 100)
	for range 60 {
		require.False(t, one.Take("identity:1").Refused)
	}
	require.Equal(t, int64(99), other.Take("identity:1").Remaining, "it has not heard of the others yet")
	spent := int64(61)
	require.Eventually(t, func() bool {
		spent++
		return other.Take("identity:1").Remaining == 100-spent
	}, 20*time.Second, 300*time.Millisecond)
	require.Eventually(t, func() bool { return one.Take("identity:1").Refused }, 20*time.Second, time.Millisecond)
	at.set(minute.Add(time.Minute))
	require.Equal(t, int64(99), one.Take("identity:1").Remaining)

	database, err := postgres.Open(t.Context(), url, at.now)
	require.NoError(t, err)
	defer database.Close()
	at.set(minute.Add(3 * time.Minute))
	one.Take("identity:1")
	require.Eventually(t, func() bool {
		var old int
		require.NoError(t, database.QueryRow(t.Context(), "SELECT count(*) FROM request_counts WHERE window_start < $1",
			minute.Add(2*time.Minute)).Scan(&old))
		return old == 0
	}, 20*time.Second, 100*time.Millisecond, "counts of minutes that are over are swept")
}

func TestSlots(t *testing.T) {
	t.Parallel()
	slots := ratelimit.NewSlots()
	take := func(of string) (func(), error) {
		return slots.Take(ratelimit.Bound{Of: of, Most: 2}, ratelimit.Bound{Of: "all", Most: 3, Shared: true})
	}
	first, err := take("a")
	require.NoError(t, err)
	second, err := take("a")
	require.NoError(t, err)
	_, err = take("a")
	require.True(t, fault.IsKind(err, fault.TooManyRequests), err)
	third, err := take("b")
	require.NoError(t, err)
	_, err = take("c")
	require.True(t, fault.IsKind(err, fault.Unavailable), err)
	first()
	first() // twice is once
	fourth, err := take("c")
	require.NoError(t, err)
	_, err = take("c")
	require.Error(t, err)
	second()
	third()
	fourth()
	for range 2 {
		_, err = take("a")
		require.NoError(t, err)
	}
}
