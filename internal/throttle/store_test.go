package throttle_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/secrets"
	"github.com/clientele-api/clientele/internal/throttle"
)

func TestSweep(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.try(t, throttle.Staff, "old@example.com", home)
	h.succeed(t, throttle.Staff, "old@example.com", "198.51.100.1")
	h.advance(time.Minute)
	h.try(t, throttle.Staff, "new@example.com", "203.0.113.1")
	require.NoError(t, throttle.Sweep(t.Context(), h.db))
	require.EqualValues(t, 8, h.count(t, "true"))
	h.advance(59 * time.Minute)
	require.NoError(t, throttle.Sweep(t.Context(), h.db))
	require.EqualValues(t, 3, h.count(t, "true"), "an hour after the last")
	h.advance(time.Minute)
	require.NoError(t, throttle.Sweep(t.Context(), h.db))
	require.Zero(t, h.count(t, "true"))
	require.EqualValues(t, 1, h.known(t))
	h.advance(30*24*time.Hour - 61*time.Minute - time.Microsecond)
	require.NoError(t, throttle.Sweep(t.Context(), h.db))
	require.EqualValues(t, 1, h.known(t))
	h.advance(time.Microsecond)
	require.NoError(t, throttle.Sweep(t.Context(), h.db))
	require.Zero(t, h.known(t))
}

// TestSweepWaitsForNobody: a row that an attempt holds is left for the next time.
func TestSweepWaitsForNobody(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.try(t, throttle.Staff, login, home)
	h.advance(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, h.db.Change(ctx, postgres.Change{}, func(tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, "SELECT FROM attempt_counts ORDER BY key LIMIT 1 FOR UPDATE")
		require.NoError(t, err)
		return throttle.Sweep(ctx, h.db)
	}))
	require.EqualValues(t, 1, h.count(t, "true"))
}

// TestAWrongClock: a replica whose clock was ahead for a while has kept nobody out when it is right again.
func TestAWrongClock(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.advance(24 * time.Hour)
	for range 10 {
		require.Zero(t, h.try(t, throttle.Staff, login, home))
	}
	require.Positive(t, h.try(t, throttle.Staff, login, home))
	h.advance(-24 * time.Hour)
	require.Zero(t, h.try(t, throttle.Staff, login, home))
	h.advance(24 * time.Hour)
	h.try(t, throttle.Staff, "grace@example.com", home)
	h.advance(-24 * time.Hour)
	require.NoError(t, throttle.Sweep(t.Context(), h.db))
	require.EqualValues(t, 2, h.count(t, "true"), "and rows from ahead are not kept")
}

// TestRowsAreFoundByTheirKeys: a plan that was made while the table was empty must not read all of it when it is full.
func TestRowsAreFoundByTheirKeys(t *testing.T) {
	t.Parallel()
	h := open(t)
	one, err := postgres.Open(t.Context(), h.db.Config().ConnString(), h.now, postgres.Conns(1))
	require.NoError(t, err)
	t.Cleanup(one.Close)
	guard := throttle.New(one, h.keyring)
	for i := range 40 {
		attempt, err := guard.Attempt(t.Context(), throttle.Staff, fmt.Sprint(i), home)
		if i < 30 {
			require.NoError(t, err)
			if i >= 20 {
				require.NoError(t, attempt.Forget(t.Context()))
			}
		}
	}
	_, err = one.Exec(t.Context(), "SELECT pg_stat_force_next_flush()")
	require.NoError(t, err)
	var scans, lookups int
	require.NoError(t, one.QueryRow(t.Context(), `SELECT seq_scan, idx_scan FROM pg_stat_user_tables
		WHERE relname = 'attempt_counts'`).Scan(&scans, &lookups))
	require.Zero(t, scans)
	require.Positive(t, lookups)
	var scanning, plans string
	require.NoError(t, one.QueryRow(t.Context(),
		"SELECT current_setting('enable_seqscan'), current_setting('plan_cache_mode')").Scan(&scanning, &plans))
	require.Equal(t, []string{"on", "auto"}, []string{scanning, plans}, "other queries are planned as ever")
}

func TestRefusalsFillNoTable(t *testing.T) {
	t.Parallel()
	h := open(t)
	for i := range 200 {
		h.try(t, throttle.Staff, fmt.Sprintf("%d@example.com", i), home)
	}
	require.EqualValues(t, 201, h.count(t, "true"), "those of a hundred that were let through, and the address")
}

func TestNothingReadableIsStored(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.succeed(t, throttle.Staff, login, home)
	h.try(t, throttle.Staff, login, home)
	_, err := h.Reset(t.Context(), throttle.Staff, login, home)
	require.NoError(t, err)
	for _, table := range []string{"attempt_counts", "known_addresses"} {
		rows, err := h.db.Query(t.Context(), "SELECT key, stored::text FROM "+table+" AS stored")
		require.NoError(t, err)
		seen := 0
		for rows.Next() {
			var key []byte
			var text string
			require.NoError(t, rows.Scan(&key, &text))
			require.Len(t, key, 32)
			for _, part := range []string{"ada", "example", "192", "staff", "guess"} {
				require.NotContains(t, string(key), part)
				require.NotContains(t, text, fmt.Sprintf("%x", part))
			}
			seen++
		}
		require.NoError(t, rows.Err())
		require.Positive(t, seen)
	}

	other, err := secrets.Parse(secrets.Generate())
	require.NoError(t, err)
	_, err = throttle.New(h.db, other).Attempt(t.Context(), throttle.Staff, login, home)
	require.NoError(t, err)
	require.EqualValues(t, 9, h.count(t, "true"), "without the secret key nobody can tell what is counted")
}

// alike tells whether failures of one are counted against the other.
func alike(t *testing.T, loginA, addressA, loginB, addressB string) bool {
	t.Helper()
	h := open(t)
	for range 10 {
		require.Zero(t, h.try(t, throttle.Staff, loginA, addressA))
	}
	require.Equal(t, time.Second, h.try(t, throttle.Staff, loginA, addressA))
	return h.try(t, throttle.Staff, loginB, addressB) > 0
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, same := range [][2]string{
		{home, home + ":4711"}, {home, "::ffff:192.0.2.7"}, {home, "::ffff:c000:207"}, {home, "[::ffff:192.0.2.7]:80"},
		{"2001:db8::1", "2001:db8:0:0:ffff::2"}, {"2001:db8::1", "2001:DB8::1%eth0"}, {"2001:db8::1", "[2001:db8::1]:443"},
		{"", "garbage"}, {"\x00\xff", "999.1.2.3"}, {"@", strings.Repeat("1", 1<<20)},
	} {
		require.True(t, alike(t, login, same[0], login, same[1]), "%.40q", same)
	}
	for _, different := range [][2]string{
		{home, "192.0.2.8"}, {home, "192.0.2.70"}, {"2001:db8::1", "2001:db8:0:1::1"}, {home, ""}, {home, "::c000:207"},
		{"::1", "127.0.0.1"},
	} {
		require.False(t, alike(t, login, different[0], login, different[1]), "%q", different)
	}
}

func TestLogins(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ż", 1<<20)
	for _, same := range [][2]string{
		{login, "ADA@Example.com"}, {"zażółć@example.com", "ZAŻO\u0301\u0141C\u0301@example.com"}, {"", ""},
		{"a\x00b", "a\x00b"}, {"\xff\xfe", "\xff\xfe"}, {long, long},
	} {
		require.True(t, alike(t, same[0], home, same[1], home), "%.40q", same)
	}
	for _, different := range [][2]string{
		{login, "ada@example.org"}, {login, login + "\x00"}, {login, ""}, {"a\" \"b", "a\" \"c"}, {long, long + "x"},
		{login, " " + login}, {"zazolc@example.com", "zażółć@example.com"},
	} {
		require.False(t, alike(t, different[0], home, different[1], home), "%.40q", different)
	}
}

func TestADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	h := open(t)
	attempt, err := h.Attempt(t.Context(), throttle.Staff, login, home)
	require.NoError(t, err)
	h.db.Close()
	_, err = h.Attempt(t.Context(), throttle.Staff, login, home)
	require.Error(t, err, "nobody guesses uncounted")
	require.False(t, fault.IsKind(err, fault.TooManyRequests))
	_, err = h.Reset(t.Context(), throttle.Staff, login, home)
	require.Error(t, err)
	require.Error(t, attempt.Succeeded(t.Context()))
	require.Error(t, attempt.Forget(t.Context()))
	require.Error(t, throttle.Sweep(t.Context(), h.db))
}

// BenchmarkAttempt stands beside one row written by hand into a table like it.
func BenchmarkAttempt(b *testing.B) {
	h := open(b)
	b.Run("upsert of one row", func(b *testing.B) {
		for i := range b.N {
			_, err := h.db.Exec(b.Context(), `INSERT INTO attempt_counts VALUES ($1, 1, now(), now())
				ON CONFLICT (key) DO UPDATE SET count = attempt_counts.count + 1`, fmt.Appendf(nil, "%d", i%1000))
			require.NoError(b, err)
		}
	})
	number := 0
	b.Run("attempt", func(b *testing.B) {
		for range b.N {
			number++
			address := fmt.Sprintf("2001:db8:%x:%x::", number>>16, number&0xffff)
			_, err := h.Attempt(b.Context(), throttle.Staff, fmt.Sprint(number), address)
			require.NoError(b, err)
		}
	})
	b.Run("attempt refused", func(b *testing.B) {
		for range 10 {
			_, err := h.Attempt(b.Context(), throttle.Staff, login, home)
			if err != nil {
				break
			}
		}
		b.ResetTimer()
		for range b.N {
			_, err := h.Attempt(b.Context(), throttle.Staff, login, home)
			require.Error(b, err)
		}
	})
	b.Run("attempt and success", func(b *testing.B) {
		for i := range b.N {
			attempt, err := h.Attempt(b.Context(), throttle.Portal, fmt.Sprint(i%1000), fmt.Sprintf("203.0.113.%d", i%200))
			require.NoError(b, err)
			require.NoError(b, attempt.Succeeded(b.Context()))
		}
	})
}
