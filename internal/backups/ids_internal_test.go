package backups

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/jobs"
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

func TestEntryNames(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("01993b31-2c4e-7f90-a1b2-3c4d5e6f7081")
	folder := id.String() + "/"
	require.Equal(t, folder+"input.pdf", entryName(id, jobs.Input, "../menus.pdf"))
	require.Equal(t, folder+"pdl-model.json", entryName(id, jobs.PDLModel, "x"))
	for given, expected := range map[string]string{
		"Farben 1.txt": "Farben 1.txt", "../../etc/passwd": "passwd", `C:\a"b`: "a-b", "": "file", " . ": "file",
		strings.Repeat("ż", 200) + ".tiff": strings.Repeat("ż", 97) + ".tiff",
	} {
		require.Equal(t, folder+"support-"+expected, entryName(id, jobs.Support, given))
	}
}
