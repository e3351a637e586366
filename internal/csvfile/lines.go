package csvfile

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/clientele-api/clientele/internal/fault"
)

// Lines splits text in UTF-8 into lines, as files of JSON lines have them. Blank ones are passed over and counted.
type Lines struct{ source source }

// NewLines reads lines from text that stands at this offset of the file, where this row begins: 0 and 1 at its start.
func NewLines(from io.Reader, offset int64, row int) *Lines {
	return &Lines{source: newSource(from, offset, row)}
}

// Offset is where in the file the last line ended. Lines made for this offset and Row go on there as these do.
func (l *Lines) Offset() int64 { return l.source.offset }

// Row is the number of the line that begins at Offset.
func (l *Lines) Row() int { return l.source.row }

// Read gives the next line as the Raw of a record without cells, and io.EOF at the end. Other errors are those of what it
// reads from; they stay.
func (l *Lines) Read() (Record, error) {
	s := &l.source
	next, err := s.line()
	if err != nil {
		return Record{}, err
	}
	if next.tooLong {
		return s.skip()
	}
	record := Record{Row: s.row}
	switch {
	case s.nuls.next(s)-s.start < len(next.text):
		record.Fault, record.Raw = nulCharacter(-1), shown(next.text)
	case !utf8.Valid(next.text):
		record.Fault, record.Raw = invalidText(-1), shown(next.text)
	default:
		record.Raw = string(next.text)
	}
	s.advance(next.taken)
	return record, nil
}

// NewLineLimiter passes on what it reads, and fails with a fault of the kind TooLarge as soon as a physical line, which
// ends with \n or \r, is longer than so many bytes. So a file that is one endless line is refused while it arrives.
func NewLineLimiter(from io.Reader, limit int) io.Reader {
	return &lineLimiter{from: from, limit: limit}
}

type lineLimiter struct {
	from   io.Reader
	limit  int
	length int // of the line so far
	err    error
}

func (l *lineLimiter) Read(p []byte) (int, error) {
	if l.err != nil {
		return 0, l.err
	}
	n, err := l.from.Read(p)
	if passed := l.pass(p[:n]); passed < n {
		l.err = &fault.Error{
			Kind: fault.TooLarge, Code: "line_too_long",
			Detail: fmt.Sprintf("The file has a line that is longer than %d bytes.", l.limit),
		}
		return passed, l.err
	}
	return n, err
}

// pass tells how much of the text may pass: all of it, or what comes before the byte that is too much.
func (l *lineLimiter) pass(text []byte) int {
	if len(text) <= l.limit-l.length { // no line can be too long by now
		if at := max(bytes.LastIndexByte(text, '\n'), bytes.LastIndexByte(text, '\r')); at >= 0 {
			l.length = len(text) - at - 1
		} else {
			l.length += len(text)
		}
		return len(text)
	}
	for i, c := range text {
		switch {
		case c == '\n' || c == '\r':
			l.length = 0
		case l.length == l.limit:
			return i
		default:
			l.length++
		}
	}
	return len(text)
}
