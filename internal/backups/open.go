package backups

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
