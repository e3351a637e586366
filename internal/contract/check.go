package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/rawjson"
)

// maxJSONDepth is how deep a body may be nested.
const maxJSONDepth = 32

// CheckRequest gives the faults of a request's parameters and headers, and those of its JSON body; body is nil for an
// operation without one. A path parameter that cannot name anything is a resource that is not there. The faults of all
// parts come together: a request that cannot be understood, or else one whose body is wrong.
func (o *Operation) CheckRequest(r *http.Request, path map[string]string, body []byte) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fault.InvalidRequest(fault.Field{Parameter: "", Code: "invalid_query", Message: "the query cannot be read"})
	}
	faults := o.checkQueryNames(query)
	input := o.input(r, query, path)
	for _, parameter := range o.parameters {
		err := openapi3filter.ValidateParameter(r.Context(), input, parameter)
		if err == nil {
			continue
		}
		if parameter.In == openapi3.ParameterInPath {
			return fault.NoSuchResource()
		}
		faults = append(faults, parameterFaults(parameter, err)...)
	}
	var members []fault.Field
	if o.body != nil {
		var unreadable *fault.Field
		members, unreadable = o.checkBody(body)
		if unreadable != nil {
			faults = append(faults, *unreadable)
		}
	}
	switch {
	case len(faults) > 0:
		return fault.InvalidRequest(append(faults, members...)...)
	case len(members) > 0:
		return fault.InvalidBody(members...)
	}
	return nil
}

// checkQueryNames finds parameters that the operation does not have, those that are there twice, and what no parameter
// may hold.
func (o *Operation) checkQueryNames(query url.Values) []fault.Field {
	var faults []fault.Field
	members := map[*openapi3.Parameter]uint64{}
	for name, values := range query {
		parameter := o.query[name]
		base, key, nested := strings.Cut(name, "[")
		isObject := parameter == nil && nested && strings.HasSuffix(key, "]")
		if isObject {
			parameter = o.query[base]
		}
		switch {
		case parameter == nil || isObject != (parameter.Style == "deepObject"):
			faults = append(faults, fault.Field{
				Parameter: name, Code: "unknown_parameter", Message: "is not a parameter of this operation",
			})
		case len(values) > 1:
			faults = append(faults, fault.Field{Parameter: name, Code: "repeated", Message: "is there more than once"})
		case !isText(name) || !isText(values[0]):
			faults = append(faults, fault.Field{
				Parameter: base, Code: "invalid_text", Message: "must be UTF-8 without NUL characters",
			})
		case isObject:
			members[parameter]++
		}
	}
	for parameter, count := range members {
		if most := parameter.Schema.Value.MaxProps; most != nil && count > *most {
			faults = append(faults, fault.Field{
				Parameter: parameter.Name, Code: "too_many_members", Message: fmt.Sprintf("must have at most %d keys", *most),
			})
		}
	}
	slices.SortFunc(faults, func(a, b fault.Field) int { return strings.Compare(a.Parameter, b.Parameter) })
	return faults
}

func isText(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }

// checkBody gives the faults of the members of a JSON body, or the one fault of a text that is not JSON.
func (o *Operation) checkBody(body []byte) (members []fault.Field, unreadable *fault.Field) {
	refused, err := rawjson.Check(body, maxJSONDepth)
	if err != nil {
		return nil, &fault.Field{Code: "invalid_json", Message: "the body " + err.Error()}
	}
	for _, one := range refused {
		members = append(members, fault.Field{Pointer: one.Pointer, Code: one.Code, Message: one.Message})
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, &fault.Field{Code: "invalid_json", Message: "the body is not JSON"}
	}
	err = o.body.VisitJSON(value, append(schemaOptions, openapi3.MultiErrors(), openapi3.VisitAsRequest())...)
	members = append(members, schemaFaults(err)...)
	return append(members, o.checkBounds(body)...), nil
}

// bound is a limit of a member that JSON Schema has no word for: x-max-bytes and x-max-depth.
type bound struct {
	member   string
	maxBytes int
	maxDepth int
}

func bounds(schema *openapi3.Schema) []bound {
	var found []bound
	for name, property := range schema.Properties {
		maxBytes, hasBytes := property.Value.Extensions["x-max-bytes"].(float64)
		maxDepth, hasDepth := property.Value.Extensions["x-max-depth"].(float64)
		if hasBytes || hasDepth {
			found = append(found, bound{member: name, maxBytes: int(maxBytes), maxDepth: int(maxDepth)})
		}
	}
	return found
}

func (o *Operation) checkBounds(body []byte) []fault.Field {
	if len(o.bounded) == 0 {
		return nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return nil // not an object, which the schema says
	}
	var faults []fault.Field
	for _, bound := range o.bounded {
		value := members[bound.member]
		pointer := rawjson.Pointer(bound.member)
		if bound.maxBytes > 0 && len(value) > bound.maxBytes {
			faults = append(faults, fault.Field{
				Pointer: pointer, Code: "too_large", Message: fmt.Sprintf("must have at most %d bytes", bound.maxBytes),
			})
		}
		if bound.maxDepth > 0 && rawjson.Depth(value) > bound.maxDepth {
			faults = append(faults, fault.Field{
				Pointer: pointer, Code: "too_deep", Message: fmt.Sprintf("must be nested at most %d levels deep", bound.maxDepth),
			})
		}
	}
	return faults
}

func parameterFaults(parameter *openapi3.Parameter, err error) []fault.Field {
	var found []fault.Field
	var schemaErrors openapi3.MultiError
	var schemaError *openapi3.SchemaError
	if errors.As(err, &schemaErrors) || errors.As(err, &schemaError) {
		found = schemaFaults(err)
	}
	if len(found) == 0 {
		code, message := "invalid_type", "cannot be read"
		switch {
		case errors.Is(err, openapi3filter.ErrInvalidRequired):
			code, message = "required", "is required"
		case errors.Is(err, openapi3filter.ErrInvalidEmptyValue):
			code, message = "empty", "must not be empty"
		default:
			if types := parameter.Schema.Value.Type; types != nil {
				message = fmt.Sprintf("must be of type %s", strings.Join(types.Slice(), " or "))
			}
		}
		found = []fault.Field{{Code: code, Message: message}}
	}
	for i := range found {
		found[i].Pointer = ""
		if parameter.In == openapi3.ParameterInHeader {
			found[i].Header = parameter.Name
		} else {
			found[i].Parameter = parameter.Name
		}
	}
	return found
}
