package customers

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/secrets"
)

const (
	confirmationLifetime = 10 * time.Minute
	confirmationPurpose  = "deletion confirmations"
	confirmationPrefix   = "clc_"
	// maxBlockers is how many blockers a plan names.
	maxBlockers = 100
)

// Plan is what deleting a customer would do.
type Plan struct {
	Customer db.Customer
	Notes    int64
	Blockers []Blocker
	Token    string // confirms this very plan; "" while something stands in the way
}

// Blocker is something that must go before the customer can.
type Blocker struct {
	Code       string
	Kind       string // of the resource
	ResourceID uuid.UUID
	Message    string
}

// MakePlan says what deleting the customer would do. With the customer locked for update it stays true until the
// transaction ends.
func MakePlan(ctx context.Context, database db.DBTX, keyring *secrets.Keyring, now time.Time, customer db.Customer) (Plan, error) {
	plan := Plan{Customer: customer, Blockers: []Blocker{}}
	var err error
	if plan.Notes, err = db.New().NoteCount(ctx, database, customer.ID); err != nil {
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
	if len(plan.Blockers) == 0 {
		plan.Token = plan.confirmation(now.Add(confirmationLifetime)).sign(keyring)
	}
	return plan, nil
}

// Remove deletes the customer when the token confirms the plan as it is now, under lock, and erases what the change log
// knows of it. Otherwise it answers with a fault that Refusal can put the plan into.
func Remove(
	ctx context.Context, tx *postgres.Tx, keyring *secrets.Keyring, id uuid.UUID, versions etag.Versions, token string,
) error {
	customer, err := db.New().CustomerGetForUpdate(ctx, tx, id)
	if err != nil {
		return err
	}
	if err := versions.Check(customer.Version); err != nil {
		return err
	}
	plan, err := MakePlan(ctx, tx, keyring, tx.Now, customer)
	if err != nil {
		return err
	}
	if len(plan.Blockers) > 0 {
		return &Refusal{Plan: plan, Fault: blocked(len(plan.Blockers))}
	}
	if !plan.confirmedBy(keyring, tx.Now, token) {
		return &Refusal{Plan: plan, Fault: unconfirmed(token)}
	}
	if err := db.New().CustomerDelete(ctx, tx, id); err != nil {
		return err
	}
	if err := db.New().EventEraseCustomer(ctx, tx, &id); err != nil {
		return err
	}
	return events.Append(ctx, tx, events.Event{
		Kind: events.Customer, What: "deleted", ResourceID: id, CustomerID: &id, Version: customer.Version + 1,
	})
}

// Refusal is a deletion that did not happen, with the plan that says why.
type Refusal struct {
	Plan  Plan
	Fault *fault.Error
}

// Error describes the refusal for the log.
func (r *Refusal) Error() string { return r.Fault.Error() }

// Unwrap gives the fault.
func (r *Refusal) Unwrap() error { return r.Fault }

func blocked(blockers int) *fault.Error {
	number := fmt.Sprintf("%d child customers", blockers)
	switch blockers {
	case 1:
		number = "1 child customer"
	case maxBlockers:
		number = fmt.Sprintf("%d child customers or more", blockers)
	}
	return &fault.Error{
		Kind: fault.Conflict, Code: "deletion_blocked", Detail: "The customer has " + number + ".",
	}
}

func unconfirmed(token string) *fault.Error {
	detail := "Deleting is for good. Send the confirmation token to do it."
	if token != "" {
		detail = "The confirmation token is not for the customer as it is now, or has expired. Look at the plan again."
	}
	return &fault.Error{Kind: fault.ConfirmationRequired, Code: "confirmation_required", Detail: detail}
}

// confirmation is what a token says: delete this customer in this version with this much that belongs to it, until then.
type confirmation struct {
	CustomerID uuid.UUID `json:"c"`
	Version    int64     `json:"v"`
	Notes      int64     `json:"n"`
	Expires    int64     `json:"e"` // Unix seconds
}

func (p *Plan) confirmation(expires time.Time) confirmation {
	return confirmation{
		CustomerID: p.Customer.ID, Version: p.Customer.Version, Notes: p.Notes, Expires: expires.Unix(),
	}
}

func (c confirmation) sign(keyring *secrets.Keyring) string {
	message, _ := json.Marshal(c) // numbers and an id
	signed := slices.Concat(message, keyring.Sign(confirmationPurpose, message))
	return confirmationPrefix + base64.RawURLEncoding.EncodeToString(signed)
}

func (p *Plan) confirmedBy(keyring *secrets.Keyring, now time.Time, token string) bool {
	text, ok := strings.CutPrefix(token, confirmationPrefix)
	signed, err := base64.RawURLEncoding.DecodeString(text)
	const signature = 32
	if !ok || err != nil || len(signed) <= signature {
		return false
	}
	message := signed[:len(signed)-signature]
	var said confirmation
	if !keyring.Verify(confirmationPurpose, message, signed[len(signed)-signature:]) ||
		json.Unmarshal(message, &said) != nil {
		return false
	}
	return now.Unix() < said.Expires && said == p.confirmation(time.Unix(said.Expires, 0))
}

// GetPlan says what deleting the customer would do, from one moment's view of it.
func GetPlan(
	ctx context.Context, database *postgres.DB, keyring *secrets.Keyring, id uuid.UUID, versions etag.Versions,
) (plan Plan, err error) {
	err = database.Snapshot(ctx, func(tx pgx.Tx) error {
		customer, err := db.New().CustomerGet(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := versions.Check(customer.Version); err != nil {
			return err
		}
		plan, err = MakePlan(ctx, tx, keyring, database.Now(), customer)
		return err
	})
	return plan, err
}
