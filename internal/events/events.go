// Package events is the one change log: every change of every resource appends its event in its own transaction, and
// history, feed and whatever follows later read that one log. Nothing but erasure changes an event.
package events

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/postgres"
)

// The kinds of resource that events are about. A type of event is "<kind>.<what happened>".
const (
	Customer          = "customer"
	Identity          = "identity"
	ActivationRequest = "activation_request"
	Domain            = "domain"
	Job               = "job"
	Publishing        = "publishing"
	Terms             = "terms"
	Note              = "note"
	Staff             = "staff"
	APIClient         = "api_client"
	Backup            = "backup"
	WebhookEndpoint   = "webhook_endpoint"
)

// readScopes says which scope shows the events of a kind, beside events:read itself.
var readScopes = map[string]access.Scope{
	Customer:          "customers:read",
	Identity:          "identities:read",
	ActivationRequest: "identities:read",
	Domain:            "domains:read",
	Job:               "jobs:read",
	Publishing:        "publishings:read",
	Terms:             "terms:read",
	Note:              "customers:read",
	Staff:             "staff:read",
	APIClient:         "api-clients:read",
	Backup:            "backups:read",
	WebhookEndpoint:   "webhooks:read",
}

// VisibleKinds gives the kinds of resource whose events the caller may see.
func VisibleKinds(caller *access.Principal) []string {
	kinds := []string{}
	for kind, scope := range readScopes {
		if caller.Has(scope) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// Event is what happened to a resource.
type Event struct {
	Kind       string // of the resource
	What       string // created, updated, deleted, …
	ResourceID uuid.UUID
	Version    int64       // that the change made
	CustomerID *uuid.UUID  // that the resource belongs to
	Ancestors  []uuid.UUID // that customer and those above it, where it is not there any more, or those that it had before
	Before     any         // the resource before, nil when it is new
	After      any         // the resource after, nil when it is gone
}

// Append writes the event, in the transaction of the change and while the changed row is locked: that is what keeps the
// events of one resource in order. Before and After are encoded as JSON objects; of Before only the members that
// changed are kept.
func Append(ctx context.Context, tx *postgres.Tx, event Event) error {
	row, err := event.row(tx)
	if err != nil {
		return err
	}
	if err := db.New().EventInsert(ctx, tx, db.EventInsertParams(row)); err != nil {
		return fmt.Errorf("writing a %s event: %w", event.Kind, err)
	}
	return nil
}

// AppendAll is Append for many events at once, in their order.
func AppendAll(ctx context.Context, tx *postgres.Tx, all []Event) error {
	lines, err := linesOf(ctx, tx, all)
	if err != nil {
		return err
	}
	rows := make([]db.EventCopyParams, len(all))
	for i, event := range all {
		if rows[i], err = event.row(tx); err != nil {
			return err
		}
		if event.CustomerID != nil {
			rows[i].Ancestors = append(rows[i].Ancestors, lines[*event.CustomerID]...)
		}
	}
	if _, err := db.New().EventCopy(ctx, tx, rows); err != nil {
		return fmt.Errorf("writing %d events: %w", len(all), err)
	}
	return nil
}

// linesOf gives the customers of the events, each with itself and those above it. One that is gone has none.
func linesOf(ctx context.Context, tx *postgres.Tx, all []Event) (map[uuid.UUID][]uuid.UUID, error) {
	lines := map[uuid.UUID][]uuid.UUID{}
	for _, event := range all {
		if event.CustomerID != nil {
			lines[*event.CustomerID] = nil
		}
	}
	if len(lines) == 0 {
		return lines, nil
	}
	found, err := db.New().CustomerLines(ctx, tx, slices.Collect(maps.Keys(lines)))
	for _, customer := range found {
		lines[customer.ID] = customer.Line
	}
	return lines, err
}

// row is the event as it is stored, with those ancestors that it brings itself.
func (e Event) row(tx *postgres.Tx) (db.EventCopyParams, error) {
	data, err := encode(e.Before, e.After)
	if err != nil {
		return db.EventCopyParams{}, fmt.Errorf("encoding a %s event: %w", e.Kind, err)
	}
	row := db.EventCopyParams{
		ID: uuid.Must(uuid.NewV7()), Type: e.Kind + "." + e.What, ResourceKind: e.Kind, ResourceID: e.ResourceID,
		Version: e.Version, CustomerID: e.CustomerID, ActorKind: tx.Actor.Kind, ActorID: tx.Actor.ID,
		ActorName: tx.Actor.Name, At: tx.Now, Data: data, Ancestors: append([]uuid.UUID{}, e.Ancestors...),
	}
	tx.About(e.ResourceID)
	if e.CustomerID != nil && *e.CustomerID != e.ResourceID {
		tx.About(*e.CustomerID)
	}
	if tx.RequestID != "" {
		row.RequestID = &tx.RequestID
	}
	return row, nil
}

// encode gives {"before": …, "after": …}, or nil when neither is known any more.
func encode(before, after any) (json.RawMessage, error) {
	if before == nil && after == nil {
		return nil, nil
	}
	encodedBefore, err := json.Marshal(before)
	if err != nil {
		return nil, err
	}
	encodedAfter, err := json.Marshal(after)
	if err != nil {
		return nil, err
	}
	if before != nil && after != nil {
		if encodedBefore, err = changed(encodedBefore, encodedAfter); err != nil {
			return nil, err
		}
	}
	var data bytes.Buffer
	data.Grow(len(encodedBefore) + len(encodedAfter) + 24)
	data.WriteString(`{"before":`)
	data.Write(encodedBefore)
	data.WriteString(`,"after":`)
	data.Write(encodedAfter)
	data.WriteByte('}')
	return data.Bytes(), nil
}

// changed keeps those members of before that after has not, or has with another value.
func changed(before, after json.RawMessage) (json.RawMessage, error) {
	var old, now map[string]json.RawMessage
	if err := json.Unmarshal(before, &old); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(after, &now); err != nil {
		return nil, err
	}
	for name, value := range old {
		if bytes.Equal(value, now[name]) {
			delete(old, name)
		}
	}
	return json.Marshal(old)
}
