package backups

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestNewIDs(t *testing.T) {
	t.Parallel()
	old := uuid.Must(uuid.NewV7())
	renewed, other := newIDs(true), newIDs(true)
	now := renewed.of(old)
	require.Equal(t, now, renewed.of(old), "the same wherever it is referred to")
	require.NotEqual(t, old, now)
	require.NotEqual(t, now, other.of(old), "nobody tells it from the old one")
	require.Equal(t, uuid.Version(7), now.Version())
	require.Equal(t, uuid.RFC4122, now.Variant())
	require.Equal(t, old.Time(), now.Time(), "which keeps its place among others")
	require.Equal(t, old, newIDs(false).of(old))
	require.Nil(t, renewed.ofOptional(nil))
}

func TestIDsInEvents(t *testing.T) {
	t.Parallel()
	renewed := newIDs(true)
	a, b := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	template := strings.NewReplacer("%a", a.String(), "%b", b.String())
	expected := strings.NewReplacer("<a>", renewed.of(a).String(), "<b>", renewed.of(b).String(), "%a", a.String(), "%b", b.String())
	for _, test := range []struct{ given, expected string }{
		{`{"before":null,"after":{"id":"%a"}}`, `{"before":null,"after":{"id":"<a>"}}`},
		{`{ "before" : { "customer_id" :"%a" , "x":1} , "after" : null }`, `{ "before" : { "customer_id" :"<a>" , "x":1} , "after" : null }`},
		{`{"before":{"template_id":"%b","identity_id":"%a"},"after":{"template_id":null,"id":"%a"}}`,
			`{"before":{"template_id":"<b>","identity_id":"<a>"},"after":{"template_id":null,"id":"<a>"}}`},
		{`{"before":null,"after":{"parent_id":"%a","terms_id":"%a","external_id":"%a","name":"%a"}}`,
			`{"before":null,"after":{"parent_id":"%a","terms_id":"%a","external_id":"%a","name":"%a"}}`},
		{`{"before":null,"after":{"properties":{"id":"%a","l":["%a",{"id":"%b"}]},"list":["id","%a"],"id":"%b"}}`,
			`{"before":null,"after":{"properties":{"id":"%a","l":["%a",{"id":"%b"}]},"list":["id","%a"],"id":"<b>"}}`},
		{`{"before":null,"after":{"id":"none","author":{"id":"%a"}}}`, `{"before":null,"after":{"id":"none","author":{"id":"%a"}}}`},
		{`{"id":"%a","after":["%a",{"id":"%a"}]}`, `{"id":"%a","after":["%a",{"id":"%a"}]}`},
	} {
		found, err := renewed.ofData(json.RawMessage(template.Replace(test.given)))
		require.NoError(t, err)
		require.Equal(t, expected.Replace(test.expected), string(found))
	}
	found, err := renewed.ofData(nil)
	require.NoError(t, err)
	require.Nil(t, found)
}

func TestSafeNames(t *testing.T) {
	t.Parallel()
	for given, expected := range map[string]string{
		"Farben 1.txt": "Farben 1.txt", "ż.pdf": "ż.pdf", "../../etc/passwd": "..-..-etc-passwd", `C:\a"b`: "C--a-b", "a\x00b\n.txt": "ab.txt",
		"\u202etxt.exe": "txt.exe", "dots...": "dots", " . ": "file", "": "file", "a\xffb": "ab",
		strings.Repeat("ż", 200) + ".tiff": strings.Repeat("ż", 72) + ".tiff",
	} {
		name := safeName(given)
		require.Equal(t, expected, name)
		require.True(t, utf8.ValidString(name))
		require.LessOrEqual(t, len(name), maxFileName)
	}
}
