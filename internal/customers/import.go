package customers

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/bulk"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/mergepatch"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/rawjson"
	"github.com/clientele-api/clientele/internal/reach"
)

// ImportRow is a customer of a file: a patch of the one that it names, or a new one.
type ImportRow struct {
	ID    *uuid.UUID // of the customer that is meant, should there be one with it
	Patch Patch
	Texts bool // whether the properties were written as texts, which leave a value alone that looks like them
}

// Keys gives the values by which the row names its customer.
func (r ImportRow) Keys() []bulk.Key {
	var keys []bulk.Key
	if r.ID != nil {
		keys = append(keys, bulk.Key{Field: "id", Value: r.ID.String()})
	}
	if externalID, err := r.Patch.ExternalID.Get(); err == nil {
		keys = append(keys, bulk.Key{Field: "external_id", Value: externalID})
	}
	return keys
}

// Import creates the customers of the rows, or changes those that they name, and tells of each row what became of it. Rows
// that are refused keep no other from being written. Without write it only tells. No two rows have a key in common. When
// somebody else creates a customer of the rows at the same moment the transaction fails, and may be tried again.
func Import(
	ctx context.Context, tx *postgres.Tx, rows []ImportRow, onConflict bulk.OnConflict, write bool,
) ([]bulk.Result, error) {
	i := importing{tx: tx, rows: rows, results: make([]bulk.Result, len(rows)), write: write}
	if err := i.hold(ctx, onConflict); err != nil {
		return nil, err
	}
	present, err := i.find(ctx)
	if err != nil {
		return nil, err
	}
	changes := map[uuid.UUID]int{}
	var additions []int
	for at, row := range rows {
		id, found := present.of(row)
		switch _, met := changes[id]; {
		case present.elsewhere(row):
			i.refuse(at, conflict("external_id_taken", "/external_id", "another customer has this external id"))
		case !found:
			additions = append(additions, at)
		case onConflict == bulk.Skip:
			i.results[at] = bulk.Result{Outcome: bulk.Skipped, ResourceID: &id}
		case onConflict == bulk.Fail:
			i.refuse(at, alreadyThere(row, id))
		case met:
			i.refuse(at, conflict("duplicate_key", "", "another row is of the same customer"))
		case present.givesAway(row, id):
			i.refuse(at, conflict("external_id_taken", "/external_id", "another customer has this external id"))
		default:
			changes[id] = at
		}
		if found {
			i.results[at].ResourceID = &id
		}
	}
	if err := i.change(ctx, present, changes); err != nil {
		return nil, err
	}
	return i.results, i.add(ctx, additions)
}

// hold keeps customers from being moved while what is within the import's reach counts: by anybody but the import itself.
func (i *importing) hold(ctx context.Context, onConflict bulk.OnConflict) error {
	moves := onConflict == bulk.Update && i.write && slices.ContainsFunc(i.rows, func(row ImportRow) bool {
		return row.Patch.ParentID.IsSpecified()
	})
	if i.tx.Reach != nil && moves {
		return HoldHierarchy(ctx, i.tx) // at once: of two that hold it shared neither could have it alone
	}
	return reach.Hold(ctx, i.tx)
}

// HoldHierarchy keeps everybody else from moving customers until the transaction ends. Whoever writes rows in several
// imports of one transaction holds it before the first, should one of them move customers.
func HoldHierarchy(ctx context.Context, tx *postgres.Tx) error {
	return db.New().HierarchyLock(ctx, tx)
}

// importing is an import of rows, with what became of those that are judged.
type importing struct {
	tx      *postgres.Tx
	rows    []ImportRow
	results []bulk.Result
	write   bool
}

func (i *importing) refuse(at int, why *fault.Error) {
	i.results[at].Outcome, i.results[at].Fault = bulk.Refused, why
}

// judge refuses a row by an error that is the row's. Any other is given back.
func (i *importing) judge(at int, err error) error {
	why := bulk.RowFault(err)
	if why == nil {
		return err
	}
	i.refuse(at, why)
	return nil
}

// keys are customers by what rows name them by.
type keys struct {
	ids        map[uuid.UUID]bool
	parents    map[uuid.UUID]*uuid.UUID
	externalID map[string]uuid.UUID
	taken      map[string]bool // external ids of customers out of reach
}

func (k keys) of(row ImportRow) (uuid.UUID, bool) {
	if row.ID != nil && k.ids[*row.ID] {
		return *row.ID, true
	}
	externalID, err := row.Patch.ExternalID.Get()
	id, found := k.externalID[externalID]
	return id, err == nil && found
}

// elsewhere tells whether the row names a customer out of reach by its external id, which no other can have.
func (k keys) elsewhere(row ImportRow) bool {
	externalID, err := row.Patch.ExternalID.Get()
	return err == nil && k.taken[externalID]
}

// givesAway tells whether the row gives its customer the external id of another one.
func (k keys) givesAway(row ImportRow, id uuid.UUID) bool {
	externalID, err := row.Patch.ExternalID.Get()
	other, found := k.externalID[externalID]
	return err == nil && found && other != id
}

// moves tells whether the row gives its customer another parent.
func (k keys) moves(row ImportRow, id uuid.UUID) bool {
	parent, err := row.Patch.ParentID.Get()
	return err == nil && !mergepatch.Same(&parent, k.parents[id]) || row.Patch.ParentID.IsNull() && k.parents[id] != nil
}

// find finds the customers that the rows name.
func (i *importing) find(ctx context.Context) (keys, error) {
	var ids []uuid.UUID
	var externalIDs []string
	for _, row := range i.rows {
		if row.ID != nil {
			ids = append(ids, *row.ID)
		}
		if externalID, err := row.Patch.ExternalID.Get(); err == nil {
			externalIDs = append(externalIDs, externalID)
		}
	}
	found := keys{
		ids: map[uuid.UUID]bool{}, parents: map[uuid.UUID]*uuid.UUID{}, externalID: map[string]uuid.UUID{}, taken: map[string]bool{},
	}
	if ids == nil && externalIDs == nil {
		return found, nil
	}
	customers, err := db.New().CustomerFindByKeys(ctx, i.tx, i.tx.Reach, ids, externalIDs)
	for _, customer := range customers {
		if !customer.Reached {
			if customer.ExternalID != nil {
				found.taken[*customer.ExternalID] = true
			}
			continue
		}
		found.ids[customer.ID] = true
		found.parents[customer.ID] = customer.ParentID
		if customer.ExternalID != nil {
			found.externalID[*customer.ExternalID] = customer.ID
		}
	}
	return found, err
}

// change changes customers, each as its row says.
func (i *importing) change(ctx context.Context, present keys, changes map[uuid.UUID]int) error {
	ids := make([]uuid.UUID, 0, len(changes))
	moves := false
	for id, at := range changes {
		ids = append(ids, id)
		moves = moves || present.moves(i.rows[at], id)
	}
	if len(ids) == 0 {
		return nil
	}
	if moves && i.write {
		if err := db.New().HierarchyLock(ctx, i.tx); err != nil {
			return err
		}
	}
	locked, err := db.New().CustomerListForNoKeyUpdate(ctx, i.tx, ids, i.tx.Reach)
	if err != nil {
		return err
	}
	for _, before := range locked {
		if err := i.changeOne(ctx, changes[before.ID], before); err != nil {
			return err
		}
		delete(changes, before.ID)
	}
	for _, at := range changes { // deleted since they were found
		i.refuse(at, conflict("not_found", "", "the customer has been deleted"))
	}
	return nil
}

func (i *importing) changeOne(ctx context.Context, at int, before db.Customer) error {
	patch, err := i.rows[at].patchOf(before)
	if err != nil {
		return err
	}
	edited, changed, err := edit(ctx, i.tx, before, patch)
	if err != nil {
		return i.judge(at, err)
	}
	i.results[at].Outcome = bulk.Skipped
	if !changed {
		return nil
	}
	i.results[at].Outcome = bulk.Updated
	if !i.write {
		return nil
	}
	err = i.tx.Savepoint(ctx, func(tx *postgres.Tx) error { return store(ctx, tx, before, edited) })
	if err != nil {
		return i.judge(at, err)
	}
	return nil
}

// patchOf is the patch for the customer as it is: without properties whose text is the one that they have.
func (r ImportRow) patchOf(before db.Customer) (Patch, error) {
	if !r.Texts || !r.Patch.Properties.IsSpecified() || r.Patch.Properties.IsNull() {
		return r.Patch, nil
	}
	properties := r.Patch.Properties.MustGet()
	var present, said map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(before.Properties, &present), json.Unmarshal(properties, &said)); err != nil {
		return r.Patch, err
	}
	for key, value := range said {
		if PropertyText(present[key]) == PropertyText(value) {
			delete(said, key)
		}
	}
	patch := r.Patch
	properties, err := json.Marshal(said)
	patch.Properties.Set(properties)
	return patch, err
}

// PropertyText is the value of a property as a text: a string as it is, nothing for null, whatever else as JSON.
func PropertyText(value json.RawMessage) string {
	var plain string
	switch {
	case len(value) == 0 || string(value) == "null":
		return ""
	case json.Unmarshal(value, &plain) == nil:
		return plain
	}
	return rawjson.Compact(value)
}

// add creates the customers of the rows.
func (i *importing) add(ctx context.Context, additions []int) error {
	levels, err := i.levels(ctx, additions)
	if err != nil {
		return err
	}
	var created []db.CustomerCopyParams
	var creations []events.Event
	for _, at := range additions {
		customer, err := i.customer(at, levels)
		if err != nil {
			if err := i.judge(at, err); err != nil {
				return err
			}
			continue
		}
		i.results[at].Outcome = bulk.Created
		if !i.write {
			continue
		}
		customer.CreatedAt, customer.UpdatedAt = i.tx.Now, i.tx.Now
		created = append(created, db.CustomerCopyParams{
			ID: customer.ID, Name: customer.Name, Email: customer.Email, Phone: customer.Phone, Company: customer.Company,
			Address: customer.Address, Comments: customer.Comments, Modules: customer.Modules,
			Properties: customer.Properties, ParentID: customer.ParentID, ExternalID: customer.ExternalID,
			Locale: customer.Locale, Status: customer.Status, CreatedAt: i.tx.Now, UpdatedAt: i.tx.Now,
			NameKey: customer.NameKey, EmailKey: customer.EmailKey, SearchText: customer.SearchText,
			SearchGrams: customer.SearchGrams,
		})
		creations = append(creations, eventOf("created", nil, &customer))
	}
	if len(created) == 0 {
		return nil
	}
	if _, err := db.New().CustomerCopy(ctx, i.tx, created); err != nil {
		return err
	}
	return events.AppendAll(ctx, i.tx, creations)
}

// levels tells on which level of the hierarchy the parents are that the rows name. Those that are not there have none.
func (i *importing) levels(ctx context.Context, additions []int) (map[uuid.UUID]int, error) {
	levels := map[uuid.UUID]int{}
	var parents []uuid.UUID
	for _, at := range additions {
		if parent, err := i.rows[at].Patch.ParentID.Get(); err == nil {
			parents = append(parents, parent)
		}
	}
	if parents == nil {
		return levels, nil
	}
	found, err := db.New().CustomerLevels(ctx, i.tx, parents, i.tx.Reach)
	for _, parent := range found {
		levels[parent.ID] = int(parent.Level)
	}
	return levels, err
}

// customer is the new customer that a row describes.
func (i *importing) customer(at int, levels map[uuid.UUID]int) (db.Customer, error) {
	r := i.rows[at]
	customer, err := r.Patch.apply(db.Customer{ID: uuid.Must(uuid.NewV7()), Status: Unregistered, Version: 1})
	if err != nil {
		return customer, err
	}
	if r.Patch.Name == nil {
		return customer, fault.InvalidBody(fault.Field{Pointer: "/name", Code: "required", Message: "is required"})
	}
	if customer.ParentID == nil && i.tx.Reach != nil {
		return customer, parentRequired()
	}
	if customer.ParentID != nil {
		level, found := levels[*customer.ParentID]
		if !found {
			return customer, noSuchParent()
		}
		if level+1 > maxDepth {
			return customer, tooDeep()
		}
	}
	normalize(&customer)
	return customer, nil
}

// alreadyThere tells by which of its keys a row names a customer that is there.
func alreadyThere(row ImportRow, id uuid.UUID) *fault.Error {
	if row.ID != nil && *row.ID == id {
		return conflict("customer_exists", "/id", "the customer is there already")
	}
	return conflict("external_id_taken", "/external_id", "another customer has this external id")
}

func conflict(code, pointer, message string) *fault.Error {
	field := fault.Field{Pointer: pointer, Code: code, Message: message}
	return &fault.Error{Kind: fault.Conflict, Code: code, Detail: message, Fields: []fault.Field{field}}
}
