package api_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

func identityPath(customerID, id uuid.UUID) string {
	return fmt.Sprintf("/v1/customers/%s/identities/%s", customerID, id)
}

func TestIdentityEveryField(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	customer := admin.Customer(t, apitest.Fields{"name": "Żółć", "email": "Office@Example.com"})
	response := admin.Must(t, 201, "POST", path(customer)+"/identities", apitest.Fields{
		"name": "Jan Żądło", "email": "Jan@Example.com", "role": "manager", "password": apitest.Password,
		"password_confirmation": apitest.Password,
	})
	var created openapi.Identity
	response.JSON(t, &created)
	require.Equal(t, identityPath(customer.Id, created.Id), response.Header.Get("Location"))
	require.Equal(t, openapi.Identity{
		Id: created.Id, CustomerId: customer.Id, Name: "Jan Żądło", Email: "Jan@Example.com", Role: "manager",
		Status: "active", Version: 1, CreatedAt: created.CreatedAt, UpdatedAt: created.CreatedAt,
	}, created)
	read := admin.Must(t, 200, "GET", identityPath(customer.Id, created.Id), nil)
	require.JSONEq(t, string(response.Body), string(read.Body))
	require.Equal(t, response.Header.Get("ETag"), read.Header.Get("ETag"))
	require.NotContains(t, string(read.Body), "password")

	var fallback openapi.Identity
	admin.Must(t, 201, "POST", path(customer)+"/identities", "{}").JSON(t, &fallback)
	require.Equal(t, []any{"Żółć", "Office@Example.com", openapi.IdentityRole("member"), openapi.IdentityStatus("pending")},
		[]any{fallback.Name, fallback.Email, fallback.Role, fallback.Status})

	mute := admin.Customer(t, nil)
	requireFaults(t, admin.Must(t, 422, "POST", path(mute)+"/identities", "{}"), "/email required")
	require.Equal(t, "unregistered", statusOf(t, admin, mute))
	admin.Must(t, 404, "POST", "/v1/customers/"+uuid.NewString()+"/identities", "{}")
}

func TestIdentityUpdate(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	customer := admin.Customer(t, nil)
	login, other := admin.Identity(t, customer.Id, nil), admin.Identity(t, customer.Id, nil)
	at := identityPath(customer.Id, login.Id)

	response := admin.Must(t, 200, "PATCH", at, apitest.Fields{"role": "manager", "name": "Another"}, apitest.Header("If-Match", `"1.x"`))
	var changed openapi.Identity
	response.JSON(t, &changed)
	require.EqualValues(t, 2, changed.Version)
	require.EqualValues(t, "manager", changed.Role)
	admin.Must(t, 412, "PATCH", at, apitest.Fields{"role": "member"}, apitest.Header("If-Match", `"1.x"`))
	admin.Must(t, 200, "PATCH", at, apitest.Fields{"role": "manager"}).JSON(t, &changed)
	require.EqualValues(t, 2, changed.Version, "nothing changed")
	admin.Must(t, 304, "GET", at, nil, apitest.Header("If-None-Match", response.Header.Get("ETag")))
	taken := admin.Must(t, 409, "PATCH", at, apitest.Fields{"email": strings.ToUpper(other.Email)})
	requireFaults(t, taken, "/email email_taken")
	admin.Must(t, 200, "PATCH", at, apitest.Fields{"email": strings.ToUpper(login.Email)})

	// A login is its customer's own, and nobody else's path leads to it.
	stranger := admin.Customer(t, nil)
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		var body any
		if method == "PATCH" {
			body = "{}"
		}
		admin.Must(t, 404, method, identityPath(stranger.Id, login.Id), body)
	}
	admin.Must(t, 404, "PUT", identityPath(stranger.Id, login.Id)+"/password", apitest.Fields{"password": apitest.Password})
}

func TestCustomerWithIdentityIsBothOrNeither(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	taken := admin.Customer(t, apitest.Fields{"identity": apitest.Fields{"email": uuid.NewString() + "@example.com"}, "external_id": "E-1"})
	email := admin.Identities(t, taken.Id)[0].Email

	for name, test := range map[string]struct {
		login  apitest.Fields
		status string
	}{
		"with a password":        {apitest.Fields{"email": "a@example.com", "password": apitest.Password}, "active"},
		"not yet active":         {apitest.Fields{"email": "b@example.com", "password": apitest.Password, "active": false}, "inactive"},
		"without a password":     {apitest.Fields{"email": "c@example.com"}, "inactive"},
		"active means nothing":   {apitest.Fields{"email": "d@example.com", "active": true}, "inactive"},
		"the customer's address": {apitest.Fields{}, "inactive"},
	} {
		var customer openapi.Customer
		admin.Must(t, 201, "POST", "/v1/customers", apitest.Fields{
			"name": name, "email": "office@example.com", "identity": test.login,
		}).JSON(t, &customer)
		require.EqualValues(t, test.status, customer.Status, name)
		require.EqualValues(t, 1, customer.Version, name)
		require.Len(t, admin.Identities(t, customer.Id), 1, name)
		requireTypes(t, admin, customer, "identity.created", "customer.created")
	}

	var before, after int
	count := "SELECT (SELECT count(*) FROM customers) + (SELECT count(*) FROM identities) + (SELECT count(*) FROM events)"
	require.NoError(t, s.DB.QueryRow(t.Context(), count).Scan(&before))
	login := func(fields apitest.Fields) apitest.Fields { return apitest.Fields{"name": "x", "identity": fields} }
	requireFaults(t, admin.Must(t, 409, "POST", "/v1/customers", login(apitest.Fields{"email": strings.ToUpper(email)})),
		"/identity/email email_taken")
	requireFaults(t, admin.Must(t, 422, "POST", "/v1/customers", login(apitest.Fields{})), "/identity/email required")
	requireFaults(t, admin.Must(t, 409, "POST", "/v1/customers", apitest.Fields{
		"name": "x", "external_id": "E-1", "identity": apitest.Fields{"email": "free@example.com"},
	}), "/external_id external_id_taken")
	requireFaults(t, admin.Must(t, 422, "POST", "/v1/customers", apitest.Fields{"name": "", "identity": apitest.Fields{
		"email": "no", "password": "password12", "password_confirmation": "x", "role": "king", "status": "active",
	}}), "/name too_short", "/identity/email invalid_email", "/identity/password weak_password",
		"/identity/password_confirmation no_match", "/identity/role unknown_value", "/identity/status unknown_member")
	require.NoError(t, s.DB.QueryRow(t.Context(), count).Scan(&after))
	require.Equal(t, before, after)
}

// TestCustomerWithIdentityNeedsBothScopes: what is inside a body may ask for more than the operation does.
func TestCustomerWithIdentityNeedsBothScopes(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	limited := bearing(s, s.Token(t, &access.Principal{
		Kind: access.KindStaff, ID: admin.ID, Name: "x", SessionID: uuid.New(), Epoch: 1, Scopes: []access.Scope{"customers:write"},
	}))
	limited.Must(t, 201, "POST", "/v1/customers", `{"name":"x"}`)
	for _, body := range []string{
		`{"name":"x","identity":{"email":"x@example.com"}}`, `{"name":"x","identity":null}`, `{"identity":1}`,
		`{"name":"x","\u0069dentity":{"email":"x@example.com"}}`,
	} {
		refused := limited.Must(t, 403, "POST", "/v1/customers", body)
		require.Equal(t, "insufficient_scope", refused.Problem(t).Code)
		require.Equal(t, []string{"identities:write"}, *refused.Problem(t).RequiredScopes)
	}
	limited.Must(t, 422, "POST", "/v1/customers", `{"name":"x","IDENTITY":{"email":"x@example.com"}}`)
}

func TestOneLoginForAnEmail(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := admin.Customer(t, nil)
	statuses := make([]int, 50)
	var wait sync.WaitGroup
	for i := range statuses {
		email := "race@example.com"
		if i%2 == 0 {
			email = "RACE@Example.com"
		}
		wait.Go(func() {
			if i%3 == 0 {
				body := apitest.Fields{"name": "x", "identity": apitest.Fields{"email": email}}
				statuses[i] = admin.Do(t, "POST", "/v1/customers", body).Status
				return
			}
			statuses[i] = admin.Do(t, "POST", path(customer)+"/identities", apitest.Fields{"email": email}).Status
		})
	}
	wait.Wait()
	slices.Sort(statuses)
	require.Equal(t, 201, statuses[0])
	require.Equal(t, slices.Repeat([]int{409}, 49), statuses[1:])
}

func TestDeleteOfLogins(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := in(t, admin, "active")
	first := admin.Identities(t, customer.Id)[0]
	second := admin.Identity(t, customer.Id, nil)
	admin.Must(t, 412, "DELETE", identityPath(customer.Id, second.Id), nil, apitest.Header("If-Match", `"7.x"`))
	admin.Must(t, 204, "DELETE", identityPath(customer.Id, second.Id), nil)
	admin.Must(t, 404, "DELETE", identityPath(customer.Id, second.Id), nil)
	require.Equal(t, "active", statusOf(t, admin, customer))
	admin.Must(t, 204, "DELETE", identityPath(customer.Id, first.Id), nil)
	require.Equal(t, "unregistered", statusOf(t, admin, customer))
	requireTypes(t, admin, customer, "customer.identities_deleted", "identity.deleted", "identity.deleted", "identity.created",
		"identity.created", "customer.created")
	var leaks int
	require.NoError(t, s.DB.QueryRow(t.Context(), "SELECT count(*) FROM events WHERE data::text LIKE '%' || $1 || '%'", first.Email).Scan(&leaks))
	require.Zero(t, leaks, "the change log still knows the address")
	admin.Identity(t, customer.Id, apitest.Fields{"email": first.Email}) // which is free again
}

// TestDeletingACustomerEndsItsPeople: their sessions and what the log knows of them go with it.
func TestDeletingACustomerEndsItsPeople(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := in(t, admin, "active")
	login := admin.Identities(t, customer.Id)[0]
	var plan openapi.DeletionPlan
	admin.Must(t, 200, "GET", path(customer)+"/deletion-plan", nil).JSON(t, &plan)
	require.EqualValues(t, 1, plan.Counts.Identities)
	admin.Identity(t, customer.Id, nil)
	stale := admin.Must(t, 428, "DELETE", path(customer)+"?confirm="+*plan.ConfirmationToken, nil)
	require.EqualValues(t, 2, stale.Problem(t).DeletionPlan.Counts.Identities)
	admin.Must(t, 204, "DELETE", path(customer)+"?confirm="+*stale.Problem(t).ConfirmationToken, nil)
	var left int
	require.NoError(t, s.DB.QueryRow(t.Context(), "SELECT count(*) FROM identities WHERE customer_id = $1", customer.Id).Scan(&left))
	require.Zero(t, left)
	require.NoError(t, s.DB.QueryRow(t.Context(), "SELECT count(*) FROM events WHERE data::text LIKE '%' || $1 || '%'", login.Email).Scan(&left))
	require.Zero(t, left)
}

func TestUserList(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	one := admin.Customer(t, apitest.Fields{"name": "Königlich Essen"})
	two := admin.Customer(t, apitest.Fields{"name": "Moreno"})
	admin.Identity(t, one.Id, apitest.Fields{"name": "Philip Crämer", "email": "Philip@Koeniglich.example", "password": apitest.Password})
	admin.Identity(t, one.Id, apitest.Fields{"name": "Anna 100%_", "email": "anna@koeniglich.example", "role": "manager"})
	admin.Identity(t, two.Id, apitest.Fields{"name": "Antonio Moreno", "email": "antonio@moreno.example"})
	for query, expected := range map[string][]string{
		"sort=name":                          {"Anna 100%_", "Antonio Moreno", "Philip Crämer"},
		"sort=-name":                         {"Philip Crämer", "Antonio Moreno", "Anna 100%_"},
		"sort=created_at":                    {"Philip Crämer", "Anna 100%_", "Antonio Moreno"},
		"":                                   {"Antonio Moreno", "Anna 100%_", "Philip Crämer"},
		"q=CRAMER":                           {"Philip Crämer"},
		"q=koeniglich&sort=name":             {"Anna 100%_", "Philip Crämer"},
		"q=an&sort=name":                     {"Anna 100%_", "Antonio Moreno"},
		"q=" + url.QueryEscape("%_"):         nil, // fewer than three: at the start of words
		"q=" + url.QueryEscape("0%_"):        {"Anna 100%_"},
		"email=PHILIP@koeniglich.example":    {"Philip Crämer"},
		"role=manager":                       {"Anna 100%_"},
		"status=active":                      {"Philip Crämer"},
		"status=pending&sort=name":           {"Anna 100%_", "Antonio Moreno"},
		"customer_id=" + two.Id.String():     {"Antonio Moreno"},
		"customer_id=" + uuid.NewString():    nil,
		"status=pending&role=manager&q=anna": {"Anna 100%_"},
		"customer_id=" + one.Id.String() + "&q=moreno": nil,
	} {
		var page openapi.IdentityPage
		admin.Must(t, 200, "GET", "/v1/identities?include_total=true&"+query, nil).JSON(t, &page)
		var names []string
		for _, login := range page.Data {
			names = append(names, login.Name)
		}
		require.Equal(t, expected, names, query)
		require.EqualValues(t, len(expected), *page.Total, query)
	}
	var page openapi.IdentityPage
	admin.Must(t, 200, "GET", "/v1/identities?q=philip", nil).JSON(t, &page)
	require.Equal(t, "Königlich Essen", page.Data[0].CustomerName)
	require.EqualValues(t, "active", page.Data[0].Status)

	var names []string
	for next := "/v1/identities?limit=1&sort=name"; next != ""; {
		admin.Must(t, 200, "GET", next, nil).JSON(t, &page)
		names = append(names, page.Data[0].Name)
		if next = ""; page.NextCursor != nil {
			next = "/v1/identities?limit=1&sort=name&cursor=" + *page.NextCursor
		}
	}
	require.Equal(t, []string{"Anna 100%_", "Antonio Moreno", "Philip Crämer"}, names)
	admin.Must(t, 404, "GET", "/v1/customers/"+uuid.NewString()+"/identities", nil)
	require.Empty(t, admin.Identities(t, admin.Customer(t, nil).Id))
}

func TestFiltersByActivity(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	quiet := admin.Customer(t, apitest.Fields{"name": "quiet"})
	busy := admin.Customer(t, apitest.Fields{"name": "busy"})
	_, err := s.DB.Exec(t.Context(), "INSERT INTO customer_activity VALUES ($1, $2)", busy.Id, time.Now().Add(24*time.Hour))
	require.NoError(t, err)
	_, err = s.DB.Exec(t.Context(), "UPDATE customers SET invited_at = now() WHERE id = $1", quiet.Id)
	require.NoError(t, err)
	soon := url.QueryEscape(time.Now().Add(time.Hour).Format(time.RFC3339))
	for query, expected := range map[string][]string{
		"never_signed_in=true":                   {"quiet"},
		"never_signed_in=false":                  {"busy"},
		"no_activity_since=" + soon:              {"quiet"},
		"no_activity_since=2020-01-01T00:00:00Z": nil,
		"invited=true":                           {"quiet"},
		"invited=false":                          {"busy"},
		"invited=true&never_signed_in=false":     nil,
	} {
		var page openapi.CustomerPage
		admin.Must(t, 200, "GET", "/v1/customers?include_total=true&"+query, nil).JSON(t, &page)
		var names []string
		for _, customer := range page.Data {
			names = append(names, customer.Name)
		}
		require.Equal(t, expected, names, query)
		require.EqualValues(t, len(expected), *page.Total, query)
	}
}
