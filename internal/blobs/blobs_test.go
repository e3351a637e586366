package blobs_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gocloud.dev/blob"

	"github.com/clientele-api/clientele/internal/blobs"
	"github.com/clientele-api/clientele/internal/blobtest"
	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/postgres"
)

// place is a store, with the directory where its bytes come to lie on this machine, and a clock that can be put forward.
type place struct {
	*blobs.Store
	database *postgres.DB
	dir      string
	ahead    atomic.Int64
}

func (p *place) now() time.Time { return time.Now().Add(time.Duration(p.ahead.Load())) }

func (p *place) wait(d time.Duration) { p.ahead.Add(int64(d)) }

func open(t *testing.T, location, dir string) *place {
	t.Helper()
	p := &place{dir: dir}
	p.database = postgres.New(dbtest.New(t), p.now)
	store, err := blobs.New(t.Context(), p.database, location)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	p.Store = store
	return p
}

func openFiles(t *testing.T) *place {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data", "blobs")
	return open(t, blobs.FileURL(dir), dir)
}

// everyStore runs a test on files and on S3.
func everyStore(t *testing.T, test func(t *testing.T, p *place)) {
	t.Helper()
	t.Run("files", func(t *testing.T) {
		t.Parallel()
		test(t, openFiles(t))
	})
	t.Run("s3", func(t *testing.T) {
		t.Parallel()
		bucket := blobtest.NewBucket(t)
		test(t, open(t, bucket.URL, bucket.Dir))
	})
}

// files lists what lies in the store's directory, temporary files too.
func (p *place) files(t *testing.T) []string {
	t.Helper()
	names := []string{}
	require.NoError(t, filepath.WalkDir(p.dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && entry.IsDir() {
			return nil
		}
		name, _ := filepath.Rel(p.dir, path)
		names = append(names, filepath.ToSlash(name))
		return err
	}))
	return names
}

func (p *place) write(t *testing.T, content []byte) blobs.Blob {
	t.Helper()
	written, err := p.Write(t.Context(), "document", bytes.NewReader(content), int64(len(content)))
	require.NoError(t, err)
	return written
}

func (p *place) read(t *testing.T, key string) []byte {
	t.Helper()
	reader, err := p.Open(t.Context(), key)
	require.NoError(t, err)
	content, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.NoError(t, reader.Close())
	require.EqualValues(t, len(content), reader.Size())
	return content
}

// count counts the rows of a table.
func (p *place) count(t *testing.T, table string) (n int) {
	t.Helper()
	require.NoError(t, p.database.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n))
	return n
}

func random(size int) []byte {
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(content)
	return content
}

// manyParts is a size that is uploaded in several parts.
const manyParts = 20<<20 + 7

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	everyStore(t, func(t *testing.T, p *place) {
		var keys []string
		for _, size := range []int{0, 1, 511, 16 << 20, manyParts} {
			content := random(size)
			written := p.write(t, content)
			require.EqualValues(t, size, written.Size)
			require.Equal(t, sha256.Sum256(content), written.SHA256)
			require.True(t, bytes.Equal(content, p.read(t, written.Key)), "%d bytes", size)
			require.Regexp(t, "^document/"+p.database.Now().Format(time.DateOnly)+"/[0-9a-f-]{36}$", written.Key)
			keys = append(keys, written.Key)
		}
		require.ElementsMatch(t, keys, p.files(t), "a file each and nothing beside it")
		require.Equal(t, len(keys), p.count(t, "blobs WHERE kind = 'document'"))
	})
}

func TestTooManyBytes(t *testing.T) {
	t.Parallel()
	everyStore(t, func(t *testing.T, p *place) {
		for _, limit := range []int64{0, 10, manyParts} {
			_, err := p.Write(t.Context(), "document", bytes.NewReader(random(int(limit)+1)), limit)
			var refused *fault.Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, fault.TooLarge, refused.Kind)
			require.Equal(t, "content_too_large", refused.Code)
			require.Contains(t, refused.Detail, fmt.Sprint(limit))
			require.Empty(t, p.files(t))
		}
	})
}

// brokenReader gives bytes and then does something else.
type brokenReader struct {
	left int
	end  func() error
}

func (r *brokenReader) Read(into []byte) (int, error) {
	if r.left == 0 {
		return 0, r.end()
	}
	n := min(len(into), r.left)
	r.left -= n
	return n, nil
}

func TestWhatDoesNotArriveLeavesNothing(t *testing.T) {
	t.Parallel()
	everyStore(t, func(t *testing.T, p *place) {
		lost := errors.New("the connection is lost")
		for _, size := range []int{0, 100, 8 << 20, 16 << 20, manyParts} {
			_, err := p.Write(t.Context(), "document", &brokenReader{size, func() error { return lost }}, manyParts)
			require.ErrorIs(t, err, lost)
			require.Empty(t, p.files(t), "%d bytes and an error", size)

			require.PanicsWithValue(t, "at the disco", func() {
				_, _ = p.Write(t.Context(), "document", &brokenReader{size, func() error { panic("at the disco") }}, manyParts)
			})
			require.Empty(t, p.files(t), "%d bytes and a panic", size)

			ctx, cancel := context.WithCancel(t.Context())
			_, err = p.Write(ctx, "document", &brokenReader{size, func() error {
				cancel()
				return io.EOF
			}}, manyParts)
			require.ErrorIs(t, err, context.Canceled)
			require.Empty(t, p.files(t), "%d bytes and a caller that went away", size)
		}
		require.Equal(t, 15, p.count(t, "blobs"), "which are announced all the same")
	})
}

// TestWhatIsNotAcceptedLeavesNothing: bytes are judged when all of them have come, and before anybody can read them.
func TestWhatIsNotAcceptedLeavesNothing(t *testing.T) {
	t.Parallel()
	everyStore(t, func(t *testing.T, p *place) {
		refused := errors.New("refused")
		content := random(9 << 20)
		_, err := p.WriteIf(t.Context(), "document", bytes.NewReader(content), manyParts, func(b blobs.Blob) error {
			require.EqualValues(t, len(content), b.Size)
			require.Equal(t, sha256.Sum256(content), b.SHA256)
			_, err := p.Open(t.Context(), b.Key)
			require.ErrorIs(t, err, fs.ErrNotExist)
			return refused
		})
		require.ErrorIs(t, err, refused)
		require.Empty(t, p.files(t))
		kept, err := p.WriteIf(t.Context(), "document", bytes.NewReader(content), manyParts, func(blobs.Blob) error { return nil })
		require.NoError(t, err)
		require.EqualValues(t, len(content), kept.Size)
		require.Len(t, p.files(t), 1)
	})
}

// TestHalfABlobIsSeenByNobody also shows that the tests above look where unfinished bytes lie.
func TestHalfABlobIsSeenByNobody(t *testing.T) {
	t.Parallel()
	everyStore(t, func(t *testing.T, p *place) {
		var key string
		written, err := p.Write(t.Context(), "document", &brokenReader{2 * manyParts, func() error {
			require.NoError(t, p.database.QueryRow(t.Context(), "SELECT key FROM blobs").Scan(&key), "announced before")
			require.NotEmpty(t, p.files(t))
			_, err := p.Open(t.Context(), key)
			require.ErrorIs(t, err, fs.ErrNotExist)
			return io.EOF
		}}, 2*manyParts)
		require.NoError(t, err)
		require.Equal(t, key, written.Key)
		require.Equal(t, []string{key}, p.files(t))
	})
}

func TestAKindThatIsNoWord(t *testing.T) {
	t.Parallel()
	p := openFiles(t)
	for _, kind := range []string{"", "../document", "a/b", "Document", "-"} {
		_, err := p.Write(t.Context(), kind, strings.NewReader("x"), 1)
		require.ErrorContains(t, err, "blobs_kind_check", kind)
	}
	require.Empty(t, p.files(t))
}

func TestDelete(t *testing.T) {
	t.Parallel()
	everyStore(t, func(t *testing.T, p *place) {
		p.referrers(t)
		gone, kept := p.write(t, []byte("gone")), p.write(t, []byte("kept"))
		p.refer(t, kept.Key)
		require.NoError(t, p.Delete(t.Context(), gone.Key))
		require.NoError(t, p.Delete(t.Context(), gone.Key))
		require.NoError(t, p.Delete(t.Context(), "document/2020-01-01/never"))
		require.Error(t, p.Delete(t.Context(), kept.Key))
		_, err := p.Open(t.Context(), gone.Key)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.Equal(t, "kept", string(p.read(t, kept.Key)))
		require.Equal(t, []string{kept.Key}, p.files(t))
		require.Equal(t, 1, p.count(t, "blobs"))
		require.Zero(t, p.count(t, "blob_deletions"))
	})
}

func TestDirectoriesAreTheUsersOwn(t *testing.T) {
	t.Parallel()
	p := openFiles(t)
	written := p.write(t, []byte("x"))
	for dir := filepath.Dir(filepath.Join(p.dir, written.Key)); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o700), info.Mode().Perm(), dir)
		if dir == p.dir {
			break
		}
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for _, location := range []string{
		"file:///var/lib/clientele/blobs", "file://./blobs", "s3://bucket", "s3://bucket/?prefix=clientele/",
		"azblob://container?storage_account=ada",
		blobs.FileURL("/var/lib"), blobs.FileURL("./clientele-data/blobs"), blobs.FileURL("../50% of #1?/blobs"),
	} {
		require.NoError(t, blobs.CheckURL(location), location)
	}
	for _, location := range []string{
		"", "/var/lib", "clientele-data", "file://", "file:///", "file://.", "file://./", "file://clientele-data/blobs",
		"file:///var/lib?metadata=skip", "file://ada@./blobs", "file:///var/lib#1", "s3://", "s3:///folder",
		"s3://bucket/folder", "gs://", "azblob://", "s3://ada:hush@bucket", "mem://", "https://bucket.example.com", "s3://%",
	} {
		err := blobs.CheckURL(location)
		require.Error(t, err, location)
		require.NotContains(t, err.Error(), "hush")
		_, err = blobs.New(t.Context(), nil, location)
		require.Error(t, err, location)
	}
}

// TestNamesOfDirectories: whatever a directory is called, the bytes lie in it.
func TestNamesOfDirectories(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	here, err := os.Getwd()
	require.NoError(t, err)
	relative, err := filepath.Rel(here, root)
	require.NoError(t, err)
	for _, name := range []string{"plain", "50% of #1?", "a b", "źdźbło", "[a-z]*"} {
		for _, parent := range []string{root, relative} {
			dir := filepath.Join(parent, name)
			p := open(t, blobs.FileURL(dir), dir)
			written := p.write(t, []byte(name))
			require.FileExists(t, filepath.Join(root, name, filepath.FromSlash(written.Key)))
		}
	}
}

func TestAPrefixIsAFolderOfTheBucket(t *testing.T) {
	t.Parallel()
	bucket := blobtest.NewBucket(t)
	p := open(t, bucket.URL+"&prefix=clientele/", bucket.Dir)
	_, err := p.Write(t.Context(), "document", &brokenReader{manyParts, func() error { return io.ErrClosedPipe }}, manyParts)
	require.ErrorIs(t, err, io.ErrClosedPipe)
	require.Empty(t, p.files(t), "taken back there as anywhere")
	content := random(manyParts)
	key := p.write(t, content).Key
	require.Equal(t, []string{"clientele/" + key}, p.files(t))
	require.True(t, bytes.Equal(content, p.read(t, key)))
}

// TestBuckets: the drivers that no test has a service for are linked and take the URLs that the settings allow.
func TestBuckets(t *testing.T) {
	t.Parallel()
	store, err := blobs.New(t.Context(), nil, "azblob://container?storage_account=ada")
	require.NoError(t, err)
	require.NoError(t, store.Close())
	if linked := blob.DefaultURLMux().ValidBucketScheme("gs"); linked { // with -tags gs
		require.NoError(t, blobs.CheckURL("gs://bucket"))
	} else {
		require.ErrorContains(t, blobs.CheckURL("gs://bucket"), "-tags gs")
	}
	_, err = blobs.New(t.Context(), nil, "s3://bucket?no_such_parameter=1")
	require.ErrorContains(t, err, "no_such_parameter")
}
