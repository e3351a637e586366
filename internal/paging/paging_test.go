package paging_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/paging"
)

type place struct {
	At   time.Time `json:"c"`
	ID   uuid.UUID `json:"i"`
	Name string    `json:"n"`
}

func TestCursorsComeBack(t *testing.T) {
	t.Parallel()
	list := paging.NewList("customers", map[string]string{"q": "a"}, "-name")
	there := place{At: time.Now().UTC(), ID: uuid.New(), Name: `\u0000 "é"` + strings.Repeat("x", 500)}
	cursor := list.Encode(there)
	require.NoError(t, paging.CheckCursor(cursor))
	require.Regexp(t, `^[A-Za-z0-9_-]+$`, cursor, "it stands in a query as it is")
	var back place
	require.NoError(t, list.Decode(cursor, &back))
	require.Equal(t, there, back)
}

func TestCursorsOfOtherListsAreRefused(t *testing.T) {
	t.Parallel()
	list := paging.NewList("customers", "q", "name")
	for _, other := range []paging.List{
		paging.NewList("staff", "q", "name"), paging.NewList("customers", "p", "name"), paging.NewList("customers", "q", "-name"),
		paging.NewList("customers", "q"), paging.NewList("customers", "qname"), paging.NewList("customers"),
	} {
		var back place
		err := list.Decode(other.Encode(place{}), &back)
		require.True(t, fault.IsKind(err, fault.Malformed))
		require.ErrorContains(t, err, "cursor")
	}
	same := paging.NewList("customers", "q", "name")
	require.Equal(t, list.Encode(1), same.Encode(1), "a replica, or the program after a restart, takes it")
}

func TestWhatIsNoCursor(t *testing.T) {
	t.Parallel()
	cursor := paging.NewList("a").Encode(place{Name: "b"})
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	require.NoError(t, err)
	for _, wrong := range []string{
		"", "x", "!", cursor[1:], cursor + "x", cursor + "=", strings.ReplaceAll(string(text), `"b"`, `"\u0000"`),
		strings.ReplaceAll(string(text), `"b"`, `"\ud800"`), `{}`, `null`, `[]`, `{"l":"","p":1}`, `{"l":"YQ"}`, `{"l":1,"p":1}`,
	} {
		if strings.HasPrefix(wrong, "{") || strings.HasPrefix(wrong, "[") || wrong == "null" {
			wrong = base64.RawURLEncoding.EncodeToString([]byte(wrong))
		}
		require.Error(t, paging.CheckCursor(wrong), wrong)
		var back place
		require.True(t, fault.IsKind(paging.NewList("a").Decode(wrong, &back), fault.Malformed), wrong)
	}
	var number int
	require.Error(t, paging.NewList("a").Decode(cursor, &number), "the place of another list")
	var less struct{ At time.Time }
	require.Error(t, paging.NewList("a").Decode(cursor, &less), "members that the place does not have")
}

func TestCut(t *testing.T) {
	t.Parallel()
	list := paging.NewList("numbers")
	self := func(last int) any { return last }
	for _, rows := range [][]int{{}, {1}, {1, 2}} {
		page := paging.Cut(list, rows, 2, self)
		require.Equal(t, rows, page.Rows)
		require.Nil(t, page.Next)
	}
	page := paging.Cut(list, []int{1, 2, 3}, 2, self)
	require.Equal(t, []int{1, 2}, page.Rows)
	require.Equal(t, list.Encode(2), *page.Next, "the next page starts after the last row shown")
}

// FuzzDecode: anybody can write a cursor; what is taken has a place of the right form, what is not is a fault of the
// caller's.
func FuzzDecode(f *testing.F) {
	list := paging.NewList("fuzz")
	f.Add(list.Encode(place{Name: "a"}))
	f.Add(list.Encode(place{ID: uuid.Max, At: time.Now()})[2:])
	f.Add("")
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"l":"AAAAAAAA","p":{"c":1}}`)))
	f.Fuzz(func(t *testing.T, text string) {
		for _, candidate := range []string{text, base64.RawURLEncoding.EncodeToString([]byte(text))} {
			var back place
			err := list.Decode(candidate, &back)
			if err != nil {
				require.True(t, fault.IsKind(err, fault.Malformed))
				continue
			}
			require.NoError(t, paging.CheckCursor(candidate))
			require.NotContains(t, back.Name, "\x00")
			var again place
			require.NoError(t, list.Decode(list.Encode(back), &again))
			require.Equal(t, back.ID, again.ID)
			require.True(t, back.At.Equal(again.At))
		}
	})
}
