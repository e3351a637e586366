package api_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/dbtest"
)

func profileOf(t *testing.T, caller *apitest.Caller) (openapi.PortalProfile, string) {
	t.Helper()
	response := caller.Must(t, 200, "GET", "/v1/portal/profile", nil)
	var profile openapi.PortalProfile
	response.JSON(t, &profile)
	return profile, response.Header.Get("ETag")
}

func TestPortalProfile(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := admin.ActiveCustomer(t, apitest.Fields{
		"name": "Moreno", "phone": "1", "comments": "never pays", "external_id": "secret-1", "modules": []string{"reports"},
		"properties": map[string]any{"tier": "gold"},
	})
	admin.Note(t, customer.Id, "rude on the phone")
	me := s.Identity(t, customer.Id)
	response := me.Must(t, 200, "GET", "/v1/portal/profile", nil)
	for _, hidden := range []string{"never pays", "secret-1", "gold", "rude", "properties", "comments", "external_id"} {
		require.NotContains(t, string(response.Body), hidden)
	}
	profile, tag := profileOf(t, me)
	require.Equal(t, customer.Id, profile.Customer.Id)
	require.Equal(t, me.ID, profile.Identity.Id)
	require.Equal(t, openapi.Modules{"reports"}, profile.Customer.Modules)
	me.Must(t, 304, "GET", "/v1/portal/profile", nil, apitest.Header("If-None-Match", tag))

	patch := apitest.Fields{"identity": apitest.Fields{"name": "Antonio"}, "customer": apitest.Fields{"phone": nil, "address": "Mataderos 2312"}}
	changed := me.Must(t, 200, "PATCH", "/v1/portal/profile", patch, apitest.Header("If-Match", tag))
	changed.JSON(t, &profile)
	require.Equal(t, "Antonio", profile.Identity.Name)
	require.Nil(t, profile.Customer.Phone)
	require.Equal(t, "Mataderos 2312", *profile.Customer.Address)
	me.Must(t, 412, "PATCH", "/v1/portal/profile", patch, apitest.Header("If-Match", tag))
	require.Equal(t, changed.Header.Get("ETag"), me.Must(t, 200, "PATCH", "/v1/portal/profile", "{}").Header.Get("ETag"))
	admin.Must(t, 200, "PATCH", path(customer), `{"comments":"pays now"}`) // not shown, but a change of the customer
	me.Must(t, 412, "PATCH", "/v1/portal/profile", patch, apitest.Header("If-Match", changed.Header.Get("ETag")))

	requireFaults(t, me.Must(t, 422, "PATCH", "/v1/portal/profile", apitest.Fields{
		"identity": apitest.Fields{"email": "x@example.com", "role": "manager"},
		"customer": apitest.Fields{"email": "x@example.com", "properties": nil, "parent_id": nil, "name": ""},
	}), "/identity/email unknown_member", "/identity/role unknown_member", "/customer/email unknown_member",
		"/customer/properties unknown_member", "/customer/parent_id unknown_member", "/customer/name too_short")

	var history openapi.EventPage
	admin.Must(t, 200, "GET", path(customer)+"/events?limit=2", nil).JSON(t, &history)
	require.Equal(t, "customer.updated", history.Data[0].Type)
	require.Equal(t, openapi.Actor{Kind: "identity", Id: &me.ID, Name: me.Name(t)}, history.Data[1].Actor)
}

func TestPortalProfileOfMany(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	me := portalUser(t, s, "member")
	admin.Identity(t, me.CustomerID, nil)
	patch := `{"customer":{"phone":"2"},"identity":{"name":"Changed"}}`
	refused := me.Must(t, 403, "PATCH", "/v1/portal/profile", patch)
	require.Equal(t, "manager_required", refused.Problem(t).Code)
	profile, _ := profileOf(t, me)
	require.NotEqual(t, "Changed", profile.Identity.Name, "half of it was done")
	me.Must(t, 200, "PATCH", "/v1/portal/profile", `{"identity":{"name":"Changed"}}`)
	admin.Must(t, 200, "PATCH", identityPath(me.CustomerID, me.ID), `{"role":"manager"}`)
	me.Must(t, 200, "PATCH", "/v1/portal/profile", patch)
	admin.Must(t, 200, "PATCH", identityPath(me.CustomerID, me.ID), `{"role":"member"}`)
	me.Must(t, 403, "PATCH", "/v1/portal/profile", patch)
}

func TestMeOfAnIdentity(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	user := portalUser(t, s, "manager")
	var me openapi.Me
	user.Must(t, 200, "GET", "/v1/me", nil).JSON(t, &me)
	require.Equal(t, []any{"identity", user.ID, user.Email, "manager", user.CustomerID, []string{"portal"}},
		[]any{me.Kind, me.Id, *me.Email, *me.Role, *me.CustomerId, me.Scopes})
	user.Must(t, 403, "PUT", "/v1/me/password", apitest.Fields{"current_password": "x", "password": apitest.Password})
}

func TestPortalPassword(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	me := portalUser(t, s, "member")
	other := s.Identity(t, me.CustomerID)
	const password = "another four words here"
	body := apitest.Fields{"current_password": "not this one", "password": password}
	requireFaults(t, me.Must(t, 422, "PUT", "/v1/portal/password", body), "/current_password wrong_password")
	body["current_password"] = apitest.Password
	me.Must(t, 204, "PUT", "/v1/portal/password", body)
	portalRefused(t, s, other)
	profileOf(t, me) // goes on
	s.Anonymous().SignIn(t, "portal", me.Email, password)
	refuseSignIn(t, s, me.Email, apitest.Password)

	again := s.Anonymous().SignIn(t, "portal", me.Email, password)
	admin.Must(t, 200, "PUT", identityPath(me.CustomerID, me.ID)+"/password", apitest.Fields{"password": apitest.Password})
	portalRefused(t, s, me, &apitest.Caller{Token: again.AccessToken, RefreshToken: again.RefreshToken})
	s.Anonymous().SignIn(t, "portal", me.Email, apitest.Password)
}

// refuseSignIn demands that a login is refused, in the words that are the same for every reason.
func refuseSignIn(t *testing.T, s *apitest.Server, email, password string) {
	t.Helper()
	response := postForm(t, s, "/oauth/token",
		form("grant_type", "password", "client_id", "portal", "username", email, "password", password))
	require.Equal(t, 400, response.Status, string(response.Body))
	require.JSONEq(t, `{"error":"invalid_grant","error_description":"The login or the password is wrong."}`, string(response.Body))
}

// portalRefused demands that sessions are worthless: their refresh tokens at once, their access tokens within a second.
func portalRefused(t *testing.T, s *apitest.Server, callers ...*apitest.Caller) {
	t.Helper()
	deadline := time.Now().Add(time.Second)
	for _, caller := range callers {
		if caller.RefreshToken != "" {
			response := postForm(t, s, "/oauth/token",
				form("grant_type", "refresh_token", "client_id", "portal", "refresh_token", caller.RefreshToken))
			require.Equal(t, 400, response.Status, string(response.Body))
		}
		for {
			asked := time.Now()
			response := bearing(s, caller.Token).Do(t, "GET", "/v1/portal/profile", nil)
			if response.Status == 401 {
				break
			}
			require.True(t, asked.Before(deadline), "still let in a second later: %d", response.Status)
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func TestPortalSessions(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	me := portalUser(t, s, "member")
	other := s.Anonymous()
	response := other.Must(t, 200, "POST", "/oauth/token",
		form("grant_type", "password", "client_id", "portal", "username", me.Email, "password", apitest.Password).Encode(),
		apitest.Header("Content-Type", formType), apitest.Header("User-Agent", strings.Repeat("ż", 300)))
	var granted openapi.TokenResponse
	response.JSON(t, &granted)
	other.Token, other.RefreshToken = granted.AccessToken, granted.RefreshToken

	var page openapi.SessionPage
	me.Must(t, 200, "GET", "/v1/portal/sessions?include_total=true", nil).JSON(t, &page)
	require.Len(t, page.Data, 2)
	require.EqualValues(t, 2, *page.Total)
	require.Equal(t, []bool{false, true}, []bool{page.Data[0].Current, page.Data[1].Current})
	require.Equal(t, strings.Repeat("ż", 200), *page.Data[0].UserAgent)

	stranger := portalUser(t, s, "manager")
	stranger.Must(t, 404, "DELETE", "/v1/portal/sessions/"+page.Data[0].Id.String(), nil)
	me.Must(t, 204, "DELETE", "/v1/portal/sessions/"+page.Data[0].Id.String(), nil)
	me.Must(t, 404, "DELETE", "/v1/portal/sessions/"+page.Data[0].Id.String(), nil)
	portalRefused(t, s, other)
	profileOf(t, me)
	me.Must(t, 204, "DELETE", "/v1/portal/sessions/"+page.Data[1].Id.String(), nil)
	portalRefused(t, s, me)
}

// TestAccessEndsOnEveryReplica: what takes access away does so within a second on a replica that did not hear of it.
func TestAccessEndsOnEveryReplica(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	one := apitest.NewOn(t, url)
	two := apitest.NewOn(t, url, apitest.PublicURL(one.URL))
	admin := one.Staff(t, access.Administrator)
	for name, end := range map[string]func(me *apitest.Caller){
		"suspended": func(me *apitest.Caller) {
			admin.Must(t, 200, "POST", fmt.Sprintf("/v1/customers/%s/deactivate", me.CustomerID), nil)
		},
		"logins deleted": func(me *apitest.Caller) {
			admin.Must(t, 204, "DELETE", fmt.Sprintf("/v1/customers/%s/identities", me.CustomerID), nil)
		},
		"login deleted": func(me *apitest.Caller) {
			admin.Must(t, 204, "DELETE", identityPath(me.CustomerID, me.ID), nil)
		},
		"password set": func(me *apitest.Caller) {
			admin.Must(t, 200, "PUT", identityPath(me.CustomerID, me.ID)+"/password", apitest.Fields{"password": "other words for it"})
		},
		"customer deleted": func(me *apitest.Caller) {
			at := "/v1/customers/" + me.CustomerID.String()
			plan := admin.Must(t, 428, "DELETE", at, nil).Problem(t)
			admin.Must(t, 204, "DELETE", at+"?confirm="+*plan.ConfirmationToken, nil)
		},
	} {
		me := portalUser(t, one, "member")
		bearing(two, me.Token).Must(t, 200, "GET", "/v1/portal/profile", nil)
		end(me)
		t.Run(name, func(t *testing.T) {
			portalRefused(t, two, me)
			portalRefused(t, one, me)
			refuseSignIn(t, two, me.Email, apitest.Password)
		})
	}
}

func TestOnlyActiveCustomersSignIn(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := in(t, admin, "inactive")
	email := admin.Identities(t, customer.Id)[0].Email
	hashes := s.Hasher.Count()
	refuseSignIn(t, s, email, apitest.Password)
	require.EqualValues(t, 1, s.Hasher.Count()-hashes, "it takes as long as a wrong password")
	admin.Must(t, 200, "POST", path(customer)+"/activate", nil)
	s.Anonymous().SignIn(t, "portal", strings.ToUpper(email), apitest.Password)
	pending := admin.Identity(t, customer.Id, nil)
	refuseSignIn(t, s, pending.Email, apitest.Password)
	refuseSignIn(t, s, "nobody@example.com", apitest.Password)

	var now openapi.Customer
	admin.Must(t, 200, "GET", path(customer), nil).JSON(t, &now)
	require.WithinDuration(t, time.Now(), *now.LastActivityAt, time.Minute)
	require.EqualValues(t, 2, now.Version)
	require.WithinDuration(t, time.Now(), *admin.Identities(t, customer.Id)[0].LastLoginAt, time.Minute)
	// The realms are apart.
	other := postForm(t, s, "/oauth/token", form("grant_type", "password", "client_id", "staff", "username", email, "password", apitest.Password))
	require.Equal(t, 400, other.Status)
	staffs := postForm(t, s, "/oauth/token", form("grant_type", "password", "client_id", "portal", "username", admin.Email, "password", apitest.Password))
	require.Equal(t, 400, staffs.Status)
}

func TestActivityOfARefresh(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	me := portalUser(t, s, "member")
	s.Clock.Advance(2 * time.Hour)
	response := postForm(t, s, "/oauth/token", form("grant_type", "refresh_token", "client_id", "portal", "refresh_token", me.RefreshToken))
	require.Equal(t, 200, response.Status)
	admin := s.Staff(t, access.Administrator)
	var customer openapi.Customer
	admin.Must(t, 200, "GET", "/v1/customers/"+me.CustomerID.String(), nil).JSON(t, &customer)
	require.WithinDuration(t, s.Clock.Now(), *customer.LastActivityAt, time.Minute)
	require.EqualValues(t, 1, customer.Version)
}

// TestNoSessionAfterASuspension: a sign-in or a refresh that races with the suspension leaves no session that outlives
// it.
func TestNoSessionAfterASuspension(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	one := apitest.NewOn(t, url)
	two := apitest.NewOn(t, url, apitest.PublicURL(one.URL))
	admin := one.Staff(t, access.Administrator)
	for round := range 6 {
		me := portalUser(t, one, "member")
		granted := make([]*apitest.Response, 6)
		var wait sync.WaitGroup
		for i := range granted {
			values := form("grant_type", "password", "client_id", "portal", "username", me.Email, "password", apitest.Password)
			if i == 0 {
				values = form("grant_type", "refresh_token", "client_id", "portal", "refresh_token", me.RefreshToken)
			}
			wait.Go(func() { granted[i] = postForm(t, two, "/oauth/token", values) })
		}
		time.Sleep(time.Duration(round*60) * time.Millisecond) // the moment is another one in each round
		admin.Must(t, 200, "POST", fmt.Sprintf("/v1/customers/%s/deactivate", me.CustomerID), nil)
		wait.Wait()
		late := []*apitest.Caller{me}
		for _, response := range granted {
			if response.Status == 200 {
				var tokens openapi.TokenResponse
				response.JSON(t, &tokens)
				late = append(late, &apitest.Caller{Token: tokens.AccessToken, RefreshToken: tokens.RefreshToken})
			}
		}
		portalRefused(t, two, late...)
		var open int
		require.NoError(t, one.DB.QueryRow(t.Context(),
			"SELECT count(*) FROM sessions WHERE identity_id = $1 AND revoked_at IS NULL", me.ID).Scan(&open))
		require.Zero(t, open, uuid.Nil)
	}
}
