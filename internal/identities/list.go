package identities

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/listing"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/reach"
	"github.com/clientele-api/clientele/internal/textfold"
)

// Listed is a login as lists show it.
type Listed struct {
	db.Identity
	CustomerName string
	LastLoginAt  *time.Time
}

// Filter says which logins are meant; the zero value means all of them.
type Filter struct {
	Query      string     `json:"q,omitempty"`
	CustomerID *uuid.UUID `json:"customer_id,omitempty"`
	Reach      *uuid.UUID `json:"reach,omitempty"` // of the caller
	Email      *string    `json:"email,omitempty"`
	Role       *string    `json:"role,omitempty"`
	Status     *string    `json:"status,omitempty"`
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
	if f.Email != nil {
		where.And("email_key = " + where.Arg(textfold.CaseKey(*f.Email)))
	}
	if f.Role != nil {
		where.And("role = " + where.Arg(*f.Role))
	}
	if f.Status != nil {
		where.And("(CASE WHEN password_hash IS NULL THEN 'pending' ELSE 'active' END) = " + where.Arg(*f.Status))
	}
	return where
}

// list is the list of logins, in the orders of the contract. The hash of the password is not read but for whether there
// is one, nor are the columns that only searching needs.
var list = listing.List[Listed]{
	Resource: "identities", From: "identities",
	Columns: `id, customer_id, name, email, role, left(password_hash, 0) AS password_hash, restored_at, version, created_at, updated_at,
		name_key, '' AS email_key, '' AS search_text,
		(SELECT name FROM customers WHERE customers.id = identities.customer_id) AS customer_name,
		(SELECT last_login_at FROM identity_activity WHERE identity_id = identities.id) AS last_login_at`,
	ID: func(i Listed) uuid.UUID { return i.ID },
	Orders: map[string]listing.Order[Listed]{
		"created_at": {Column: "created_at", Time: func(i Listed) time.Time { return i.CreatedAt }},
		"name":       {Column: "name_key", Text: func(i Listed) string { return i.NameKey }},
	},
}

// List reads a page of the logins that are meant. Sort names an order, with a minus before it to turn it round.
func List(
	ctx context.Context, database *postgres.DB, filter Filter, sort string, page paging.Request,
) (paging.Page[Listed], error) {
	return list.Read(ctx, database, filter, filter.where, sort, page)
}

// ListOfCustomer reads a page of the logins of a customer that is within reach, the oldest first.
func ListOfCustomer(
	ctx context.Context, database *postgres.DB, reach *uuid.UUID, customerID uuid.UUID, page paging.Request,
) (paging.Page[Listed], error) {
	found, err := List(ctx, database, Filter{CustomerID: &customerID, Reach: reach}, "created_at", page)
	if err == nil && len(found.Rows) == 0 {
		_, err = db.New().CustomerFind(ctx, database, customerID, reach)
	}
	return found, err
}
