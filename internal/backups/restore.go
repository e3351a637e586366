package backups

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/clientele-api/clientele/internal/blobs"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/jobs"
	"github.com/clientele-api/clientele/internal/postgres"
)

// blobKind is what archives are kept under while they are restored.
const blobKind = "restores"

// mediaTypes are what archives are sent as.
var mediaTypes = map[string]bool{"application/zip": true, "application/x-zip-compressed": true}

// Source is an archive that arrives.
type Source struct {
	Content     io.Reader
	ContentType string
}

// RestoreOptions say how an archive is restored.
type RestoreOptions struct {
	DryRun bool // whether only the plan is made
	Renew  bool // whether everything gets new ids, or those that it had

	// Change says how the change is made, once all of the archive is there. Done is told of it before it is committed.
	Change func() (postgres.Change, error)
	Done   func(Restored)
}

// Restored is what became of an archive.
type Restored struct {
	Plan
	Customer *customers.Customer // as it is now; nil for a dry run
}

// Restore receives an archive and restores the customer that it is of, or makes the plan of that. All of it comes back or
// nothing: files are stored first, where nothing refers to them, and then all rows are written in one transaction. A refusal
// for what is here already is about the plan.
func (s *Service) Restore(ctx context.Context, source Source, options RestoreOptions) (Restored, error) {
	if media, _, err := mime.ParseMediaType(source.ContentType); err != nil || !mediaTypes[media] {
		return Restored{}, &fault.Error{
			Kind: fault.UnsupportedMedia, Code: "unsupported_media_type", Detail: "The operation takes application/zip.",
		}
	}
	spooled, err := s.Blobs.Write(ctx, blobKind, source.Content, MaxArchive)
	if err != nil {
		return Restored{}, err
	}
	defer s.Blobs.Discard(ctx, spooled.Key)
	select { // it waits for its turn with what it has received, so that a slow sender keeps nobody from theirs
	case s.restores <- struct{}{}:
		defer func() { <-s.restores }()
	case <-ctx.Done():
		return Restored{}, ctx.Err()
	}
	from, err := s.Blobs.OpenAt(ctx, spooled.Key)
	if err != nil {
		return Restored{}, err
	}
	defer from.Close()
	o, err := open(ctx, s.schemas, from, from.Size())
	if err != nil {
		return Restored{}, err
	}
	c, err := o.check(ctx, s.DB, newIDs(options.Renew))
	if err != nil {
		return Restored{}, postgres.Translate(err)
	}
	if options.DryRun {
		return Restored{Plan: c.plan}, c.eachFile(c.verifyFile)
	}
	if len(c.plan.Blockers) > 0 {
		return Restored{}, blocked(c.plan)
	}
	return s.restore(ctx, options, c)
}

func blocked(plan Plan) error {
	number := "1 thing stands"
	switch count := len(plan.Blockers); {
	case count >= maxFindings:
		number = fmt.Sprintf("%d things or more stand", count)
	case count > 1:
		number = fmt.Sprintf("%d things stand", count)
	}
	return &fault.Error{
		Kind: fault.Conflict, Code: "restore_blocked", Detail: number + " in the way. Nothing was restored.", About: plan,
	}
}

// restore writes what was checked.
func (s *Service) restore(ctx context.Context, options RestoreOptions, c *checking) (Restored, error) {
	stored := storedFiles{}
	err := c.eachFile(func(file jobFile) error {
		received, err := c.storeFile(ctx, s.Blobs, file)
		stored[file.Entry] = storedAs{received.Blob.Key, received.ContentType}
		return err
	})
	if err != nil {
		return Restored{}, err
	}
	change, err := options.Change()
	if err != nil {
		return Restored{}, err
	}
	restored := Restored{Plan: c.plan}
	err = s.DB.Change(ctx, change, func(tx *postgres.Tx) error {
		w := writing{checking: c, ctx: ctx, tx: tx, files: stored}
		customer, err := w.all()
		if err != nil {
			return taken(err)
		}
		restored.Customer, restored.Status = &customer, customer.Status
		options.Done(restored)
		return nil
	})
	if err != nil {
		return Restored{}, err
	}
	return restored, nil
}

// taken makes a fault of a constraint that is violated though nothing stood in the way before: the archive has something
// twice, or somebody else has just written it.
func taken(err error) error {
	var violated *pgconn.PgError
	if errors.As(err, &violated) && len(violated.Code) == 5 && violated.Code[:2] == "23" {
		return &fault.Error{
			Kind: fault.Conflict, Code: "restore_conflict", Cause: err,
			Detail: "Something in the backup is there twice, or has come to be here meanwhile. Nothing was restored. Make the plan again.",
		}
	}
	return err
}

// eachFile does something with each file of each job.
func (c *checking) eachFile(do func(jobFile) error) error {
	return records(c, jobsFile, func(_ int, some []job) error {
		for _, one := range some {
			for _, file := range one.Files {
				if err := do(file); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// verifyFile reads a file as it would be stored, and keeps nothing of it.
func (c *checking) verifyFile(file jobFile) error {
	content, err := c.entries[file.Entry].verify()
	if err != nil {
		return err
	}
	defer content.Close()
	return inEntry(file, jobs.Inspect(file.Kind, content))
}

// storeFile stores a file.
func (c *checking) storeFile(ctx context.Context, store *blobs.Store, file jobFile) (jobs.Received, error) {
	content, err := c.entries[file.Entry].verify()
	if err != nil {
		return jobs.Received{}, err
	}
	defer content.Close()
	upload := jobs.Upload{Kind: file.Kind, Content: content}
	if jobs.IsMediaType(file.ContentType) { // once a file could be called anything
		upload.ContentType = file.ContentType
	}
	received, err := jobs.Receive(ctx, store, upload)
	if err != nil {
		return jobs.Received{}, inEntry(file, err)
	}
	return received, nil
}

// inEntry says of a file that is refused which one it is.
func inEntry(file jobFile, err error) error {
	var known *fault.Error
	if !errors.As(err, &known) || known.Code == "backup_invalid" || known.Kind != fault.Invalid {
		return err
	}
	return wrong(known.Code, file.Entry, "is not what it should be: "+known.Detail)
}
