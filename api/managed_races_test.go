package api_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/domains"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/identities"
	"github.com/clientele-api/clientele/internal/managed"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
)

// moveAway is a move out of everybody's reach.
func moveAway(t *testing.T, id uuid.UUID) func(tx *postgres.Tx) error {
	t.Helper()
	return func(tx *postgres.Tx) error {
		_, err := customers.Update(t.Context(), tx, id, etag.Versions{}, customers.Patch{ParentID: nullable.NewNullNullable[uuid.UUID]()})
		return err
	}
}

// TestManagingBesideItsEnd: a change that has begun while the access to it is taken away waits, and finds it gone.
func TestManagingBesideItsEnd(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	for name, test := range map[string]struct {
		end           func(f family) func(tx *postgres.Tx) error
		known, parent int // what calls answer, and a creation below
	}{
		"moved":                    {func(f family) func(tx *postgres.Tx) error { return moveAway(t, f.grandchild.Id) }, 404, 422},
		"moved with what is above": {func(f family) func(tx *postgres.Tx) error { return moveAway(t, f.child.Id) }, 404, 422},
		"role taken away": {func(f family) func(tx *postgres.Tx) error {
			return func(tx *postgres.Tx) error {
				role := identities.Member
				_, err := identities.Update(t.Context(), tx, f.manager.CustomerID, f.manager.ID, etag.Versions{}, identities.Patch{Role: &role})
				return err
			}
		}, 403, 403},
		"deleted": {func(f family) func(tx *postgres.Tx) error {
			plan, err := customers.PlanDeletion(t.Context(), s.DB, s.Keyring, nil, f.grandchild.Id, etag.Versions{})
			require.NoError(t, err)
			return func(tx *postgres.Tx) error {
				return customers.Delete(t.Context(), tx, s.Keyring, f.grandchild.Id, etag.Versions{}, plan.Token)
			}
		}, 404, 422},
	} {
		f := lineOf(t, s, admin)
		var patched, created *apitest.Response
		holding(t, s, test.end(f),
			func() { patched = f.manager.Do(t, "PATCH", managedAt(f.grandchild), `{"phone":"1"}`) },
			func() {
				created = f.manager.Do(t, "POST", managedPath, apitest.Fields{"name": "x", "parent_id": f.grandchild.Id})
			})
		require.Equal(t, []int{test.known, test.parent}, []int{patched.Status, created.Status}, name)

		f = lineOf(t, s, admin)
		var invited *apitest.Response
		holding(t, s, test.end(f),
			func() { invited = f.manager.Do(t, "POST", managedAt(f.grandchild)+"/activation-requests", nil) })
		require.Equal(t, test.known, invited.Status, name)
	}
}

// TestManagingBesideDeactivation: a change waits for the parent's suspension, and is refused.
func TestManagingBesideDeactivation(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	f := lineOf(t, s, s.Staff(t, access.Administrator))
	var patched, created *apitest.Response
	holding(t, s, func(tx *postgres.Tx) error {
		_, err := customers.Deactivate(t.Context(), tx, f.manager.CustomerID, etag.Versions{})
		return err
	},
		func() { patched = f.manager.Do(t, "PATCH", managedAt(f.grandchild), `{"phone":"1"}`) },
		func() { created = f.manager.Do(t, "POST", managedPath, `{"name":"x"}`) })
	require.Equal(t, []int{401, 401}, []int{patched.Status, created.Status})
}

// TestMoveBesideManaging: a move waits for the change of a manager, and neither breaks the other off.
func TestMoveBesideManaging(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	f := lineOf(t, s, admin)
	caller, err := s.Authority.Verify(t.Context(), f.manager.Token)
	require.NoError(t, err)
	var moveRuns int
	var moveErr error
	holding(t, s, func(tx *postgres.Tx) error {
		phone := nullable.NewNullableWithValue("1")
		_, err := managed.Update(t.Context(), tx, caller, f.grandchild.Id, etag.Versions{}, customers.Patch{Phone: phone})
		return err
	}, changing(t, s, &moveRuns, &moveErr, moveAway(t, f.child.Id)))
	require.NoError(t, moveErr)
	require.Equal(t, 1, moveRuns)
	requireCalls(t, f.manager, managedAt(f.grandchild), 404)
}

// TestManagedQueriesAskAgain: whoever has passed the door and loses the access then finds nothing behind it.
func TestManagedQueriesAskAgain(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	f := lineOf(t, s, admin)
	admin.Domain(t, f.child.Id, nil)
	caller, err := s.Authority.Verify(t.Context(), f.manager.Token)
	require.NoError(t, err)
	requireFound := func(found int) {
		t.Helper()
		page, err := managed.List(t.Context(), s.DB, caller, customers.Filter{}, "name", paging.Request{Limit: 10, Total: true})
		require.NoError(t, err)
		require.Len(t, page.Rows, 2*found)
		require.EqualValues(t, 2*found, *page.Total)
		filter := domains.Filter{CustomerID: &f.child.Id, ManagedBy: &caller.ID, Descendants: true}
		var read int
		require.NoError(t, s.DB.Snapshot(t.Context(), func(tx pgx.Tx) error {
			rows, err := domains.Reader(tx, filter, "host")
			require.NoError(t, err)
			return rows.Each(t.Context(), nil, func(*domains.Named) error { read++; return nil })
		}))
		require.Equal(t, found, read)
		_, err = managed.Get(t.Context(), s.DB, caller, f.child.Id)
		if found == 0 {
			require.ErrorIs(t, err, pgx.ErrNoRows)
			return
		}
		require.NoError(t, err)
	}
	requireFound(1)
	login := identityPath(f.manager.CustomerID, f.manager.ID)
	admin.Must(t, 200, "PATCH", login, `{"role":"member"}`)
	requireFound(0)
	admin.Must(t, 200, "PATCH", login, `{"role":"manager"}`)
	requireFound(1)
	admin.Must(t, 200, "POST", "/v1/customers/"+f.manager.CustomerID.String()+"/deactivate", nil)
	requireFound(0)
}
