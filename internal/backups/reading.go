package backups

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/clientele-api/clientele/internal/archive"
	"github.com/clientele-api/clientele/internal/fault"
)

// checkedAtOnce is how many records are dealt with at once, or fewer that have as many bytes: what they come to in memory is
// a multiple of these.
const (
	checkedAtOnce    = 500
	checkedBytesOnce = 4 << 20
)

// whole reads a file that is one record.
func (c *checking) whole(name string) (json.RawMessage, error) {
	content, err := c.use(name)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	text, err := io.ReadAll(io.LimitReader(content, maxRecord+1))
	if err == nil && len(text) > maxRecord {
		err = wrong("record_too_large", name, fmt.Sprintf("has more than %d bytes", maxRecord))
	}
	return text, err
}

// use reads an entry that is known to be one of the backup's.
func (c *checking) use(name string) (io.ReadCloser, error) {
	c.entries[name].used = true
	return c.entries[name].verify()
}

// records reads the records of a file, so many at a time. A file that is not there has none.
func records[Record any](c *checking, file string, do func(first int, some []Record) error) error {
	if c.entries[file] == nil {
		return nil
	}
	content, err := c.use(file)
	if err != nil {
		return err
	}
	defer content.Close()
	reader := newRecordReader(file, content)
	number, held := 0, 0
	some := make([]Record, 0, checkedAtOnce)
	hand := func() error {
		err := do(number-len(some), some)
		clear(some) // what the next ones do not take the place of is not kept for them
		some, held = some[:0], 0
		return err
	}
	err = reader.array(func(text json.RawMessage) error {
		number++
		var record Record
		if err := c.read(file, number, text, &record); err != nil {
			return err
		}
		held += len(text)
		if some = append(some, record); len(some) == cap(some) || held > checkedBytesOnce {
			return hand()
		}
		return c.ctx.Err()
	})
	if err == nil && len(some) > 0 {
		err = hand()
	}
	if err != nil {
		return err
	}
	return reader.end()
}

// read decodes a record. What was looked through before is not judged again.
func (c *checking) read(file string, number int, text json.RawMessage, into any) error {
	if c.done {
		return json.Unmarshal(text, into)
	}
	return check(file, number, c.schemas.records[file], text, into)
}

// verified reads an entry, and at its end holds it against the manifest.
type verified struct {
	io.ReadCloser
	entry *entry
	sha   hash.Hash
}

func (e *entry) verify() (*verified, error) {
	content, err := e.Open()
	if err != nil {
		return nil, refusal(err)
	}
	return &verified{ReadCloser: content, entry: e, sha: sha256.New()}, nil
}

func (v *verified) Read(into []byte) (int, error) {
	n, err := v.ReadCloser.Read(into)
	_, _ = v.sha.Write(into[:n])
	if err == io.EOF && digest(v.sha.Sum(nil)) != v.entry.sha256 {
		return 0, wrong("wrong_digest", v.entry.Name, "has another SHA-256 than the manifest says")
	}
	return n, refusal(err)
}

// recordReader reads records out of a file, one at a time and none that is too large.
type recordReader struct {
	file  string
	from  *boundedReader
	texts *json.Decoder
}

func newRecordReader(file string, content io.Reader) *recordReader {
	bounded := &boundedReader{from: bufio.NewReaderSize(content, 64<<10), left: maxRecord}
	return &recordReader{file: file, from: bounded, texts: json.NewDecoder(bounded)}
}

// boundedReader gives no more bytes than may come before the next record is complete.
type boundedReader struct {
	from io.Reader
	read int64 // so far
	left int64
}

var errTooLarge = errors.New("a record that is too large")

func (b *boundedReader) Read(into []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.from.Read(into[:min(int64(len(into)), b.left)])
	b.read += int64(n)
	b.left -= int64(n)
	return n, err
}

// fault says what is wrong with a file that cannot be read on.
func (r *recordReader) fault(err error) error {
	var known *fault.Error
	var found *archive.Fault
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &known), errors.As(err, &found):
		return refusal(err)
	case errors.Is(err, errTooLarge):
		return wrong("record_too_large", r.file, fmt.Sprintf("has a record of more than %d bytes", maxRecord))
	case errors.As(err, &syntax), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return wrong("invalid_json", r.file, "is not JSON")
	}
	return err
}

// record reads the next value.
func (r *recordReader) record() (json.RawMessage, error) {
	r.from.left = maxRecord - (r.from.read - r.texts.InputOffset()) // but for what was read ahead
	var text json.RawMessage
	if err := r.texts.Decode(&text); err != nil {
		return nil, r.fault(err)
	}
	r.from.left = maxRecord
	return text, nil
}

func (r *recordReader) delim(expected json.Delim) error {
	token, err := r.texts.Token()
	if err != nil {
		return r.fault(err)
	}
	if token != expected {
		return wrong("invalid_json", r.file, fmt.Sprintf("has something else where %s should be", expected))
	}
	return nil
}

// array reads a list, record after record.
func (r *recordReader) array(do func(json.RawMessage) error) error {
	if err := r.delim('['); err != nil {
		return err
	}
	for r.texts.More() {
		text, err := r.record()
		if err != nil {
			return err
		}
		if err := do(text); err != nil {
			return err
		}
	}
	return r.delim(']')
}

// object reads an object, member after member, whose values do reads.
func (r *recordReader) object(do func(name string) error) error {
	if err := r.delim('{'); err != nil {
		return err
	}
	for r.texts.More() {
		r.from.left = maxRecord
		token, err := r.texts.Token()
		if err != nil {
			return r.fault(err)
		}
		name, _ := token.(string) // of a member, or there would have been an error
		if err := do(name); err != nil {
			return err
		}
	}
	return r.delim('}')
}

// end demands that nothing comes any more but white space.
func (r *recordReader) end() error {
	r.from.left = maxRecord
	rest := bufio.NewReader(io.MultiReader(r.texts.Buffered(), r.from.from))
	for {
		c, err := rest.ReadByte()
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return r.fault(err)
		}
		if !bytes.ContainsRune([]byte(" \t\r\n"), rune(c)) {
			return wrong("invalid_json", r.file, "has something after its end")
		}
	}
}
