package api

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/munnerz/goautoneg"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/domains"
	"github.com/clientele-api/clientele/internal/exports"
	"github.com/clientele-api/clientele/internal/filename"
	"github.com/clientele-api/clientele/internal/listing"
	"github.com/clientele-api/clientele/internal/sheets"
)

// CustomerExport downloads customers.
func (s *Server) CustomerExport(ctx context.Context, request openapi.CustomerExportRequestObject) (openapi.CustomerExportResponseObject, error) {
	table, err := sheets.Customers(orEmpty(request.Params.Columns))
	if err != nil {
		return nil, err
	}
	filter := s.customerFilter(ctx, listParams(request.Params))
	sort := orDefault((*string)(request.Params.Sort), string(openapi.CustomerListParamsSortMinusCreatedAt))
	return beginExport(ctx, s, exportOf[customers.Customer]{
		table: table, show: func(c *customers.Customer) any { return ToAPICustomer(*c) }, bom: request.Params.Bom,
		open: func(_ context.Context, snapshot *exports.Snapshot) (string, *listing.Reader[customers.Customer], error) {
			rows, err := customers.Reader(snapshot, filter, sort)
			return "customers", rows, err
		},
	})
}

// DomainExport downloads the domains of all customers.
func (s *Server) DomainExport(ctx context.Context, request openapi.DomainExportRequestObject) (openapi.DomainExportResponseObject, error) {
	params := request.Params
	return s.domainExport(ctx, domains.Filter{
		Query: orEmpty(params.Q), CustomerID: params.CustomerId, Host: params.Host, Scheme: (*string)(params.Scheme), Reach: reachOf(ctx),
		SSLExpiresBefore: params.SslExpiresBefore, TLSProtocol: (*string)(params.TlsProtocol),
	}, (*string)(params.Sort), params.Bom, nil)
}

// CustomerDomainExport downloads the domains of a customer.
func (s *Server) CustomerDomainExport(ctx context.Context, request openapi.CustomerDomainExportRequestObject) (openapi.CustomerDomainExportResponseObject, error) {
	params := request.Params
	return s.domainExport(ctx, domains.Filter{
		Query: orEmpty(params.Q), Host: params.Host, Scheme: (*string)(params.Scheme),
		SSLExpiresBefore: params.SslExpiresBefore, TLSProtocol: (*string)(params.TlsProtocol),
		Descendants: params.IncludeDescendants != nil && *params.IncludeDescendants, Reach: reachOf(ctx),
	}, (*string)(params.Sort), params.Bom, &request.CustomerId)
}

// PortalDomainExport downloads the domains of the caller's customer.
func (s *Server) PortalDomainExport(ctx context.Context, request openapi.PortalDomainExportRequestObject) (openapi.PortalDomainExportResponseObject, error) {
	params := request.Params
	found, err := s.domainExport(ctx, domains.Filter{
		Query: orEmpty(params.Q), Host: params.Host, Scheme: (*string)(params.Scheme),
		SSLExpiresBefore: params.SslExpiresBefore, TLSProtocol: (*string)(params.TlsProtocol),
	}, (*string)(params.Sort), params.Bom, &callerOf(ctx).CustomerID)
	if err != nil {
		return nil, gone(err)
	}
	return found, nil
}

// domainExport begins an export of the domains that are meant: those of the customer, which must be there, or with nil
// of all customers.
func (s *Server) domainExport(ctx context.Context, filter domains.Filter, sort *string, bom *bool, of *uuid.UUID) (*export, error) {
	return beginExport(ctx, s, exportOf[domains.Named]{
		table: sheets.Domains(), show: func(d *domains.Named) any { return ToAPIDomain(d.Domain) }, bom: bom,
		open: func(ctx context.Context, snapshot *exports.Snapshot) (string, *listing.Reader[domains.Named], error) {
			title := "domains"
			if of != nil {
				filter.CustomerID = of
				customer, err := exportedCustomer(ctx, snapshot, *of, filter)
				if err != nil {
					return "", nil, err
				}
				title = customer.Name + " domains"
			}
			rows, err := domains.Reader(snapshot, filter, orDefault(sort, defaultDomainOrder))
			return title, rows, err
		},
	})
}

// exportedCustomer reads whose domains are exported: a customer that is within the filter's reach, or that its manager manages.
func exportedCustomer(ctx context.Context, snapshot *exports.Snapshot, id uuid.UUID, filter domains.Filter) (db.Customer, error) {
	if filter.ManagedBy == nil {
		return db.New().CustomerGet(ctx, snapshot, id, filter.Reach)
	}
	row, err := db.New().CustomerGetManaged(ctx, snapshot, id, *filter.ManagedBy)
	return row.Customer, err
}

// exportOf is what an export needs: how its rows are shown as CSV and as JSON, and what to read from a snapshot, with the
// title of the file.
type exportOf[Row any] struct {
	table sheets.Table[Row]
	show  func(*Row) any
	bom   *bool
	open  func(ctx context.Context, snapshot *exports.Snapshot) (title string, rows *listing.Reader[Row], err error)
}

// export is rows as an answer, however many. It may hold a snapshot until it is served.
type export struct {
	request   *request
	mediaType string
	fileName  string
	until     time.Time
	write     func(to io.Writer) error
	end       func()
}

// beginExport takes a snapshot and begins to read from it; what goes wrong until the first rows are there is still a
// problem.
func beginExport[Row any](ctx context.Context, s *Server, of exportOf[Row]) (*export, error) {
	started := &export{request: requestOf(ctx), until: time.Now().Add(exports.TimeLimit), mediaType: mediaCSV}
	format, ending := exports.CSV(of.table, of.bom == nil || *of.bom), ".csv"
	if goautoneg.Negotiate(started.request.http.Header.Get("Accept"), []string{mediaCSV, mediaLines}) == mediaLines {
		started.mediaType, format, ending = mediaLines, exports.Lines(of.show), ".ndjson"
	}
	ctx, cancel := context.WithDeadline(ctx, started.until)
	snapshot, err := s.exports.Open(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	title, rows, err := of.open(ctx, snapshot)
	var stream *exports.Stream
	if err == nil {
		stream, err = exports.Begin(ctx, rows, format)
	}
	if err != nil {
		cancel()
		snapshot.Close()
		return nil, err
	}
	started.fileName = filename.FromText(title, " "+s.db.Now().Format(time.DateOnly)+ending)
	started.write = stream.Write
	started.end = func() {
		cancel()
		stream.Close()
		snapshot.Close()
	}
	return started, nil
}

// VisitCustomerExportResponse writes the export.
func (e *export) VisitCustomerExportResponse(w http.ResponseWriter) error { return e.serve(w) }

// VisitDomainExportResponse writes the export.
func (e *export) VisitDomainExportResponse(w http.ResponseWriter) error { return e.serve(w) }

// VisitCustomerDomainExportResponse writes the export.
func (e *export) VisitCustomerDomainExportResponse(w http.ResponseWriter) error { return e.serve(w) }

// VisitPortalDomainExportResponse writes the export.
func (e *export) VisitPortalDomainExportResponse(w http.ResponseWriter) error { return e.serve(w) }

// VisitManagedDomainExportResponse writes the export.
func (e *export) VisitManagedDomainExportResponse(w http.ResponseWriter) error { return e.serve(w) }

func (e *export) serve(w http.ResponseWriter) error {
	defer e.end()
	header := w.Header()
	header.Set("Content-Type", e.mediaType)
	if e.mediaType == mediaCSV {
		header.Set("Content-Type", mediaCSV+"; charset=utf-8")
	}
	header.Set("Vary", "Accept")
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": e.fileName}))
	w.WriteHeader(http.StatusOK)
	if e.request.head {
		return nil
	}
	// The end of the time for reading requests would pass for the caller's hanging up.
	_ = e.request.controller.SetReadDeadline(time.Time{})
	if err := e.write(&pieceWriter{to: w, controller: e.request.controller, until: e.until}); err != nil {
		// Ended as if it were whole it would pass for all there is.
		panic(fmt.Errorf("%w: %w", http.ErrAbortHandler, err))
	}
	return nil
}

// pieceWriter sends each piece at once, and gives it its time, and all of them together theirs.
type pieceWriter struct {
	to         io.Writer
	controller *http.ResponseController
	until      time.Time
}

func (p *pieceWriter) Write(piece []byte) (int, error) {
	deadline := time.Now().Add(pieceTime)
	if deadline.After(p.until) {
		deadline = p.until
	}
	_ = p.controller.SetWriteDeadline(deadline)
	n, err := p.to.Write(piece)
	if err == nil {
		err = p.controller.Flush()
	}
	return n, err
}

// listParams gives the parameters of the list that the export is of.
func listParams(params openapi.CustomerExportParams) openapi.CustomerListParams {
	return openapi.CustomerListParams{
		Q: params.Q, Status: params.Status, ParentId: params.ParentId, AncestorId: params.AncestorId, Email: params.Email,
		ExternalId: params.ExternalId, Module: params.Module, CreatedBefore: params.CreatedBefore,
		CreatedAfter: params.CreatedAfter, UpdatedBefore: params.UpdatedBefore, NoActivitySince: params.NoActivitySince,
		NeverSignedIn: params.NeverSignedIn, Invited: params.Invited, ExpiredInvitation: params.ExpiredInvitation,
		TermsAccepted: params.TermsAccepted,
	}
}
