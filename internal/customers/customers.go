// Package customers knows the rules of customers: their fields, their hierarchy, what may be done with them in which
// status, and what deleting one means. Writing functions work in the caller's transaction and write its event with it.
package customers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/mergepatch"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/rawjson"
	"github.com/clientele-api/clientele/internal/reach"
	"github.com/clientele-api/clientele/internal/textfold"
)

// DefaultLocale is the language of messages to a customer of whom nothing else is said.
const DefaultLocale = "en"

// Customer is a customer with the time it was last active, and its acceptance of the current terms.
type Customer struct {
	db.Customer
	LastActivityAt  *time.Time
	TermsVersion    *int32 // these are nil when it has not accepted them
	TermsAcceptedAt *time.Time
}

// Get reads a customer that is within reach.
func Get(ctx context.Context, database db.DBTX, reach *uuid.UUID, id uuid.UUID) (Customer, error) {
	row, err := db.New().CustomerGetWithActivity(ctx, database, id, reach)
	return Customer{
		Customer: row.Customer, LastActivityAt: row.LastActivityAt, TermsVersion: row.TermsVersion,
		TermsAcceptedAt: row.TermsAcceptedAt,
	}, err
}

// Input is what a caller says of a new customer.
type Input struct {
	Name       string
	Email      *string
	Phone      *string
	Company    *string
	Address    *string
	Comments   *string
	Modules    []string
	Properties json.RawMessage // an object; nil for none
	ParentID   *uuid.UUID
	ExternalID *string
	Locale     string // "" for the default
	Status     string // that it begins with; "" for one without logins
}

// Create adds a customer.
func Create(ctx context.Context, tx *postgres.Tx, input Input) (Customer, error) {
	if err := reach.Hold(ctx, tx); err != nil {
		return Customer{}, err
	}
	if tx.Reach != nil && input.ParentID == nil {
		return Customer{}, parentRequired()
	}
	if input.ParentID != nil {
		// Moves are not locked out: one beside this may make the hierarchy a level deeper than it should be, which does
		// no harm.
		if err := checkParent(ctx, tx, *input.ParentID, 1); err != nil {
			return Customer{}, err
		}
	}
	customer := db.Customer{
		Name: input.Name, Email: input.Email, Phone: input.Phone, Company: input.Company, Address: input.Address,
		Comments: input.Comments, Modules: input.Modules, Properties: input.Properties, ParentID: input.ParentID,
		ExternalID: input.ExternalID, Locale: input.Locale, Status: cmp.Or(input.Status, Unregistered),
	}
	normalize(&customer)
	created, err := db.New().CustomerInsert(ctx, tx, db.CustomerInsertParams{
		ID: uuid.Must(uuid.NewV7()), Name: customer.Name, Email: customer.Email, Phone: customer.Phone,
		Company: customer.Company, Address: customer.Address, Comments: customer.Comments, Modules: customer.Modules,
		Properties: customer.Properties, ParentID: customer.ParentID, ExternalID: customer.ExternalID,
		Locale: customer.Locale, Status: customer.Status, CreatedAt: tx.Now, NameKey: customer.NameKey, EmailKey: customer.EmailKey,
		SearchText: customer.SearchText, SearchGrams: customer.SearchGrams,
	})
	if err != nil {
		return Customer{}, err
	}
	return Customer{Customer: created}, record(ctx, tx, "created", nil, &created)
}

// Update changes a customer. Nothing is written when the patch changes nothing.
func Update(ctx context.Context, tx *postgres.Tx, id uuid.UUID, versions etag.Versions, patch Patch) (Customer, error) {
	if patch.ParentID.IsSpecified() {
		if err := db.New().HierarchyLock(ctx, tx); err != nil {
			return Customer{}, err
		}
	} else if err := reach.Hold(ctx, tx); err != nil {
		return Customer{}, err
	}
	before, err := db.New().CustomerGetForNoKeyUpdate(ctx, tx, id, tx.Reach)
	if err != nil {
		return Customer{}, err
	}
	if err := versions.Check(before.Version); err != nil {
		return Customer{}, err
	}
	edited, changed, err := edit(ctx, tx, before, patch)
	if err != nil {
		return Customer{}, err
	}
	if changed {
		if err := store(ctx, tx, before, edited); err != nil {
			return Customer{}, err
		}
	}
	return Get(ctx, tx, nil, id)
}

// edit gives a locked customer as the patch makes it, and whether that is something else than it was.
func edit(ctx context.Context, tx *postgres.Tx, before db.Customer, patch Patch) (edited db.Customer, changed bool, err error) {
	if edited, err = patch.apply(before); err != nil {
		return edited, false, err
	}
	normalize(&edited)
	if same(before, edited) {
		return before, false, nil
	}
	switch {
	case mergepatch.Same(edited.ParentID, before.ParentID):
	case edited.ParentID != nil:
		err = checkMove(ctx, tx, before.ID, *edited.ParentID)
	case tx.Reach != nil: // at the top it would be out of reach
		err = parentRequired()
	}
	return edited, true, err
}

// store writes a locked customer as it was edited, and its event.
func store(ctx context.Context, tx *postgres.Tx, before, edited db.Customer) error {
	if !mergepatch.Same(edited.EmailKey, before.EmailKey) {
		// Links that went to the old address, to create a login with it.
		if err := db.New().ActivationRequestRevokeByIdentity(ctx, tx, tx.Now, before.ID, nil); err != nil {
			return err
		}
	}
	var line []uuid.UUID // those that are told of a move away from them
	if !mergepatch.Same(edited.ParentID, before.ParentID) {
		var err error
		if line, err = db.New().CustomerAncestors(ctx, tx, before.ID); err != nil {
			return err
		}
	}
	after, err := db.New().CustomerUpdate(ctx, tx, db.CustomerUpdateParams{
		ID: before.ID, Name: edited.Name, Email: edited.Email, Phone: edited.Phone, Company: edited.Company,
		Address: edited.Address, Comments: edited.Comments, Modules: edited.Modules, Properties: edited.Properties,
		ParentID: edited.ParentID, ExternalID: edited.ExternalID, Locale: edited.Locale, UpdatedAt: tx.Now,
		NameKey: edited.NameKey, EmailKey: edited.EmailKey, SearchText: edited.SearchText,
		SearchGrams: edited.SearchGrams,
	})
	if err != nil {
		return err
	}
	event := eventOf("updated", &before, &after)
	event.Ancestors = line
	return events.Append(ctx, tx, event)
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
	customer.SearchGrams = textfold.Grams(customer.SearchText)
}

// same tells whether nothing has changed, however the properties are written.
func same(before, edited db.Customer) bool {
	if !rawjson.Same(before.Properties, edited.Properties) {
		return false
	}
	edited.Properties = before.Properties
	return reflect.DeepEqual(before, edited)
}

func record(ctx context.Context, tx *postgres.Tx, what string, before, after *db.Customer) error {
	return events.Append(ctx, tx, eventOf(what, before, after))
}

func eventOf(what string, before, after *db.Customer) events.Event {
	event := events.Event{
		Kind: events.Customer, What: what, ResourceID: after.ID, CustomerID: &after.ID, Version: after.Version,
		After: snapshotOf(*after),
	}
	if before != nil {
		event.Before = snapshotOf(*before)
	}
	return event
}

// snapshot is a customer as events show it: what is stored, by the names of the contract. A new column is in no event
// until it is here.
type snapshot struct {
	ID         uuid.UUID       `json:"id"`
	Name       string          `json:"name"`
	Email      *string         `json:"email"`
	Phone      *string         `json:"phone"`
	Company    *string         `json:"company"`
	Address    *string         `json:"address"`
	Comments   *string         `json:"comments"`
	Modules    []string        `json:"modules"`
	Properties json.RawMessage `json:"properties"`
	ParentID   *uuid.UUID      `json:"parent_id"`
	ExternalID *string         `json:"external_id"`
	Locale     string          `json:"locale"`
	Status     string          `json:"status"`
	InvitedAt  *time.Time      `json:"invited_at"`
	RestoredAt *time.Time      `json:"restored_at"`
	Version    int64           `json:"version"`
	CreatedAt  time.Time       `json:"created_at"`
	UpdatedAt  time.Time       `json:"updated_at"`
}

func snapshotOf(c db.Customer) snapshot {
	return snapshot{
		c.ID, c.Name, c.Email, c.Phone, c.Company, c.Address, c.Comments, c.Modules, c.Properties, c.ParentID,
		c.ExternalID, c.Locale, c.Status, c.InvitedAt, c.RestoredAt, c.Version, c.CreatedAt, c.UpdatedAt,
	}
}

// maxDepth is how many levels the hierarchy has at most.
const maxDepth = 64

// checkParent refuses a parent that is not there or out of reach, or below which levels more would make the hierarchy too deep.
func checkParent(ctx context.Context, tx *postgres.Tx, parentID uuid.UUID, levels int) error {
	code, err := parentFault(ctx, tx, tx.Reach, parentID, levels)
	switch {
	case err != nil:
		return err
	case code == "parent_unknown":
		return noSuchParent()
	case code != "":
		return tooDeep()
	}
	return nil
}

// parentFault tells why so many levels cannot be below a parent, which is unknown to who does not reach it: "" when they can.
func parentFault(ctx context.Context, database db.DBTX, reach *uuid.UUID, parentID uuid.UUID, levels int) (code string, err error) {
	line, err := db.New().CustomerAncestors(ctx, database, parentID)
	switch {
	case err != nil:
		return "", fmt.Errorf("looking for a parent: %w", err)
	case len(line) == 0, reach != nil && !slices.Contains(line, *reach):
		code = "parent_unknown"
	case len(line)+levels > maxDepth:
		code = "hierarchy_too_deep"
	}
	return code, nil
}

// checkMove refuses a move that would close a circle or make the hierarchy too deep. The hierarchy is locked: what it
// sees of the lines above and below stays so until it commits.
func checkMove(ctx context.Context, tx *postgres.Tx, id, parentID uuid.UUID) error {
	line, err := db.New().CustomerAncestors(ctx, tx, parentID)
	if err != nil {
		return err
	}
	if tx.Reach != nil && !slices.Contains(line, *tx.Reach) {
		return noSuchParent()
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

func noSuchParent() error {
	return fault.InvalidBody(fault.Field{
		Pointer: "/parent_id", Code: "reference_not_found", Message: "there is no such customer",
	})
}

func parentRequired() error {
	return fault.InvalidBody(fault.Field{
		Pointer: "/parent_id", Code: "required",
		Message: "is required: the API client is limited to a customer, and what it writes has to stay below that",
	})
}

func tooDeep() error {
	return &fault.Error{
		Kind: fault.Conflict, Code: "hierarchy_too_deep", Detail: "The hierarchy has at most 64 levels.",
		Fields: []fault.Field{{
			Pointer: "/parent_id", Code: "hierarchy_too_deep", Message: "would make the hierarchy deeper than 64 levels",
		}},
	}
}
