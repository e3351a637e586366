package api_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
)

// requireFaults demands exactly these faults of a problem, each written as its place and its code.
func requireFaults(t *testing.T, response *apitest.Response, expected ...string) {
	t.Helper()
	problem := response.Problem(t)
	require.NotNil(t, problem.Errors, string(response.Body))
	var found []string
	for _, one := range *problem.Errors {
		place := ""
		for _, part := range []*string{one.Pointer, one.Parameter, one.Header} {
			if part != nil {
				place += *part
			}
		}
		found = append(found, place+" "+one.Code)
	}
	require.ElementsMatch(t, expected, found, string(response.Body))
}

// TestMalformedRequests sends every operation whatever the contract does not describe. It is made of the contract: an
// operation, a parameter or a member that is added to it is tried with the next run.
func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	for _, aimed := range targets(t, s) {
		t.Run(aimed.ID, func(t *testing.T) {
			t.Parallel()
			for _, one := range aimed.mutations() {
				send(t, aimed.caller, aimed, one)
			}
		})
	}
}

func (o target) mutations() []mutation {
	all := slices.Concat(o.pathMutations(), o.queryMutations(), o.headerMutations(), o.mediaMutations(), o.formMutations(),
		o.actionMutations())
	for _, media := range o.MediaTypes {
		for _, one := range o.jsonMutations() {
			one.name, one.with = media+" "+one.name, append(one.with, apitest.Header("Content-Type", media))
			all = append(all, one)
		}
	}
	return all
}

// send makes the request and holds the answer, which the contract is held against already, to what it must be.
func send(t *testing.T, caller *apitest.Caller, aimed target, one mutation) {
	t.Helper()
	path, body, with := aimed.path, one.body, one.with
	if one.path != "" {
		path = one.path
	}
	if one.query != "" {
		path += "?" + one.query
	}
	if body == nil && aimed.body != nil {
		body = aimed.encoded()
	}
	if len(aimed.MediaTypes) > 0 {
		with = slices.Concat([]apitest.With{apitest.Header("Content-Type", aimed.MediaTypes[0])}, with)
	}
	response := caller.Do(t, aimed.Method, path, body, with...)
	what := fmt.Sprintf("%s, %s: %s", aimed.ID, one.name, response.Body)
	assert.Less(t, response.Status, 500, what)
	if one.status == nil {
		return
	}
	if !assert.Contains(t, one.status, response.Status, what) {
		return
	}
	if strings.HasPrefix(aimed.Path, "/oauth/") {
		var refusal openapi.OAuthError
		response.JSON(t, &refusal)
		assert.Contains(t, []string{
			"invalid_request", "invalid_client", "invalid_grant", "invalid_scope", "unsupported_grant_type",
		}, refusal.Error, what)
		return
	}
	problem := response.Problem(t)
	if one.place == "" || !assert.NotNil(t, problem.Errors, what) {
		return
	}
	assert.True(t, slices.ContainsFunc(*problem.Errors, func(found openapi.FieldError) bool {
		place := found.Pointer
		switch {
		case one.header:
			place = found.Header
		case one.query != "":
			place = found.Parameter
		}
		if start, open := strings.CutSuffix(one.place, "*"); open && place != nil {
			return strings.HasPrefix(*place, start)
		}
		return place != nil && *place == one.place
	}), "no fault at %s of %s", one.place, what)
}

func TestMethodsThatAPathDoesNotHave(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	methods := map[string][]string{}
	for _, operation := range apitest.Contract().Operations() {
		methods[operation.Path] = append(methods[operation.Path], operation.Method)
	}
	for template, known := range methods {
		path := pathStep.ReplaceAllStringFunc(template, func(string) string { return uuid.NewString() })
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} {
			if slices.Contains(known, method) || method == "HEAD" || method == "OPTIONS" {
				continue
			}
			if apitest.Match(method, path) != nil {
				// Read as the path of a single resource, whose id is none.
				require.Contains(t, []int{404, 415}, admin.Do(t, method, path, nil).Status, "%s %s", method, path)
				continue
			}
			response := s.Anonymous().Do(t, method, path, nil)
			require.Equal(t, 405, response.Status, "%s %s", method, path)
			allow := strings.Split(response.Header.Get("Allow"), ", ")
			require.ElementsMatch(t, append(withHead(known), "OPTIONS"), allow, "%s %s", method, path)
			if !strings.HasPrefix(path, "/oauth/") {
				require.Equal(t, "method_not_allowed", response.Problem(t).Code)
			}
		}
	}
}

// withHead gives the methods with HEAD, which is wherever GET is.
func withHead(methods []string) []string {
	if slices.Contains(methods, "GET") {
		return append([]string{"HEAD"}, methods...)
	}
	return slices.Clone(methods)
}

// TestHeadIsAllowedWhereGetIs: whoever asks for the methods of a path is told of HEAD, also where the answer is no refusal.
func TestHeadIsAllowedWhereGetIs(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, apitest.Origins(portalOrigin))
	for path, expected := range map[string]string{
		"/v1/customers": "OPTIONS, GET, HEAD, POST", "/v1/webhook-endpoints/x/test": "OPTIONS, POST", "/docs": "OPTIONS, GET, HEAD",
	} {
		for _, with := range [][]apitest.With{nil, {apitest.Header("Origin", portalOrigin)}} {
			response := s.Anonymous().Do(t, "OPTIONS", path, nil, with...)
			require.Equal(t, 204, response.Status)
			require.Equal(t, []string{expected}, response.Header.Values("Allow"), path)
			response = s.Anonymous().Do(t, "BREW", path, nil, with...)
			require.Equal(t, 405, response.Status)
			require.Equal(t, []string{expected}, response.Header.Values("Allow"), path)
		}
	}
	require.Empty(t, s.Anonymous().Do(t, "HEAD", "/v1/terms/current", nil).Header.Get("Allow"))
}

func TestPathsThatAreNotThere(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	for _, path := range []string{
		"/v1", "/v1/", "/v2/customers", "/V1/customers", "/v1/Customers", "//v1/customers", "/v1//customers", "/v1/customers/",
		"/v1/customers.json", "/v1/customers%2f", "/v1/customers;a=b", "/v1/staff/", "/v1/me/", "/%00", "/%FF", "/v1/../v1/nothing",
		"/docs/nothing", "/docs/%2e%2e%2fgo.mod", "/docs/assets/nothing.js", "/docs/assets/..%2f..%2fgo.mod", "/metrics", "/debug/pprof/",
		"/" + strings.Repeat("a", 5000), "/v1/customers/" + uuid.NewString() + "/", "/v1/customers/" + uuid.NewString() + "/nothing",
	} {
		response := admin.Do(t, "GET", path, nil)
		require.Equal(t, 404, response.Status, "%s: %s", path, response.Body)
		if !strings.HasPrefix(path, "/docs/assets/") {
			require.Equal(t, "not_found", response.Problem(t).Code, path)
		}
	}
}

// TestAllFaultsAtOnce: whoever has five things wrong learns of five.
func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	customer := "/v1/customers/" + admin.Customer(t, nil).Id.String()

	query := "?limit=0&colour=red&status=gone&created_before=yesterday&include_total=maybe&cursor=!&parent_id=42&q=%20" +
		"&sort=name&sort=name"
	requireFaults(t, admin.Must(t, 400, "GET", "/v1/customers"+query, nil),
		"limit too_small", "colour unknown_parameter", "status unknown_value", "created_before invalid_format",
		"include_total invalid_type", "cursor invalid_cursor", "parent_id invalid_format", "q invalid_format", "sort repeated")

	wrong := apitest.Fields{
		"name": "", "email": "nobody", "phone": 42, "colour": "red", "modules": []any{"a", 1, " "}, "locale": "xx",
		"properties": map[string]any{"a/b": raw("1e999")}, "parent_id": "42",
	}
	members := []string{
		"/name too_short", "/email invalid_email", "/phone invalid_type", "/colour unknown_member",
		"/modules/1 invalid_type", "/modules/2 invalid_format", "/locale unknown_value", "/properties/a~1b number_too_long",
		"/parent_id invalid_format",
	}
	body := admin.Must(t, 422, "PATCH", customer, wrong)
	requireFaults(t, body, members...)
	require.Equal(t, "invalid_body", body.Problem(t).Code)

	everything := admin.Must(t, 400, "PATCH", customer+"?colour=red", wrong, apitest.Header("If-Match", "3"))
	requireFaults(t, everything, append(members, "colour unknown_parameter", "If-Match invalid_format")...)
	require.Equal(t, "invalid_request", everything.Problem(t).Code)

	unreadable := admin.Must(t, 400, "PATCH", customer+"?colour=red", "{", apitest.Header("If-Match", "3"))
	requireFaults(t, unreadable, "colour unknown_parameter", "If-Match invalid_format", " invalid_json")

	account := admin.Must(t, 422, "POST", "/v1/staff", apitest.Fields{"role": "king", "password": "short"})
	requireFaults(t, account, "/name required", "/email required", "/role unknown_value", "/password too_short",
		"/password weak_password")
}

func TestFaultsOfBodies(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	for body, faults := range map[string][]string{
		`null`:                             {" not_nullable"},
		`[]`:                               {" invalid_type"},
		`{}`:                               {"/name required"},
		`{"name":null}`:                    {"/name not_nullable"},
		`{"NAME":"x"}`:                     {"/name required", "/NAME unknown_member"},
		`{"name":"x","na/me~":1}`:          {"/na~1me~0 unknown_member"},
		`{"name":"x","name":"y"}`:          {"/name duplicate_member"},
		`{"name":"x","n\u0061me":"y"}`:     {"/name duplicate_member"},
		`{"name":"a\u0000b"}`:              {"/name nul_character"},
		`{"name":"\ud83d"}`:                {"/name lone_surrogate"},
		`{"name":"x","locale":"de"}`:       {"/locale unknown_value"},
		`{"name":"x","modules":["a","a"]}`: {"/modules repeated_item"},
		`{"name":"x","properties":{"a":{"b":[1,2e200]}}}`:     {"/properties/a/b/1 number_too_long"},
		`{"name":"x","parent_id":"` + uuid.NewString() + `"}`: {"/parent_id reference_not_found"},
	} {
		requireFaults(t, admin.Must(t, 422, "POST", "/v1/customers", body), faults...)
	}
	// What only looks like the above.
	kept := `{"name":"x","comments":"\\u0000 \ud83d\ude42 \u0009","properties":{"n":1e99,"":null,"\\":-0.1}}`
	admin.Must(t, 201, "POST", "/v1/customers", kept)
}

// TestFaultsOfNumbers: one fault for each, with its place, in the words of the contract.
func TestFaultsOfNumbers(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	rotate := webhookEndpoints + "/" + webhookEndpoint(t, admin, "https://example.com/", "*").Id.String() + "/rotate-secret"
	for value, expected := range map[string]string{
		"99999999999999999999": "too_large: must be at most 604800", "604801": "too_large: must be at most 604800",
		"-99999999999999999999": "too_small: must be at least 0", "-1": "too_small: must be at least 0",
		"1e3": "invalid_type: must be a whole number, written in digits", "5.0": "invalid_type: must be a whole number, written in digits",
		"0.5": "invalid_type: must be a whole number, written in digits", `"1"`: "invalid_type: must be of type integer",
	} {
		refused := admin.Must(t, 422, "POST", rotate, `{"overlap_seconds":`+value+`}`).Problem(t)
		require.Len(t, *refused.Errors, 1, value)
		one := (*refused.Errors)[0]
		require.Equal(t, "/overlap_seconds "+expected, *one.Pointer+" "+one.Code+": "+one.Message, value)
	}
	customer := path(admin.Customer(t, nil))
	requireFaults(t, admin.Must(t, 422, "POST", customer+"/domains", `{"host":"a.example","http_ports":[80,1e3,70000],"origin_port":1e2}`),
		"/http_ports/1 invalid_type", "/http_ports/2 too_large", "/origin_port invalid_type")
	requireFaults(t, admin.Must(t, 400, "GET", "/v1/customers?limit=99999999999999999999", nil), "limit too_large")
	few := admin.Must(t, 422, "POST", webhookEndpoints, `{"url":"https://example.com/","event_types":[]}`).Problem(t)
	require.Equal(t, "must have at least 1 item", (*few.Errors)[0].Message)
}

// TestPropertiesThatLookLikeNumbers: what no database takes as a number is looked for as text, which it is as well.
func TestPropertiesThatLookLikeNumbers(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	for _, value := range []string{
		"1e308", "1e-400", "1e131000", "1e-131000", "-1.5E-20000", "-0", "NaN", "Infinity", "0x1p-2", "1_000", "null", "{}", `"`,
		strings.Repeat("9", 100), strings.Repeat("9", 101), "0." + strings.Repeat("0", 200) + "1",
	} {
		customer := admin.Customer(t, apitest.Fields{"properties": map[string]any{"value": value}})
		var page openapi.CustomerPage
		admin.Must(t, 200, "GET", "/v1/customers?properties[value]="+url.QueryEscape(value), nil).JSON(t, &page)
		require.Len(t, page.Data, 1, value)
		require.Equal(t, customer.Id, page.Data[0].Id, value)
	}
}

// TestOneFaultForOneMistake: what follows from a fault is not told beside it.
func TestOneFaultForOneMistake(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	only := func(response *apitest.Response, code, expected string) {
		t.Helper()
		problem := response.Problem(t)
		require.Equal(t, code, problem.Code)
		require.Len(t, *problem.Errors, 1, string(response.Body))
		require.Equal(t, expected, (*problem.Errors)[0].Code+": "+(*problem.Errors)[0].Message)
	}
	const empty, cursor = "too_short: must not be empty", "invalid_cursor: must be a next_cursor that this list gave out"
	only(admin.Must(t, 422, "POST", webhookEndpoints, `{"url":"","event_types":["*"]}`), "invalid_body", empty)
	only(admin.Must(t, 400, "GET", "/v1/events?cursor=", nil), "invalid_request", empty)
	only(admin.Must(t, 400, "GET", "/v1/events?types=", nil), "invalid_request", empty)
	only(admin.Must(t, 400, "POST", "/v1/customers", `{"name":"x"}`, apitest.Header(idempotencyKey, "")), "invalid_request", empty)
	only(admin.Must(t, 422, "POST", "/v1/customers", `{"name":"\u0000\u0000"}`), "invalid_body", "nul_character: contains a NUL character")
	for _, scope := range []string{"1e3", "1", "true", "{}"} {
		only(admin.Must(t, 422, "POST", "/v1/api-clients", `{"name":"x","scopes":[`+scope+`]}`), "invalid_body", "invalid_type: must be of type string")
	}
	only(admin.Must(t, 400, "POST", "/v1/customers", "", apitest.Header("Content-Type", "application/json")), "invalid_request",
		"invalid_json: the body is missing")
	only(admin.Must(t, 400, "GET", "/v1/customers?properties=1", nil), "invalid_request",
		"unknown_parameter: must name a key, as in properties[key]=value")
	only(admin.Must(t, 400, "GET", "/v1/events?cursor=abc", nil), "invalid_request", cursor)
	only(admin.Must(t, 400, "GET", "/v1/customers?cursor=abc", nil), "invalid_request", cursor)
	admin.Customer(t, nil)
	admin.Customer(t, nil)
	var page openapi.CustomerPage
	admin.Must(t, 200, "GET", "/v1/customers?limit=1", nil).JSON(t, &page)
	only(admin.Must(t, 400, "GET", "/v1/events?cursor="+*page.NextCursor, nil), "invalid_request", cursor)
	only(admin.Must(t, 400, "GET", "/v1/customers?sort=name&cursor="+*page.NextCursor, nil), "invalid_request",
		cursor+", with the same filters and order")
}

// TestManyFaults: an answer is no larger than what it answers, and does not take for ever.
func TestManyFaults(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	unknown := strings.Builder{}
	for i := range 90_000 {
		fmt.Fprintf(&unknown, `"m%d":1,`, i)
	}
	for name, body := range map[string]string{
		"unknown members": "{" + unknown.String() + `"name":"x"}`,
		"wrong items":     `{"name":"x","modules":[` + strings.Repeat("1,", 500_000) + "1]}",
		"long numbers":    `{"name":"x","properties":[` + strings.Repeat("1e999,", 150_000) + "1]}",
		"NUL characters":  `{"name":"` + strings.Repeat(`\u0000`, 170_000) + `"}`,
	} {
		started := time.Now()
		response := admin.Must(t, 422, "POST", "/v1/customers", body)
		require.Less(t, time.Since(started), 10*time.Second, name)
		require.Less(t, len(response.Body), 64<<10, name)
		errors := *response.Problem(t).Errors
		require.NotEmpty(t, errors, name)
		require.LessOrEqual(t, len(errors), 200, name)
	}
}

// TestForgedCursors: a cursor is no secret, and whoever makes one up gets a page or a refusal.
func TestForgedCursors(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	admin := s.Staff(t, access.Administrator)
	s.Staff(t, access.Viewer)
	other := admin.Customer(t, nil)
	var foreign, last string
	for _, aimed := range targets(t, s) {
		if !slices.ContainsFunc(aimed.in("query"), func(p *openapi3.Parameter) bool { return p.Name == "cursor" }) {
			continue
		}
		if aimed.caller.CustomerID != uuid.Nil {
			s.Identity(t, aimed.caller.CustomerID) // a second session
			admin.Customer(t, apitest.Fields{"parent_id": aimed.caller.CustomerID})
			admin.Domain(t, aimed.caller.CustomerID, nil)
			admin.Domain(t, aimed.caller.CustomerID, nil)
			aimed.caller.Publishing(t, nil)
			aimed.caller.Publishing(t, nil)
			aimed.caller.Job(t, uuid.Nil, nil)
			aimed.caller.Job(t, uuid.Nil, nil)
		}
		if strings.HasPrefix(aimed.Path, "/v1/customers/{customer_id}/") {
			id, err := uuid.Parse(strings.Split(aimed.path, "/")[3])
			require.NoError(t, err)
			admin.Note(t, id, "another")
			admin.Must(t, 201, "POST", "/v1/customers/"+id.String()+"/activation-requests", "{}")
			admin.Identity(t, id, nil)
			admin.Domain(t, id, nil)
		}
		if strings.HasSuffix(aimed.Path, "/publishings/{publishing_id}/accesses") {
			id := strings.Split(aimed.path, "/")[4]
			for range 2 {
				admin.Must(t, 200, "GET", "/v1/customers/"+aimed.caller.CustomerID.String()+"/publishings/"+id, nil)
			}
		}
		if strings.HasSuffix(aimed.Path, "/customers/{customer_id}/publishings") {
			owner := portalUser(t, s, "member")
			owner.Publishing(t, nil)
			owner.Publishing(t, nil)
			aimed.path = "/v1/customers/" + owner.CustomerID.String() + "/publishings"
		}
		if strings.HasSuffix(aimed.Path, "/customers/{customer_id}/jobs") {
			owner := portalUser(t, s, "member")
			owner.Job(t, uuid.Nil, nil)
			owner.Job(t, uuid.Nil, nil)
			aimed.path = "/v1/customers/" + owner.CustomerID.String() + "/jobs"
		}
		if strings.HasSuffix(aimed.Path, "/terms-acceptances") {
			acceptTwice(t, s, admin, aimed)
		}
		if strings.HasSuffix(aimed.Path, "/backups") {
			for range 2 {
				admin.Must(t, 200, "GET", strings.TrimSuffix(aimed.path, "s"), nil)
			}
		}
		orders := []string{""}
		for _, parameter := range aimed.in("query") {
			if parameter.Name == "sort" {
				for _, order := range parameter.Schema.Value.Enum {
					orders = append(orders, "&sort="+order.(string))
				}
			}
		}
		for _, order := range orders {
			cursor := nextCursor(t, aimed.caller, aimed.path+"?limit=1"+order)
			for _, forged := range forgeries(t, cursor) {
				response := aimed.caller.Do(t, "GET", aimed.path+"?limit=1"+order+"&cursor="+forged, nil)
				raw, _ := base64.RawURLEncoding.DecodeString(forged)
				if assert.Contains(t, []int{200, 400}, response.Status, "%s %s: %s", aimed.ID, raw, response.Body) && response.Status == 400 {
					requireFaults(t, response, "cursor invalid_cursor")
				}
			}
			if foreign != "" {
				requireFaults(t, aimed.caller.Must(t, 400, "GET", aimed.path+"?cursor="+foreign+order, nil), "cursor invalid_cursor")
			}
			last = cursor
		}
		foreign = last // of another list, whatever its order
	}
	cursor := nextCursor(t, admin, "/v1/customers?limit=1")
	for _, query := range []string{"q=a", "status=active", "sort=name", "sort=created_at", "properties[a]=b"} {
		requireFaults(t, admin.Must(t, 400, "GET", "/v1/customers?"+query+"&cursor="+cursor, nil), "cursor invalid_cursor")
	}
	admin.Must(t, 200, "GET", "/v1/customers?limit=7&include_total=true&cursor="+cursor, nil)
	notes := "/v1/customers/" + other.Id.String() + "/notes?cursor="
	requireFaults(t, admin.Must(t, 400, "GET", notes+cursor, nil), "cursor invalid_cursor")
}

// acceptTwice puts two acceptances into the ledger that a list is aimed at.
func acceptTwice(t *testing.T, s *apitest.Server, admin *apitest.Caller, aimed target) {
	t.Helper()
	customerID := aimed.caller.CustomerID
	if customerID == uuid.Nil {
		customerID = uuid.MustParse(strings.Split(aimed.path, "/")[3])
	}
	for i := range 2 {
		_, err := s.DB.Exec(t.Context(), `INSERT INTO terms_acceptances (id, customer_id, terms_id, identity_id, is_first, accepted_at)
			VALUES ($1, $2, $3, $4, true, $5)`, uuid.New(), customerID, admin.Terms(t, "Terms").Id, aimed.caller.ID,
			time.Now().Add(time.Duration(i)))
		require.NoError(t, err)
	}
}

func nextCursor(t *testing.T, caller *apitest.Caller, path string) string {
	t.Helper()
	var page struct {
		Next *string `json:"next_cursor"`
	}
	require.Eventually(t, func() bool { // the feed's events get their places a moment later
		caller.Must(t, 200, "GET", path, nil).JSON(t, &page)
		return page.Next != nil
	}, 3*time.Second, 20*time.Millisecond, "%s has no second page", path)
	return *page.Next
}

// forgeries are cursors of the same list with another place.
func forgeries(t *testing.T, cursor string) (all []string) {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	require.NoError(t, err)
	var parts map[string]any
	require.NoError(t, json.Unmarshal(text, &parts))
	values := []any{
		nil, true, 0, -1, 1.5, raw("1e400"), int64(math.MaxInt64), int64(math.MinInt64), "", "x", nul, raw(`"\ud800"`),
		"0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999-23:59", "0001-01-01T00:00:00+23:59", "294277-01-01T00:00:00Z",
		uuid.Nil, uuid.Max, []any{}, []any{nul},
		map[string]any{}, map[string]any{"unknown": 1}, raw(nested(500)), strings.Repeat("x", 1000),
	}
	for name := range parts {
		for _, value := range values {
			all = append(all, encode(without(parts, name, value)))
		}
	}
	if place, isObject := parts["p"].(map[string]any); isObject {
		for name := range place {
			for _, value := range values {
				all = append(all, encode(without(parts, "p", without(place, name, value))))
			}
		}
	}
	all = append(all, string(text)+"x", string(text[:len(text)-1]), "null", "[]", "1", nul, notUTF8)
	for i, one := range all {
		all[i] = base64.RawURLEncoding.EncodeToString([]byte(one))
	}
	return append(all, cursor+"A", "A"+cursor, cursor[1:], cursor+"%3D", cursor+"%0A")
}
