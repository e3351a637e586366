package jobs

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/listing"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/reach"
)

// Filter says which jobs are meant; the zero value means all of them.
type Filter struct {
	Query         string     `json:"q,omitempty"`
	CustomerID    *uuid.UUID `json:"customer_id,omitempty"`
	Reach         *uuid.UUID `json:"reach,omitempty"` // of the caller
	Status        *string    `json:"status,omitempty"`
	CreatedAfter  *time.Time `json:"created_after,omitempty"`
	CreatedBefore *time.Time `json:"created_before,omitempty"`
}

func (f Filter) where() postgres.Where {
	var where postgres.Where
	if f.Query != "" {
		listing.Search(&where, f.Query)
	}
	if f.CustomerID != nil {
		where.And("customer_id = " + where.Arg(*f.CustomerID))
	}
	reach.And(&where, "customer_id", f.Reach)
	if f.Status != nil {
		where.And("status = " + where.Arg(*f.Status))
	}
	if f.CreatedAfter != nil {
		where.And("created_at > " + where.Arg(*f.CreatedAfter))
	}
	if f.CreatedBefore != nil {
		where.And("created_at < " + where.Arg(*f.CreatedBefore))
	}
	return where
}

// list is the list of jobs, in the orders of the contract.
var list = listing.List[db.Job]{
	Resource: "jobs", From: "jobs",
	Columns: `id, customer_id, name, description, copies, due_at, status, restored_at, version, created_at, updated_at,
		name_key, due_key, '' AS search_text`,
	ID: func(j db.Job) uuid.UUID { return j.ID },
	Orders: map[string]listing.Order[db.Job]{
		"created_at": {Column: "created_at", Time: func(j db.Job) time.Time { return j.CreatedAt }},
		"updated_at": {Column: "updated_at", Time: func(j db.Job) time.Time { return j.UpdatedAt }},
		"due_at":     {Column: "due_key", Time: func(j db.Job) time.Time { return j.DueKey }},
		"name":       {Column: "name_key", Text: func(j db.Job) string { return j.NameKey }},
	},
}

// List reads a page of the jobs that are meant, with their files. Sort names an order, with a minus before it to turn it
// round.
func List(
	ctx context.Context, database *postgres.DB, filter Filter, sort string, page paging.Request,
) (paging.Page[Job], error) {
	found, err := list.Read(ctx, database, filter, filter.where, sort, page)
	if err != nil {
		return paging.Page[Job]{}, err
	}
	rows, err := withFiles(ctx, database, found.Rows)
	return paging.Page[Job]{Rows: rows, Next: found.Next, Total: found.Total}, err
}

// withFiles gives the jobs with their files.
func withFiles(ctx context.Context, database db.DBTX, rows []db.Job) ([]Job, error) {
	found := make([]Job, len(rows))
	ids := make([]uuid.UUID, len(rows))
	places := map[uuid.UUID]int{}
	for i, row := range rows {
		found[i], ids[i], places[row.ID] = Job{Job: row, Files: []db.JobFile{}}, row.ID, i
	}
	if len(rows) == 0 {
		return found, nil
	}
	files, err := db.New().JobFileList(ctx, database, ids)
	for _, file := range files {
		job := &found[places[file.JobID]]
		job.Files = append(job.Files, file)
	}
	return found, err
}

// ListOfCustomer is List for the jobs of one customer, which must be there.
func ListOfCustomer(
	ctx context.Context, database *postgres.DB, customerID uuid.UUID, filter Filter, sort string, page paging.Request,
) (paging.Page[Job], error) {
	filter.CustomerID = &customerID
	found, err := List(ctx, database, filter, sort, page)
	if err == nil && len(found.Rows) == 0 {
		_, err = db.New().CustomerFind(ctx, database, customerID, filter.Reach)
	}
	return found, err
}

// ListOwn is List for the jobs of the caller's customer.
func ListOwn(
	ctx context.Context, database *postgres.DB, caller *access.Principal, filter Filter, sort string, page paging.Request,
) (paging.Page[Job], error) {
	filter.CustomerID = &caller.CustomerID
	return List(ctx, database, filter, sort, page)
}
