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
	list := paging.CursorsOf("customers", map[string]string{"q": "a"}, "-name")
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
	list := paging.CursorsOf("customers", "q", "name")
	for _, other := range []paging.Cursors{
		paging.CursorsOf("staff", "q", "name"), paging.CursorsOf("customers", "p", "name"), paging.CursorsOf("customers", "q", "-name"),
		paging.CursorsOf("customers", "q"), paging.CursorsOf("customers", "qname"), paging.CursorsOf("customers"),
	} {
		var back place
		err := list.Decode(other.Encode(place{}), &back)
		require.True(t, fault.IsKind(err, fault.Malformed))
		require.ErrorContains(t, err, "cursor")
	}
	same := paging.CursorsOf("customers", "q", "name")
	require.Equal(t, list.Encode(1), same.Encode(1), "a replica, or the program after a restart, takes it")
}

// TestRefusalsOfCursors: filters are spoken of where a list has some. The feed has a cursor for whatever filters.
func TestRefusalsOfCursors(t *testing.T) {
	t.Parallel()
	const message = "must be a next_cursor that this list gave out"
	require.EqualError(t, paging.CheckCursor("abc"), message)
	var back place
	for list, expected := range map[paging.Cursors]string{
		paging.CursorsOf("feed"): message, paging.CursorsOf("list", "q"): message + ", with the same filters and order",
	} {
		for _, wrong := range []string{"abc", paging.CursorsOf("other").Encode(place{}), list.Encode([]int{1})} {
			var known *fault.Error
			require.ErrorAs(t, list.Decode(wrong, &back), &known)
			require.Equal(t, []fault.Field{{Parameter: "cursor", Code: "invalid_cursor", Message: expected}}, known.Fields)
		}
	}
}

func TestWhatIsNoCursor(t *testing.T) {
	t.Parallel()
	cursor := paging.CursorsOf("a").Encode(place{Name: "b"})
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
		require.True(t, fault.IsKind(paging.CursorsOf("a").Decode(wrong, &back), fault.Malformed), wrong)
	}
	var number int
	require.Error(t, paging.CursorsOf("a").Decode(cursor, &number), "the place of another list")
	var less struct{ At time.Time }
	require.Error(t, paging.CursorsOf("a").Decode(cursor, &less), "members that the place does not have")
}

func TestRead(t *testing.T) {
	t.Parallel()
	numbers := []int{1, 2, 3, 4, 5}
	query := paging.Query[int, int]{
		Cursors: paging.CursorsOf("numbers"),
		Rows: func(after int, limit int32) ([]int, error) {
			return numbers[after:min(after+int(limit), len(numbers))], nil
		},
		PlaceOf: func(number int) int { return number },
		Count:   func() (int64, error) { return int64(len(numbers)), nil },
	}
	for size := 1; size <= 6; size++ {
		var seen []int
		request := paging.Request{Limit: size, Total: true}
		for {
			page, err := paging.Read(request, query)
			require.NoError(t, err)
			require.LessOrEqual(t, len(page.Rows), size)
			require.EqualValues(t, 5, *page.Total)
			seen = append(seen, page.Rows...)
			if page.Next == nil {
				break
			}
			request.Cursor = *page.Next
		}
		require.Equal(t, numbers, seen, size)
	}
	_, err := paging.Read(paging.Request{Limit: 1, Cursor: "nonsense"}, query)
	require.True(t, fault.IsKind(err, fault.Malformed))
}

// FuzzDecode: anybody can write a cursor; what is taken has a place of the right form, what is not is a fault of the
// caller's.
func FuzzDecode(f *testing.F) {
	list := paging.CursorsOf("fuzz")
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
