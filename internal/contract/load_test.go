package contract_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/contract"
)

// document is a contract of one operation, PUT /things/{id}.
type document struct {
	security   string // as JSON
	parameters string // as JSON, beside the id
	media      string
	schema     string // of the body, as JSON
}

func (d document) load(t *testing.T) (*contract.Operation, error) {
	t.Helper()
	with := func(given, otherwise string) string {
		if given == "" {
			return otherwise
		}
		return given
	}
	parameters := `{"name": "id", "in": "path", "required": true, "schema": {"type": "string", "format": "uuid"}}`
	if d.parameters != "" {
		parameters += "," + d.parameters
	}
	body := ""
	if d.schema != "" {
		body = `"requestBody": {"content": {"` + with(d.media, "application/json") + `": {"schema": ` + d.schema + `}}},`
	}
	c, err := contract.Load([]byte(`{
		"openapi": "3.0.3", "info": {"title": "T", "version": "1"},
		"paths": {"/things/{id}": {"put": {
			"operationId": "thingUpdate", "security": ` + with(d.security, "[]") + `, "parameters": [` + parameters + `], ` + body + `
			"responses": {"204": {"description": "D"}}}}},
		"components": {"schemas": {
			"Free": {"type": "object", "additionalProperties": true, "x-max-bytes": 10, "x-max-depth": 2},
			"Closed": {"type": "object", "additionalProperties": false, "properties": {"name": {"type": "string"}}},
			"Open": {"type": "object", "properties": {"name": {"type": "string"}}},
			"Tree": {"type": "object", "additionalProperties": false, "properties": {
				"children": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}}}}}}`))
	if err != nil {
		return nil, err
	}
	return c.Operation("PUT", "/things/:id"), nil
}

// object is a closed object with these properties.
func object(properties string) string {
	return `{"type": "object", "additionalProperties": false, "properties": {` + properties + `}}`
}

func TestTheContractItselfLoads(t *testing.T) {
	t.Parallel()
	_, err := contract.Load(openapi.Spec)
	require.NoError(t, err)
}

func TestWhoMayCallIsSaidInOneWay(t *testing.T) {
	t.Parallel()
	for security, expected := range map[string][]contract.Requirement{
		`[]`:              nil,
		`[{"staff": []}]`: {{Scheme: "staff"}},
		`[{"staff": ["customers:read", "events:read"]}, {"portal": []}]`: {
			{Scheme: "staff", Scopes: []access.Scope{"customers:read", "events:read"}}, {Scheme: "portal"},
		},
	} {
		operation, err := document{security: security}.load(t)
		require.NoError(t, err, security)
		require.Equal(t, expected, operation.Requirements, security)
	}
	for security, reason := range map[string]string{
		`null`:                                   "does not say who may call it",
		`[{}]`:                                   "names 0 schemes",
		`[{"staff": []}, {}]`:                    "names 0 schemes",
		`[{"staff": [], "portal": []}]`:          "names 2 schemes",
		`[{"a": []}, {"staff": [], "mtls": []}]`: "names 2 schemes",
	} {
		_, err := document{security: security}.load(t)
		require.ErrorContains(t, err, "PUT /things/{id}", security)
		require.ErrorContains(t, err, reason, security)
	}
}

func TestRolesOfThePortal(t *testing.T) {
	t.Parallel()
	operation, err := document{security: `[{"identity": ["portal"]}], "x-portal-role": "manager"`}.load(t)
	require.NoError(t, err)
	require.True(t, operation.IsForManagers())
	operation, err = document{security: `[{"identity": ["portal"]}]`}.load(t)
	require.NoError(t, err)
	require.False(t, operation.IsForManagers())
	for _, role := range []string{`"managers"`, `"member"`, `""`, `null`, `true`, `["manager"]`} {
		_, err := document{security: `[], "x-portal-role": ` + role}.load(t)
		require.ErrorContains(t, err, "x-portal-role", role)
	}
}

func TestBodiesAreClosed(t *testing.T) {
	t.Parallel()
	free := `{"type": "object", "additionalProperties": true}`
	reference := func(name string) string { return `{"$ref": "#/components/schemas/` + name + `"}` }
	for _, schema := range []string{
		`{"type": "string"}`, `{"type": "array", "items": {"type": "integer"}}`, object(``), free,
		`{"type": "object", "additionalProperties": {"type": "string"}}`, reference("Closed"), reference("Tree"),
		object(`"a": ` + free), object(`"a": ` + object(`"b": `+reference("Closed"))), object(`"a": {"oneOf": [` + reference("Closed") + `]}`),
	} {
		_, err := document{schema: schema}.load(t)
		require.NoError(t, err, schema)
	}
	for _, schema := range []string{
		`{}`, `{"nullable": true}`, `{"type": "object"}`, `{"properties": {"a": {"type": "string"}}}`, reference("Open"),
		`{"type": "object", "additionalProperties": {"type": "string"}, "properties": {"a": {"type": "string"}}}`,
		`{"type": "object", "additionalProperties": ` + reference("Open") + `}`,
		`{"type": "object", "additionalProperties": true, "properties": {"a": {"type": "string"}}}`,
		`{"type": "array", "items": ` + reference("Open") + `}`,
		object(`"a": {}`), object(`"a": ` + reference("Open")), object(`"a": ` + object(`"b": {"type": "object"}`)),
		object(`"a": {"type": "array", "items": {"type": "array", "items": ` + reference("Open") + `}}`),
		object(`"a": {"allOf": [` + reference("Closed") + `, ` + reference("Open") + `]}`),
		object(`"a": {"oneOf": [` + reference("Open") + `]}`), object(`"a": {"anyOf": [` + reference("Open") + `]}`),
	} {
		for _, media := range []string{"application/json", "application/merge-patch+json"} {
			_, err := document{schema: schema, media: media}.load(t)
			require.ErrorContains(t, err, "additionalProperties", schema)
			require.ErrorContains(t, err, "PUT /things/{id}: "+media, schema)
		}
		_, err := document{schema: schema, media: "application/x-www-form-urlencoded"}.load(t)
		require.NoError(t, err, "forms are not bound by encoding/json")
	}
	_, err := document{schema: object(`"a": ` + object(`"b": {"type": "object"}`))}.load(t)
	require.ErrorContains(t, err, "the body, a, b takes objects", "whoever wrote it finds the place")
}

func TestBoundsStandWhereTheyAreEnforced(t *testing.T) {
	t.Parallel()
	const bounded = `{"type": "string", "x-max-bytes": 10}`
	reference := `{"$ref": "#/components/schemas/Free"}`
	_, err := document{schema: object(`"a": ` + bounded + `, "b": ` + reference)}.load(t)
	require.NoError(t, err)
	for _, schema := range []string{
		bounded, reference, `{"type": "array", "items": ` + bounded + `}`, object(`"a": ` + object(`"b": `+bounded)),
		object(`"a": ` + reference + `, "b": ` + object(`"c": `+reference)), // right in one place, wrong in the other
		object(`"a": {"type": "array", "items": ` + reference + `}`),
		object(`"a": {"allOf": [` + reference + `]}`), object(`"a": {"type": "object", "additionalProperties": false, "not": ` + reference + `}`),
		`{"allOf": [` + object(`"a": `+bounded) + `]}`,
		object(`"a": {"$ref": "#/components/schemas/Closed", "x-max-depth": 3}`),
		object(`"a": {"type": "string", "x-max-bytes": "10"}`), object(`"a": {"type": "string", "x-max-depth": 0}`),
		object(`"a": {"type": "string", "x-max-bytes": 1.5}`),
	} {
		_, err := document{schema: schema}.load(t)
		require.ErrorContains(t, err, "x-max-", schema)
	}
	_, err = document{schema: object(`"a": ` + bounded), media: "application/x-www-form-urlencoded"}.load(t)
	require.ErrorContains(t, err, "x-max-bytes")
	_, err = document{parameters: `{"name": "a", "in": "query", "schema": ` + bounded + `}`}.load(t)
	require.ErrorContains(t, err, "the parameter a: x-max-bytes")
}

func TestEqualMembersStandWhereTheyAreCompared(t *testing.T) {
	t.Parallel()
	pair := `"a": {"type": "string"}, "b": {"type": "string", "x-equals": "a"}`
	for _, schema := range []string{object(pair), object(`"c": ` + object(pair))} {
		_, err := document{schema: schema}.load(t)
		require.NoError(t, err, schema)
	}
	for _, schema := range []string{
		object(`"b": {"type": "string", "x-equals": "a"}`), object(`"a": {"type": "string"}, "b": {"type": "string", "x-equals": true}`),
		object(`"c": ` + object(`"d": `+object(pair))), object(`"c": {"type": "array", "items": ` + object(pair) + `}`),
	} {
		_, err := document{schema: schema}.load(t)
		require.ErrorContains(t, err, "x-equals of b", schema)
	}
	_, err := document{schema: object(pair), media: "application/x-www-form-urlencoded"}.load(t)
	require.ErrorContains(t, err, "x-equals of b")
}

func TestWhatHasNoSchema(t *testing.T) {
	t.Parallel()
	_, err := contract.Load([]byte(strings.ReplaceAll(`{"openapi": "3.0.3", "info": {"title": "T", "version": "1"}, "paths": {"/things": {"put": {
		"operationId": "x", "security": [], "requestBody": {"content": {"application/json": {}}}, "responses": {}}}}}`, "\n", "")))
	require.ErrorContains(t, err, "has no schema")
	_, err = document{parameters: `{"name": "a", "in": "query", "content": {"application/json": {"schema": {"type": "string"}}}}`}.load(t)
	require.ErrorContains(t, err, "the parameter a has no schema")
}
