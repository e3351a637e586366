package jobs

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/fault"
)

func TestJSONThatIsTaken(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"{}", "[]", "null", " 1 ", `"żółw"`, `{"a":{"b":[1,2.5e-3,true,false,null,"\u00e9\\"]}}`, "\n[1e131000]\n",
		strings.Repeat("[", 1000) + strings.Repeat("]", 1000), `"` + strings.Repeat("long", 100_000) + `"`,
	} {
		require.NoError(t, checkJSON(strings.NewReader(text)), text[:min(40, len(text))])
		require.NoError(t, checkJSON(iotest.OneByteReader(strings.NewReader(text))), text[:min(40, len(text))])
	}
}

func TestJSONThatIsNone(t *testing.T) {
	t.Parallel()
	for text, reason := range map[string]string{
		"": "not JSON", "  ": "not JSON", "{": "not JSON", `{"a":1`: "not JSON", "[1,]": "not JSON", "[1 2]": "not JSON",
		`{"a" 1}`: "not JSON", `{"a":1,}`: "not JSON", "{1:2}": "not JSON", "nul": "not JSON", "abc": "not JSON", "01": "more than one",
		`"\x"`: "not JSON", "\"a\nb\"": "not JSON", `{"a":1]`: "not JSON", "]": "not JSON", "\ufeff{}": "not JSON", "%PDF-1.7": "not JSON",
		"{} {}": "more than one", "1 2": "more than one", "null,": "not JSON",
		"\"a\xffb\"": "UTF-8", "\"\xc5": "UTF-8", "{\"\xed\xa0\x80\":1}": "UTF-8",
		strings.Repeat("[", 1001) + strings.Repeat("]", 1001):           "1000 levels",
		strings.Repeat(`{"a":`, 1001) + "1" + strings.Repeat("}", 1001): "1000 levels",
	} {
		err := checkJSON(strings.NewReader(text))
		require.True(t, fault.IsKind(err, fault.Invalid), "%.40q: %v", text, err)
		require.ErrorContains(t, err, reason, "%.40q", text)
	}
	lost := errors.New("lost")
	err := checkJSON(io.MultiReader(strings.NewReader("{"), iotest.ErrReader(lost)))
	require.ErrorIs(t, err, lost, "what cannot be read is nobody's fault")
}

func TestPDFs(t *testing.T) {
	t.Parallel()
	const aPDF = "%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
	for name, test := range map[string]struct{ content, refusal string }{
		"a PDF":               {aPDF, ""},
		"a large one":         {aPDF + strings.Repeat("x", 1<<20) + "%%EOF", ""},
		"a little after it":   {aPDF + strings.Repeat("\x00", 1000), ""},
		"much after it":       {aPDF + strings.Repeat("\x00", 1020), "does not end"},
		"no end":              {aPDF[:len(aPDF)-6], "does not end"},
		"text":                {"Menus for December", "does not begin"},
		"almost a PDF":        {"%PDX-1.7 %%EOF", "does not begin"},
		"a PDF further on":    {"\n" + aPDF, "does not begin"},
		"half of a beginning": {"%PD", "does not end"},
	} {
		for how, reader := range map[string]io.Reader{
			"at once": strings.NewReader(test.content), "byte by byte": iotest.OneByteReader(strings.NewReader(test.content)),
			"with the end": iotest.DataErrReader(strings.NewReader(test.content)),
		} {
			if how == "byte by byte" && len(test.content) > 4096 {
				continue
			}
			read, err := io.ReadAll(&pdfReader{from: reader})
			if test.refusal == "" {
				require.NoError(t, err, "%s, %s", name, how)
				require.Equal(t, test.content, string(read), "%s, %s", name, how)
				continue
			}
			require.True(t, fault.IsKind(err, fault.Invalid), "%s, %s: %v", name, how, err)
			require.ErrorContains(t, err, test.refusal, "%s, %s", name, how)
		}
	}
}
