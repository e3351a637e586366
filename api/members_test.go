package api_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/clientele-api/clientele/internal/rawjson"
)

// schemaMutations spoil the members of an object, and those of the objects in it. Around puts the spoiled object back to
// where it is in the body.
func (o target) schemaMutations(
	schema *openapi3.Schema, pointer string, around func(any) any, good map[string]any,
) (all []mutation) {
	for name, property := range schema.Properties {
		at := pointer + rawjson.Pointer(name)
		spoiled := func(value any) any { return around(without(good, name, value)) }
		add := func(what string, value any, place string) {
			all = append(all, mutation{
				name: at + " " + what, body: spoiled(value), status: invalid, place: place,
			})
		}
		for _, one := range spoiledValues(property.Value) {
			if one.what == "40 deep" { // the limit counts from the top of the body
				one.place = one.place[len("/0")*strings.Count(pointer, "/"):]
			}
			add(one.what, one.value, at+one.place)
		}
		if slices.Contains(schema.Required, name) {
			all = append(all, mutation{name: at + " missing", body: around(without(good, name, nil)), status: invalid, place: at})
		}
		if property.Value.Type.Is("string") {
			for _, odd := range slices.Concat(oddTexts, longest(property.Value)) {
				all = append(all, mutation{name: at + " odd " + abbreviated(odd), body: spoiled(odd)})
			}
		}
		if inner, _ := good[name].(map[string]any); len(property.Value.Properties) > 0 {
			all = append(all, o.schemaMutations(property.Value, at, spoiled, inner)...)
		}
	}
	return all
}

// spoiledValue is a value that a member must not have, and where in it the fault is.
type spoiledValue struct {
	what  string
	value any
	place string
}

// kinds has a value of every kind of JSON.
var kinds = map[string]string{
	"null": "null", "boolean": "true", "number": "1.5", "string": `"text"`, "array": "[]", "object": "{}",
}

func takes(schema *openapi3.Schema, kind string) bool {
	if kind == "null" {
		return schema.Nullable || schema.Type == nil && len(schema.AllOf)+len(schema.AnyOf)+len(schema.OneOf) == 0
	}
	return schema.Type == nil || schema.Type.Is(kind)
}

// spoiledValues gives what no member of the schema may be.
func spoiledValues(schema *openapi3.Schema) (all []spoiledValue) {
	add := func(what, value, place string) { all = append(all, spoiledValue{what, raw(value), place}) }
	for kind, value := range kinds {
		if !takes(schema, kind) {
			add(kind, value, "")
		}
	}
	add("with a page of a number", "1e131000", "")
	add("with a page of a fraction", "1e-131000", "")
	add("with a number of 101 digits", strings.Repeat("9", 101), "")
	add("40 deep", nested(40), strings.Repeat("/0", 31))
	switch {
	case schema.Type.Is("string"):
		for _, one := range spoiledStrings(schema) {
			add(one.what, one.value.(string), "")
		}
	case schema.Type.Is("integer"):
		add("fraction", "1.5", "")
	case schema.Type.Is("array"):
		all = append(all, spoiledArrays(schema)...)
	case schema.Type.Is("object") && len(schema.Properties) == 0:
		all = append(all, spoiledObjects(schema)...)
	case schema.Type.Is("object"):
		add("with an unknown member", `{"no_such_member":1}`, "/no_such_member")
	}
	return all
}

// spoiledTexts are strings, as JSON writes them, that nothing takes.
var spoiledTexts = map[string]string{
	"with NUL": `"a\u0000b"`, "with half a pair": `"\ud800"`, "with the other half": `"\udc00x"`,
	"with a pair the wrong way round": `"\udc00\ud800"`, "with half a pair and an escape": `"\ud800\n"`,
	"with two first halves": `"\ud800\ud800\udc00"`,
}

func spoiledStrings(schema *openapi3.Schema) (all []spoiledValue) {
	for what, text := range spoiledTexts {
		all = append(all, spoiledValue{what, text, ""})
	}
	for _, text := range wrongStrings(schema) {
		all = append(all, spoiledValue{abbreviated(text), encode(text), ""})
	}
	if len(schema.Enum) > 0 {
		for _, text := range []string{"", "no such value", strings.ToUpper(fmt.Sprint(schema.Enum[0]))} {
			all = append(all, spoiledValue{abbreviated(text), encode(text), ""})
		}
	}
	return all
}

func spoiledArrays(schema *openapi3.Schema) (all []spoiledValue) {
	for _, one := range spoiledValues(schema.Items.Value) {
		value := one.value.(json.RawMessage)
		if one.what == "40 deep" {
			continue // that much deeper already
		}
		all = append(all, spoiledValue{"of " + one.what, raw("[" + string(value) + "]"), "/0" + one.place})
	}
	if schema.MaxItems != nil {
		var many []string
		for i := range *schema.MaxItems + 1 {
			many = append(many, fmt.Sprint("item ", i))
		}
		all = append(all, spoiledValue{"of too many", raw(encode(many)), ""})
	}
	if schema.UniqueItems {
		all = append(all, spoiledValue{"of one item twice", raw(`["a","b","a"]`), ""})
	}
	return all
}

// spoiledObjects are for objects with members of anybody's own.
func spoiledObjects(schema *openapi3.Schema) (all []spoiledValue) {
	add := func(what, value, place string) { all = append(all, spoiledValue{what, raw(value), place}) }
	for what, text := range spoiledTexts {
		add(what, `{"k":`+text+`}`, "/k")
		add("with a name "+what, `{`+text+`:1}`, "*")
		add("far inside "+what, `{"k":[0,{"l":`+text+`}]}`, "/k/1/l")
	}
	add("with a page of a number inside", `{"k":1e131000}`, "/k")
	add("with a page of a fraction inside", `{"k":[-1.5E-131000]}`, "/k/0")
	add("with a number of 101 digits inside", `{"k":`+strings.Repeat("9", 101)+`}`, "/k")
	add("with a name twice", `{"k":1,"k":2}`, "/k")
	add("with an escaped name twice", `{"k":1,"\u006b":2}`, "/k")
	if depth, limited := schema.Extensions["x-max-depth"].(float64); limited {
		add("too deep", `{"k":`+nested(int(depth))+`}`, "")
	}
	if size, limited := schema.Extensions["x-max-bytes"].(float64); limited {
		add("too large", `{"k":"`+strings.Repeat("x", int(size))+`"}`, "")
	}
	if most := schema.MaxProps; most != nil {
		many := map[string]int{}
		for i := range int(*most) + 1 {
			many[fmt.Sprint("k", i)] = i
		}
		add("with too many members", encode(many), "")
	}
	return all
}

// longest are texts that a string of the schema may be, and no longer.
func longest(schema *openapi3.Schema) []string {
	if schema.MaxLength == nil {
		return nil
	}
	most := int(*schema.MaxLength)
	return []string{
		strings.Repeat("x", most), strings.Repeat("🙂", most), strings.Repeat("ﷺ", most), strings.Repeat("\u0301", most),
	}
}
