package backups

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/publishings"
)

// Backup is a backup that has begun: what it has of the database is read, and that it is taken is recorded. It must be
// closed.
type Backup struct {
	CustomerName string
	service      *Service
	contents     *contents
	manifest     manifest
	free         func()
}

// Begin begins a backup of a customer for a caller, on a change of theirs. Of staff it is recorded which publishings they
// have before them, before anything of it is given out.
func (s *Service) Begin(
	ctx context.Context, change postgres.Change, caller *access.Principal, customerID uuid.UUID,
) (*Backup, error) {
	a, slots := audienceOf(caller), s.staff
	if a.isPortal() {
		slots = s.portal
	}
	free, err := take(slots)
	if err != nil {
		return nil, err
	}
	b, err := s.begin(ctx, change, a, customerID)
	if err != nil {
		free()
		return nil, err
	}
	b.free = free
	return b, nil
}

func (s *Service) begin(ctx context.Context, change postgres.Change, a audience, customerID uuid.UUID) (*Backup, error) {
	found, err := s.read(ctx, customerID, a)
	if err != nil {
		return nil, err
	}
	b := &Backup{CustomerName: found.customer.Name, service: s, contents: found}
	if err = s.checkFiles(ctx, found.files); err == nil {
		err = s.DB.Change(ctx, change, func(tx *postgres.Tx) error { return b.record(ctx, tx, a) })
	}
	if err != nil {
		found.close()
		return nil, err
	}
	return b, nil
}

// record records that the backup is taken, and which publishings it has.
func (b *Backup) record(ctx context.Context, tx *postgres.Tx, a audience) error {
	customer := b.contents.customer
	if err := hold(ctx, tx, a, customer.ID); err != nil {
		return err
	}
	taken, err := db.New().BackupInsert(ctx, tx, db.BackupInsertParams{
		ID: uuid.Must(uuid.NewV7()), CustomerID: customer.ID, Parts: a.names(), TakenByKind: tx.Actor.Kind, TakenByID: tx.Actor.ID,
		TakenByName: tx.Actor.Name, TakenAt: b.contents.moment,
	})
	if err != nil {
		return err
	}
	b.manifest = manifest{
		Format: formatName, FormatVersion: formatVersion, ProductVersion: b.service.Version, ID: taken.ID, TakenAt: taken.TakenAt,
		TakenBy: a.caller.Kind, Customer: named{customer.ID, customer.Name}, Parts: taken.Parts, LeftOut: b.contents.leftOut,
	}
	if !a.isPortal() {
		if err := publishings.RecordAccesses(ctx, tx, b.contents.published, publishings.ViaBackup); err != nil {
			return err
		}
	}
	return events.Append(ctx, tx, events.Event{
		Kind: events.Backup, What: "taken", ResourceID: taken.ID, CustomerID: &customer.ID, Version: 1,
		After: map[string]any{"id": taken.ID, "customer_id": customer.ID, "parts": taken.Parts, "taken_at": taken.TakenAt},
	})
}

// hold keeps the customer from going and, where one of its own people takes the backup, that person's login, whose name is
// written down here.
func hold(ctx context.Context, tx *postgres.Tx, a audience, customerID uuid.UUID) (err error) {
	if a.isPortal() {
		_, err = db.New().CustomerGetForShareByIdentity(ctx, tx, a.caller.ID)
	} else {
		err = customers.LockForKeyShare(ctx, tx, customerID)
	}
	return err
}

// checksAtOnce is how many files are looked for at a time.
const checksAtOnce = 8

// checkFiles looks whether the files of jobs are all there, which is better known before the first byte than after.
func (s *Service) checkFiles(ctx context.Context, files *fileList) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(checksAtOnce)
	err := files.each(func(file storedFile) error {
		group.Go(func() error {
			size, err := s.Blobs.SizeOf(ctx, file.BlobKey)
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("the file %s of a backup is not in the store: %w", file.Entry, err)
			}
			if err != nil {
				return err
			}
			if size != file.Size {
				return fmt.Errorf("the file %s of a backup has %d bytes in the store, and should have %d", file.Entry, size, file.Size)
			}
			return nil
		})
		return ctx.Err()
	})
	if waited := group.Wait(); waited != nil { // which is why the other ended
		return waited
	}
	return err
}

// bufferSize is how many bytes are handed on at once.
const bufferSize = 256 << 10

// Write writes the archive, and records what it came to. After an error what was written is not the whole.
func (b *Backup) Write(ctx context.Context, to io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, TimeLimit)
	defer cancel()
	counted := &countingWriter{to: to}
	hash := newHasher(counted)
	defer hash.stop()
	buffered := bufio.NewWriterSize(hash, bufferSize)
	if err := b.writeArchive(ctx, buffered); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	return b.finish(ctx, counted.count, hash.sum())
}

// finish records that the whole archive was handed out. That somebody hangs up just then changes nothing of it.
func (b *Backup) finish(ctx context.Context, size int64, sha [sha256.Size]byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	now := b.service.DB.Now()
	err := db.New().BackupFinish(ctx, b.service.DB, db.BackupFinishParams{
		ID: b.manifest.ID, Size: &size, Sha256: sha[:], FinishedAt: &now,
	})
	if err != nil {
		return fmt.Errorf("recording a backup: %w", err)
	}
	return nil
}

// Close deletes the temporary files and lets another one begin.
func (b *Backup) Close() {
	b.contents.close()
	b.free()
}

// hasher hashes what passes through beside the writing of it: the hash of a whole archive takes as long as sending it.
type hasher struct {
	to     io.Writer
	pieces chan []byte
	spent  chan []byte
	done   chan [sha256.Size]byte
	closed bool
}

// piecesToHash is how many pieces may wait to be hashed.
const piecesToHash = 4

func newHasher(to io.Writer) *hasher {
	h := &hasher{
		to: to, pieces: make(chan []byte, piecesToHash), spent: make(chan []byte, piecesToHash+1), done: make(chan [sha256.Size]byte, 1),
	}
	go func() {
		hash := sha256.New()
		for piece := range h.pieces {
			_, _ = hash.Write(piece)
			select {
			case h.spent <- piece:
			default:
			}
		}
		h.done <- [sha256.Size]byte(hash.Sum(nil))
	}()
	return h
}

// Write hands a piece on, and has a copy of it hashed.
func (h *hasher) Write(piece []byte) (int, error) {
	var kept []byte
	select {
	case kept = <-h.spent:
	default:
		kept = make([]byte, 0, bufferSize)
	}
	h.pieces <- append(kept[:0], piece...)
	return h.to.Write(piece)
}

func (h *hasher) stop() {
	if !h.closed {
		h.closed = true
		close(h.pieces)
	}
}

// sum gives the hash of all pieces.
func (h *hasher) sum() [sha256.Size]byte {
	h.stop()
	return <-h.done
}
