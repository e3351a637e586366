// Package terms keeps the terms and conditions in versions, and the ledger of who accepted which. The highest version is
// the current one; nothing is ever changed or deleted. Documents come as streams and are kept as blobs.
package terms

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"math"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/blobs"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
)

// maxSize is how many bytes a document has at most.
const maxSize = 20 << 20

// Document is a document that was received and is stored, but not published yet.
type Document struct {
	ContentType string
	Blob        blobs.Blob
}

// Receive stores a document, which is judged by its content as it comes in. One that is refused, or does not arrive whole,
// leaves nothing behind. It takes as long as the caller sends, so it comes before the transaction.
func Receive(ctx context.Context, store *blobs.Store, declared string, content io.Reader) (Document, error) {
	inspected, err := inspect(declared, content)
	if err != nil {
		return Document{}, err
	}
	blob, err := store.Write(ctx, "terms", inspected, maxSize)
	return Document{ContentType: inspected.contentType, Blob: blob}, err
}

// Publish makes a received document the current terms.
func Publish(ctx context.Context, tx *postgres.Tx, title string, document Document) (db.Terms, error) {
	if err := db.New().TermsLock(ctx, tx); err != nil {
		return db.Terms{}, err
	}
	published, err := db.New().TermsInsert(ctx, tx, db.TermsInsertParams{
		ID: uuid.Must(uuid.NewV7()), Title: title, ContentType: document.ContentType, Size: document.Blob.Size,
		Sha256: document.Blob.SHA256[:], BlobKey: document.Blob.Key, UploadedAt: tx.Now, UploadedByKind: tx.Actor.Kind,
		UploadedByID: tx.Actor.ID, UploadedByName: tx.Actor.Name,
	})
	if err != nil {
		return db.Terms{}, err
	}
	return published, events.Append(ctx, tx, events.Event{
		Kind: events.Terms, What: "published", ResourceID: published.ID, Version: int64(published.Version),
		After: map[string]any{
			"id": published.ID, "version": published.Version, "title": published.Title,
			"content_type": published.ContentType, "size": published.Size, "sha256": hex.EncodeToString(published.Sha256),
			"uploaded_at": published.UploadedAt,
		},
	})
}

// Current reads the current terms; the error is pgx.ErrNoRows before the first.
func Current(ctx context.Context, database db.DBTX) (db.Terms, error) {
	return db.New().TermsGetCurrent(ctx, database)
}

// List reads a page of the versions, the newest first.
func List(ctx context.Context, database *postgres.DB, page paging.Request) (paging.Page[db.Terms], error) {
	return paging.Read(page, paging.Query[db.Terms, int32]{
		Cursors: paging.CursorsOf("terms"),
		Start:   math.MaxInt32,
		Rows: func(before int32, limit int32) ([]db.Terms, error) {
			return db.New().TermsListNewestFirst(ctx, database, before, limit)
		},
		PlaceOf: func(t db.Terms) int32 { return t.Version },
		Count:   func() (int64, error) { return db.New().TermsCount(ctx, database) },
	})
}

// Acceptance is an entry of the ledger.
type Acceptance = db.TermsAcceptanceListNewestFirstRow

// ErrNotCurrent is the fault of terms that are not the current ones.
func ErrNotCurrent() error {
	return &fault.Error{
		Kind: fault.Conflict, Code: "terms_not_current",
		Detail: "These are not the current terms. Read the current ones and accept those.",
	}
}

// Accept notes that a login accepts the terms, which must be the current ones, for its customer too. Accepting again
// gives the first acceptance; isNew tells them apart. The login is read under the customer's lock: who it was must not be
// noted of one that is deleted meanwhile.
func Accept(
	ctx context.Context, tx *postgres.Tx, customerID, identityID, termsID uuid.UUID,
) (accepted Acceptance, isNew bool, err error) {
	if _, err := customers.Lock(ctx, tx, customerID); err != nil {
		return Acceptance{}, false, err
	}
	login, err := db.New().IdentityGet(ctx, tx, identityID, customerID)
	if err != nil {
		return Acceptance{}, false, err
	}
	current, err := Current(ctx, tx)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && current.ID != termsID {
		return Acceptance{}, false, ErrNotCurrent()
	}
	if err != nil {
		return Acceptance{}, false, err
	}
	accepted.TermsVersion, accepted.DocumentSha256 = current.Version, current.Sha256
	accepted.TermsAcceptance, err = db.New().TermsAcceptanceGet(ctx, tx, &login.ID, termsID)
	if !errors.Is(err, pgx.ErrNoRows) {
		return accepted, false, err
	}
	accepted.TermsAcceptance, err = db.New().TermsAcceptanceInsert(ctx, tx, db.TermsAcceptanceInsertParams{
		ID: uuid.Must(uuid.NewV7()), CustomerID: login.CustomerID, TermsID: termsID, IdentityID: login.ID,
		IdentityName: login.Name, IdentityEmail: login.Email, AcceptedAt: tx.Now,
	})
	if err != nil {
		return Acceptance{}, false, err
	}
	return accepted, true, events.Append(ctx, tx, events.Event{
		Kind: events.Terms, What: "accepted", ResourceID: termsID, CustomerID: &login.CustomerID,
		Version: int64(current.Version),
		After: map[string]any{
			"id": accepted.TermsAcceptance.ID, "terms_id": termsID, "terms_version": current.Version,
			"customer_id": login.CustomerID, "identity_id": login.ID, "accepted_at": tx.Now,
			"document_sha256": hex.EncodeToString(current.Sha256),
		},
	})
}

// ListAcceptances reads a page of what a customer that is within reach has accepted, the newest first.
func ListAcceptances(
	ctx context.Context, database *postgres.DB, reach *uuid.UUID, customerID uuid.UUID, page paging.Request,
) (paging.Page[Acceptance], error) {
	if _, err := db.New().CustomerFind(ctx, database, customerID, reach); err != nil {
		return paging.Page[Acceptance]{}, err
	}
	return paging.Read(page, paging.Query[Acceptance, paging.ByTime]{
		Cursors: paging.CursorsOf("terms acceptances", customerID),
		Start:   paging.Newest,
		Rows: func(before paging.ByTime, limit int32) ([]Acceptance, error) {
			return db.New().TermsAcceptanceListNewestFirst(ctx, database, db.TermsAcceptanceListNewestFirstParams{
				CustomerID: customerID, BeforeAcceptedAt: before.CreatedAt, BeforeID: before.ID, RowLimit: limit,
			})
		},
		PlaceOf: func(a Acceptance) paging.ByTime {
			return paging.ByTime{CreatedAt: a.TermsAcceptance.AcceptedAt, ID: a.TermsAcceptance.ID}
		},
		Count: func() (int64, error) { return db.New().TermsAcceptanceCount(ctx, database, customerID) },
	})
}

// ListOwnAcceptances reads a page of what the caller has accepted, the newest version first.
func ListOwnAcceptances(
	ctx context.Context, database *postgres.DB, caller *access.Principal, page paging.Request,
) (paging.Page[Acceptance], error) {
	return paging.Read(page, paging.Query[Acceptance, int32]{
		Cursors: paging.CursorsOf("own terms acceptances", caller.ID),
		Start:   math.MaxInt32,
		Rows: func(before int32, limit int32) ([]Acceptance, error) {
			rows, err := db.New().TermsAcceptanceListByIdentity(ctx, database, &caller.ID, before, limit)
			accepted := make([]Acceptance, len(rows))
			for i, row := range rows {
				accepted[i] = Acceptance(row)
			}
			return accepted, err
		},
		PlaceOf: func(a Acceptance) int32 { return a.TermsVersion },
		Count:   func() (int64, error) { return db.New().TermsAcceptanceCountByIdentity(ctx, database, &caller.ID) },
	})
}

// Missing is what a customer has to accept.
type Missing struct{ TermsID uuid.UUID }

// Require refuses for a customer that has not accepted the current terms, when there are any.
func Require(ctx context.Context, database db.DBTX, customerID uuid.UUID) error {
	missing, err := db.New().TermsMissing(ctx, database, customerID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return &fault.Error{
		Kind: fault.Forbidden, Code: "terms_acceptance_required", About: Missing{TermsID: missing},
		Detail: "The current terms have to be accepted first.",
	}
}
