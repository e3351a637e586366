package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/publishings"
)

// defaultPublishingOrder is how publishings are sorted when nothing is said.
const defaultPublishingOrder = "-created_at"

// PortalPublishingList lists the caller's publishings, or those that colleagues share.
func (s *Server) PortalPublishingList(ctx context.Context, request openapi.PortalPublishingListRequestObject) (openapi.PortalPublishingListResponseObject, error) {
	params := request.Params
	filter := publishings.Filter{
		Query: orEmpty(params.Q), Kind: params.Kind, State: (*string)(params.State), Content: deepObject(ctx, "content"),
		Shared: params.Shared != nil && *params.Shared,
	}
	page, err := publishings.List(ctx, s.db, callerOf(ctx), filter, orDefault((*string)(params.Sort), defaultPublishingOrder),
		FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	return asWritten{
		status: http.StatusOK, link: nextLink(ctx, page.Next),
		body: openapi.PublishingPage{Data: convert(page.Rows, ToAPIPublishing), NextCursor: page.Next, Total: page.Total},
	}, nil
}

// PortalPublishingCreate makes a publishing of the caller's.
func (s *Server) PortalPublishingCreate(ctx context.Context, request openapi.PortalPublishingCreateRequestObject) (openapi.PortalPublishingCreateResponseObject, error) {
	input := FromAPIPublishingCreate(*request.Body)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.PortalPublishingCreateResponseObject, error) {
		publishing, err := publishings.Create(ctx, tx, callerOf(ctx), input)
		if err != nil {
			return nil, gone(err)
		}
		answer := showPublishing(http.StatusCreated, publishing)
		answer.location = "/v1/portal/publishings/" + publishing.ID.String()
		return answer, nil
	})
}

// PortalPublishingGet reads a publishing of the caller's, or one that a colleague shares.
func (s *Server) PortalPublishingGet(ctx context.Context, request openapi.PortalPublishingGetRequestObject) (openapi.PortalPublishingGetResponseObject, error) {
	publishing, err := publishings.Get(ctx, s.db, callerOf(ctx), request.PublishingId)
	if err != nil {
		return nil, err
	}
	return showPublishing(http.StatusOK, publishing), nil
}

// PortalPublishingUpdate changes a publishing of the caller's.
func (s *Server) PortalPublishingUpdate(ctx context.Context, request openapi.PortalPublishingUpdateRequestObject) (openapi.PortalPublishingUpdateResponseObject, error) {
	versions, patch := etag.IfMatch(request.Params.IfMatch), FromAPIPublishingPatch(*request.Body)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.PortalPublishingUpdateResponseObject, error) {
		publishing, err := publishings.Update(ctx, tx, callerOf(ctx), request.PublishingId, versions, patch)
		if err != nil {
			return nil, err
		}
		return showPublishing(http.StatusOK, publishing), nil
	})
}

// PortalPublishingDelete deletes a publishing of the caller's.
func (s *Server) PortalPublishingDelete(ctx context.Context, request openapi.PortalPublishingDeleteRequestObject) (openapi.PortalPublishingDeleteResponseObject, error) {
	versions := etag.IfMatch(request.Params.IfMatch)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.PortalPublishingDeleteResponseObject, error) {
		return openapi.PortalPublishingDelete204Response{}, publishings.Delete(ctx, tx, callerOf(ctx), request.PublishingId, versions)
	})
}

// PortalPublishingAccessList lists who read a publishing of the caller's.
func (s *Server) PortalPublishingAccessList(ctx context.Context, request openapi.PortalPublishingAccessListRequestObject) (openapi.PortalPublishingAccessListResponseObject, error) {
	params := request.Params
	page, err := publishings.ListAccesses(ctx, s.db, callerOf(ctx), request.PublishingId,
		FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	return openapi.PortalPublishingAccessList200JSONResponse{
		Body: openapi.PublishingAccessPage{
			Data: convert(page.Rows, ToAPIPublishingAccess), NextCursor: page.Next, Total: page.Total,
		},
		Headers: openapi.PortalPublishingAccessList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// CustomerPublishingList lists what a customer's people have written, without the contents.
func (s *Server) CustomerPublishingList(ctx context.Context, request openapi.CustomerPublishingListRequestObject) (openapi.CustomerPublishingListResponseObject, error) {
	params := request.Params
	filter := publishings.Filter{
		Query: orEmpty(params.Q), Kind: params.Kind, State: (*string)(params.State), IdentityID: params.IdentityId,
	}
	page, err := publishings.ListOfCustomer(ctx, s.db, reachOf(ctx), request.CustomerId, filter,
		orDefault((*string)(params.Sort), defaultPublishingOrder), FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	return openapi.CustomerPublishingList200JSONResponse{
		Body: openapi.ListedPublishingPage{
			Data: convert(page.Rows, ToAPIListedPublishing), NextCursor: page.Next, Total: page.Total,
		},
		Headers: openapi.CustomerPublishingList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// CustomerPublishingGet reads what one of a customer's people has written, which is recorded: a change, though of nothing
// that the caller sees.
func (s *Server) CustomerPublishingGet(ctx context.Context, request openapi.CustomerPublishingGetRequestObject) (openapi.CustomerPublishingGetResponseObject, error) {
	return change(ctx, s, func(tx *postgres.Tx) (openapi.CustomerPublishingGetResponseObject, error) {
		publishing, err := publishings.Read(ctx, tx, request.CustomerId, request.PublishingId)
		if err != nil {
			return nil, err
		}
		body := ToAPICustomerPublishing(publishing)
		return asWritten{status: http.StatusOK, body: body, etag: etag.Of(publishing.Version, body)}, nil
	})
}

// ToAPIPublishing shows a publishing to those who may read it.
func ToAPIPublishing(publishing publishings.Publishing) openapi.Publishing {
	return openapi.Publishing{
		Id: publishing.ID, Owner: openapi.PublishingOwner{Id: *publishing.IdentityID, Name: publishing.OwnerName},
		Kind: publishing.Kind, Title: publishing.Title, Content: publishing.Content,
		State: openapi.PublishingState(publishing.State), Visibility: openapi.PublishingVisibility(publishing.Visibility),
		TemplateId: publishing.TemplateID, RestoredAt: publishing.RestoredAt, Version: publishing.Version, CreatedAt: publishing.CreatedAt,
		UpdatedAt: publishing.UpdatedAt,
	}
}

// ToAPICustomerPublishing shows a publishing to staff.
func ToAPICustomerPublishing(publishing db.Publishing) openapi.CustomerPublishing {
	return openapi.CustomerPublishing{
		Id: publishing.ID, CustomerId: publishing.CustomerID, IdentityId: publishing.IdentityID, Kind: publishing.Kind,
		Title: publishing.Title, Content: publishing.Content, State: openapi.PublishingState(publishing.State),
		Visibility: openapi.PublishingVisibility(publishing.Visibility), TemplateId: publishing.TemplateID,
		SizeBytes: publishing.SizeBytes, RestoredAt: publishing.RestoredAt, Version: publishing.Version, CreatedAt: publishing.CreatedAt,
		UpdatedAt: publishing.UpdatedAt,
	}
}

// ToAPIListedPublishing shows a publishing to staff without its content.
func ToAPIListedPublishing(publishing db.Publishing) openapi.ListedPublishing {
	return openapi.ListedPublishing{
		Id: publishing.ID, CustomerId: publishing.CustomerID, IdentityId: publishing.IdentityID, Kind: publishing.Kind,
		Title: publishing.Title, State: openapi.PublishingState(publishing.State),
		Visibility: openapi.PublishingVisibility(publishing.Visibility), TemplateId: publishing.TemplateID,
		SizeBytes: publishing.SizeBytes, RestoredAt: publishing.RestoredAt, Version: publishing.Version, CreatedAt: publishing.CreatedAt,
		UpdatedAt: publishing.UpdatedAt,
	}
}

// ToAPIPublishingAccess shows a reading to the owner of what was read.
func ToAPIPublishingAccess(one db.PublishingAccess) openapi.PublishingAccess {
	return openapi.PublishingAccess{
		Id: one.ID, Actor: openapi.Actor{Kind: one.ActorKind, Id: one.ActorID, Name: one.ActorName},
		Via: openapi.PublishingAccessVia(one.Via), At: one.At,
	}
}

// FromAPIPublishingCreate gives what is said of a new publishing.
func FromAPIPublishingCreate(body openapi.PublishingCreate) publishings.Input {
	return publishings.Input{
		Kind: body.Kind, Title: body.Title, Content: body.Content, State: orEmpty((*string)(body.State)),
		Visibility: orEmpty((*string)(body.Visibility)), TemplateID: body.TemplateId,
	}
}

// FromAPIPublishingPatch gives what to change of a publishing.
func FromAPIPublishingPatch(body openapi.PublishingPatch) publishings.Patch {
	return publishings.Patch{
		Kind: body.Kind, Title: body.Title, Content: body.Content, State: (*string)(body.State),
		Visibility: (*string)(body.Visibility),
	}
}

func showPublishing(status int, publishing publishings.Publishing) asWritten {
	body := ToAPIPublishing(publishing)
	return asWritten{status: status, body: body, etag: etag.Of(publishing.Version, body)}
}

// asWritten answers with content that is given back as it came: the generated answers would write <, > and & in it as
// escapes.
type asWritten struct {
	status   int
	body     any
	etag     string  // "" for none
	location string  // "" for none
	link     *string // nil for none
}

func (a asWritten) write(w http.ResponseWriter) error {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(a.body); err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Type", mediaJSON)
	if a.etag != "" {
		header.Set("ETag", a.etag)
	}
	if a.location != "" {
		header.Set("Location", a.location)
	}
	if a.link != nil {
		header.Set("Link", *a.link)
	}
	w.WriteHeader(a.status)
	_, err := body.WriteTo(w)
	return err
}

// VisitPortalPublishingListResponse writes a page of publishings.
func (a asWritten) VisitPortalPublishingListResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitPortalPublishingCreateResponse writes a new publishing.
func (a asWritten) VisitPortalPublishingCreateResponse(w http.ResponseWriter) error {
	return a.write(w)
}

// VisitPortalPublishingGetResponse writes a publishing.
func (a asWritten) VisitPortalPublishingGetResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitPortalPublishingUpdateResponse writes a publishing that was changed.
func (a asWritten) VisitPortalPublishingUpdateResponse(w http.ResponseWriter) error {
	return a.write(w)
}

// VisitCustomerPublishingGetResponse writes a publishing as staff sees it.
func (a asWritten) VisitCustomerPublishingGetResponse(w http.ResponseWriter) error { return a.write(w) }
