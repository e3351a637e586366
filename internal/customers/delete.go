package customers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/apiclients"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/idempotency"
	"github.com/clientele-api/clientele/internal/jobstates"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/reach"
	"github.com/clientele-api/clientele/internal/secrets"
	"github.com/clientele-api/clientele/internal/sessions"
)

// maxBlockers is how many blockers a plan names.
const maxBlockers = 100

// DeletionPlan is what deleting a customer would do.
type DeletionPlan struct {
	Customer db.Customer
	Counts   Counts
	Blockers []Blocker
	Token    string // confirms this very plan; "" while something stands in the way
}

// Counts is how much would go with a customer.
type Counts struct {
	Identities, Sessions int64
	Jobs                 map[string]int64 // by their status; one that no job has may be missing
	Files, Bytes         int64            // of the jobs
	Domains, Publishings int64
	Notes, APIClients    int64
}

// Blocker is something that must go before the customer can.
type Blocker struct {
	Code       string
	Kind       string // of the resource
	ResourceID uuid.UUID
	Message    string
}

// PlanDeletion says what deleting the customer would do, from one moment's view of it.
func PlanDeletion(
	ctx context.Context, database *postgres.DB, keyring *secrets.Keyring, reach *uuid.UUID, id uuid.UUID, versions etag.Versions,
) (plan DeletionPlan, err error) {
	err = database.Snapshot(ctx, func(tx pgx.Tx) error {
		customer, err := db.New().CustomerGet(ctx, tx, id, reach)
		if err != nil {
			return err
		}
		if err := versions.Check(customer.Version); err != nil {
			return err
		}
		plan, err = planFor(ctx, tx, customer, database.Now())
		return err
	})
	return plan.withToken(keyring, database.Now()), err
}

// planFor looks at what belongs to the customer. With the customer locked for update it stays true until the
// transaction ends.
func planFor(ctx context.Context, database db.DBTX, customer db.Customer, now time.Time) (DeletionPlan, error) {
	plan := DeletionPlan{Customer: customer, Blockers: []Blocker{}}
	var err error
	if plan.Counts, err = count(ctx, database, customer.ID, now); err != nil {
		return plan, err
	}
	children, err := db.New().CustomerChildIDs(ctx, database, &customer.ID, maxBlockers)
	if err != nil {
		return plan, err
	}
	for _, child := range children {
		plan.Blockers = append(plan.Blockers, Blocker{
			Code: "child_customer", Kind: events.Customer, ResourceID: child,
			Message: "Move or delete the child customer first.",
		})
	}
	jobs, err := db.New().JobListBlocking(ctx, database, customer.ID, jobstates.Deletable(), int32(maxBlockers-len(children)))
	for _, job := range jobs {
		plan.Blockers = append(plan.Blockers, jobThatStays(job.ID, job.Status))
	}
	return plan, err
}

// jobThatStays is the blocker that a job is whose status does not let it go with its customer. There is one such status.
func jobThatStays(id uuid.UUID, status string) Blocker {
	return Blocker{
		Code: "job_processing", Kind: events.Job, ResourceID: id, Message: "The job is " + status + ". Complete it or put it back first.",
	}
}

func count(ctx context.Context, database db.DBTX, id uuid.UUID, now time.Time) (counts Counts, err error) {
	if counts.Identities, err = db.New().IdentityCountByCustomer(ctx, database, id); err != nil {
		return counts, err
	}
	if counts.Sessions, err = db.New().SessionCountByCustomer(ctx, database, id, now); err != nil {
		return counts, err
	}
	jobs, err := db.New().JobCountByCustomer(ctx, database, id)
	if err != nil {
		return counts, err
	}
	counts.Jobs = map[string]int64{}
	for _, row := range jobs {
		counts.Jobs[row.Status] = row.Count
	}
	files, err := db.New().JobFileSumByCustomer(ctx, database, id)
	if err != nil {
		return counts, err
	}
	counts.Files, counts.Bytes = files.Files, files.Bytes
	if counts.Domains, err = db.New().DomainCountByCustomer(ctx, database, id); err != nil {
		return counts, err
	}
	if counts.Publishings, err = db.New().PublishingCountByCustomer(ctx, database, id); err != nil {
		return counts, err
	}
	if counts.APIClients, err = db.New().ApiClientCountByCustomer(ctx, database, &id); err != nil {
		return counts, err
	}
	counts.Notes, err = db.New().NoteCount(ctx, database, id)
	return counts, err
}

// Delete removes the customer when the token confirms the plan as it is now, under lock, and erases what the change log
// knows of it. A refusal is about the plan.
func Delete(
	ctx context.Context, tx *postgres.Tx, keyring *secrets.Keyring, id uuid.UUID, versions etag.Versions, token string,
) error {
	if err := reach.Hold(ctx, tx); err != nil {
		return err
	}
	customer, err := db.New().CustomerGetForUpdate(ctx, tx, id, tx.Reach)
	if err != nil {
		return err
	}
	if err := versions.Check(customer.Version); err != nil {
		return err
	}
	plan, err := planFor(ctx, tx, customer, tx.Now)
	if err != nil {
		return err
	}
	if len(plan.Blockers) > 0 {
		return blocked(plan)
	}
	if !plan.confirmedBy(keyring, tx.Now, token) {
		return unconfirmed(plan.withToken(keyring, tx.Now), token)
	}
	return erase(ctx, tx, customer)
}

// erase removes customers that are locked for update and have nothing that stands in the way, and what the change log
// knows of them. That they were deleted stays.
func erase(ctx context.Context, tx *postgres.Tx, gone ...db.Customer) error {
	ids := make([]uuid.UUID, len(gone))
	deletions := make([]events.Event, len(gone))
	for i, customer := range gone {
		ids[i] = customer.ID
		deletions[i] = events.Event{
			Kind: events.Customer, What: "deleted", ResourceID: customer.ID, CustomerID: &ids[i], Version: customer.Version + 1,
		}
	}
	lines, err := db.New().CustomerLines(ctx, tx, ids)
	if err != nil {
		return err
	}
	for _, customer := range lines {
		deletions[slices.Index(ids, customer.ID)].Ancestors = customer.Line
	}
	if err := sessions.EndAllOfCustomers(ctx, tx, ids...); err != nil {
		return err
	}
	if err := apiclients.EndAllOfCustomers(ctx, tx, ids...); err != nil {
		return err
	}
	if err := db.New().CustomerDeleteAll(ctx, tx, ids); err != nil {
		return err
	}
	if err := events.EraseCustomers(ctx, tx, ids); err != nil {
		return err
	}
	if err := idempotency.Erase(ctx, tx, ids...); err != nil {
		return err
	}
	return events.AppendAll(ctx, tx, deletions)
}

func blocked(plan DeletionPlan) error {
	children, jobs := 0, 0
	for _, blocker := range plan.Blockers {
		if blocker.Kind == events.Customer {
			children++
		} else {
			jobs++
		}
	}
	var has []string
	if children > 0 {
		has = append(has, number(children, "child customer"))
	}
	if jobs > 0 {
		has = append(has, number(jobs, "job")+" in the way")
	}
	detail := "The customer has " + strings.Join(has, " and ")
	if len(plan.Blockers) == maxBlockers {
		detail += ", or more"
	}
	return &fault.Error{Kind: fault.Conflict, Code: "deletion_blocked", Detail: detail + ".", About: plan}
}

func number(count int, what string) string {
	if count == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", count, what)
}

func unconfirmed(plan DeletionPlan, token string) error {
	detail := "Deleting is for good. Send the confirmation token to do it."
	if token != "" {
		detail = "The confirmation token is not for the customer as it is now, or has expired. Look at the plan again."
	}
	return &fault.Error{Kind: fault.ConfirmationRequired, Code: "confirmation_required", Detail: detail, About: plan}
}
