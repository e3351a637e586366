package etag_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/fault"
)

func TestTagCoversTheWholeRepresentation(t *testing.T) {
	t.Parallel()
	tag := etag.Of(3, map[string]any{"name": "a", "seen": 1})
	require.Regexp(t, `^"3\.[0-9a-f]{16}"$`, tag)
	require.Equal(t, tag, etag.Of(3, map[string]any{"seen": 1, "name": "a"}))
	require.NotEqual(t, tag, etag.Of(3, map[string]any{"name": "a", "seen": 2}), "the version alone is not enough")
	require.NotEqual(t, tag, etag.Of(4, map[string]any{"name": "a", "seen": 1}))
	require.Panics(t, func() { etag.Of(1, func() {}) })
}

func TestIfMatchComparesTheVersion(t *testing.T) {
	t.Parallel()
	require.NoError(t, etag.IfMatch(nil).Check(7), "no header, no condition")
	require.NoError(t, etag.Versions{}.Check(7))
	for header, matches := range map[string]bool{
		etag.Of(7, "x"): true, `"7.0000000000000000"`: true, `"7"`: true, `*`: true, `"1.a" , "7.b"`: true,
		`"8.a"`: false, `"70.a"`: false, `"-7.a"`: false, `"x"`: false, `""`: false, `"7a"`: false, `"99999999999999999999.a"`: false,
		`W/"7.a"`: false, // RFC 9110, 13.1.1: compared strongly
		`7`:       false, ``: false,
	} {
		err := etag.IfMatch(&header).Check(7)
		if matches {
			require.NoError(t, err, header)
			continue
		}
		require.True(t, fault.IsKind(err, fault.Stale), header)
	}
}

func TestIfNoneMatchComparesTheTag(t *testing.T) {
	t.Parallel()
	const tag = `"3.abc"`
	for header, matches := range map[string]bool{
		tag: true, `W/` + tag: true, `*`: true, `"1.x", ` + tag: true, `"1.x",W/"3.abc"`: true,
		`"3.abd"`: false, `"3"`: false, `3.abc`: false, ``: false, `"3.abc`: false, tag + `, nonsense`: false,
	} {
		require.Equal(t, matches, etag.Matches(header, tag), header)
	}
	require.True(t, etag.Matches(tag, `W/`+tag))
}

func TestTagsThatAreAccepted(t *testing.T) {
	t.Parallel()
	const tag = `"abc"`
	every, either := "*", `"x", W/"abc"`
	for _, test := range []struct {
		match, noneMatch   *string
		current            string
		accepted, excluded bool
	}{
		{nil, nil, "", true, false},
		{nil, nil, tag, true, false},
		{&every, nil, "", false, false},
		{&every, nil, tag, true, false},
		{&either, nil, tag, false, false}, // RFC 9110, 13.1.1: compared strongly
		{nil, &every, "", true, false},
		{nil, &every, tag, true, true},
		{nil, &either, "", true, false},
		{nil, &either, tag, true, true}, // RFC 9110, 13.1.2: compared weakly
		{nil, &either, `"abd"`, true, false},
		{&every, &every, "", false, false},
		{&every, &every, tag, true, true},
	} {
		tags := etag.IfMatchTags(test.match).Except(test.noneMatch)
		require.Equal(t, []bool{test.accepted, test.excluded}, []bool{tags.Accept(test.current), tags.Excludes(test.current)}, test)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	tags, err := etag.Parse(`"a,b" ,W/"c", ""`)
	require.NoError(t, err)
	require.Equal(t, []string{`"a,b"`, `W/"c"`, `""`}, tags)
	for _, header := range []string{
		"", " ", "a", `"a`, `a"`, `W/`, `w/"a"`, `"a" "b"`, `"a",`, `,"a"`, `"a"b`, `*, "a"`, `"a", *`, strings.Repeat(`"`, 5),
	} {
		_, err := etag.Parse(header)
		require.Error(t, err, header)
	}
}
