package backups

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/clientele-api/clientele/internal/archive"
	"github.com/clientele-api/clientele/internal/contract"
	"github.com/clientele-api/clientele/internal/fault"
)

const (
	// MaxArchive is how many bytes an archive has at most that is restored.
	MaxArchive = 64 << 30
	// maxEntries is how many entries it has at most, and maxDirectory how many bytes its list of them, which is in memory.
	maxEntries   = 200_000
	maxDirectory = 32 << 20
	// maxEntry is what an entry unpacks to at most, and maxTotal what all of them do.
	maxEntry = 32 << 30
	maxTotal = 4 * MaxArchive
	// maxRecord is how many bytes a record has at most: an event has two versions of a resource, a publishing its content.
	maxRecord = 2 << 20
)

var limits = archive.Limits{
	Entries: maxEntries, Directory: maxDirectory, Entry: maxEntry, Total: maxTotal, Free: freeBytes, Ratio: maxRatio,
}

// schemas are those of the contract that records are judged by.
type schemas struct {
	manifest, entry, profile *contract.Schema
	records                  map[string]*contract.Schema // by the file that they are in
}

func loadSchemas(loaded *contract.Contract) (s schemas, err error) {
	load := func(name string) *contract.Schema {
		schema, loadErr := loaded.Schema(name)
		err = errors.Join(err, loadErr)
		return schema
	}
	s = schemas{
		manifest: load("BackupManifest"), entry: load("BackupEntry"), profile: load("BackupProfile"),
		records: map[string]*contract.Schema{
			identitiesFile: load("BackupIdentity"), jobsFile: load("BackupJob"), domainsFile: load("BackupDomain"),
			notesFile: load("BackupNote"), publishedFile: load("BackupPublishing"), accessesFile: load("BackupPublishingAccess"),
			termsFile: load("BackupTermsAcceptance"), eventsFile: load("BackupEvent"),
		},
	}
	return s, err
}

// invalid is the fault of an archive that is not taken.
func invalid(wrong *archive.Fault, fields ...fault.Field) *fault.Error {
	detail := "The archive " + wrong.Message + "."
	if wrong.Entry != "" {
		detail = fmt.Sprintf("The entry %s %s.", wrong.Entry, wrong.Message)
	}
	if len(fields) == 0 {
		fields = []fault.Field{{Code: wrong.Code, Message: wrong.Message}}
	}
	return &fault.Error{Kind: fault.Invalid, Code: "backup_invalid", Detail: detail, Fields: fields, About: Wrong{Entry: wrong.Entry}}
}

// Wrong is what a refusal of an archive is about: the entry that is wrong, "" for the archive as a whole.
type Wrong struct{ Entry string }

func wrong(code, entry, message string) *fault.Error {
	return invalid(&archive.Fault{Entry: entry, Code: code, Message: message})
}

// refusal makes a fault of what is wrong with an archive. Other errors stay as they are.
func refusal(err error) error {
	var found *archive.Fault
	if errors.As(err, &found) {
		return invalid(found)
	}
	return err
}

// opened is an archive whose manifest is read, and whose entries are those of the manifest.
type opened struct {
	manifest manifest
	entries  map[string]*entry
	schemas  schemas
}

// entry is an entry of the archive, with what the manifest says of it.
type entry struct {
	*archive.Entry
	sha256 digest
	used   bool // whether a record refers to it
}

// open reads the manifest of an archive, and holds the one against the other.
func open(ctx context.Context, s schemas, from io.ReaderAt, size int64) (*opened, error) {
	found, err := archive.Open(contextReader{ctx, from}, size, limits)
	if err != nil {
		return nil, refusal(err)
	}
	o := &opened{entries: make(map[string]*entry, len(found.Entries)), schemas: s}
	for _, one := range found.Entries {
		o.entries[one.Name] = &entry{Entry: one}
	}
	listed := o.entries[manifestFile]
	if listed == nil {
		return nil, wrong("no_manifest", "", "has no "+manifestFile+", which every backup has")
	}
	delete(o.entries, manifestFile)
	if err := o.readManifest(listed); err != nil {
		return nil, err
	}
	for name, one := range o.entries {
		if one.sha256 == (digest{}) {
			return nil, wrong("not_in_manifest", name, "is not in the manifest")
		}
	}
	if o.entries[profileFile] == nil {
		return nil, wrong("entry_missing", "", "has no "+profileFile)
	}
	return o, nil
}

// readManifest reads the manifest, its entries one by one.
func (o *opened) readManifest(from *entry) error {
	content, err := from.Open()
	if err != nil {
		return refusal(err)
	}
	defer content.Close()
	reader := newRecordReader(manifestFile, content)
	header, size := map[string]json.RawMessage{}, 0 // of all but the entries, each of which is a record of its own
	err = reader.object(func(name string) error {
		if _, twice := header[name]; twice {
			return wrong("duplicate_member", manifestFile, "has a member twice")
		}
		if name == "entries" {
			header[name] = nil
			return reader.array(func(record json.RawMessage) error { return o.list(record) })
		}
		header[name], err = reader.record()
		if size += len(name) + len(header[name]); err == nil && size > maxRecord {
			err = wrong("record_too_large", manifestFile, fmt.Sprintf("has more than %d bytes beside its entries", maxRecord))
		}
		return err
	})
	if err != nil {
		return refusal(err)
	}
	if _, listed := header["entries"]; !listed {
		return wrong("required", manifestFile, "lists no entries")
	}
	delete(header, "entries")
	text, err := json.Marshal(header)
	if err != nil {
		return wrong("invalid_json", manifestFile, "is not JSON")
	}
	var version struct {
		Format        string `json:"format"`
		FormatVersion int    `json:"format_version"`
	}
	if json.Unmarshal(text, &version) != nil || version.Format != formatName || version.FormatVersion != formatVersion {
		return wrong("unknown_format", manifestFile, fmt.Sprintf("is not of the format %s in the version %d", formatName, formatVersion))
	}
	return check(manifestFile, 0, o.schemas.manifest, text, &o.manifest)
}

// list notes what the manifest says of an entry.
func (o *opened) list(record json.RawMessage) error {
	var said listEntry
	if err := check(manifestFile, 0, o.schemas.entry, record, &said); err != nil {
		return err
	}
	found := o.entries[said.Name]
	switch {
	case found == nil:
		return wrong("entry_missing", said.Name, "is in the manifest, and not in the archive")
	case found.sha256 != (digest{}):
		return wrong("duplicate_entry", said.Name, "is in the manifest twice")
	case found.Size != said.Size:
		return wrong("wrong_size", said.Name, "has another size than the manifest says")
	case said.SHA256 == (digest{}):
		return wrong("wrong_digest", said.Name, "has another SHA-256 than the manifest says")
	}
	found.sha256 = said.SHA256
	return nil
}

// check judges a record by its schema and decodes it. The number is that of the record in its file, 0 for the only one.
func check(file string, number int, schema *contract.Schema, text json.RawMessage, into any) error {
	faults := schema.CheckStored(text)
	if len(faults) == 0 {
		err := json.Unmarshal(text, into)
		if err == nil {
			return nil
		}
		faults = []fault.Field{{Code: "invalid_type", Message: "is not written as its type is"}}
	}
	place := ""
	if number > 0 {
		place = fmt.Sprintf("/%d", number-1)
	}
	for i := range faults {
		faults[i].Pointer = place + faults[i].Pointer
	}
	return invalid(&archive.Fault{Entry: file, Message: fmt.Sprintf("has a record that is not right, at %q: %s", faults[0].Pointer, faults[0].Message)}, faults...)
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

// contextReader ends with a context.
type contextReader struct {
	ctx  context.Context
	from io.ReaderAt
}

func (c contextReader) ReadAt(into []byte, offset int64) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.from.ReadAt(into, offset)
}
