package blobs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/postgres"
)

// Grace is how long a blob may lie before something refers to it, and how long its bytes can still be read after nothing
// does any more.
const Grace = 24 * time.Hour

// sweepPage is how many blobs are looked at, or deleted, between two looks at the database.
const sweepPage = 500

// Swept is what Sweep did.
type Swept struct {
	Retired   int // blobs that nothing refers to any more; their bytes go in a day
	Deleted   int // blobs whose bytes are gone
	Abandoned int // files that were being written when the program was killed
}

// Sweep retires the blobs that nothing refers to, and deletes the bytes of those retired more than a day ago. It works in
// small steps, each of which stays done: it may be stopped at any point, and may run on several replicas at once.
func (s *Store) Sweep(ctx context.Context) (Swept, error) {
	var swept Swept
	// What has been deleted is not to keep what has not: each goes as far as it can.
	err := errors.Join(s.retire(ctx, &swept), s.deleteRetired(ctx, &swept), s.deleteAbandoned(ctx, &swept))
	return swept, err
}

// retire takes blobs that nothing refers to out of the table. Until that is committed, whoever refers to one wins;
// afterwards a foreign key refuses to. It walks all blobs in the order of their keys, each page an index's work: a query
// for those alone that nothing refers to would read everything for each few that it finds.
func (s *Store) retire(ctx context.Context, swept *Swept) error {
	before, after := s.db.Now().Add(-Grace), ""
	for {
		keys, err := db.New().BlobListOld(ctx, s.db, before, after, sweepPage)
		if err != nil {
			return fmt.Errorf("listing blobs: %w", postgres.Translate(err))
		}
		if len(keys) == 0 {
			return nil
		}
		var retired int
		err = s.db.Change(ctx, postgres.Change{}, func(tx *postgres.Tx) (err error) {
			retired, err = retireUnreferenced(ctx, tx, keys)
			return err
		})
		if err != nil {
			return fmt.Errorf("retiring blobs: %w", err)
		}
		swept.Retired += retired
		after = keys[len(keys)-1]
	}
}

// This is SQL in Go since sqlc's queries cannot come from foreign keys. They are asked, and not a list that is kept by
// hand, so that no table can be forgotten, and none that a newer version of the program added while an older one runs.
const (
	// unreferenced makes a condition of every foreign key on blobs.
	unreferenced = `SELECT coalesce(string_agg(format(
			' AND NOT EXISTS (SELECT FROM %s AS referring WHERE referring.%I = blobs.key)', conrelid::regclass, attname), ''), '')
		FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
		WHERE contype = 'f' AND confrelid = 'blobs'::regclass`

	// Whoever is referring to a blob in an open transaction has locked it, and it is passed over.
	lock = `SELECT key FROM blobs WHERE key = ANY ($1)%s FOR UPDATE OF blobs SKIP LOCKED`

	// Asked again now that nobody can begin to refer to them: somebody may have between the look and the lock.
	move = `WITH retired AS (DELETE FROM blobs WHERE key = ANY ($1)%s RETURNING key)
		INSERT INTO blob_deletions (key, retired_at) SELECT key, $2 FROM retired`
)

// retireUnreferenced retires those of the blobs that nothing refers to, and counts them.
func retireUnreferenced(ctx context.Context, tx *postgres.Tx, keys []string) (int, error) {
	var conditions string
	if err := tx.QueryRow(ctx, unreferenced).Scan(&conditions); err != nil {
		return 0, fmt.Errorf("finding out what refers to blobs: %w", err)
	}
	rows, err := tx.Query(ctx, fmt.Sprintf(lock, conditions), keys)
	if err != nil {
		return 0, err
	}
	locked, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(locked) == 0 {
		return 0, err
	}
	done, err := tx.Exec(ctx, fmt.Sprintf(move, conditions), locked, tx.Now)
	return int(done.RowsAffected()), err
}

// deleteRetired deletes bytes, then the note that they are to go: when it is stopped in between it comes again.
func (s *Store) deleteRetired(ctx context.Context, swept *Swept) error {
	var failures []error
	before, after := s.db.Now().Add(-Grace), ""
	for {
		keys, err := db.New().BlobDeletionList(ctx, s.db, before, after, sweepPage)
		if err != nil {
			return errors.Join(append(failures, fmt.Errorf("listing retired blobs: %w", postgres.Translate(err)))...)
		}
		var deleted []string
		for _, key := range keys {
			if err := s.deleteBytes(ctx, key); err != nil {
				failures = append(failures, err)
				continue
			}
			deleted = append(deleted, key)
		}
		if err := db.New().BlobDeletionDone(ctx, s.db, deleted); err != nil {
			return errors.Join(append(failures, fmt.Errorf("noting deleted blobs: %w", postgres.Translate(err)))...)
		}
		swept.Deleted += len(deleted)
		if len(keys) < sweepPage || len(failures) >= sweepPage {
			return errors.Join(failures...)
		}
		after = keys[len(keys)-1]
	}
}

// deleteAbandoned deletes temporary files that nobody has written to for a day. Those of buckets are not to be seen from
// here: a bucket has a rule for uploads that were never completed.
func (s *Store) deleteAbandoned(ctx context.Context, swept *Swept) error {
	if s.dir == "" {
		return nil
	}
	names, err := fs.Glob(os.DirFS(s.dir), "*/*/*.tmp") // as keys are, with what fileblob puts behind them
	if err != nil {
		return fmt.Errorf("looking for abandoned files: %w", err)
	}
	for _, name := range names {
		path := filepath.Join(s.dir, filepath.FromSlash(name))
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && time.Since(info.ModTime()) < Grace {
			continue
		}
		if err == nil {
			err = os.Remove(path)
		}
		if err := errors.Join(ctx.Err(), err); err != nil {
			return fmt.Errorf("deleting an abandoned file: %w", err)
		}
		swept.Abandoned++
	}
	return nil
}
