package publishings

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/listing"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/textfold"
)

// Filter says which publishings are meant; the zero value means all of them that the list is about.
type Filter struct {
	Query      string            `json:"q,omitempty"`
	Kind       *string           `json:"kind,omitempty"`
	State      *string           `json:"state,omitempty"`
	Shared     bool              `json:"shared,omitempty"`      // for people: those that colleagues share, not their own
	Content    map[string]string `json:"content,omitempty"`     // for people
	IdentityID *uuid.UUID        `json:"identity_id,omitempty"` // for staff
}

// addQuery looks for the text in the titles. One's own, which are in the index of their order, it looks through there and
// not where they lie; owner is nil for others.
func (f Filter) addQuery(where *postgres.Where, owner *uuid.UUID) {
	pattern, some := textfold.Pattern(f.Query)
	if !some {
		where.And("false")
		return
	}
	placeholder := where.Arg(pattern)
	like := "' ' || title_key LIKE " + placeholder // words begin after a space
	if owner == nil {
		where.And(like)
		return
	}
	where.AndSearchBy(like, "id = ANY (ARRAY(SELECT id FROM publishings WHERE identity_id = %s AND "+like+"))", *owner)
}

// add adds what is asked for to the condition that says whose they are.
func (f Filter) add(where *postgres.Where, customerID uuid.UUID, owner *uuid.UUID) {
	if f.Query != "" {
		f.addQuery(where, owner)
	}
	if f.Kind != nil {
		where.And("kind = " + where.Arg(*f.Kind))
	}
	if f.State != nil {
		where.And("state = " + where.Arg(*f.State))
	}
	if f.IdentityID != nil {
		where.And("identity_id = " + where.Arg(*f.IdentityID))
	}
	for name, value := range f.Content {
		where.AndSearch("marks && " + where.Arg(memberMarks(customerID, name, value)) + "::bigint[]")
	}
}

// metadata is all of a publishing but its content; what only the database needs stays empty.
const metadata = `id, customer_id, identity_id, NULL::bytea AS owner_hash, kind, title, state, visibility, template_id,
	size_bytes, restored_at, version, created_at, updated_at, title_key, '{}'::bigint[] AS marks`

// maxPageBytes is how much content a page comes to before it ends early.
const maxPageBytes = 4 << 20

// forPeople is the list of what somebody may read.
var forPeople = listing.List[Publishing]{
	Resource: "publishings", From: "publishings",
	Columns: metadata + ", (SELECT name FROM identities WHERE identities.id = publishings.identity_id) AS owner_name",
	Bulky: &listing.Bulky[Publishing]{
		Column: "content", Size: "size_bytes", MaxBytes: maxPageBytes,
		LeftOut: func(p Publishing) bool { return p.Content == nil },
	},
	ID: func(p Publishing) uuid.UUID { return p.ID },
	Orders: map[string]listing.Order[Publishing]{
		"created_at": {Column: "created_at", Time: func(p Publishing) time.Time { return p.CreatedAt }},
		"updated_at": {Column: "updated_at", Time: func(p Publishing) time.Time { return p.UpdatedAt }},
		"title":      {Column: "title_key", Text: func(p Publishing) string { return p.TitleKey }},
	},
}

// List reads a page of the caller's own publishings that are meant, or of those that colleagues share. Sort names an
// order, with a minus before it to turn it round.
func List(
	ctx context.Context, database *postgres.DB, caller *access.Principal, filter Filter, sort string, page paging.Request,
) (paging.Page[Publishing], error) {
	where := func() (where postgres.Where) {
		var owner *uuid.UUID
		if filter.Shared {
			where.Within("customer_id = " + where.Arg(caller.CustomerID) + " AND visibility = 'customer'" +
				" AND identity_id IS NOT NULL AND identity_id <> " + where.Arg(caller.ID))
		} else {
			where.Within("identity_id = " + where.Arg(caller.ID))
			owner = &caller.ID
		}
		filter.add(&where, caller.CustomerID, owner)
		return where
	}
	return forPeople.Read(ctx, database, filter, where, sort, page)
}

// forStaff is the list of what a customer's people have written, without their contents.
var forStaff = listing.List[db.Publishing]{
	Resource: "customers' publishings", From: "publishings", Columns: metadata + ", NULL::json AS content",
	ID: func(p db.Publishing) uuid.UUID { return p.ID },
	Orders: map[string]listing.Order[db.Publishing]{
		"created_at": {Column: "created_at", Time: func(p db.Publishing) time.Time { return p.CreatedAt }},
		"updated_at": {Column: "updated_at", Time: func(p db.Publishing) time.Time { return p.UpdatedAt }},
	},
}

// ListOfCustomer is List for all publishings of a customer, which must be within reach; also those whose login is deleted.
func ListOfCustomer(
	ctx context.Context, database *postgres.DB, reach *uuid.UUID, customerID uuid.UUID, filter Filter, sort string, page paging.Request,
) (paging.Page[db.Publishing], error) {
	where := func() (where postgres.Where) {
		where.Within("customer_id = " + where.Arg(customerID))
		if reach != nil {
			where.And("reaches(" + where.Arg(*reach) + ", " + where.Arg(customerID) + ")")
		}
		filter.add(&where, customerID, nil)
		return where
	}
	found, err := forStaff.Read(ctx, database, filter, where, sort, page)
	if err == nil && len(found.Rows) == 0 {
		_, err = db.New().CustomerFind(ctx, database, customerID, reach)
	}
	return found, err
}
