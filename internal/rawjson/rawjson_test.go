package rawjson_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/rawjson"
)

const maxDepth = 32

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

func TestCheck(t *testing.T) {
	t.Parallel()
	for text, expected := range map[string][]string{
		`null`: nil, ` [1, "a", true, {"b": [ ]}] `: nil, `"\ud83d\ude42 \u00e9 \\u0000 \\ud800"`: nil, `"\ufffd"`: nil,
		`{"a":{"b":1},"c":{"b":1},"d":[{"b":1},{"b":1}]}`: nil, // the same name in different objects
		`"\u0000"`:                       {" nul_character"},
		`{"a":["\u0000","b\u0000"]}`:     {"/a/0 nul_character", "/a/1 nul_character"},
		`{"a/b~":{"\u0000":1}}`:          {"/a~1b~0/ nul_character"},
		`"\ud800"`:                       {" lone_surrogate"},
		`["\udc00","\ud800\n"]`:          {"/0 lone_surrogate", "/1 lone_surrogate"},
		`"\ud800\ud800\udc00"`:           {" lone_surrogate"},
		`"\ud83d \ude42"`:                {" lone_surrogate", " lone_surrogate"},
		`{"a":1,"b":2,"a":3}`:            {"/a duplicate_member"},
		`{"a":1,"\u0061":2}`:             {"/a duplicate_member"},
		`[{"":1,"":2}]`:                  {"/0/ duplicate_member"},
		strings.Repeat("9", 100):         nil,
		strings.Repeat("9", 101):         {" number_too_long"},
		"-" + strings.Repeat("9", 100):   nil,
		"0." + strings.Repeat("1", 99):   nil,
		"0." + strings.Repeat("1", 100):  {" number_too_long"},
		`[1e99,1E+99,1e-99,0e99]`:        nil,
		`[1e100,1e-100,1.5e131000]`:      {"/0 number_too_long", "/1 number_too_long", "/2 number_too_long"},
		`[1e99999999999999999999]`:       {"/0 number_too_long"},
		`[-1.5E-131000,0e1000]`:          {"/0 number_too_long", "/1 number_too_long"},
		nested(maxDepth):                 nil,
		nested(maxDepth + 1):             {strings.Repeat("/0", maxDepth) + " too_deep"},
		`{"a":` + nested(maxDepth) + `}`: {"/a" + strings.Repeat("/0", maxDepth-1) + " too_deep"},
	} {
		faults, err := rawjson.Check([]byte(text), maxDepth)
		require.NoError(t, err, text)
		var found []string
		for _, one := range faults {
			require.NotEmpty(t, one.Message)
			found = append(found, strings.ReplaceAll(one.Pointer, "\x00", "")+" "+one.Code)
		}
		require.Equal(t, expected, found, text)
	}
	for _, text := range []string{
		"", " ", "{", `{"a"}`, "[1,]", "01", "nul", `"\u12"`, "1 2", "\xff", "\"\xff\"", "'a'", "\ufeff{}", nested(20_000),
	} {
		_, err := rawjson.Check([]byte(text), maxDepth)
		require.Error(t, err, "%.40q", text)
	}
}

func TestFaultsAreBounded(t *testing.T) {
	t.Parallel()
	faults, err := rawjson.Check([]byte(`["`+strings.Repeat(`\u0000`, 10_000)+`"]`), maxDepth)
	require.NoError(t, err)
	require.Len(t, faults, 100)
}

func TestValuesAreBounded(t *testing.T) {
	t.Parallel()
	filled := func(before, one, after string, times int) []byte {
		return []byte(before + strings.Repeat(one, times) + after)
	}
	const most = rawjson.MaxValues
	for name, text := range map[string][]byte{
		"items":             filled(`[`, `"",`, `""]`, most-2),
		"members":           filled(`{"a":[`, `{"b" : [ ]},`, `1]}`, (most-3)/2),
		"nested":            filled(`[`, `[[0]],`, ` [ ] ]`, (most-2)/3),
		"text with commas":  filled(`["`, `,[{\",\\`, `"]`, most),
		"a text with quote": filled(`["\\",{},`, `[],`, `"\""]`, most-4),
	} {
		faults, err := rawjson.Check(text, maxDepth)
		require.NoError(t, err, name)
		for _, one := range faults {
			require.NotEqual(t, "too_many_values", one.Code, name)
		}
	}
	for name, text := range map[string][]byte{
		"items":                     filled(`[`, `"",`, `""]`, most-1),
		"members":                   filled(`{`, `"a":1,`, `"a":1}`, most-1),
		"nested":                    filled(`[`, `[[0]],`, `[]]`, most/3+1),
		"space":                     filled(`[`, " [\n0\t] ,", `1]`, most/2),
		"after a string":            filled(`["\\\"",`, `1,`, `1]`, most-2),
		"after what is too deep":    filled(`[`+nested(maxDepth+1)+`,`, `1,`, `1]`, most),
		"with other faults as well": filled(`["\u0000",1e999,{"a":1,"a":1},`, `1,`, `1]`, most),
	} {
		faults, err := rawjson.Check(text, maxDepth)
		require.NoError(t, err, name)
		require.Equal(t, []rawjson.Fault{{Code: "too_many_values", Message: "has more than 20000 values"}}, faults, name)
	}
}

func TestDepth(t *testing.T) {
	t.Parallel()
	for text, depth := range map[string]int{
		`1`: 1, `"[[["`: 1, `"\"[["`: 1, `{}`: 1, `{"a":1}`: 1, `[[]]`: 2, `{"a":[{"b":1}],"c":[]}`: 3, nested(100): 100,
	} {
		require.Equal(t, depth, rawjson.Depth([]byte(text)), text)
	}
}

func TestPointer(t *testing.T) {
	t.Parallel()
	require.Empty(t, rawjson.Pointer())
	require.Equal(t, "/", rawjson.Pointer(""))
	require.Equal(t, "/a~1b/~01/0", rawjson.Pointer("a/b", "~1", "0"))
}

// decode reads JSON as a decoder does.
func decode(t *testing.T, text []byte) (value any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&value))
	return value
}

// depthByDecoder is Depth by way of a decoder's tokens.
func depthByDecoder(text []byte) int {
	decoder := json.NewDecoder(bytes.NewReader(text))
	depth, deepest := 0, 1
	for {
		token, err := decoder.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

// valuesByDecoder counts values by way of a decoder's tokens.
func valuesByDecoder(text []byte) int {
	decoder := json.NewDecoder(bytes.NewReader(text))
	var inObject []bool
	count, names := 0, false // names: the next token is a member's name
	for {
		token, err := decoder.Token()
		if err != nil {
			return count
		}
		delimiter, _ := token.(json.Delim)
		switch {
		case delimiter == '}' || delimiter == ']':
			inObject = inObject[:len(inObject)-1]
		case names:
			names = false
			continue
		default:
			count++
			if delimiter != 0 {
				inObject = append(inObject, delimiter == '{')
			}
		}
		names = len(inObject) > 0 && inObject[len(inObject)-1]
	}
}

// FuzzCheck: whatever the text, there is an answer; what is accepted means the same to a decoder, and is accepted again
// when it is written anew.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,-2.5e-3,true,null,"\ud83d\ude42\u0000\\\""],"a":{}}`, `"\ud800\udc00\ud800"`, nested(40), `[1e131000]`, "",
		"\xff", `{"":{"":""}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		faults, err := rawjson.Check(text, maxDepth)
		require.Equal(t, utf8.Valid(text) && json.Valid(text), err == nil)
		if err != nil {
			return
		}
		require.Equal(t, depthByDecoder(text), rawjson.Depth(text))
		if valuesByDecoder(text) > rawjson.MaxValues {
			require.Len(t, faults, 1)
			require.Equal(t, "too_many_values", faults[0].Code)
			return
		}
		tooDeep := slices.ContainsFunc(faults, func(one rawjson.Fault) bool { return one.Code == "too_deep" })
		if len(faults) < 100 {
			require.Equal(t, rawjson.Depth(text) > maxDepth, tooDeep)
		}
		if len(faults) > 0 {
			return
		}
		value := decode(t, text)
		again, err := json.Marshal(value)
		require.NoError(t, err)
		require.Equal(t, value, decode(t, again))
		faults, err = rawjson.Check(again, maxDepth)
		require.NoError(t, err)
		require.Empty(t, faults)
		if bytes.ContainsRune(again, utf8.RuneError) {
			require.True(t, bytes.ContainsRune(text, utf8.RuneError) || bytes.Contains(bytes.ToLower(text), []byte(`\ufffd`)),
				"a character was replaced in silence")
		}
	})
}

func TestPointersStayShort(t *testing.T) {
	t.Parallel()
	require.Equal(t, "/a~1b/~0", rawjson.Pointer("a/b", "~"))
	require.Equal(t, "/a", rawjson.Pointer("a", strings.Repeat("x", 1<<20), "b"))
}
