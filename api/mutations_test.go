package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/contract"
)

// mutation is a request that differs in one thing from one the contract describes.
type mutation struct {
	name   string
	path   string // "" for the good one
	query  string
	body   any // nil for the good one
	with   []apitest.With
	status []int  // that it may be answered with; none for anything but a 5xx
	place  string // where a fault must be: a pointer, a parameter or a header; "" when that does not matter
	header bool   // place is a header
}

// target is an operation, as its contract has it and as the router has it.
type target struct {
	*contract.Operation
	operation  *openapi3.Operation
	parameters openapi3.Parameters
	path       string          // to resources that exist
	caller     *apitest.Caller // who may call it
	body       any             // a good one, nil for none
}

var document = sync.OnceValue(func() *openapi3.T {
	doc, err := openapi3.NewLoader().LoadFromData(openapi.Spec)
	if err != nil {
		panic(err)
	}
	return doc
})

// targets gives every operation, aimed at resources of its own.
func targets(t *testing.T, s *apitest.Server) []target {
	t.Helper()
	admin := s.Staff(t, access.Administrator)
	var all []target
	for _, operation := range apitest.Contract().Operations() {
		all = append(all, aimAt(t, s, admin, operation))
	}
	return all
}

func aimAt(t *testing.T, s *apitest.Server, admin *apitest.Caller, operation *contract.Operation) target {
	t.Helper()
	customer := admin.Customer(t, apitest.Fields{"external_id": uuid.NewString()})
	admin.Must(t, 200, "PATCH", path(customer), apitest.Fields{"email": uuid.NewString() + "@example.com"})
	var prepared openapi.ActivationRequest
	admin.Must(t, 201, "POST", path(customer)+"/activation-requests", "{}").JSON(t, &prepared)
	ids := map[string]string{
		"activation_request_id": prepared.Id.String(),
		"domain_id":             admin.Domain(t, customer.Id, nil).Id.String(),
		"terms_id":              admin.Terms(t, "Terms").Id.String(),
		"customer_id":           customer.Id.String(),
		"operation_id":          admin.Import(t, customersImport, "name\n").Id.String(),
		"note_id":               admin.Note(t, customer.Id, "text").Id.String(),
		"identity_id":           admin.Identity(t, customer.Id, nil).Id.String(),
		"session_id":            uuid.NewString(), // its owner is somebody else
		"staff_id":              s.Staff(t, access.Viewer).ID.String(),
		"api_client_id":         admin.APIClient(t, nil).ID.String(),
	}
	if strings.HasPrefix(operation.Path, "/v1/webhook-") {
		ids["webhook_endpoint_id"], ids["delivery_id"] = webhookTarget(t, admin)
	}
	item := document().Paths.Value(operation.Path)
	aimed := target{Operation: operation, operation: item.GetOperation(operation.Method)}
	aimed.caller = admin
	if len(operation.Requirements) > 0 && operation.Requirements[0].Scheme == access.KindIdentity {
		aimed.caller = portalUser(t, s, "manager")
		admin.Must(t, 200, "PATCH", path(customer), apitest.Fields{"parent_id": aimed.caller.CustomerID})
	}
	if strings.Contains(operation.Path, "{job_id}") {
		job := jobFor(t, s, aimed.caller)
		admin.Must(t, 201, "PUT", "/v1/jobs/"+job.Id.String()+"/files/pdl-model", "{}")
		ids["job_id"], ids["kind"] = job.Id.String(), "pdl-model"
	}
	if operation.ID == "jobCreate" {
		ids["customer_id"] = portalUser(t, s, "member").CustomerID.String()
	}
	if strings.Contains(operation.Path, "{publishing_id}") {
		owner := aimed.caller
		if owner.CustomerID == uuid.Nil {
			owner = portalUser(t, s, "member")
			ids["customer_id"] = owner.CustomerID.String()
		}
		ids["publishing_id"] = owner.Publishing(t, nil).Id.String()
	}
	aimed.parameters = slices.Concat(item.Parameters, aimed.operation.Parameters)
	aimed.path = pathStep.ReplaceAllStringFunc(operation.Path, func(step string) string {
		id, known := ids[strings.Trim(step, "{}")]
		require.True(t, known, "no resource to aim %s at: add one for %s", operation.ID, step)
		return id
	})
	if aimed.operation.RequestBody != nil {
		for _, media := range operation.MediaTypes {
			aimed.body = example(aimed.operation.RequestBody.Value.Content[media])
		}
		require.NotNil(t, aimed.body, "%s has no example of its body", operation.ID)
	}
	return aimed
}

// jobFor submits a job of the caller's customer; of any, for staff.
func jobFor(t *testing.T, s *apitest.Server, caller *apitest.Caller) openapi.Job {
	t.Helper()
	if caller.CustomerID == uuid.Nil {
		caller = portalUser(t, s, "member")
	}
	return caller.Job(t, uuid.Nil, nil)
}

func example(media *openapi3.MediaType) any {
	if media.Example != nil {
		return media.Example
	}
	for _, name := range slices.Sorted(maps.Keys(media.Examples)) {
		return media.Examples[name].Value.Value
	}
	return nil
}

func (o target) in(place string) (found []*openapi3.Parameter) {
	for _, parameter := range o.parameters {
		if parameter.Value.In == place {
			found = append(found, parameter.Value)
		}
	}
	return found
}

// encoded gives the good body as it is sent.
func (o target) encoded() string {
	if o.body == nil || o.TakesJSON() {
		text, _ := json.Marshal(o.body)
		return string(text)
	}
	values := url.Values{}
	if members, isObject := o.body.(map[string]any); isObject {
		for name, value := range members {
			values.Set(name, fmt.Sprint(value))
		}
	}
	return values.Encode()
}

var (
	nul      = "a\x00b"
	notUTF8  = "a\xff\xfeb"
	longText = strings.Repeat("long ", 2000)
	oddTexts = []string{
		`'; DROP TABLE customers; --`, `%_\`, `"quoted"`, "\u2028", "\u202eright to left", "﷽", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "İıſK", "\ufeff",
		"${jndi:ldap://x}", "../../etc/passwd", "\u0085",
	}
	notFound  = []int{404}
	malformed = []int{400}
	invalid   = []int{422}
)

// pathMutations have ids that are none.
func (o target) pathMutations() (all []mutation) {
	for _, parameter := range o.in("path") {
		at := slices.Index(strings.Split(o.Path, "/"), "{"+parameter.Name+"}")
		steps := strings.Split(o.path, "/")
		known := steps[at]
		before, after := strings.Join(steps[:at], "/")+"/", strings.Join(append([]string{""}, steps[at+1:]...), "/")
		for _, id := range []string{
			"42", "not-an-id", "%00", "%FF%FE", "%20", "null", "..%2f..%2fstaff", "%2e%2e", strings.Repeat("9", 3000),
			known + "0", known[:len(known)-1], "%20" + known, "%7B" + known + "%7D", "urn:uuid:" + known,
			strings.ReplaceAll(known, "-", ""), strings.Replace(known, "-", "_", 1), strings.Replace(known, known[:1], "g", 1),
		} {
			all = append(all, mutation{name: "id " + abbreviated(id), path: before + id + after, status: notFound})
		}
		all = append(all, mutation{name: "id of nothing", path: before + uuid.NewString() + after, status: nil})
	}
	return all
}

func abbreviated(text string) string {
	if len(text) > 40 {
		text = text[:40] + "…"
	}
	return fmt.Sprintf("%q", text)
}

// queryMutations have parameters that there are not, or not so.
func (o target) queryMutations() []mutation {
	all := []mutation{
		{name: "unknown parameter", query: "no_such_parameter=1", status: malformed, place: "no_such_parameter"},
		{name: "unknown parameter without a value", query: "no_such_parameter", status: malformed, place: "no_such_parameter"},
		{name: "object that is not one", query: "limit[a]=1", status: malformed, place: "limit[a]"},
		{name: "query that is none", query: "%zz", status: malformed},
		{name: "query with a semicolon", query: "a=1;b=2", status: malformed},
	}
	for _, parameter := range o.in("query") {
		add := func(what, value string) {
			all = append(all, mutation{
				name: parameter.Name + " " + what, query: parameter.Name + "=" + value, status: malformed, place: parameter.Name,
			})
		}
		if parameter.Style == "deepObject" {
			all = append(all, objectMutations(parameter)...)
			continue
		}
		add("empty", "")
		add("with NUL", url.QueryEscape(nul))
		add("that is not UTF-8", url.QueryEscape(notUTF8))
		add("very long", url.QueryEscape(longText))
		for _, value := range wrongValues(parameter.Schema.Value) {
			add(abbreviated(value), url.QueryEscape(value))
		}
		good := goodValue(parameter)
		add("twice", good+"&"+parameter.Name+"="+good)
		upper := strings.ToUpper(parameter.Name)
		all = append(all, mutation{name: upper, query: upper + "=" + good, status: malformed, place: upper})
		for _, odd := range oddTexts {
			all = append(all, mutation{name: parameter.Name + " odd " + odd, query: parameter.Name + "=" + url.QueryEscape(odd)})
		}
	}
	return all
}

func goodValue(parameter *openapi3.Parameter) string {
	schema := parameter.Schema.Value
	switch {
	case parameter.Example != nil:
		return url.QueryEscape(fmt.Sprint(parameter.Example))
	case len(schema.Enum) > 0:
		return url.QueryEscape(fmt.Sprint(schema.Enum[0]))
	}
	return "1"
}

// wrongValues are texts that a parameter of the schema does not take.
func wrongValues(schema *openapi3.Schema) (values []string) {
	if schema.Type.Is("integer") {
		values = append(values, "abc", "1.5", "1e400", "99999999999999999999", "NaN", "1 000", "null", "true", "0x10", "+5", "١")
		if schema.Min != nil {
			values = append(values, fmt.Sprint(int64(*schema.Min)-1), fmt.Sprint(math.MinInt64))
		}
		if schema.Max != nil {
			values = append(values, fmt.Sprint(int64(*schema.Max)+1), fmt.Sprint(math.MaxInt32), fmt.Sprint(math.MaxInt64))
		}
	}
	if schema.Type.Is("boolean") {
		values = append(values, "maybe", "1", "0", "t", "TRUE", "null", "yes", "[]")
	}
	if len(schema.Enum) > 0 {
		values = append(values, "no such value", strings.ToUpper(fmt.Sprint(schema.Enum[0])), fmt.Sprint(schema.Enum[0])+",")
	}
	return append(values, wrongStrings(schema)...)
}

// wrongStrings are texts that a string of the schema must not be.
func wrongStrings(schema *openapi3.Schema) (values []string) {
	switch schema.Format {
	case "uuid":
		values = append(values, "42", strings.Repeat("z", 36), "{"+uuid.NewString()+"}", "urn:uuid:"+uuid.NewString())
	case "date-time":
		values = append(values, "yesterday", "2026-01-01", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z",
			"99999-01-01T00:00:00Z", "2026-01-01 00:00:00", "1700000000")
	case "email":
		values = append(values, "nobody", "@example.com", "a@b@c", "Ada <ada@example.com>", "a b@example.com", "ada@example.com\n")
	case "cursor":
		values = append(values, "!", "e30", "bnVsbA", "W10", "eyJsIjoiIiwicCI6bnVsbH0")
	case "network":
		values = append(values, "here", "10.0.0.0/33", "10.0.0", "10.0.0.0/08", "::ffff:10.0.0.0/104", "fe80::1%eth0", " 10.0.0.0/8")
	case "line":
		values = append(values, " ", "two\nlines", "tab\there", "\u0085")
	case "new-password":
		values = append(values, "short", "password123", "aaaaaaaaaaaaaaaa")
	}
	if schema.MaxLength != nil {
		values = append(values, strings.Repeat("é", int(*schema.MaxLength)+1))
	}
	if schema.MinLength > 0 {
		values = append(values, "")
	}
	if schema.Pattern == `\S` {
		values = append(values, " ", "\t\n ")
	}
	return values
}

// objectMutations are for parameters written as name[key]=value.
func objectMutations(parameter *openapi3.Parameter) (all []mutation) {
	name := parameter.Name
	add := func(what, query, place string) {
		all = append(all, mutation{name: name + " " + what, query: query, status: malformed, place: place})
	}
	add("without a key", name+"=1", name)
	add("with half a bracket", name+"[a=1", name+"[a")
	add("twice", name+"[a]=1&"+name+"[a]=2", name+"[a]")
	add("with NUL", name+"[a]="+url.QueryEscape(nul), name)
	add("that is not UTF-8", name+"[a]="+url.QueryEscape(notUTF8), name)
	add("with NUL in the key", name+"["+url.QueryEscape(nul)+"]=1", name)
	add("with a key that is not UTF-8", name+"["+url.QueryEscape(notUTF8)+"]=1", name)
	add("very long", name+"[a]="+url.QueryEscape(longText), name)
	if most := parameter.Schema.Value.MaxProps; most != nil {
		query := ""
		for i := range *most + 1 {
			query += fmt.Sprintf("&%s[k%d]=1", name, i)
		}
		add("with too many keys", query[1:], name)
	}
	for _, query := range []string{
		"[a][b]=1", "[]=1", "[[]]=1", "[a]]=1", "[a]", "[a]=", "[a.b]=1", "[" + url.QueryEscape(longText) + "]=1", "[%25]=%25",
		"[a]=1e308", "[a]=1e-400", "[a]=1e131000", "[a]=1e-131000", "[a]=-0", "[a]=1e-20000", "[a]=NaN", "[a]=null",
		"[a]=true", "[a]={}", "[a]=" + strings.Repeat("9", 100), "[a]=0." + strings.Repeat("9", 98), "[a]=" + url.QueryEscape(`"`),
	} {
		all = append(all, mutation{name: name + " odd " + abbreviated(query), query: name + query})
	}
	return all
}

// wrongHeaders are values that a header of the format does not take.
var wrongHeaders = map[string][]string{
	"entity-tags": {
		"", "abc", `"open`, `W/`, `W/abc`, `"a" "b"`, `,`, `"a",`, `,"a"`, `"a";"b"`, `""a`, `"` + strings.Repeat("a", 5000) + `"`,
	},
	"content-disposition": {
		"", ";", "attachment; filename", `attachment; filename="open`, "attachment; filename=a b", "attachment; filename=\"\xff\"",
		"attachment; filename=" + strings.Repeat("a", 5000),
	},
	"digests": {
		"", "sha-256", "sha-256=abc", "sha-256=:AAAA:", "sha-512=::", `"a"`, ",", "sha-256=:" + strings.Repeat("A", 5000) + ":",
	},
}

// headerMutations have declared headers that are not so.
func (o target) headerMutations() (all []mutation) {
	for _, parameter := range o.in("header") {
		if parameter.Name == "Range" || parameter.Name == "If-Range" {
			continue // what they cannot be is ignored or not satisfiable, as RFC 9110 has it
		}
		if parameter.Name == idempotencyKey {
			all = append(all, keyMutations()...)
			continue
		}
		for _, value := range wrongHeaders[parameter.Schema.Value.Format] {
			all = append(all, mutation{
				name: parameter.Name + " " + abbreviated(value), status: malformed, place: parameter.Name, header: true,
				with: []apitest.With{apitest.Header(parameter.Name, value)},
			})
		}
		for _, value := range []string{"*", `""`, `W/"1.a"`, `"-1.a"`, `"99999999999999999999.a"`, "\"\xff\"", `"1.a", "2.b"`} {
			all = append(all, mutation{
				name: parameter.Name + " odd " + abbreviated(value), with: []apitest.With{apitest.Header(parameter.Name, value)},
			})
		}
		all = append(all, mutation{name: parameter.Name + " twice", with: []apitest.With{func(r *http.Request) {
			r.Header[http.CanonicalHeaderKey(parameter.Name)] = []string{`"1.a"`, `"2.b"`}
		}}})
	}
	return all
}
