package mergepatch_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/mergepatch"
)

// The examples of RFC 7396, appendix A, all of them.
func TestExamplesOfTheRFC(t *testing.T) {
	t.Parallel()
	for _, example := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		merged, err := mergepatch.Apply(json.RawMessage(example[0]), json.RawMessage(example[1]))
		require.NoError(t, err)
		require.Equal(t, example[2], string(merged), "%s patched by %s", example[0], example[1])
	}
}

func TestWhatIsNotTouchedStaysAsItIsWritten(t *testing.T) {
	t.Parallel()
	merged, err := mergepatch.Apply(
		json.RawMessage(`{"z":12345678901234567890,"a":1.0,"l":[1,null,{"x":null}],"t":"<&>","é":1e2}`),
		json.RawMessage(`{"n":{"m":[null,{"q":null}]},"a":2.50}`))
	require.NoError(t, err)
	require.Equal(t, `{"z":12345678901234567890,"a":2.50,"l":[1,null,{"x":null}],"t":"<&>","é":1e2,"n":{"m":[null,{"q":null}]}}`,
		string(merged))
	merged, err = mergepatch.Apply(nil, json.RawMessage(`{"<a>":1,"b":null}`))
	require.NoError(t, err)
	require.Equal(t, `{"<a>":1}`, string(merged))
}

// TestManyMembers: a patch of many members for many. Were each looked for among all, it would not end in the time of tests.
func TestManyMembers(t *testing.T) {
	t.Parallel()
	object := func(value string) json.RawMessage {
		var text strings.Builder
		for i := range 100_000 {
			fmt.Fprintf(&text, `,"m%d":%s`, i, value)
		}
		return json.RawMessage("{" + text.String()[1:] + "}")
	}
	merged, err := mergepatch.Apply(object("1"), object("2.0"))
	require.NoError(t, err)
	require.Equal(t, string(object("2.0")), string(merged))
	merged, err = mergepatch.Apply(merged, object("null"))
	require.NoError(t, err)
	require.Equal(t, "{}", string(merged))
}
