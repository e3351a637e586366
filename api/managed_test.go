package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

const managedPath = "/v1/portal/customers"

func managedAt(customer openapi.Customer) string { return managedPath + "/" + customer.Id.String() }

// family is a manager with a child and a grandchild, and somebody else with a child.
type family struct {
	manager, other    *apitest.Caller
	child, grandchild openapi.Customer
	foreign           openapi.Customer
}

// lineOf is a family without the other.
func lineOf(t *testing.T, s *apitest.Server, admin *apitest.Caller) family {
	t.Helper()
	f := family{manager: portalUser(t, s, "manager")}
	f.child = admin.Customer(t, apitest.Fields{"name": "Child", "parent_id": f.manager.CustomerID, "email": uuid.NewString() + "@example.com"})
	f.grandchild = admin.Customer(t, apitest.Fields{"name": "Grandchild", "parent_id": f.child.Id, "email": uuid.NewString() + "@example.com"})
	return f
}

func familyOf(t *testing.T, s *apitest.Server, admin *apitest.Caller) family {
	t.Helper()
	f := lineOf(t, s, admin)
	f.other = portalUser(t, s, "manager")
	f.foreign = admin.Customer(t, apitest.Fields{"name": "Foreign", "parent_id": f.other.CustomerID, "email": uuid.NewString() + "@example.com"})
	return f
}

// calls are all calls about one managed customer.
var calls = []struct {
	method, suffix, body string
	status               int
}{
	{"GET", "", "", 200},
	{"PATCH", "", `{"phone":"1"}`, 200},
	{"POST", "/activation-requests", "", 202},
	{"GET", "/domains.csv", "", 200},
	{"GET", "/domains.csv?include_descendants=true", "", 200},
}

// requireCalls makes all calls about a customer, and demands that they succeed, or that each answers with the status.
func requireCalls(t *testing.T, caller *apitest.Caller, at string, status int) {
	t.Helper()
	for _, call := range calls {
		expected := status
		if status == 200 {
			expected = call.status
		}
		var body any
		if call.body != "" {
			body = call.body
		}
		response := caller.Must(t, expected, call.method, at+call.suffix, body)
		switch status {
		case 404:
			require.Equal(t, "not_found", response.Problem(t).Code)
		case 403:
			require.Equal(t, "manager_required", response.Problem(t).Code)
		}
	}
}

func managedNames(t *testing.T, caller *apitest.Caller, query string) []string {
	t.Helper()
	var page openapi.ManagedCustomerPage
	caller.Must(t, 200, "GET", managedPath+"?include_total=true&"+query, nil).JSON(t, &page)
	names := []string{}
	for _, one := range page.Data {
		names = append(names, one.Name)
	}
	if page.NextCursor == nil && !strings.Contains(query, "cursor") {
		require.EqualValues(t, len(names), *page.Total)
	}
	return names
}

func TestManagedReach(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	f := familyOf(t, s, admin)
	admin.Identity(t, f.manager.CustomerID, nil)
	unknown := managedPath + "/" + uuid.NewString()

	require.Equal(t, []string{"Child", "Grandchild"}, managedNames(t, f.manager, ""))
	require.Equal(t, []string{"Foreign"}, managedNames(t, f.other, ""))
	requireCalls(t, f.manager, managedAt(f.child), 200)
	requireCalls(t, f.manager, managedAt(f.grandchild), 200)
	for _, out := range []string{
		managedAt(f.foreign), unknown, managedPath + "/" + f.manager.CustomerID.String(), managedPath + "/" + f.other.CustomerID.String(),
	} {
		requireCalls(t, f.manager, out, 404)
	}
	// Whoever manages a child reaches what is below it, and neither it nor what is above.
	admin.Identity(t, f.child.Id, apitest.Fields{"role": "manager"})
	admin.Must(t, 200, "PUT", identityPath(f.child.Id, admin.Identities(t, f.child.Id)[0].Id)+"/password", apitest.Fields{"password": apitest.Password})
	admin.Must(t, 200, "POST", path(f.child)+"/activate", nil)
	middle := s.Identity(t, f.child.Id)
	require.Equal(t, []string{"Grandchild"}, managedNames(t, middle, ""))
	requireCalls(t, middle, managedAt(f.child), 404)
	middle.Must(t, 200, "GET", managedAt(f.grandchild), nil)
	requireCalls(t, middle, managedPath+"/"+f.manager.CustomerID.String(), 404)
	// A customer in between that is switched off takes nothing from those above.
	admin.Must(t, 200, "POST", path(f.child)+"/deactivate", nil)
	f.manager.Must(t, 200, "GET", managedAt(f.grandchild), nil)
	portalRefused(t, s, middle)
}

func TestManagedFields(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	manager := portalUser(t, s, "manager")
	customer := admin.Customer(t, apitest.Fields{
		"name": "Child", "parent_id": manager.CustomerID, "phone": "(5) 555-3932", "company": "Moreno S.A.", "email": "Child@Example.com",
		"comments": "never pays", "external_id": "secret-1", "modules": []string{"reports"}, "properties": map[string]any{"tier": "gold"},
	})
	admin.Note(t, customer.Id, "rude on the phone")
	at := managedAt(customer)
	response := manager.Must(t, 200, "GET", at, nil)
	for _, body := range []string{string(response.Body), string(manager.Must(t, 200, "GET", managedPath, nil).Body)} {
		for _, hidden := range []string{
			"never pays", "secret-1", "gold", "rude", "properties", "comments", "external_id", "allowed_actions", "invited_at", "last_activity",
		} {
			require.NotContains(t, body, hidden)
		}
	}
	var shown openapi.ManagedCustomer
	response.JSON(t, &shown)
	require.Equal(t, openapi.ManagedCustomer{
		Id: customer.Id, Name: "Child", Email: customer.Email, Phone: customer.Phone, Company: customer.Company, Status: "unregistered",
		Modules: openapi.Modules{"reports"}, ParentId: manager.CustomerID, Version: 1,
	}, shown)
	tag := response.Header.Get("ETag")
	manager.Must(t, 304, "GET", at, nil, apitest.Header("If-None-Match", tag))

	changed := manager.Must(t, 200, "PATCH", at, `{"phone":null,"address":"Mataderos 2312","name":"Puebla","company":"M"}`, apitest.Header("If-Match", tag))
	changed.JSON(t, &shown)
	require.Nil(t, shown.Phone)
	require.Equal(t, []any{"Puebla", "Mataderos 2312", "M", int64(2)}, []any{shown.Name, *shown.Address, *shown.Company, shown.Version})
	stale := manager.Must(t, 412, "PATCH", at, `{}`, apitest.Header("If-Match", tag))
	require.EqualValues(t, 2, *stale.Problem(t).CurrentVersion)
	require.Equal(t, changed.Header.Get("ETag"), manager.Must(t, 200, "PATCH", at, `{}`).Header.Get("ETag"))
	requireFaults(t, manager.Must(t, 422, "PATCH", at, apitest.Fields{
		"email": "x@example.com", "parent_id": manager.CustomerID, "properties": nil, "comments": "x", "external_id": "x", "status": "active",
		"modules": []string{}, "locale": "pl", "name": "",
	}), "/email unknown_member", "/parent_id unknown_member", "/properties unknown_member", "/comments unknown_member",
		"/external_id unknown_member", "/status unknown_member", "/modules unknown_member", "/locale unknown_member", "/name too_short")

	var history openapi.EventPage
	admin.Must(t, 200, "GET", path(customer)+"/events?limit=1", nil).JSON(t, &history)
	require.Equal(t, "customer.updated", history.Data[0].Type)
	require.Equal(t, openapi.Actor{Kind: "identity", Id: &manager.ID, Name: manager.Name(t)}, history.Data[0].Actor)
}

func TestManagedList(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	f := familyOf(t, s, admin)
	for _, fields := range []apitest.Fields{
		{"name": "Königlich", "phone": "(22) 555-0181", "external_id": "konig-zx", "parent_id": f.child.Id},
		{"name": "Bólido", "company": "Comidas S.A.", "external_id": "KONIGLICH", "parent_id": f.manager.CustomerID},
		{"name": "Königlich too", "parent_id": f.other.CustomerID},
	} {
		admin.Customer(t, fields)
	}
	require.Equal(t, []string{"Bólido", "Child", "Grandchild", "Königlich"}, managedNames(t, f.manager, ""))
	require.Equal(t, []string{"Königlich", "Grandchild", "Child", "Bólido"}, managedNames(t, f.manager, "sort=-name"))
	require.Equal(t, []string{"Child", "Grandchild", "Königlich", "Bólido"}, managedNames(t, f.manager, "sort=created_at"))
	for query, expected := range map[string][]string{
		"q=konig": {"Königlich"}, "q=KONIGLICH": {"Königlich"}, "q=5550181": {"Königlich"}, "q=comidas": {"Bólido"}, "q=ch": {"Child"},
		"q=" + *f.child.Email: {"Child"}, "q=%CC%81": {}, "status=active": {}, "status=unregistered&q=child": {"Child", "Grandchild"},
		"parent_id=" + f.child.Id.String():           {"Grandchild", "Königlich"},
		"parent_id=" + f.manager.CustomerID.String(): {"Bólido", "Child"},
		"parent_id=" + f.other.CustomerID.String():   {},
		"parent_id=" + uuid.NewString():              {},
		// What the staff alone knows is not found out by guessing at it.
		"q=konig-zx": {}, "q=zx": {}, "q=g-z": {},
	} {
		require.Equal(t, expected, managedNames(t, f.manager, query), query)
	}
	var found openapi.CustomerPage
	admin.Must(t, 200, "GET", "/v1/customers?q=konig-zx", nil).JSON(t, &found)
	require.Len(t, found.Data, 1, "the staff finds it")
	admin.Must(t, 200, "GET", "/v1/customers?q=g-z", nil).JSON(t, &found)
	require.Len(t, found.Data, 1)

	var all []string
	query := "?limit=1"
	for {
		var page openapi.ManagedCustomerPage
		response := f.manager.Must(t, 200, "GET", managedPath+query, nil)
		response.JSON(t, &page)
		all = append(all, page.Data[0].Name)
		if page.NextCursor == nil {
			break
		}
		require.Contains(t, response.Header.Get("Link"), `rel="next"`)
		query = "?limit=1&cursor=" + *page.NextCursor
		requireFaults(t, f.other.Must(t, 400, "GET", managedPath+query, nil), "cursor invalid_cursor")
		requireFaults(t, f.manager.Must(t, 400, "GET", managedPath+query+"&sort=-name", nil), "cursor invalid_cursor")
	}
	require.Equal(t, []string{"Bólido", "Child", "Grandchild", "Königlich"}, all)
	requireFaults(t, f.manager.Must(t, 400, "GET", managedPath+"?sort=updated_at&external_id=x&ancestor_id="+uuid.NewString()+"&properties[tier]=gold", nil),
		"sort unknown_value", "external_id unknown_parameter", "ancestor_id unknown_parameter", "properties[tier] unknown_parameter")
}

func TestManagedCreate(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	f := familyOf(t, s, admin)
	admin.Must(t, 200, "PATCH", "/v1/customers/"+f.manager.CustomerID.String(), `{"locale":"pl"}`)
	create := func(fields apitest.Fields) (created openapi.ManagedCustomer) {
		response := f.manager.Must(t, 201, "POST", managedPath, fields)
		response.JSON(t, &created)
		require.Equal(t, managedPath+"/"+created.Id.String(), response.Header.Get("Location"))
		require.Equal(t, response.Header.Get("ETag"), f.manager.Must(t, 200, "GET", response.Header.Get("Location"), nil).Header.Get("ETag"))
		return created
	}
	own := create(apitest.Fields{"name": "Puebla", "email": "puebla@example.com", "phone": "1", "company": "P", "address": "A"})
	require.Equal(t, f.manager.CustomerID, own.ParentId)
	require.EqualValues(t, "unregistered", own.Status)
	require.Equal(t, f.manager.CustomerID, create(apitest.Fields{"name": "x", "parent_id": f.manager.CustomerID}).ParentId)
	require.Equal(t, f.manager.CustomerID, create(apitest.Fields{"name": "x", "parent_id": nil}).ParentId)
	require.Equal(t, f.grandchild.Id, create(apitest.Fields{"name": "x", "parent_id": f.grandchild.Id}).ParentId)
	var stored openapi.Customer
	admin.Must(t, 200, "GET", "/v1/customers/"+own.Id.String(), nil).JSON(t, &stored)
	require.EqualValues(t, "pl", stored.Locale, "as its parent's")

	var before, after openapi.CustomerPage
	admin.Must(t, 200, "GET", "/v1/customers?include_total=true", nil).JSON(t, &before)
	unknown := f.manager.Must(t, 422, "POST", managedPath, apitest.Fields{"name": "x", "parent_id": uuid.NewString()})
	requireFaults(t, unknown, "/parent_id reference_not_found")
	for _, parent := range []uuid.UUID{f.foreign.Id, f.other.CustomerID, admin.Customer(t, nil).Id} {
		refused := f.manager.Must(t, 422, "POST", managedPath, apitest.Fields{"name": "x", "parent_id": parent})
		one, two := refused.Problem(t), unknown.Problem(t)
		one.RequestId = two.RequestId
		require.Equal(t, two, one, "like an unknown one")
	}
	requireFaults(t, f.manager.Must(t, 422, "POST", managedPath, apitest.Fields{
		"external_id": "x", "comments": "x", "properties": apitest.Fields{}, "modules": []string{}, "identity": nil, "status": "active",
		"email": "nobody", "phone": "two\nlines", "parent_id": "42",
	}), "/name required", "/external_id unknown_member", "/comments unknown_member", "/properties unknown_member", "/modules unknown_member",
		"/identity unknown_member", "/status unknown_member", "/email invalid_email", "/phone invalid_format", "/parent_id invalid_format")
	admin.Must(t, 200, "GET", "/v1/customers?include_total=true", nil).JSON(t, &after)
	require.Equal(t, *before.Total+1, *after.Total)

	deepest := f.manager.CustomerID
	for range 63 {
		deepest = create(apitest.Fields{"name": "deep", "parent_id": deepest, "email": uuid.NewString() + "@example.com"}).Id
	}
	requireCalls(t, f.manager, managedPath+"/"+deepest.String(), 200)
	deep := f.manager.Must(t, 409, "POST", managedPath, apitest.Fields{"name": "x", "parent_id": deepest})
	require.Equal(t, "hierarchy_too_deep", deep.Problem(t).Code)

	var history openapi.EventPage
	admin.Must(t, 200, "GET", "/v1/customers/"+own.Id.String()+"/events", nil).JSON(t, &history)
	require.Equal(t, "customer.created", history.Data[0].Type)
	require.Equal(t, openapi.Actor{Kind: "identity", Id: &f.manager.ID, Name: f.manager.Name(t)}, history.Data[0].Actor)
}

func TestManagedDomains(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	f := familyOf(t, s, admin)
	admin.Domain(t, f.child.Id, apitest.Fields{"host": "child.example.com", "scheme": "http"})
	admin.Domain(t, f.grandchild.Id, apitest.Fields{"host": "grandchild.example.com"})
	admin.Domain(t, f.foreign.Id, apitest.Fields{"host": "foreign.example.com"})
	admin.Domain(t, f.manager.CustomerID, apitest.Fields{"host": "own.example.com"})
	hosts := func(customer openapi.Customer, query string) (hosts []string) {
		response := f.manager.Must(t, 200, "GET", managedAt(customer)+"/domains.csv?bom=false&"+query, nil)
		lines := strings.Split(strings.TrimSuffix(string(response.Body), "\r\n"), "\r\n")
		require.True(t, strings.HasPrefix(lines[0], "Host,HTTP Ports,Scheme,Customer Name,"), lines[0])
		require.Contains(t, response.Header.Get("Content-Disposition"), customer.Name+" domains")
		for _, line := range lines[1:] {
			hosts = append(hosts, strings.Split(line, ",")[0])
		}
		return hosts
	}
	require.Equal(t, []string{"child.example.com"}, hosts(f.child, ""))
	require.Equal(t, []string{"child.example.com", "grandchild.example.com"}, hosts(f.child, "include_descendants=true"))
	require.Equal(t, []string{"grandchild.example.com"}, hosts(f.child, "include_descendants=true&q=grand"))
	require.Equal(t, []string{"grandchild.example.com"}, hosts(f.grandchild, ""))
	require.Empty(t, hosts(f.grandchild, "scheme=http"))
	lines := f.manager.Must(t, 200, "GET", managedAt(f.child)+"/domains.csv", nil, apitest.Header("Accept", "application/x-ndjson"))
	require.Contains(t, string(lines.Body), `"host":"child.example.com"`)
}

func TestManagedInvitation(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	f := familyOf(t, s, admin)
	answer := f.manager.Must(t, 202, "POST", managedAt(f.child)+"/activation-requests", nil)
	require.JSONEq(t, `{"state":"draft"}`, string(answer.Body), "nothing of the link, nor of what the mail says")
	var page openapi.ActivationRequestPage
	admin.Must(t, 200, "GET", path(f.child)+"/activation-requests", nil).JSON(t, &page)
	require.Len(t, page.Data, 1)
	require.Equal(t, *f.child.Email, page.Data[0].To)
	require.EqualValues(t, "draft", page.Data[0].State, "it waits for the staff")
	// It belongs to the staff now: the manager reaches it nowhere.
	for _, way := range []string{"", "/" + page.Data[0].Id.String(), "/" + page.Data[0].Id.String() + "/send"} {
		require.Contains(t, []int{404, 405}, f.manager.Do(t, "GET", managedAt(f.child)+"/activation-requests"+way, nil).Status)
		f.manager.Must(t, 403, "GET", path(f.child)+"/activation-requests", nil)
	}
	var history openapi.EventPage
	admin.Must(t, 200, "GET", path(f.child)+"/events?limit=1", nil).JSON(t, &history)
	require.Equal(t, "activation_request.created", history.Data[0].Type)
	require.Equal(t, openapi.Actor{Kind: "identity", Id: &f.manager.ID, Name: f.manager.Name(t)}, history.Data[0].Actor)

	refused := func(code string, customer openapi.Customer) {
		t.Helper()
		admin.Must(t, 200, "PATCH", path(customer), apitest.Fields{"parent_id": f.manager.CustomerID})
		response := f.manager.Must(t, 409, "POST", managedAt(customer)+"/activation-requests", nil)
		require.Equal(t, code, response.Problem(t).Code)
	}
	refused("login_unclear", in(t, admin, "active"))
	refused("action_not_allowed", in(t, admin, "deactivated"))
	refused("no_email", admin.Customer(t, nil))
	refused("login_email_taken", admin.Customer(t, apitest.Fields{"email": f.other.Email}))
	two := admin.Customer(t, apitest.Fields{"email": "two@example.com"})
	admin.Identity(t, two.Id, nil)
	admin.Identity(t, two.Id, nil)
	refused("login_unclear", two)
}

// TestManagedInvitationIsMailed: to the contact, at once, and no more often than a contact has to bear.
func TestManagedInvitationIsMailed(t *testing.T) {
	t.Parallel()
	office := openPostOffice(t)
	s := apitest.New(t, apitest.Mail(office.sender))
	s.Work(t)
	admin := s.Staff(t, access.Administrator)
	f := familyOf(t, s, admin)
	invite := managedAt(f.child) + "/activation-requests"
	require.JSONEq(t, `{"state":"queued"}`, string(f.manager.Must(t, 202, "POST", invite, nil).Body))
	_, body := office.letter(t)
	require.Contains(t, body, "/activate#token=cla_")
	var page openapi.ActivationRequestPage
	require.Eventually(t, func() bool {
		admin.Must(t, 200, "GET", path(f.child)+"/activation-requests", nil).JSON(t, &page)
		return page.Data[0].State == "sent"
	}, 15*time.Second, 20*time.Millisecond)

	again := f.manager.Must(t, 429, "POST", invite, nil)
	require.Equal(t, "too_many_attempts", again.Problem(t).Code)
	require.NotEmpty(t, again.Header.Get("Retry-After"))
	// Not by way of another customer with the same address either.
	var twin openapi.ManagedCustomer
	f.manager.Must(t, 201, "POST", managedPath, apitest.Fields{"name": "Twin", "email": strings.ToUpper(*f.child.Email)}).JSON(t, &twin)
	f.manager.Must(t, 429, "POST", managedPath+"/"+twin.Id.String()+"/activation-requests", nil)
	f.manager.Must(t, 202, "POST", managedAt(f.grandchild)+"/activation-requests", nil)
	s.Clock.Advance(time.Minute)
	f.manager.Must(t, 202, "POST", invite, nil)
}

func TestManagedIsForManagers(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	f := familyOf(t, s, admin)
	member := s.Identity(t, admin.Customer(t, apitest.Fields{"parent_id": nil, "identity": apitest.Fields{
		"email": uuid.NewString() + "@example.com", "password": apitest.Password,
	}}).Id)
	child := admin.Customer(t, apitest.Fields{"parent_id": member.CustomerID})
	for _, at := range []string{managedAt(child), managedAt(f.foreign), managedPath + "/" + uuid.NewString()} {
		requireCalls(t, member, at, 403)
	}
	// They learn nothing of what is asked for, not even whether it is well-formed.
	for _, query := range []string{"", "?q=child", "?no_such=parameter"} {
		require.Equal(t, "manager_required", member.Must(t, 403, "GET", managedPath+query, nil).Problem(t).Code)
	}
	for _, body := range []string{`{"name":"x"}`, `{}`, `{`} {
		require.Equal(t, "manager_required", member.Must(t, 403, "POST", managedPath, body).Problem(t).Code)
	}
	admin.Must(t, 403, "GET", managedPath, nil)
}

// TestManagingEndsAtOnce: with the next call, in the middle of a session.
func TestManagingEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	f := familyOf(t, s, admin)
	login := identityPath(f.manager.CustomerID, f.manager.ID)
	admin.Must(t, 200, "PATCH", login, `{"role":"member"}`)
	requireCalls(t, f.manager, managedAt(f.child), 403)
	f.manager.Must(t, 403, "GET", managedPath, nil)
	f.manager.Must(t, 403, "POST", managedPath, `{"name":"x"}`)
	admin.Must(t, 200, "PATCH", login, `{"role":"manager"}`)
	f.manager.Must(t, 200, "GET", managedAt(f.child), nil)

	admin.Must(t, 200, "PATCH", path(f.child), apitest.Fields{"parent_id": f.other.CustomerID})
	requireCalls(t, f.manager, managedAt(f.child), 404)
	requireCalls(t, f.manager, managedAt(f.grandchild), 404)
	require.Empty(t, managedNames(t, f.manager, ""))
	f.manager.Must(t, 422, "POST", managedPath, apitest.Fields{"name": "x", "parent_id": f.child.Id})
	f.other.Must(t, 200, "GET", managedAt(f.grandchild), nil)
	admin.Must(t, 200, "PATCH", path(f.child), `{"parent_id":null}`)
	requireCalls(t, f.other, managedAt(f.child), 404)
	admin.Must(t, 200, "PATCH", path(f.child), apitest.Fields{"parent_id": f.manager.CustomerID})

	admin.Must(t, 200, "POST", fmt.Sprintf("/v1/customers/%s/deactivate", f.manager.CustomerID), nil)
	requireCalls(t, f.manager, managedAt(f.child), 401)
	f.manager.Must(t, 401, "GET", managedPath, nil)
	f.manager.Must(t, 401, "POST", managedPath, `{"name":"x"}`)
}
