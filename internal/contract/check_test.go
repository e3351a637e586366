package contract_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/contract"
	"github.com/clientele-api/clientele/internal/fault"
)

// check makes a request of the operation and gives its faults, each as its place, its code and its message.
func check(t *testing.T, operation *contract.Operation, query, body string, header http.Header) []string {
	t.Helper()
	r := httptest.NewRequest(http.MethodPut, "/things/x", nil)
	r.URL.RawQuery = query
	if header != nil {
		r.Header = header
	}
	err := operation.CheckRequest(r, map[string]string{"id": uuid.NewString()}, []byte(body))
	if err == nil {
		return nil
	}
	var known *fault.Error
	require.True(t, errors.As(err, &known))
	var found []string
	for _, one := range known.Fields {
		found = append(found, fmt.Sprintf("%s%s%s %s: %s", one.Pointer, one.Parameter, one.Header, one.Code, one.Message))
	}
	return found
}

// taking gives an operation with one parameter of the query, called p.
func taking(t *testing.T, schema string) *contract.Operation {
	t.Helper()
	operation, err := document{parameters: `{"name": "p", "in": "query", "schema": ` + schema + `}`}.load(t)
	require.NoError(t, err)
	return operation
}

func TestMoments(t *testing.T) {
	t.Parallel()
	operation := taking(t, `{"type": "string", "format": "date-time"}`)
	for _, text := range []string{
		"2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123456789+23:59", "2026-01-01T00:00:00-23:59", "0001-01-01T00:00:00Z",
		"9999-12-31T23:59:59.999999999Z", "2024-02-29T12:00:00+05:45",
	} {
		require.Empty(t, check(t, operation, "p="+url.QueryEscape(text), "", nil), text)
		moment, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		for _, one := range []time.Time{moment, moment.UTC()} {
			_, err = json.Marshal(one)
			require.NoError(t, err, text)
		}
	}
	for _, text := range []string{
		"2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00-24:00", "2026-01-01T00:00:00+23:60", "2026-01-01T0:00:00Z",
		"2026-01-01T00:00:00,5Z", "2026-01-01T00:00:00.Z", "0000-01-01T00:00:00Z", "0000-12-31T23:30:00-01:00",
		"0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "10000-01-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-01-01T00:00:00",
		"2026-01-01t00:00:00z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00Z\n",
	} {
		found := check(t, operation, "p="+url.QueryEscape(text), "", nil)
		require.Len(t, found, 1, text)
		require.Contains(t, found[0], "p invalid_format: must be ", text)
	}
}

func TestLiterals(t *testing.T) {
	t.Parallel()
	for kind, test := range map[string]struct {
		good, bad []string
		message   string
	}{
		"boolean": {[]string{"true", "false"}, []string{"1", "0", "t", "F", "TRUE", "True", "maybe", " true"}, "must be true or false"},
		"integer": {
			[]string{"0", "5", "-5", "007", "9223372036854775807"}, []string{"+5", "5.0", "1e3", "0x5", "1_000", "٣", " 5", "--5", "-", "5\n"},
			"must be a whole number, written in digits",
		},
		"number": {[]string{"0", "-1.5", "1e3", "2.5E-3"}, []string{"NaN", "Inf", "-infinity", "0x1p-2", "+1", ".5", "1."}, "must be a number"},
	} {
		operation := taking(t, `{"type": "`+kind+`"}`)
		for _, text := range test.good {
			require.Empty(t, check(t, operation, "p="+url.QueryEscape(text), "", nil), text)
		}
		for _, text := range test.bad {
			require.Equal(t, []string{"p invalid_type: " + test.message}, check(t, operation, "p="+url.QueryEscape(text), "", nil), text)
		}
		require.Equal(t, []string{"p empty: must not be empty"}, check(t, operation, "p=", "", nil))
		require.Empty(t, check(t, operation, "", "", nil))
	}
	tooLong := check(t, taking(t, `{"type": "integer"}`), "p=99999999999999999999", "", nil)
	require.Equal(t, []string{"p too_large: must be at most 9223372036854775807"}, tooLong)

	operation, err := document{parameters: `{"name": "X-Times", "in": "header", "schema": {"type": "integer"}}`}.load(t)
	require.NoError(t, err)
	require.Equal(t, []string{"X-Times invalid_type: must be a whole number, written in digits"},
		check(t, operation, "", "", http.Header{"X-Times": {"+5"}}))
}

// TestWholeNumbers: each has one fault at most, in a body as in a query, and its bounds are written as people write numbers.
func TestWholeNumbers(t *testing.T) {
	t.Parallel()
	const notWhole = "invalid_type: must be a whole number, written in digits"
	for _, test := range []struct {
		schema, expected string
		values           []string
	}{
		{`"minimum": -5, "maximum": 2592000, "format": "int32"`, "", []string{"-5", "0", "-0", "2592000"}},
		{`"minimum": -5, "maximum": 2592000, "format": "int32"`, "too_large: must be at most 2592000", []string{"2592001", "3000000000", "99999999999999999999"}},
		{`"minimum": -5, "maximum": 2592000, "format": "int32"`, "too_small: must be at least -5", []string{"-6", "-3000000000", "-99999999999999999999"}},
		{`"minimum": -5, "maximum": 2592000, "format": "int32"`, notWhole, []string{"1e3", "1E0", "5.0", "0.5", "-7.5", "1e30", "-1e30"}},
		{`"format": "int32"`, "too_large: must be at most 2147483647", []string{"2147483648", "99999999999999999999"}},
		{`"format": "int32"`, "too_small: must be at least -2147483648", []string{"-2147483649"}},
		{`"format": "int64"`, "", []string{"9223372036854775807", "-9223372036854775808"}},
		{`"format": "int64"`, "too_large: must be at most 9223372036854775807", []string{"9223372036854775808"}},
		{`"format": "int64"`, "too_small: must be at least -9223372036854775808", []string{"-9223372036854775809"}},
		{`"maximum": 1000000000000000`, "too_large: must be at most 1000000000000000", []string{"1000000000000001"}},
		{`"minimum": 1`, "too_small: must be at least 1", []string{"0", "-9223372036854775809"}},
	} {
		schema := `{"type": "integer", ` + test.schema + `}`
		operation, err := document{
			parameters: `{"name": "p", "in": "query", "schema": ` + schema + `}`,
			schema: object(`"m": ` + schema + `, "list": {"type": "array", "items": ` + schema + `}, "in": ` + object(`"n": `+schema) +
				`, "by": {"type": "object", "additionalProperties": ` + schema + `}`),
		}.load(t)
		require.NoError(t, err)
		for _, value := range test.values {
			var expected []string
			for _, place := range []string{"p", "/m", "/list/0", "/in/n", "/by/a~1b"} {
				if test.expected != "" {
					expected = append(expected, place+" "+test.expected)
				}
			}
			body := fmt.Sprintf(`{"m":%[1]s,"list":[%[1]s],"in":{"n":%[1]s},"by":{"a/b":%[1]s}}`, value)
			require.ElementsMatch(t, expected, check(t, operation, "p="+value, body, nil), "%s %s", test.schema, value)
		}
	}
	operation, err := document{schema: object(`"m": {"type": "integer"}, "free": {"type": "object", "additionalProperties": true}`)}.load(t)
	require.NoError(t, err)
	require.Empty(t, check(t, operation, "", `{"m":1,"free":{"m":1e3}}`, nil), "what is free is not judged")
	require.Equal(t, []string{"/m invalid_type: must be of type integer"}, check(t, operation, "", `{"m":"1"}`, nil))
	require.Equal(t, []string{"/m number_too_long: has more than 100 digits, written out"}, check(t, operation, "", `{"m":1e999}`, nil))
	number := taking(t, `{"type": "number", "maximum": 2592000}`)
	require.Equal(t, []string{"p too_large: must be at most 2592000"}, check(t, number, "p=1e9", "", nil))
}

// TestOneOfThem: what there is one of is written so.
func TestOneOfThem(t *testing.T) {
	t.Parallel()
	operation, err := document{
		parameters: `{"name": "p", "in": "query", "style": "deepObject", "schema": {"type": "object", "maxProperties": 1, "additionalProperties": {"type": "string"}}}`,
		schema: object(`"few": {"type": "array", "minItems": 1, "items": {"type": "string", "maxLength": 1}},
			"many": {"type": "array", "minItems": 2, "maxItems": 1, "items": {"type": "string"}},
			"none": {"type": "object", "minProperties": 1, "additionalProperties": true},
			"keys": {"type": "object", "maxProperties": 1, "additionalProperties": true}`),
	}.load(t)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{
		"p too_many_members: must have at most 1 key", "/few too_few_items: must have at least 1 item",
		"/none too_few_members: must have at least 1 key", "/keys too_many_members: must have at most 1 key",
	}, check(t, operation, "p[a]=1&p[b]=1", `{"few":[],"none":{},"keys":{"a":1,"b":2}}`, nil))
	require.ElementsMatch(t, []string{
		"/few/0 too_long: must have at most 1 character", "/many too_few_items: must have at least 2 items",
	}, check(t, operation, "", `{"few":["ab"],"many":[]}`, nil))
	require.ElementsMatch(t, []string{"/many too_many_items: must have at most 1 item"}, check(t, operation, "", `{"many":["a","b"]}`, nil))
}

// TestWhatFollowsIsNotTold: of a value that is wrong for one reason, what else is wrong for that same reason is no fault more.
func TestWhatFollowsIsNotTold(t *testing.T) {
	t.Parallel()
	text := `{"type": "string", "minLength": 1, "maxLength": 2, `
	operation, err := document{
		parameters: `{"name": "url", "in": "query", "schema": ` + text + `"format": "webhook-url"}},
			{"name": "cursor", "in": "query", "schema": ` + text + `"format": "cursor"}},
			{"name": "types", "in": "query", "schema": ` + text + `"format": "event-types"}},
			{"name": "by", "in": "query", "style": "deepObject", "schema": {"type": "object", "additionalProperties": {"type": "string"}}},
			{"name": "X-Key", "in": "header", "schema": ` + text + `"pattern": "^[!-~]+$", "x-pattern-message": "must be visible"}}`,
		schema: object(`"url": ` + text + `"format": "webhook-url"}, "list": {"type": "array", "items": ` + text + `"format": "email"}},
			"line": ` + text + `"format": "line"}, "free": {"type": "object", "additionalProperties": true},
			"one": {"type": "string", "enum": ["a"]}, "number": {"type": "integer", "enum": [1, 2]}, "yes": {"type": "boolean", "enum": [true]}`),
	}.load(t)
	require.NoError(t, err)
	for query, expected := range map[string][]string{
		"url=":             {"url too_short: must not be empty"},
		"cursor=":          {"cursor too_short: must not be empty"},
		"types=":           {"types too_short: must not be empty"},
		"types=&url=x":     {"types too_short: must not be empty", "url invalid_format: must be an https URL such as https://www.example.com/hooks"},
		"by=1":             {"by unknown_parameter: must name a key, as in by[key]=value"},
		"by[a]=1":          nil,
		"by[a]=1&by[a]=2":  {"by[a] repeated: is there more than once"},
		"types=&types=abc": {"types repeated: is there more than once", "types too_short: must not be empty"},
		"url[a]=1":         {"url[a] unknown_parameter: is not a parameter of this operation"},
	} {
		require.ElementsMatch(t, expected, check(t, operation, query, "{}", nil), query)
	}
	require.Equal(t, []string{"X-Key too_short: must not be empty"}, check(t, operation, "", "{}", http.Header{"X-Key": {""}}))
	require.Equal(t, []string{"X-Key invalid_format: must be visible"}, check(t, operation, "", "{}", http.Header{"X-Key": {"ä"}}))
	const url = "invalid_format: must be an https URL such as https://www.example.com/hooks"
	for body, expected := range map[string][]string{
		`{"url":""}`:                      {"/url too_short: must not be empty"},
		`{"url":"abc"}`:                   {"/url too_long: must have at most 2 characters", "/url " + url},
		`{"list":["","x",""],"url":"x"}`:  {"/list/0 too_short: must not be empty", "/list/1 invalid_email: must be an email address", "/list/2 too_short: must not be empty", "/url " + url},
		`{"line":"\u0000"}`:               {"/line nul_character: contains a NUL character"},
		`{"line":"\u0000\u0000\u0000"}`:   {"/line nul_character: contains a NUL character", "/line too_long: must have at most 2 characters"},
		`{"line":"\n","list":["\u0000"]}`: {"/list/0 nul_character: contains a NUL character", "/line invalid_format: must be one line of text, without control characters"},
		`{"free":{"a":"\u0000\u0000"}}`:   {"/free/a nul_character: contains a NUL character"},
		`{"one":1e3}`:                     {"/one invalid_type: must be of type string"},
		`{"one":["a"]}`:                   {"/one invalid_type: must be of type string"},
		`{"one":true,"yes":"true"}`:       {"/one invalid_type: must be of type string", "/yes invalid_type: must be of type boolean"},
		`{"one":null}`:                    {"/one not_nullable: must not be null"},
		`{"one":"1","yes":false}`:         {"/one unknown_value: must be one of a", "/yes unknown_value: must be one of true"},
		`{"number":3}`:                    {"/number unknown_value: must be one of 1, 2"},
		`{"number":"1"}`:                  {"/number invalid_type: must be of type integer"},
		"":                                {" invalid_json: the body is missing"},
		"\n":                              {" invalid_json: the body is missing"},
		"{":                               {" invalid_json: the body is not JSON: unexpected end of JSON input"},
	} {
		require.ElementsMatch(t, expected, check(t, operation, "", body, nil), body)
	}
}

func TestUnreadableQueries(t *testing.T) {
	t.Parallel()
	operation := taking(t, `{"type": "integer", "maximum": 10}`)
	for query, expected := range map[string][]string{
		"":                       nil,
		"&&":                     nil,
		"p=%zz":                  {"p invalid_query: cannot be decoded"},
		"p=1;q=2":                {"p invalid_query: cannot be decoded"},
		"%zz":                    {"%zz invalid_query: cannot be decoded"},
		"%70=%":                  {"p invalid_query: cannot be decoded"},
		"=%zz":                   {"= invalid_query: cannot be decoded"},
		"=1":                     {"= unknown_parameter: is not a parameter of this operation"},
		"p=11&a=%z&b=%1&c=1":     {"a invalid_query: cannot be decoded", "b invalid_query: cannot be decoded", "c unknown_parameter: is not a parameter of this operation", "p too_large: must be at most 10"},
		strings.Repeat("&", 1e5): {"query invalid_query: has too many parameters"},
	} {
		require.Equal(t, expected, check(t, operation, query, "", nil), "%.40s", query)
	}
	require.Len(t, check(t, operation, strings.Repeat("%&", 10_000), "", nil), 100)
}

func TestRepeatedHeaderLines(t *testing.T) {
	t.Parallel()
	operation, err := document{parameters: `{
		"name": "If-None-Match", "in": "header", "schema": {"type": "string", "format": "entity-tags", "maxLength": 20}}`}.load(t)
	require.NoError(t, err)
	header := http.Header{"If-None-Match": {`"1.a"`, `W/"2.b"`}, "Accept": {"a/b", "c/d"}}
	require.Empty(t, check(t, operation, "", "", header))
	require.Equal(t, http.Header{"If-None-Match": {`"1.a", W/"2.b"`}, "Accept": {"a/b", "c/d"}}, header,
		"what is no parameter of the operation stays as it is")

	found := check(t, operation, "", "", http.Header{"If-None-Match": {`"1.a"`, `oops`}})
	require.Len(t, found, 1, "every line counts")
	require.Contains(t, found[0], "If-None-Match invalid_format")
	found = check(t, operation, "", "", http.Header{"If-None-Match": {`"1234567"`, `"12345678"`}})
	require.Equal(t, []string{"If-None-Match too_long: must have at most 20 characters"}, found)
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for schema, message := range map[string]string{
		`{"type": "string", "pattern": "\\S"}`:                                             "must not be blank",
		`{"type": "string", "pattern": "^[a-z]+$"}`:                                        "must match ^[a-z]+$",
		`{"type": "string", "pattern": "^[a-z]+$", "x-pattern-message": "must be small"}`:  "must be small",
		`{"type": "string", "pattern": "\\S", "x-pattern-message": "must hold something"}`: "must hold something",
	} {
		operation, err := document{
			parameters: `{"name": "p", "in": "query", "schema": ` + schema + `}`, schema: object(`"m": ` + schema),
		}.load(t)
		require.NoError(t, err)
		expected := []string{"p invalid_format: " + message, "/m invalid_format: " + message}
		require.Equal(t, expected, check(t, operation, "p=%20", `{"m":" "}`, nil))
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	operation, err := document{schema: object(`"a": {"$ref": "#/components/schemas/Free"}, "b": {"type": "string", "x-max-bytes": 5}`)}.load(t)
	require.NoError(t, err)
	require.Empty(t, check(t, operation, "", `{"a":{"b":[]},"b":"abc"}`, nil))
	require.Equal(t, []string{
		"/a too_large: must have at most 10 bytes", "/a too_deep: must be nested at most 2 levels deep",
		"/b too_large: must have at most 5 bytes",
	}, check(t, operation, "", `{"a":{"b":[[1]]},"b":"abcd"}`, nil))
}

// allocated tells how many bytes of memory are taken on the way, whether or not they are given back.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestHugeBodiesCostLittle: a body of 1 MiB is refused for the price of reading it, and the worst that is judged member by
// member costs a bounded multiple. It does not run beside other tests, whose memory would count.
func TestHugeBodiesCostLittle(t *testing.T) {
	const size = 1 << 20
	operation, err := document{schema: object(`
		"names": {"type": "array", "items": {"type": "string", "minLength": 1, "format": "line"}}, "free": {"$ref": "#/components/schemas/Free"}`)}.load(t)
	require.NoError(t, err)
	list := func(before, one, last string) string {
		return before + strings.Repeat(one, (size-len(before)-len(last))/len(one)) + last
	}
	deep := `{"free":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `,"names":[`
	var unknown strings.Builder
	for i := range 19_000 {
		fmt.Fprintf(&unknown, `,"%050d":1`, i)
	}
	for name, test := range map[string]struct {
		body string
		only bool // there is one fault
	}{
		"empty names":                     {list(`{"names":[`, `"",`, `""]}`), true},
		"wrong names":                     {list(`{"names":[`, `1,`, `1]}`), true},
		"empty lists":                     {list(`{"names":[`, `[],`, `[]]}`), true},
		"free values":                     {list(`{"free":[`, `{"":0},`, `0]}`), true},
		"after what is too deep":          {list(deep, `"",`, `""]}`), true},
		"empty names, as many as allowed": {`{"names":[` + strings.Repeat(`"",`, 19_990) + `""]}`, false},
		"unknown members":                 {`{"names":[]` + unknown.String() + `}`, false},
	} {
		var found []string
		taken := allocated(func() { found = check(t, operation, "", test.body, nil) })
		most := uint64(100 << 20)
		if test.only {
			most = 4 << 20
			require.Equal(t, []string{" too_many_values: has more than 20000 values"}, found, name)
		}
		require.NotEmpty(t, found, name)
		require.Less(t, taken, most, name)
	}
}
