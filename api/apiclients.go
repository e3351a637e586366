package api

import (
	"context"
	"time"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/apiclients"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/postgres"
)

// ApiClientList lists API clients.
func (s *Server) ApiClientList(ctx context.Context, request openapi.ApiClientListRequestObject) (openapi.ApiClientListResponseObject, error) {
	params := request.Params
	page, err := apiclients.List(ctx, s.db, FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	now := s.db.Now()
	return openapi.ApiClientList200JSONResponse{
		Body: openapi.ApiClientPage{
			Data:       convert(page.Rows, func(c apiclients.Client) openapi.ApiClientInfo { return ToAPIApiClient(c, now) }),
			NextCursor: page.Next, Total: page.Total,
		},
		Headers: openapi.ApiClientList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// ApiClientCreate adds an API client.
func (s *Server) ApiClientCreate(ctx context.Context, request openapi.ApiClientCreateRequestObject) (openapi.ApiClientCreateResponseObject, error) {
	input := FromAPIApiClientCreate(*request.Body)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.ApiClientCreateResponseObject, error) {
		client, secret, err := apiclients.Create(ctx, tx, input)
		if err != nil {
			return nil, err
		}
		body := ToAPIApiClient(client, tx.Now)
		return openapi.ApiClientCreate201JSONResponse{
			Body: withSecret(body, secret),
			Headers: openapi.ApiClientCreate201ResponseHeaders{
				ETag: etag.Of(client.Version, body), Location: "/v1/api-clients/" + client.ID.String(), CacheControl: noStore,
			},
		}, nil
	})
}

// ApiClientGet reads an API client.
func (s *Server) ApiClientGet(ctx context.Context, request openapi.ApiClientGetRequestObject) (openapi.ApiClientGetResponseObject, error) {
	client, err := apiclients.Get(ctx, s.db, request.ApiClientId)
	if err != nil {
		return nil, err
	}
	body := ToAPIApiClient(client, s.db.Now())
	return openapi.ApiClientGet200JSONResponse{
		Body: body, Headers: openapi.ApiClientGet200ResponseHeaders{ETag: etag.Of(client.Version, body)},
	}, nil
}

// ApiClientUpdate changes an API client.
func (s *Server) ApiClientUpdate(ctx context.Context, request openapi.ApiClientUpdateRequestObject) (openapi.ApiClientUpdateResponseObject, error) {
	versions, patch := etag.IfMatch(request.Params.IfMatch), FromAPIApiClientPatch(*request.Body)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.ApiClientUpdateResponseObject, error) {
		client, err := apiclients.Update(ctx, tx, request.ApiClientId, versions, patch)
		if err != nil {
			return nil, err
		}
		body := ToAPIApiClient(client, tx.Now)
		return openapi.ApiClientUpdate200JSONResponse{
			Body: body, Headers: openapi.ApiClientUpdate200ResponseHeaders{ETag: etag.Of(client.Version, body)},
		}, nil
	})
}

// ApiClientRotateSecret gives an API client a new secret.
func (s *Server) ApiClientRotateSecret(ctx context.Context, request openapi.ApiClientRotateSecretRequestObject) (openapi.ApiClientRotateSecretResponseObject, error) {
	versions, overlap := etag.IfMatch(request.Params.IfMatch), FromAPIOverlap(request.Body.OverlapSeconds)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.ApiClientRotateSecretResponseObject, error) {
		client, secret, err := apiclients.RotateSecret(ctx, tx, request.ApiClientId, versions, overlap)
		if err != nil {
			return nil, err
		}
		body := ToAPIApiClient(client, tx.Now)
		return openapi.ApiClientRotateSecret200JSONResponse{
			Body: withSecret(body, secret),
			Headers: openapi.ApiClientRotateSecret200ResponseHeaders{
				ETag: etag.Of(client.Version, body), CacheControl: noStore,
			},
		}, nil
	})
}

// ApiClientDelete removes an API client.
func (s *Server) ApiClientDelete(ctx context.Context, request openapi.ApiClientDeleteRequestObject) (openapi.ApiClientDeleteResponseObject, error) {
	versions := etag.IfMatch(request.Params.IfMatch)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.ApiClientDeleteResponseObject, error) {
		return openapi.ApiClientDelete204Response{}, apiclients.Delete(ctx, tx, request.ApiClientId, versions)
	})
}

// defaultOverlap is how long the secret before a rotation goes on working when nothing is said.
const defaultOverlap = 24 * time.Hour

// FromAPIOverlap gives how long the secret before a rotation goes on working.
func FromAPIOverlap(seconds *int32) time.Duration {
	if seconds == nil {
		return defaultOverlap
	}
	return time.Duration(*seconds) * time.Second
}

// ToAPIApiClient shows an API client.
func ToAPIApiClient(client apiclients.Client, now time.Time) openapi.ApiClientInfo {
	return openapi.ApiClientInfo{
		Id: client.ID, ClientId: client.ID.String(), Name: client.Name,
		Scopes:     convert(client.Scopes, func(scope string) openapi.ApiClientScope { return openapi.ApiClientScope(scope) }),
		CustomerId: client.CustomerID, ExpiresAt: client.ExpiresAt, AllowedNetworks: client.AllowedNetworks,
		SecretChangedAt: client.SecretChangedAt, PreviousSecretExpiresAt: client.PreviousSecretExpiresAt(now),
		LastUsedAt: client.LastUsedAt, Version: client.Version, CreatedAt: client.CreatedAt, UpdatedAt: client.UpdatedAt,
	}
}

// withSecret shows an API client with the secret that it has just got.
func withSecret(client openapi.ApiClientInfo, secret string) openapi.ApiClientWithSecret {
	return openapi.ApiClientWithSecret{
		Id: client.Id, ClientId: client.ClientId, ClientSecret: secret, Name: client.Name, Scopes: client.Scopes,
		CustomerId: client.CustomerId, ExpiresAt: client.ExpiresAt, AllowedNetworks: client.AllowedNetworks,
		SecretChangedAt: client.SecretChangedAt, PreviousSecretExpiresAt: client.PreviousSecretExpiresAt,
		LastUsedAt: client.LastUsedAt, Version: client.Version, CreatedAt: client.CreatedAt, UpdatedAt: client.UpdatedAt,
	}
}

// FromAPIApiClientCreate gives what is said of a new API client.
func FromAPIApiClientCreate(body openapi.ApiClientCreate) apiclients.Input {
	input := apiclients.Input{
		Name: body.Name, Scopes: fromAPIScopes(body.Scopes), CustomerID: body.CustomerId, ExpiresAt: body.ExpiresAt,
	}
	if body.AllowedNetworks != nil {
		input.AllowedNetworks = *body.AllowedNetworks
	}
	return input
}

// FromAPIApiClientPatch gives what to change of an API client.
func FromAPIApiClientPatch(body openapi.ApiClientPatch) apiclients.Patch {
	patch := apiclients.Patch{
		Name: body.Name, CustomerID: body.CustomerId, ExpiresAt: body.ExpiresAt, AllowedNetworks: body.AllowedNetworks,
	}
	if body.Scopes != nil {
		scopes := fromAPIScopes(*body.Scopes)
		patch.Scopes = &scopes
	}
	return patch
}

func fromAPIScopes(scopes openapi.ApiClientScopes) []string {
	return convert(scopes, func(scope openapi.ApiClientScope) string { return string(scope) })
}
