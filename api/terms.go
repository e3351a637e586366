package api

import (
	"context"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/terms"
)

// TermsList lists the versions of the terms.
func (s *Server) TermsList(ctx context.Context, request openapi.TermsListRequestObject) (openapi.TermsListResponseObject, error) {
	params := request.Params
	current, err := s.currentTerms(ctx)
	if err != nil {
		return nil, err
	}
	page, err := terms.List(ctx, s.db, FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	return openapi.TermsList200JSONResponse{
		Body: openapi.TermsPage{
			Data:       convert(page.Rows, func(t db.Terms) openapi.Terms { return ToAPITerms(t, current) }),
			NextCursor: page.Next, Total: page.Total,
		},
		Headers: openapi.TermsList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// currentTerms gives the version of the current terms, 0 before the first.
func (s *Server) currentTerms(ctx context.Context) (int32, error) {
	return db.New().TermsCurrentVersion(ctx, s.db)
}

// TermsCreate publishes new terms. The document is received before the change, for as long as that takes.
func (s *Server) TermsCreate(ctx context.Context, request openapi.TermsCreateRequestObject) (openapi.TermsCreateResponseObject, error) {
	document, err := terms.Receive(ctx, s.blobs, request.ContentType, upload(ctx, request.Body))
	if err != nil {
		return nil, err
	}
	return change(ctx, s, func(tx *postgres.Tx) (openapi.TermsCreateResponseObject, error) {
		published, err := terms.Publish(ctx, tx, request.Params.Title, document)
		if err != nil {
			return nil, err
		}
		return openapi.TermsCreate201JSONResponse{
			Body:    ToAPITerms(published, published.Version),
			Headers: openapi.TermsCreate201ResponseHeaders{Location: "/v1/terms/" + published.ID.String()},
		}, nil
	})
}

// TermsGet reads one version of the terms.
func (s *Server) TermsGet(ctx context.Context, request openapi.TermsGetRequestObject) (openapi.TermsGetResponseObject, error) {
	found, err := db.New().TermsGet(ctx, s.db, request.TermsId)
	if err != nil {
		return nil, err
	}
	current, err := s.currentTerms(ctx)
	return openapi.TermsGet200JSONResponse(ToAPITerms(found, current)), err
}

// TermsCurrentGet reads the current terms.
func (s *Server) TermsCurrentGet(ctx context.Context, _ openapi.TermsCurrentGetRequestObject) (openapi.TermsCurrentGetResponseObject, error) {
	current, err := terms.Current(ctx, s.db)
	return openapi.TermsCurrentGet200JSONResponse{ // without who of the staff uploaded them
		Id: current.ID, Version: current.Version, Title: current.Title, ContentType: current.ContentType,
		Size: current.Size, Sha256: hex.EncodeToString(current.Sha256), UploadedAt: current.UploadedAt,
	}, err
}

// TermsDocumentGet downloads one version of the terms.
func (s *Server) TermsDocumentGet(ctx context.Context, request openapi.TermsDocumentGetRequestObject) (openapi.TermsDocumentGetResponseObject, error) {
	found, err := db.New().TermsGet(ctx, s.db, request.TermsId)
	if err != nil {
		return nil, err
	}
	return s.document(ctx, found)
}

// TermsCurrentDocumentGet downloads the current terms.
func (s *Server) TermsCurrentDocumentGet(ctx context.Context, _ openapi.TermsCurrentDocumentGetRequestObject) (openapi.TermsCurrentDocumentGetResponseObject, error) {
	current, err := terms.Current(ctx, s.db)
	if err != nil {
		return nil, err
	}
	return s.document(ctx, current)
}

// termsDocument is the document of terms as an answer.
type termsDocument struct{ download }

// VisitTermsDocumentGetResponse writes the document.
func (d termsDocument) VisitTermsDocumentGetResponse(w http.ResponseWriter) error { return d.serve(w) }

// VisitTermsCurrentDocumentGetResponse writes the document.
func (d termsDocument) VisitTermsCurrentDocumentGetResponse(w http.ResponseWriter) error {
	return d.serve(w)
}

// endings are how files of each type of document are called.
var endings = map[string]string{"application/pdf": ".pdf", "text/html": ".html", "text/markdown": ".md"}

func (s *Server) document(ctx context.Context, of db.Terms) (*termsDocument, error) {
	reader, err := s.blobs.Open(ctx, of.BlobKey)
	if err != nil {
		return nil, err
	}
	contentType := of.ContentType
	if contentType != "application/pdf" {
		contentType += "; charset=utf-8"
	}
	return &termsDocument{download{
		ctx: ctx, reader: reader, contentType: contentType, fileName: strings.TrimSuffix(of.Title, endings[of.ContentType]) + endings[of.ContentType],
		digest: hex.EncodeToString(of.Sha256),
	}}, nil
}

// CustomerTermsAcceptanceList lists what a customer has accepted.
func (s *Server) CustomerTermsAcceptanceList(ctx context.Context, request openapi.CustomerTermsAcceptanceListRequestObject) (openapi.CustomerTermsAcceptanceListResponseObject, error) {
	params := request.Params
	page, err := terms.ListAcceptances(ctx, s.db, reachOf(ctx), request.CustomerId, FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	return openapi.CustomerTermsAcceptanceList200JSONResponse{
		Body: openapi.TermsAcceptancePage{
			Data: convert(page.Rows, ToAPITermsAcceptance), NextCursor: page.Next, Total: page.Total,
		},
		Headers: openapi.CustomerTermsAcceptanceList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// PortalTermsAcceptanceList lists what the caller has accepted.
func (s *Server) PortalTermsAcceptanceList(ctx context.Context, request openapi.PortalTermsAcceptanceListRequestObject) (openapi.PortalTermsAcceptanceListResponseObject, error) {
	params := request.Params
	page, err := terms.ListOwnAcceptances(ctx, s.db, callerOf(ctx), FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	return openapi.PortalTermsAcceptanceList200JSONResponse{
		Body: openapi.TermsAcceptancePage{
			Data: convert(page.Rows, ToAPITermsAcceptance), NextCursor: page.Next, Total: page.Total,
		},
		Headers: openapi.PortalTermsAcceptanceList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// PortalTermsAcceptanceCreate notes that the caller accepts the current terms.
func (s *Server) PortalTermsAcceptanceCreate(ctx context.Context, request openapi.PortalTermsAcceptanceCreateRequestObject) (openapi.PortalTermsAcceptanceCreateResponseObject, error) {
	caller := callerOf(ctx)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.PortalTermsAcceptanceCreateResponseObject, error) {
		accepted, isNew, err := terms.Accept(ctx, tx, caller.CustomerID, caller.ID, request.Body.TermsId)
		if err != nil {
			return nil, gone(err)
		}
		if isNew {
			return openapi.PortalTermsAcceptanceCreate201JSONResponse(ToAPITermsAcceptance(accepted)), nil
		}
		return openapi.PortalTermsAcceptanceCreate200JSONResponse(ToAPITermsAcceptance(accepted)), nil
	})
}

// acceptedTerms lets a customer's people through only when it has accepted the current terms, where that is asked for.
func (s *Server) acceptedTerms(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		known := requestOf(c.Request().Context())
		if s.termsRequired && known.caller != nil && known.caller.Kind == access.KindIdentity && !known.operation.IsBeforeTerms() {
			if err := terms.Require(c.Request().Context(), s.db, known.caller.CustomerID); err != nil {
				return err
			}
		}
		return next(c)
	}
}

// ToAPITerms shows terms.
func ToAPITerms(of db.Terms, current int32) openapi.Terms {
	return openapi.Terms{
		Id: of.ID, Version: of.Version, Title: of.Title, ContentType: of.ContentType, Size: of.Size,
		Sha256: hex.EncodeToString(of.Sha256), UploadedAt: of.UploadedAt, Current: of.Version == current,
		UploadedBy: openapi.Actor{Kind: of.UploadedByKind, Id: of.UploadedByID, Name: of.UploadedByName},
	}
}

// ToAPITermsAcceptance shows an entry of the ledger.
func ToAPITermsAcceptance(of terms.Acceptance) openapi.TermsAcceptance {
	shown := openapi.TermsAcceptance{
		Id: of.TermsAcceptance.ID, TermsId: of.TermsAcceptance.TermsID, TermsVersion: of.TermsVersion,
		DocumentSha256: hex.EncodeToString(of.DocumentSha256), AcceptedAt: of.TermsAcceptance.AcceptedAt,
		RestoredAt: of.TermsAcceptance.RestoredAt,
	}
	shown.Identity.Id, shown.Identity.Name = of.TermsAcceptance.IdentityID, of.TermsAcceptance.IdentityName
	shown.Identity.Email = of.TermsAcceptance.IdentityEmail
	return shown
}
