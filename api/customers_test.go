package api_test

import (
	"encoding/json"
	"fmt"
	"net/url"
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

func path(customer openapi.Customer) string { return "/v1/customers/" + customer.Id.String() }

func TestCustomerEveryField(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	parent := admin.Customer(t, nil)
	fields := apitest.Fields{
		"name": "Żółć & Söhne 🎈 مرحبا", "email": "Info@Example.com", "phone": "+48 (22) 555-01-02", "company": "Żółć",
		"address": "ul. Długa 1\n00-001 Warszawa", "comments": "pays late", "modules": []string{"reports", "api"},
		"properties":  map[string]any{"tier": "gold", "n": 1.5, "deep": map[string]any{"a": []any{1, nil}}},
		"external_id": "X-1", "locale": "pl", "parent_id": parent.Id,
	}
	response := admin.Must(t, 201, "POST", "/v1/customers", fields)
	var created openapi.Customer
	response.JSON(t, &created)
	require.Equal(t, "/v1/customers/"+created.Id.String(), response.Header.Get("Location"))
	require.Equal(t, uuid.Version(7), created.Id.Version())
	require.EqualValues(t, "unregistered", created.Status)
	require.Equal(t, []string{"send_activation_request", "backup", "delete"}, created.AllowedActions)
	require.EqualValues(t, 1, created.Version)
	require.Equal(t, "Info@Example.com", *created.Email)
	require.Equal(t, parent.Id, *created.ParentId)
	require.JSONEq(t, `{"tier":"gold","n":1.5,"deep":{"a":[1,null]}}`, string(created.Properties))

	read := admin.Must(t, 200, "GET", path(created), nil)
	require.JSONEq(t, string(response.Body), string(read.Body))
	require.Equal(t, response.Header.Get("ETag"), read.Header.Get("ETag"))
}

func TestCustomerMergePatch(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	customer := admin.Customer(t, apitest.Fields{
		"name": "Before", "company": "Company", "phone": "1", "modules": []string{"a"},
		"properties": map[string]any{"keep": 1, "change": "old", "remove": true, "nested": map[string]any{"x": 1, "y": 2}},
	})
	var patched openapi.Customer
	admin.Must(t, 200, "PATCH", path(customer), `{"company":null,"phone":"2","properties":{"change":"new","remove":null,
		"nested":{"x":null,"z":3},"added":12345678901234567890}}`,
		apitest.Header("Content-Type", "application/merge-patch+json")).JSON(t, &patched)
	require.Equal(t, "Before", patched.Name)
	require.Nil(t, patched.Company)
	require.Equal(t, "2", *patched.Phone)
	require.Equal(t, openapi.Modules{"a"}, patched.Modules)
	require.JSONEq(t, `{"keep":1,"change":"new","nested":{"y":2,"z":3},"added":12345678901234567890}`, string(patched.Properties))
	require.Contains(t, string(patched.Properties), "12345678901234567890", "to the digit")
	require.EqualValues(t, 2, patched.Version)
	require.True(t, patched.UpdatedAt.After(customer.UpdatedAt))

	// What changes nothing raises nothing.
	var same openapi.Customer
	admin.Must(t, 200, "PATCH", path(customer), `{"phone":"2","properties":{"keep":1,"nothing":null}}`).JSON(t, &same)
	require.Equal(t, patched, same)
	admin.Must(t, 200, "PATCH", path(customer), `{}`).JSON(t, &same)
	require.Equal(t, patched, same)

	// Arrays are values: what is in them is not merged. Text is kept as it was, and measured so.
	admin.Must(t, 200, "PATCH", path(customer),
		`{"properties":{"list":[1,null,{"a":null}],"text":"`+strings.Repeat("<", 60_000)+`"}}`)
	admin.Must(t, 200, "PATCH", path(customer), `{"properties":{"one more":1}}`).JSON(t, &patched)
	var properties map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(patched.Properties, &properties))
	require.JSONEq(t, `[1,null,{"a":null}]`, string(properties["list"]))

	admin.Must(t, 200, "PATCH", path(customer), `{"properties":null,"modules":null}`).JSON(t, &patched)
	require.JSONEq(t, `{}`, string(patched.Properties))
	require.Empty(t, patched.Modules)
}

func TestCustomerPropertiesLimitsHoldForTheOutcome(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	keys := func(from, to int) map[string]any {
		properties := map[string]any{}
		for i := from; i < to; i++ {
			properties[fmt.Sprintf("key-%d", i)] = i
		}
		return properties
	}
	customer := admin.Customer(t, apitest.Fields{"properties": keys(0, 200)})
	problem := admin.Must(t, 422, "PATCH", path(customer), apitest.Fields{"properties": keys(200, 201)}).Problem(t)
	require.Equal(t, "/properties", *(*problem.Errors)[0].Pointer)
	admin.Must(t, 200, "PATCH", path(customer), apitest.Fields{"properties": map[string]any{"key-0": nil, "key-200": 1}})
	for _, properties := range []any{
		keys(0, 1000), map[string]any{"big": strings.Repeat("x", 65_536)},
		map[string]any{"1": map[string]any{"2": map[string]any{"3": map[string]any{"4": map[string]any{
			"5": map[string]any{"6": map[string]any{"7": map[string]any{"8": map[string]any{}}}}}}}}},
	} {
		problem := admin.Must(t, 422, "POST", "/v1/customers", apitest.Fields{"name": "n", "properties": properties}).Problem(t)
		require.Equal(t, "/properties", *(*problem.Errors)[0].Pointer)
	}
}

func TestCustomerConditionalRequests(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	customer := admin.Customer(t, nil)
	read := admin.Must(t, 200, "GET", path(customer), nil)
	tag := read.Header.Get("ETag")
	for _, header := range []string{tag, "*", `"other", ` + tag, "W/" + tag} {
		unchanged := admin.Must(t, 304, "GET", path(customer), nil, apitest.Header("If-None-Match", header))
		require.Empty(t, unchanged.Body)
		require.Equal(t, tag, unchanged.Header.Get("ETag"))
	}
	admin.Must(t, 200, "GET", path(customer), nil, apitest.Header("If-None-Match", `"1.other"`))

	admin.Must(t, 200, "PATCH", path(customer), apitest.Fields{"phone": "1"}, apitest.Header("If-Match", tag))
	problem := admin.Must(t, 412, "PATCH", path(customer), apitest.Fields{"phone": "2"}, apitest.Header("If-Match", tag)).Problem(t)
	require.Equal(t, "stale_version", problem.Code)
	require.EqualValues(t, 2, *problem.CurrentVersion)
	admin.Must(t, 412, "DELETE", path(customer), nil, apitest.Header("If-Match", tag))
	admin.Must(t, 200, "PATCH", path(customer), apitest.Fields{"phone": "3"}, apitest.Header("If-Match", `"9.x", "2.whatever"`))
	admin.Must(t, 412, "PATCH", path(customer), apitest.Fields{"phone": "4"}, apitest.Header("If-Match", `W/"3.weak"`))
	admin.Must(t, 200, "GET", path(customer), nil, apitest.Header("If-None-Match", tag))
}

func TestCustomerPatchesWithOneETagOnlyOneWins(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	customer := admin.Customer(t, nil)
	statuses := together(20, func(i int) int {
		return admin.Do(t, "PATCH", path(customer), apitest.Fields{"phone": fmt.Sprint(i)}, apitest.Header("If-Match", `"1.x"`)).Status
	})
	require.Equal(t, map[int]int{200: 1, 412: 19}, statuses)
}

func TestCustomerExternalIDIsUnique(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	statuses := together(50, func(int) int {
		return admin.Do(t, "POST", "/v1/customers", apitest.Fields{"name": "n", "external_id": "same"}).Status
	})
	require.Equal(t, map[int]int{201: 1, 409: 49}, statuses)
	problem := admin.Must(t, 409, "POST", "/v1/customers", apitest.Fields{"name": "n", "external_id": "same"}).Problem(t)
	require.Equal(t, "external_id_taken", problem.Code)
	require.Equal(t, "/external_id", *(*problem.Errors)[0].Pointer)
}

func TestCustomerHierarchy(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	grandparent := admin.Customer(t, nil)
	parent := admin.Customer(t, apitest.Fields{"parent_id": grandparent.Id})
	child := admin.Customer(t, apitest.Fields{"parent_id": parent.Id})
	admin.Customer(t, nil)

	require.Equal(t, ids(parent), list(t, admin, "parent_id="+grandparent.Id.String()))
	require.ElementsMatch(t, ids(parent, child), list(t, admin, "ancestor_id="+grandparent.Id.String()))
	require.Empty(t, list(t, admin, "ancestor_id="+child.Id.String()))

	for _, below := range []openapi.Customer{grandparent, parent, child} {
		problem := admin.Must(t, 409, "PATCH", path(grandparent), apitest.Fields{"parent_id": below.Id}).Problem(t)
		require.Equal(t, "hierarchy_cycle", problem.Code)
	}
	for _, method := range []string{"POST", "PATCH"} {
		at := map[string]string{"POST": "/v1/customers", "PATCH": path(child)}[method]
		problem := admin.Must(t, 422, method, at, apitest.Fields{"name": "n", "parent_id": uuid.NewString()}).Problem(t)
		require.Equal(t, "/parent_id", *(*problem.Errors)[0].Pointer)
		require.Equal(t, "reference_not_found", (*problem.Errors)[0].Code)
	}
	admin.Must(t, 200, "PATCH", path(child), `{"parent_id":null}`)
	require.Equal(t, ids(parent), list(t, admin, "ancestor_id="+grandparent.Id.String()))
}

func TestCustomerHierarchyDepth(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	top := admin.Customer(t, nil)
	line := []openapi.Customer{top}
	for len(line) < 64 {
		line = append(line, admin.Customer(t, apitest.Fields{"parent_id": line[len(line)-1].Id}))
	}
	problem := admin.Must(t, 409, "POST", "/v1/customers", apitest.Fields{"name": "n", "parent_id": line[63].Id}).Problem(t)
	require.Equal(t, "hierarchy_too_deep", problem.Code)
	other := admin.Customer(t, nil)
	problem = admin.Must(t, 409, "PATCH", path(top), apitest.Fields{"parent_id": other.Id}).Problem(t)
	require.Equal(t, "hierarchy_too_deep", problem.Code)
	require.Len(t, list(t, admin, "limit=200&ancestor_id="+top.Id.String()), 63)
}

// Two moves that would close a circle together, over and over: one of them must be refused each time.
func TestCustomerConcurrentMovesCloseNoCircle(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	for range 20 {
		a, b := admin.Customer(t, nil), admin.Customer(t, nil)
		statuses := together(2, func(i int) int {
			mover, target := a, b
			if i == 1 {
				mover, target = b, a
			}
			return admin.Do(t, "PATCH", path(mover), apitest.Fields{"parent_id": target.Id}).Status
		})
		require.Equal(t, map[int]int{200: 1, 409: 1}, statuses)
	}
}

func TestCustomerSearch(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	antonio := admin.Customer(t, apitest.Fields{"name": "Antonio Moreno Taquería", "phone": "(5) 555-3932", "external_id": "ANTON"})
	konig := admin.Customer(t, apitest.Fields{"name": "Königlich Essen", "email": "philip@cramer.example", "company": "Łódź Straße"})
	percent := admin.Customer(t, apitest.Fields{"name": "100%_sure\\"})
	greek := admin.Customer(t, apitest.Fields{"name": "Ελληνικά Έπιπλα", "company": "Moreno, and more of them"})
	for query, want := range map[string][]uuid.UUID{
		"taqueria": ids(antonio), "TAQUERÍA": ids(antonio), "moreno taq": ids(antonio), "koniglich": ids(konig),
		"öni": ids(antonio, konig), "essen": ids(konig), "cramer.example": ids(konig), "lodz": ids(konig), "strasse": ids(konig),
		"555-3932": ids(antonio), "5553932": ids(antonio), "anton": ids(antonio), "ko": ids(konig), "k": ids(konig),
		"es": ids(konig), "ss": nil, "0%_s": ids(percent), "%": nil, "e_s": nil, `sure\`: ids(percent),
		"moreno": ids(antonio, greek), "moreno t": ids(antonio), "nio moreno taqueria": ids(antonio), "io moreno taqueri": ids(antonio),
		"morenotaquer": nil, "taqueria moreno": nil, "moreno taqueria (5)": nil, "νικα επι": ids(greek), "ελληνικ": ids(greek),
		"essen philip": nil, "  essen ": ids(konig), "nobody": nil, "\u0301": nil,
	} {
		require.ElementsMatch(t, want, list(t, admin, "q="+url.QueryEscape(query)), query)
	}
}

func TestCustomerFilters(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	first := admin.Customer(t, apitest.Fields{
		"email": "Shared@Example.com", "external_id": "E1", "modules": []string{"reports", "api"},
		"properties": map[string]any{"country": "Germany", "seats": 5, "vip": true, "tags": []any{"x", 7, false}, "odd key[]": "1"},
	})
	second := admin.Customer(t, apitest.Fields{
		"email": "shared@example.com", "modules": []string{"api"},
		"properties": map[string]any{"country": "Germany", "seats": "5", "vip": "true"},
	})
	middle := time.Now().UTC()
	time.Sleep(2 * time.Millisecond)
	third := admin.Customer(t, apitest.Fields{"properties": map[string]any{"country": map[string]any{"name": "Germany"}}})
	at := url.QueryEscape(middle.Format(time.RFC3339Nano))
	for query, want := range map[string][]uuid.UUID{
		"":                                       ids(first, second, third),
		"email=SHARED@example.com":               ids(first, second),
		"external_id=E1":                         ids(first),
		"external_id=e1":                         nil,
		"module=api":                             ids(first, second),
		"module=reports":                         ids(first),
		"module=rep":                             nil,
		"status=unregistered":                    ids(first, second, third),
		"status=active":                          nil,
		"created_before=" + at:                   ids(first, second),
		"created_after=" + at:                    ids(third),
		"updated_before=" + at:                   ids(first, second),
		"properties[country]=Germany":            ids(first, second),
		"properties[seats]=5":                    ids(first, second),
		"properties[seats]=5.0":                  ids(first),
		"properties[vip]=true":                   ids(first, second),
		"properties[tags]=x":                     ids(first),
		"properties[tags]=7":                     ids(first),
		"properties[tags]=false":                 ids(first),
		"properties[odd key[]]=1":                ids(first),
		"properties[nothing]=1":                  nil,
		"properties[country]=Germany&module=api": ids(first, second),
		"properties[country]=Germany&properties[tags]=x": ids(first),
	} {
		query = strings.ReplaceAll(query, " ", "%20")
		require.ElementsMatch(t, want, list(t, admin, query), query)
		var page openapi.CustomerPage
		admin.Must(t, 200, "GET", "/v1/customers?limit=1&include_total=true&"+query, nil).JSON(t, &page)
		require.EqualValues(t, len(want), *page.Total, query)
	}
}

func TestCustomerOrders(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	b, a, c := admin.Customer(t, apitest.Fields{"name": "beta"}), admin.Customer(t, apitest.Fields{"name": "Álfa"}), admin.Customer(t, apitest.Fields{"name": "GAMMA"})
	admin.Must(t, 200, "PATCH", path(b), apitest.Fields{"phone": "1"})
	for sort, want := range map[string][]uuid.UUID{
		"name": ids(a, b, c), "-name": ids(c, b, a), "created_at": ids(b, a, c), "-created_at": ids(c, a, b),
		"updated_at": ids(a, c, b), "-updated_at": ids(b, c, a),
	} {
		require.Equal(t, want, list(t, admin, "limit=1&sort="+sort), sort)
	}
}

// Pages are read while other clients insert and delete: what was there all the time is seen once, in order.
func TestCustomerPagesWhileRowsComeAndGo(t *testing.T) {
	t.Parallel()
	for _, sort := range []string{"-created_at", "created_at", "name", "-updated_at"} {
		t.Run(sort, func(t *testing.T) {
			t.Parallel()
			admin := apitest.New(t).Staff(t, access.Administrator)
			staying := map[uuid.UUID]int{}
			var leaving []openapi.Customer
			for i := range 30 {
				customer := admin.Customer(t, apitest.Fields{"name": fmt.Sprintf("name %d", i%7)})
				if i%3 == 0 {
					leaving = append(leaving, customer)
				} else {
					staying[customer.Id] = 0
				}
			}
			next := "/v1/customers?limit=3&sort=" + sort
			for next != "" {
				response := admin.Must(t, 200, "GET", next, nil)
				var page openapi.CustomerPage
				response.JSON(t, &page)
				for _, customer := range page.Data {
					if _, stays := staying[customer.Id]; stays {
						staying[customer.Id]++
					}
				}
				next = ""
				if link := response.Header.Get("Link"); link != "" {
					next = strings.TrimSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`)
				}
				require.Equal(t, page.NextCursor == nil, next == "")
				admin.Customer(t, apitest.Fields{"name": "name 3"})
				if len(leaving) > 0 {
					remove(t, admin, leaving[0])
					leaving = leaving[1:]
				}
				if len(staying) > 0 && next == "" {
					break
				}
			}
			for id, times := range staying {
				require.Equal(t, 1, times, id)
			}
		})
	}
}

func TestCustomerCursorsOfOtherLists(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	for range 3 {
		admin.Customer(t, nil)
	}
	var page openapi.CustomerPage
	admin.Must(t, 200, "GET", "/v1/customers?limit=1&sort=name", nil).JSON(t, &page)
	for _, at := range []string{
		"/v1/customers?sort=-name&", "/v1/customers?sort=name&q=x&", "/v1/staff?", "/v1/events?", "/v1/customers?",
	} {
		problem := admin.Must(t, 400, "GET", at+"cursor="+*page.NextCursor, nil).Problem(t)
		require.Equal(t, "cursor", *(*problem.Errors)[0].Parameter)
		require.Equal(t, "invalid_cursor", (*problem.Errors)[0].Code)
	}
	admin.Must(t, 200, "GET", "/v1/customers?limit=2&sort=name&cursor="+*page.NextCursor, nil)
}

func TestCustomerDeletionTakesTwoCalls(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := admin.Customer(t, apitest.Fields{"name": "To go", "external_id": "GO"})
	child := admin.Customer(t, apitest.Fields{"parent_id": customer.Id})
	admin.Note(t, customer.Id, "remember")

	problem := admin.Must(t, 409, "DELETE", path(customer), nil).Problem(t)
	require.Equal(t, "deletion_blocked", problem.Code)
	require.Nil(t, problem.ConfirmationToken)
	require.Equal(t, child.Id, problem.DeletionPlan.Blockers[0].Resource.Id)
	var plan openapi.DeletionPlan
	admin.Must(t, 200, "DELETE", path(customer)+"?dry_run=true", nil).JSON(t, &plan)
	require.Len(t, plan.Blockers, 1)
	admin.Must(t, 200, "PATCH", path(child), `{"parent_id":null}`)

	problem = admin.Must(t, 428, "DELETE", path(customer), nil).Problem(t)
	require.Equal(t, "confirmation_required", problem.Code)
	require.EqualValues(t, 1, problem.DeletionPlan.Counts.Notes)
	token := *problem.ConfirmationToken

	// A token holds for the plan that it came with, for its customer, and for ten minutes.
	admin.Note(t, customer.Id, "one more")
	problem = admin.Must(t, 428, "DELETE", path(customer)+"?confirm="+token, nil).Problem(t)
	require.EqualValues(t, 2, problem.DeletionPlan.Counts.Notes)
	admin.Must(t, 428, "DELETE", path(child)+"?confirm="+*problem.ConfirmationToken, nil)
	admin.Must(t, 428, "DELETE", path(customer)+"?confirm=clc_nonsense", nil)
	s.Clock.Advance(9 * time.Minute)
	admin.Must(t, 200, "GET", path(customer)+"/deletion-plan", nil).JSON(t, &plan)
	s.Clock.Advance(9 * time.Minute)
	admin = s.Staff(t, access.Administrator) // the token of the caller has expired by now
	admin.Must(t, 428, "DELETE", path(customer)+"?confirm="+*problem.ConfirmationToken, nil)
	admin.Must(t, 204, "DELETE", path(customer)+"?confirm="+*plan.ConfirmationToken, nil)
	admin.Must(t, 404, "GET", path(customer), nil)
	admin.Must(t, 404, "DELETE", path(customer)+"?confirm="+*plan.ConfirmationToken, nil)
	admin.Customer(t, apitest.Fields{"external_id": "GO"})
}

// A child that is added while its parent is deleted either blocks the deletion or is refused.
func TestCustomerDeletionRacesWithAChild(t *testing.T) {
	t.Parallel()
	admin := apitest.New(t).Staff(t, access.Administrator)
	for range 10 {
		customer := admin.Customer(t, nil)
		token := *admin.Must(t, 428, "DELETE", path(customer), nil).Problem(t).ConfirmationToken
		var deleted, added int
		together(2, func(i int) int {
			if i == 0 {
				deleted = admin.Do(t, "DELETE", path(customer)+"?confirm="+token, nil).Status
				return deleted
			}
			added = admin.Do(t, "POST", "/v1/customers", apitest.Fields{"name": "child", "parent_id": customer.Id}).Status
			return added
		})
		if deleted == 204 {
			require.Equal(t, 422, added)
		} else {
			require.Equal(t, 409, deleted)
			require.Equal(t, 201, added)
		}
	}
}

// together runs the calls at once and counts what they give.
func together(calls int, call func(i int) int) map[int]int {
	var mu sync.Mutex
	counts := map[int]int{}
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range calls {
		group.Go(func() {
			<-start
			result := call(i)
			mu.Lock()
			defer mu.Unlock()
			counts[result]++
		})
	}
	close(start)
	group.Wait()
	return counts
}

func ids(customers ...openapi.Customer) []uuid.UUID {
	var found []uuid.UUID
	for _, customer := range customers {
		found = append(found, customer.Id)
	}
	return found
}

// list reads all pages of a list and gives the ids.
func list(t *testing.T, caller *apitest.Caller, query string) []uuid.UUID {
	t.Helper()
	var found []uuid.UUID
	cursor := ""
	for {
		var page openapi.CustomerPage
		caller.Must(t, 200, "GET", "/v1/customers?"+query+cursor, nil).JSON(t, &page)
		found = append(found, ids(page.Data...)...)
		if page.NextCursor == nil {
			return found
		}
		cursor = "&cursor=" + *page.NextCursor
	}
}

// remove deletes a customer in two calls.
func remove(t *testing.T, caller *apitest.Caller, customer openapi.Customer) {
	t.Helper()
	token := *caller.Must(t, 428, "DELETE", path(customer), nil).Problem(t).ConfirmationToken
	caller.Must(t, 204, "DELETE", path(customer)+"?confirm="+token, nil)
}

func TestHeadIsWhereGetIs(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := admin.Customer(t, nil)
	get, head := admin.Must(t, 200, "GET", path(customer), nil), admin.Must(t, 200, "HEAD", path(customer), nil)
	require.Empty(t, head.Body)
	require.Equal(t, get.Header.Get("ETag"), head.Header.Get("ETag"))
	require.Equal(t, get.Header.Get("Content-Length"), head.Header.Get("Content-Length"))
	admin.Must(t, 304, "HEAD", path(customer), nil, apitest.Header("If-None-Match", get.Header.Get("ETag")))
	s.Anonymous().Must(t, 401, "HEAD", path(customer), nil)
	s.Anonymous().Must(t, 200, "HEAD", "/healthz", nil)
}
