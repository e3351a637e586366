package api

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/munnerz/goautoneg"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/cleanup"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/exports"
	"github.com/clientele-api/clientele/internal/filename"
	"github.com/clientele-api/clientele/internal/operations"
	"github.com/clientele-api/clientele/internal/postgres"
)

// CustomerBulkDelete plans the deletion of many customers, or begins with it once it is confirmed.
func (s *Server) CustomerBulkDelete(ctx context.Context, request openapi.CustomerBulkDeleteRequestObject) (openapi.CustomerBulkDeleteResponseObject, error) {
	selection := FromAPICustomerBulkDelete(*request.Body)
	selection.Filter.Reach = reachOf(ctx)
	if isSet(request.Params.DryRun) {
		plan, err := s.cleanup.Plan(ctx, selection)
		if err != nil {
			return nil, err
		}
		return openapi.CustomerBulkDelete200JSONResponse(ToAPIBulkDeletionPlan(plan)), nil
	}
	confirmed, err := s.cleanup.Confirm(ctx, selection, orEmpty(request.Params.Confirm))
	if err != nil {
		return nil, err
	}
	return change(ctx, s, func(tx *postgres.Tx) (openapi.CustomerBulkDeleteResponseObject, error) {
		started, err := s.cleanup.Start(ctx, tx, confirmed)
		if err != nil {
			return nil, err
		}
		body := ToAPIOperation(started, nil)
		return openapi.CustomerBulkDelete202JSONResponse{
			Body: body, Headers: openapi.CustomerBulkDelete202ResponseHeaders{
				ETag: etag.Of(started.Version, body), Location: "/v1/operations/" + started.ID.String(),
			},
		}, nil
	})
}

// OperationList lists operations.
func (s *Server) OperationList(ctx context.Context, request openapi.OperationListRequestObject) (openapi.OperationListResponseObject, error) {
	params := request.Params
	filter := operations.Filter{Kind: (*string)(params.Kind), State: (*string)(params.State), CustomerID: params.CustomerId}
	sort := orDefault((*string)(params.Sort), string(openapi.OperationListParamsSortMinusCreatedAt))
	page, err := operations.List(ctx, s.db, callerOf(ctx), filter, sort, FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	return openapi.OperationList200JSONResponse{
		Body: openapi.OperationPage{
			Data: convert(page.Rows, ToAPIListedOperation), NextCursor: page.Next, Total: page.Total,
		},
		Headers: openapi.OperationList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// OperationGet reads an operation.
func (s *Server) OperationGet(ctx context.Context, request openapi.OperationGetRequestObject) (openapi.OperationGetResponseObject, error) {
	operation, err := operations.Get(ctx, s.db, callerOf(ctx), request.OperationId)
	if err != nil {
		return nil, err
	}
	body, err := s.shownOperation(ctx, s.db, operation)
	return openapi.OperationGet200JSONResponse{
		Body: body, Headers: openapi.OperationGet200ResponseHeaders{ETag: etag.Of(operation.Version, body)},
	}, err
}

// OperationCancel ends an operation.
func (s *Server) OperationCancel(ctx context.Context, request openapi.OperationCancelRequestObject) (openapi.OperationCancelResponseObject, error) {
	versions := etag.IfMatch(request.Params.IfMatch)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.OperationCancelResponseObject, error) {
		operation, err := s.operations.Cancel(ctx, tx, callerOf(ctx), request.OperationId, versions)
		if err != nil {
			return nil, err
		}
		body, err := s.shownOperation(ctx, tx, operation)
		return openapi.OperationCancel200JSONResponse{
			Body: body, Headers: openapi.OperationCancel200ResponseHeaders{ETag: etag.Of(operation.Version, body)},
		}, err
	})
}

// shownOperation shows an operation with what it refused.
func (s *Server) shownOperation(ctx context.Context, database db.DBTX, operation db.Operation) (openapi.Operation, error) {
	refusals, _, err := operations.Refusals(ctx, database, operation.ID, 0, operations.ShownRefusals)
	return ToAPIOperation(operation, refusals), err
}

// OperationRefusedRowList downloads what an operation refused.
func (s *Server) OperationRefusedRowList(ctx context.Context, request openapi.OperationRefusedRowListRequestObject) (openapi.OperationRefusedRowListResponseObject, error) {
	operation, err := operations.Get(ctx, s.db, callerOf(ctx), request.OperationId)
	if err != nil {
		return nil, err
	}
	answer := &export{
		request: requestOf(ctx), until: time.Now().Add(exports.TimeLimit), mediaType: mediaCSV, end: func() {},
	}
	format, ending := exports.CSV(operations.Table(operation), request.Params.Bom == nil || *request.Params.Bom), ".csv"
	if operations.HasLines(operation) && goautoneg.Negotiate(answer.request.http.Header.Get("Accept"), []string{mediaCSV, mediaLines}) == mediaLines {
		answer.mediaType, format, ending = mediaLines, operations.Lines(), ".ndjson"
	}
	answer.fileName = filename.FromText("refused rows", " "+s.db.Now().Format(time.DateOnly)+ending)
	answer.write = func(to io.Writer) error { return operations.WriteRefusals(ctx, s.db, operation.ID, to, format) }
	return answer, nil
}

// VisitOperationRefusedRowListResponse writes the rows.
func (e *export) VisitOperationRefusedRowListResponse(w http.ResponseWriter) error { return e.serve(w) }

// ToAPIOperation shows an operation, with what it refused.
func ToAPIOperation(operation db.Operation, refusals []operations.Refusal) openapi.Operation {
	listed := ToAPIListedOperation(operation)
	return openapi.Operation{
		Id: listed.Id, Kind: listed.Kind, CustomerId: listed.CustomerId, DryRun: listed.DryRun, State: listed.State,
		Progress: listed.Progress, Failure: listed.Failure, Errors: toAPIOperationErrors(refusals), CreatedBy: listed.CreatedBy,
		CreatedAt: listed.CreatedAt, StartedAt: listed.StartedAt, FinishedAt: listed.FinishedAt, Version: listed.Version,
	}
}

// ToAPIListedOperation shows an operation as lists have it.
func ToAPIListedOperation(of db.Operation) openapi.ListedOperation {
	shown := openapi.ListedOperation{
		Id: of.ID, Kind: openapi.OperationKind(of.Kind), CustomerId: of.CustomerID, DryRun: of.DryRun,
		State: openapi.OperationState(of.State), Progress: toAPIProgress(of),
		CreatedBy: openapi.Actor{Kind: of.CreatedByKind, Id: of.CreatedByID, Name: of.CreatedByName},
		CreatedAt: of.CreatedAt, StartedAt: of.StartedAt, FinishedAt: of.FinishedAt, Version: of.Version,
	}
	if of.FailureCode != nil {
		shown.Failure = &openapi.OperationFailure{Code: *of.FailureCode, Message: orEmpty(of.FailureMessage)}
	}
	return shown
}

func toAPIProgress(of db.Operation) openapi.OperationProgress {
	shown := openapi.OperationProgress{
		Read: of.RowsRead, Written: of.RowsCreated + of.RowsUpdated + of.RowsDeleted, Created: of.RowsCreated,
		Updated: of.RowsUpdated, Deleted: of.RowsDeleted, Skipped: of.RowsSkipped, Refused: of.RowsRefused,
		TotalRows: of.RowsTotal, TotalBytes: of.BytesTotal,
	}
	if of.BytesTotal != nil {
		shown.ReadBytes = &of.BytesRead
	}
	shown.RatePerSecond, shown.EndsAt = operations.Pace(of)
	return shown
}

func toAPIOperationErrors(refusals []operations.Refusal) []openapi.OperationError {
	shown := []openapi.OperationError{}
	for _, refusal := range refusals {
		for _, fault := range refusal.Faults {
			one := openapi.OperationError{Row: refusal.Row, Code: fault.Code, Message: fault.Message}
			if fault.Column != "" {
				one.Column = &fault.Column
			}
			if refusal.ResourceID != nil {
				one.Resource = &struct {
					Kind string    `json:"kind"`
					Id   uuid.UUID `json:"id"` //nolint:revive // as the generated type has it
				}{refusal.Kind, *refusal.ResourceID}
			}
			shown = append(shown, one)
		}
	}
	return shown
}

// ToAPIBulkDeletionPlan shows what deleting many customers would do.
func ToAPIBulkDeletionPlan(plan cleanup.Plan) openapi.BulkDeletionPlan {
	shown := openapi.BulkDeletionPlan{
		Customers: plan.Customers, Blocked: plan.Blocked, Counts: toAPIDeletionCounts(plan.Counts),
		Blockers: convert(plan.Blockers, func(b customers.BulkBlocker) openapi.BulkDeletionBlocker {
			return openapi.BulkDeletionBlocker{
				Code: b.Code, Message: b.Message, CustomerId: b.CustomerID,
				Resource: openapi.ResourceRef{Kind: b.Kind, Id: b.ResourceID},
			}
		}),
	}
	if plan.Token != "" {
		shown.ConfirmationToken = &plan.Token
	}
	return shown
}

// FromAPICustomerBulkDelete gives which customers are to be deleted.
func FromAPICustomerBulkDelete(body openapi.CustomerBulkDelete) customers.Selection {
	if body.Ids != nil {
		return customers.Selection{IDs: *body.Ids}
	}
	given := *body.Filter
	filter := customers.Filter{
		Query: orEmpty(given.Q), Status: (*string)(given.Status), ParentID: given.ParentId, AncestorID: given.AncestorId,
		Email: given.Email, ExternalID: given.ExternalId, Module: given.Module, CreatedBefore: given.CreatedBefore,
		CreatedAfter: given.CreatedAfter, UpdatedBefore: given.UpdatedBefore, NoActivitySince: given.NoActivitySince,
		NeverSignedIn: given.NeverSignedIn, Invited: given.Invited, ExpiredInvitation: given.ExpiredInvitation,
		TermsAccepted: given.TermsAccepted,
	}
	if given.Properties != nil {
		filter.Properties = *given.Properties
	}
	return customers.Selection{Filter: filter}
}
