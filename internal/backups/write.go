package backups

import (
	"archive/zip"
	"compress/flate"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"
)

// What an entry may unpack to when it is restored: these bytes, and so many times its size beyond them. What is packed
// tighter than that is not packed at all.
const (
	freeBytes = 64 << 20
	maxRatio  = 200
)

// writeArchive writes all entries, the manifest last.
func (b *Backup) writeArchive(ctx context.Context, to io.Writer) error {
	archive := zip.NewWriter(to)
	for _, one := range b.contents.sections {
		if err := b.writeSection(archive, one); err != nil {
			return fmt.Errorf("writing %s: %w", one.name, err)
		}
	}
	if err := b.writeFiles(ctx, archive); err != nil {
		return err
	}
	entry, err := archive.CreateHeader(&zip.FileHeader{Name: manifestFile, Method: zip.Deflate, Modified: b.manifest.TakenAt})
	if err != nil {
		return err
	}
	if err := writeManifest(entry, b.manifest, b.contents.sections, b.contents.files); err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	return archive.Close()
}

// writeSection copies what is packed already.
func (b *Backup) writeSection(archive *zip.Writer, one section) error {
	packed := b.contents.spool.open(one)
	if one.unpacked > freeBytes && (one.unpacked-freeBytes)/maxRatio > uint64(one.size) {
		entry, err := archive.CreateHeader(&zip.FileHeader{Name: one.name, Method: zip.Store, Modified: b.manifest.TakenAt})
		if err != nil {
			return err
		}
		_, err = io.Copy(entry, flate.NewReader(packed))
		return err
	}
	header := &zip.FileHeader{
		Name: one.name, Method: zip.Deflate, CRC32: one.crc, CompressedSize64: uint64(one.size), UncompressedSize64: one.unpacked,
	}
	header.SetModTime(b.manifest.TakenAt) //nolint:staticcheck // CreateRaw leaves Modified aside
	const large = 1<<32 - 1
	if header.CompressedSize64 >= large || header.UncompressedSize64 >= large {
		header.Flags |= 0x8 // the sizes follow the entry, where they have room
	}
	entry, err := archive.CreateRaw(header)
	if err != nil {
		return err
	}
	_, err = io.Copy(entry, packed)
	return err
}

// filesAhead is how many files are opened, and begun to be read, before it is their turn: most jobs are small, and a store
// may take its time for each.
const filesAhead = 4

// writeFiles writes the files of the jobs. Each is read by a goroutine of its own, the next ones while one is written.
func (b *Backup) writeFiles(ctx context.Context, archive *zip.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reading := make(chan *reading, filesAhead)
	listed := make(chan error, 1)
	buffers := make(chan []byte, 4*filesAhead)
	go func() {
		defer close(reading)
		listed <- b.contents.files.each(func(file storedFile) error {
			one := b.startReading(ctx, file, buffers)
			select {
			case reading <- one:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	for one := range reading {
		if err := one.write(archive, b.manifest.TakenAt); err != nil {
			cancel()
			for range reading {
				continue // until nobody sends any more: the list of files is read no longer then
			}
			return fmt.Errorf("writing %s: %w", one.file.Entry, err)
		}
	}
	return <-listed
}

// reading is a file that is being read.
type reading struct {
	file    storedFile
	pieces  chan []byte // closed after the last one
	buffers chan []byte
	err     error // once there are no more pieces
}

func (b *Backup) startReading(ctx context.Context, file storedFile, buffers chan []byte) *reading {
	r := &reading{file: file, pieces: make(chan []byte, 1), buffers: buffers}
	go func() {
		defer close(r.pieces)
		r.err = r.read(ctx, b.service)
	}()
	return r
}

// read reads the file, and holds it against what is known of it: what was damaged in the store is not given out as whole.
func (r *reading) read(ctx context.Context, s *Service) error {
	blob := s.Blobs.OpenSized(ctx, r.file.BlobKey, r.file.Size)
	defer blob.Close()
	sha := sha256.New()
	for {
		piece := r.buffer()
		n, err := io.ReadFull(blob, piece)
		_, _ = sha.Write(piece[:n])
		if n > 0 {
			select {
			case r.pieces <- piece[:n]:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF { // io.ReadFull's own; the store's are wrapped
			return r.check(sha)
		}
		if err != nil {
			return err
		}
	}
}

var errDamaged = errors.New("its bytes in the store are not those that were put there")

func (r *reading) check(sha hash.Hash) error {
	if digest(sha.Sum(nil)) != r.file.SHA256 {
		return errDamaged
	}
	return nil
}

func (r *reading) buffer() []byte {
	select {
	case buffer := <-r.buffers:
		return buffer[:cap(buffer)]
	default:
		return make([]byte, min(bufferSize, max(r.file.Size, 1)))
	}
}

// write writes the file into the archive.
func (r *reading) write(archive *zip.Writer, modified time.Time) error {
	method := zip.Store
	if r.file.Packed {
		method = zip.Deflate
	}
	entry, err := archive.CreateHeader(&zip.FileHeader{Name: r.file.Entry, Method: method, Modified: modified})
	if err != nil {
		return err
	}
	for piece := range r.pieces {
		if _, err := entry.Write(piece); err != nil {
			return err
		}
		if cap(piece) < bufferSize {
			continue // of a small file: no other is to be read in such pieces
		}
		select {
		case r.buffers <- piece:
		default:
		}
	}
	return r.err
}
