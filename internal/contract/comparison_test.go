package contract_test

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

// comparison is of a released contract and of one that must keep what docs/compatibility.md promises of it. oasdiff makes
// one as well, in .ci/compatibility, and knows more kinds of changes. This one tells closed sets from open ones, reads the
// contract's own extensions, and goes through the schemas that no path uses.
type comparison struct {
	asked, answered schemas // of the released contract
	compared        map[[2]*openapi3.Schema]bool
	broken          []string
}

// broken says what of a released contract another one does not keep.
func broken(was, is *openapi3.T) []string {
	c := comparison{asked: schemas{}, answered: schemas{}, compared: map[[2]*openapi3.Schema]bool{}}
	c.uses(was)
	for path, item := range was.Paths.Map() {
		for method, operation := range item.Operations() {
			now := is.Paths.Value(path)
			if now == nil || now.GetOperation(method) == nil {
				c.say(method+" "+path, "is gone")
				continue
			}
			c.operation(method+" "+path, item, now, operation, now.GetOperation(method))
		}
	}
	for name, schema := range was.Components.Schemas {
		if now := is.Components.Schemas[name]; now == nil {
			c.say(name, "is gone")
		} else {
			c.schema(name, schema, now)
		}
	}
	slices.Sort(c.broken)
	return slices.Compact(c.broken)
}

// uses finds out which schemas requests have, and which answers. Those that no path uses are of files that come and go, such
// as backups, and count as both.
func (c *comparison) uses(was *openapi3.T) {
	for _, item := range was.Paths.Map() {
		for _, operation := range item.Operations() {
			for _, parameter := range slices.Concat(item.Parameters, operation.Parameters) {
				c.asked.add(parameter.Value.Schema)
			}
			if operation.RequestBody != nil {
				c.asked.addContent(operation.RequestBody.Value.Content)
			}
			for _, response := range operation.Responses.Map() {
				c.answered.addContent(response.Value.Content)
			}
		}
	}
	var others []*openapi3.SchemaRef
	for _, schema := range was.Components.Schemas {
		if !c.asked[schema.Value] && !c.answered[schema.Value] {
			others = append(others, schema)
		}
	}
	for _, schema := range others {
		c.asked.add(schema)
		c.answered.add(schema)
	}
}

type schemas map[*openapi3.Schema]bool

func (s schemas) addContent(content openapi3.Content) {
	for _, media := range content {
		s.add(media.Schema)
	}
}

func (s schemas) add(schema *openapi3.SchemaRef) {
	if schema == nil || s[schema.Value] {
		return
	}
	s[schema.Value] = true
	for _, property := range schema.Value.Properties {
		s.add(property)
	}
	s.add(schema.Value.Items)
	s.add(schema.Value.AdditionalProperties.Schema)
	for _, part := range slices.Concat(schema.Value.AllOf, schema.Value.AnyOf, schema.Value.OneOf) {
		s.add(part)
	}
}

func (c *comparison) say(where, format string, values ...any) {
	c.broken = append(c.broken, where+": "+fmt.Sprintf(format, values...))
}

func (c *comparison) operation(where string, wasItem, isItem *openapi3.PathItem, was, is *openapi3.Operation) {
	c.end(where, was, is)
	if is.Extensions["x-portal-role"] != nil && was.Extensions["x-portal-role"] == nil {
		c.say(where, "is for managers alone now")
	}
	if was.Extensions["x-before-terms"] != nil && is.Extensions["x-before-terms"] == nil {
		c.say(where, "asks for the terms now")
	}
	parameters := slices.Concat(isItem.Parameters, is.Parameters)
	for _, parameter := range slices.Concat(wasItem.Parameters, was.Parameters) {
		now := parameters.GetByInAndName(parameter.Value.In, parameter.Value.Name)
		if now == nil {
			c.say(where, "the parameter %s is gone", parameter.Value.Name)
			continue
		}
		c.schema(where+", "+parameter.Value.Name, parameter.Value.Schema, now.Schema)
	}
	if was.RequestBody != nil && is.RequestBody != nil {
		c.content(where, was.RequestBody.Value.Content, is.RequestBody.Value.Content)
	}
	for status, response := range was.Responses.Map() {
		now := is.Responses.Value(status)
		if now == nil {
			c.say(where, "the status %s is gone", status)
			continue
		}
		c.content(where+", "+status, response.Value.Content, now.Value.Content)
	}
	for status := range is.Responses.Map() {
		if strings.HasPrefix(status, "2") && was.Responses.Value(status) == nil {
			c.say(where, "the status of success %s is new", status)
		}
	}
}

// end compares what is said of when an operation stops working.
func (c *comparison) end(where string, was, is *openapi3.Operation) {
	for _, name := range []string{"x-deprecated-at", "x-sunset-at"} {
		if was.Extensions[name] == nil || is.Extensions[name] == nil {
			continue // what is taken back goes on, and what is new is for Load to judge
		}
		before, errBefore := time.Parse(time.RFC3339, fmt.Sprint(was.Extensions[name]))
		now, errNow := time.Parse(time.RFC3339, fmt.Sprint(is.Extensions[name]))
		if err := cmp.Or(errBefore, errNow); err != nil {
			c.say(where, "%s: %v", name, err)
		} else if now.Before(before) {
			c.say(where, "%s is earlier now: it was %v and is %v", name, was.Extensions[name], is.Extensions[name])
		}
	}
}

func (c *comparison) content(where string, was, is openapi3.Content) {
	for media, body := range was {
		if is[media] == nil {
			c.say(where, "the type %s is gone", media)
			continue
		}
		c.schema(where, body.Schema, is[media].Schema)
	}
}

func (c *comparison) schema(where string, wasRef, isRef *openapi3.SchemaRef) {
	if wasRef == nil || isRef == nil {
		if wasRef != isRef {
			c.say(where, "a schema has come or gone")
		}
		return
	}
	if wasRef.Ref != "" && wasRef.Ref == isRef.Ref {
		return // has its turn under its own name
	}
	was, is := wasRef.Value, isRef.Value
	if c.compared[[2]*openapi3.Schema{was, is}] {
		return
	}
	c.compared[[2]*openapi3.Schema{was, is}] = true

	if typeOf(was) != typeOf(is) {
		c.say(where, "was %s and is %s", typeOf(was), typeOf(is))
	}
	c.enum(where, was, is)
	if c.answered[was] && is.Nullable && !was.Nullable {
		c.say(where, "may be null now")
	}
	if c.asked[was] {
		c.limits(where, was, is)
	}
	for name, property := range was.Properties {
		if is.Properties[name] == nil {
			c.say(where+"."+name, "is gone")
			continue
		}
		c.schema(where+"."+name, property, is.Properties[name])
		if c.answered[was] && slices.Contains(was.Required, name) && !slices.Contains(is.Required, name) {
			c.say(where+"."+name, "may be missing now")
		}
	}
	for _, name := range is.Required {
		if c.asked[was] && !slices.Contains(was.Required, name) {
			c.say(where+"."+name, "may not be left out any more")
		}
	}
	if was.Items != nil || is.Items != nil {
		c.schema(where+"[]", was.Items, is.Items)
	}
	if was.AdditionalProperties.Schema != nil {
		c.schema(where+"{}", was.AdditionalProperties.Schema, is.AdditionalProperties.Schema)
	}
	parts := slices.Concat(is.AllOf, is.AnyOf, is.OneOf)
	for _, part := range slices.Concat(was.AllOf, was.AnyOf, was.OneOf) {
		if !slices.ContainsFunc(parts, func(p *openapi3.SchemaRef) bool { return p.Ref == part.Ref }) {
			c.say(where, "is never %s any more", part.Ref)
		}
	}
}

func typeOf(s *openapi3.Schema) string {
	return strings.TrimSpace(strings.Join(s.Type.Slice(), "|") + " " + s.Format)
}

// saysOpen is how the contract says that a set is open.
var saysOpen = regexp.MustCompile(`New\s+\w+\s+may\s+appear`)

// enum compares the values of a set. Who reads them has to know all of a closed one; what may be sent may always be more.
func (c *comparison) enum(where string, was, is *openapi3.Schema) {
	values := func(s *openapi3.Schema) []string {
		var all []string
		for _, value := range s.Enum {
			all = append(all, fmt.Sprint(value))
		}
		return all
	}
	before, now := values(was), values(is)
	switch {
	case before == nil && now != nil && c.asked[was]:
		c.say(where, "takes certain values alone now")
	case before != nil && now == nil && c.answered[was]:
		c.say(where, "may have any value now")
	}
	if before == nil || now == nil {
		return
	}
	for _, value := range before {
		if !slices.Contains(now, value) {
			c.say(where, "the value %s is gone", value)
		}
	}
	if !c.answered[was] || saysOpen.MatchString(was.Description) {
		return
	}
	if saysOpen.MatchString(is.Description) {
		c.say(where, "is an open set now")
	}
	for _, value := range now {
		if !slices.Contains(before, value) {
			c.say(where, "the value %s is new, and the set is closed", value)
		}
	}
}

// limits compares what may be sent.
func (c *comparison) limits(where string, was, is *openapi3.Schema) {
	for name, narrower := range map[string]bool{
		"maxLength":     below(is.MaxLength, was.MaxLength),
		"maxItems":      below(is.MaxItems, was.MaxItems),
		"maxProperties": below(is.MaxProps, was.MaxProps),
		"maximum":       below(is.Max, was.Max),
		"minimum":       is.Min != nil && (was.Min == nil || *is.Min > *was.Min),
		"minLength":     is.MinLength > was.MinLength,
		"minItems":      is.MinItems > was.MinItems,
		"minProperties": is.MinProps > was.MinProps,
		"pattern":       is.Pattern != "" && is.Pattern != was.Pattern,
		"x-max-bytes":   below(number(is, "x-max-bytes"), number(was, "x-max-bytes")),
		"x-max-depth":   below(number(is, "x-max-depth"), number(was, "x-max-depth")),
	} {
		if narrower {
			c.say(where, "%s is narrower", name)
		}
	}
	if was.Nullable && !is.Nullable {
		c.say(where, "may not be null any more")
	}
	if takesOthers(was) && !takesOthers(is) {
		c.say(where, "takes no other members any more")
	}
	asked, _ := is.Extensions["x-scopes"].([]any)
	before, _ := was.Extensions["x-scopes"].([]any)
	for _, scope := range asked {
		if !slices.Contains(before, scope) {
			c.say(where, "asks for the scope %v", scope)
		}
	}
}

func below[T cmp.Ordered](is, was *T) bool { return is != nil && (was == nil || *is < *was) }

func takesOthers(s *openapi3.Schema) bool {
	return s.AdditionalProperties.Has == nil || *s.AdditionalProperties.Has
}

func number(s *openapi3.Schema, extension string) *float64 {
	if value, ok := s.Extensions[extension].(float64); ok {
		return &value
	}
	return nil
}
