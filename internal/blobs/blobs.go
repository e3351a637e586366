// Package blobs keeps files: bytes too many for the database, in a directory or in a bucket of S3, Google Cloud Storage
// or Azure. Bytes are written once, under a key that the package makes, and never change. What a key's bytes are for,
// their name and their type is known by the table that refers to them, and by nothing here.
//
// Every key is a row of the table blobs before there are bytes. A table refers to bytes by a column with a foreign key
// on blobs (key), without ON DELETE, and with an index on that column, in the transaction that makes the reference true.
// Nothing else has to be said or done: Sweep reads from the foreign keys what is referred to. It takes what nothing
// refers to out of the table blobs, where nothing can refer to it any more, and deletes the bytes a day after that.
//
// Nothing here may be called while a transaction is open, except reading: bytes are slow.
package blobs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/s3blob" // s3://
	"gocloud.dev/gcerrors"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/postgres"
)

// Store keeps blobs. It is safe for concurrent use.
type Store struct {
	db     *postgres.DB
	bucket *blob.Bucket
	dir    string // of a store of files; "" for every other
}

// New opens the store that a URL names: file:///a/directory, s3://bucket, gs://bucket or azblob://container. A directory
// is made where there is none, for this user alone. Buckets are not looked at before they are used.
func New(ctx context.Context, database *postgres.DB, location string) (*Store, error) {
	if err := CheckURL(location); err != nil {
		return nil, fmt.Errorf("the URL of the blobs %w", err)
	}
	parsed, err := url.Parse(location)
	if err != nil {
		return nil, fmt.Errorf("reading the URL of the blobs: %w", err)
	}
	if parsed.Scheme != fileblob.Scheme {
		bucket, err := blob.OpenBucket(ctx, location)
		if err != nil {
			return nil, fmt.Errorf("opening the blobs: %w", err)
		}
		return &Store{db: database, bucket: bucket}, nil
	}
	dir, err := filepath.Abs(directory(parsed))
	if err != nil {
		return nil, fmt.Errorf("finding the directory of the blobs: %w", err)
	}
	// Temporary files lie beside what they become, so that renaming them is one step. Nothing is known of a file but its
	// bytes, so there is nothing to put beside it.
	bucket, err := fileblob.OpenBucket(dir, &fileblob.Options{
		CreateDir: true, DirFileMode: 0o700, NoTempDir: true, Metadata: fileblob.MetadataDontWrite,
	})
	if err != nil {
		return nil, fmt.Errorf("opening the blobs: %w", err)
	}
	return &Store{db: database, bucket: bucket, dir: dir}, nil
}

// Close gives back what the store holds. Nothing may use it any more.
func (s *Store) Close() error { return s.bucket.Close() }

// FileURL names the store of files in a directory.
func FileURL(dir string) string {
	location := url.URL{Scheme: fileblob.Scheme, Path: filepath.ToSlash(dir)}
	if !filepath.IsAbs(dir) {
		location.Host, location.Path = ".", "/"+location.Path
	}
	return location.String()
}

func directory(location *url.URL) string {
	if location.Host == "." {
		return filepath.FromSlash(strings.TrimPrefix(location.Path, "/"))
	}
	return filepath.FromSlash(location.Path)
}

// CheckURL tells what is wrong with the URL of a store, in words that follow its name. It opens nothing. What it says
// holds nothing of the URL, whose parameters may be confidential.
func CheckURL(location string) error {
	parsed, err := url.Parse(location)
	if err != nil {
		return errors.New("is not a URL")
	}
	switch parsed.Scheme {
	case fileblob.Scheme:
		// A host is refused, since file://some/path would be /path to some and some/path to others.
		if parsed.Host != "" && parsed.Host != "." || strings.Trim(parsed.Path, "/") == "" || parsed.RawQuery != "" {
			return errors.New("must name a directory, such as file:///var/lib/clientele/blobs, without parameters")
		}
	case "s3", "gs", "azblob":
		// A path is refused, since it would be ignored.
		if parsed.Host == "" || strings.Trim(parsed.Path, "/") != "" {
			return fmt.Errorf("must name a bucket and no path, such as %s://bucket?prefix=clientele/", parsed.Scheme)
		}
	default:
		return errors.New("must begin with file://, s3://, gs:// or azblob://")
	}
	if parsed.User != nil || parsed.Fragment != "" {
		return errors.New("must have neither a user nor a fragment")
	}
	if !blob.DefaultURLMux().ValidBucketScheme(parsed.Scheme) { // see gcs.go
		return fmt.Errorf("needs a program that is built with -tags %s", parsed.Scheme)
	}
	return nil
}

// newKey makes a key that nothing had before. The bytes of one kind and day lie together, for people who look at them.
func newKey(kind string, now time.Time) string {
	return kind + "/" + now.Format(time.DateOnly) + "/" + uuid.Must(uuid.NewV7()).String()
}

// Delete deletes a blob that nothing refers to at once, without the days that Sweep leaves it. A blob that is not there
// is no error; one that is referred to is, and stays.
func (s *Store) Delete(ctx context.Context, key string) error {
	// First the row goes, which the foreign keys may refuse. From then on Sweep knows of the bytes, should they not go.
	err := s.db.Change(ctx, postgres.Change{}, func(tx *postgres.Tx) error {
		return db.New().BlobRetire(ctx, tx, tx.Now, key)
	})
	if err != nil {
		return fmt.Errorf("deleting the row of blob %s: %w", key, err)
	}
	if err := s.deleteBytes(ctx, key); err != nil {
		return err
	}
	if err := db.New().BlobDeletionDone(ctx, s.db, []string{key}); err != nil {
		return fmt.Errorf("noting that blob %s is deleted: %w", key, err)
	}
	return nil
}

// Discard is Delete for a blob that is not needed after all, whoever has hung up meanwhile. Where it cannot be deleted now it
// goes with all others that nothing refers to.
func (s *Store) Discard(ctx context.Context, key string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardTime)
	defer cancel()
	_ = s.Delete(ctx, key)
}

// discardTime is how long it may take to delete what Sweep would delete later.
const discardTime = 30 * time.Second

func (s *Store) deleteBytes(ctx context.Context, key string) error {
	if err := s.bucket.Delete(ctx, key); err != nil && !isMissing(err) {
		return fmt.Errorf("deleting the bytes of blob %s: %w", key, err)
	}
	return nil
}

func isMissing(err error) bool {
	return gcerrors.Code(err) == gcerrors.NotFound || errors.Is(err, fs.ErrNotExist)
}
