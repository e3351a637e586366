package api

import (
	"context"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/notes"
	"github.com/clientele-api/clientele/internal/postgres"
)

// NoteList lists the notes about a customer.
func (s *Server) NoteList(ctx context.Context, request openapi.NoteListRequestObject) (openapi.NoteListResponseObject, error) {
	params := request.Params
	page, err := notes.List(ctx, s.db, reachOf(ctx), request.CustomerId, FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	return openapi.NoteList200JSONResponse{
		Body:    openapi.NotePage{Data: convert(page.Rows, ToAPINote), NextCursor: page.Next, Total: page.Total},
		Headers: openapi.NoteList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// NoteCreate adds a note about a customer.
func (s *Server) NoteCreate(ctx context.Context, request openapi.NoteCreateRequestObject) (openapi.NoteCreateResponseObject, error) {
	return change(ctx, s, func(tx *postgres.Tx) (openapi.NoteCreateResponseObject, error) {
		note, err := notes.Create(ctx, tx, request.CustomerId, request.Body.Text)
		if err != nil {
			return nil, err
		}
		return openapi.NoteCreate201JSONResponse(ToAPINote(note)), nil
	})
}

// NoteDelete deletes a note.
func (s *Server) NoteDelete(ctx context.Context, request openapi.NoteDeleteRequestObject) (openapi.NoteDeleteResponseObject, error) {
	return change(ctx, s, func(tx *postgres.Tx) (openapi.NoteDeleteResponseObject, error) {
		return openapi.NoteDelete204Response{}, notes.Delete(ctx, tx, request.CustomerId, request.NoteId)
	})
}

// ToAPINote shows a note.
func ToAPINote(note db.Note) openapi.Note {
	return openapi.Note{
		Id: note.ID, CustomerId: note.CustomerID, Text: note.Text, CreatedAt: note.CreatedAt, RestoredAt: note.RestoredAt,
		Author: openapi.Actor{Kind: note.AuthorKind, Id: note.AuthorID, Name: note.AuthorName},
	}
}
