package api

import (
	"context"
	"time"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/webhooks"
)

// WebhookEndpointList lists webhook endpoints.
func (s *Server) WebhookEndpointList(ctx context.Context, request openapi.WebhookEndpointListRequestObject) (openapi.WebhookEndpointListResponseObject, error) {
	params := request.Params
	page, err := webhooks.List(ctx, s.db, FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	now := s.db.Now()
	return openapi.WebhookEndpointList200JSONResponse{
		Body: openapi.WebhookEndpointPage{
			Data:       convert(page.Rows, func(e db.WebhookEndpoint) openapi.WebhookEndpoint { return ToAPIWebhookEndpoint(e, now) }),
			NextCursor: page.Next, Total: page.Total,
		},
		Headers: openapi.WebhookEndpointList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// WebhookEndpointCreate has events sent to a URL.
func (s *Server) WebhookEndpointCreate(ctx context.Context, request openapi.WebhookEndpointCreateRequestObject) (openapi.WebhookEndpointCreateResponseObject, error) {
	body := request.Body
	input := webhooks.Input{URL: body.Url, EventTypes: body.EventTypes}
	if body.Description != nil {
		input.Description = *body.Description
	}
	return change(ctx, s, func(tx *postgres.Tx) (openapi.WebhookEndpointCreateResponseObject, error) {
		endpoint, secret, err := s.webhooks.Create(ctx, tx, callerOf(ctx), input)
		if err != nil {
			return nil, err
		}
		shown := ToAPIWebhookEndpoint(endpoint, tx.Now)
		tag := etag.Of(endpoint.Version, shown)
		shown.Secret = &secret
		return openapi.WebhookEndpointCreate201JSONResponse{
			Body: shown,
			Headers: openapi.WebhookEndpointCreate201ResponseHeaders{
				ETag: tag, Location: "/v1/webhook-endpoints/" + endpoint.ID.String(),
			},
		}, nil
	})
}

// WebhookEndpointGet reads a webhook endpoint.
func (s *Server) WebhookEndpointGet(ctx context.Context, request openapi.WebhookEndpointGetRequestObject) (openapi.WebhookEndpointGetResponseObject, error) {
	endpoint, err := webhooks.Get(ctx, s.db, request.WebhookEndpointId)
	if err != nil {
		return nil, err
	}
	body := ToAPIWebhookEndpoint(endpoint, s.db.Now())
	return openapi.WebhookEndpointGet200JSONResponse{
		Body: body, Headers: openapi.WebhookEndpointGet200ResponseHeaders{ETag: etag.Of(endpoint.Version, body)},
	}, nil
}

// WebhookEndpointUpdate changes a webhook endpoint.
func (s *Server) WebhookEndpointUpdate(ctx context.Context, request openapi.WebhookEndpointUpdateRequestObject) (openapi.WebhookEndpointUpdateResponseObject, error) {
	body := *request.Body
	patch := webhooks.Patch{URL: body.Url, EventTypes: body.EventTypes, Description: body.Description, Enabled: body.Enabled}
	versions := etag.IfMatch(request.Params.IfMatch)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.WebhookEndpointUpdateResponseObject, error) {
		endpoint, err := s.webhooks.Update(ctx, tx, callerOf(ctx), request.WebhookEndpointId, versions, patch)
		if err != nil {
			return nil, err
		}
		shown := ToAPIWebhookEndpoint(endpoint, tx.Now)
		return openapi.WebhookEndpointUpdate200JSONResponse{
			Body: shown, Headers: openapi.WebhookEndpointUpdate200ResponseHeaders{ETag: etag.Of(endpoint.Version, shown)},
		}, nil
	})
}

// WebhookEndpointDelete deletes a webhook endpoint.
func (s *Server) WebhookEndpointDelete(ctx context.Context, request openapi.WebhookEndpointDeleteRequestObject) (openapi.WebhookEndpointDeleteResponseObject, error) {
	versions := etag.IfMatch(request.Params.IfMatch)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.WebhookEndpointDeleteResponseObject, error) {
		return openapi.WebhookEndpointDelete204Response{}, s.webhooks.Delete(ctx, tx, request.WebhookEndpointId, versions)
	})
}

// WebhookEndpointRotateSecret replaces the secret of a webhook endpoint.
func (s *Server) WebhookEndpointRotateSecret(ctx context.Context, request openapi.WebhookEndpointRotateSecretRequestObject) (openapi.WebhookEndpointRotateSecretResponseObject, error) {
	versions, overlap := etag.IfMatch(request.Params.IfMatch), FromAPIOverlap(request.Body.OverlapSeconds)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.WebhookEndpointRotateSecretResponseObject, error) {
		endpoint, secret, err := s.webhooks.RotateSecret(ctx, tx, request.WebhookEndpointId, versions, overlap)
		if err != nil {
			return nil, err
		}
		shown := ToAPIWebhookEndpoint(endpoint, tx.Now)
		tag := etag.Of(endpoint.Version, shown)
		shown.Secret = &secret
		return openapi.WebhookEndpointRotateSecret200JSONResponse{
			Body: shown, Headers: openapi.WebhookEndpointRotateSecret200ResponseHeaders{ETag: tag},
		}, nil
	})
}

// WebhookEndpointTest sends a test event.
func (s *Server) WebhookEndpointTest(ctx context.Context, request openapi.WebhookEndpointTestRequestObject) (openapi.WebhookEndpointTestResponseObject, error) {
	return change(ctx, s, func(tx *postgres.Tx) (openapi.WebhookEndpointTestResponseObject, error) {
		delivery, err := s.webhooks.Test(ctx, tx, request.WebhookEndpointId)
		if err != nil {
			return nil, err
		}
		return openapi.WebhookEndpointTest202JSONResponse{
			Body:    ToAPIWebhookDelivery(delivery, callerOf(ctx)),
			Headers: openapi.WebhookEndpointTest202ResponseHeaders{Location: "/v1/webhook-deliveries/" + delivery.ID.String()},
		}, nil
	})
}

// WebhookDeliveryList lists what was sent to a webhook endpoint.
func (s *Server) WebhookDeliveryList(ctx context.Context, request openapi.WebhookDeliveryListRequestObject) (openapi.WebhookDeliveryListResponseObject, error) {
	params := request.Params
	page, err := webhooks.ListDeliveries(ctx, s.db, request.WebhookEndpointId, (*string)(params.State),
		FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	shown := func(delivery db.WebhookDelivery) openapi.WebhookDelivery {
		return ToAPIWebhookDelivery(delivery, callerOf(ctx))
	}
	return openapi.WebhookDeliveryList200JSONResponse{
		Body:    openapi.WebhookDeliveryPage{Data: convert(page.Rows, shown), NextCursor: page.Next, Total: page.Total},
		Headers: openapi.WebhookDeliveryList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// WebhookDeliveryGet reads a delivery.
func (s *Server) WebhookDeliveryGet(ctx context.Context, request openapi.WebhookDeliveryGetRequestObject) (openapi.WebhookDeliveryGetResponseObject, error) {
	delivery, err := webhooks.GetDelivery(ctx, s.db, request.DeliveryId)
	if err != nil {
		return nil, err
	}
	return openapi.WebhookDeliveryGet200JSONResponse(ToAPIWebhookDelivery(delivery, callerOf(ctx))), nil
}

// WebhookDeliveryRedeliver sends an event once more.
func (s *Server) WebhookDeliveryRedeliver(ctx context.Context, request openapi.WebhookDeliveryRedeliverRequestObject) (openapi.WebhookDeliveryRedeliverResponseObject, error) {
	return change(ctx, s, func(tx *postgres.Tx) (openapi.WebhookDeliveryRedeliverResponseObject, error) {
		delivery, err := s.webhooks.Redeliver(ctx, tx, request.DeliveryId)
		if err != nil {
			return nil, err
		}
		return openapi.WebhookDeliveryRedeliver202JSONResponse{
			Body:    ToAPIWebhookDelivery(delivery, callerOf(ctx)),
			Headers: openapi.WebhookDeliveryRedeliver202ResponseHeaders{Location: "/v1/webhook-deliveries/" + delivery.ID.String()},
		}, nil
	})
}

// ToAPIWebhookEndpoint shows a webhook endpoint, without its secret.
func ToAPIWebhookEndpoint(endpoint db.WebhookEndpoint, now time.Time) openapi.WebhookEndpoint {
	return openapi.WebhookEndpoint{
		Id: endpoint.ID, Url: endpoint.Url, Description: endpoint.Description, EventTypes: endpoint.EventTypes,
		Scopes: endpoint.Scopes, Enabled: endpoint.Enabled, DisabledReason: endpoint.DisabledReason,
		FailingSince: endpoint.FailingSince, PreviousSecretExpiresAt: webhooks.PreviousSecretUntil(endpoint, now),
		Owner:     openapi.Actor{Kind: endpoint.OwnerKind, Id: endpoint.OwnerID, Name: endpoint.OwnerName},
		CreatedBy: openapi.Actor{Kind: endpoint.CreatedByKind, Id: endpoint.CreatedByID, Name: endpoint.CreatedByName},
		Version:   endpoint.Version, CreatedAt: endpoint.CreatedAt, UpdatedAt: endpoint.UpdatedAt,
	}
}

// ToAPIWebhookDelivery shows a delivery to somebody. What the receiver answered may repeat the event: it is shown to whom that
// may be shown.
func ToAPIWebhookDelivery(delivery db.WebhookDelivery, caller *access.Principal) openapi.WebhookDelivery {
	shown := openapi.WebhookDelivery{
		Id: delivery.ID, EndpointId: delivery.EndpointID, EventId: delivery.EventID, EventType: delivery.EventType,
		Position: delivery.Position, RedeliveryOf: delivery.RedeliveryOf,
		State: openapi.WebhookDeliveryState(delivery.State), Attempts: delivery.Attempts, NextAttemptAt: delivery.NextAttemptAt,
		Failure: delivery.Failure, CreatedAt: delivery.CreatedAt, FinishedAt: delivery.FinishedAt,
	}
	if !caller.Has(events.ScopeOf(delivery.EventType)) {
		delivery.Answer = nil
	}
	if delivery.LastAttemptAt != nil {
		shown.LastAttempt = &openapi.WebhookAttempt{
			At: *delivery.LastAttemptAt, Milliseconds: *delivery.Milliseconds, Status: delivery.StatusCode, Answer: delivery.Answer,
			Explanation: delivery.Explanation,
		}
	}
	return shown
}
