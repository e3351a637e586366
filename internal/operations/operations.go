// Package operations does work that takes longer than a request: in steps, each a transaction in which what was done, how
// far it got and the job of the next step are written together. So nothing is done twice and nothing is lost, whichever
// replica dies at whichever moment. What the steps do is known by the runners of each kind, and by nothing here.
package operations

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/blobs"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/listing"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/queue"
	"github.com/clientele-api/clientele/internal/reach"
)

// The kinds of operation.
const (
	CustomerImport     = "customer_import"
	DomainImport       = "domain_import"
	CustomerBulkDelete = "customer_bulk_delete"
)

// startScopes says which scope starts a kind of operation, and shows it.
var startScopes = map[string]access.Scope{
	CustomerImport:     "customers:write",
	DomainImport:       "domains:write",
	CustomerBulkDelete: "customers:write",
}

// visibleKinds gives the kinds of operation that the caller may know of.
func visibleKinds(caller *access.Principal) []string {
	kinds := []string{}
	for kind, scope := range startScopes {
		if caller.Has(scope) {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds) // cursors are for lists of the same kinds, in the same order
	return kinds
}

// The states of an operation. The last three are final.
const (
	Queued    = "queued"
	Running   = "running"
	Succeeded = "succeeded"
	Failed    = "failed"
	Cancelled = "cancelled"
)

// Service starts operations and does their steps.
type Service struct {
	db      *postgres.DB
	queue   *queue.Queue
	blobs   *blobs.Store
	log     *slog.Logger
	runners map[string]Runner
}

// New makes a service that does the kinds of operation that have a runner. Its workers are added to the queue.
func New(database *postgres.DB, q *queue.Queue, store *blobs.Store, log *slog.Logger, runners map[string]Runner) *Service {
	s := &Service{db: database, queue: q, blobs: store, log: log, runners: runners}
	queue.AddWorker(q, &stepWorker{service: s})
	queue.AddWorker(q, &cleanUpWorker{service: s})
	return s
}

// Input is what a new operation is to do.
type Input struct {
	Kind       string
	CustomerID *uuid.UUID // that it is for; nil where no single customer is meant
	DryRun     bool
	Settings   any     // for the runner, kept as JSON until the operation is done
	SpoolKey   *string // the blob that it reads
	BytesTotal *int64  // of that
	RowsTotal  *int64  // nil where it is not known
	Long       bool    // whether the first step may take more than a minute
	Token      string  // that it is started with, which starts no other; "" for none
}

// Start begins an operation on behalf of whoever makes the change. It is done after the commit. With a token that has
// started one before, that one is given.
func (s *Service) Start(ctx context.Context, tx *postgres.Tx, input Input) (db.Operation, error) {
	settings, err := json.Marshal(input.Settings)
	if err != nil {
		return db.Operation{}, fmt.Errorf("encoding the settings of an operation: %w", err)
	}
	params := db.OperationInsertParams{
		ID: uuid.Must(uuid.NewV7()), Kind: input.Kind, CustomerID: input.CustomerID, DryRun: input.DryRun,
		Settings: settings, IsLong: input.Long, SpoolKey: input.SpoolKey, BytesTotal: input.BytesTotal, RowsTotal: input.RowsTotal,
		CreatedByKind: tx.Actor.Kind, CreatedByID: tx.Actor.ID, CreatedByName: tx.Actor.Name, CreatedAt: tx.Now,
		Reach: tx.Reach,
	}
	if tx.RequestID != "" {
		params.RequestID = &tx.RequestID
	}
	if input.Token != "" {
		hash := sha256.Sum256([]byte(input.Token))
		key := uuid.UUID(hash[:16])
		params.StartKey = &key
	}
	started, err := db.New().OperationInsert(ctx, tx, params)
	if errors.Is(err, pgx.ErrNoRows) {
		return db.New().OperationGetByStartKey(ctx, tx, params.StartKey)
	}
	if err != nil {
		return started, err
	}
	about(tx, started)
	return started, s.queue.Enqueue(ctx, tx, stepArgs{OperationID: started.ID, Long: input.Long})
}

// about says whom an answer with the operation in it is about: it is seen by who reaches that customer.
func about(tx *postgres.Tx, operation db.Operation) {
	if customer := cmp.Or(operation.CustomerID, operation.Reach); customer != nil {
		tx.About(*customer)
	}
}

// Filter says which operations are meant; the zero value means all that the caller may know of.
type Filter struct {
	Kind       *string    `json:"kind,omitempty"`
	State      *string    `json:"state,omitempty"`
	CustomerID *uuid.UUID `json:"customer_id,omitempty"`
	Kinds      []string   `json:"kinds"`           // that the caller may know of
	Reach      *uuid.UUID `json:"reach,omitempty"` // of the caller
}

func (f Filter) where() postgres.Where {
	var where postgres.Where
	where.And("kind = ANY (" + where.Arg(f.Kinds) + ")")
	if f.Kind != nil {
		where.And("kind = " + where.Arg(*f.Kind))
	}
	if f.State != nil {
		where.And("state = " + where.Arg(*f.State))
	}
	if f.CustomerID != nil {
		where.And("customer_id = " + where.Arg(*f.CustomerID))
	}
	reach.And(&where, "coalesce(customer_id, reach)", f.Reach)
	return where
}

// list is the list of operations, without what only their runners read.
var list = listing.List[db.Operation]{
	Resource: "operations", From: "operations",
	Columns: `id, kind, customer_id, dry_run, state, NULL::json AS settings, spool_key, NULL::text[] AS columns,
		start_key, is_long, step, NULL::json AS place, rows_total,
		rows_read, rows_created, rows_updated, rows_deleted, rows_skipped, rows_refused, bytes_total, bytes_read, failure_code,
		failure_message, created_by_kind, created_by_id, created_by_name, request_id, version, created_at, started_at,
		updated_at, finished_at, reach`,
	ID: func(o db.Operation) uuid.UUID { return o.ID },
	Orders: map[string]listing.Order[db.Operation]{
		"created_at": {Column: "created_at", Time: func(o db.Operation) time.Time { return o.CreatedAt }},
	},
}

// List reads a page of the operations that the caller may know of. Sort names an order, with a minus before it to turn it
// round.
func List(
	ctx context.Context, database *postgres.DB, caller *access.Principal, filter Filter, sort string, page paging.Request,
) (paging.Page[db.Operation], error) {
	filter.Kinds, filter.Reach = visibleKinds(caller), caller.Reach()
	return list.Read(ctx, database, filter, filter.where, sort, page)
}

// Get reads an operation that the caller may know of.
func Get(ctx context.Context, database db.DBTX, caller *access.Principal, id uuid.UUID) (db.Operation, error) {
	return db.New().OperationGetVisible(ctx, database, id, visibleKinds(caller), caller.Reach())
}

// Cancel ends an operation that is not done. What its steps have done stays, but for one that is under way, which is
// undone.
func (s *Service) Cancel(
	ctx context.Context, tx *postgres.Tx, caller *access.Principal, id uuid.UUID, versions etag.Versions,
) (db.Operation, error) {
	operation, err := db.New().OperationGetVisibleForNoKeyUpdate(ctx, tx, id, visibleKinds(caller), tx.Reach)
	if err != nil {
		return operation, err
	}
	if err := versions.Check(operation.Version); err != nil {
		return operation, err
	}
	if operation.FinishedAt != nil {
		return operation, &fault.Error{
			Kind: fault.Conflict, Code: "operation_finished", Detail: "The operation is " + operation.State + " already.",
		}
	}
	if err := s.finish(ctx, tx, operation, Cancelled, nil); err != nil {
		return operation, err
	}
	about(tx, operation)
	return db.New().OperationGet(ctx, tx, id)
}

// finish ends an operation, and has what it left behind cleaned up.
func (s *Service) finish(ctx context.Context, tx *postgres.Tx, operation db.Operation, state string, why *Failure) error {
	params := db.OperationFinishParams{ID: operation.ID, State: state, FinishedAt: s.db.Now()}
	if why != nil {
		params.FailureCode, params.FailureMessage = &why.Code, &why.Message
	}
	finished, err := db.New().OperationFinish(ctx, tx, params)
	if err != nil {
		return err
	}
	if finished == 0 {
		return errElsewhere
	}
	return s.queue.Enqueue(ctx, tx, cleanUpArgs{OperationID: operation.ID, SpoolKey: operation.SpoolKey})
}

// Pace tells how many rows an operation reads in a second, nil before the first ones, and when it is likely to end, nil
// when it has ended or nothing is known of that.
func Pace(operation db.Operation) (perSecond *float64, endsAt *time.Time) {
	if operation.StartedAt == nil || operation.RowsRead == 0 {
		return nil, nil
	}
	took := operation.UpdatedAt.Sub(*operation.StartedAt)
	if took <= 0 {
		return nil, nil
	}
	pace := math.Round(float64(operation.RowsRead)/took.Seconds()*10) / 10
	done, total := operation.RowsRead, operation.RowsTotal
	if operation.BytesTotal != nil {
		done, total = operation.BytesRead, operation.BytesTotal
	}
	if operation.FinishedAt != nil || total == nil || done == 0 {
		return &pace, nil
	}
	left := time.Duration(float64(took) * float64(*total-done) / float64(done))
	end := operation.UpdatedAt.Add(left).Truncate(time.Second)
	return &pace, &end
}
