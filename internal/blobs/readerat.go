package blobs

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"
)

const (
	// windowSize is how much is asked of the store at once by who reads a blob here and there.
	windowSize = 256 << 10
	// maxSkip is how far ahead bytes are read and thrown away before another request is cheaper.
	maxSkip = 1 << 20
)

// ReaderAt reads a blob at any place, as io.ReaderAt has it. Whoever goes forward, in steps of whatever size, reads one
// stream of the store's; who goes back begins another one. It is safe for concurrent use, and must be closed.
type ReaderAt struct {
	mu     sync.Mutex
	reader *Reader
	window *bufio.Reader
	at     int64 // where the window is; -1 when that is not known
}

// OpenAt gives a reader of any place of the blob, as Open does of the whole.
func (s *Store) OpenAt(ctx context.Context, key string) (*ReaderAt, error) {
	reader, err := s.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	return &ReaderAt{reader: reader, window: bufio.NewReaderSize(reader, windowSize)}, nil
}

// Size is the blob's, in bytes.
func (r *ReaderAt) Size() int64 { return r.reader.Size() }

// ReadAt reads at a place. io.EOF is given at the blob's end alone.
func (r *ReaderAt) ReadAt(into []byte, offset int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.move(offset); err != nil {
		r.at = -1
		return 0, err
	}
	n, err := io.ReadFull(r.window, into)
	r.at += int64(n)
	if err == io.ErrUnexpectedEOF { // io.ReadFull's own; the store's is wrapped
		err = io.EOF
	}
	if err != nil && !errors.Is(err, io.EOF) {
		r.at = -1
	}
	return n, err
}

// move brings the window to a place.
func (r *ReaderAt) move(offset int64) error {
	ahead := offset - r.at
	if r.at >= 0 && ahead >= 0 && ahead <= maxSkip && offset <= r.reader.Size() {
		_, err := r.window.Discard(int(ahead))
		r.at = offset
		return err
	}
	if _, err := r.reader.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	r.window.Reset(r.reader)
	r.at = offset
	return nil
}

// Close ends what is being read.
func (r *ReaderAt) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reader.Close()
}
