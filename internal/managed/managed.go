// Package managed is what a manager may do with the customers below its own: read and change their profiles, add more of
// them, have them invited. Whether a login manages a customer is part of the condition of every query, as it is at that
// moment; whatever is not below answers like what is not there. It never touches comments, notes, properties, statuses.
package managed

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/activation"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/identities"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
)

// Require refuses a caller who is no manager at this moment. Of one who may not even sign in any more it says that the
// token is not valid, as authorization will a moment later.
func Require(ctx context.Context, database db.DBTX, caller *access.Principal) error {
	standing, err := db.New().IdentityGetStanding(ctx, database, caller.ID, caller.CustomerID)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && standing.CustomerStatus != customers.Active {
		return fault.InvalidToken(err)
	}
	if err != nil {
		return err
	}
	if standing.Role != identities.Manager {
		return &fault.Error{
			Kind: fault.Forbidden, Code: "manager_required", Detail: "This is for logins with the role manager.",
		}
	}
	return nil
}

// List reads a page of the customers that the caller manages and that the filter means.
func List(
	ctx context.Context, database *postgres.DB, caller *access.Principal, filter customers.Filter, sort string, page paging.Request,
) (paging.Page[customers.Customer], error) {
	filter.ManagedBy = &caller.ID
	return customers.List(ctx, database, filter, sort, page)
}

// Get reads a customer that the caller manages.
func Get(ctx context.Context, database db.DBTX, caller *access.Principal, id uuid.UUID) (customers.Customer, error) {
	row, err := db.New().CustomerGetManaged(ctx, database, id, caller.ID)
	return customers.Customer{
		Customer: row.Customer, LastActivityAt: row.LastActivityAt, TermsVersion: row.TermsVersion,
		TermsAcceptedAt: row.TermsAcceptedAt,
	}, err
}

// Create adds a customer below the caller's own, or below one that it manages. Its messages have the language of its
// parent's.
func Create(
	ctx context.Context, tx *postgres.Tx, caller *access.Principal, input customers.Input,
) (customers.Customer, error) {
	if err := hold(ctx, tx, caller); err != nil {
		return customers.Customer{}, err
	}
	if input.ParentID == nil {
		input.ParentID = &caller.CustomerID
	}
	parent, err := db.New().CustomerGetManagedForKeyShare(ctx, tx, *input.ParentID, caller.ID)
	if errors.Is(err, pgx.ErrNoRows) {
		return customers.Customer{}, fault.InvalidBody(fault.Field{
			Pointer: "/parent_id", Code: "reference_not_found", Message: "there is no such customer",
		})
	}
	if err != nil {
		return customers.Customer{}, err
	}
	input.Locale = parent.Locale
	return customers.Create(ctx, tx, input)
}

// Update changes a customer that the caller manages.
func Update(
	ctx context.Context, tx *postgres.Tx, caller *access.Principal, id uuid.UUID, versions etag.Versions, patch customers.Patch,
) (customers.Customer, error) {
	if err := lock(ctx, tx, caller, id); err != nil {
		return customers.Customer{}, err
	}
	return customers.Update(ctx, tx, id, versions, patch)
}

// Invite prepares an activation request for a customer that the caller manages and, where mail is sent, has it sent. It
// gives the state of the request and nothing of what it says.
func Invite(
	ctx context.Context, tx *postgres.Tx, caller *access.Principal, service *activation.Service, id uuid.UUID,
) (string, error) {
	if err := lock(ctx, tx, caller, id); err != nil {
		return "", err
	}
	request, err := service.Prepare(ctx, tx, id, nil)
	var known *fault.Error
	if errors.As(err, &known) && known.Code == "identity_id_required" {
		return "", &fault.Error{
			Kind: fault.Conflict, Code: "login_unclear", Cause: err,
			Detail: "The customer is active or has several logins. The staff can invite a single one.",
		}
	}
	if err == nil && service.Sender != nil {
		request, err = service.Send(ctx, tx, id, request.ID, etag.Versions{})
	}
	return request.State, err
}

// lock holds a customer that the caller manages for a change. That the caller manages it stays so until the transaction
// ends.
func lock(ctx context.Context, tx *postgres.Tx, caller *access.Principal, id uuid.UUID) error {
	if err := hold(ctx, tx, caller); err != nil {
		return err
	}
	_, err := db.New().CustomerGetManagedForNoKeyUpdate(ctx, tx, id, caller.ID)
	return err
}

// hold keeps what makes the caller a manager as it is until the transaction ends: where customers are in the hierarchy, the
// status of its own customer, its role. Whatever takes the access away comes before it, and is seen, or after it. Its
// customer is locked before the one below it, as whoever locks several goes down.
func hold(ctx context.Context, tx *postgres.Tx, caller *access.Principal) error {
	if err := db.New().HierarchyLockShared(ctx, tx); err != nil {
		return err
	}
	_, err := db.New().CustomerGetForShareByIdentity(ctx, tx, caller.ID)
	if err == nil {
		_, err = db.New().IdentityGetForShare(ctx, tx, caller.ID)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.InvalidToken(err)
	}
	if err != nil {
		return err
	}
	return Require(ctx, tx, caller)
}
