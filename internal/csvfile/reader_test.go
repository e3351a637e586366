package csvfile_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/csvfile"
)

// reader is what Reader and Lines have in common.
type reader interface {
	Read() (csvfile.Record, error)
	Offset() int64
	Row() int
}

// place is a record together with where reading stood after it.
type place struct {
	csvfile.Record
	offset int64
	row    int
}

func readAll(t *testing.T, r reader) []place {
	t.Helper()
	var all []place
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		record.Cells = slices.Clone(record.Cells)
		all = append(all, place{Record: record, offset: r.Offset(), row: r.Row()})
	}
}

func readText(t *testing.T, text string) []place {
	t.Helper()
	return readAll(t, csvfile.NewReader(strings.NewReader(text), ',', 0, 1))
}

// inShort writes records in the way of the tables below: the row, then its cells or what is wrong with which of them.
func inShort(places []place) []string {
	var short []string
	for _, p := range places {
		if p.Fault != nil {
			short = append(short, fmt.Sprintf("%d !%s %d %q", p.Row, p.Fault.Code, p.Fault.Cell, p.Raw))
			continue
		}
		short = append(short, fmt.Sprintf("%d %q", p.Row, p.Cells))
	}
	return short
}

func TestRecords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text     string
		expected []string
	}{
		"nothing":                 {"", nil},
		"blank lines only":        {"\n\r\n\r\r\n", nil},
		"one line without an end": {"a,b", []string{`1 ["a" "b"]`}},
		"all line ends":           {"a\nb\r\nc\rd\r\n", []string{`1 ["a"]`, `2 ["b"]`, `3 ["c"]`, `4 ["d"]`}},
		"\\n\\r is two ends":      {"a\n\rb", []string{`1 ["a"]`, `3 ["b"]`}},
		"blank lines count":       {"\na\n\n\r\n\rb\n\n", []string{`2 ["a"]`, `6 ["b"]`}},
		"empty cells":             {",\n,,\n\"\"\n \n", []string{`1 ["" ""]`, `2 ["" "" ""]`, `3 [""]`, `4 [" "]`}},
		"quotes":                  {`"a,b","say ""hi""",""""`, []string{`1 ["a,b" "say \"hi\"" "\""]`}},
		"breaks in cells stay":    {"\"a\r\nb\nc\rd\",e\r\nf\n", []string{`1 ["a\r\nb\nc\rd" "e"]`, `2 ["f"]`}},
		"quotes at line ends":     {"\"a\"\r\"b\"\r\n\"c\"\n\"d\"", []string{`1 ["a"]`, `2 ["b"]`, `3 ["c"]`, `4 ["d"]`}},
		"a delimiter at the end":  {"\"a\",\n\"b\",", []string{`1 ["a" ""]`, `2 ["b" ""]`}},
		"text beyond ASCII":       {"Łódź,\"Żółć\"\n", []string{`1 ["Łódź" "Żółć"]`}},

		"a quote in a cell":       {"a,b\"c\nd\n", []string{`1 !misplaced_quote 1 "a,b\"c"`, `2 ["d"]`}},
		"text behind a quote":     {"a,\"b\"c\r\nd\n", []string{`1 !misplaced_quote 1 "a,\"b\"c"`, `2 ["d"]`}},
		"a space before a quote":  {"a, \"b\"\nd\n", []string{`1 !misplaced_quote 1 "a, \"b\""`, `2 ["d"]`}},
		"a lost quote":            {"\"a,1\n\"b\",2\nc,3\n", []string{`1 !misplaced_quote 0 "\"a,1"`, `2 ["b" "2"]`, `3 ["c" "3"]`}},
		"a lost quote, none else": {"a,\"1\n\nb,2\rc,3", []string{`1 !unclosed_quote 1 "a,\"1"`, `3 ["b" "2"]`, `4 ["c" "3"]`}},
		"a quote and no more":     {`"`, []string{`1 !unclosed_quote 0 "\""`}},
		"quotes that are odd":     {`"a""`, []string{`1 !unclosed_quote 0 "\"a\"\""`}},
		"every line unclosed":     {"\"a\n\"b\n\"c\n", []string{`1 !misplaced_quote 0 "\"a"`, `2 !misplaced_quote 0 "\"b"`, `3 !unclosed_quote 0 "\"c"`}},

		"NUL":                {"a,b\x00,c\nd\n", []string{`1 !nul_character 1 "a,b\x00,c"`, `2 ["d"]`}},
		"NUL between quotes": {"\"\n\x00\"\nd\n", []string{`1 !nul_character 0 "\"\n\x00\""`, `2 ["d"]`}},
		"not UTF-8":          {"a,b,\xb3\nd\n", []string{`1 !invalid_text 2 "a,b,�"`, `2 ["d"]`}},
		"not UTF-8, quoted":  {"a,\"\xff\"\nd\n", []string{`1 !invalid_text 1 "a,\"�\""`, `2 ["d"]`}},
		"surrogates":         {"\xed\xa0\x80\n", []string{`1 !invalid_text 0 "�"`}},
		"U+FFFD itself":      {"�\n", []string{`1 ["�"]`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.expected, inShort(readText(t, c.text)))
		})
	}
}

func TestDelimiters(t *testing.T) {
	t.Parallel()
	for _, delimiter := range []byte(",;\t|") {
		others := strings.ReplaceAll(",;\t|", string(delimiter), "")
		text := strings.ReplaceAll("a~\"b~c\"~d"+others, "~", string(delimiter))
		record, err := csvfile.NewReader(strings.NewReader(text), delimiter, 0, 1).Read()
		require.NoError(t, err)
		require.Equal(t, []string{"a", "b" + string(delimiter) + "c", "d" + others}, record.Cells)
	}
}

func TestCellsAreCounted(t *testing.T) {
	t.Parallel()
	for _, quote := range []string{"", `"`} {
		most := strings.Repeat(quote+quote+",", 999)
		places := readText(t, most+"x\n"+most+",\ny\n")
		require.Len(t, places, 3)
		require.Len(t, places[0].Cells, 1000)
		require.Equal(t, "too_many_cells", places[1].Fault.Code)
		require.Nil(t, places[1].Cells)
		require.Equal(t, []string{"y"}, places[2].Cells)
	}
}

func TestLengths(t *testing.T) {
	t.Parallel()
	const most = csvfile.MaxRecord
	x := strings.Repeat("x", most)
	lines := strings.Repeat("x\n", most/2)
	for name, c := range map[string]struct {
		text  string
		codes []string // of the first and the last record, "" for none
		rows  []int
	}{
		"a line as long as may be":     {x + "\r\nend", []string{"", ""}, []int{1, 2}},
		"without an end":               {x, []string{""}, []int{1}},
		"a byte more":                  {x + "x\r\nend", []string{"line_too_long", ""}, []int{1, 2}},
		"a byte more, \\r":             {x + "x\r\rend", []string{"line_too_long", ""}, []int{1, 3}},
		"a byte more, the last line":   {x + "x", []string{"line_too_long"}, []int{1}},
		"much more":                    {x + x + x + x + x + "\nend", []string{"line_too_long", ""}, []int{1, 2}},
		"with quotes":                  {`"` + x[2:] + "\"\nend", []string{"", ""}, []int{1, 2}},
		"with quotes, a byte more":     {`"` + x[1:] + "\"\nend", []string{"line_too_long", ""}, []int{1, 2}},
		"many lines, as long as allow": {`"` + lines[2:] + "\"\r\nend", []string{"", ""}, []int{1, 2}},
		"many lines, a byte more":      {`"` + lines[1:] + "\"\nend", []string{"unclosed_quote", ""}, []int{1, most/2 + 2}},
		"many lines, then plain":       {`"` + lines[8:] + "\",xxxxxxxx\nend", []string{"unclosed_quote", ""}, []int{1, most/2 - 2}},
		"many lines, no quote":         {"\"\n" + lines + "end", []string{"unclosed_quote", ""}, []int{1, most/2 + 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			places := readText(t, c.text)
			for i, at := range []int{0, len(places) - 1}[:len(c.codes)] {
				code := ""
				if places[at].Fault != nil {
					code = places[at].Fault.Code
					require.LessOrEqual(t, len(places[at].Raw), 64<<10)
				}
				require.Equal(t, c.codes[i], code)
				require.Equal(t, c.rows[i], places[at].Row)
			}
			require.Equal(t, int64(len(c.text)), places[len(places)-1].offset)
			if last := places[len(places)-1]; len(c.codes) > 1 {
				require.Equal(t, []string{"end"}, last.Cells)
			}
		})
	}
}

func TestWhatIsShownIsBoundedAndValid(t *testing.T) {
	t.Parallel()
	for _, filling := range []string{"\xff", "\xffx", "ł", "€", "x€", "😀", "xx😀"} {
		places := readText(t, "\x00"+strings.Repeat(filling, 100_000)+"\nz\n")
		require.Len(t, places, 2)
		require.True(t, utf8.ValidString(places[0].Raw))
		require.LessOrEqual(t, len(places[0].Raw), 64<<10)
		require.True(t, filling == "\xff" || len(places[0].Raw) > 64<<10-4, "%q", filling)
	}
}

// wellFormed makes a file that encoding/csv and this package must understand alike.
func wellFormed(random *rand.Rand) (string, [][]string) {
	pieces := []string{"a", "Zażółć", ",", ";", "\"", "\n", " ", "😀", "", "bc", "0"}
	var rows [][]string
	for range 1 + random.IntN(30) {
		row := make([]string, 1+random.IntN(6))
		for i := range row {
			for range random.IntN(5) {
				row[i] += pieces[random.IntN(len(pieces))]
			}
		}
		if len(row) == 1 && row[0] == "" {
			row[0] = "x" // which encoding/csv writes as a blank line
		}
		rows = append(rows, row)
	}
	var text bytes.Buffer
	writer := csv.NewWriter(&text)
	_ = writer.WriteAll(rows)
	return text.String(), rows
}

func TestWhatIsWellFormed(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		text, rows := wellFormed(random)
		places := readText(t, text)
		require.Len(t, places, len(rows))
		for i, p := range places {
			require.Nil(t, p.Fault, "%q", text)
			require.Equal(t, rows[i], p.Cells, "%q", text)
			require.Equal(t, i+1, p.Row)
		}
	}
}

// checkReader holds what is true of any text: it agrees with encoding/csv where that finds nothing wrong; taken up
// at any place, or arriving in pieces, it is the same; and no byte is left out.
func checkReader(t *testing.T, text []byte) {
	t.Helper()
	all := readAll(t, csvfile.NewReader(bytes.NewReader(text), ',', 0, 1))
	sameAsReference(t, text, all)
	resumed(t, text, all, func(from io.Reader, offset int64, row int) reader {
		return csvfile.NewReader(from, ',', offset, row)
	})
	for _, p := range all {
		if p.Fault == nil {
			for _, cell := range p.Cells {
				require.True(t, utf8.ValidString(cell) && !strings.Contains(cell, "\x00"))
			}
			continue
		}
		require.Nil(t, p.Cells)
		require.NotEmpty(t, p.Raw)
		require.True(t, utf8.ValidString(p.Raw))
	}
}

func sameAsReference(t *testing.T, text []byte, all []place) {
	t.Helper()
	if bytes.ContainsRune(text, '\r') || bytes.ContainsRune(text, 0) || !utf8.Valid(text) {
		return // where the rules differ on purpose
	}
	reference := csv.NewReader(bytes.NewReader(text))
	reference.FieldsPerRecord = -1
	rows, err := reference.ReadAll()
	if err != nil {
		require.True(t, slices.ContainsFunc(all, func(p place) bool { return p.Fault != nil }), "%q", text)
		return
	}
	require.Len(t, all, len(rows), "%q", text)
	for i, row := range rows {
		if len(row) <= 1000 && all[i].Fault == nil {
			require.Equal(t, row, all[i].Cells, "%q", text)
		}
		require.True(t, len(row) <= 1000 == (all[i].Fault == nil), "%q", text)
	}
}

func resumed(t *testing.T, text []byte, all []place, open func(io.Reader, int64, int) reader) {
	t.Helper()
	require.Equal(t, all, readAll(t, open(iotest.OneByteReader(bytes.NewReader(text)), 0, 1)), "%q", text)
	require.Equal(t, all, readAll(t, open(iotest.DataErrReader(bytes.NewReader(text)), 0, 1)), "%q", text)
	step := 1 + len(all)/20
	for i := 0; i < len(all); i += step {
		rest := readAll(t, open(bytes.NewReader(text[all[i].offset:]), all[i].offset, all[i].row))
		require.Equal(t, len(all)-i-1, len(rest), "%q", text)
		for k := range rest {
			require.Equal(t, all[i+1+k], rest[k], "%q", text)
		}
	}
	if len(all) > 0 {
		tail := text[all[len(all)-1].offset:]
		require.Empty(t, bytes.Trim(tail, "\r\n"), "nothing is left out")
	}
}

var seeds = []string{
	"", "\n", "\r", "a,b\r\nc,d\r\n", "\"a\"\"b\"\n", "\"a\nb\",c\n", "a\"b\nc\n", "\"a\"b\nc\n", "\"a\nb\nc\n",
	"\"a\n\"b\n\"c\n", "\"\"\"\n\"\"\"\nx", "\xff,\x00\n", "a\r\n\r\n\nb", "\",\"\n\",\"\n", "PK\x03\x04\x14\x00\x08\x00\"\r\n\xff\xfe",
}

func FuzzReader(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(checkReader)
}

// TestAnything tries texts that are made of little but what matters.
func TestAnything(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	letters := []string{"a", "\"", "\"", ",", "\n", "\r", "\r\n", "ł", "\x00", "\xff", "\"\"", "b"}
	for range 4000 {
		var text []byte
		for range random.IntN(40) {
			text = append(text, letters[random.IntN(len(letters)-4*random.IntN(2))]...)
		}
		checkReader(t, text)
	}
}

func TestBinaryFiles(t *testing.T) {
	t.Parallel()
	checkReader(t, zipped(t))
	noise := make([]byte, 200_000)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(noise)
	checkReader(t, noise)
}

func TestErrorsOfTheSource(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken off")
	for _, text := range []string{"a,b\nc", "a,b\n\"c", "a,b\n", "a,b\n" + strings.Repeat("x", 3*csvfile.MaxRecord), "a,b\nc\r", "a,b\n\r", "a,b\n\"c\"\r", "a,b\n" + strings.Repeat("x", 3*csvfile.MaxRecord) + "\r"} {
		for _, failure := range []error{broken, io.ErrUnexpectedEOF, fmt.Errorf("read: %w", io.EOF)} {
			for _, r := range []reader{
				csvfile.NewReader(io.MultiReader(strings.NewReader(text), iotest.ErrReader(failure)), ',', 0, 1),
				csvfile.NewLines(io.MultiReader(strings.NewReader(text), iotest.ErrReader(failure)), 0, 1),
			} {
				_, err := r.Read()
				require.NoError(t, err)
				for range 2 {
					_, err = r.Read()
					require.Equal(t, failure, err, "as it is")
					require.Equal(t, int64(4), r.Offset())
					require.Equal(t, 2, r.Row())
				}
			}
		}
	}
}

func TestDetectDelimiter(t *testing.T) {
	t.Parallel()
	for header, expected := range map[string]byte{
		"":                      ',',
		"name":                  ',',
		"a,b;c,d":               ',',
		"a;b;c,d\nx,x,x,x,x":    ';',
		"a\tb\tc":               '\t',
		"a|b":                   '|',
		"\"a,b,c,d\";e;f\n":     ';',
		"\"a\n,,,\"\";;\";b\n,": ';',
		"\r\n\na;b\n":           ';',
		"a;b,c":                 ',',
	} {
		require.Equal(t, string(expected), string(csvfile.DetectDelimiter([]byte(header))), "%q", header)
	}
}
