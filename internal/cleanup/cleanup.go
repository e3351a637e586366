// Package cleanup deletes many customers at once, after a plan that was confirmed, as an operation. Which customers a
// selection means and what keeps one from being deleted, package customers knows.
package cleanup

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/operations"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/secrets"
)

const (
	confirmationLifetime = 10 * time.Minute
	confirmationPurpose  = "bulk deletion confirmations"
	confirmationPrefix   = "clb_"
)

// Plan is what a bulk deletion would do, with the token that confirms it; "" when there is nothing to delete.
type Plan struct {
	customers.BulkPlan
	Token string
}

// confirmation is what a token says: delete the customers of this selection, as it was at that moment, until then.
type confirmation struct {
	Selection string `json:"s"` // a hash of it
	Moment    int64  `json:"m"` // in microseconds
	Customers int64  `json:"n"`
	Expires   int64  `json:"e"` // Unix seconds
}

// Service plans and starts bulk deletions.
type Service struct {
	db         *postgres.DB
	keyring    *secrets.Keyring
	operations *operations.Service
}

// New makes a service.
func New(database *postgres.DB, keyring *secrets.Keyring, service *operations.Service) *Service {
	return &Service{db: database, keyring: keyring, operations: service}
}

// Plan says what deleting the customers of a selection would do as things are.
func (s *Service) Plan(ctx context.Context, selection customers.Selection) (Plan, error) {
	var err error
	if selection.Moment, err = customers.SettledMoment(ctx, s.db); err != nil {
		return Plan{}, err
	}
	found, err := customers.PlanBulkDeletion(ctx, s.db, selection)
	plan := Plan{BulkPlan: found}
	if err == nil && found.Customers > found.Blocked {
		plan.Token = s.keyring.SignStatement(confirmationPurpose, confirmationPrefix, confirmation{
			Selection: hashOf(selection), Moment: selection.Moment.UnixMicro(), Customers: found.Customers,
			Expires: s.db.Now().Add(confirmationLifetime).Unix(),
		})
	}
	return plan, err
}

// hashOf tells one selection from another, whatever its moment.
func hashOf(selection customers.Selection) string {
	selection.Moment = time.Time{}
	encoded, _ := json.Marshal(selection) // texts, times and ids
	hash := sha256.Sum256(encoded)
	return base64.RawURLEncoding.EncodeToString(hash[:16])
}

// Confirmed is a selection that may be deleted.
type Confirmed struct {
	selection customers.Selection
	customers int64
	token     string
}

// Confirm takes the token of a plan of this very selection. Without one, or with one that has expired, the fault is about
// a fresh plan.
func (s *Service) Confirm(ctx context.Context, selection customers.Selection, token string) (Confirmed, error) {
	var said confirmation
	genuine := s.keyring.ReadStatement(confirmationPurpose, confirmationPrefix, token, &said)
	if genuine && s.db.Now().Unix() < said.Expires && said.Selection == hashOf(selection) {
		selection.Moment = time.UnixMicro(said.Moment).UTC()
		return Confirmed{selection: selection, customers: said.Customers, token: token}, nil
	}
	plan, err := s.Plan(ctx, selection)
	if err != nil {
		return Confirmed{}, err
	}
	detail := "Deleting is for good. Send the confirmation token to do it."
	if token != "" {
		detail = "The confirmation token is not for these customers, or has expired. Look at the plan again."
	}
	return Confirmed{}, &fault.Error{Kind: fault.ConfirmationRequired, Code: "confirmation_required", Detail: detail, About: plan}
}

// Start begins the deletion. A token starts one: sent again, it gives the same.
func (s *Service) Start(ctx context.Context, tx *postgres.Tx, confirmed Confirmed) (db.Operation, error) {
	return s.operations.Start(ctx, tx, operations.Input{
		Kind: operations.CustomerBulkDelete, Settings: confirmed.selection, RowsTotal: &confirmed.customers, Long: true,
		Token: confirmed.token,
	})
}

// chunk is how many customers a step deletes.
const chunk = 200

// place is where a deletion stands.
type place struct {
	Number int64 `json:"number"` // of the last item that is done
}

// Runner does bulk deletions.
type Runner struct{ db *postgres.DB }

// NewRunner makes a runner.
func NewRunner(database *postgres.DB) Runner { return Runner{db: database} }

// Next finds the customers of the next step; those of all of them in the first.
func (r Runner) Next(ctx context.Context, operation db.Operation) (operations.Step, error) {
	var selection customers.Selection
	if err := json.Unmarshal(operation.Settings, &selection); err != nil {
		return nil, fmt.Errorf("reading the settings of a deletion: %w", err)
	}
	if operation.Place == nil {
		return func(ctx context.Context, tx *postgres.Tx) (operations.Progress, error) {
			if err := operations.WithoutLimits(ctx, tx); err != nil {
				return operations.Progress{}, err
			}
			total, err := customers.CollectForDeletion(ctx, tx, operation.ID, selection)
			return operations.Progress{Place: place{}, RowsTotal: &total}, err
		}, nil
	}
	var at place
	if err := json.Unmarshal(operation.Place, &at); err != nil {
		return nil, fmt.Errorf("reading the place of a deletion: %w", err)
	}
	items, err := db.New().OperationItemList(ctx, r.db, operation.ID, at.Number, chunk)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, tx *postgres.Tx) (operations.Progress, error) {
		return remove(ctx, tx, selection, items)
	}, nil
}

// remove deletes the customers of a step.
func remove(
	ctx context.Context, tx *postgres.Tx, selection customers.Selection, items []db.OperationItemListRow,
) (operations.Progress, error) {
	if len(items) == 0 {
		return operations.Progress{}, nil
	}
	ids := make([]uuid.UUID, len(items))
	for i, item := range items {
		ids[i] = item.ResourceID
	}
	deleted, refused, err := customers.DeleteSelected(ctx, tx, selection, ids)
	if err != nil {
		return operations.Progress{}, err
	}
	progress := operations.Progress{
		Place: place{Number: items[len(items)-1].Number}, Read: int64(len(items)), Deleted: int64(deleted),
	}
	for _, id := range ids {
		if why, stays := refused[id]; stays {
			progress.Refusals = append(progress.Refusals, operations.Refusal{
				Kind: "customer", ResourceID: &id, Faults: []operations.Fault{{Code: why.Code, Message: why.Message}},
			})
		}
	}
	return progress, nil
}
