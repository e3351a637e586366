package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"gocloud.dev/blob"
)

// Reader reads a blob from any place in it. It asks the store for bytes when they are read and not before, so that a
// range of a large blob costs that range. It is for one goroutine, and must be closed.
type Reader struct {
	ctx    context.Context
	bucket *blob.Bucket
	key    string
	size   int64
	offset int64
	part   *blob.Reader // from offset on; nil until it is needed
}

// Open gives a reader of the blob, which works for as long as the context lives. The error of one that is not there is
// fs.ErrNotExist.
func (s *Store) Open(ctx context.Context, key string) (*Reader, error) {
	attributes, err := s.bucket.Attributes(ctx, key)
	if err != nil && isMissing(err) {
		err = errors.Join(fs.ErrNotExist, err)
	}
	if err != nil {
		return nil, fmt.Errorf("opening blob %s: %w", key, err)
	}
	return &Reader{ctx: ctx, bucket: s.bucket, key: key, size: attributes.Size}, nil
}

// OpenSized is Open for a blob whose size is known: the store is asked for nothing until it is read.
func (s *Store) OpenSized(ctx context.Context, key string, size int64) *Reader {
	return &Reader{ctx: ctx, bucket: s.bucket, key: key, size: size}
}

// SizeOf asks the store for the size of a blob. The error of one that is not there is fs.ErrNotExist.
func (s *Store) SizeOf(ctx context.Context, key string) (int64, error) {
	if s.dir != "" { // where it takes one look
		info, err := os.Stat(filepath.Join(s.dir, filepath.FromSlash(key)))
		if err != nil {
			return 0, fmt.Errorf("looking for blob %s: %w", key, err)
		}
		return info.Size(), nil
	}
	reader, err := s.Open(ctx, key)
	if err != nil {
		return 0, err
	}
	return reader.Size(), nil
}

// Size is the blob's, in bytes.
func (r *Reader) Size() int64 { return r.size }

// Read reads on. io.EOF is given at the blob's end alone: bytes that the store owes are io.ErrUnexpectedEOF.
func (r *Reader) Read(into []byte) (int, error) {
	if r.offset >= r.size {
		return 0, io.EOF
	}
	if err := r.begin(); err != nil {
		return 0, err
	}
	n, err := r.part.Read(into)
	r.offset += int64(n)
	if errors.Is(err, io.EOF) {
		if r.offset < r.size {
			return n, fmt.Errorf("reading blob %s: %w", r.key, io.ErrUnexpectedEOF)
		}
		return n, io.EOF
	}
	if err != nil {
		return n, fmt.Errorf("reading blob %s: %w", r.key, err)
	}
	return n, nil
}

// begin has a part to read from.
func (r *Reader) begin() error {
	if r.part != nil {
		return nil
	}
	part, err := r.bucket.NewRangeReader(r.ctx, r.key, r.offset, -1, &blob.ReaderOptions{BeforeRead: readQuietly})
	if err != nil {
		return fmt.Errorf("reading blob %s: %w", r.key, err)
	}
	r.part = part
	return nil
}

// File gives the file that the blob is, at the place where reading goes on, for whoever can do better with a file than
// read it. Whoever reads from it says so with Skip. Nil for a blob that is no file here.
func (r *Reader) File() (*os.File, error) {
	if err := r.begin(); err != nil {
		return nil, err
	}
	var from io.Reader
	if !r.part.As(&from) {
		return nil, nil
	}
	file, _ := from.(*os.File)
	return file, nil
}

// Skip notes that so many bytes were read from the file itself.
func (r *Reader) Skip(n int64) { r.offset += n }

// Seek says where to read on. Places after the end are allowed, and have nothing to read.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += r.offset
	case io.SeekEnd:
		offset += r.size
	default:
		return 0, fmt.Errorf("seeking in blob %s: whence %d", r.key, whence)
	}
	if offset < 0 {
		return 0, fmt.Errorf("seeking in blob %s: before its beginning", r.key)
	}
	if offset == r.offset {
		return offset, nil
	}
	r.offset = offset
	return offset, r.Close()
}

// Close ends what is being read.
func (r *Reader) Close() error {
	if r.part == nil {
		return nil
	}
	part := r.part
	r.part = nil
	if err := part.Close(); err != nil {
		return fmt.Errorf("closing blob %s: %w", r.key, err)
	}
	return nil
}
