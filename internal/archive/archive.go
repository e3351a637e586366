// Package archive reads ZIP archives that anybody may have made. Before anything of one is read, it is known that there
// are no more entries than there may be, that their names are harmless and all different, that none is encrypted, that
// none lies over another one, and that they do not unpack to more than they may. Nothing is ever written to a file by its
// name. It knows nothing of what the entries are.
package archive

import (
	"archive/zip"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits say how much an archive may have.
type Limits struct {
	Entries   int    // how many entries
	Directory int64  // how many bytes of the list of entries are read at most, since all of it is kept in memory
	Entry     uint64 // how many bytes an entry unpacks to
	Total     uint64 // how many all of them do
	Free      uint64 // how many bytes an entry may unpack to, however small it is
	Ratio     uint64 // how many times its size an entry may unpack to, beyond those
}

// Fault is what is wrong with an archive.
type Fault struct {
	Entry   string // the name of the entry that it is about; "" for the archive as a whole
	Code    string // for programs
	Message string // for people; it follows the name
}

// Error tells the fault.
func (f *Fault) Error() string {
	if f.Entry == "" {
		return "the archive " + f.Message
	}
	return fmt.Sprintf("the entry %q %s", f.Entry, f.Message)
}

// Archive is an archive whose entries may be read.
type Archive struct {
	Entries []*Entry // as the archive lists them
	source  *source
}

// Entry is a file in an archive.
type Entry struct {
	Name   string
	Size   uint64 // unpacked, as the archive says; reading gives just as many bytes or an error
	file   *zip.File
	source *source
}

// Open looks at an archive. What is wrong with it is a *Fault; any other error is the reader's own.
func Open(from io.ReaderAt, size int64, limits Limits) (*Archive, error) {
	s := &source{from: from, left: limits.Directory}
	found, err := zip.NewReader(s, size)
	switch {
	case s.err != nil:
		return nil, s.err
	case s.left < 0:
		return nil, tooManyEntries(limits)
	case err != nil:
		return nil, &Fault{Code: "unreadable", Message: "is not a ZIP archive, or not a whole one"}
	case len(found.File) > limits.Entries:
		return nil, tooManyEntries(limits)
	}
	s.free = true
	a := &Archive{source: s}
	names := make(map[string]struct{}, len(found.File))
	var total uint64
	for _, file := range found.File {
		if fault := judge(file, size, limits); fault != nil {
			return nil, fault
		}
		folded := strings.ToLower(file.Name)
		if _, twice := names[folded]; twice {
			return nil, &Fault{Entry: file.Name, Code: "duplicate_entry", Message: "is there twice, or differs from another one in case alone"}
		}
		names[folded] = struct{}{}
		if total += file.UncompressedSize64; total > limits.Total { // no sum overflows: each is small enough
			return nil, &Fault{Code: "too_large", Message: fmt.Sprintf("unpacks to more than %d bytes", limits.Total)}
		}
		a.Entries = append(a.Entries, &Entry{Name: file.Name, Size: file.UncompressedSize64, file: file, source: s})
	}
	return a, a.checkPlaces()
}

func tooManyEntries(limits Limits) *Fault {
	return &Fault{Code: "too_many_entries", Message: fmt.Sprintf("has more than %d entries, or too much is said of them", limits.Entries)}
}

// The bits by which an entry says that it is encrypted, in whatever way.
const encrypted = 0x1 | 0x40 | 0x2000

// judge refuses an entry by what the archive's list says of it.
func judge(file *zip.File, size int64, limits Limits) *Fault {
	refuse := func(code, message string) *Fault {
		name := strings.ToValidUTF8(file.Name, "�")
		if len(name) > maxName {
			name = strings.ToValidUTF8(name[:maxName], "")
		}
		return &Fault{Entry: name, Code: code, Message: message}
	}
	if why := unsafe(file.Name); why != "" {
		return refuse("unsafe_name", why)
	}
	switch {
	case file.Flags&encrypted != 0:
		return refuse("encrypted", "is encrypted")
	case file.Method != zip.Store && file.Method != zip.Deflate:
		return refuse("unknown_method", "is packed in a way that is not known here")
	case file.CompressedSize64 > uint64(size):
		return refuse("unreadable", "is larger than the archive")
	case file.Method == zip.Store && file.CompressedSize64 != file.UncompressedSize64:
		return refuse("unreadable", "has two sizes, and is not packed")
	case file.UncompressedSize64 > limits.Entry:
		return refuse("too_large", fmt.Sprintf("unpacks to more than %d bytes", limits.Entry))
	case file.UncompressedSize64 > limits.Free && (file.UncompressedSize64-limits.Free)/limits.Ratio > file.CompressedSize64:
		return refuse("too_large", fmt.Sprintf("unpacks to more than %d times its size", limits.Ratio))
	}
	return nil
}

// maxName is how many bytes a name has at most.
const maxName = 512

// unsafe tells what is wrong with a name; "" for a harmless one: of steps that go down, without what some system takes for
// something else than a part of a name.
func unsafe(name string) string {
	switch {
	case len(name) > maxName:
		return "has too long a name"
	case !utf8.ValidString(name):
		return "has a name that is not UTF-8"
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || strings.ContainsRune(`\:*?"<>|`, r) }):
		return "has characters in its name that names of files do not have everywhere"
	}
	for step := range strings.SplitSeq(name, "/") {
		if step == "" || step == "." || step == ".." || strings.HasSuffix(step, ".") || strings.HasSuffix(step, " ") {
			return "has a name that does not lead to a file inside the archive"
		}
	}
	return ""
}

// checkPlaces refuses entries whose bytes are those of another one too: that is how a small archive unpacks to a huge one
// with every entry packed no tighter than it may be.
func (a *Archive) checkPlaces() error {
	type span struct {
		begin, end int64
		name       string
	}
	spans := make([]span, 0, len(a.Entries))
	for _, entry := range a.Entries {
		begin, err := entry.file.DataOffset()
		if err != nil {
			return entry.fault(err)
		}
		spans = append(spans, span{begin, begin + int64(entry.file.CompressedSize64), entry.Name})
	}
	slices.SortFunc(spans, func(x, y span) int { return cmp.Or(cmp.Compare(x.begin, y.begin), cmp.Compare(x.end, y.end)) })
	for i := 1; i < len(spans); i++ {
		if spans[i].begin < spans[i-1].end {
			return &Fault{Entry: spans[i].name, Code: "overlap", Message: fmt.Sprintf("lies over the entry %q", spans[i-1].name)}
		}
	}
	return nil
}

// Open reads the entry, unpacked. What is wrong with it is a *Fault, also when that shows while reading.
func (e *Entry) Open() (io.ReadCloser, error) {
	content, err := e.file.Open()
	if err != nil {
		return nil, e.fault(err)
	}
	return &entryReader{ReadCloser: content, entry: e}, nil
}

// fault makes a fault of an error that is the archive's own.
func (e *Entry) fault(err error) error {
	if e.source.err != nil {
		return e.source.err
	}
	if errors.Is(err, zip.ErrChecksum) {
		return &Fault{Entry: e.Name, Code: "damaged", Message: "has another checksum than the archive says"}
	}
	return &Fault{Entry: e.Name, Code: "unreadable", Message: "cannot be unpacked"}
}

// entryReader makes faults of what is wrong with an entry. That it has as many bytes as the archive says, and the checksum
// that it says, the library sees to.
type entryReader struct {
	io.ReadCloser
	entry *Entry
}

func (r *entryReader) Read(into []byte) (int, error) {
	n, err := r.ReadCloser.Read(into)
	if err != nil && !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = r.entry.fault(err)
	}
	return n, err
}

// source counts what is read of the archive while its list is, and remembers errors that are not the archive's.
type source struct {
	from io.ReaderAt
	left int64
	free bool // whether nothing is counted any more
	err  error
}

var (
	errTooMuch = errors.New("too many bytes")
	errNowhere = errors.New("a place before the beginning")
)

func (s *source) ReadAt(into []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, errNowhere
	}
	if !s.free {
		if s.left -= int64(len(into)); s.left < 0 {
			return 0, errTooMuch
		}
	}
	n, err := s.from.ReadAt(into, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}
