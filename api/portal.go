package api

import (
	"context"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/identities"
	"github.com/clientele-api/clientele/internal/portal"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/throttle"
)

// PortalProfileGet reads the caller's profile.
func (s *Server) PortalProfileGet(ctx context.Context, _ openapi.PortalProfileGetRequestObject) (openapi.PortalProfileGetResponseObject, error) {
	profile, err := portal.GetProfile(ctx, s.db, callerOf(ctx))
	if err != nil {
		return nil, gone(err)
	}
	body := ToAPIProfile(profile)
	return openapi.PortalProfileGet200JSONResponse{
		Body: body, Headers: openapi.PortalProfileGet200ResponseHeaders{ETag: etag.Of(profile.Version(), body)},
	}, nil
}

// PortalProfileUpdate changes the caller's profile.
func (s *Server) PortalProfileUpdate(ctx context.Context, request openapi.PortalProfileUpdateRequestObject) (openapi.PortalProfileUpdateResponseObject, error) {
	versions, patch := etag.IfMatch(request.Params.IfMatch), FromAPIProfilePatch(*request.Body)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.PortalProfileUpdateResponseObject, error) {
		profile, err := portal.UpdateProfile(ctx, tx, callerOf(ctx), versions, patch)
		if err != nil {
			return nil, gone(err)
		}
		body := ToAPIProfile(profile)
		return openapi.PortalProfileUpdate200JSONResponse{
			Body: body, Headers: openapi.PortalProfileUpdate200ResponseHeaders{ETag: etag.Of(profile.Version(), body)},
		}, nil
	})
}

// PortalPasswordUpdate changes the caller's own password. Comparing and hashing take long, so they come before the
// change.
func (s *Server) PortalPasswordUpdate(ctx context.Context, request openapi.PortalPasswordUpdateRequestObject) (openapi.PortalPasswordUpdateResponseObject, error) {
	caller := callerOf(ctx)
	identity, err := identities.Get(ctx, s.db, nil, caller.CustomerID, caller.ID)
	if err != nil {
		return nil, gone(err)
	}
	hash, err := s.replacement(ctx, throttle.Portal, identity.Email, orEmpty(identity.PasswordHash), *request.Body)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, func(tx *postgres.Tx) (openapi.PortalPasswordUpdateResponseObject, error) {
		err := identities.SetOwnPassword(ctx, tx, identity.Identity, hash, caller.SessionID)
		return openapi.PortalPasswordUpdate204Response{}, gone(err)
	})
}

// PortalSessionList lists the caller's sessions.
func (s *Server) PortalSessionList(ctx context.Context, request openapi.PortalSessionListRequestObject) (openapi.PortalSessionListResponseObject, error) {
	params, caller := request.Params, callerOf(ctx)
	page, err := portal.ListSessions(ctx, s.db, caller, FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	return openapi.PortalSessionList200JSONResponse{
		Body: openapi.SessionPage{
			Data:       convert(page.Rows, func(session portal.Session) openapi.Session { return ToAPISession(session, caller) }),
			NextCursor: page.Next, Total: page.Total,
		},
		Headers: openapi.PortalSessionList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// PortalSessionDelete ends one of the caller's sessions.
func (s *Server) PortalSessionDelete(ctx context.Context, request openapi.PortalSessionDeleteRequestObject) (openapi.PortalSessionDeleteResponseObject, error) {
	return change(ctx, s, func(tx *postgres.Tx) (openapi.PortalSessionDeleteResponseObject, error) {
		return openapi.PortalSessionDelete204Response{}, portal.EndSession(ctx, tx, callerOf(ctx), request.SessionId)
	})
}

// ToAPIProfile shows a profile.
func ToAPIProfile(profile portal.Profile) openapi.PortalProfile {
	return openapi.PortalProfile{
		Identity: openapi.PortalIdentity{
			Id: profile.Identity.ID, Name: profile.Identity.Name, Email: profile.Identity.Email,
			Role: openapi.IdentityRole(profile.Identity.Role),
		},
		Customer: openapi.PortalCustomer{
			Id: profile.Customer.ID, Name: profile.Customer.Name, Email: profile.Customer.Email,
			Phone: profile.Customer.Phone, Company: profile.Customer.Company, Address: profile.Customer.Address,
			Status: openapi.CustomerStatus(profile.Customer.Status), Modules: profile.Customer.Modules,
			Terms: toAPICustomerTerms(profile.TermsVersion, profile.TermsAcceptedAt),
		},
	}
}

// FromAPIProfilePatch gives what to change of a profile.
func FromAPIProfilePatch(body openapi.PortalProfilePatch) portal.Patch {
	var patch portal.Patch
	if body.Identity != nil {
		patch.Name = body.Identity.Name
	}
	if customer := body.Customer; customer != nil {
		patch.Customer = &customers.Patch{
			Name: customer.Name, Phone: customer.Phone, Company: customer.Company, Address: customer.Address,
		}
	}
	return patch
}

// ToAPISession shows a session to its owner.
func ToAPISession(session portal.Session, caller *access.Principal) openapi.Session {
	return openapi.Session{
		Id: session.ID, Current: session.ID == caller.SessionID, UserAgent: session.UserAgent,
		CreatedAt: session.CreatedAt, LastUsedAt: session.LastUsedAt, ExpiresAt: session.ExpiresAt,
	}
}
