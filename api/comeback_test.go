package api_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/identities"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/secrets"
)

// TestTheSameLoginFindsItsPublishings: in every way in which logins are deleted, and in every way in which they come to
// be.
func TestTheSameLoginFindsItsPublishings(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	deleteOne := func(me *apitest.Caller) { admin.Must(t, 204, "DELETE", identityPath(me.CustomerID, me.ID), nil) }
	deleteAll := func(me *apitest.Caller) {
		admin.Must(t, 204, "DELETE", "/v1/customers/"+me.CustomerID.String()+"/identities", nil)
	}
	byStaff := func(customerID uuid.UUID, email string) *apitest.Caller {
		caller := s.Anonymous()
		caller.ID = admin.Identity(t, customerID, apitest.Fields{"email": email, "password": apitest.Password}).Id
		admin.Must(t, 200, "POST", "/v1/customers/"+customerID.String()+"/activate", nil)
		caller.Token = caller.SignIn(t, "portal", email, apitest.Password).AccessToken
		return caller
	}
	byLink := func(customerID uuid.UUID, email string) *apitest.Caller {
		customer := openapi.Customer{Id: customerID}
		admin.Must(t, 200, "PATCH", path(customer), apitest.Fields{"email": email})
		caller := s.Anonymous()
		caller.ID = follow(t, s, tokenOf(t, *prepare(t, admin, customer, "{}").Link), "").Identity.Id
		caller.Token = caller.SignIn(t, "portal", email, apitest.Password).AccessToken
		return caller
	}
	for name, ways := range map[string]struct {
		remove func(me *apitest.Caller)
		create func(customerID uuid.UUID, email string) *apitest.Caller
	}{
		"deleted and added by staff":     {deleteOne, byStaff},
		"all deleted and added by staff": {deleteAll, byStaff},
		"deleted and invited":            {deleteOne, byLink},
		"all deleted and invited":        {deleteAll, byLink},
	} {
		t.Run(name, func(t *testing.T) {
			me := portalUser(t, s, "member")
			email := me.Email
			private := me.Publishing(t, apitest.Fields{"title": "private", "content": raw(`{"n":1.0}`)})
			me.Publishing(t, apitest.Fields{"title": "shared", "visibility": "customer"})
			staffs := "/v1/customers/" + me.CustomerID.String() + "/publishings"
			admin.Must(t, 200, "GET", publishingPath(me.CustomerID, private.Id), nil)
			ways.remove(me)

			var kept openapi.ListedPublishingPage
			admin.Must(t, 200, "GET", staffs, nil).JSON(t, &kept)
			require.Len(t, kept.Data, 2)
			require.Nil(t, kept.Data[0].IdentityId)
			require.Nil(t, kept.Data[1].IdentityId)
			requireOnlyAHash(t, s, me.CustomerID, email)

			back := ways.create(me.CustomerID, strings.ToUpper(email[:3])+email[3:])
			require.NotEqual(t, me.ID, back.ID)
			require.ElementsMatch(t, []string{"private", "shared"}, titles(t, back, ownPublishings))
			require.Equal(t, []string{"private"}, titles(t, back, ownPublishings+"?content[n]=1"))
			var found openapi.Publishing
			back.Must(t, 200, "GET", ownPublishings+"/"+private.Id.String(), nil).JSON(t, &found)
			require.Equal(t, back.ID, found.Owner.Id)
			require.Equal(t, private.Version, found.Version)
			require.Len(t, accessesOf(t, back, private.Id, "").Data, 1)
			back.Must(t, 200, "PATCH", ownPublishings+"/"+private.Id.String(), `{"title":"mine again"}`)
			back.Must(t, 204, "DELETE", ownPublishings+"/"+private.Id.String(), nil)
		})
	}
}

// requireOnlyAHash demands that nothing of a deleted login's email address is left with its publishings.
func requireOnlyAHash(t *testing.T, s *apitest.Server, customerID uuid.UUID, email string) {
	t.Helper()
	var text string
	var hashes int
	require.NoError(t, s.DB.QueryRow(t.Context(), `SELECT string_agg(publishings::text, ' '), count(*) FILTER (WHERE length(owner_hash) = 32
		AND identity_id IS NULL) FROM publishings WHERE customer_id = $1`, customerID).Scan(&text, &hashes))
	require.NotContains(t, text, email)
	require.Equal(t, 2, hashes)
}

// TestWhatADeletedLoginLeaves: others see nothing of it, whoever they are and whatever they are called.
func TestWhatADeletedLoginLeaves(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	me := portalUser(t, s, "member")
	beside := colleague(t, s, me)
	shared := me.Publishing(t, apitest.Fields{"title": "shared", "visibility": "customer", "kind": "template", "content": raw(`{"a":1}`)})
	at := ownPublishings + "/" + shared.Id.String()
	require.Equal(t, []string{"shared"}, titles(t, beside, ownPublishings+"?shared=true"))
	admin.Must(t, 204, "DELETE", identityPath(me.CustomerID, me.ID), nil)

	invisible := func(caller *apitest.Caller) {
		t.Helper()
		caller.Must(t, 404, "GET", at, nil)
		caller.Must(t, 404, "GET", at+"/accesses", nil)
		caller.Must(t, 404, "PATCH", at, `{"title":"x"}`)
		caller.Must(t, 404, "DELETE", at, nil)
		for _, query := range []string{"", "?shared=true", "?shared=true&content[a]=1", "?shared=true&q=shared"} {
			require.Empty(t, titles(t, caller, ownPublishings+query))
		}
		requireFaults(t, caller.Must(t, 422, "POST", ownPublishings, apitest.Fields{"kind": "x", "template_id": shared.Id}),
			"/template_id reference_not_found")
	}
	invisible(beside)
	invisible(colleague(t, s, me)) // made afterwards
	// The same address at another customer is another login, and changing an address does not make one the same.
	elsewhere := login(t, s, portalUser(t, s, "member").CustomerID, me.Email)
	invisible(elsewhere)
	admin.Must(t, 200, "PATCH", identityPath(elsewhere.CustomerID, elsewhere.ID), apitest.Fields{"email": uuid.NewString() + "@example.com"})
	admin.Must(t, 200, "PATCH", identityPath(beside.CustomerID, beside.ID), apitest.Fields{"email": me.Email})
	invisible(beside)
	admin.Must(t, 200, "PATCH", identityPath(beside.CustomerID, beside.ID), apitest.Fields{"email": beside.Email})

	back := login(t, s, me.CustomerID, me.Email)
	require.Equal(t, []string{"shared"}, titles(t, back, ownPublishings))
	require.Equal(t, []string{"shared"}, titles(t, beside, ownPublishings+"?shared=true"))

	// A login that gets another address keeps what it has; who gets the old one later finds nothing.
	renamed := uuid.NewString() + "@example.com"
	admin.Must(t, 200, "PATCH", identityPath(me.CustomerID, back.ID), apitest.Fields{"email": renamed})
	require.Equal(t, []string{"shared"}, titles(t, back, ownPublishings))
	require.Empty(t, titles(t, login(t, s, me.CustomerID, me.Email), ownPublishings))
	admin.Must(t, 204, "DELETE", identityPath(me.CustomerID, back.ID), nil)
	require.Equal(t, []string{"shared"}, titles(t, login(t, s, me.CustomerID, renamed), ownPublishings))
}

// TestPublishingsAreFoundUnderAnOldKey: while the key of the installation is replaced, both are looked under.
func TestPublishingsAreFoundUnderAnOldKey(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	me := portalUser(t, s, "member")
	me.Publishing(t, apitest.Fields{"title": "old"})
	admin.Must(t, 204, "DELETE", identityPath(me.CustomerID, me.ID), nil)
	replaced, err := secrets.Parse("a new key for the same installation,a secret key that is only for tests")
	require.NoError(t, err)
	var back identities.Identity
	require.NoError(t, s.DB.Change(t.Context(), tester, func(tx *postgres.Tx) (err error) {
		back, err = identities.Add(t.Context(), tx, replaced, me.CustomerID, identities.Input{Email: &me.Email})
		return err
	}))
	var page openapi.ListedPublishingPage
	admin.Must(t, 200, "GET", "/v1/customers/"+me.CustomerID.String()+"/publishings?identity_id="+back.ID.String(), nil).JSON(t, &page)
	require.Len(t, page.Data, 1)
}
