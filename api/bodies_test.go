package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/clientele-api/clientele/internal/apitest"
	"github.com/clientele-api/clientele/internal/rawjson"
)

// mediaMutations are bodies that are not of the right kind, or too much of it.
func (o target) mediaMutations() (all []mutation) {
	if len(o.MediaTypes) == 0 || o.Streams() {
		return nil
	}
	for _, media := range []string{
		"", "text/plain", "application/xml", "multipart/form-data; boundary=x", "application", "garbage;;;=", "*/*",
		"application/json; charset=utf-16", "application/x-www-form-urlencoded; charset=latin1", "application/json-patch+json",
		"application/json, application/json",
	} {
		all = append(all, mutation{
			name: "media type " + media, status: []int{415}, with: []apitest.With{apitest.Header("Content-Type", media)},
		})
	}
	wrong := formType
	if slices.Contains(o.MediaTypes, formType) {
		wrong = "application/json"
	}
	all = append(all, mutation{
		name: "media type " + wrong, status: []int{415}, with: []apitest.With{apitest.Header("Content-Type", wrong)},
	})
	for _, media := range o.MediaTypes { // in capitals they are the same
		all = append(all, mutation{
			name: "media type in capitals", with: []apitest.With{apitest.Header("Content-Type", strings.ToUpper(media)+"; Charset=UTF-8")},
		})
	}
	large := strings.Repeat(" ", 2<<20)
	return append(all,
		mutation{name: "2 MB", body: large, status: []int{413}},
		mutation{name: "2 MB of unknown length", body: large, status: []int{413}, with: []apitest.With{func(r *http.Request) {
			r.ContentLength = -1
		}}},
		mutation{name: "the body of a good request, then 2 MB", body: o.encoded() + large, status: []int{413}},
	)
}

// actionMutations are bodies of actions that take none.
func (o target) actionMutations() (all []mutation) {
	if len(o.MediaTypes) > 0 || o.Method != http.MethodPost {
		return nil
	}
	return []mutation{
		{name: "a member", body: `{"reason":"moved"}`, status: []int{422}, place: "/reason"},
		{name: "a list", body: "[]", status: []int{422}},
		{name: "no JSON", body: "reason=moved", status: []int{400}},
		{name: "2 MB", body: strings.Repeat(" ", 2<<20), status: []int{413}},
	}
}

// formMutations are forms that are none, or whose members are not so. The login and the tokens of the contract's examples
// are nobody's.
func (o target) formMutations() (all []mutation) {
	if !slices.Contains(o.MediaTypes, formType) {
		return nil
	}
	refused, good := []int{400, 401}, o.encoded()
	for name, body := range map[string]string{
		"empty": "", "no form": "{}", "with half an escape": good + "&a=%z", "with semicolons": strings.ReplaceAll(good, "&", ";"),
		"not UTF-8": "\xff=\xff", "NUL bytes": "\x00=\x00", "of ampersands": strings.Repeat("&", 1000),
	} {
		all = append(all, mutation{name: "form " + name, body: body, status: refused})
	}
	schema := o.operation.RequestBody.Value.Content[formType].Schema.Value
	for name := range schema.Properties {
		for what, value := range map[string]string{"empty": "", "with NUL": nul, "not UTF-8": notUTF8, "very long": longText} {
			values, _ := url.ParseQuery(good)
			values.Set(name, value)
			all = append(all, mutation{name: "form " + name + " " + what, body: values.Encode()})
		}
		values, _ := url.ParseQuery(good)
		values[name] = []string{values.Get(name), values.Get(name)}
		all = append(all, mutation{name: "form " + name + " twice", body: values.Encode(), status: refused})
		if slices.Contains(schema.Required, name) {
			values.Del(name)
			all = append(all, mutation{name: "form without " + name, body: values.Encode(), status: refused})
		}
	}
	return all
}

// raw stands in an encoded body for text that is no value of Go's.
func raw(text string) json.RawMessage { return json.RawMessage(text) }

// mediaJSON is what the bodies below are.
const mediaJSON = "application/json"

// jsonMutations are bodies that are not JSON, or not that JSON.
func (o target) jsonMutations() (all []mutation) {
	if !o.TakesJSON() {
		return nil
	}
	good := o.encoded()
	for name, body := range map[string]string{
		"empty": "", "space": " \n", "no JSON": "no JSON", "cut short": good[:len(good)-1], "more after it": good + "x",
		"twice": good + good, "not UTF-8": "{\"\xff\":1}", "with a byte order mark": "\ufeff" + good, "in UTF-16": "{\x00}\x00",
		"single quotes": "{'name':'x'}", "a trailing comma": good[:len(good)-1] + ",}", "a comment": "/**/" + good, "NaN": "NaN",
		"control characters": "{\"name\":\"a\nb\"}", "nested for ever": strings.Repeat("[", 500_000), "NUL bytes": "\x00" + good,
		"a half escape": `{"name":"\u12"}`, "an unknown escape": `{"name":"\x"}`, "a form": "name=x", "a leading zero": `{"name":01}`,
	} {
		all = append(all, mutation{name: "body " + name, body: body, status: malformed})
	}
	for name, body := range map[string]string{
		"null": "null", "an array": "[]", "the good one in an array": "[" + good + "]", "a string": `"x"`, "a number": "1",
		"true": "true", "a page of a number": "1e131000", "40 deep": nested(40), "9000 deep": nested(9000),
		"40 objects deep": objects(40),
	} {
		all = append(all, mutation{name: "body " + name, body: body, status: invalid})
	}
	members, isObject := o.body.(map[string]any)
	schema := o.operation.RequestBody.Value.Content[mediaJSON].Schema.Value
	if !isObject {
		return all
	}
	for _, name := range []string{"no_such_member", "", "a/b~c", "\u2028", "__proto__"} {
		all = append(all,
			mutation{name: "unknown member alone", body: objectOf(name, "1"), status: invalid, place: rawjson.Pointer(name)},
			mutation{name: "unknown member", body: without(members, name, 1), status: invalid, place: rawjson.Pointer(name)})
	}
	for name := range members {
		upper, escaped := strings.ToUpper(name), fmt.Sprintf(`"\u%04x%s":1`, name[0], name[1:])
		add := func(what string, body any, place string) {
			all = append(all, mutation{name: name + what, body: body, status: invalid, place: rawjson.Pointer(place)})
		}
		add(" in capitals", without(members, upper, 1), upper)
		add(" twice", "{"+member(name, members[name])+","+good[1:], name)
		add(" twice, escaped", "{"+escaped+","+good[1:], name)
	}
	return append(all, o.schemaMutations(schema, "", func(value any) any { return value }, members)...)
}

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

func objects(depth int) string {
	return strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth)
}

func member(name string, value any) string {
	text := objectOf(name, encode(value))
	return text[1 : len(text)-1]
}

func objectOf(name, value string) string { return "{" + encode(name) + ":" + value + "}" }

func encode(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// without gives the members with one of them replaced or, with nil, taken away.
func without(members map[string]any, name string, value any) map[string]any {
	changed := maps.Clone(members)
	if changed == nil {
		changed = map[string]any{}
	}
	if changed[name] = value; value == nil {
		delete(changed, name)
	}
	return changed
}
