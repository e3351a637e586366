// Package publishings keeps what the people of customers write, each their own: drafts, requests, templates, posts. A
// publishing belongs to a login, which alone makes, changes and deletes it; colleagues read what is shared with them, and
// staff reads what it is recorded to have read. Whose a publishing is, is in the condition of every query, and the
// database has a guard of its own on the table.
package publishings

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/oapi-codegen/nullable"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/idempotency"
	"github.com/clientele-api/clientele/internal/mergepatch"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/textfold"
)

// Who may read a publishing beside its owner.
const (
	Private = "private"  // nobody
	Shared  = "customer" // the colleagues of the same customer
)

// Publishing is a publishing whose login is there, with the name of its owner.
type Publishing struct {
	db.Publishing
	OwnerName string
}

// Get reads a publishing of the caller's own, or one that a colleague shares.
func Get(ctx context.Context, database db.DBTX, caller *access.Principal, id uuid.UUID) (Publishing, error) {
	row, err := db.New().PublishingGet(ctx, database, id, caller.CustomerID, caller.ID)
	return Publishing{row.Publishing, row.OwnerName}, err
}

// Input is what a caller says of a new publishing.
type Input struct {
	Kind       string
	Title      *string         // nil for the template's
	Content    json.RawMessage // nil for the template's, or for none
	State      string          // "" for a draft
	Visibility string          // "" for private
	TemplateID *uuid.UUID
}

// Create makes a publishing of the caller's. A caller whose login is gone finds nothing.
func Create(ctx context.Context, tx *postgres.Tx, caller *access.Principal, input Input) (Publishing, error) {
	if input.TemplateID != nil {
		if err := startFrom(ctx, tx, caller, &input); err != nil {
			return Publishing{}, err
		}
	}
	if input.Title == nil {
		return Publishing{}, fault.InvalidBody(fault.Field{
			Pointer: "/title", Code: "required", Message: "is required without a template_id",
		})
	}
	if input.Content == nil {
		input.Content = json.RawMessage("null")
	}
	created := Publishing{Publishing: db.Publishing{
		ID: uuid.Must(uuid.NewV7()), CustomerID: caller.CustomerID, IdentityID: &caller.ID, Kind: input.Kind,
		State: cmp.Or(input.State, Draft), Visibility: cmp.Or(input.Visibility, Private), TemplateID: input.TemplateID,
		Version: 1, CreatedAt: tx.Now, UpdatedAt: tx.Now,
	}}
	if err := checkMove(Draft, created.State); err != nil {
		return Publishing{}, err
	}
	setTitle(&created.Publishing, *input.Title)
	if err := setContent(&created.Publishing, input.Content); err != nil {
		return Publishing{}, err
	}
	var err error
	created.OwnerName, err = db.New().PublishingInsert(ctx, tx, db.PublishingInsertParams{
		ID: created.ID, CustomerID: created.CustomerID, IdentityID: caller.ID, Kind: created.Kind, Title: created.Title,
		Content: created.Content, State: created.State, Visibility: created.Visibility, TemplateID: created.TemplateID,
		SizeBytes: created.SizeBytes, CreatedAt: created.CreatedAt, TitleKey: created.TitleKey,
		Marks: created.Marks,
	})
	if err != nil {
		return Publishing{}, err
	}
	return created, record(ctx, tx, "created", nil, &created.Publishing)
}

// startFrom fills in what the template has: all of its content that the caller's own does not replace.
func startFrom(ctx context.Context, tx *postgres.Tx, caller *access.Principal, input *Input) error {
	template, err := Get(ctx, tx, caller, *input.TemplateID)
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.InvalidBody(fault.Field{
			Pointer: "/template_id", Code: "reference_not_found", Message: "there is no such publishing that you may read",
		})
	}
	if err != nil {
		return err
	}
	if input.Title == nil {
		input.Title = &template.Title
	}
	if input.Content == nil {
		input.Content = template.Content
		return nil
	}
	input.Content, err = mergepatch.Apply(template.Content, input.Content)
	return err
}

// setTitle gives a publishing a title.
func setTitle(publishing *db.Publishing, title string) {
	publishing.Title = title
	publishing.TitleKey = textfold.Key(title)
}

// Patch is what to change of a publishing (RFC 7396): what is not specified stays, content is merged.
type Patch struct {
	Kind       *string
	Title      *string
	Content    nullable.Nullable[json.RawMessage]
	State      *string
	Visibility *string
}

// apply gives the publishing as the patch makes it, and tells whether that is another text than before.
func (p Patch) apply(publishing db.Publishing) (edited db.Publishing, rewritten bool, err error) {
	edited = publishing
	if p.Kind != nil {
		edited.Kind = *p.Kind
	}
	if p.Title != nil && *p.Title != edited.Title {
		setTitle(&edited, *p.Title)
	}
	if p.State != nil {
		edited.State = *p.State
	}
	if p.Visibility != nil {
		edited.Visibility = *p.Visibility
	}
	if p.Content.IsSpecified() {
		patch := json.RawMessage("null")
		if !p.Content.IsNull() {
			patch = p.Content.MustGet()
		}
		merged, err := mergepatch.Apply(edited.Content, patch)
		if err != nil {
			return edited, false, err
		}
		if err := setContent(&edited, merged); err != nil {
			return edited, false, err
		}
	}
	return edited, edited.Kind != publishing.Kind || edited.Title != publishing.Title ||
		!bytes.Equal(edited.Content, publishing.Content), nil
}

// Update changes a publishing of the caller's own. Nothing is written when the patch changes nothing.
func Update(
	ctx context.Context, tx *postgres.Tx, caller *access.Principal, id uuid.UUID, versions etag.Versions, patch Patch,
) (Publishing, error) {
	row, err := db.New().PublishingGetForUpdate(ctx, tx, id, caller.ID)
	if err != nil {
		return Publishing{}, err
	}
	before := Publishing{row.Publishing, row.OwnerName}
	if err := versions.Check(before.Version); err != nil {
		return Publishing{}, err
	}
	edited, rewritten, err := patch.apply(before.Publishing)
	if err != nil {
		return Publishing{}, err
	}
	if !rewritten && edited.State == before.State && edited.Visibility == before.Visibility {
		return before, nil
	}
	if err := checkMove(before.State, edited.State); err != nil {
		return Publishing{}, err
	}
	if rewritten && before.State != Draft && edited.State != Draft {
		return Publishing{}, refuse(before.State, "; its kind, title and content change in a draft only.")
	}
	edited.UpdatedAt = tx.Now
	edited.Version++
	err = db.New().PublishingUpdate(ctx, tx, db.PublishingUpdateParams{
		ID: id, IdentityID: caller.ID, Kind: edited.Kind, Title: edited.Title, Content: edited.Content,
		State: edited.State, Visibility: edited.Visibility, SizeBytes: edited.SizeBytes, UpdatedAt: edited.UpdatedAt,
		TitleKey: edited.TitleKey, Marks: edited.Marks,
	})
	if err != nil {
		return Publishing{}, err
	}
	after := Publishing{Publishing: edited, OwnerName: before.OwnerName}
	return after, record(ctx, tx, "updated", &before.Publishing, &edited)
}

// Delete removes a publishing of the caller's own, whatever its state.
func Delete(
	ctx context.Context, tx *postgres.Tx, caller *access.Principal, id uuid.UUID, versions etag.Versions,
) error {
	row, err := db.New().PublishingGetForUpdate(ctx, tx, id, caller.ID)
	if err != nil {
		return err
	}
	if err := versions.Check(row.Publishing.Version); err != nil {
		return err
	}
	if err := db.New().PublishingDelete(ctx, tx, id, caller.ID); err != nil {
		return err
	}
	if err := idempotency.Erase(ctx, tx, id); err != nil {
		return err
	}
	return record(ctx, tx, "deleted", &row.Publishing, nil)
}

// snapshot is a publishing as events show it: neither its title nor its content, which are nobody else's business.
type snapshot struct {
	ID         uuid.UUID  `json:"id"`
	CustomerID uuid.UUID  `json:"customer_id"`
	IdentityID *uuid.UUID `json:"identity_id"`
	Kind       string     `json:"kind"`
	State      string     `json:"state"`
	Visibility string     `json:"visibility"`
	TemplateID *uuid.UUID `json:"template_id"`
	SizeBytes  int32      `json:"size_bytes"`
	RestoredAt *time.Time `json:"restored_at"`
	Version    int64      `json:"version"`
	CreatedAt  time.Time  `json:"created_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
}

func snapshotOf(p *db.Publishing) snapshot {
	return snapshot{
		p.ID, p.CustomerID, p.IdentityID, p.Kind, p.State, p.Visibility, p.TemplateID, p.SizeBytes, p.RestoredAt, p.Version, p.CreatedAt,
		p.UpdatedAt,
	}
}

func record(ctx context.Context, tx *postgres.Tx, what string, before, after *db.Publishing) error {
	event := events.Event{Kind: events.Publishing, What: what}
	if before != nil {
		event.Before = snapshotOf(before)
		event.ResourceID, event.CustomerID, event.Version = before.ID, &before.CustomerID, before.Version+1
	}
	if after != nil {
		event.After = snapshotOf(after)
		event.ResourceID, event.CustomerID, event.Version = after.ID, &after.CustomerID, after.Version
	}
	return events.Append(ctx, tx, event)
}
