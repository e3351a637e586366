package csvfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// The names of encodings. A file comes in one of them; UTF-16 finds out by itself which half of a character comes first.
const (
	auto        = "auto"
	utf8Name    = "utf-8"
	utf16Name   = "utf-16"
	utf16leName = "utf-16le"
	utf16beName = "utf-16be"
	centralName = "windows-1250"
	westernName = "windows-1252"
)

// Encodings lists the names that a Decoder takes. Without a name it does what it does with auto.
func Encodings() []string {
	return []string{auto, utf8Name, utf16Name, utf16leName, utf16beName, centralName, westernName}
}

// CheckEncoding tells whether a Decoder takes the name.
func CheckEncoding(name string) error {
	if name != "" && !slices.Contains(Encodings(), name) {
		return fmt.Errorf("must be one of %s", strings.Join(Encodings(), ", "))
	}
	return nil
}

// window is how much is looked at to find out the encoding, from the first character on that tells something.
const window = 64 << 10

// Decoder gives the text of a file as UTF-8. What is no character in the encoding of the file is the byte 0xFF, and what
// is not UTF-8 in a file of UTF-8 stays as it is; so whoever reads the text can tell, and nothing becomes U+FFFD.
type Decoder struct {
	from  io.Reader
	input []byte // read and not decoded yet; a part of buffer
	err   error  // why there is no more to read

	buffer  []byte
	output  []byte // decoded and not given out yet
	scratch []byte // where output is, when it is not a part of input

	found  string
	decode func() // takes some of input and makes output of it; may put another in its place
	table  [256]string
}

// NewDecoder decodes what it reads from this encoding, one of Encodings. A byte order mark says more than the name does.
// A name that is none is taken for auto.
func NewDecoder(from io.Reader, encoding string) *Decoder {
	d := &Decoder{from: from, buffer: make([]byte, window), found: utf8Name}
	d.decode = func() { d.begin(encoding) }
	return d
}

// Encoding names the encoding that was found: utf-8, utf-16le, utf-16be, windows-1250 or windows-1252. It is certain once
// reading has ended, and the best guess before.
func (d *Decoder) Encoding() string { return d.found }

// Read gives text in UTF-8. Errors are those of the reader, and come after the text before them.
func (d *Decoder) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(d.output) == 0 {
		if len(d.input) == 0 && !d.fill(1) {
			return 0, d.err
		}
		d.decode()
	}
	n := copy(p, d.output)
	d.output = d.output[n:]
	return n, nil
}

// fill reads until so many bytes are there to be decoded, or no more come, and tells whether there are any.
func (d *Decoder) fill(least int) bool {
	if len(d.input) < least && d.err == nil {
		d.input = d.buffer[:copy(d.buffer, d.input)]
		n, err := read(d.from, d.buffer[len(d.input):], least-len(d.input))
		d.input, d.err = d.buffer[:len(d.input)+n], err
	}
	return len(d.input) > 0
}

// begin looks at how the file begins.
func (d *Decoder) begin(encoding string) {
	d.fill(512)
	head := d.input
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		d.input = head[3:]
		d.use(utf8Name)
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		d.input = head[2:]
		d.use(utf16leName)
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		d.input = head[2:]
		d.use(utf16beName)
	case encoding == utf8Name || encoding == utf16leName || encoding == utf16beName ||
		encoding == centralName || encoding == westernName:
		d.use(encoding)
	default:
		if wide := unmarked(head); wide != "" {
			d.use(wide)
		} else if encoding == utf16Name {
			d.use(utf16leName) // as Windows has it
		} else {
			d.decode = d.plain
		}
	}
}

// unmarked recognises UTF-16 by the NUL that each character of ASCII has in it: most of a header's.
func unmarked(head []byte) string {
	head = head[:min(len(head), 512)]
	var nuls [2]int
	for i, c := range head {
		if c == 0 {
			nuls[i%2]++
		}
	}
	enough := max(1, len(head)/4)
	switch {
	case nuls[0] == 0 && nuls[1] >= enough:
		return utf16leName
	case nuls[1] == 0 && nuls[0] >= enough:
		return utf16beName
	}
	return ""
}

// use decodes from here on what has this encoding.
func (d *Decoder) use(encoding string) {
	d.found = encoding
	switch encoding {
	case utf16leName:
		d.decode = func() { d.wide(binary.LittleEndian) }
	case utf16beName:
		d.decode = func() { d.wide(binary.BigEndian) }
	case centralName:
		d.table = pageTable(charmap.Windows1250)
		d.decode = func() { d.narrow(len(d.input)) }
	case westernName:
		d.table = pageTable(charmap.Windows1252)
		d.decode = func() { d.narrow(len(d.input)) }
	default:
		d.decode = func() { d.asIs(len(d.input)) }
	}
}

// plain passes on what is ASCII, whatever the encoding is, until something else comes that tells more.
func (d *Decoder) plain() {
	if at := slices.IndexFunc(d.input, func(c byte) bool { return c >= utf8.RuneSelf }); at != 0 {
		if at < 0 {
			at = len(d.input)
		}
		d.asIs(at)
		return
	}
	d.fill(window)
	if looksLikeUTF8(d.input) {
		d.use(utf8Name)
		return
	}
	d.use(westernName)
	d.decode = d.undecided
}

// undecided passes on what windows-1250 and windows-1252 have in common, until something comes that they have not.
func (d *Decoder) undecided() {
	if at := slices.IndexFunc(d.input, differs); at != 0 {
		if at < 0 {
			at = len(d.input)
		}
		d.narrow(at)
		return
	}
	d.fill(window)
	d.use(judgePage(d.input))
}

// looksLikeUTF8 tells whether the text is UTF-8, but for a character that is cut at its end and for some damage.
func looksLikeUTF8(text []byte) bool {
	valid, damaged := 0, 0
	for len(text) > 0 {
		if text[0] < utf8.RuneSelf {
			text = text[1:]
			continue
		}
		_, size := utf8.DecodeRune(text)
		switch {
		case size > 1:
			valid++
		case valid > 0 && !utf8.FullRune(text):
			return valid >= 10*damaged
		default:
			damaged++
		}
		text = text[size:]
	}
	return valid > 0 && valid >= 10*damaged
}

// asIs gives out so much of the input.
func (d *Decoder) asIs(n int) {
	d.output, d.input = d.input[:n], d.input[n:]
}

// narrow decodes so much of the input, where each byte is a character.
func (d *Decoder) narrow(n int) {
	d.scratch = d.scratch[:0]
	for text := d.input[:n]; len(text) > 0; {
		at := slices.IndexFunc(text, func(c byte) bool { return c >= utf8.RuneSelf })
		if at < 0 {
			at = len(text)
		}
		d.scratch = append(d.scratch, text[:at]...)
		for text = text[at:]; len(text) > 0 && text[0] >= utf8.RuneSelf; text = text[1:] {
			d.scratch = append(d.scratch, d.table[text[0]]...)
		}
	}
	d.output, d.input = d.scratch, d.input[n:]
}

// wide decodes UTF-16. It is not golang.org/x/text that does, since that has U+FFFD for half of a character, which cannot
// be told apart from the one in the file.
func (d *Decoder) wide(order binary.ByteOrder) {
	if len(d.input) < 4 {
		d.fill(4)
	}
	d.scratch = d.scratch[:0]
	text := d.input
	for ; len(text) >= 2; text = text[2:] {
		c := rune(order.Uint16(text))
		if !utf16.IsSurrogate(c) {
			d.scratch = utf8.AppendRune(d.scratch, c)
			continue
		}
		if len(text) < 4 && d.err == nil {
			break
		}
		pair := rune(utf8.RuneError)
		if len(text) >= 4 {
			pair = utf16.DecodeRune(c, rune(order.Uint16(text[2:])))
		}
		if pair == utf8.RuneError {
			d.scratch = append(d.scratch, undefined...)
			continue
		}
		d.scratch = utf8.AppendRune(d.scratch, pair)
		text = text[2:]
	}
	if d.err != nil && len(text) > 0 { // half of a character at the end
		if isEnd(d.err) {
			d.scratch = append(d.scratch, undefined...)
		}
		text = nil
	}
	d.output, d.input = d.scratch, text
}
