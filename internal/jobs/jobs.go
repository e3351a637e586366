// Package jobs keeps what customers have printed: the job, its files, and where it stands. Its people submit a job and
// follow it, staff moves it on. Which status allows what is in package jobstates; whose a job is, is in the condition of
// every query that people's calls lead to. Whoever changes a job has locked its customer before it.
package jobs

import (
	"cmp"
	"context"
	"encoding/hex"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/jobstates"
	"github.com/clientele-api/clientele/internal/mergepatch"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/reach"
	"github.com/clientele-api/clientele/internal/textfold"
)

// Job is a job with its files, in the order of their kinds.
type Job struct {
	db.Job
	Files []db.JobFile
}

// State gives what decides on what may be done with the job.
func (j Job) State() jobstates.State {
	return jobstates.State{Status: j.Status, HasInput: j.file(Input) != nil}
}

// file gives the job's file of the kind; nil when it has none.
func (j Job) file(kind string) *db.JobFile {
	at := slices.IndexFunc(j.Files, func(f db.JobFile) bool { return f.Kind == kind })
	if at < 0 {
		return nil
	}
	return &j.Files[at]
}

// By is who does something with jobs: staff with everybody's that is within reach, or one of a customer's people with the
// customer's.
type By struct {
	side       jobstates.Side
	reach      *uuid.UUID // of staff and API clients
	customerID uuid.UUID  // of people
	identityID uuid.UUID  // likewise
}

// Staff may do something with every job that is within reach, and so may API clients.
func Staff(reach *uuid.UUID) By { return By{side: jobstates.Staff, reach: reach} }

// People may do something with the jobs of the caller's customer.
func People(caller *access.Principal) By {
	return By{side: jobstates.People, customerID: caller.CustomerID, identityID: caller.ID}
}

// Get reads a job.
func Get(ctx context.Context, database db.DBTX, by By, id uuid.UUID) (job Job, err error) {
	if by.side == jobstates.Staff {
		job.Job, err = db.New().JobGet(ctx, database, id, by.reach)
	} else {
		job.Job, err = db.New().JobGetByCustomer(ctx, database, id, by.customerID)
	}
	if err == nil {
		job.Files, err = db.New().JobFileList(ctx, database, []uuid.UUID{id})
	}
	return job, err
}

// lock reads a job for a change and holds it, and that its customer is there, until the transaction ends. People whose login
// is gone, or whose customer is switched off by now, find nothing.
func lock(ctx context.Context, tx *postgres.Tx, by By, id uuid.UUID) (job Job, err error) {
	if err := reach.Hold(ctx, tx); err != nil {
		return job, err
	}
	if by.side == jobstates.Staff {
		job.Job, err = db.New().JobGetForUpdate(ctx, tx, id, tx.Reach)
	} else {
		job.Job, err = db.New().JobGetByCustomerForUpdate(ctx, tx, id, by.customerID, by.identityID)
	}
	if err == nil {
		job.Files, err = db.New().JobFileList(ctx, tx, []uuid.UUID{id})
	}
	return job, err
}

// defaultCopies is how many are printed when nothing is said.
const defaultCopies = 1

// endOfTime is when what is never due is due, for sorting.
var endOfTime = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// Submission is what a caller says of a new job.
type Submission struct {
	Name        string
	Description *string
	Copies      int32 // 0 for the default
	DueAt       *time.Time
}

// NotActive is what the refusal of a job is about: the status of a customer that may submit none.
type NotActive struct{ Status string }

// Submit adds a job to a customer, which must be active.
func Submit(ctx context.Context, tx *postgres.Tx, customerID uuid.UUID, submission Submission) (Job, error) {
	if err := reach.Hold(ctx, tx); err != nil {
		return Job{}, err
	}
	customer, err := db.New().CustomerGetForShare(ctx, tx, customerID, tx.Reach)
	if err != nil {
		return Job{}, err
	}
	if customer.Status != customers.Active {
		return Job{}, &fault.Error{
			Kind: fault.Conflict, Code: "customer_not_active", About: NotActive{customer.Status},
			Detail: "The customer is " + customer.Status + "; jobs are submitted for active customers only.",
		}
	}
	return insert(ctx, tx, customerID, submission)
}

// SubmitOwn adds a job to the caller's customer, which is active with that. A caller whose login is gone finds nothing, and
// so does one whose customer is switched off by now.
func SubmitOwn(ctx context.Context, tx *postgres.Tx, caller *access.Principal, submission Submission) (Job, error) {
	customer, err := db.New().CustomerGetForShareByIdentity(ctx, tx, caller.ID)
	if err != nil {
		return Job{}, err
	}
	if customer.Status != customers.Active || customer.ID != caller.CustomerID {
		return Job{}, fault.NoSuchResource()
	}
	job, err := insert(ctx, tx, customer.ID, submission)
	if err != nil {
		return Job{}, err
	}
	return job, db.New().CustomerActivityUpsert(ctx, tx, customer.ID, tx.Now)
}

func insert(ctx context.Context, tx *postgres.Tx, customerID uuid.UUID, submission Submission) (Job, error) {
	job := db.Job{
		Name: submission.Name, Description: submission.Description, Copies: cmp.Or(submission.Copies, defaultCopies),
		DueAt: submission.DueAt,
	}
	normalize(&job)
	row, err := db.New().JobInsert(ctx, tx, db.JobInsertParams{
		ID: uuid.Must(uuid.NewV7()), CustomerID: customerID, Name: job.Name, Description: job.Description,
		Copies: job.Copies, DueAt: job.DueAt, Status: jobstates.New, CreatedAt: tx.Now, NameKey: job.NameKey,
		DueKey: job.DueKey, SearchText: job.SearchText,
	})
	if err != nil {
		return Job{}, err
	}
	created := Job{Job: row, Files: []db.JobFile{}}
	return created, record(ctx, tx, "created", nil, &created)
}

// normalize fills in what follows from the other fields.
func normalize(job *db.Job) {
	job.NameKey = textfold.Key(job.Name)
	job.DueKey = endOfTime
	if job.DueAt != nil {
		job.DueKey = *job.DueAt
	}
	search := []string{job.Name}
	if job.Description != nil {
		search = append(search, *job.Description)
	}
	job.SearchText = textfold.SearchText(search...)
}

// Patch is what to change of a job (RFC 7396): what is not specified stays, null clears.
type Patch struct {
	Name        *string
	Description nullable.Nullable[string]
	Copies      *int32
	DueAt       nullable.Nullable[time.Time]
}

func (p Patch) apply(job db.Job) db.Job {
	if p.Name != nil {
		job.Name = *p.Name
	}
	if p.Copies != nil {
		job.Copies = *p.Copies
	}
	mergepatch.Set(&job.Description, p.Description)
	mergepatch.Set(&job.DueAt, p.DueAt)
	normalize(&job)
	return job
}

// same tells whether nothing has changed.
func same(before, edited db.Job) bool {
	return before.Name == edited.Name && mergepatch.Same(before.Description, edited.Description) && before.Copies == edited.Copies &&
		(before.DueAt == nil) == (edited.DueAt == nil) && before.DueKey.Equal(edited.DueKey)
}

// Update changes a job. Nothing is written when the patch changes nothing.
func Update(
	ctx context.Context, tx *postgres.Tx, by By, id uuid.UUID, versions etag.Versions, patch Patch,
) (Job, error) {
	before, err := lock(ctx, tx, by, id)
	if err != nil {
		return Job{}, err
	}
	if err := versions.Check(before.Version); err != nil {
		return Job{}, err
	}
	edited := patch.apply(before.Job)
	if same(before.Job, edited) {
		return before, nil
	}
	if err := before.State().Check(by.side, jobstates.Edit); err != nil {
		return Job{}, err
	}
	row, err := db.New().JobUpdate(ctx, tx, db.JobUpdateParams{
		ID: id, Name: edited.Name, Description: edited.Description, Copies: edited.Copies, DueAt: edited.DueAt,
		UpdatedAt: tx.Now, NameKey: edited.NameKey, DueKey: edited.DueKey, SearchText: edited.SearchText,
	})
	if err != nil {
		return Job{}, err
	}
	after := Job{Job: row, Files: before.Files}
	return after, record(ctx, tx, "updated", &before, &after)
}

// Move gives a job another status, as the table of moves has it. Nothing is written when it has that status already.
func Move(ctx context.Context, tx *postgres.Tx, id uuid.UUID, versions etag.Versions, to string) (Job, error) {
	before, err := lock(ctx, tx, Staff(tx.Reach), id)
	if err != nil {
		return Job{}, err
	}
	if err := versions.Check(before.Version); err != nil {
		return Job{}, err
	}
	if err := before.State().CheckMove(to); err != nil || to == before.Status {
		return before, err
	}
	row, err := db.New().JobSetStatus(ctx, tx, to, tx.Now, id)
	if err != nil {
		return Job{}, err
	}
	after := Job{Job: row, Files: before.Files}
	return after, record(ctx, tx, "status_changed", &before, &after)
}

// Delete removes a job and its files, whose bytes go once nothing refers to them.
func Delete(ctx context.Context, tx *postgres.Tx, by By, id uuid.UUID, versions etag.Versions) error {
	job, err := lock(ctx, tx, by, id)
	if err != nil {
		return err
	}
	if err := versions.Check(job.Version); err != nil {
		return err
	}
	if err := job.State().Check(by.side, jobstates.Delete); err != nil {
		return err
	}
	if err := db.New().JobDelete(ctx, tx, id); err != nil {
		return err
	}
	return record(ctx, tx, "deleted", &job, nil)
}

// snapshot is a job as events show it. A new column is in no event until it is here.
type snapshot struct {
	ID          uuid.UUID      `json:"id"`
	CustomerID  uuid.UUID      `json:"customer_id"`
	Name        string         `json:"name"`
	Description *string        `json:"description"`
	Copies      int32          `json:"copies"`
	DueAt       *time.Time     `json:"due_at"`
	Status      string         `json:"status"`
	Files       []fileSnapshot `json:"files"`
	RestoredAt  *time.Time     `json:"restored_at"`
	Version     int64          `json:"version"`
	CreatedAt   time.Time      `json:"created_at"`
	UpdatedAt   time.Time      `json:"updated_at"`
}

type fileSnapshot struct {
	Kind        string    `json:"kind"`
	Filename    string    `json:"filename"`
	ContentType string    `json:"content_type"`
	Size        int64     `json:"size"`
	SHA256      string    `json:"sha256"`
	UploadedAt  time.Time `json:"uploaded_at"`
}

func snapshotOf(j *Job) snapshot {
	files := make([]fileSnapshot, len(j.Files))
	for i, f := range j.Files {
		files[i] = fileSnapshot{f.Kind, f.Filename, f.ContentType, f.Size, hex.EncodeToString(f.Sha256), f.UploadedAt}
	}
	return snapshot{
		j.ID, j.CustomerID, j.Name, j.Description, j.Copies, j.DueAt, j.Status, files, j.RestoredAt, j.Version, j.CreatedAt,
		j.UpdatedAt,
	}
}

func record(ctx context.Context, tx *postgres.Tx, what string, before, after *Job) error {
	event := events.Event{Kind: events.Job, What: what}
	if before != nil {
		event.Before = snapshotOf(before)
		event.ResourceID, event.CustomerID, event.Version = before.ID, &before.CustomerID, before.Version+1
	}
	if after != nil {
		event.After = snapshotOf(after)
		event.ResourceID, event.CustomerID, event.Version = after.ID, &after.CustomerID, after.Version
	}
	return events.Append(ctx, tx, event)
}
