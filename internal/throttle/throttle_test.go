package throttle_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/secrets"
	"github.com/clientele-api/clientele/internal/throttle"
)

const (
	login = "ada@example.com"
	home  = "192.0.2.7"
)

// house is a database with a clock that stands still until it is moved on.
type house struct {
	*throttle.Guard
	db      *postgres.DB
	keyring *secrets.Keyring
	clock   *atomic.Int64 // microseconds
}

func open(t testing.TB) *house {
	t.Helper()
	h := &house{clock: &atomic.Int64{}}
	h.clock.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMicro())
	h.db = postgres.New(dbtest.New(t), h.now)
	var err error
	h.keyring, err = secrets.Parse(secrets.Generate())
	require.NoError(t, err)
	h.Guard = throttle.New(h.db, h.keyring)
	return h
}

func (h *house) now() time.Time           { return time.UnixMicro(h.clock.Load()) }
func (h *house) advance(by time.Duration) { h.clock.Add(by.Microseconds()) }

// try makes an attempt that fails, and gives how long the caller is to wait: 0 when it was let through.
func (h *house) try(t testing.TB, realm throttle.Realm, login, address string) time.Duration {
	t.Helper()
	attempt, err := h.Attempt(t.Context(), realm, login, address)
	if err == nil {
		require.NotNil(t, attempt)
		return 0
	}
	require.Nil(t, attempt)
	return retryAfter(t, err)
}

func retryAfter(t testing.TB, err error) time.Duration {
	t.Helper()
	var refused *fault.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, fault.TooManyRequests, refused.Kind)
	require.Equal(t, "too_many_attempts", refused.Code)
	require.GreaterOrEqual(t, refused.RetryAfter, time.Second)
	require.Zero(t, refused.RetryAfter%time.Second, "whole seconds")
	return refused.RetryAfter
}

// succeed makes an attempt that must be let through, with the right secret.
func (h *house) succeed(t testing.TB, realm throttle.Realm, login, address string) {
	t.Helper()
	attempt, err := h.Attempt(t.Context(), realm, login, address)
	require.NoError(t, err)
	require.NoError(t, attempt.Succeeded(t.Context()))
}

func doubling(free, n int, longest time.Duration) (waits []time.Duration) {
	wait := time.Second
	for i := 1; i <= n; i++ {
		if i < free {
			waits = append(waits, 0)
			continue
		}
		waits = append(waits, wait)
		wait = min(2*wait, longest)
	}
	return waits
}

func TestWaitsForALoginAtAnAddress(t *testing.T) {
	t.Parallel()
	h := open(t)
	var waits []time.Duration
	for range 21 {
		require.Zero(t, h.try(t, throttle.Staff, login, home))
		if len(waits) < 9 { // a further one to find out would be counted
			waits = append(waits, 0)
			continue
		}
		wait := h.try(t, throttle.Staff, login, home)
		for range 20 {
			require.Equal(t, wait, h.try(t, throttle.Staff, login, home), "who is refused waits no longer for it")
		}
		waits = append(waits, wait)
		h.advance(wait - time.Microsecond)
		require.Equal(t, time.Second, h.try(t, throttle.Staff, login, home), "not a moment too early")
		h.advance(time.Microsecond)
	}
	require.Equal(t, doubling(10, 21, 5*time.Minute), waits)
	require.Equal(t, 5*time.Minute, waits[20])

	require.Zero(t, h.try(t, throttle.Portal, login, home), "another realm is another login")
	h.advance(time.Hour)
	for range 10 {
		require.Zero(t, h.try(t, throttle.Staff, login, home), "all is forgotten an hour after the last")
	}
	require.Equal(t, time.Second, h.try(t, throttle.Staff, login, home))
	h.advance(time.Second)
	require.Zero(t, h.try(t, throttle.Staff, login, home))
	h.advance(time.Hour - time.Microsecond)
	require.Zero(t, h.try(t, throttle.Staff, login, home))
	require.Equal(t, 4*time.Second, h.try(t, throttle.Staff, login, home), "and not sooner")
}

func TestWaitsForAnAddressThatTriesManyLogins(t *testing.T) {
	t.Parallel()
	h := open(t)
	waits := h.waitsAfterFree(t, 100, 12, func(i int) (string, string) { return fmt.Sprintf("%d@example.com", i), home })
	require.Equal(t, doubling(100, 111, 5*time.Minute)[99:], waits)
	require.Zero(t, h.try(t, throttle.Portal, login, "192.0.2.8"), "another address")
	require.Zero(t, h.try(t, throttle.Portal, login, home))
	require.Equal(t, 5*time.Minute, h.try(t, throttle.Portal, "new@example.com", home), "an address is one for all realms")
}

func TestWaitsForALoginThatManyAddressesTry(t *testing.T) {
	t.Parallel()
	h := open(t)
	waits := h.waitsAfterFree(t, 50, 10, func(i int) (string, string) {
		return login, fmt.Sprintf("198.51.%d.%d", i/200, i%200)
	})
	require.Equal(t, doubling(50, 59, 30*time.Second)[49:], waits)
	require.Zero(t, h.try(t, throttle.Staff, "grace@example.com", "198.51.0.1"), "another login")
	require.Zero(t, h.try(t, throttle.Portal, login, "198.51.0.1"), "another realm")
}

// waitsAfterFree makes as many attempts as are free and gives the waits after the last of them and those that follow.
// Each attempt is of a number of its own.
func (h *house) waitsAfterFree(
	t testing.TB, free, n int, numbered func(i int) (login, address string),
) (waits []time.Duration) {
	t.Helper()
	for i := range free + n - 1 {
		login, address := numbered(i)
		require.Zero(t, h.try(t, throttle.Staff, login, address), "attempt %d", i)
		if i < free-1 {
			continue
		}
		login, address = numbered(i + 1)
		wait := h.try(t, throttle.Staff, login, address)
		require.Equal(t, wait, h.try(t, throttle.Staff, login, address))
		waits = append(waits, wait)
		h.advance(wait)
	}
	return waits
}

func TestOfManyAtOnceNoMoreAreLetThrough(t *testing.T) {
	t.Parallel()
	h := open(t)
	// Two replicas, each with connections of its own.
	config := h.db.Config()
	require.NotNil(t, config)
	other, err := postgres.Open(t.Context(), config.ConnString(), h.now, postgres.Conns(8))
	require.NoError(t, err)
	t.Cleanup(other.Close)
	guards := []*throttle.Guard{h.Guard, throttle.New(other, h.keyring)}

	for round := range 5 {
		var passed atomic.Int64
		var group sync.WaitGroup
		for i := range 50 {
			group.Go(func() {
				login, address := fmt.Sprintf("%d@example.com", round), fmt.Sprintf("192.0.2.%d", round)
				_, err := guards[i%2].Attempt(t.Context(), throttle.Staff, login, address)
				if err == nil {
					passed.Add(1)
				} else if !fault.IsKind(err, fault.TooManyRequests) {
					t.Errorf("attempt: %v", err)
				}
			})
		}
		group.Wait()
		require.EqualValues(t, 10, passed.Load())
	}
	require.EqualValues(t, 15, h.count(t, "count = 10"), "and those alone are counted, under every rule")
	require.EqualValues(t, 15, h.count(t, "true"))
}

// TestClocksApart: of two replicas the clock of one is always a little ahead. Free tries do not notice.
func TestClocksApart(t *testing.T) {
	t.Parallel()
	h := open(t)
	for range 5 {
		require.Zero(t, h.try(t, throttle.Staff, login, home))
		h.advance(-time.Millisecond)
		require.Zero(t, h.try(t, throttle.Staff, login, home))
		h.advance(time.Millisecond)
	}
	require.Equal(t, time.Second, h.try(t, throttle.Staff, login, home))
}

// TestAttemptsDoNotDeadlock crosses logins and addresses in every way, with successes and sweeps between.
func TestAttemptsDoNotDeadlock(t *testing.T) {
	t.Parallel()
	h := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 60 {
				h.advance(time.Minute)
				attempt, err := h.Attempt(ctx, throttle.Staff, fmt.Sprint((worker+i)%3), fmt.Sprintf("192.0.2.%d", (worker*i)%3))
				switch {
				case err == nil && i%3 == 0:
					err = attempt.Succeeded(ctx)
				case err == nil && i%3 == 1:
					err = attempt.Forget(ctx)
				case fault.IsKind(err, fault.TooManyRequests):
					err = nil
				}
				if err := errors.Join(err, throttle.Sweep(ctx, h.db)); err != nil {
					t.Errorf("attempt %d: %v", i, err)
				}
			}
		})
	}
	group.Wait()
	var deadlocks int
	require.NoError(t, h.db.QueryRow(ctx,
		"SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").Scan(&deadlocks))
	require.Zero(t, deadlocks)
}

func TestSuccess(t *testing.T) {
	t.Parallel()
	h := open(t)
	for range 9 {
		require.Zero(t, h.try(t, throttle.Staff, login, home))
	}
	h.succeed(t, throttle.Staff, login, home)
	require.EqualValues(t, 2, h.count(t, "count = 9"), "elsewhere the failures stay, and the success is not counted")
	for range 40 {
		require.Zero(t, h.try(t, throttle.Staff, login, home), "at this address they are forgotten")
	}
	require.Equal(t, time.Second, h.try(t, throttle.Staff, login, home))

	// Who owns a login cannot guess at others for longer by signing in between.
	h = open(t)
	h.succeed(t, throttle.Staff, "mallory@example.com", home)
	for i := range 100 {
		require.Zero(t, h.try(t, throttle.Staff, fmt.Sprintf("%d@example.com", i), home))
		h.succeed(t, throttle.Staff, "mallory@example.com", home)
	}
	require.Equal(t, time.Second, h.try(t, throttle.Staff, "next@example.com", home))

	// A success brings no wait to those who share its address.
	h = open(t)
	for i := range 99 {
		require.Zero(t, h.try(t, throttle.Staff, fmt.Sprintf("%d@example.com", i), home))
	}
	for i := range 10 {
		h.succeed(t, throttle.Staff, fmt.Sprintf("good%d@example.com", i), home)
	}
	require.Zero(t, h.try(t, throttle.Staff, "next@example.com", home))
	require.Equal(t, time.Second, h.try(t, throttle.Staff, "another@example.com", home))
}

func TestForget(t *testing.T) {
	t.Parallel()
	h := open(t)
	hungUp, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 100 {
		attempt, err := h.Attempt(t.Context(), throttle.Staff, login, home)
		require.NoError(t, err)
		cancel()
		require.NoError(t, attempt.Forget(hungUp), "a caller who went away is no reason to keep it")
	}
	require.Zero(t, h.count(t, "count > 0"))
	require.Zero(t, h.known(t), "nothing was learnt")

	// The failures of others in the meantime stay, with the wait that they caused.
	for range 9 {
		require.Zero(t, h.try(t, throttle.Staff, login, home))
	}
	attempt, err := h.Attempt(t.Context(), throttle.Staff, login, home)
	require.NoError(t, err)
	h.advance(time.Second)
	require.Zero(t, h.try(t, throttle.Staff, login, home))
	require.NoError(t, attempt.Forget(t.Context()))
	require.Equal(t, 2*time.Second, h.try(t, throttle.Staff, login, home))
}

func TestTheOwnerGetsInWhateverOthersDo(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.succeed(t, throttle.Staff, login, home)
	started := h.clock.Load()
	// Others guess as fast as they may, from many addresses, and from the owner's own at other logins.
	attack := func(n int) {
		for i := range n {
			address := fmt.Sprintf("198.51.%d.%d", i/250, i%250)
			if wait := h.try(t, throttle.Staff, login, address); wait > 0 {
				h.advance(wait)
				require.Zero(t, h.try(t, throttle.Staff, login, address))
			}
			h.try(t, throttle.Staff, fmt.Sprintf("%d@example.com", i), home)
		}
	}
	attack(1000)
	require.EqualValues(t, 1, h.count(t, "count = 1000"))
	require.Equal(t, 30*time.Second, h.try(t, throttle.Staff, login, "203.0.113.1"), "nobody waits longer")
	require.Positive(t, h.try(t, throttle.Staff, "grace@example.com", home))
	h.succeed(t, throttle.Staff, login, home)
	require.Zero(t, h.try(t, throttle.Staff, login, home))
	require.Positive(t, h.try(t, throttle.Portal, login, home), "what is known is known of the realm")

	// An owner who comes from elsewhere proves by a link to be one.
	require.NoError(t, h.Know(t.Context(), throttle.Staff, login, "203.0.113.1"))
	for range 40 {
		require.Zero(t, h.try(t, throttle.Staff, login, "203.0.113.1"))
	}
	require.Equal(t, time.Second, h.try(t, throttle.Staff, login, "203.0.113.1"), "being known is no leave to guess")

	h.clock.Store(started)
	h.advance(30*24*time.Hour - time.Hour)
	attack(60)
	h.clock.Store(started)
	h.advance(30*24*time.Hour - time.Microsecond)
	require.Zero(t, h.try(t, throttle.Staff, login, "203.0.113.2"))
	require.Zero(t, h.try(t, throttle.Staff, login, home), "known for thirty days")
	h.advance(time.Microsecond)
	require.Positive(t, h.try(t, throttle.Staff, login, home), "and no longer")
}

// TestUnknownLoginsAreTreatedAlike: there is nothing that could tell them apart. That they are as many rows shows
// that it costs as much.
func TestUnknownLoginsAreTreatedAlike(t *testing.T) {
	t.Parallel()
	h := open(t)
	_, err := h.db.Exec(t.Context(), `INSERT INTO staff
		(id, name, email, email_key, role, password_hash, created_at, updated_at)
		VALUES (gen_random_uuid(), 'Ada', $1, $1, 'viewer', '', now(), now())`, login)
	require.NoError(t, err)
	sequence := func(login, address string) (waits []time.Duration) {
		for range 40 {
			waits = append(waits, h.try(t, throttle.Staff, login, address))
			h.advance(7 * time.Second)
		}
		return waits
	}
	known := sequence(login, home)
	rows := h.count(t, "true")
	require.Contains(t, known, 57*time.Second)
	require.Equal(t, known, sequence("nobody@example.com", "198.51.100.1"))
	require.Equal(t, 2*rows, h.count(t, "true"))
}

func TestResets(t *testing.T) {
	t.Parallel()
	h := open(t)
	reset := func(login, address string) bool {
		may, err := h.Reset(t.Context(), throttle.Portal, login, address)
		require.NoError(t, err)
		return may
	}
	for i := range 5 {
		require.True(t, reset(login, home), "mail %d", i)
		require.False(t, reset(login, home), "one a minute")
		h.advance(time.Minute - time.Microsecond)
		require.False(t, reset(login, "198.51.100.1"), "wherever it is asked for")
		h.advance(time.Microsecond)
	}
	for range 59 {
		require.False(t, reset(login, home), "five an hour")
		h.advance(time.Minute)
	}
	require.True(t, reset(login, home))
	require.Zero(t, h.try(t, throttle.Portal, login, home), "signing in is counted apart")

	for i := range 30 {
		require.True(t, reset(fmt.Sprintf("%d@example.com", i), "203.0.113.1"))
	}
	_, err := h.Reset(t.Context(), throttle.Portal, "next@example.com", "203.0.113.1")
	require.Equal(t, time.Hour, retryAfter(t, err), "an address hears of it")
	_, err = h.Reset(t.Context(), throttle.Portal, "0@example.com", "203.0.113.1")
	require.Equal(t, time.Hour, retryAfter(t, err), "of all logins the same")
	h.advance(time.Hour)
	require.True(t, reset("next@example.com", "203.0.113.1"))
}

func (h *house) count(t testing.TB, condition string) (n int64) {
	t.Helper()
	require.NoError(t, h.db.QueryRow(t.Context(), "SELECT count(*) FROM attempt_counts WHERE "+condition).Scan(&n))
	return n
}

func (h *house) known(t testing.TB) (n int64) {
	t.Helper()
	require.NoError(t, h.db.QueryRow(t.Context(), "SELECT count(*) FROM known_addresses").Scan(&n))
	return n
}
