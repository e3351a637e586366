package api

import (
	"context"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/identities"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
)

// IdentityList lists the logins of all customers.
func (s *Server) IdentityList(ctx context.Context, request openapi.IdentityListRequestObject) (openapi.IdentityListResponseObject, error) {
	params := request.Params
	sort := openapi.IdentityListParamsSortMinusCreatedAt
	if params.Sort != nil {
		sort = *params.Sort
	}
	filter := identities.Filter{
		Query: orEmpty(params.Q), CustomerID: params.CustomerId, Email: params.Email, Role: (*string)(params.Role),
		Status: (*string)(params.Status), Reach: reachOf(ctx),
	}
	page, err := identities.List(ctx, s.db, filter, string(sort), FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	return openapi.IdentityList200JSONResponse{
		Body: toAPIIdentityPage(page), Headers: openapi.IdentityList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// CustomerIdentityList lists the logins of a customer.
func (s *Server) CustomerIdentityList(ctx context.Context, request openapi.CustomerIdentityListRequestObject) (openapi.CustomerIdentityListResponseObject, error) {
	params := request.Params
	page, err := identities.ListOfCustomer(ctx, s.db, reachOf(ctx), request.CustomerId,
		FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	return openapi.CustomerIdentityList200JSONResponse{
		Body:    toAPIIdentityPage(page),
		Headers: openapi.CustomerIdentityList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// IdentityCreate gives a customer a login.
func (s *Server) IdentityCreate(ctx context.Context, request openapi.IdentityCreateRequestObject) (openapi.IdentityCreateResponseObject, error) {
	body := *request.Body
	hash, err := s.hashed(ctx, body.Password)
	if err != nil {
		return nil, err
	}
	input := identities.Input{Name: body.Name, Email: body.Email, Role: orEmpty((*string)(body.Role)), PasswordHash: hash}
	return change(ctx, s, func(tx *postgres.Tx) (openapi.IdentityCreateResponseObject, error) {
		identity, err := identities.Add(ctx, tx, s.keyring, request.CustomerId, input)
		if err != nil {
			return nil, err
		}
		shown := ToAPIIdentity(identity)
		return openapi.IdentityCreate201JSONResponse{
			Body: shown,
			Headers: openapi.IdentityCreate201ResponseHeaders{
				ETag:     etag.Of(identity.Version, shown),
				Location: "/v1/customers/" + identity.CustomerID.String() + "/identities/" + identity.ID.String(),
			},
		}, nil
	})
}

// hashed gives the hash of a password that may have been sent. It takes long, so it comes before a change.
func (s *Server) hashed(ctx context.Context, password *string) (*string, error) {
	if password == nil {
		return nil, nil
	}
	hash, err := s.hasher.Hash(ctx, *password)
	return &hash, err
}

// IdentityGet reads a login.
func (s *Server) IdentityGet(ctx context.Context, request openapi.IdentityGetRequestObject) (openapi.IdentityGetResponseObject, error) {
	identity, err := identities.Get(ctx, s.db, reachOf(ctx), request.CustomerId, request.IdentityId)
	if err != nil {
		return nil, err
	}
	body := ToAPIIdentity(identity)
	return openapi.IdentityGet200JSONResponse{
		Body: body, Headers: openapi.IdentityGet200ResponseHeaders{ETag: etag.Of(identity.Version, body)},
	}, nil
}

// IdentityUpdate changes a login.
func (s *Server) IdentityUpdate(ctx context.Context, request openapi.IdentityUpdateRequestObject) (openapi.IdentityUpdateResponseObject, error) {
	versions := etag.IfMatch(request.Params.IfMatch)
	patch := identities.Patch{Name: request.Body.Name, Email: request.Body.Email, Role: (*string)(request.Body.Role)}
	return change(ctx, s, func(tx *postgres.Tx) (openapi.IdentityUpdateResponseObject, error) {
		identity, err := identities.Update(ctx, tx, request.CustomerId, request.IdentityId, versions, patch)
		if err != nil {
			return nil, err
		}
		body := ToAPIIdentity(identity)
		return openapi.IdentityUpdate200JSONResponse{
			Body: body, Headers: openapi.IdentityUpdate200ResponseHeaders{ETag: etag.Of(identity.Version, body)},
		}, nil
	})
}

// IdentityPasswordUpdate sets a login's password.
func (s *Server) IdentityPasswordUpdate(ctx context.Context, request openapi.IdentityPasswordUpdateRequestObject) (openapi.IdentityPasswordUpdateResponseObject, error) {
	hash, err := s.hasher.Hash(ctx, request.Body.Password)
	if err != nil {
		return nil, err
	}
	versions := etag.IfMatch(request.Params.IfMatch)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.IdentityPasswordUpdateResponseObject, error) {
		identity, err := identities.SetPassword(ctx, tx, request.CustomerId, request.IdentityId, versions, hash)
		if err != nil {
			return nil, err
		}
		body := ToAPIIdentity(identity)
		return openapi.IdentityPasswordUpdate200JSONResponse{
			Body: body, Headers: openapi.IdentityPasswordUpdate200ResponseHeaders{ETag: etag.Of(identity.Version, body)},
		}, nil
	})
}

// IdentityDelete deletes a login.
func (s *Server) IdentityDelete(ctx context.Context, request openapi.IdentityDeleteRequestObject) (openapi.IdentityDeleteResponseObject, error) {
	versions := etag.IfMatch(request.Params.IfMatch)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.IdentityDeleteResponseObject, error) {
		return openapi.IdentityDelete204Response{}, identities.Delete(ctx, tx, s.keyring, request.CustomerId, request.IdentityId, versions)
	})
}

// IdentityDeleteAll deletes all the logins of a customer.
func (s *Server) IdentityDeleteAll(ctx context.Context, request openapi.IdentityDeleteAllRequestObject) (openapi.IdentityDeleteAllResponseObject, error) {
	versions := etag.IfMatch(request.Params.IfMatch)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.IdentityDeleteAllResponseObject, error) {
		return openapi.IdentityDeleteAll204Response{}, identities.DeleteAll(ctx, tx, s.keyring, request.CustomerId, versions)
	})
}

// ToAPIIdentity shows a login.
func ToAPIIdentity(identity identities.Identity) openapi.Identity {
	return openapi.Identity{
		Id: identity.ID, CustomerId: identity.CustomerID, Name: identity.Name, Email: identity.Email,
		Role: openapi.IdentityRole(identity.Role), Status: openapi.IdentityStatus(identities.Status(identity.Identity)),
		LastLoginAt: identity.LastLoginAt, RestoredAt: identity.RestoredAt, Version: identity.Version, CreatedAt: identity.CreatedAt,
		UpdatedAt: identity.UpdatedAt,
	}
}

// ToAPIListedIdentity shows a login as lists do.
func ToAPIListedIdentity(identity identities.Listed) openapi.ListedIdentity {
	return openapi.ListedIdentity{
		Id: identity.ID, CustomerId: identity.CustomerID, CustomerName: identity.CustomerName, Name: identity.Name,
		Email: identity.Email, Role: openapi.IdentityRole(identity.Role),
		Status:      openapi.IdentityStatus(identities.Status(identity.Identity)),
		LastLoginAt: identity.LastLoginAt, RestoredAt: identity.RestoredAt, Version: identity.Version, CreatedAt: identity.CreatedAt,
		UpdatedAt: identity.UpdatedAt,
	}
}

func toAPIIdentityPage(page paging.Page[identities.Listed]) openapi.IdentityPage {
	return openapi.IdentityPage{Data: convert(page.Rows, ToAPIListedIdentity), NextCursor: page.Next, Total: page.Total}
}

// FromAPIFirstIdentity gives what is said of a login that is made with its customer, and the status that the customer
// begins with.
func FromAPIFirstIdentity(body openapi.CustomerCreateIdentity, hash *string) (identities.Input, string) {
	input := identities.Input{Name: body.Name, Email: body.Email, Role: orEmpty((*string)(body.Role)), PasswordHash: hash}
	return input, identities.FirstStatus(hash != nil, body.Active == nil || *body.Active)
}
