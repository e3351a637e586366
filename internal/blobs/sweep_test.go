package blobs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/blobs"
	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/postgres"
)

// referrers makes two tables that refer to blobs, as the program's own do.
func (p *place) referrers(t *testing.T) {
	t.Helper()
	_, err := p.database.Exec(t.Context(), `
		CREATE TABLE referrers (blob_key text REFERENCES blobs (key));
		CREATE INDEX ON referrers (blob_key);
		CREATE TABLE "other Referrers" ("the Key" text NOT NULL UNIQUE REFERENCES blobs (key))`)
	require.NoError(t, err)
}

func (p *place) refer(t *testing.T, key string) {
	t.Helper()
	_, err := p.database.Exec(t.Context(), "INSERT INTO referrers VALUES ($1)", key)
	require.NoError(t, err)
}

func (p *place) sweep(t *testing.T, want blobs.Swept) {
	t.Helper()
	swept, err := p.Sweep(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, swept)
}

func TestSweep(t *testing.T) {
	t.Parallel()
	everyStore(t, func(t *testing.T, p *place) {
		p.referrers(t)
		_, err := p.database.Exec(t.Context(), "INSERT INTO referrers VALUES (NULL)")
		require.NoError(t, err)
		first, second, orphan := p.write(t, []byte("first")), p.write(t, []byte("second")), p.write(t, []byte("orphan"))
		p.refer(t, first.Key)
		_, err = p.database.Exec(t.Context(), `INSERT INTO "other Referrers" VALUES ($1)`, second.Key)
		require.NoError(t, err)
		p.sweep(t, blobs.Swept{})

		p.wait(blobs.Grace + time.Minute)
		late := p.write(t, []byte("late"))
		p.sweep(t, blobs.Swept{Retired: 1})
		require.Equal(t, "orphan", string(p.read(t, orphan.Key)), "readable for another day")
		_, err = p.database.Exec(t.Context(), "INSERT INTO referrers VALUES ($1)", orphan.Key)
		require.ErrorContains(t, err, "referrers_blob_key_fkey", "and nothing new can refer to it")
		p.refer(t, late.Key)
		p.sweep(t, blobs.Swept{})

		p.wait(blobs.Grace + time.Minute)
		p.sweep(t, blobs.Swept{Deleted: 1})
		require.ElementsMatch(t, []string{first.Key, second.Key, late.Key}, p.files(t))
		require.Zero(t, p.count(t, "blob_deletions"))

		_, err = p.database.Exec(t.Context(), "DELETE FROM referrers")
		require.NoError(t, err)
		p.sweep(t, blobs.Swept{Retired: 2})
		require.Equal(t, "first", string(p.read(t, first.Key)), "however old it is: somebody may be reading it")
		p.wait(blobs.Grace + time.Minute)
		p.sweep(t, blobs.Swept{Deleted: 2})
		p.sweep(t, blobs.Swept{})
		require.Equal(t, []string{second.Key}, p.files(t))
	})
}

// TestSweepAfterACrash: rows without bytes, and bytes that were deleted when that could not be noted any more.
func TestSweepAfterACrash(t *testing.T) {
	t.Parallel()
	everyStore(t, func(t *testing.T, p *place) {
		written := p.write(t, []byte("x"))
		_, err := p.database.Exec(t.Context(), "INSERT INTO blobs VALUES ('document/2020-01-01/never', 'document', $1)", p.now())
		require.NoError(t, err)
		p.wait(blobs.Grace + time.Minute)
		p.sweep(t, blobs.Swept{Retired: 2})
		require.NoError(t, os.Remove(filepath.Join(p.dir, written.Key)))
		p.wait(blobs.Grace + time.Minute)
		p.sweep(t, blobs.Swept{Deleted: 2})
		require.Zero(t, p.count(t, "blobs")+p.count(t, "blob_deletions"))
	})
}

func TestSweepManyAndStumbleOverOne(t *testing.T) {
	t.Parallel()
	p := openFiles(t)
	const many = 1100
	stuck := make([]string, 0, many)
	for i := range many {
		written := p.write(t, nil)
		if i%500 != 0 {
			continue
		}
		// What cannot be deleted as a file.
		stuck = append(stuck, written.Key)
		path := filepath.Join(p.dir, written.Key)
		require.NoError(t, errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "folder"), 0o700)))
	}
	p.wait(blobs.Grace + time.Minute)
	p.sweep(t, blobs.Swept{Retired: many})
	p.wait(blobs.Grace + time.Minute)
	swept, err := p.Sweep(t.Context())
	for _, key := range stuck {
		require.ErrorContains(t, err, key)
	}
	require.Equal(t, blobs.Swept{Deleted: many - len(stuck)}, swept)
	require.Empty(t, p.files(t))
	require.Equal(t, len(stuck), p.count(t, "blob_deletions"))
	for _, key := range stuck {
		require.NoError(t, os.Remove(filepath.Join(p.dir, key, "folder")))
	}
	p.sweep(t, blobs.Swept{Deleted: len(stuck)})
}

func TestSweepDeletesAbandonedFiles(t *testing.T) {
	t.Parallel()
	p := openFiles(t)
	key := p.write(t, []byte("x")).Key
	abandoned, busy := filepath.Join(p.dir, key+".18f0.tmp"), filepath.Join(p.dir, key+".18f1.tmp")
	for _, path := range []string{abandoned, busy} {
		require.NoError(t, os.WriteFile(path, []byte("half"), 0o600))
	}
	long := time.Now().Add(-blobs.Grace - time.Minute)
	require.NoError(t, os.Chtimes(abandoned, long, long))
	require.NoError(t, os.Chtimes(filepath.Join(p.dir, key), long, long))
	p.sweep(t, blobs.Swept{Abandoned: 1})
	require.ElementsMatch(t, []string{key, key + ".18f1.tmp"}, p.files(t))
}

// TestTemporaryFilesAreCalledThat: what Sweep takes for abandoned is what the driver writes to.
func TestTemporaryFilesAreCalledThat(t *testing.T) {
	t.Parallel()
	p := openFiles(t)
	_, err := p.Write(t.Context(), "document", &brokenReader{100, func() error {
		names, err := fs.Glob(os.DirFS(p.dir), "*/*/*.tmp")
		require.NoError(t, err)
		require.Len(t, names, 1)
		return fs.ErrClosed
	}}, 1000)
	require.ErrorIs(t, err, fs.ErrClosed)
}

func TestAnOpenTransactionKeepsItsBlob(t *testing.T) {
	t.Parallel()
	p := openFiles(t)
	p.referrers(t)
	key, orphan := p.write(t, []byte("x")).Key, p.write(t, []byte("y")).Key
	p.wait(2 * blobs.Grace)
	require.NoError(t, p.database.Change(t.Context(), postgres.Change{}, func(tx *postgres.Tx) error {
		if _, err := tx.Exec(t.Context(), "INSERT INTO referrers VALUES ($1)", key); err != nil {
			return err
		}
		p.sweep(t, blobs.Swept{Retired: 1}) // the orphan, without waiting for the other
		return nil
	}))
	p.sweep(t, blobs.Swept{})
	require.Equal(t, 1, p.count(t, "blobs"))
	require.Equal(t, 1, p.count(t, "blob_deletions WHERE key = '"+orphan+"'"))
}

// TestReferringLosesToASweepUnderWay: whoever comes while a blob is being retired waits, and is refused.
func TestReferringLosesToASweepUnderWay(t *testing.T) {
	t.Parallel()
	p := openFiles(t)
	p.referrers(t)
	key := p.write(t, []byte("x")).Key
	p.wait(2 * blobs.Grace)
	referred := make(chan error)
	require.NoError(t, p.database.Change(t.Context(), postgres.Change{}, func(tx *postgres.Tx) error {
		if retired, err := blobs.RetireUnreferenced(t.Context(), tx, []string{key}); err != nil || retired != 1 {
			return errors.Join(err, fmt.Errorf("retired %d", retired))
		}
		go func() {
			_, err := p.database.Exec(t.Context(), "INSERT INTO referrers VALUES ($1)", key)
			referred <- err
		}()
		require.Eventually(t, func() bool {
			return p.count(t, "pg_locks WHERE NOT granted") > 0
		}, 10*time.Second, 5*time.Millisecond, "it waits")
		return nil
	}))
	var refused *pgconn.PgError
	require.ErrorAs(t, <-referred, &refused)
	require.Equal(t, "referrers_blob_key_fkey", refused.ConstraintName)
}

// TestReferringAndSweepingAtOnce: each blob is either referred to or retired, and no sweep stumbles over the others.
func TestReferringAndSweepingAtOnce(t *testing.T) {
	t.Parallel()
	p := openFiles(t)
	p.referrers(t)
	const many = 4000
	_, err := p.database.Exec(t.Context(),
		"INSERT INTO blobs SELECT 'document/2020-01-01/' || n, 'document', '2020-01-01' FROM generate_series(1, $1::integer) AS n", many)
	require.NoError(t, err)
	var group sync.WaitGroup
	var won, lost, retired atomic.Int64
	for worker := range 4 {
		group.Go(func() {
			for n := worker + 1; n <= many; n += 8 { // half of them
				_, err := p.database.Exec(t.Context(), "INSERT INTO referrers VALUES ($1)", fmt.Sprintf("document/2020-01-01/%d", n))
				switch {
				case err == nil:
					won.Add(1)
				case strings.Contains(err.Error(), "referrers_blob_key_fkey"):
					lost.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	for range 2 {
		group.Go(func() {
			for won.Load()+lost.Load() < many/2 && !t.Failed() {
				swept, err := p.Sweep(t.Context())
				if err != nil {
					t.Error(err)
				}
				retired.Add(int64(swept.Retired))
			}
		})
	}
	group.Wait()
	swept, err := p.Sweep(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, won.Load(), p.count(t, "blobs"))
	require.EqualValues(t, many-won.Load(), retired.Load()+int64(swept.Retired))
	require.EqualValues(t, many-won.Load(), p.count(t, "blob_deletions"))
}

// TestForeignKeysOnBlobs: a table that refers to blobs keeps them (no ON DELETE), finds them (an index) and can be
// compared with them (the same collation).
func TestForeignKeysOnBlobs(t *testing.T) {
	t.Parallel()
	pool := dbtest.New(t)
	wrong := func() (tables []string) {
		rows, err := pool.Query(t.Context(), `
			SELECT conrelid::regclass::text FROM pg_constraint
			JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
			WHERE contype = 'f' AND confrelid = 'blobs'::regclass AND (confdeltype NOT IN ('a', 'r')
				OR NOT EXISTS (SELECT FROM pg_index WHERE indrelid = conrelid AND indkey[0] = attnum)
				OR attcollation <> (SELECT attcollation FROM pg_attribute WHERE attrelid = 'blobs'::regclass AND attname = 'key'))
			ORDER BY 1`)
		require.NoError(t, err)
		for rows.Next() {
			var table string
			require.NoError(t, rows.Scan(&table))
			tables = append(tables, table)
		}
		require.NoError(t, rows.Err())
		return tables
	}
	require.Empty(t, wrong())
	_, err := pool.Exec(t.Context(), `
		CREATE TABLE right_one (blob_key text UNIQUE REFERENCES blobs (key));
		CREATE TABLE wrong_action (blob_key text UNIQUE REFERENCES blobs (key) ON DELETE SET NULL);
		CREATE TABLE wrong_collation (blob_key text COLLATE "C" UNIQUE REFERENCES blobs (key));
		CREATE TABLE wrong_index (blob_key text REFERENCES blobs (key))`)
	require.NoError(t, err)
	require.Equal(t, []string{"wrong_action", "wrong_collation", "wrong_index"}, wrong(), "the test sees what is wrong")
}
