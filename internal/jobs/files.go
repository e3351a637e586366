package jobs

import (
	"bytes"
	"context"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/jobstates"
	"github.com/clientele-api/clientele/internal/postgres"
)

// GetFile reads what is known of a job's file.
func GetFile(ctx context.Context, database db.DBTX, by By, id uuid.UUID, kind string) (db.JobFile, error) {
	if by.side == jobstates.Staff {
		return db.New().JobFileGet(ctx, database, id, kind, by.reach)
	}
	return db.New().JobFileGetByCustomer(ctx, database, id, kind, by.customerID)
}

// FileTag gives a file's entity tag, which is its SHA-256.
func FileTag(file db.JobFile) string { return `"` + hex.EncodeToString(file.Sha256) + `"` }

// MayPut refuses a file that could not be put in its place as things are, before all of it has come in vain. Whether it can
// be is judged again, under lock, when it is.
func MayPut(ctx context.Context, database db.DBTX, by By, id uuid.UUID, kind string, tags etag.Tags) error {
	job, err := Get(ctx, database, by, id)
	if err != nil {
		return err
	}
	return job.judgeFile(by, jobstates.PutFile, kind, tags)
}

// judgeFile refuses what the job's state does not allow with a file, and a file that is not the one that is meant.
func (j Job) judgeFile(by By, act jobstates.Act, kind string, tags etag.Tags) error {
	present := ""
	if file := j.file(kind); file != nil {
		present = FileTag(*file)
	}
	var detail string
	switch accepted := tags.Accept(present); {
	case !accepted && present == "":
		detail = "There is no such file (any more)."
	case !accepted:
		detail = "The file is another one by now."
	case tags.Excludes(present):
		detail = "There is a file already."
	default:
		return j.State().Check(by.side, act)
	}
	return &fault.Error{Kind: fault.Stale, Code: "stale_file", Detail: detail}
}

// Stored is a file in its place.
type Stored struct {
	db.JobFile
	IsNew    bool // there was none of its kind before
	IsUnused bool // the very file was there already: what was received is not needed
}

// PutFile puts a received file into its place. The same file once more changes nothing.
func PutFile(
	ctx context.Context, tx *postgres.Tx, by By, id uuid.UUID, tags etag.Tags, received Received,
) (Stored, error) {
	before, err := lock(ctx, tx, by, id)
	if err != nil {
		return Stored{}, err
	}
	if err := before.judgeFile(by, jobstates.PutFile, received.Kind, tags); err != nil {
		return Stored{}, err
	}
	present := before.file(received.Kind)
	if present != nil && received.is(*present) {
		return Stored{JobFile: *present, IsUnused: true}, nil
	}
	file := db.JobFile{
		JobID: id, Kind: received.Kind, Filename: received.Filename, ContentType: received.ContentType,
		Size: received.Blob.Size, Sha256: received.Blob.SHA256[:], BlobKey: received.Blob.Key, UploadedAt: tx.Now,
	}
	if err := db.New().JobFileUpsert(ctx, tx, db.JobFileUpsertParams(file)); err != nil {
		return Stored{}, err
	}
	files := slices.DeleteFunc(slices.Clone(before.Files), func(f db.JobFile) bool { return f.Kind == file.Kind })
	files = append(files, file)
	slices.SortFunc(files, func(a, b db.JobFile) int { return strings.Compare(a.Kind, b.Kind) })
	return Stored{JobFile: file, IsNew: present == nil}, before.touch(ctx, tx, files)
}

// is tells whether the file in place is this very one, by its bytes and by what is said of it.
func (r Received) is(file db.JobFile) bool {
	return bytes.Equal(r.Blob.SHA256[:], file.Sha256) && r.Filename == file.Filename && r.ContentType == file.ContentType
}

// DeleteFile removes a file of a job.
func DeleteFile(ctx context.Context, tx *postgres.Tx, by By, id uuid.UUID, kind string, tags etag.Tags) error {
	before, err := lock(ctx, tx, by, id)
	if err != nil {
		return err
	}
	if before.file(kind) == nil {
		return pgx.ErrNoRows
	}
	act := jobstates.DeleteFile
	if kind == Input {
		act = jobstates.DeleteInput
	}
	if err := before.judgeFile(by, act, kind, tags); err != nil {
		return err
	}
	if err := db.New().JobFileDelete(ctx, tx, id, kind); err != nil {
		return err
	}
	files := slices.DeleteFunc(slices.Clone(before.Files), func(f db.JobFile) bool { return f.Kind == kind })
	return before.touch(ctx, tx, files)
}

// touch raises the version of a locked job whose files are others now, and writes its event.
func (j Job) touch(ctx context.Context, tx *postgres.Tx, files []db.JobFile) error {
	row, err := db.New().JobTouch(ctx, tx, tx.Now, j.ID)
	if err != nil {
		return err
	}
	return record(ctx, tx, "updated", &j, &Job{Job: row, Files: files})
}
