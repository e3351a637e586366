package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/clientele-api/clientele/internal/access"
)

// The extensions that say what JSON Schema has no word for: how many bytes the text of a member has at most, how deep it
// is nested, and the member beside it that it must be the same as.
const (
	maxBytesExtension = "x-max-bytes"
	maxDepthExtension = "x-max-depth"
	equalsExtension   = "x-equals"
	scopesExtension   = "x-scopes"
)

// bound is what those extensions say of a member of the body.
type bound struct {
	member   string
	maxBytes int // 0: no limit
	maxDepth int // 0: no limit
}

// place is where in a body a schema stands.
type place int

const (
	atTop     place = iota // the body itself
	inTop                  // one of its members, the only place where bounds are enforced
	elsewhere              // deeper, or anywhere in what is not a JSON body
)

func isJSON(media string) bool {
	return media == "application/json" || strings.HasSuffix(media, "+json")
}

// checkBodySchema refuses a schema that promises what is not kept.
func checkBodySchema(media string, schema *openapi3.SchemaRef) error {
	if schema == nil || schema.Value == nil {
		return fmt.Errorf("%s: the body has no schema", media)
	}
	walk := schemaWalk{json: isJSON(media), seen: map[visit]bool{}}
	at := atTop
	if !walk.json {
		at = elsewhere
	}
	if err := walk.check(schema, at); err != nil {
		return fmt.Errorf("%s: the body%w", media, err)
	}
	return nil
}

// checkParameterSchema is checkBodySchema for a parameter.
func checkParameterSchema(parameter *openapi3.Parameter) error {
	if parameter.Schema == nil || parameter.Schema.Value == nil {
		return fmt.Errorf("the parameter %s has no schema", parameter.Name)
	}
	walk := schemaWalk{seen: map[visit]bool{}}
	if err := walk.check(parameter.Schema, elsewhere); err != nil {
		return fmt.Errorf("the parameter %s%w", parameter.Name, err)
	}
	return nil
}

type visit struct {
	schema *openapi3.Schema
	at     place
}

// schemaWalk looks at a schema and at all that it is made of. Its errors begin with where in the schema they are.
type schemaWalk struct {
	json bool
	seen map[visit]bool
}

func (w schemaWalk) check(ref *openapi3.SchemaRef, at place) error {
	schema := ref.Value
	for _, extension := range []string{maxBytesExtension, maxDepthExtension} {
		if err := checkBound(ref, extension, at); err != nil {
			return err
		}
	}
	if w.seen[visit{schema, at}] {
		return nil
	}
	w.seen[visit{schema, at}] = true
	if _, given := schema.Extensions[scopesExtension]; given && (at != inTop || !w.json) {
		return fmt.Errorf(": %s holds only for the members at the top of a JSON body", scopesExtension)
	}
	if err := checkEquals(schema, w.json && at != elsewhere); err != nil {
		return err
	}
	if w.json {
		if err := checkClosed(schema); err != nil {
			return err
		}
	}
	below := elsewhere
	if at == atTop {
		below = inTop
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		if err := w.check(schema.Properties[name], below); err != nil {
			return fmt.Errorf(", %s%w", name, err)
		}
	}
	for _, part := range parts(schema) {
		if err := w.check(part, elsewhere); err != nil {
			return fmt.Errorf(", inside%w", err)
		}
	}
	return nil
}

// parts are the schemas inside a schema that are not its properties.
func parts(schema *openapi3.Schema) []*openapi3.SchemaRef {
	all := slices.Concat(schema.AllOf, schema.AnyOf, schema.OneOf)
	for _, one := range []*openapi3.SchemaRef{schema.Items, schema.AdditionalProperties.Schema, schema.Not} {
		if one != nil {
			all = append(all, one)
		}
	}
	return all
}

// checkBound refuses a limit where none is enforced, and one that is no limit.
func checkBound(ref *openapi3.SchemaRef, extension string, at place) error {
	if _, beside := ref.Extensions[extension]; beside {
		return fmt.Errorf(": %s beside a $ref is not read", extension)
	}
	value, given := ref.Value.Extensions[extension]
	if !given {
		return nil
	}
	if at != inTop {
		return fmt.Errorf(": %s holds only for the members at the top of a JSON body", extension)
	}
	if number, isNumber := value.(float64); !isNumber || number < 1 || number != float64(int(number)) {
		return fmt.Errorf(": %s must be a whole number of at least 1", extension)
	}
	return nil
}

// checkClosed demands of a schema that takes objects that it names all their members. What it lets pass is bound by
// encoding/json without regard to case: NAME, which nothing validated, would become the name. Free-form objects have
// no names to confuse, and must say that they are free.
func checkClosed(schema *openapi3.Schema) error {
	composed := len(schema.AllOf)+len(schema.AnyOf)+len(schema.OneOf) > 0
	takesObjects := schema.Type.Includes(openapi3.TypeObject) || len(schema.Properties) > 0 || schema.Type == nil && !composed
	if !takesObjects {
		return nil
	}
	more := schema.AdditionalProperties
	switch {
	case more.Schema != nil && len(schema.Properties) == 0 && !composed:
		return nil // keys of the caller's own, and what their values are
	case more.Has != nil && !*more.Has:
		return nil
	case more.Has == nil:
		return errors.New(" takes objects without additionalProperties: false")
	case len(schema.Properties) > 0 || composed:
		return errors.New(" is free-form (additionalProperties: true) and names members nevertheless")
	}
	return nil
}

// checkEquals refuses a member that must be the same as another where that is not enforced, or as one that is not there.
func checkEquals(schema *openapi3.Schema, enforced bool) error {
	for name, property := range schema.Properties {
		value, given := property.Value.Extensions[equalsExtension]
		if !given {
			continue
		}
		other, isName := value.(string)
		if !isName || schema.Properties[other] == nil || !enforced {
			return fmt.Errorf(": %s of %s must name a member beside it, at the top of a JSON body or one level below",
				equalsExtension, name)
		}
	}
	return nil
}

// bounds gives the bounds of the body's members.
func bounds(body *openapi3.Schema) []bound {
	var found []bound
	for _, name := range slices.Sorted(maps.Keys(body.Properties)) {
		extensions := body.Properties[name].Value.Extensions
		maxBytes, hasBytes := extensions[maxBytesExtension].(float64)
		maxDepth, hasDepth := extensions[maxDepthExtension].(float64)
		if hasBytes || hasDepth {
			found = append(found, bound{member: name, maxBytes: int(maxBytes), maxDepth: int(maxDepth)})
		}
	}
	return found
}

// guards gives the scopes that members of the body ask for.
func guards(body *openapi3.Schema) map[string][]access.Scope {
	found := map[string][]access.Scope{}
	for name, property := range body.Properties {
		scopes, _ := property.Value.Extensions[scopesExtension].([]any)
		for _, scope := range scopes {
			found[name] = append(found[name], access.Scope(fmt.Sprint(scope)))
		}
	}
	return found
}

// ScopesOf gives the scopes that members of the body ask for. Of a body that is not an object there are none.
func (o *Operation) ScopesOf(body []byte) []access.Scope {
	if len(o.guarded) == 0 {
		return nil
	}
	var members map[string]json.RawMessage
	_ = json.Unmarshal(body, &members) // whether it is an object is judged later
	var scopes []access.Scope
	for name, asked := range o.guarded {
		if _, there := members[name]; there {
			scopes = append(scopes, asked...)
		}
	}
	return scopes
}
