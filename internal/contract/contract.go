// Package contract holds openapi.yaml as the program goes by it: which operations there are, who may call them, and
// whether a request is one that they take. It finds an operation by the route that the router has matched already, and
// gives all faults of a request at once. It reads no bodies and writes no answers.
package contract

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/clientele-api/clientele/internal/access"
)

// Contract is a loaded OpenAPI document.
type Contract struct {
	doc        *openapi3.T
	operations map[string]*Operation // by method and route
	ordered    []*Operation          // by path and method
}

// Requirement is one way to be let in: a token of the scheme with all of the scopes.
type Requirement struct {
	Scheme string
	Scopes []access.Scope
}

// Operation is one operation of the contract.
type Operation struct {
	ID           string
	Method       string
	Path         string        // as the contract writes it: /v1/customers/{customer_id}
	Route        string        // as the router writes it: /v1/customers/:customer_id
	Requirements []Requirement // any one of them lets in; none: the operation is public
	MediaTypes   []string      // of the body, sorted; none: the operation takes no body
	Deprecation  *Deprecation  // nil: it goes on

	operation  *openapi3.Operation
	route      *routers.Route
	parameters []*openapi3.Parameter
	query      map[string]*openapi3.Parameter
	downloads  bool                      // whether an answer may be a file
	body       *Schema                   // of a JSON body, nil otherwise
	guarded    map[string][]access.Scope // by member of the body, what its presence asks for too
}

// Load reads a document. It fails when an operation does not say who may call it, in the one form that is understood
// here, and when a schema of a request promises what is not kept.
func Load(spec []byte) (*Contract, error) {
	doc, err := openapi3.NewLoader().LoadFromData(spec)
	if err != nil {
		return nil, fmt.Errorf("reading the contract: %w", err)
	}
	takeNull(doc)
	c := &Contract{doc: doc, operations: map[string]*Operation{}}
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			loaded, err := load(doc, path, item, method, operation)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
			c.operations[method+" "+loaded.Route] = loaded
			c.ordered = append(c.ordered, loaded)
		}
	}
	slices.SortFunc(c.ordered, func(a, b *Operation) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Method, b.Method))
	})
	return c, nil
}

// takeNull lets members of which no type is said be null, as OpenAPI 3.0 has it: null is a value as all others where any
// is taken. The validator lets it pass only where a schema says so.
func takeNull(doc *openapi3.T) {
	if doc.Components == nil {
		return
	}
	for _, schema := range doc.Components.Schemas {
		for _, property := range schema.Value.Properties {
			one := property.Value
			if one.Type == nil && len(one.AllOf)+len(one.AnyOf)+len(one.OneOf) == 0 {
				one.Nullable = true
			}
		}
	}
}

var pathParameter = regexp.MustCompile(`\{([^}]+)\}`)

func load(
	doc *openapi3.T, path string, item *openapi3.PathItem, method string, operation *openapi3.Operation,
) (*Operation, error) {
	o := &Operation{
		ID: operation.OperationID, Method: method, Path: path, Route: pathParameter.ReplaceAllString(path, ":$1"),
		operation: operation, query: map[string]*openapi3.Parameter{},
	}
	o.route = &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: operation}
	var err error
	if o.Requirements, err = requirements(operation.Security); err != nil {
		return nil, err
	}
	if o.Deprecation, err = deprecation(operation); err != nil {
		return nil, err
	}
	if role, given := operation.Extensions["x-portal-role"]; given && role != portalManager {
		return nil, fmt.Errorf("x-portal-role is %v, and there is no role to ask for but %s", role, portalManager)
	}
	o.downloads = downloads(operation)
	if value, given := operation.Extensions["x-expensive"]; given && value != true {
		return nil, fmt.Errorf("x-expensive is %v, and there is nothing to say but true", value)
	}
	for _, parameter := range slices.Concat(item.Parameters, operation.Parameters) {
		if err := checkParameterSchema(parameter.Value); err != nil {
			return nil, err
		}
		o.parameters = append(o.parameters, parameter.Value)
		if parameter.Value.In == openapi3.ParameterInQuery {
			o.query[parameter.Value.Name] = parameter.Value
		}
	}
	if operation.RequestBody != nil {
		content := operation.RequestBody.Value.Content
		o.MediaTypes = slices.Sorted(maps.Keys(content))
		for _, media := range o.MediaTypes {
			if err := checkBodySchema(media, content[media].Schema); err != nil {
				return nil, err
			}
		}
		if media := content["application/json"]; media != nil {
			o.body = newSchema(media.Schema.Value)
			o.guarded = guards(media.Schema.Value)
		}
	}
	return o, nil
}

// downloads tells whether something else than JSON may be the answer of an operation.
func downloads(operation *openapi3.Operation) bool {
	for _, response := range operation.Responses.Map() {
		for media := range response.Value.Content {
			if !strings.HasSuffix(media, "json") {
				return true
			}
		}
	}
	return false
}

// requirements reads who may call an operation. An alternative of several schemes means all of them together, and one of
// none means anybody; either would be easy to take for something else, so neither is taken.
func requirements(security *openapi3.SecurityRequirements) ([]Requirement, error) {
	if security == nil {
		return nil, errors.New("the operation does not say who may call it")
	}
	var all []Requirement
	for _, alternative := range *security {
		if len(alternative) != 1 {
			return nil, fmt.Errorf(
				"an alternative of security names %d schemes instead of one; public is security: []", len(alternative))
		}
		for scheme, scopes := range alternative {
			requirement := Requirement{Scheme: scheme}
			for _, scope := range scopes {
				requirement.Scopes = append(requirement.Scopes, access.Scope(scope))
			}
			all = append(all, requirement)
		}
	}
	return all, nil
}

// Operation finds the operation of a method and a route; nil when the contract has none.
func (c *Contract) Operation(method, route string) *Operation { return c.operations[method+" "+route] }

// Operations gives all operations, in the order of their paths.
func (c *Contract) Operations() []*Operation { return slices.Clone(c.ordered) }

// JSON gives the document as JSON, with the addresses of the installation at this URL: few tools know from where they have a
// document, so that they could make whole what it only has the path of.
func (c *Contract) JSON(url string) ([]byte, error) {
	whole := func(address string) string {
		if strings.HasPrefix(address, "/") {
			return url + strings.TrimSuffix(address, "/")
		}
		return address
	}
	doc := *c.doc
	doc.Servers = nil
	for _, server := range c.doc.Servers {
		here := *server
		here.URL = whole(server.URL)
		doc.Servers = append(doc.Servers, &here)
	}
	components := *c.doc.Components
	components.SecuritySchemes = openapi3.SecuritySchemes{}
	for name, scheme := range c.doc.Components.SecuritySchemes {
		here := *scheme.Value
		if here.Flows != nil {
			flows := *here.Flows
			for _, flow := range []**openapi3.OAuthFlow{&flows.Password, &flows.ClientCredentials} {
				if *flow != nil {
					at := **flow
					at.TokenURL, at.RefreshURL = whole(at.TokenURL), whole(at.RefreshURL)
					*flow = &at
				}
			}
			here.Flows = &flows
		}
		components.SecuritySchemes[name] = &openapi3.SecuritySchemeRef{Value: &here}
	}
	doc.Components = &components
	return json.Marshal(&doc)
}

// TakesJSON tells whether the operation's body is JSON.
func (o *Operation) TakesJSON() bool { return o.body != nil }

func (o *Operation) input(r *http.Request, query url.Values, path map[string]string) *openapi3filter.RequestValidationInput {
	return &openapi3filter.RequestValidationInput{
		Request: r, PathParams: path, QueryParams: query, Route: o.route, Options: filterOptions,
	}
}

// CheckResponse tells how an answer differs from what the contract says of it. It is for tests: a server that doubted
// every answer of its own would be twice as slow.
func (o *Operation) CheckResponse(r *http.Request, status int, header http.Header, body []byte) error {
	if o.operation.Responses.Status(status) == nil {
		return fmt.Errorf("%s does not have the status %d in its contract", o.ID, status)
	}
	response := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: o.input(r, r.URL.Query(), nil),
		Status:                 status, Header: header, Options: filterOptions,
	}
	return openapi3filter.ValidateResponse(r.Context(), response.SetBodyBytes(body))
}

// eventTypesExtension says of a schema which events have such data.
const eventTypesExtension = "x-event-types"

// Events gives the types of events that the contract lists, and for each the schema of what its data holds; a type whose
// events never have data has none. It is for tests.
func (c *Contract) Events() (schemas map[string]*openapi3.Schema, listed []string) {
	for _, eventType := range c.doc.Components.Schemas["EventType"].Value.Enum {
		listed = append(listed, eventType.(string))
	}
	schemas = map[string]*openapi3.Schema{}
	for _, one := range c.doc.Components.Schemas["EventData"].Value.Properties["after"].Value.AnyOf {
		eventTypes, _ := one.Value.Extensions[eventTypesExtension].([]any)
		for _, eventType := range eventTypes {
			schemas[eventType.(string)] = one.Value
		}
	}
	return schemas, listed
}
