package exports

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/clientele-api/clientele/internal/listing"
	"github.com/clientele-api/clientele/internal/postgres"
)

const (
	// pieceSize is how many bytes are written at once; the last row of a piece may go beyond it.
	pieceSize = 64 << 10
	// piecesAhead is how many pieces may wait to be written.
	piecesAhead = 2
	// patience is how long an export waits for its first piece before it begins without it: a filter may have to look
	// through a whole table for one row. Until then what goes wrong is known before anything is sent.
	patience = 50 * time.Millisecond
)

// Stream is an export that has begun. Its rows are read and made into pieces while the pieces before are written. When
// nobody takes them the database waits, too.
type Stream struct {
	first  []byte      // what is written before all other pieces
	pieces chan []byte // closed after the last one
	spent  chan []byte // those that were written, to be filled again
	err    error       // of reading, once there are no more pieces
	cancel context.CancelFunc
	ended  sync.WaitGroup
}

// Begin begins to read. It gives a stream, which must be closed, as soon as there is something to write or it takes too
// long to wait for.
func Begin[Row any](ctx context.Context, rows *listing.Reader[Row], format Format[Row]) (*Stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &Stream{
		first: format.Begin(nil), pieces: make(chan []byte, piecesAhead), spent: make(chan []byte, piecesAhead+1),
		cancel: cancel,
	}
	s.ended.Go(func() {
		defer close(s.pieces)
		s.err = read(ctx, s, rows, format)
	})
	select {
	case piece, more := <-s.pieces:
		if !more && s.err != nil {
			s.Close()
			return nil, postgres.Translate(s.err)
		}
		s.first = append(s.first, piece...)
	case <-time.After(patience):
	}
	return s, nil
}

// read makes pieces of the rows.
func read[Row any](ctx context.Context, s *Stream, rows *listing.Reader[Row], format Format[Row]) error {
	piece := s.blank()
	hand := func() error {
		select {
		case s.pieces <- piece:
			piece = s.blank()
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := rows.Each(ctx, format.Fields(), func(row *Row) (err error) {
		if piece, err = format.Row(piece, row); err != nil || len(piece) < pieceSize {
			return err
		}
		return hand()
	})
	if err != nil || len(piece) == 0 {
		return err
	}
	return hand()
}

// blank gives an empty piece.
func (s *Stream) blank() []byte {
	select {
	case piece := <-s.spent:
		return piece[:0]
	default:
		return make([]byte, 0, pieceSize+pieceSize/8)
	}
}

// Write writes all pieces, each at once. After an error what was written is not the whole.
func (s *Stream) Write(to io.Writer) error {
	if _, err := to.Write(s.first); err != nil {
		return err
	}
	for piece := range s.pieces {
		if _, err := to.Write(piece); err != nil {
			return err
		}
		select {
		case s.spent <- piece:
		default:
		}
	}
	return s.err
}

// Close ends the reading, if it has not come to its end. Once it returns nothing is read any more.
func (s *Stream) Close() {
	s.cancel()
	s.ended.Wait()
}
