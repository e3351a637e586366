// Package notes keeps the dated, signed log about a customer. A note is never changed; the customer never sees one.
package notes

import (
	"context"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/idempotency"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
)

// Create adds a note, signed by whoever makes the change.
func Create(ctx context.Context, tx *postgres.Tx, customerID uuid.UUID, text string) (db.Note, error) {
	if err := customers.LockForKeyShare(ctx, tx, customerID); err != nil {
		return db.Note{}, err
	}
	note, err := db.New().NoteInsert(ctx, tx, db.NoteInsertParams{
		ID: uuid.Must(uuid.NewV7()), CustomerID: customerID, Text: text, AuthorKind: tx.Actor.Kind,
		AuthorID: tx.Actor.ID, AuthorName: tx.Actor.Name, CreatedAt: tx.Now,
	})
	if err != nil {
		return db.Note{}, err
	}
	return note, events.Append(ctx, tx, events.Event{
		Kind: events.Note, What: "created", ResourceID: note.ID, CustomerID: &customerID, Version: 1, After: snapshot(note),
	})
}

// Delete removes a note and erases its text from the change log.
func Delete(ctx context.Context, tx *postgres.Tx, customerID, id uuid.UUID) error {
	if err := customers.LockForKeyShare(ctx, tx, customerID); err != nil {
		return err
	}
	if _, err := db.New().NoteDelete(ctx, tx, id, customerID); err != nil {
		return err
	}
	if err := events.EraseResource(ctx, tx, customerID, events.Note, id); err != nil {
		return err
	}
	if err := idempotency.Erase(ctx, tx, id); err != nil {
		return err
	}
	return events.Append(ctx, tx, events.Event{
		Kind: events.Note, What: "deleted", ResourceID: id, CustomerID: &customerID, Version: 2,
	})
}

// snapshot is a note as its event shows it: as the API does.
func snapshot(note db.Note) any {
	return map[string]any{
		"id": note.ID, "customer_id": note.CustomerID, "text": note.Text, "created_at": note.CreatedAt,
		"author": map[string]any{"kind": note.AuthorKind, "id": note.AuthorID, "name": note.AuthorName},
	}
}

// List reads a page of the notes about a customer that is within reach, the newest first.
func List(
	ctx context.Context, database *postgres.DB, reach *uuid.UUID, customerID uuid.UUID, page paging.Request,
) (paging.Page[db.Note], error) {
	if _, err := db.New().CustomerFind(ctx, database, customerID, reach); err != nil {
		return paging.Page[db.Note]{}, err
	}
	return paging.Read(page, paging.Query[db.Note, paging.ByTime]{
		Cursors: paging.CursorsOf("notes", customerID),
		Start:   paging.Newest,
		Rows: func(before paging.ByTime, limit int32) ([]db.Note, error) {
			return db.New().NoteListNewestFirst(ctx, database, db.NoteListNewestFirstParams{
				CustomerID: customerID, BeforeCreatedAt: before.CreatedAt, BeforeID: before.ID, RowLimit: limit,
			})
		},
		PlaceOf: func(note db.Note) paging.ByTime { return paging.ByTime{CreatedAt: note.CreatedAt, ID: note.ID} },
		Count:   func() (int64, error) { return db.New().NoteCount(ctx, database, customerID) },
	})
}
