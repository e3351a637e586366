package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/rawjson"
)

// maxJSONDepth is how deep a body may be nested.
const maxJSONDepth = 32

// nothing is what may be sent to an operation that takes no body: many clients send an empty object.
var nothing = newSchema(openapi3.NewObjectSchema().WithoutAdditionalProperties())

// CheckRequest gives the faults of a request's parameters and headers, and those of its JSON body; body is empty where none
// was sent to an operation that takes none. A path parameter that cannot name anything is a resource that is not there. The faults of all
// parts come together: a request that cannot be understood, or else one whose body is wrong. The lines of a header that is
// a parameter are joined into one, for whoever reads it afterwards; only a key is refused that has several.
func (o *Operation) CheckRequest(r *http.Request, path map[string]string, body []byte) error {
	query, unreadable := readQuery(r.URL.RawQuery)
	faults := slices.Concat(unreadable, o.checkQueryNames(query))
	for name, values := range query { // what is there twice has been told, and is judged by the first
		query[name] = values[:1]
	}
	input := o.input(r, query, path)
	for _, parameter := range o.parameters {
		if parameter.In == openapi3.ParameterInHeader {
			if parameter.Name == keyHeader && len(r.Header.Values(keyHeader)) > 1 { // two keys are no key
				faults = append(faults, fault.Field{Header: keyHeader, Code: "repeated", Message: "must be there only once"})
				continue
			}
			joinLines(r.Header, parameter.Name)
		}
		found := checkParameter(input, parameter)
		if len(found) > 0 && parameter.In == openapi3.ParameterInPath {
			return fault.NoSuchResource()
		}
		for _, one := range found {
			if !slices.Contains(faults, one) { // as when both counted the keys of an object
				faults = append(faults, one)
			}
		}
	}
	var members []fault.Field
	schema := o.body
	if len(o.MediaTypes) == 0 && len(body) > 0 {
		schema = nothing
	}
	if schema != nil {
		var notJSON *fault.Field
		members, notJSON = schema.check(body, rawjson.MaxValues)
		if notJSON != nil {
			faults = append(faults, *notJSON)
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

// Schema is a schema of the contract, by which texts are judged.
type Schema struct {
	schema  *openapi3.Schema
	bounded []bound
}

func newSchema(schema *openapi3.Schema) *Schema {
	return &Schema{schema: schema, bounded: bounds(schema)}
}

// Schema gives a schema of the contract by its name, to judge JSON that is no body of a request.
func (c *Contract) Schema(name string) (*Schema, error) {
	ref := c.doc.Components.Schemas[name]
	if ref == nil {
		return nil, fmt.Errorf("the contract has no schema %s", name)
	}
	if err := checkBodySchema("application/json", ref); err != nil {
		return nil, fmt.Errorf("the schema %s: %w", name, err)
	}
	return newSchema(ref.Value), nil
}

// Check gives the faults of a text.
func (s *Schema) Check(text []byte) []fault.Field { return s.checkWithin(text, rawjson.MaxValues) }

// maxStoredValues is how many values a row may have come to, change by change: the largest that may be stored are lists of
// single digits.
const maxStoredValues = 300_000

// CheckStored is Check for the text of a row, which many requests may have made.
func (s *Schema) CheckStored(text []byte) []fault.Field { return s.checkWithin(text, maxStoredValues) }

func (s *Schema) checkWithin(text []byte, maxValues int) []fault.Field {
	members, notJSON := s.check(text, maxValues)
	if notJSON != nil {
		return []fault.Field{*notJSON}
	}
	return members
}

// check gives the faults of the members of a JSON text, or the one fault of a text that is not JSON.
func (s *Schema) check(body []byte, maxValues int) (members []fault.Field, notJSON *fault.Field) {
	if len(bytes.Trim(body, " \t\r\n")) == 0 {
		return nil, &fault.Field{Code: "invalid_json", Message: "the body is missing"}
	}
	refused, err := rawjson.CheckWithin(body, maxJSONDepth, maxValues)
	if err != nil {
		return nil, &fault.Field{Code: "invalid_json", Message: "the body " + err.Error()}
	}
	for i, one := range refused {
		if i > 0 && one == refused[i-1] { // as in a text with many such characters
			continue
		}
		members = append(members, fault.Field{Pointer: one.Pointer, Code: one.Code, Message: one.Message})
		if one.Code == "too_many_values" {
			return members, nil // the schema's validator would keep a fault for each of them
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, &fault.Field{Code: "invalid_json", Message: "the body is not JSON"}
	}
	value = shortened(s.schema, value)
	others := withoutForms(schemaFaults(s.schema.VisitJSON(value, bodyOptions...)), members)
	members = withNumbers(members, integerFaults(s.schema, value), others)
	members = append(members, unequal(s.schema, value, "")...)
	return append(members, s.checkBounds(body)...), nil
}

// withoutForms drops what is wrong with the form of a text that has a NUL character, which no form has room for.
func withoutForms(faults, ofText []fault.Field) []fault.Field {
	told := map[string]bool{} // by the place of the text
	for _, one := range ofText {
		if one.Code == "nul_character" {
			told[one.Pointer] = true
		}
	}
	if len(told) == 0 {
		return faults
	}
	return slices.DeleteFunc(faults, func(one fault.Field) bool { return told[one.Pointer] && isForm(one.Code) })
}

// unequal finds members that are not the same as the ones that they must be the same as; absent ones are.
func unequal(schema *openapi3.Schema, value any, pointer string) []fault.Field {
	object, isObject := value.(map[string]any)
	if !isObject {
		return nil
	}
	var faults []fault.Field
	for name, property := range schema.Properties {
		member, found := object[name]
		if !found {
			continue
		}
		at := pointer + rawjson.Pointer(name)
		if other, given := property.Value.Extensions[equalsExtension].(string); given && !reflect.DeepEqual(member, object[other]) {
			faults = append(faults, fault.Field{Pointer: at, Code: "no_match", Message: "must be the same as " + other})
		}
		faults = append(faults, unequal(property.Value, member, at)...)
	}
	return faults
}

// shortened cuts arrays that are too long to one item more than they may have, which is enough to refuse them. The
// validator would look at each of half a million items and keep a fault for it.
func shortened(schema *openapi3.Schema, value any) any {
	switch given := value.(type) {
	case []any:
		if schema.MaxItems != nil && uint64(len(given)) > *schema.MaxItems {
			given = given[:*schema.MaxItems+1]
		}
		for i := range given {
			if schema.Items != nil {
				given[i] = shortened(schema.Items.Value, given[i])
			}
		}
		return given
	case map[string]any:
		for name, property := range schema.Properties {
			if member, found := given[name]; found {
				given[name] = shortened(property.Value, member)
			}
		}
	}
	return value
}

func (s *Schema) checkBounds(body []byte) []fault.Field {
	if len(s.bounded) == 0 {
		return nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return nil // not an object, which the schema says
	}
	var faults []fault.Field
	for _, bound := range s.bounded {
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
