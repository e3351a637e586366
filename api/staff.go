package api

import (
	"context"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/staff"
)

// StaffList lists staff.
func (s *Server) StaffList(ctx context.Context, request openapi.StaffListRequestObject) (openapi.StaffListResponseObject, error) {
	params := request.Params
	page, err := staff.List(ctx, s.db, FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	return openapi.StaffList200JSONResponse{
		Body:    openapi.StaffPage{Data: convert(page.Rows, ToAPIStaff), NextCursor: page.Next, Total: page.Total},
		Headers: openapi.StaffList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// StaffCreate adds somebody to the staff.
func (s *Server) StaffCreate(ctx context.Context, request openapi.StaffCreateRequestObject) (openapi.StaffCreateResponseObject, error) {
	hash, err := s.hasher.Hash(ctx, request.Body.Password)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, func(tx *postgres.Tx) (openapi.StaffCreateResponseObject, error) {
		account, err := staff.Create(ctx, tx, staff.Input{
			Name: request.Body.Name, Email: request.Body.Email, Role: access.Role(request.Body.Role), PasswordHash: hash,
		})
		if err != nil {
			return nil, err
		}
		body := ToAPIStaff(account)
		return openapi.StaffCreate201JSONResponse{
			Body: body,
			Headers: openapi.StaffCreate201ResponseHeaders{
				ETag: etag.Of(account.Version, body), Location: "/v1/staff/" + account.ID.String(),
			},
		}, nil
	})
}

// StaffGet reads a staff account.
func (s *Server) StaffGet(ctx context.Context, request openapi.StaffGetRequestObject) (openapi.StaffGetResponseObject, error) {
	account, err := staff.Get(ctx, s.db, request.StaffId)
	if err != nil {
		return nil, err
	}
	body := ToAPIStaff(account)
	return openapi.StaffGet200JSONResponse{
		Body: body, Headers: openapi.StaffGet200ResponseHeaders{ETag: etag.Of(account.Version, body)},
	}, nil
}

// StaffUpdate changes a staff account.
func (s *Server) StaffUpdate(ctx context.Context, request openapi.StaffUpdateRequestObject) (openapi.StaffUpdateResponseObject, error) {
	body := *request.Body
	patch := staff.Patch{Name: body.Name, Email: body.Email, Role: (*access.Role)(body.Role)}
	if body.Password != nil {
		hash, err := s.hasher.Hash(ctx, *body.Password)
		if err != nil {
			return nil, err
		}
		patch.PasswordHash = &hash
	}
	versions := etag.IfMatch(request.Params.IfMatch)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.StaffUpdateResponseObject, error) {
		account, err := staff.Update(ctx, tx, request.StaffId, versions, patch)
		if err != nil {
			return nil, err
		}
		shown := ToAPIStaff(account)
		return openapi.StaffUpdate200JSONResponse{
			Body: shown, Headers: openapi.StaffUpdate200ResponseHeaders{ETag: etag.Of(account.Version, shown)},
		}, nil
	})
}

// StaffDelete removes somebody from the staff.
func (s *Server) StaffDelete(ctx context.Context, request openapi.StaffDeleteRequestObject) (openapi.StaffDeleteResponseObject, error) {
	versions := etag.IfMatch(request.Params.IfMatch)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.StaffDeleteResponseObject, error) {
		return openapi.StaffDelete204Response{}, staff.Delete(ctx, tx, request.StaffId, versions)
	})
}

// ToAPIStaff shows a staff account.
func ToAPIStaff(account staff.Account) openapi.Staff {
	return openapi.Staff{
		Id: account.ID, Name: account.Name, Email: account.Email, Role: openapi.StaffRole(account.Role),
		LastLoginAt: account.LastLoginAt, Version: account.Version, CreatedAt: account.CreatedAt,
		UpdatedAt: account.UpdatedAt,
	}
}
