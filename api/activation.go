package api

import (
	"bytes"
	"context"

	"github.com/munnerz/goautoneg"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/activation"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/mail"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/throttle"
)

// ActivationRequestList lists a customer's activation requests, without what they say.
func (s *Server) ActivationRequestList(ctx context.Context, request openapi.ActivationRequestListRequestObject) (openapi.ActivationRequestListResponseObject, error) {
	params := request.Params
	page, err := activation.List(ctx, s.db, reachOf(ctx), request.CustomerId, FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	return openapi.ActivationRequestList200JSONResponse{
		Body: openapi.ActivationRequestPage{
			Data: convert(page.Rows, s.toAPIListedActivationRequest), NextCursor: page.Next, Total: page.Total,
		},
		Headers: openapi.ActivationRequestList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// ActivationRequestCreate prepares an activation request.
func (s *Server) ActivationRequestCreate(ctx context.Context, request openapi.ActivationRequestCreateRequestObject) (openapi.ActivationRequestCreateResponseObject, error) {
	return change(ctx, s, func(tx *postgres.Tx) (openapi.ActivationRequestCreateResponseObject, error) {
		prepared, err := s.activation.Prepare(ctx, tx, request.CustomerId, request.Body.IdentityId)
		if err != nil {
			return nil, err
		}
		body, tag := s.toAPIActivationRequest(prepared)
		return openapi.ActivationRequestCreate201JSONResponse{
			Body: body,
			Headers: openapi.ActivationRequestCreate201ResponseHeaders{
				ETag:     tag,
				Location: "/v1/customers/" + prepared.CustomerID.String() + "/activation-requests/" + prepared.ID.String(),
			},
		}, nil
	})
}

// ActivationRequestGet reads an activation request, as JSON or as an unsent mail.
func (s *Server) ActivationRequestGet(ctx context.Context, request openapi.ActivationRequestGetRequestObject) (openapi.ActivationRequestGetResponseObject, error) {
	found, err := db.New().ActivationRequestGetOfCustomer(ctx, s.db, request.ActivationRequestId, request.CustomerId, reachOf(ctx))
	if err != nil {
		return nil, err
	}
	if goautoneg.Negotiate(requestOf(ctx).http.Header.Get("Accept"), []string{mediaJSON, mediaMail}) == mediaMail {
		draft, err := mail.Draft(s.activation.Message(found, s.db.Now()))
		if err != nil {
			return nil, err
		}
		return openapi.ActivationRequestGet200Messagerfc822Response{
			Body: bytes.NewReader(draft), ContentLength: int64(len(draft)),
			Headers: openapi.ActivationRequestGet200ResponseHeaders{
				ETag: etag.Of(found.Version, string(draft)), Vary: "Accept",
				ContentDisposition: `attachment; filename="activation.eml"`,
			},
		}, nil
	}
	body, tag := s.toAPIActivationRequest(found)
	return openapi.ActivationRequestGet200JSONResponse{
		Body: body, Headers: openapi.ActivationRequestGet200ResponseHeaders{ETag: tag, Vary: "Accept", ContentDisposition: "inline"},
	}, nil
}

// ActivationRequestUpdate changes subject and body.
func (s *Server) ActivationRequestUpdate(ctx context.Context, request openapi.ActivationRequestUpdateRequestObject) (openapi.ActivationRequestUpdateResponseObject, error) {
	versions, patch := etag.IfMatch(request.Params.IfMatch), activation.Patch{Subject: request.Body.Subject, Body: request.Body.Body}
	return change(ctx, s, func(tx *postgres.Tx) (openapi.ActivationRequestUpdateResponseObject, error) {
		changed, err := s.activation.Update(ctx, tx, request.CustomerId, request.ActivationRequestId, versions, patch)
		if err != nil {
			return nil, err
		}
		body, tag := s.toAPIActivationRequest(changed)
		return openapi.ActivationRequestUpdate200JSONResponse{
			Body: body, Headers: openapi.ActivationRequestUpdate200ResponseHeaders{ETag: tag},
		}, nil
	})
}

// ActivationRequestDelete makes a link worthless.
func (s *Server) ActivationRequestDelete(ctx context.Context, request openapi.ActivationRequestDeleteRequestObject) (openapi.ActivationRequestDeleteResponseObject, error) {
	versions := etag.IfMatch(request.Params.IfMatch)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.ActivationRequestDeleteResponseObject, error) {
		return openapi.ActivationRequestDelete204Response{},
			s.activation.Revoke(ctx, tx, request.CustomerId, request.ActivationRequestId, versions)
	})
}

// ActivationRequestSend has an activation request sent.
func (s *Server) ActivationRequestSend(ctx context.Context, request openapi.ActivationRequestSendRequestObject) (openapi.ActivationRequestSendResponseObject, error) {
	versions := etag.IfMatch(request.Params.IfMatch)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.ActivationRequestSendResponseObject, error) {
		queued, err := s.activation.Send(ctx, tx, request.CustomerId, request.ActivationRequestId, versions)
		if err != nil {
			return nil, err
		}
		body, tag := s.toAPIActivationRequest(queued)
		return openapi.ActivationRequestSend202JSONResponse{
			Body: body, Headers: openapi.ActivationRequestSend202ResponseHeaders{ETag: tag},
		}, nil
	})
}

// ActivationRequestMarkSent notes that an activation request was sent by hand.
func (s *Server) ActivationRequestMarkSent(ctx context.Context, request openapi.ActivationRequestMarkSentRequestObject) (openapi.ActivationRequestMarkSentResponseObject, error) {
	versions := etag.IfMatch(request.Params.IfMatch)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.ActivationRequestMarkSentResponseObject, error) {
		sent, err := s.activation.MarkSent(ctx, tx, request.CustomerId, request.ActivationRequestId, versions)
		if err != nil {
			return nil, err
		}
		body, tag := s.toAPIActivationRequest(sent)
		return openapi.ActivationRequestMarkSent200JSONResponse{
			Body: body, Headers: openapi.ActivationRequestMarkSent200ResponseHeaders{ETag: tag},
		}, nil
	})
}

// ActivationPreview tells whom a link activates.
func (s *Server) ActivationPreview(ctx context.Context, request openapi.ActivationPreviewRequestObject) (openapi.ActivationPreviewResponseObject, error) {
	preview, err := s.activation.Preview(ctx, s.db, request.Body.Token)
	if err != nil {
		return nil, err
	}
	answer := openapi.ActivationPreview{ExpiresAt: preview.ExpiresAt}
	answer.Identity.Name, answer.Identity.Email, answer.Customer.Name = preview.Name, preview.Email, preview.CustomerName
	if current := preview.Terms; current != nil {
		answer.Terms = &openapi.ActivationTerms{
			Id: current.ID, Version: current.Version, Title: current.Title, ContentType: current.ContentType,
		}
	}
	return openapi.ActivationPreview200JSONResponse(answer), nil
}

// ActivationCreate sets a password through a link. Hashing takes long, so it comes before the change, and only for a
// link that works.
func (s *Server) ActivationCreate(ctx context.Context, request openapi.ActivationCreateRequestObject) (openapi.ActivationCreateResponseObject, error) {
	body := *request.Body
	if err := s.activation.Check(ctx, s.db, body.Token); err != nil {
		return nil, err
	}
	hash, err := s.hasher.Hash(ctx, body.Password)
	if err != nil {
		return nil, err
	}
	var activated activation.Activated
	answer, err := change(ctx, s, func(tx *postgres.Tx) (openapi.ActivationCreateResponseObject, error) {
		if activated, err = s.activation.Activate(ctx, tx, body.Token, hash, body.Name, body.AcceptTermsId); err != nil {
			return nil, err
		}
		var shown openapi.Activation
		shown.Identity.Id, shown.Identity.Name, shown.Identity.Email = activated.Identity.ID, activated.Identity.Name, activated.Identity.Email
		shown.Customer.Id, shown.Customer.Name = activated.Customer.ID, activated.Customer.Name
		shown.Customer.Status = openapi.CustomerStatus(activated.Customer.Status)
		return openapi.ActivationCreate200JSONResponse(shown), nil
	})
	if err != nil {
		return nil, err
	}
	s.know(ctx, activated.Identity)
	return answer, nil
}

// PasswordResetCreate has a mail sent by which a login sets its password anew. The answer does not tell whether there is
// one.
func (s *Server) PasswordResetCreate(ctx context.Context, request openapi.PasswordResetCreateRequestObject) (openapi.PasswordResetCreateResponseObject, error) {
	allowed, err := s.guard.Reset(ctx, throttle.Portal, request.Body.Email, requestOf(ctx).address)
	if err != nil {
		return nil, err
	}
	if !allowed {
		return openapi.PasswordResetCreate202JSONResponse{}, nil
	}
	return change(ctx, s, func(tx *postgres.Tx) (openapi.PasswordResetCreateResponseObject, error) {
		return openapi.PasswordResetCreate202JSONResponse{}, s.activation.RequestReset(ctx, tx, request.Body.Email)
	})
}

// PasswordResetComplete sets a password anew through a link.
func (s *Server) PasswordResetComplete(ctx context.Context, request openapi.PasswordResetCompleteRequestObject) (openapi.PasswordResetCompleteResponseObject, error) {
	if err := s.activation.CheckReset(ctx, s.db, request.Body.Token); err != nil {
		return nil, err
	}
	hash, err := s.hasher.Hash(ctx, request.Body.Password)
	if err != nil {
		return nil, err
	}
	var identity db.Identity
	answer, err := change(ctx, s, func(tx *postgres.Tx) (_ openapi.PasswordResetCompleteResponseObject, err error) {
		identity, err = s.activation.Reset(ctx, tx, request.Body.Token, hash)
		return openapi.PasswordResetComplete204Response{}, err
	})
	if err != nil {
		return nil, err
	}
	s.know(ctx, identity)
	return answer, nil
}

// know has the owner of a login let in from this address while others guess at it. The password is set already and the link
// is used up, so a failure is not the caller's to hear of.
func (s *Server) know(ctx context.Context, identity db.Identity) {
	if err := s.guard.Know(ctx, throttle.Portal, identity.Email, requestOf(ctx).address); err != nil {
		s.log.WarnContext(ctx, "an address is not known for its login", "error", err, "request_id", requestOf(ctx).id)
	}
}

// toAPIActivationRequest shows a request to who may send it, with its ETag.
func (s *Server) toAPIActivationRequest(request db.ActivationRequest) (openapi.ActivationRequest, string) {
	now := s.db.Now()
	message := s.activation.Message(request, now)
	shown := openapi.ActivationRequest{
		Id: request.ID, CustomerId: request.CustomerID, IdentityId: request.IdentityID,
		State: openapi.ActivationRequestState(activation.StateAt(request, now)), Failure: request.Failure,
		Message:   openapi.ActivationMessage{To: message.To.Address, Subject: message.Subject, Body: message.Body},
		ExpiresAt: request.ExpiresAt, SentAt: request.SentAt, Version: request.Version, CreatedAt: request.CreatedAt,
		UpdatedAt: request.UpdatedAt,
	}
	if link := s.activation.Link(request, now); link != "" {
		mailto := mail.MailtoURL(message)
		shown.Link, shown.Message.MailtoUrl = &link, &mailto
	}
	return shown, etag.Of(request.Version, shown)
}

func (s *Server) toAPIListedActivationRequest(request db.ActivationRequest) openapi.ListedActivationRequest {
	return openapi.ListedActivationRequest{
		Id: request.ID, CustomerId: request.CustomerID, IdentityId: request.IdentityID,
		State:   openapi.ActivationRequestState(activation.StateAt(request, s.db.Now())),
		Failure: request.Failure, To: request.Recipient, Subject: request.Subject, ExpiresAt: request.ExpiresAt,
		SentAt: request.SentAt, Version: request.Version, CreatedAt: request.CreatedAt, UpdatedAt: request.UpdatedAt,
	}
}
