package api_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/identities"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/publishings"
)

var tester = postgres.Change{Actor: postgres.Actor{Kind: access.KindSystem, Name: "test"}}

// holding does something in a transaction, and others beside it, each of which must come to wait for a lock before the
// next begins. Then the transaction commits, and all go on.
func holding(t *testing.T, s *apitest.Server, do func(tx *postgres.Tx) error, others ...func()) {
	t.Helper()
	settled(t, s) // or the sequencer may wait, too
	var running sync.WaitGroup
	err := s.DB.Change(t.Context(), tester, func(tx *postgres.Tx) error {
		if err := do(tx); err != nil {
			return err
		}
		for i, other := range others {
			running.Go(other)
			awaitWaiting(t, s, i+1)
		}
		return nil
	})
	running.Wait()
	require.NoError(t, err)
}

// awaitWaiting waits until so many wait for a lock.
func awaitWaiting(t *testing.T, s *apitest.Server, number int) {
	t.Helper()
	require.Eventually(t, func() bool {
		var waiting int
		require.NoError(t, s.DB.QueryRow(t.Context(), `SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted
			AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())`).Scan(&waiting))
		return waiting == number
	}, 20*time.Second, 5*time.Millisecond)
}

// lockRow locks a row as whoever changes it does.
func lockRow(t *testing.T, table string, id uuid.UUID) func(tx *postgres.Tx) error {
	t.Helper()
	return func(tx *postgres.Tx) error {
		_, err := tx.Exec(t.Context(), "SELECT FROM "+table+" WHERE id = $1 FOR NO KEY UPDATE", id)
		return err
	}
}

// changing makes a change and notes how often it was run: more than once means that PostgreSQL broke off a deadlock.
func changing(t *testing.T, s *apitest.Server, runs *int, errs *error, do func(tx *postgres.Tx) error) func() {
	t.Helper()
	return func() {
		*errs = s.DB.Change(t.Context(), tester, func(tx *postgres.Tx) error {
			*runs++
			return do(tx)
		})
	}
}

// TestPasswordBesideActivation: setting a password and following the link of the same login lock in the same order.
func TestPasswordBesideActivation(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := contact(t, admin, nil)
	login := admin.Identity(t, customer.Id, nil)
	token := tokenOf(t, *prepare(t, admin, customer, "{}").Link)
	var setRuns, followRuns int
	var setErr, followErr error
	holding(t, s, lockRow(t, "identities", login.Id),
		changing(t, s, &setRuns, &setErr, func(tx *postgres.Tx) error {
			_, err := identities.SetPassword(t.Context(), tx, customer.Id, login.Id, etag.Versions{}, "a hash")
			return err
		}),
		changing(t, s, &followRuns, &followErr, func(tx *postgres.Tx) error {
			_, err := s.Options.Activation.Activate(t.Context(), tx, token, "another hash", nil, nil)
			return err
		}))
	require.Equal(t, []int{1, 1}, []int{setRuns, followRuns})
	require.NoError(t, setErr)
	require.ErrorContains(t, followErr, "link_revoked")
}

// TestPasswordBesideDeletion: setting a password and deleting the customer lock in the same order.
func TestPasswordBesideDeletion(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	me := portalUser(t, s, "member")
	plan, err := customers.PlanDeletion(t.Context(), s.DB, s.Keyring, nil, me.CustomerID, etag.Versions{})
	require.NoError(t, err)
	var session uuid.UUID
	require.NoError(t, s.DB.QueryRow(t.Context(), "SELECT id FROM sessions WHERE identity_id = $1", me.ID).Scan(&session))
	var deleteRuns, setRuns int
	var deleteErr, setErr error
	holding(t, s, lockRow(t, "sessions", session),
		changing(t, s, &deleteRuns, &deleteErr, func(tx *postgres.Tx) error {
			return customers.Delete(t.Context(), tx, s.Keyring, me.CustomerID, etag.Versions{}, plan.Token)
		}),
		changing(t, s, &setRuns, &setErr, func(tx *postgres.Tx) error {
			_, err := identities.SetPassword(t.Context(), tx, me.CustomerID, me.ID, etag.Versions{}, "a hash")
			return err
		}))
	require.Equal(t, []int{1, 1}, []int{deleteRuns, setRuns})
	require.NoError(t, deleteErr)
	require.ErrorContains(t, setErr, "not_found")
}

// TestNoLinkToAFormerAddress: a request that is prepared while the login's email address changes goes to the new one.
func TestNoLinkToAFormerAddress(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := contact(t, admin, nil)
	login := admin.Identity(t, customer.Id, nil)
	address := uuid.NewString() + "@example.com"
	elsewhere := in(t, admin, "unregistered")
	var update *apitest.Response
	var prepared openapi.ActivationRequest
	// The address is somebody else's for a moment: that holds the change up when it has revoked the links already.
	holding(t, s, func(tx *postgres.Tx) error {
		other := admin.Identity(t, elsewhere.Id, apitest.Fields{"email": address})
		return db.New().IdentityDelete(t.Context(), tx, other.Id)
	},
		func() {
			update = admin.Do(t, "PATCH", identityPath(customer.Id, login.Id), apitest.Fields{"email": address})
		},
		func() { prepared = prepare(t, admin, customer, fmt.Sprintf(`{"identity_id": %q}`, login.Id)) })
	require.Equal(t, 200, update.Status, string(update.Body))
	require.Equal(t, address, prepared.Message.To)
}

// TestNothingIsKeptOfALoginThatAccepts: an acceptance that races with the deletion of the login finds it gone.
func TestNothingIsKeptOfALoginThatAccepts(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	me := portalUser(t, s, "member")
	published := s.Staff(t, access.Administrator).Terms(t, "First")
	var answer *apitest.Response
	holding(t, s, func(tx *postgres.Tx) error {
		return identities.DeleteAll(t.Context(), tx, s.Keyring, me.CustomerID, etag.Versions{})
	}, func() {
		answer = me.Do(t, "POST", "/v1/portal/terms-acceptances", apitest.Fields{"terms_id": published.Id})
	})
	require.Equal(t, 401, answer.Status, string(answer.Body))
	var kept int
	require.NoError(t, s.DB.QueryRow(t.Context(), "SELECT count(*) FROM terms_acceptances WHERE identity_email IS NOT NULL").Scan(&kept))
	require.Zero(t, kept)
	require.NoError(t, s.DB.QueryRow(t.Context(), "SELECT count(*) FROM events WHERE actor_kind = 'identity' AND actor_name <> ''").Scan(&kept))
	require.Zero(t, kept)
}

// settled waits until every event has its position: the sequencer would wait for whoever erases one that has not.
func settled(t *testing.T, s *apitest.Server) {
	t.Helper()
	require.Eventually(t, func() bool {
		state, err := db.New().EventFeedState(t.Context(), s.DB)
		require.NoError(t, err)
		return !state.Unplaced
	}, 20*time.Second, 5*time.Millisecond)
}

// TestWritingBesideTheDeletionOfALogin: whoever comes second finds the login gone, and what came first is kept without its
// name.
func TestWritingBesideTheDeletionOfALogin(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	me := portalUser(t, s, "member")
	at := ownPublishings + "/" + me.Publishing(t, nil).Id.String()
	var created, patched *apitest.Response
	holding(t, s, func(tx *postgres.Tx) error {
		return identities.DeleteAll(t.Context(), tx, s.Keyring, me.CustomerID, etag.Versions{})
	}, func() {
		created = me.Do(t, "POST", ownPublishings, apitest.Fields{"kind": "post", "title": "late"})
	}, func() {
		patched = me.Do(t, "PATCH", at, apitest.Fields{"title": "late"})
	})
	require.Equal(t, 401, created.Status, string(created.Body))
	require.Equal(t, 404, patched.Status, string(patched.Body))

	me = portalUser(t, s, "member")
	caller := &access.Principal{Kind: access.KindIdentity, ID: me.ID, Name: "Early", CustomerID: me.CustomerID}
	title := "early"
	holding(t, s, func(tx *postgres.Tx) error {
		tx.Actor = postgres.Actor{Kind: caller.Kind, ID: &caller.ID, Name: caller.Name}
		if _, err := tx.Exec(t.Context(), "SET LOCAL clientele.actor = 'identity "+me.ID.String()+"'"); err != nil {
			return err
		}
		_, err := publishings.Create(t.Context(), tx, caller, publishings.Input{Kind: "post", Title: &title})
		return err
	}, func() {
		s.Staff(t, access.Administrator).Must(t, 204, "DELETE", "/v1/customers/"+me.CustomerID.String()+"/identities", nil)
	})
	var found []string
	require.NoError(t, s.DB.QueryRow(t.Context(), `SELECT array_agg(title ORDER BY title) FROM publishings
		WHERE identity_id IS NULL AND customer_id = $1`, me.CustomerID).Scan(&found))
	require.Equal(t, []string{"early"}, found)
	var kept int
	require.NoError(t, s.DB.QueryRow(t.Context(), "SELECT count(*) FROM events WHERE actor_kind = 'identity' AND actor_name <> ''").Scan(&kept))
	require.Zero(t, kept)
}

// TestWritingBesideTheDeletionOfACustomer: nothing is left of it, and nobody is told of an error of ours.
func TestWritingBesideTheDeletionOfACustomer(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	me := portalUser(t, s, "member")
	at := ownPublishings + "/" + me.Publishing(t, nil).Id.String()
	answers := make([]*apitest.Response, 3)
	holding(t, s, func(tx *postgres.Tx) error {
		if _, err := db.New().CustomerGetForUpdate(t.Context(), tx, me.CustomerID, nil); err != nil {
			return err
		}
		return db.New().CustomerDeleteAll(t.Context(), tx, []uuid.UUID{me.CustomerID})
	}, func() {
		answers[0] = me.Do(t, "POST", ownPublishings, apitest.Fields{"kind": "post", "title": "late"})
	}, func() {
		answers[1] = me.Do(t, "PATCH", at, apitest.Fields{"title": "late"})
	}, func() {
		answers[2] = s.Staff(t, access.Viewer).Do(t, "GET", publishingPath(me.CustomerID, uuid.MustParse(at[len(ownPublishings)+1:])), nil)
	})
	require.Equal(t, []int{401, 404, 404}, []int{answers[0].Status, answers[1].Status, answers[2].Status})
	_, all := publishingsOf(t, s, me.CustomerID)
	require.Zero(t, all)
}

// TestResetBesideDeletion: who asks for a reset while the login is deleted is answered as everybody else.
func TestResetBesideDeletion(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	me := portalUser(t, s, "member")
	holding(t, s, func(tx *postgres.Tx) error {
		return identities.DeleteAll(t.Context(), tx, s.Keyring, me.CustomerID, etag.Versions{})
	}, func() { askForReset(t, s, me.Email) })
}

// TestNoResetForAFormerAddress: a reset that is asked for while the login's email address changes does not outlive that.
func TestNoResetForAFormerAddress(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	me := portalUser(t, s, "member")
	admin := s.Staff(t, access.Administrator)
	var running sync.WaitGroup
	err := s.DB.Change(t.Context(), tester, func(tx *postgres.Tx) error {
		// This holds up the change of the address, and nothing that only refers to the login.
		if _, err := tx.Exec(t.Context(), "SELECT FROM identities WHERE id = $1 FOR KEY SHARE", me.ID); err != nil {
			return err
		}
		running.Go(func() {
			admin.Must(t, 200, "PATCH", identityPath(me.CustomerID, me.ID), apitest.Fields{"email": uuid.NewString() + "@example.com"})
		})
		awaitWaiting(t, s, 1)
		askForReset(t, s, me.Email)
		return nil
	})
	running.Wait()
	require.NoError(t, err)
	var open int
	require.NoError(t, s.DB.QueryRow(t.Context(), "SELECT count(*) FROM password_resets WHERE state = 'open'").Scan(&open))
	require.Zero(t, open)
}
