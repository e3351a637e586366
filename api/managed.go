package api

import (
	"context"

	"github.com/labstack/echo/v4"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/domains"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/managed"
	"github.com/clientele-api/clientele/internal/postgres"
)

// managing lets nobody but managers through to what is theirs, so that others learn nothing there, not even what is wrong
// with their requests. What a manager reaches is for the queries to say, which ask for the role again.
func (s *Server) managing(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		known := requestOf(c.Request().Context())
		if known.caller != nil && known.operation.IsForManagers() {
			if err := managed.Require(c.Request().Context(), s.db, known.caller); err != nil {
				return err
			}
		}
		return next(c)
	}
}

// ManagedCustomerList lists the customers that the caller manages.
func (s *Server) ManagedCustomerList(ctx context.Context, request openapi.ManagedCustomerListRequestObject) (openapi.ManagedCustomerListResponseObject, error) {
	params := request.Params
	filter := customers.Filter{Query: orEmpty(params.Q), Status: (*string)(params.Status), ParentID: params.ParentId}
	sort := orDefault((*string)(params.Sort), string(openapi.ManagedCustomerListParamsSortName))
	page, err := managed.List(ctx, s.db, callerOf(ctx), filter, sort, FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	return openapi.ManagedCustomerList200JSONResponse{
		Body: openapi.ManagedCustomerPage{
			Data: convert(page.Rows, ToAPIManagedCustomer), NextCursor: page.Next, Total: page.Total,
		},
		Headers: openapi.ManagedCustomerList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// ManagedCustomerCreate adds a customer below the caller's own.
func (s *Server) ManagedCustomerCreate(ctx context.Context, request openapi.ManagedCustomerCreateRequestObject) (openapi.ManagedCustomerCreateResponseObject, error) {
	input := FromAPIManagedCustomerCreate(*request.Body)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.ManagedCustomerCreateResponseObject, error) {
		customer, err := managed.Create(ctx, tx, callerOf(ctx), input)
		if err != nil {
			return nil, err
		}
		body := ToAPIManagedCustomer(customer)
		return openapi.ManagedCustomerCreate201JSONResponse{
			Body: body,
			Headers: openapi.ManagedCustomerCreate201ResponseHeaders{
				ETag: etag.Of(customer.Version, body), Location: "/v1/portal/customers/" + customer.ID.String(),
			},
		}, nil
	})
}

// ManagedCustomerGet reads a customer that the caller manages.
func (s *Server) ManagedCustomerGet(ctx context.Context, request openapi.ManagedCustomerGetRequestObject) (openapi.ManagedCustomerGetResponseObject, error) {
	customer, err := managed.Get(ctx, s.db, callerOf(ctx), request.CustomerId)
	if err != nil {
		return nil, err
	}
	body := ToAPIManagedCustomer(customer)
	return openapi.ManagedCustomerGet200JSONResponse{
		Body: body, Headers: openapi.ManagedCustomerGet200ResponseHeaders{ETag: etag.Of(customer.Version, body)},
	}, nil
}

// ManagedCustomerUpdate changes a customer that the caller manages.
func (s *Server) ManagedCustomerUpdate(ctx context.Context, request openapi.ManagedCustomerUpdateRequestObject) (openapi.ManagedCustomerUpdateResponseObject, error) {
	versions, body := etag.IfMatch(request.Params.IfMatch), *request.Body
	patch := customers.Patch{Name: body.Name, Phone: body.Phone, Company: body.Company, Address: body.Address}
	return change(ctx, s, func(tx *postgres.Tx) (openapi.ManagedCustomerUpdateResponseObject, error) {
		customer, err := managed.Update(ctx, tx, callerOf(ctx), request.CustomerId, versions, patch)
		if err != nil {
			return nil, err
		}
		body := ToAPIManagedCustomer(customer)
		return openapi.ManagedCustomerUpdate200JSONResponse{
			Body: body, Headers: openapi.ManagedCustomerUpdate200ResponseHeaders{ETag: etag.Of(customer.Version, body)},
		}, nil
	})
}

// ManagedActivationRequestCreate has a customer invited that the caller manages. The contact gets no more mails by this
// than it should.
func (s *Server) ManagedActivationRequestCreate(ctx context.Context, request openapi.ManagedActivationRequestCreateRequestObject) (openapi.ManagedActivationRequestCreateResponseObject, error) {
	caller := callerOf(ctx)
	customer, err := managed.Get(ctx, s.db, caller, request.CustomerId)
	if err != nil {
		return nil, err
	}
	if err := s.guard.Invite(ctx, orDefault(customer.Email, customer.ID.String())); err != nil {
		return nil, err
	}
	return change(ctx, s, func(tx *postgres.Tx) (openapi.ManagedActivationRequestCreateResponseObject, error) {
		state, err := managed.Invite(ctx, tx, caller, s.activation, request.CustomerId)
		return openapi.ManagedActivationRequestCreate202JSONResponse{
			State: openapi.ManagedActivationRequestState(state),
		}, err
	})
}

// ManagedDomainExport downloads the domains of a customer that the caller manages.
func (s *Server) ManagedDomainExport(ctx context.Context, request openapi.ManagedDomainExportRequestObject) (openapi.ManagedDomainExportResponseObject, error) {
	params, caller := request.Params, callerOf(ctx)
	return s.domainExport(ctx, domains.Filter{
		Query: orEmpty(params.Q), Host: params.Host, Scheme: (*string)(params.Scheme),
		SSLExpiresBefore: params.SslExpiresBefore, TLSProtocol: (*string)(params.TlsProtocol),
		Descendants: params.IncludeDescendants != nil && *params.IncludeDescendants, ManagedBy: &caller.ID,
	}, (*string)(params.Sort), params.Bom, &request.CustomerId)
}

// ToAPIManagedCustomer shows a customer to who manages it.
func ToAPIManagedCustomer(customer customers.Customer) openapi.ManagedCustomer {
	shown := openapi.ManagedCustomer{
		Id: customer.ID, Name: customer.Name, Email: customer.Email, Phone: customer.Phone, Company: customer.Company,
		Address: customer.Address, Status: openapi.CustomerStatus(customer.Status), Modules: customer.Modules,
		Terms: toAPICustomerTerms(customer.TermsVersion, customer.TermsAcceptedAt), Version: customer.Version,
	}
	if customer.ParentID != nil { // as always: it is below another
		shown.ParentId = *customer.ParentID
	}
	return shown
}

// FromAPIManagedCustomerCreate gives what is said of a new customer.
func FromAPIManagedCustomerCreate(body openapi.ManagedCustomerCreate) customers.Input {
	return customers.Input{
		Name: body.Name, Email: body.Email, Phone: body.Phone, Company: body.Company, Address: body.Address,
		ParentID: body.ParentId,
	}
}
