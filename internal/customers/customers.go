// Package customers knows the rules of customers: their fields, their hierarchy, what may be done with them in which
// status, and what deleting one means. Writing functions work in the caller's transaction and write its event with it.
package customers

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/textfold"
)

// DefaultLocale is the language of messages to a customer of whom nothing else is said.
const DefaultLocale = "en"

// Create adds a customer. Of the record the caller fills in what the contract lets one set; the rest is made here.
func Create(ctx context.Context, tx *postgres.Tx, customer db.Customer) (db.Customer, error) {
	if customer.ParentID != nil {
		if err := checkParent(ctx, tx, *customer.ParentID, 1); err != nil {
			return db.Customer{}, err
		}
	}
	normalize(&customer)
	created, err := db.New().CustomerInsert(ctx, tx, db.CustomerInsertParams{
		ID: uuid.Must(uuid.NewV7()), Name: customer.Name, Email: customer.Email, Phone: customer.Phone,
		Company: customer.Company, Address: customer.Address, Comments: customer.Comments, Modules: customer.Modules,
		Properties: customer.Properties, ParentID: customer.ParentID, ExternalID: customer.ExternalID,
		Locale: customer.Locale, CreatedAt: tx.Now, NameKey: customer.NameKey, EmailKey: customer.EmailKey,
		SearchText: customer.SearchText,
	})
	if err != nil {
		return db.Customer{}, err
	}
	return created, record(ctx, tx, "created", nil, &created)
}

// Update changes a customer: edit gets the record as it is, under lock, and gives it back as it shall be. Nothing is
// written when that is the same.
func Update(
	ctx context.Context, tx *postgres.Tx, id uuid.UUID, versions etag.Versions,
	moves bool, edit func(db.Customer) (db.Customer, error),
) (db.Customer, error) {
	if moves {
		if err := db.New().HierarchyLock(ctx, tx); err != nil {
			return db.Customer{}, err
		}
	}
	before, err := db.New().CustomerGetForNoKeyUpdate(ctx, tx, id)
	if err != nil {
		return db.Customer{}, err
	}
	if err := versions.Check(before.Version); err != nil {
		return db.Customer{}, err
	}
	now, err := edit(before)
	if err != nil {
		return db.Customer{}, err
	}
	normalize(&now)
	if same(before, now) {
		return before, nil
	}
	if now.ParentID != nil && !equal(now.ParentID, before.ParentID) {
		if err := checkMove(ctx, tx, id, *now.ParentID); err != nil {
			return db.Customer{}, err
		}
	}
	after, err := db.New().CustomerUpdate(ctx, tx, db.CustomerUpdateParams{
		ID: id, Name: now.Name, Email: now.Email, Phone: now.Phone, Company: now.Company, Address: now.Address,
		Comments: now.Comments, Modules: now.Modules, Properties: now.Properties, ParentID: now.ParentID,
		ExternalID: now.ExternalID, Locale: now.Locale, UpdatedAt: tx.Now, NameKey: now.NameKey,
		EmailKey: now.EmailKey, SearchText: now.SearchText,
	})
	if err != nil {
		return db.Customer{}, err
	}
	return after, record(ctx, tx, "updated", &before, &after)
}

// normalize fills in what follows from the other fields.
func normalize(customer *db.Customer) {
	if customer.Modules == nil {
		customer.Modules = []string{}
	}
	if len(customer.Properties) == 0 {
		customer.Properties = json.RawMessage("{}")
	}
	if customer.Locale == "" {
		customer.Locale = DefaultLocale
	}
	customer.NameKey = textfold.Key(customer.Name)
	customer.EmailKey = nil
	if customer.Email != nil {
		key := textfold.CaseKey(*customer.Email)
		customer.EmailKey = &key
	}
	customer.SearchText = searchText(customer)
}

// same tells whether nothing has changed, however the properties are written.
func same(before, now db.Customer) bool {
	if !sameJSON(before.Properties, now.Properties) {
		return false
	}
	now.Properties = before.Properties
	return reflect.DeepEqual(before, now)
}

func sameJSON(a, b json.RawMessage) bool {
	decode := func(text json.RawMessage) (value any) {
		decoder := json.NewDecoder(strings.NewReader(string(text)))
		decoder.UseNumber()
		_ = decoder.Decode(&value)
		return value
	}
	return slices.Equal(a, b) || reflect.DeepEqual(decode(a), decode(b))
}

func equal(a, b *uuid.UUID) bool {
	return a == b || a != nil && b != nil && *a == *b
}

func record(ctx context.Context, tx *postgres.Tx, what string, before, after *db.Customer) error {
	event := events.Event{
		Kind: events.Customer, What: what, ResourceID: after.ID, CustomerID: &after.ID, Version: after.Version,
		After: after,
	}
	if before != nil {
		event.Before = before
	}
	return events.Append(ctx, tx, event)
}

// maxDepth is how many levels the hierarchy has at most.
const maxDepth = 64

// checkParent refuses a parent that is not there, or below which levels more would make the hierarchy too deep.
func checkParent(ctx context.Context, tx *postgres.Tx, parentID uuid.UUID, levels int) error {
	line, err := db.New().CustomerAncestors(ctx, tx, parentID)
	if err != nil {
		return err
	}
	if len(line) == 0 {
		return fault.InvalidBody(fault.Field{
			Pointer: "/parent_id", Code: "reference_not_found", Message: "there is no such customer",
		})
	}
	if len(line)+levels > maxDepth {
		return tooDeep()
	}
	return nil
}

// checkMove refuses a move that would close a circle or make the hierarchy too deep. The hierarchy is locked: what it
// sees of the lines above and below stays so until it commits.
func checkMove(ctx context.Context, tx *postgres.Tx, id, parentID uuid.UUID) error {
	line, err := db.New().CustomerAncestors(ctx, tx, parentID)
	if err != nil {
		return err
	}
	if slices.Contains(line, id) {
		return postgres.HierarchyCycle()
	}
	height, err := db.New().CustomerHeight(ctx, tx, id)
	if err != nil {
		return err
	}
	return checkParent(ctx, tx, parentID, int(height))
}

func tooDeep() error {
	return &fault.Error{
		Kind: fault.Conflict, Code: "hierarchy_too_deep", Detail: "The hierarchy has at most 64 levels.",
		Fields: []fault.Field{{
			Pointer: "/parent_id", Code: "hierarchy_too_deep", Message: "would make the hierarchy deeper than 64 levels",
		}},
	}
}
