package csvfile

import (
	"bytes"
	"io"
)

const (
	firstBuffer = 64 << 10
	lastBuffer  = 2 * MaxRecord
	// lookahead is how much of a record has to be there to judge it: all that is allowed and the line break after it.
	lookahead = MaxRecord + 2
)

// source is what is read of a file: a stretch of bytes that begins with the next record, and where in the file that is.
type source struct {
	from   io.Reader
	buffer []byte // its length is its capacity
	start  int    // the next record begins here
	end    int    // what was read ends here
	err    error  // why there is no more, once there is not

	offset int64
	row    int

	breaks finder // of \n
	quotes finder
	nuls   finder
}

func newSource(from io.Reader, offset int64, row int) source {
	return source{
		from: from, buffer: make([]byte, firstBuffer), offset: offset, row: row,
		breaks: finder{char: '\n'}, quotes: finder{char: '"'}, nuls: finder{},
	}
}

// finder finds the next of a character in what was read, and remembers it, so that looking for what is rare line after
// line costs one pass over the file and not one for each line.
type finder struct {
	char byte
	at   int // there is none before
}

func (f *finder) next(s *source) int {
	if at := max(f.at, s.start); at >= s.end || s.buffer[at] != f.char {
		if f.at = bytes.IndexByte(s.buffer[at:s.end], f.char); f.at < 0 {
			f.at = s.end
		} else {
			f.at += at
		}
	} else {
		f.at = at
	}
	return f.at
}

// fill reads on, as far as memory is allowed for, and tells whether anything came. It waits until there is a good deal
// of it, since what is looked at has to be looked at again from its beginning.
func (s *source) fill() bool {
	if s.err != nil || s.end-s.start == lastBuffer {
		return false
	}
	kept := s.buffer[s.start:s.end]
	room := s.buffer
	if len(kept) > len(s.buffer)/2 && len(s.buffer) < lastBuffer {
		room = make([]byte, 2*len(s.buffer))
	}
	if s.start > 0 || len(room) != len(s.buffer) {
		copy(room, kept)
		for _, f := range []*finder{&s.breaks, &s.quotes, &s.nuls} {
			f.at = max(f.at-s.start, 0)
		}
		s.buffer, s.start, s.end = room, 0, len(kept)
	}
	n, err := read(s.from, s.buffer[s.end:], len(s.buffer)-s.end)
	s.end += n
	s.err = err
	return n > 0
}

// ended tells whether all of the file was read.
func (s *source) ended() bool { return isEnd(s.err) }

// isEnd tells whether the error is the end of a file and nothing else. One that wraps io.EOF is a file that broke off.
func isEnd(err error) bool {
	return err == io.EOF //nolint:errorlint // see above
}

// read reads at least so much, as long as there is no error, and gives the error as it is. (io.ReadFull makes one of its
// own of the end, which then looks like that of an upload that broke off.)
func read(from io.Reader, buffer []byte, least int) (int, error) {
	n, idle := 0, 0
	for n < least {
		got, err := from.Read(buffer[n:])
		n += got
		if err != nil {
			return n, err
		}
		if idle++; got > 0 {
			idle = 0
		}
		if idle == 100 {
			return n, io.ErrNoProgress
		}
	}
	return n, nil
}

// advance goes past the record that has this many bytes with its line break.
func (s *source) advance(length int) {
	s.start += length
	s.offset += int64(length)
	s.row++
}

// line is the next physical line.
type line struct {
	text    []byte
	taken   int // its bytes with the line break
	tooLong bool
}

// line finds the next physical line that is not blank. It does not go past it.
func (s *source) line() (line, error) {
	for {
		text := s.buffer[s.start:s.breaks.next(s)]
		if cr := bytes.IndexByte(text, '\r'); cr >= 0 {
			text = text[:cr]
		}
		after := s.start + len(text)
		open := after == s.end || after+1 == s.end && s.buffer[after] == '\r' // to what may come
		switch {
		case len(text) > MaxRecord:
			return line{tooLong: true}, nil
		case open && s.err == nil:
			s.fill()
			continue
		case open && !s.ended():
			return line{}, s.err
		case after == s.end && len(text) == 0:
			return line{}, io.EOF
		}
		taken := len(text) + breakLength(s.buffer[after:s.end])
		if len(text) > 0 {
			return line{text: text, taken: taken}, nil
		}
		s.advance(taken)
	}
}

// breakLength is the length of the line break that the text begins with.
func breakLength(text []byte) int {
	switch {
	case len(text) == 0:
		return 0
	case len(text) > 1 && text[0] == '\r' && text[1] == '\n':
		return 2
	}
	return 1
}

// skip goes past a line that is too long without keeping more of it than is shown.
func (s *source) skip() (Record, error) {
	record := Record{Row: s.row, Fault: lineTooLong(), Raw: shown(s.buffer[s.start:s.end])}
	skipped := int64(0)
	for {
		end := s.breaks.next(s)
		if cr := bytes.IndexByte(s.buffer[s.start:end], '\r'); cr >= 0 {
			end = s.start + cr
		}
		skipped += int64(end - s.start)
		s.start = end
		if open := s.end-s.start < 2 && (s.start == s.end || s.buffer[s.start] == '\r'); open && s.err == nil {
			s.fill()
			continue
		} else if open && !s.ended() {
			return Record{}, s.err
		}
		s.offset += skipped
		s.advance(breakLength(s.buffer[s.start:s.end]))
		return record, nil
	}
}
