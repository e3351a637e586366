package customers

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/jobstates"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/reach"
)

// Selection says which customers are to be deleted: the ones that are named or, where none is, those that the filter finds.
// It is of a moment: who was changed or found since is not meant. Who is not within the filter's reach is not there, also
// where customers are named.
type Selection struct {
	IDs    []uuid.UUID `json:"ids,omitempty"`
	Filter Filter      `json:"filter"`
	Moment time.Time   `json:"moment"`
}

// meant gives the customers of a selection as a query of their ids and parents and of whether they are there, with its
// arguments. This is SQL in Go since the filter of the list is.
func (s Selection) meant() (query string, args postgres.Where) {
	if s.IDs != nil {
		var within postgres.Where
		ids := within.Arg(s.IDs)
		reach.And(&within, "id", s.Filter.Reach)
		return "SELECT given.id, there.parent_id, there.id IS NOT NULL AS is_there FROM unnest(" + ids +
			"::uuid[]) AS given (id) LEFT JOIN (SELECT id, parent_id FROM customers" + within.SQL() +
			") AS there ON there.id = given.id", within
	}
	filter := s.Filter
	filter.Now = s.Moment
	where := filter.where()
	return "SELECT id, parent_id, true AS is_there FROM customers" + where.SQL(), where
}

// BulkPlan is what deleting the customers of a selection would do.
type BulkPlan struct {
	Customers int64 // that are meant
	Blocked   int64 // that cannot be deleted as things are
	Counts    Counts
	Blockers  []BulkBlocker // the first of them
}

// BulkBlocker is something that keeps a customer from being deleted.
type BulkBlocker struct {
	Blocker
	CustomerID uuid.UUID
}

const (
	// bulkCounts counts what would go. A customer is blocked that is not there, by a job that is in none of these statuses,
	// or by a child that is not meant or is blocked itself.
	bulkCounts = `WITH RECURSIVE meant AS MATERIALIZED (%[1]s), blocked AS (
			SELECT meant.id, meant.parent_id FROM meant JOIN customers child ON child.parent_id = meant.id
			WHERE meant.is_there AND NOT EXISTS (SELECT FROM meant other WHERE other.id = child.id)
			UNION
			SELECT meant.id, meant.parent_id FROM meant WHERE NOT meant.is_there
			UNION
			SELECT meant.id, meant.parent_id FROM meant JOIN jobs ON jobs.customer_id = meant.id WHERE jobs.status <> ALL (%[3]s)
			UNION
			SELECT above.id, above.parent_id FROM blocked JOIN meant above ON above.id = blocked.parent_id
		)
		SELECT (SELECT count(*) FROM meant), (SELECT count(*) FROM blocked),
			(SELECT count(*) FROM identities WHERE customer_id IN (SELECT id FROM meant WHERE is_there)),
			(SELECT count(*) FROM sessions JOIN identities ON identities.id = sessions.identity_id
				WHERE identities.customer_id IN (SELECT id FROM meant WHERE is_there) AND revoked_at IS NULL AND expires_at > %[2]s),
			(SELECT coalesce(jsonb_object_agg(status, number), '{}') FROM (
				SELECT status, count(*) AS number FROM jobs WHERE customer_id IN (SELECT id FROM meant WHERE is_there) GROUP BY status) AS found),
			(SELECT count(*) FROM job_files JOIN jobs ON jobs.id = job_files.job_id WHERE customer_id IN (SELECT id FROM meant WHERE is_there)),
			(SELECT coalesce(sum(size), 0)::bigint FROM job_files JOIN jobs ON jobs.id = job_files.job_id
				WHERE customer_id IN (SELECT id FROM meant WHERE is_there)),
			(SELECT count(*) FROM domains WHERE customer_id IN (SELECT id FROM meant WHERE is_there)),
			(SELECT count(*) FROM publishings WHERE customer_id IN (SELECT id FROM meant WHERE is_there)),
			(SELECT count(*) FROM notes WHERE customer_id IN (SELECT id FROM meant WHERE is_there)),
			(SELECT count(*) FROM api_clients WHERE customer_id IN (SELECT id FROM meant WHERE is_there))`

	// bulkBlockers are those of the meant customers that have a child which is not meant, with one such child, those that
	// have a job in none of these statuses, with one such job and its status, and those that are not there, with themselves.
	bulkBlockers = `WITH RECURSIVE meant AS MATERIALIZED (%[1]s)
		SELECT customer_id, resource_id, is_missing, job_status FROM (
			SELECT DISTINCT ON (meant.id) meant.id AS customer_id, child.id AS resource_id, false AS is_missing, '' AS job_status
			FROM meant JOIN customers child ON child.parent_id = meant.id
			WHERE meant.is_there AND NOT EXISTS (SELECT FROM meant other WHERE other.id = child.id)
			UNION ALL
			SELECT DISTINCT ON (meant.id) meant.id, jobs.id, false, jobs.status
			FROM meant JOIN jobs ON jobs.customer_id = meant.id WHERE meant.is_there AND jobs.status <> ALL (%[2]s)
			UNION ALL
			SELECT meant.id, meant.id, true, '' FROM meant WHERE NOT meant.is_there
		) AS found ORDER BY customer_id, resource_id LIMIT %[3]d`
)

// PlanBulkDeletion says what deleting the customers of the selection would do, from one moment's view of them.
func PlanBulkDeletion(ctx context.Context, database *postgres.DB, selection Selection) (plan BulkPlan, err error) {
	err = database.Snapshot(ctx, func(tx pgx.Tx) error {
		query, where := selection.meant()
		now, deletable := where.Arg(selection.Moment), where.Arg(jobstates.Deletable())
		err := tx.QueryRow(ctx, fmt.Sprintf(bulkCounts, query, now, deletable), where.Args()...).Scan(&plan.Customers,
			&plan.Blocked, &plan.Counts.Identities, &plan.Counts.Sessions, &plan.Counts.Jobs, &plan.Counts.Files,
			&plan.Counts.Bytes, &plan.Counts.Domains, &plan.Counts.Publishings, &plan.Counts.Notes, &plan.Counts.APIClients)
		if err != nil {
			return fmt.Errorf("counting what would be deleted: %w", err)
		}
		query, where = selection.meant()
		deletable = where.Arg(jobstates.Deletable())
		rows, err := tx.Query(ctx, fmt.Sprintf(bulkBlockers, query, deletable, maxBlockers), where.Args()...)
		if err != nil {
			return fmt.Errorf("looking for what is in the way: %w", err)
		}
		found, err := pgx.CollectRows(rows, pgx.RowToStructByName[bulkBlockerRow])
		for _, row := range found {
			plan.Blockers = append(plan.Blockers, BulkBlocker{Blocker: row.blocker(), CustomerID: row.CustomerID})
		}
		return err
	})
	return plan, err
}

// bulkBlockerRow is a row of bulkBlockers.
type bulkBlockerRow struct {
	CustomerID, ResourceID uuid.UUID
	IsMissing              bool
	JobStatus              string // "" when it is no job
}

func (r bulkBlockerRow) blocker() Blocker {
	switch {
	case r.IsMissing:
		return missing(r.ResourceID)
	case r.JobStatus != "":
		return jobThatStays(r.ResourceID, r.JobStatus)
	}
	return childThatStays(r.ResourceID)
}

// SettledMoment gives a moment before which nothing changes any more: now or, while others are writing, when the first of
// them began. What they write is dated then or later, and is not seen by whoever reads before they commit.
func SettledMoment(ctx context.Context, database *postgres.DB) (time.Time, error) {
	now := database.Now()
	var began *time.Time
	if err := database.QueryRow(ctx, oldestWrite).Scan(&began); err != nil {
		return now, fmt.Errorf("looking for writes that are under way: %w", err)
	}
	if began != nil && began.Before(now) {
		now = *began
	}
	return now, nil
}

// oldestWrite is when the first of the transactions began that have written something and are not done; null for none. sqlc
// does not know the view.
const oldestWrite = `SELECT min(xact_start) FROM pg_stat_activity
	WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()`

func childThatStays(id uuid.UUID) Blocker {
	return Blocker{
		Code: "child_customer", Kind: events.Customer, ResourceID: id, Message: "Has a child customer that would stay.",
	}
}

func missing(id uuid.UUID) Blocker {
	return Blocker{Code: "not_found", Kind: events.Customer, ResourceID: id, Message: "There is no such customer."}
}

// collect notes the customers that are meant as what an operation is to do, children before their parents.
const collect = `WITH RECURSIVE meant AS MATERIALIZED (%s), line AS (
		SELECT meant.id AS start, meant.parent_id, 1 AS level FROM meant
		UNION ALL
		SELECT line.start, above.parent_id, line.level + 1 FROM line JOIN customers above ON above.id = line.parent_id
	)
	INSERT INTO operation_items (operation_id, number, resource_id)
	SELECT %s, row_number() OVER (ORDER BY max(level) DESC, start), start FROM line GROUP BY start`

// CollectForDeletion notes which customers an operation is to delete, in the order in which it can, and counts them.
func CollectForDeletion(ctx context.Context, tx *postgres.Tx, operationID uuid.UUID, selection Selection) (int64, error) {
	query, where := selection.meant()
	operation := where.Arg(operationID)
	done, err := tx.Exec(ctx, fmt.Sprintf(collect, query, operation+"::uuid"), where.Args()...)
	if err != nil {
		return 0, fmt.Errorf("collecting what is to be deleted: %w", err)
	}
	return done.RowsAffected(), nil
}

// DeleteSelected deletes those of the customers that nothing stands in the way of and that are as they were at the moment
// of the selection. Of each of the others it tells why it stays.
func DeleteSelected(
	ctx context.Context, tx *postgres.Tx, selection Selection, ids []uuid.UUID,
) (deleted int, refused map[uuid.UUID]Blocker, err error) {
	refused = map[uuid.UUID]Blocker{}
	if err := reach.Hold(ctx, tx); err != nil {
		return 0, nil, err
	}
	present, err := db.New().CustomerListForUpdate(ctx, tx, ids, tx.Reach)
	if err != nil {
		return 0, nil, err
	}
	for _, id := range ids {
		refused[id] = missing(id)
	}
	for _, customer := range present {
		delete(refused, customer.ID)
	}
	if err := selection.refuseChanged(ctx, tx, ids, refused); err != nil {
		return 0, nil, err
	}
	if err := refuseWithJobs(ctx, tx, ids, refused); err != nil {
		return 0, nil, err
	}
	remaining, err := withoutParents(ctx, tx, present, refused)
	if err != nil || len(remaining) == 0 {
		return 0, refused, err
	}
	return len(remaining), refused, erase(ctx, tx, remaining...)
}

func changedSince(id uuid.UUID) Blocker {
	return Blocker{
		Code: "changed_since_plan", Kind: events.Customer, ResourceID: id, Message: "Was changed, or found, after the plan was made.",
	}
}

// refuseChanged refuses customers that are no more what the plan showed, or may be found for something that happened since:
// they were changed, or something that belongs to them was, their people were active, or they came below the ancestor that
// is asked for.
func (s Selection) refuseChanged(ctx context.Context, tx *postgres.Tx, ids []uuid.UUID, refused map[uuid.UUID]Blocker) error {
	changed, err := db.New().CustomerChangedAfter(ctx, tx, ids, s.Moment)
	if err != nil {
		return err
	}
	active, err := db.New().CustomerActiveAfter(ctx, tx, ids, s.Moment)
	if err != nil {
		return err
	}
	changed = append(changed, active...)
	for _, ancestor := range []*uuid.UUID{s.Filter.AncestorID, s.Filter.Reach} {
		if ancestor == nil {
			continue
		}
		moved, err := db.New().CustomerMovedAfter(ctx, tx, *ancestor, s.Moment, ids)
		if err != nil {
			return err
		}
		changed = append(changed, moved...)
	}
	for _, id := range changed {
		if _, already := refused[id]; !already {
			refused[id] = changedSince(id)
		}
	}
	return nil
}

// refuseWithJobs refuses customers with a job that does not go with them.
func refuseWithJobs(ctx context.Context, tx *postgres.Tx, ids []uuid.UUID, refused map[uuid.UUID]Blocker) error {
	jobs, err := db.New().JobListBlockingOfAll(ctx, tx, ids, jobstates.Deletable())
	for _, job := range jobs {
		if _, already := refused[job.CustomerID]; !already {
			refused[job.CustomerID] = jobThatStays(job.ID, job.Status)
		}
	}
	return err
}

// withoutParents gives those of the locked customers that can go together: a customer with a child that stays, stays too.
func withoutParents(
	ctx context.Context, tx *postgres.Tx, present []db.Customer, refused map[uuid.UUID]Blocker,
) ([]db.Customer, error) {
	for {
		present = slices.DeleteFunc(present, func(c db.Customer) bool {
			_, stays := refused[c.ID]
			return stays
		})
		ids := make([]uuid.UUID, len(present))
		for i, customer := range present {
			ids[i] = customer.ID
		}
		parents, err := db.New().CustomerParentsWithOthers(ctx, tx, ids)
		if err != nil || len(parents) == 0 {
			return present, err
		}
		for _, parent := range parents {
			refused[parent.ParentID] = childThatStays(parent.ID)
		}
	}
}
