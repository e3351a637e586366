package api_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/dbtest"
)

func clientPath(id uuid.UUID) string { return "/v1/api-clients/" + id.String() }

func readClient(t *testing.T, admin *apitest.Caller, id uuid.UUID) (openapi.ApiClientInfo, string) {
	t.Helper()
	response := admin.Must(t, 200, "GET", clientPath(id), nil)
	var client openapi.ApiClientInfo
	response.JSON(t, &client)
	return client, response.Header.Get("ETag")
}

// askForToken asks as the client, with any secret.
func askForToken(t *testing.T, s *apitest.Server, id uuid.UUID, secret string, more ...string) *apitest.Response {
	t.Helper()
	return postForm(t, s, "/oauth/token", form(append([]string{"grant_type", "client_credentials"}, more...)...),
		basic(id.String(), secret))
}

func TestAPIClientIsCreatedReadChangedAndDeleted(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := admin.Customer(t, nil)
	response := admin.Must(t, 201, "POST", "/v1/api-clients", apitest.Fields{
		"name": "Print shop", "scopes": []string{"events:read", "customers:write", "customers:read"}, "customer_id": customer.Id,
		"expires_at": "2100-01-01T00:00:00Z", "allowed_networks": []string{"2001:DB8::1", "203.0.113.9/24", "203.0.113.0/24"},
	})
	var made openapi.ApiClientWithSecret
	response.JSON(t, &made)
	require.Equal(t, clientPath(made.Id), response.Header.Get("Location"))
	require.Equal(t, "no-store", response.Header.Get("Cache-Control"))
	require.Regexp(t, `^cls_[A-Z2-7]{52}$`, made.ClientSecret)

	client, tag := readClient(t, admin, made.Id)
	require.Equal(t, response.Header.Get("ETag"), tag)
	admin.Must(t, 304, "GET", clientPath(made.Id), nil, apitest.Header("If-None-Match", tag))
	require.Equal(t, made.Id.String(), client.ClientId)
	require.Equal(t, []openapi.ApiClientScope{"customers:read", "customers:write", "events:read"}, client.Scopes)
	require.Equal(t, []string{"2001:db8::1/128", "203.0.113.0/24"}, client.AllowedNetworks)
	require.Equal(t, customer.Id, *client.CustomerId)
	require.Nil(t, client.LastUsedAt)
	require.Nil(t, client.PreviousSecretExpiresAt)
	require.EqualValues(t, 1, client.Version)

	unchanged := admin.Must(t, 200, "PATCH", clientPath(made.Id), apitest.Fields{
		"name": "Print shop", "allowed_networks": []string{"203.0.113.0/24", "2001:db8::1/128"},
	})
	require.Equal(t, tag, unchanged.Header.Get("ETag"))
	admin.Must(t, 200, "PATCH", clientPath(made.Id), apitest.Fields{
		"name": "Shop", "scopes": []string{"customers:read"}, "customer_id": nil, "expires_at": nil, "allowed_networks": nil,
	}, apitest.Header("If-Match", tag)).JSON(t, &client)
	require.Equal(t, "Shop", client.Name)
	require.Equal(t, []openapi.ApiClientScope{"customers:read"}, client.Scopes)
	require.Nil(t, client.CustomerId)
	require.Nil(t, client.ExpiresAt)
	require.Empty(t, client.AllowedNetworks)
	require.EqualValues(t, 2, client.Version)
	for method, body := range map[string]any{"PATCH": apitest.Fields{"name": "x"}, "DELETE": nil} {
		admin.Must(t, 412, method, clientPath(made.Id), body, apitest.Header("If-Match", tag))
	}
	admin.Must(t, 412, "POST", clientPath(made.Id)+"/rotate-secret", "{}", apitest.Header("If-Match", tag))

	other := admin.APIClient(t, nil)
	var first, second openapi.ApiClientPage
	admin.Must(t, 200, "GET", "/v1/api-clients?limit=1&include_total=true", nil).JSON(t, &first)
	require.EqualValues(t, 2, *first.Total)
	require.Equal(t, made.Id, first.Data[0].Id)
	admin.Must(t, 200, "GET", "/v1/api-clients?limit=1&cursor="+*first.NextCursor, nil).JSON(t, &second)
	require.Equal(t, other.ID, second.Data[0].Id)
	require.Nil(t, second.NextCursor)

	admin.Must(t, 204, "DELETE", clientPath(made.Id), nil)
	for method, body := range map[string]any{"GET": nil, "PATCH": apitest.Fields{"name": "x"}, "DELETE": nil} {
		admin.Must(t, 404, method, clientPath(made.Id), body)
	}
	admin.Must(t, 404, "POST", clientPath(made.Id)+"/rotate-secret", "{}")

	rows, err := s.DB.Query(t.Context(), "SELECT type, data::text FROM events WHERE resource_id = $1 ORDER BY sequence", made.Id)
	require.NoError(t, err)
	var types []string
	for rows.Next() {
		var kind, data string
		require.NoError(t, rows.Scan(&kind, &data))
		types = append(types, kind)
		require.NotContains(t, data, "hash")
		require.NotContains(t, data, made.ClientSecret)
		require.NotContains(t, data, "epoch")
		require.Contains(t, data, "hop")
	}
	require.NoError(t, rows.Err())
	require.Equal(t, []string{"api_client.created", "api_client.updated", "api_client.deleted"}, types)
}

func TestAPIClientsThatCannotBe(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := admin.Customer(t, nil)
	client := admin.APIClient(t, apitest.Fields{"scopes": []string{"webhooks:read", "customers:read"}})
	for name, test := range map[string]struct {
		fields apitest.Fields
		fault  string
	}{
		"no scope":                  {apitest.Fields{"scopes": []string{}}, "/scopes too_few_items"},
		"a scope of administrators": {apitest.Fields{"scopes": []string{"customers:read", "staff:read"}}, "/scopes/1 unknown_value"},
		"restoring backups":         {apitest.Fields{"scopes": []string{"backups:write"}}, "/scopes/0 unknown_value"},
		"publishing terms":          {apitest.Fields{"scopes": []string{"terms:write"}}, "/scopes/0 unknown_value"},
		"making clients":            {apitest.Fields{"scopes": []string{"api-clients:write"}}, "/scopes/0 unknown_value"},
		"a scope of the portal":     {apitest.Fields{"scopes": []string{"portal"}}, "/scopes/0 unknown_value"},
		"webhooks with a limit":     {apitest.Fields{"scopes": []string{"customers:read", "webhooks:write"}, "customer_id": customer.Id}, "/scopes/1 scope_not_allowed"},
		"a customer there is not":   {apitest.Fields{"scopes": []string{"customers:read"}, "customer_id": uuid.New()}, "/customer_id reference_not_found"},
		"a network that is none":    {apitest.Fields{"allowed_networks": []string{"10.0.0.0/8", "10.0.0.0/99"}}, "/allowed_networks/1 invalid_format"},
	} {
		requireFaults(t, admin.Must(t, 422, "PATCH", clientPath(client.ID), test.fields), test.fault)
		test.fields["name"] = name
		if test.fields["scopes"] == nil {
			test.fields["scopes"] = []string{"customers:read"}
		}
		requireFaults(t, admin.Must(t, 422, "POST", "/v1/api-clients", test.fields), test.fault)
	}
	requireFaults(t, admin.Must(t, 422, "PATCH", clientPath(client.ID), apitest.Fields{"customer_id": customer.Id}),
		"/scopes/1 scope_not_allowed") // in the order in which scopes are shown
	requireFaults(t, admin.Must(t, 422, "POST", clientPath(client.ID)+"/rotate-secret", apitest.Fields{"overlap_seconds": 2_592_001}),
		"/overlap_seconds too_large")
}

// percentEncoded writes each byte of a text as an escape.
func percentEncoded(text string) (encoded string) {
	for _, char := range []byte(text) {
		encoded += fmt.Sprintf("%%%02X", char)
	}
	return encoded
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	client := admin.APIClient(t, apitest.Fields{"name": "Print shop", "scopes": []string{"customers:read", "customers:write", "events:read"}})
	inForm := form("grant_type", "client_credentials", "client_id", client.ID.String(), "client_secret", client.Secret)
	for name, response := range map[string]*apitest.Response{
		"by HTTP Basic": askForToken(t, s, client.ID, client.Secret),
		"in the form":   postForm(t, s, "/oauth/token", inForm),
		// As RFC 6749, section 2.3.1, has it: encoded as in a form, which may be done to any byte.
		"by HTTP Basic, encoded": postForm(t, s, "/oauth/token", form("grant_type", "client_credentials"),
			basic(percentEncoded(client.ID.String()), percentEncoded(client.Secret))),
		"in both":  postForm(t, s, "/oauth/token", inForm, basic(client.ID.String(), client.Secret)),
		"narrowed": askForToken(t, s, client.ID, client.Secret, "scope", "events:read customers:read"),
	} {
		tokens := granted(t, response)
		require.NotContains(t, string(response.Body), "refresh", name)
		require.InDelta(t, 600, tokens.ExpiresIn, 2, name)
		require.Equal(t, "no-store", response.Header.Get("Cache-Control"), name)
		me := whoIs(t, s, tokens.AccessToken)
		require.Equal(t, "api_client", me.Kind, name)
		require.Equal(t, "Print shop", me.Name, name)
		require.Equal(t, client.ID, me.Id, name)
		require.Nil(t, me.CustomerId, name)
		require.Nil(t, me.ExpiresAt, name)
		if name == "narrowed" {
			require.Equal(t, "customers:read events:read", tokens.Scope)
			refused := bearing(s, tokens.AccessToken).Must(t, 403, "POST", "/v1/customers", apitest.Fields{"name": "x"}).Problem(t)
			require.Equal(t, []string{"customers:write"}, *refused.RequiredScopes)
		}
	}
	customer := client.Customer(t, nil)
	event := history(t, admin, customer)[0]
	require.Equal(t, openapi.Actor{Kind: "api_client", Id: &client.ID, Name: "Print shop"}, event.Actor)

	for name, test := range map[string]struct {
		response *apitest.Response
		status   int
		code     string
	}{
		"another secret":              {askForToken(t, s, client.ID, client.Secret+"x"), 401, "invalid_client"},
		"no secret":                   {askForToken(t, s, client.ID, ""), 401, "invalid_client"},
		"an unknown client":           {askForToken(t, s, uuid.New(), client.Secret), 401, "invalid_client"},
		"no client":                   {postForm(t, s, "/oauth/token", form("grant_type", "client_credentials")), 401, "invalid_client"},
		"another in the form":         {askForToken(t, s, client.ID, client.Secret, "client_id", uuid.NewString()), 401, "invalid_client"},
		"another secret in the form":  {askForToken(t, s, client.ID, client.Secret, "client_secret", "x"), 401, "invalid_client"},
		"the secret twice":            {postForm(t, s, "/oauth/token", form("grant_type", "client_credentials", "client_id", client.ID.String(), "client_secret", client.Secret, "client_secret", client.Secret)), 400, "invalid_request"},
		"a scope that it has not":     {askForToken(t, s, client.ID, client.Secret, "scope", "customers:read domains:read"), 400, "invalid_scope"},
		"a scope of administrators":   {askForToken(t, s, client.ID, client.Secret, "scope", "staff:read"), 400, "invalid_scope"},
		"the grant of people":         {postForm(t, s, "/oauth/token", form("grant_type", "password", "username", admin.Email, "password", apitest.Password), basic(client.ID.String(), client.Secret)), 400, "unauthorized_client"},
		"another grant":               {postForm(t, s, "/oauth/token", form("grant_type", "magic"), basic(client.ID.String(), client.Secret)), 400, "unsupported_grant_type"},
		"no grant":                    {postForm(t, s, "/oauth/token", form(), basic(client.ID.String(), client.Secret)), 400, "invalid_request"},
		"another grant by a stranger": {postForm(t, s, "/oauth/token", form("grant_type", "password"), basic(client.ID.String(), "x")), 401, "invalid_client"},
	} {
		refusedGrant(t, test.response, test.status, test.code)
		if test.status == 401 {
			require.Equal(t, `Basic realm="clientele"`, test.response.Header.Get("WWW-Authenticate"), name)
		}
	}
	require.Equal(t, askForToken(t, s, client.ID, "wrong").Body, askForToken(t, s, uuid.New(), "wrong").Body)
	require.NotContains(t, string(askForToken(t, s, client.ID, "wrong").Body), "Staff", "it is a program that asks")
	require.Equal(t, askForToken(t, s, client.ID, "").Body, askForToken(t, s, uuid.New(), "").Body)
	nameless := form("grant_type", "password", "username", admin.Email, "password", apitest.Password)
	require.Contains(t, string(postForm(t, s, "/oauth/token", nameless).Body), "client_id=staff")
}

func TestSecretsAreGuessedSlowly(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	client := s.Staff(t, access.Administrator).APIClient(t, nil)
	var response *apitest.Response
	for range 60 {
		if response = askForToken(t, s, client.ID, "wrong"); response.Status == 429 {
			break
		}
	}
	refusedGrant(t, response, 429, "temporarily_unavailable")
	require.NotEmpty(t, response.Header.Get("Retry-After"))
	require.Equal(t, 429, askForToken(t, s, client.ID, client.Secret).Status, "as it would be for anybody")
	require.Equal(t, 429, postForm(t, s, "/oauth/revoke", form("token", "x"), basic(client.ID.String(), client.Secret)).Status)
	s.Clock.Advance(10 * time.Minute)
	granted(t, askForToken(t, s, client.ID, client.Secret))
}

func TestSecretsAreRotated(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	client := admin.APIClient(t, nil)
	rotate := func(body any) (secret string, shown openapi.ApiClientInfo) {
		response := admin.Must(t, 200, "POST", clientPath(client.ID)+"/rotate-secret", body)
		var rotated openapi.ApiClientWithSecret
		response.JSON(t, &rotated)
		shown, tag := readClient(t, admin, client.ID)
		require.Equal(t, response.Header.Get("ETag"), tag)
		return rotated.ClientSecret, shown
	}
	works := func(expected bool, secrets ...string) {
		t.Helper()
		for _, secret := range secrets {
			response := askForToken(t, s, client.ID, secret)
			if expected {
				granted(t, response)
			} else {
				refusedGrant(t, response, 401, "invalid_client")
			}
		}
	}
	second, shown := rotate(apitest.Fields{})
	require.WithinDuration(t, s.Clock.Now().Add(24*time.Hour), *shown.PreviousSecretExpiresAt, time.Minute)
	require.EqualValues(t, 2, shown.Version)
	works(true, client.Secret, second)
	require.Equal(t, shown.PreviousSecretExpiresAt, whoIs(t, s, client.Token).PreviousSecretExpiresAt, "the program learns of it")
	third, _ := rotate(apitest.Fields{"overlap_seconds": 60})
	works(false, client.Secret)
	works(true, second, third)
	s.Clock.Advance(61 * time.Second)
	works(false, client.Secret, second)
	works(true, third)
	shown, _ = readClient(t, admin, client.ID)
	require.Nil(t, shown.PreviousSecretExpiresAt, "only one works")
	require.Nil(t, whoIs(t, s, client.Token).PreviousSecretExpiresAt)
	fourth, _ := rotate(apitest.Fields{"overlap_seconds": 0})
	works(false, client.Secret, second, third)
	works(true, fourth)
	client.Must(t, 200, "GET", "/v1/customers", nil) // with a token from before all that
}

func TestClientsExpire(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	client := admin.APIClient(t, apitest.Fields{"expires_at": s.Clock.Now().Add(4 * time.Minute).UTC()})
	require.InDelta(t, 240, client.Granted(t, "").ExpiresIn, 5, "a token lives no longer than its client")
	s.Clock.Advance(3*time.Minute + 50*time.Second)
	client.Must(t, 200, "GET", "/v1/customers", nil)
	s.Clock.Advance(11 * time.Second)
	client.Must(t, 401, "GET", "/v1/customers", nil)
	refusedGrant(t, askForToken(t, s, client.ID, client.Secret), 401, "invalid_client")
	bearing(s, s.Staff(t, access.Administrator).Token).Must(t, 200, "PATCH", clientPath(client.ID), apitest.Fields{"expires_at": nil})
	require.EqualValues(t, 600, client.Granted(t, "").ExpiresIn)
}

// TestNetworks: a token is of no use from elsewhere, whatever a caller says of where it is.
func TestNetworks(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	client := admin.APIClient(t, apitest.Fields{"allowed_networks": []string{"127.0.0.0/8", "::1"}})
	client.Must(t, 200, "GET", "/v1/customers", nil)
	admin.Must(t, 200, "PATCH", clientPath(client.ID), apitest.Fields{"allowed_networks": []string{"203.0.113.0/24"}})
	soonRefused(t, s, client.Token)
	pretending := apitest.Header("X-Forwarded-For", "203.0.113.7")
	refusedGrant(t, postForm(t, s, "/oauth/token", form("grant_type", "client_credentials"),
		basic(client.ID.String(), client.Secret), pretending), 400, "unauthorized_client")

	client.Token = s.Token(t, &access.Principal{
		Kind: access.KindAPIClient, ID: client.ID, SessionID: uuid.New(), Epoch: 2, Scopes: []access.Scope{"customers:read"},
		Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")},
	})
	refused := client.Must(t, 403, "GET", "/v1/customers", nil, pretending).Problem(t)
	require.Equal(t, "network_not_allowed", refused.Code)
}

// TestNetworksBehindProxies: each proxy that is trusted says from where it got the request, the nearest one last.
func TestNetworksBehindProxies(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, apitest.Proxies(netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")))
	made := s.Staff(t, access.Administrator).APIClient(t, nil)
	client := bearing(s, s.Token(t, &access.Principal{
		Kind: access.KindAPIClient, ID: made.ID, SessionID: uuid.New(), Epoch: 1, Scopes: []access.Scope{"customers:read"},
		Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32")},
	}))
	for status, all := range map[int][]string{
		200: {
			"203.0.113.7", "203.0.113.7:4711", " 203.0.113.7 , 10.0.0.1:80", "6.6.6.6, 203.0.113.7", "junk, 203.0.113.7", "203.0.113.7,,",
			"2001:db8::7", "[2001:db8::7]", "[2001:db8::7]:4711", "::ffff:203.0.113.7",
		},
		403: {
			"", "junk", "unknown", "203.0.113.7, junk", "203.0.113.7, 6.6.6.6", "203.0.113.7, 6.6.6.6:80", "203.0.113.7.", "203.0.113.7:x",
			"10.0.0.1", "127.0.0.1:80", "203.0.113.0/24", "203.0.113.7:80:80", `"203.0.113.7"`,
		},
	} {
		for _, said := range all {
			response := client.Do(t, "GET", "/v1/customers", nil, apitest.Header("X-Forwarded-For", said))
			require.Equal(t, status, response.Status, said)
		}
	}
	lines := func(r *http.Request) { r.Header["X-Forwarded-For"] = []string{"6.6.6.6", "203.0.113.7", "10.0.0.1"} }
	client.Must(t, 200, "GET", "/v1/customers", nil, lines)
}

// TestChangesOfAClientCountWithinASecond on every replica.
func TestChangesOfAClientCountWithinASecond(t *testing.T) {
	t.Parallel()
	database := dbtest.URL(t)
	one := apitest.NewOn(t, database)
	two := apitest.NewOn(t, database, apitest.PublicURL(one.URL))
	admin := one.Staff(t, access.Administrator)
	customer := admin.Customer(t, nil)
	for name, fields := range map[string]apitest.Fields{
		"scopes":   {"scopes": []string{"customers:read"}},
		"networks": {"allowed_networks": []string{"127.0.0.0/8"}},
		"expiry":   {"expires_at": "2100-01-01T00:00:00Z"},
		"customer": {"scopes": []string{"customers:read"}, "customer_id": customer.Id},
	} {
		client := admin.APIClient(t, nil)
		bearing(two, client.Token).Must(t, 200, "GET", "/v1/customers", nil)
		admin.Must(t, 200, "PATCH", clientPath(client.ID), fields)
		soonRefused(t, two, client.Token)
		bearing(two, client.Granted(t, "").AccessToken).Must(t, 200, "GET", "/v1/customers", nil)
		admin.Must(t, 200, "PATCH", clientPath(client.ID), apitest.Fields{"name": name})
		soonRefused(t, one, client.Token)
	}
	deleted, limited := admin.APIClient(t, nil), admin.APIClient(t, apitest.Fields{"customer_id": customer.Id})
	admin.Must(t, 204, "DELETE", clientPath(deleted.ID), nil)
	soonRefused(t, two, deleted.Token)
	refusedGrant(t, askForToken(t, two, deleted.ID, deleted.Secret), 401, "invalid_client")

	var plan openapi.DeletionPlan
	admin.Must(t, 200, "GET", path(customer)+"/deletion-plan", nil).JSON(t, &plan)
	require.EqualValues(t, 2, plan.Counts.ApiClients, "with the one of the table")
	remove(t, admin, customer)
	soonRefused(t, two, limited.Token)
	admin.Must(t, 404, "GET", clientPath(limited.ID), nil)
}

func TestClientsRevokeTheirOwnTokens(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	client, other := admin.APIClient(t, nil), admin.APIClient(t, nil)
	stays := client.Granted(t, "")
	people := signIn(t, s, admin.Email)
	revoke := func(caller *apitest.Caller, token string) *apitest.Response {
		return postForm(t, s, "/oauth/revoke", form("token", token), basic(caller.ID.String(), caller.Secret))
	}
	for _, token := range []string{client.Token, people.AccessToken, people.RefreshToken} {
		refusedGrant(t, revoke(other, token), 400, "unauthorized_client")
	}
	refusedGrant(t, postForm(t, s, "/oauth/revoke", form("token", client.Token, "client_id", "staff")), 400, "unauthorized_client")
	refusedGrant(t, postForm(t, s, "/oauth/revoke", form("token", client.Token), basic(client.ID.String(), "wrong")), 401, "invalid_client")
	for _, token := range []string{client.Token, client.Token, "garbage"} {
		require.Equal(t, 200, revoke(client, token).Status)
	}
	soonRefused(t, s, client.Token)
	require.Equal(t, 200, revoke(client, client.Token).Status)
	whoIs(t, s, stays.AccessToken)
	whoIs(t, s, people.AccessToken)
	refreshed(t, s, people.RefreshToken)
}

func TestLastUseIsShown(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	client := admin.APIClient(t, nil)
	lastUse := func() time.Time {
		shown, _ := readClient(t, admin, client.ID)
		require.EqualValues(t, 1, shown.Version)
		return *shown.LastUsedAt
	}
	first := lastUse()
	require.WithinDuration(t, s.Clock.Now(), first, 30*time.Second, "a token was granted")
	client.Must(t, 200, "GET", "/v1/customers", nil)
	require.Equal(t, first, lastUse(), "not a write for each request")
	s.Clock.Advance(time.Minute)
	client.Must(t, 403, "GET", "/v1/staff", nil)
	require.WithinDuration(t, s.Clock.Now(), lastUse(), 10*time.Second)
}
