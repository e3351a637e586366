package csvfile

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"
)

// Reader splits text in UTF-8 into records: RFC 4180, with the line ends \n, \r\n and \r in any mixture. Line breaks
// inside of cells stay as they are. Blank lines are passed over and counted.
//
// A record whose quotes are wrong is the physical line that it begins in, whatever follows: reading goes on with the next
// line, so that a lost quote costs a row and not the rest of the file. It costs no time either. From a lost quote on, text
// is looked at up to the next line that has an odd number of quotes, at most. The lines until there have an even
// number, so that none of them, looked at again, leads beyond its own end: nothing is looked at more than a few times.
type Reader struct {
	source    source
	delimiter byte
	cells     []string
	text      []byte // the cells of a record with quotes, one after another
	ends      []int  // where in text each of them ends
}

// NewReader reads records from text that stands at this offset of the file, where this row begins: 0 and 1 at its start.
// The delimiter is one of , ; | and the tab.
func NewReader(from io.Reader, delimiter byte, offset int64, row int) *Reader {
	return &Reader{source: newSource(from, offset, row), delimiter: delimiter}
}

// Offset is where in the file the last record ended. A Reader made for this offset and Row goes on there as this one does.
func (r *Reader) Offset() int64 { return r.source.offset }

// Row is the number of the row that begins at Offset.
func (r *Reader) Row() int { return r.source.row }

// Read gives the next record, and io.EOF at the end. Other errors are those of what it reads from; they stay.
func (r *Reader) Read() (Record, error) {
	first, err := r.source.line()
	if err != nil {
		return Record{}, err
	}
	if first.tooLong {
		return r.source.skip()
	}
	if r.source.quotes.next(&r.source)-r.source.start < len(first.text) {
		return r.quoted(len(first.text), first.taken)
	}
	record := Record{Row: r.source.row}
	text := string(first.text)
	r.split(text)
	r.finish(&record, first.text)
	r.source.advance(first.taken)
	return record, nil
}

// split cuts a line without quotes into cells, and stops where there are too many.
func (r *Reader) split(text string) {
	r.cells = r.cells[:0]
	for len(r.cells) <= maxCells {
		at := strings.IndexByte(text, r.delimiter)
		if at < 0 {
			r.cells = append(r.cells, text)
			return
		}
		r.cells = append(r.cells, text[:at])
		text = text[at+1:]
	}
}

// finish looks at what the cells hold. The bytes are those of the record, as the source has them.
func (r *Reader) finish(record *Record, raw []byte) {
	hasNUL := r.source.nuls.next(&r.source)-r.source.start < len(raw)
	switch {
	case len(r.cells) > maxCells:
		record.Fault = tooManyCells()
	case hasNUL:
		record.Fault = nulCharacter(r.firstCell(func(cell string) bool { return strings.IndexByte(cell, 0) >= 0 }))
	case !utf8.Valid(raw):
		record.Fault = invalidText(r.firstCell(func(cell string) bool { return !utf8.ValidString(cell) }))
	default:
		record.Cells = r.cells
		return
	}
	record.Raw = shown(raw)
}

func (r *Reader) firstCell(is func(string) bool) int {
	for i, cell := range r.cells {
		if is(cell) {
			return i
		}
	}
	return -1
}

// quoted reads a record that has quotes, and so may go on over several lines. The first of them has this length, and that
// with its line break.
func (r *Reader) quoted(first, taken int) (Record, error) {
	s := &r.source
	record := Record{Row: s.row}
	for {
		window := s.buffer[s.start:min(s.end, s.start+lookahead)]
		whole := s.ended() && s.start+len(window) == s.end
		length, result := r.parse(window, whole)
		switch {
		case result == misplaced:
			record.Fault = misplacedQuote(len(r.ends))
		case result == complete && length <= MaxRecord:
			r.cut()
			r.finish(&record, window[:length])
			s.advance(length + breakLength(window[length:]))
			return record, nil
		case result == complete || whole || len(window) == lookahead:
			record.Fault = unclosedQuote(len(r.ends))
		case s.fill():
			continue
		case !s.ended():
			return Record{}, s.err
		default: // nothing came, and that was the end
			continue
		}
		record.Raw = shown(s.buffer[s.start : s.start+first])
		s.advance(taken)
		return record, nil
	}
}

// cut makes texts of the cells that were parsed.
func (r *Reader) cut() {
	text, begin := string(r.text), 0
	r.cells = r.cells[:0]
	for _, end := range r.ends {
		r.cells = append(r.cells, text[begin:end])
		begin = end
	}
}

// result is what became of parsing.
type result int

const (
	complete   result = iota
	incomplete        // the text ends before the record does
	misplaced
)

// parse reads the record that the text begins with, into r.text and r.ends, and gives its length without the line break.
// A whole text ends where the file does.
func (r *Reader) parse(text []byte, whole bool) (int, result) {
	r.text, r.ends = r.text[:0], r.ends[:0]
	for at := 0; ; at++ {
		var outcome result
		if at < len(text) && text[at] == '"' {
			at, outcome = r.parseQuoted(text, at+1, whole)
		} else {
			at, outcome = r.parsePlain(text, at, whole)
		}
		if outcome != complete {
			return 0, outcome
		}
		if len(r.ends) <= maxCells { // one more is enough to tell
			r.ends = append(r.ends, len(r.text))
		}
		switch {
		case at == len(text) || text[at] == '\n':
			return at, complete
		case text[at] == '\r':
			if at+1 == len(text) && !whole {
				return 0, incomplete
			}
			return at, complete
		}
	}
}

// parsePlain reads a cell without quotes, and tells where the delimiter or the line break after it is.
func (r *Reader) parsePlain(text []byte, begin int, whole bool) (int, result) {
	for at := begin; at < len(text); at++ {
		switch text[at] {
		case r.delimiter, '\n', '\r':
			r.text = append(r.text, text[begin:at]...)
			return at, complete
		case '"':
			return 0, misplaced
		}
	}
	if !whole {
		return 0, incomplete
	}
	r.text = append(r.text, text[begin:]...)
	return len(text), complete
}

// parseQuoted reads on behind the quote that a cell begins with, and tells what comes behind the one that it ends with.
func (r *Reader) parseQuoted(text []byte, at int, whole bool) (int, result) {
	for {
		length := bytes.IndexByte(text[at:], '"')
		if length < 0 {
			return 0, incomplete
		}
		r.text = append(r.text, text[at:at+length]...)
		at += length + 1
		if at == len(text) {
			if whole {
				return at, complete
			}
			return 0, incomplete
		}
		switch text[at] {
		case r.delimiter, '\n', '\r':
			return at, complete
		case '"':
			r.text = append(r.text, '"')
			at++
		default:
			return 0, misplaced
		}
	}
}

// DetectDelimiter finds out what stands between the cells, from the text of the first record: that of , ; tab and | which
// is there most often outside of quotes, the comma where none is.
func DetectDelimiter(header []byte) byte {
	var counts [256]int
	inQuotes := false
	for _, c := range bytes.TrimLeft(header, "\r\n") {
		if !inQuotes && (c == '\n' || c == '\r') {
			break
		}
		if c == '"' {
			inQuotes = !inQuotes
		}
		if !inQuotes {
			counts[c]++
		}
	}
	best := byte(',')
	for _, c := range []byte{';', '\t', '|'} {
		if counts[c] > counts[best] {
			best = c
		}
	}
	return best
}
