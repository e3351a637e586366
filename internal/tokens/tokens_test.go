package tokens_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/secrets"
	"github.com/clientele-api/clientele/internal/tokens"
)

const publicURL = "https://api.example.com"

func keyring(t *testing.T, secret string) *secrets.Keyring {
	t.Helper()
	parsed, err := secrets.Parse(secret)
	require.NoError(t, err)
	return parsed
}

func ours(t *testing.T) *secrets.Keyring {
	t.Helper()
	return keyring(t, "a secret key that is only for tests")
}

func openPool(t *testing.T, url string, ahead time.Duration) *postgres.DB {
	t.Helper()
	now := func() time.Time { return time.Now().Add(ahead) }
	database, err := postgres.Open(t.Context(), url, now, postgres.Conns(2))
	require.NoError(t, err)
	t.Cleanup(database.Close)
	return database
}

// newAuthority makes an Authority that nobody follows for: it reads on request.
func newAuthority(t *testing.T, database *postgres.DB) *tokens.Authority {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	authority, err := tokens.NewAuthority(t.Context(), database, ours(t), publicURL, log)
	require.NoError(t, err)
	return authority
}

func caller() *access.Principal {
	return &access.Principal{
		Kind: access.KindStaff, ID: uuid.New(), Name: "Ada", SessionID: uuid.New(), Epoch: 1,
		Scopes: access.Viewer.Scopes(),
	}
}

func issue(t *testing.T, authority *tokens.Authority, caller *access.Principal) string {
	t.Helper()
	token, err := authority.Issue(t.Context(), caller, "staff")
	require.NoError(t, err)
	return token
}

func change(t *testing.T, database *postgres.DB, do func(tx *postgres.Tx) error) {
	t.Helper()
	require.NoError(t, database.Change(t.Context(), postgres.Change{}, do))
}

// stale waits until what an Authority knows is too old to judge by.
func stale() { time.Sleep(1100 * time.Millisecond) }

// hang makes every read of the revocations wait until the test lets go.
func hang(t *testing.T, url string) (letGo func()) {
	t.Helper()
	tx, err := openPool(t, url, 0).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE token_revocations IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	letGo = sync.OnceFunc(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) })
	t.Cleanup(letGo)
	return letGo
}

func TestWhoeverWaitsForAHangingDatabaseFailsWithTheOthers(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	authority := newAuthority(t, openPool(t, url, 0))
	token := issue(t, authority, caller())
	hang(t, url)
	stale()
	started := time.Now()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			_, err := authority.Verify(t.Context(), token)
			if !fault.IsKind(err, fault.Unavailable) {
				t.Errorf("the database is away, and the error is %v", err)
			}
		})
	}
	group.Wait()
	require.Less(t, time.Since(started), 3500*time.Millisecond, "one after another")
}

func TestWhoeverLeavesDoesNotTakeTheReadWithIt(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	authority := newAuthority(t, openPool(t, url, 0))
	token := issue(t, authority, caller())
	letGo := hang(t, url)
	stale()
	impatient, leave := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer leave()
	started := time.Now()
	var group sync.WaitGroup
	group.Go(func() { // is the first, and so the one that the read was begun for
		_, err := authority.Verify(impatient, token)
		if err == nil || time.Since(started) > time.Second {
			t.Errorf("left after %v with %v", time.Since(started), err)
		}
	})
	time.Sleep(50 * time.Millisecond)
	group.Go(func() {
		if _, err := authority.Verify(t.Context(), token); err != nil {
			t.Errorf("failed with the one that left: %v", err)
		}
	})
	time.Sleep(250 * time.Millisecond)
	letGo()
	group.Wait()
}

// TestAReadThatBeganTooLongAgoDoesNotCount: a revocation may have been committed since.
func TestAReadThatBeganTooLongAgoDoesNotCount(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	database := openPool(t, url, 0)
	authority := newAuthority(t, database)
	revoked := caller()
	token := issue(t, authority, revoked)

	tx, err := openPool(t, url, 0).Begin(t.Context())
	require.NoError(t, err)
	// The keys are read after the revocations: the read has missed what is revoked while it waits for them.
	_, err = tx.Exec(t.Context(), "LOCK TABLE signing_keys IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	stale()
	var group sync.WaitGroup
	group.Go(func() { _, _ = authority.Verify(t.Context(), token) })
	time.Sleep(100 * time.Millisecond)
	change(t, database, func(tx *postgres.Tx) error { return tokens.RevokeSessions(t.Context(), tx, revoked.SessionID) })
	time.Sleep(1100 * time.Millisecond)
	group.Go(func() {
		if _, err := authority.Verify(t.Context(), token); err == nil {
			t.Error("let in more than a second after the revocation")
		}
	})
	time.Sleep(100 * time.Millisecond)
	require.NoError(t, tx.Rollback(t.Context()))
	group.Wait()
}

func TestReplicasWhoseClocksDiffer(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	authority := newAuthority(t, openPool(t, url, 0))
	for name, ahead := range map[string]time.Duration{"ahead": 3 * time.Second, "behind": -3 * time.Second} {
		other := newAuthority(t, openPool(t, url, ahead))
		_, err := authority.Verify(t.Context(), issue(t, other, caller()))
		require.NoError(t, err, "a token of a replica that is %s", name)
	}

	// A revocation is dated by the clock of the replica that is asked for it.
	revoked := caller()
	token := issue(t, authority, revoked)
	late := openPool(t, url, -5*time.Minute)
	change(t, late, func(tx *postgres.Tx) error {
		tx.Now = tx.Now.Add(-4 * time.Minute) // and its transaction began long before its end
		return tokens.RevokeSessions(t.Context(), tx, revoked.SessionID)
	})
	_, err := newAuthority(t, openPool(t, url, 5*time.Minute)).Verify(t.Context(), token)
	require.ErrorIs(t, err, tokens.ErrInvalid)
	require.NoError(t, tokens.Sweep(t.Context(), openPool(t, url, 5*time.Minute)))
	stale()
	_, err = authority.Verify(t.Context(), token)
	require.ErrorIs(t, err, tokens.ErrInvalid)
}

func TestRevocations(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	database := openPool(t, url, 0)
	authority := newAuthority(t, database)
	session, subject, epochs, all, untouched := caller(), caller(), caller(), caller(), caller()
	for _, one := range []*access.Principal{session, subject, epochs, all} {
		_, err := authority.Verify(t.Context(), issue(t, authority, one))
		require.NoError(t, err)
	}
	change(t, database, func(tx *postgres.Tx) error {
		ctx := t.Context()
		for _, err := range []error{
			tokens.RevokeSessions(ctx, tx),
			tokens.RevokeSessions(ctx, tx, session.SessionID, uuid.New()),
			tokens.RevokeSubjectForGood(ctx, tx, subject.ID),
			tokens.RevokeBefore(ctx, tx, epochs.ID, 3), tokens.RevokeBefore(ctx, tx, epochs.ID, 2),
			tokens.RevokeBefore(ctx, tx, all.ID, 7), tokens.RevokeSubjectForGood(ctx, tx, all.ID),
			tokens.RevokeBefore(ctx, tx, all.ID, 8),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	stale()
	for name, test := range map[string]struct {
		caller *access.Principal
		epoch  int32
		valid  bool
	}{
		"of a session":                   {session, 1, false},
		"of a later epoch of a session":  {session, 9, false},
		"of a subject for good":          {subject, 1, false},
		"got later":                      {subject, 9, false},
		"before the epochs":              {epochs, 1, false},
		"between two epochs":             {epochs, 2, false},
		"of the later epoch":             {epochs, 3, true},
		"for good, with epochs besides":  {all, 100, false},
		"of somebody who was not named":  {untouched, 1, true},
		"of another session of the same": {&access.Principal{ID: session.ID, SessionID: uuid.New()}, 1, true},
	} {
		one := *test.caller
		one.Epoch = test.epoch
		_, err := authority.Verify(t.Context(), issue(t, authority, &one))
		if test.valid {
			require.NoError(t, err, name)
		} else {
			require.ErrorIs(t, err, tokens.ErrInvalid, name)
		}
	}
	rows, err := db.New().TokenRevocationList(t.Context(), database, time.Time{})
	require.NoError(t, err)
	require.Len(t, rows, 5, "one for each target, however often it was named")
}

// TestAnotherSecretKeyIsNoLostDatabase: it will not be better in a second.
func TestAnotherSecretKeyIsNoLostDatabase(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	database := openPool(t, url, 0)
	authority := newAuthority(t, database)
	token := issue(t, authority, caller())
	key, err := tokens.NewKey()
	require.NoError(t, err)
	theirs := keyring(t, "another secret key that is for tests")
	change(t, database, func(tx *postgres.Tx) error {
		_, err := tokens.RotateKey(t.Context(), tx, theirs, key)
		return err
	})
	stale()
	_, err = authority.Verify(t.Context(), token)
	require.ErrorContains(t, err, "CLIENTELE_SECRET_KEY")
	require.False(t, fault.IsKind(err, fault.Unavailable), "%v", err)
	require.NotErrorIs(t, err, tokens.ErrInvalid)
}

func TestFollowEndsWithItsContext(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	database := openPool(t, url, 0)
	authority := newAuthority(t, database)
	ctx, stop := context.WithCancel(t.Context())
	var background sync.WaitGroup
	background.Go(func() { authority.Follow(ctx) })
	stale()
	hang(t, url)
	time.Sleep(400 * time.Millisecond) // it is reading now, and that hangs
	stop()
	stopped := time.Now()
	background.Wait()
	require.Less(t, time.Since(stopped), time.Second)
}
