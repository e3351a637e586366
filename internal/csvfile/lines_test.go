package csvfile_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/csvfile"
	"github.com/clientele-api/clientele/internal/fault"
)

func TestLines(t *testing.T) {
	t.Parallel()
	text := "{\"a\":1}\n\n\r\n{\"b\":\"\\n\"}\r\n\x00\n\xff\n" + strings.Repeat("x", csvfile.MaxRecord+1) + "\n{}"
	lines := readAll(t, csvfile.NewLines(strings.NewReader(text), 0, 1))
	lines[4].Raw = ""
	require.Equal(t, []string{
		`1 []`, `4 []`, `5 !nul_character -1 "\x00"`, `6 !invalid_text -1 "�"`, `7 !line_too_long -1 ""`, `8 []`,
	}, inShort(lines))
	require.Equal(t, `{"a":1}`, lines[0].Raw)
	require.Equal(t, `{"b":"\n"}`, lines[1].Raw)
	require.Equal(t, `{}`, lines[5].Raw)
}

func TestALineOfJSONIsWhole(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", csvfile.MaxRecord)
	lines := readAll(t, csvfile.NewLines(strings.NewReader(long+"\r\n"), 0, 1))
	require.Len(t, lines, 1)
	require.Nil(t, lines[0].Fault)
	require.True(t, lines[0].Raw == long)
}

func FuzzLines(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		all := readAll(t, csvfile.NewLines(bytes.NewReader(text), 0, 1))
		resumed(t, text, all, func(from io.Reader, offset int64, row int) reader {
			return csvfile.NewLines(from, offset, row)
		})
	})
}

// repeated is a file of so many bytes, made of one text over and over.
type repeated struct {
	text string
	left int
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	p = p[:min(len(p), r.left)]
	if r.left == 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) {
		copied := copy(p[n:], r.text[r.at:])
		n += copied
		r.at = (r.at + copied) % len(r.text)
	}
	r.left -= n
	return n, nil
}

// TestMemoryIsBounded reads files whose records never seem to end, and counts all that is allocated on the way. It is not
// parallel, since what other tests allocate would count.
func TestMemoryIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		size int
		most uint64 // MiB in all
	}{
		"one line":         {strings.Repeat("x", 64<<10), 300 << 20, 12},
		"blank lines":      {strings.Repeat("\n", 64<<10), 10 << 20, 12},
		"nothing but \\r":  {strings.Repeat("\r", 64<<10), 10 << 20, 12},
		"nothing but NULs": {strings.Repeat("\x00", 64<<10), 10 << 20, 12},
	} {
		t.Run(name, func(t *testing.T) {
			file := func() io.Reader { return &repeated{text: c.text, left: c.size} }
			for _, r := range []reader{csvfile.NewReader(file(), ',', 0, 1), csvfile.NewLines(file(), 0, 1)} {
				require.LessOrEqual(t, allocated(func() {
					for {
						if _, err := r.Read(); err != nil {
							require.Equal(t, io.EOF, err)
							break
						}
					}
				})>>20, c.most)
				require.Equal(t, int64(c.size), r.Offset())
			}
		})
	}
}

func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestNoShapeTakesLong reads files that are made to be looked at again and again, at a pace that nothing else than a
// few looks at each byte allows for.
func TestNoShapeTakesLong(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"every line unclosed":                "\"a\n",
		"every line unclosed, far from it":   "\"" + strings.Repeat("a", 1000) + "\n",
		"unclosed, then lines without":       "\"a\n" + strings.Repeat("b\n", 1<<20),
		"unclosed, then lines with an even":  "\"a\n" + strings.Repeat("\"\"\n", 1<<20),
		"even lines, closed where misplaced": "\"a\n" + strings.Repeat("\"b\",c\n", 1000),
		"an unclosed one in each 100 KiB":    "\"a\n" + strings.Repeat("x\n", 50<<10) + "x\n",
		"quotes alone":                       "\"",
		"delimiters":                         ",",
		"a quote behind each end":            "\r\"",
		"long cells with breaks":             "\"" + strings.Repeat("x\r\n", 100_000) + "\"\n",
		"\\r alone":                          "a\r",
		"CR far from LF":                     strings.Repeat("a\r", 100_000) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			const size = 8 << 20
			r := csvfile.NewReader(&repeated{text: text, left: size}, ',', 0, 1)
			for {
				if _, err := r.Read(); err != nil {
					require.Equal(t, io.EOF, err)
					break
				}
			}
			require.Equal(t, int64(size), r.Offset())
			require.Less(t, time.Since(begun), time.Minute)
		})
	}
}

func TestLineLimiter(t *testing.T) {
	t.Parallel()
	read := func(text string, limit int, slow bool) (string, error) {
		from := io.Reader(strings.NewReader(text))
		if slow {
			from = iotest.OneByteReader(from)
		}
		passed, err := io.ReadAll(csvfile.NewLineLimiter(from, limit))
		return string(passed), err
	}
	for _, slow := range []bool{false, true} {
		for _, text := range []string{"", "\n", "aaaa", "aaaa\nbbbb\r\ncc\rdddd", strings.Repeat("aaa\n", 1000), "\"aa\naa\""} {
			passed, err := read(text, 4, slow)
			require.NoError(t, err)
			require.Equal(t, text, passed)
		}
		for text, expected := range map[string]string{
			"aaaaa": "aaaa", "a\nbbbbb": "a\nbbbb", "a\rbbbb\n\nccccccc\nd": "a\rbbbb\n\ncccc",
		} {
			passed, err := read(text, 4, slow)
			require.Equal(t, expected, passed)
			var refused *fault.Error
			require.ErrorAs(t, fmt.Errorf("receive: %w", err), &refused)
			require.Equal(t, fault.TooLarge, refused.Kind)
			require.Equal(t, "line_too_long", refused.Code)
		}
	}
}

// TestTheLimiterDoesNotWait refuses a line while it arrives, and goes on refusing.
func TestTheLimiterDoesNotWait(t *testing.T) {
	t.Parallel()
	endless := &repeated{text: "x", left: 1 << 40}
	limiter := csvfile.NewLineLimiter(endless, csvfile.MaxRecord)
	n, err := io.Copy(io.Discard, limiter)
	require.True(t, fault.IsKind(err, fault.TooLarge))
	require.Equal(t, int64(csvfile.MaxRecord), n)
	_, again := limiter.Read(make([]byte, 1))
	require.Equal(t, err, again)

	_, err = io.ReadAll(csvfile.NewLineLimiter(iotest.ErrReader(http.ErrBodyReadAfterClose), 10))
	require.Equal(t, http.ErrBodyReadAfterClose, err, "as it is")
}
