package customers

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/reach"
	"github.com/clientele-api/clientele/internal/sessions"
)

// The statuses of a customer.
const (
	Unregistered = "unregistered" // no login exists
	Inactive     = "inactive"     // a login exists that was never activated
	Active       = "active"       // its people may sign in
	Deactivated  = "deactivated"  // it was active, access is switched off for now
)

// Action is something that can be done with a customer, as allowed_actions names it.
type Action string

// The actions. The last two are not called by name: they happen with something else, and allowed_actions is silent of them.
const (
	ActionSendActivationRequest Action = "send_activation_request"
	ActionActivate              Action = "activate"
	ActionDeactivate            Action = "deactivate"
	ActionDeleteIdentities      Action = "delete_identities"
	ActionBackup                Action = "backup"
	ActionDelete                Action = "delete"

	ActionAddIdentity Action = "add_identity"
	ActionFollowLink  Action = "follow_link"
)

// transition is one line of the table: in this status the action is allowed, and leads to that one.
type transition struct {
	from   string
	action Action
	to     string
}

// transitions is the one table of the life cycle: what is not in it is refused. It goes by status alone; what else an
// action needs is checked where it is done.
var transitions = []transition{
	{Unregistered, ActionSendActivationRequest, Unregistered},
	{Unregistered, ActionAddIdentity, Inactive},
	{Unregistered, ActionFollowLink, Active},
	{Unregistered, ActionBackup, Unregistered},
	{Unregistered, ActionDelete, ""},

	{Inactive, ActionSendActivationRequest, Inactive},
	{Inactive, ActionActivate, Active},
	{Inactive, ActionAddIdentity, Inactive},
	{Inactive, ActionFollowLink, Active},
	{Inactive, ActionBackup, Inactive},
	{Inactive, ActionDelete, ""},

	{Active, ActionSendActivationRequest, Active},
	{Active, ActionDeactivate, Deactivated},
	{Active, ActionDeleteIdentities, Unregistered},
	{Active, ActionAddIdentity, Active},
	{Active, ActionFollowLink, Active},
	{Active, ActionBackup, Active},
	{Active, ActionDelete, ""},

	{Deactivated, ActionActivate, Active},
	{Deactivated, ActionAddIdentity, Deactivated},
	{Deactivated, ActionBackup, Deactivated},
	{Deactivated, ActionDelete, ""},
}

// AllowedActions gives what may be done with a customer in the status.
func AllowedActions(status string) []Action {
	var allowed []Action
	for _, t := range transitions {
		if t.from == status && t.action != ActionAddIdentity && t.action != ActionFollowLink {
			allowed = append(allowed, t.action)
		}
	}
	return allowed
}

// Refusal is what a refused action is about: the status that stands against it, and what that allows instead.
type Refusal struct {
	Status  string
	Allowed []Action
}

// Next gives the status that the action leads to, or the fault of one that the status does not allow.
func Next(status string, action Action) (string, error) {
	at := slices.IndexFunc(transitions, func(t transition) bool { return t.from == status && t.action == action })
	if at < 0 {
		return "", &fault.Error{
			Kind: fault.Conflict, Code: "action_not_allowed",
			Detail: "The customer is " + status + ", which does not allow this.",
			About:  Refusal{Status: status, Allowed: AllowedActions(status)},
		}
	}
	return transitions[at].to, nil
}

// happened is what the events call a change of status by an action; another one is an update.
var happened = map[Action]string{
	ActionActivate: "activated", ActionFollowLink: "activated", ActionDeactivate: "deactivated", ActionDeleteIdentities: "identities_deleted",
}

// Lock reads a customer for a change of what its status depends on, and holds it until the transaction ends.
func Lock(ctx context.Context, tx *postgres.Tx, id uuid.UUID) (db.Customer, error) {
	if err := reach.Hold(ctx, tx); err != nil {
		return db.Customer{}, err
	}
	return db.New().CustomerGetForNoKeyUpdate(ctx, tx, id, tx.Reach)
}

// LockForKeyShare keeps a customer for whoever adds something that belongs to it, or changes that, and not the customer.
func LockForKeyShare(ctx context.Context, tx *postgres.Tx, id uuid.UUID) error {
	if err := reach.Hold(ctx, tx); err != nil {
		return err
	}
	_, err := db.New().CustomerLockForKeyShare(ctx, tx, id, tx.Reach)
	return err
}

// Move takes a locked customer through the table. Where that leads to the status it has, nothing is written.
func Move(ctx context.Context, tx *postgres.Tx, before db.Customer, action Action) (db.Customer, error) {
	status, err := Next(before.Status, action)
	if err != nil || status == before.Status {
		return before, err
	}
	invited := before.InvitedAt
	if status == Unregistered {
		invited = nil // what it was invited to is gone
	}
	what := happened[action]
	if what == "" {
		what = "updated"
	}
	return setStatus(ctx, tx, before, status, invited, what)
}

// MarkInvited notes on a locked customer that a mail with an activation link went out.
func MarkInvited(ctx context.Context, tx *postgres.Tx, before db.Customer, at time.Time) (db.Customer, error) {
	return setStatus(ctx, tx, before, before.Status, &at, "updated")
}

func setStatus(
	ctx context.Context, tx *postgres.Tx, before db.Customer, status string, invited *time.Time, what string,
) (db.Customer, error) {
	after, err := db.New().CustomerSetStatus(ctx, tx, db.CustomerSetStatusParams{
		ID: before.ID, Status: status, InvitedAt: invited, UpdatedAt: tx.Now,
	})
	if err != nil {
		return db.Customer{}, err
	}
	return after, record(ctx, tx, what, &before, &after)
}

// Activate switches on a customer one of whose logins has a password.
func Activate(ctx context.Context, tx *postgres.Tx, id uuid.UUID, versions etag.Versions) (Customer, error) {
	return act(ctx, tx, id, versions, ActionActivate, func() error {
		ready, err := db.New().IdentityPasswordExists(ctx, tx, id)
		if err == nil && !ready {
			err = &fault.Error{
				Kind: fault.Conflict, Code: "no_password",
				Detail: "None of the customer's logins has a password. Send an activation request, or set one.",
			}
		}
		return err
	})
}

// Deactivate switches a customer off: nobody signs in for it any more, and whoever did is out.
func Deactivate(ctx context.Context, tx *postgres.Tx, id uuid.UUID, versions etag.Versions) (Customer, error) {
	return act(ctx, tx, id, versions, ActionDeactivate, func() error {
		if err := sessions.EndAllOfCustomers(ctx, tx, id); err != nil {
			return err
		}
		if err := db.New().ActivationRequestRevokeByCustomer(ctx, tx, tx.Now, id); err != nil {
			return err
		}
		return db.New().PasswordResetRevokeByCustomer(ctx, tx, id)
	})
}

// act does an action that moves the customer: what it takes or needs comes after the table has allowed it.
func act(
	ctx context.Context, tx *postgres.Tx, id uuid.UUID, versions etag.Versions, action Action, with func() error,
) (Customer, error) {
	before, err := Lock(ctx, tx, id)
	if err != nil {
		return Customer{}, err
	}
	if err := versions.Check(before.Version); err != nil {
		return Customer{}, err
	}
	if _, err := Next(before.Status, action); err != nil {
		return Customer{}, err
	}
	if err := with(); err != nil {
		return Customer{}, err
	}
	if _, err := Move(ctx, tx, before, action); err != nil {
		return Customer{}, err
	}
	return Get(ctx, tx, nil, id)
}
