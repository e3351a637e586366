package api

import (
	"context"
	"encoding/json"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/domains"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/hostname"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
)

// defaultDomainOrder is how domains are sorted when nothing is said.
const defaultDomainOrder = "host"

// DomainList lists the domains of all customers.
func (s *Server) DomainList(ctx context.Context, request openapi.DomainListRequestObject) (openapi.DomainListResponseObject, error) {
	params := request.Params
	filter := domains.Filter{
		Query: orEmpty(params.Q), CustomerID: params.CustomerId, Host: params.Host, Scheme: (*string)(params.Scheme), Reach: reachOf(ctx),
		SSLExpiresBefore: params.SslExpiresBefore, TLSProtocol: (*string)(params.TlsProtocol),
	}
	page, err := domains.List(ctx, s.db, filter, orDefault((*string)(params.Sort), defaultDomainOrder),
		FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	return openapi.DomainList200JSONResponse{
		Body: toAPIDomainPage(page), Headers: openapi.DomainList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// CustomerDomainList lists the domains of a customer.
func (s *Server) CustomerDomainList(ctx context.Context, request openapi.CustomerDomainListRequestObject) (openapi.CustomerDomainListResponseObject, error) {
	params := request.Params
	filter := domains.Filter{
		Query: orEmpty(params.Q), Host: params.Host, Scheme: (*string)(params.Scheme), Reach: reachOf(ctx),
		SSLExpiresBefore: params.SslExpiresBefore, TLSProtocol: (*string)(params.TlsProtocol),
	}
	page, err := domains.ListOfCustomer(ctx, s.db, request.CustomerId, filter, orDefault((*string)(params.Sort), defaultDomainOrder),
		FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	return openapi.CustomerDomainList200JSONResponse{
		Body: toAPIDomainPage(page), Headers: openapi.CustomerDomainList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// PortalDomainList lists the domains of the caller's customer.
func (s *Server) PortalDomainList(ctx context.Context, request openapi.PortalDomainListRequestObject) (openapi.PortalDomainListResponseObject, error) {
	params := request.Params
	filter := domains.Filter{
		Query: orEmpty(params.Q), Host: params.Host, Scheme: (*string)(params.Scheme),
		SSLExpiresBefore: params.SslExpiresBefore, TLSProtocol: (*string)(params.TlsProtocol),
	}
	page, err := domains.ListOfCustomer(ctx, s.db, callerOf(ctx).CustomerID, filter, orDefault((*string)(params.Sort), defaultDomainOrder),
		FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, gone(err)
	}
	return openapi.PortalDomainList200JSONResponse{
		Body: toAPIDomainPage(page), Headers: openapi.PortalDomainList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// DomainCreate adds a domain to a customer.
func (s *Server) DomainCreate(ctx context.Context, request openapi.DomainCreateRequestObject) (openapi.DomainCreateResponseObject, error) {
	return change(ctx, s, func(tx *postgres.Tx) (openapi.DomainCreateResponseObject, error) {
		domain, err := domains.Create(ctx, tx, request.CustomerId, FromAPIDomainCreate(*request.Body))
		if err != nil {
			return nil, err
		}
		body := ToAPIDomain(domain)
		return openapi.DomainCreate201JSONResponse{
			Body: body,
			Headers: openapi.DomainCreate201ResponseHeaders{
				ETag: etag.Of(domain.Version, body), Location: "/v1/domains/" + domain.ID.String(),
			},
		}, nil
	})
}

// DomainGet reads a domain.
func (s *Server) DomainGet(ctx context.Context, request openapi.DomainGetRequestObject) (openapi.DomainGetResponseObject, error) {
	domain, err := db.New().DomainGet(ctx, s.db, request.DomainId, reachOf(ctx))
	if err != nil {
		return nil, err
	}
	body := ToAPIDomain(domain)
	return openapi.DomainGet200JSONResponse{
		Body: body, Headers: openapi.DomainGet200ResponseHeaders{ETag: etag.Of(domain.Version, body)},
	}, nil
}

// DomainUpdate changes a domain.
func (s *Server) DomainUpdate(ctx context.Context, request openapi.DomainUpdateRequestObject) (openapi.DomainUpdateResponseObject, error) {
	versions, patch := etag.IfMatch(request.Params.IfMatch), FromAPIDomainPatch(*request.Body)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.DomainUpdateResponseObject, error) {
		domain, err := domains.Update(ctx, tx, request.DomainId, versions, patch)
		if err != nil {
			return nil, err
		}
		body := ToAPIDomain(domain)
		return openapi.DomainUpdate200JSONResponse{
			Body: body, Headers: openapi.DomainUpdate200ResponseHeaders{ETag: etag.Of(domain.Version, body)},
		}, nil
	})
}

// DomainDelete deletes a domain.
func (s *Server) DomainDelete(ctx context.Context, request openapi.DomainDeleteRequestObject) (openapi.DomainDeleteResponseObject, error) {
	versions := etag.IfMatch(request.Params.IfMatch)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.DomainDeleteResponseObject, error) {
		return openapi.DomainDelete204Response{}, domains.Delete(ctx, tx, request.DomainId, versions)
	})
}

// ToAPIDomain shows a domain.
func ToAPIDomain(domain db.Domain) openapi.Domain {
	return openapi.Domain{
		Id: domain.ID, CustomerId: domain.CustomerID, Host: domain.Host, HostUnicode: hostname.Unicode(domain.Host),
		HttpPorts: domain.HttpPorts, Scheme: openapi.DomainScheme(domain.Scheme), Origin: domain.Origin,
		OriginPort: domain.OriginPort, CacheConfiguration: object(domain.CacheConfiguration),
		Redirection: object(domain.Redirection), SslExpiresAt: domain.SslExpiresAt, TlsProtocol: domain.TlsProtocol,
		WafConfiguration: object(domain.WafConfiguration), RestoredAt: domain.RestoredAt, Version: domain.Version, CreatedAt: domain.CreatedAt,
		UpdatedAt: domain.UpdatedAt,
	}
}

func toAPIDomainPage(page paging.Page[db.Domain]) openapi.DomainPage {
	return openapi.DomainPage{Data: convert(page.Rows, ToAPIDomain), NextCursor: page.Next, Total: page.Total}
}

// object shows a JSON object that may be missing.
func object(text json.RawMessage) *json.RawMessage {
	if text == nil {
		return nil
	}
	return &text
}

// FromAPIDomainCreate gives what is said of a new domain.
func FromAPIDomainCreate(body openapi.DomainCreate) domains.Input {
	input := domains.Input{
		Host: body.Host, Scheme: orEmpty((*string)(body.Scheme)), Origin: body.Origin, OriginPort: body.OriginPort,
		CacheConfiguration: orNone(body.CacheConfiguration), Redirection: orNone(body.Redirection),
		SSLExpiresAt: body.SslExpiresAt, TLSProtocol: (*string)(body.TlsProtocol),
		WAFConfiguration: orNone(body.WafConfiguration),
	}
	if body.HttpPorts != nil {
		input.HTTPPorts = *body.HttpPorts
	}
	return input
}

// orNone gives a JSON object; nil when it is absent or null.
func orNone(text *json.RawMessage) json.RawMessage {
	if text == nil || string(*text) == "null" {
		return nil
	}
	return *text
}

// FromAPIDomainPatch gives what to change of a domain.
func FromAPIDomainPatch(body openapi.DomainPatch) domains.Patch {
	return domains.Patch{
		Host: body.Host, HTTPPorts: body.HttpPorts, Scheme: (*string)(body.Scheme), Origin: body.Origin,
		OriginPort: body.OriginPort, CacheConfiguration: body.CacheConfiguration, Redirection: body.Redirection,
		SSLExpiresAt: body.SslExpiresAt, TLSProtocol: body.TlsProtocol, WAFConfiguration: body.WafConfiguration,
	}
}
