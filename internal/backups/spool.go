package backups

import (
	"bufio"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"runtime"
)

// digest is a SHA-256, written in hexadecimal digits.
type digest [sha256.Size]byte

// MarshalText writes the digits.
func (d digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText reads them.
func (d *digest) UnmarshalText(text []byte) error {
	decoded, err := hex.DecodeString(string(text))
	if err != nil || len(decoded) != len(d) {
		return errors.New("not a SHA-256")
	}
	copy(d[:], decoded)
	return nil
}

// spool is a temporary file. Where the system allows, it has no name any more, so that it is gone with the process.
type spool struct {
	*os.File
	named bool
}

func newSpool() (*spool, error) {
	file, err := os.CreateTemp("", "clientele-backup-*")
	if err != nil {
		return nil, fmt.Errorf("making a temporary file: %w", err)
	}
	s := &spool{File: file, named: true}
	if runtime.GOOS != "windows" {
		s.named = os.Remove(file.Name()) != nil
	}
	return s, nil
}

// Close deletes the file.
func (s *spool) Close() error {
	err := s.File.Close()
	if s.named {
		err = errors.Join(err, os.Remove(s.Name()))
	}
	return err
}

// section is a file of the archive, as it lies packed in the spool.
type section struct {
	name         string
	offset, size int64 // packed
	unpacked     uint64
	crc          uint32
	sha256       digest
}

// sectionWriter packs an array of records into the spool, one record a line.
type sectionWriter struct {
	section
	packed  *countingWriter
	buffer  *bufio.Writer // of what is packed
	flate   *flate.Writer
	crc     hash.Hash32
	sha     hash.Hash
	encoder *json.Encoder
	line    bytes.Buffer
	records int
}

type countingWriter struct {
	to    io.Writer
	count int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.count += int64(n)
	return n, err
}

// begin begins a file of the archive at the end of the spool.
func (s *spool) begin(name string) (*sectionWriter, error) {
	offset, err := s.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	w := &sectionWriter{
		section: section{name: name, offset: offset}, packed: &countingWriter{to: s.File}, crc: crc32.NewIEEE(), sha: sha256.New(),
	}
	w.buffer = bufio.NewWriterSize(w.packed, 64<<10)
	// The database waits while this works, so it works fast rather than hard.
	if w.flate, err = flate.NewWriter(w.buffer, flate.BestSpeed); err != nil {
		return nil, err
	}
	w.encoder = json.NewEncoder(&w.line)
	w.encoder.SetEscapeHTML(false)
	return w, nil
}

// write packs text.
func (w *sectionWriter) write(text []byte) error {
	w.unpacked += uint64(len(text))
	_, _ = w.crc.Write(text)
	_, _ = w.sha.Write(text)
	_, err := w.flate.Write(text)
	return err
}

// add packs a record.
func (w *sectionWriter) add(record any) error {
	w.line.Reset()
	separator := ",\n"
	if w.records == 0 {
		separator = "[\n"
	}
	w.line.WriteString(separator)
	if err := w.encoder.Encode(record); err != nil {
		return fmt.Errorf("writing %s: %w", w.name, err)
	}
	w.records++
	return w.write(bytes.TrimSuffix(w.line.Bytes(), []byte("\n")))
}

// end ends the array.
func (w *sectionWriter) end() (section, error) {
	closing := "\n]\n"
	if w.records == 0 {
		closing = "[]\n"
	}
	if err := w.write([]byte(closing)); err != nil {
		return w.section, err
	}
	return w.finish()
}

func (w *sectionWriter) finish() (section, error) {
	if err := errors.Join(w.flate.Close(), w.buffer.Flush()); err != nil {
		return w.section, fmt.Errorf("writing %s: %w", w.name, err)
	}
	w.size, w.section.crc = w.packed.count, w.crc.Sum32()
	w.sha.Sum(w.sha256[:0])
	return w.section, nil
}

// one packs a file that is one record.
func (s *spool) one(name string, record any) (section, error) {
	w, err := s.begin(name)
	if err != nil {
		return section{}, err
	}
	w.encoder.SetIndent("", "  ")
	if err := w.encoder.Encode(record); err != nil {
		return section{}, fmt.Errorf("writing %s: %w", name, err)
	}
	if err := w.write(w.line.Bytes()); err != nil {
		return section{}, err
	}
	return w.finish()
}

// open gives what is packed.
func (s *spool) open(of section) io.Reader { return io.NewSectionReader(s.File, of.offset, of.size) }

// storedFile is the file of a job, which is to come into the archive.
type storedFile struct {
	Entry   string `json:"entry"`
	BlobKey string `json:"blob_key"`
	Size    int64  `json:"size"`
	SHA256  digest `json:"sha256"`
	Packed  bool   `json:"packed"` // whether it is worth packing
}

// fileList is a list of such files in a temporary file of its own: there may be more than should be in memory.
type fileList struct {
	spool *spool
	out   *bufio.Writer
	count int64
}

func newFileList() (*fileList, error) {
	s, err := newSpool()
	if err != nil {
		return nil, err
	}
	return &fileList{spool: s, out: bufio.NewWriterSize(s.File, 64<<10)}, nil
}

func (l *fileList) add(file storedFile) error {
	line, err := json.Marshal(file)
	if err != nil {
		return err
	}
	l.count++
	_, err = l.out.Write(append(line, '\n'))
	return err
}

// each does something with each file, from the first to the last.
func (l *fileList) each(do func(storedFile) error) error {
	if err := l.out.Flush(); err != nil {
		return err
	}
	lines := json.NewDecoder(bufio.NewReaderSize(io.NewSectionReader(l.spool.File, 0, 1<<62), 64<<10))
	for range l.count {
		var file storedFile
		if err := lines.Decode(&file); err != nil {
			return fmt.Errorf("reading the list of files: %w", err)
		}
		if err := do(file); err != nil {
			return err
		}
	}
	return nil
}
