package blobs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"gocloud.dev/blob"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/postgres"
)

// Blob is bytes that were written.
type Blob struct {
	Key    string
	Size   int64
	SHA256 [sha256.Size]byte
}

// What an upload to a bucket holds in memory: so many parts of that size, and one that is being filled.
const (
	partSize        = 8 << 20
	partsAtOnce     = 2
	defaultMimeType = "application/octet-stream"
)

// Write stores what the reader gives, to its end, under a new key. The kind begins the key; it is a word of lower-case
// letters, digits and hyphens. More than limit bytes are refused with a fault. Bytes that do not all arrive leave none
// behind; the error wraps the reader's own where that is why. Whoever refers to the key has a day to commit that.
func (s *Store) Write(ctx context.Context, kind string, content io.Reader, limit int64) (Blob, error) {
	return s.WriteIf(ctx, kind, content, limit, func(Blob) error { return nil })
}

// WriteIf is Write for bytes that are judged once they have all arrived, and before they are kept: those of which accept
// gives an error leave none behind.
func (s *Store) WriteIf(
	ctx context.Context, kind string, content io.Reader, limit int64, accept func(Blob) error,
) (Blob, error) {
	now := s.db.Now()
	written := Blob{Key: newKey(kind, now)}
	// Committed before there are bytes: whatever happens from here on, Sweep knows where to look.
	if err := db.New().BlobInsert(ctx, s.db, written.Key, kind, now); err != nil {
		return Blob{}, postgres.Translate(fmt.Errorf("announcing blob %s: %w", written.Key, err))
	}
	hash := sha256.New()
	limited := &limitedReader{from: io.TeeReader(content, hash), left: limit, limit: limit}
	err := s.writeBytes(ctx, written.Key, limited, func() error {
		written.Size = limit - limited.left
		hash.Sum(written.SHA256[:0])
		return accept(written)
	})
	if err != nil {
		return Blob{}, err
	}
	return written, nil
}

// writeBytes writes all that the reader gives or nothing: what has not been accepted and closed in good order does not come
// to be.
func (s *Store) writeBytes(ctx context.Context, key string, content *limitedReader, accept func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var file *os.File
	writer, err := s.bucket.NewWriter(ctx, key, &blob.WriterOptions{
		BufferSize: partSize, MaxConcurrency: partsAtOnce, ContentType: defaultMimeType,
		BeforeWrite: func(as func(any) bool) error {
			_ = as(&file) // which a bucket leaves nil
			abortProperly(s.bucket, as)
			return nil
		},
	})
	if err != nil {
		return fmt.Errorf("beginning to write blob %s: %w", key, err)
	}
	complete := false
	defer func() { // also when the reader panics, as readers of requests do
		if !complete {
			cancel() // a writer whose context has ended discards on Close
			_ = writer.Close()
		}
	}()
	_, err = io.Copy(writer, content)
	if content.failure != nil {
		return fmt.Errorf("reading the bytes of blob %s: %w", key, content.failure)
	}
	if err == nil {
		if err := accept(); err != nil {
			return err
		}
	}
	if err == nil && file != nil {
		err = file.Sync()
	}
	if err == nil {
		complete = true
		err = writer.Close()
	}
	if errors.Is(err, syscall.ENOSPC) {
		return &fault.Error{
			Kind: fault.Unavailable, Code: "storage_full", Detail: "There is no room for the file at the moment.",
			RetryAfter: time.Minute, Cause: fmt.Errorf("writing blob %s: %w", key, err),
		}
	}
	if err != nil {
		// Not every driver's error tells that the context ended.
		return fmt.Errorf("writing blob %s: %w", key, errors.Join(ctx.Err(), err))
	}
	if err := s.syncDirectories(key); err != nil {
		return fmt.Errorf("making blob %s durable: %w", key, err)
	}
	return nil
}

// syncDirectories makes the names on the way to a file durable: a row that is committed must not outlive, in a power
// failure, the file that it refers to. Windows keeps names without being asked, and cannot be.
func (s *Store) syncDirectories(key string) error {
	if s.dir == "" || runtime.GOOS == "windows" {
		return nil
	}
	for key != "." {
		key = path.Dir(key)
		dir, err := os.Open(filepath.Join(s.dir, filepath.FromSlash(key)))
		if err != nil {
			return err
		}
		if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
			return err
		}
	}
	return nil
}

// limitedReader refuses to read more than it may, and remembers why it stopped before the end.
type limitedReader struct {
	from        io.Reader
	left, limit int64
	failure     error
}

func (r *limitedReader) Read(into []byte) (int, error) {
	if r.failure != nil {
		return 0, r.failure
	}
	n, err := r.from.Read(into)
	r.left -= int64(n)
	if r.left < 0 {
		err = &fault.Error{
			Kind: fault.TooLarge, Code: "content_too_large", Detail: fmt.Sprintf("The body is larger than %d bytes.", r.limit),
		}
		n = 0
	}
	if err != nil && !errors.Is(err, io.EOF) {
		r.failure = err
	}
	return n, err
}
