package passwords_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/passwords"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"four words are better", "Tr0ub4dor&3-horse", "zażółć gęślą jaźń", "正しい馬の電池のホッチキス止め",
		strings.Repeat("Aq9$xW2!", 16),
	} {
		require.NoError(t, passwords.Check(good), good)
	}
	for _, bad := range []string{
		"", "short", "123456789", "żółćżółćż", "password123", "1234567890", "qwertyuiop", "aaaaaaaaaaaaaaa", "Password1!",
		strings.Repeat("Aq9$xW2!", 16) + "x",
	} {
		err := passwords.Check(bad)
		require.Error(t, err, bad)
		if bad != "" {
			require.NotContains(t, err.Error(), bad)
		}
	}
	require.ErrorIs(t, passwords.Check("password123"), passwords.ErrCommon)
}

// TestCheckIsQuick: what it is given comes from anybody.
func TestCheckIsQuick(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		strings.Repeat("ab1", 42), strings.Repeat("password", 16), strings.Repeat("🙂", 128), strings.Repeat("x", 1<<20),
	} {
		started := time.Now()
		_ = passwords.Check(text)
		require.Less(t, time.Since(started), 2*time.Second)
	}
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		password := passwords.Generate()
		require.NoError(t, passwords.Check(password))
		require.Regexp(t, `^[a-z2-7]{5}(-[a-z2-7]{5}){3}$`, password)
		require.False(t, seen[password])
		seen[password] = true
	}
}

func TestHashes(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	hasher := passwords.NewHasher()
	const password = "four words are better"
	hash, err := hasher.Hash(ctx, password)
	require.NoError(t, err)
	require.Regexp(t, `^\$argon2id\$v=19\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$`, hash)
	other, err := hasher.Hash(ctx, password)
	require.NoError(t, err)
	require.NotEqual(t, hash, other, "each has a salt of its own")
	for candidate, expected := range map[string]bool{
		password: true, password + " ": false, "Four words are better": false, "": false,
	} {
		matches, err := hasher.Matches(ctx, hash, candidate)
		require.NoError(t, err)
		require.Equal(t, expected, matches, candidate)
	}
	matches, err := hasher.Matches(ctx, "", password)
	require.NoError(t, err)
	require.False(t, matches, "nothing matches an account without a password")
	matches, err = hasher.Matches(ctx, "", "")
	require.NoError(t, err)
	require.False(t, matches)

	// A hash of other parameters carries them with it.
	const smaller = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$qKKwElYW18d1hHrqn8bB0mCxQqJlkmEkqTyWD6L4Ijk"
	matches, err = hasher.Matches(ctx, smaller, password)
	require.NoError(t, err)
	require.False(t, matches)
	for _, damaged := range []string{
		"x", "$2a$10$abc", strings.Replace(hash, "v=19", "v=16", 1), strings.Replace(hash, "m=", "n=", 1), hash[:len(hash)-3] + "!!!",
	} {
		_, err := hasher.Matches(ctx, damaged, password)
		require.Error(t, err, damaged)
		require.NotContains(t, err.Error(), password)
	}
}

func TestHashingWaitsItsTurnNoLongerThanTheCaller(t *testing.T) {
	t.Parallel()
	hasher := passwords.NewHasher()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 30 {
		group.Go(func() {
			if _, err := hasher.Hash(ctx, "four words are better"); err != nil {
				require.ErrorIs(t, err, context.Canceled)
			}
		})
	}
	started := time.Now()
	cancel()
	group.Wait()
	require.Less(t, time.Since(started), 20*time.Second)
	_, err := hasher.Hash(t.Context(), "the places are free again")
	require.NoError(t, err)
}

// TestTheQueueIsBounded: what waits longer than its caller does is work for nobody.
func TestTheQueueIsBounded(t *testing.T) {
	t.Parallel()
	hasher := passwords.NewHasher()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	places := 33 * min(2, max(1, runtime.GOMAXPROCS(0)/2))
	var mu sync.Mutex
	var refused []error
	var group sync.WaitGroup
	for range places + 50 {
		group.Go(func() {
			_, err := hasher.Matches(ctx, "", "four words are better")
			if err == nil || errors.Is(err, context.Canceled) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if refused = append(refused, err); len(refused) == 10 {
				cancel() // the others need not be waited for
			}
		})
	}
	group.Wait()
	require.GreaterOrEqual(t, len(refused), 10)
	for _, err := range refused {
		var busy *fault.Error
		require.ErrorAs(t, err, &busy)
		require.Equal(t, fault.Unavailable, busy.Kind)
		require.Equal(t, "busy", busy.Code)
		require.Positive(t, busy.RetryAfter)
	}
	for range places + 1 { // those that gave up have given their places back
		ended, end := context.WithCancel(t.Context())
		end()
		if _, err := hasher.Hash(ended, "x"); err != nil {
			require.ErrorIs(t, err, context.Canceled)
		}
	}
	_, err := hasher.Hash(t.Context(), "the places are free again")
	require.NoError(t, err)
}

// TestFewHashAtOnceOnManyCores: each takes 32 MiB, and as much again until it is collected. It is not parallel, since it
// changes how many cores there are and counts all that hash in the process.
func TestFewHashAtOnceOnManyCores(t *testing.T) {
	cores := runtime.GOMAXPROCS(32)
	t.Cleanup(func() { runtime.GOMAXPROCS(cores) })
	hasher := passwords.NewHasher()
	var group sync.WaitGroup
	for range 12 {
		group.Go(func() {
			_, err := hasher.Matches(t.Context(), "", "four words are better")
			assert.NoError(t, err)
		})
	}
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	stacks := make([]byte, 1<<20)
	most := 0
	for open := true; open; {
		select {
		case <-done:
			open = false
		case <-time.After(time.Millisecond):
			all := string(stacks[:runtime.Stack(stacks, true)])
			most = max(most, strings.Count(all, "argon2.IDKey("))
		}
	}
	require.Equal(t, 2, most)
}
