package api

import (
	"context"
	"time"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/identities"
	"github.com/clientele-api/clientele/internal/jobstates"
	"github.com/clientele-api/clientele/internal/postgres"
)

// CustomerList lists customers.
func (s *Server) CustomerList(ctx context.Context, request openapi.CustomerListRequestObject) (openapi.CustomerListResponseObject, error) {
	params := request.Params
	sort := openapi.CustomerListParamsSortMinusCreatedAt
	if params.Sort != nil {
		sort = *params.Sort
	}
	page, err := customers.List(ctx, s.db, s.customerFilter(ctx, params), string(sort),
		FromAPIPage(params.Limit, params.Cursor, params.IncludeTotal))
	if err != nil {
		return nil, err
	}
	return openapi.CustomerList200JSONResponse{
		Body: openapi.CustomerPage{
			Data: convert(page.Rows, ToAPICustomer), NextCursor: page.Next, Total: page.Total,
		},
		Headers: openapi.CustomerList200ResponseHeaders{Link: nextLink(ctx, page.Next)},
	}, nil
}

// CustomerCreate creates a customer, with its first login where one is given.
func (s *Server) CustomerCreate(ctx context.Context, request openapi.CustomerCreateRequestObject) (openapi.CustomerCreateResponseObject, error) {
	input := FromAPICustomerCreate(*request.Body)
	var login *identities.Input
	if body := request.Body.Identity; body != nil {
		hash, err := s.hashed(ctx, body.Password)
		if err != nil {
			return nil, err
		}
		first, status := FromAPIFirstIdentity(*body, hash)
		login, input.Status = &first, status
	}
	return change(ctx, s, func(tx *postgres.Tx) (openapi.CustomerCreateResponseObject, error) {
		customer, err := customers.Create(ctx, tx, input)
		if err != nil {
			return nil, err
		}
		if login != nil {
			if _, err := identities.Insert(ctx, tx, s.keyring, customer.Customer, *login); err != nil {
				return nil, fault.Under("/identity", postgres.Translate(err))
			}
		}
		body := ToAPICustomer(customer)
		return openapi.CustomerCreate201JSONResponse{
			Body: body,
			Headers: openapi.CustomerCreate201ResponseHeaders{
				ETag: etag.Of(customer.Version, body), Location: "/v1/customers/" + customer.ID.String(),
			},
		}, nil
	})
}

// CustomerGet reads a customer.
func (s *Server) CustomerGet(ctx context.Context, request openapi.CustomerGetRequestObject) (openapi.CustomerGetResponseObject, error) {
	customer, err := customers.Get(ctx, s.db, reachOf(ctx), request.CustomerId)
	if err != nil {
		return nil, err
	}
	body := ToAPICustomer(customer)
	return openapi.CustomerGet200JSONResponse{
		Body: body, Headers: openapi.CustomerGet200ResponseHeaders{ETag: etag.Of(customer.Version, body)},
	}, nil
}

// CustomerUpdate changes a customer.
func (s *Server) CustomerUpdate(ctx context.Context, request openapi.CustomerUpdateRequestObject) (openapi.CustomerUpdateResponseObject, error) {
	versions, patch := etag.IfMatch(request.Params.IfMatch), FromAPICustomerPatch(*request.Body)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.CustomerUpdateResponseObject, error) {
		customer, err := customers.Update(ctx, tx, request.CustomerId, versions, patch)
		if err != nil {
			return nil, err
		}
		body := ToAPICustomer(customer)
		return openapi.CustomerUpdate200JSONResponse{
			Body: body, Headers: openapi.CustomerUpdate200ResponseHeaders{ETag: etag.Of(customer.Version, body)},
		}, nil
	})
}

// CustomerActivate switches a customer's access on.
func (s *Server) CustomerActivate(ctx context.Context, request openapi.CustomerActivateRequestObject) (openapi.CustomerActivateResponseObject, error) {
	versions := etag.IfMatch(request.Params.IfMatch)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.CustomerActivateResponseObject, error) {
		customer, err := customers.Activate(ctx, tx, request.CustomerId, versions)
		if err != nil {
			return nil, err
		}
		body := ToAPICustomer(customer)
		return openapi.CustomerActivate200JSONResponse{
			Body: body, Headers: openapi.CustomerActivate200ResponseHeaders{ETag: etag.Of(customer.Version, body)},
		}, nil
	})
}

// CustomerDeactivate switches a customer's access off.
func (s *Server) CustomerDeactivate(ctx context.Context, request openapi.CustomerDeactivateRequestObject) (openapi.CustomerDeactivateResponseObject, error) {
	versions := etag.IfMatch(request.Params.IfMatch)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.CustomerDeactivateResponseObject, error) {
		customer, err := customers.Deactivate(ctx, tx, request.CustomerId, versions)
		if err != nil {
			return nil, err
		}
		body := ToAPICustomer(customer)
		return openapi.CustomerDeactivate200JSONResponse{
			Body: body, Headers: openapi.CustomerDeactivate200ResponseHeaders{ETag: etag.Of(customer.Version, body)},
		}, nil
	})
}

// CustomerDelete deletes a customer once it is confirmed, or says what that would do.
func (s *Server) CustomerDelete(ctx context.Context, request openapi.CustomerDeleteRequestObject) (openapi.CustomerDeleteResponseObject, error) {
	versions := etag.IfMatch(request.Params.IfMatch)
	if isSet(request.Params.DryRun) {
		plan, err := customers.PlanDeletion(ctx, s.db, s.keyring, reachOf(ctx), request.CustomerId, versions)
		if err != nil {
			return nil, err
		}
		return openapi.CustomerDelete200JSONResponse(ToAPIDeletionPlan(plan)), nil
	}
	token := orEmpty(request.Params.Confirm)
	return change(ctx, s, func(tx *postgres.Tx) (openapi.CustomerDeleteResponseObject, error) {
		return openapi.CustomerDelete204Response{}, customers.Delete(ctx, tx, s.keyring, request.CustomerId, versions, token)
	})
}

// CustomerDeletionPlanGet says what deleting a customer would do.
func (s *Server) CustomerDeletionPlanGet(ctx context.Context, request openapi.CustomerDeletionPlanGetRequestObject) (openapi.CustomerDeletionPlanGetResponseObject, error) {
	plan, err := customers.PlanDeletion(ctx, s.db, s.keyring, reachOf(ctx), request.CustomerId, etag.Versions{})
	if err != nil {
		return nil, err
	}
	return openapi.CustomerDeletionPlanGet200JSONResponse(ToAPIDeletionPlan(plan)), nil
}

// ToAPICustomer shows a customer.
func ToAPICustomer(customer customers.Customer) openapi.Customer {
	return openapi.Customer{
		Id: customer.ID, Name: customer.Name, Email: customer.Email, Phone: customer.Phone, Company: customer.Company,
		Address: customer.Address, Comments: customer.Comments, Modules: customer.Modules,
		Properties: customer.Properties, ParentId: customer.ParentID, ExternalId: customer.ExternalID,
		Locale: openapi.Locale(customer.Locale), Status: openapi.CustomerStatus(customer.Status),
		InvitedAt: customer.InvitedAt, LastActivityAt: customer.LastActivityAt,
		Terms:          toAPICustomerTerms(customer.TermsVersion, customer.TermsAcceptedAt),
		AllowedActions: ToAPIActions(customers.AllowedActions(customer.Status)), RestoredAt: customer.RestoredAt, Version: customer.Version, CreatedAt: customer.CreatedAt, UpdatedAt: customer.UpdatedAt,
	}
}

func toAPICustomerTerms(version *int32, acceptedAt *time.Time) *openapi.CustomerTerms {
	if version == nil || acceptedAt == nil {
		return nil
	}
	return &openapi.CustomerTerms{Version: *version, AcceptedAt: *acceptedAt}
}

// ToAPIActions shows what may be done with a customer.
func ToAPIActions(actions []customers.Action) []string {
	return convert(actions, func(a customers.Action) string { return string(a) })
}

// ToAPIDeletionPlan shows what deleting a customer would do.
func ToAPIDeletionPlan(plan customers.DeletionPlan) openapi.DeletionPlan {
	shown := openapi.DeletionPlan{
		Counts: toAPIDeletionCounts(plan.Counts),
		Blockers: convert(plan.Blockers, func(b customers.Blocker) openapi.DeletionBlocker {
			return openapi.DeletionBlocker{
				Code: b.Code, Message: b.Message, Resource: openapi.ResourceRef{Kind: b.Kind, Id: b.ResourceID},
			}
		}),
	}
	shown.Customer.Id, shown.Customer.Name = plan.Customer.ID, plan.Customer.Name
	shown.Customer.ExternalId = plan.Customer.ExternalID
	shown.Customer.Status = openapi.CustomerStatus(plan.Customer.Status)
	shown.Customer.Version = plan.Customer.Version
	if plan.Token != "" {
		shown.ConfirmationToken = &plan.Token
	}
	return shown
}

func toAPIDeletionCounts(counts customers.Counts) openapi.DeletionCounts {
	return openapi.DeletionCounts{
		Identities: counts.Identities, Sessions: counts.Sessions, Jobs: toAPIJobCounts(counts.Jobs), Files: counts.Files,
		Bytes: counts.Bytes, Domains: counts.Domains, Publishings: counts.Publishings, Notes: counts.Notes,
		ApiClients: counts.APIClients,
	}
}

func toAPIJobCounts(counts map[string]int64) openapi.JobCounts {
	return openapi.JobCounts{
		New: counts[jobstates.New], Incoming: counts[jobstates.Incoming], Processing: counts[jobstates.Processing],
		Completed: counts[jobstates.Completed],
	}
}

// customerFilter gives which of the customers within reach are meant.
func (s *Server) customerFilter(ctx context.Context, params openapi.CustomerListParams) customers.Filter {
	filter := FromAPICustomerFilter(params, deepObject(ctx, "properties"), s.db.Now())
	filter.Reach = reachOf(ctx)
	return filter
}

// FromAPICustomerFilter gives which customers are meant.
func FromAPICustomerFilter(params openapi.CustomerListParams, properties map[string]string, now time.Time) customers.Filter {
	return customers.Filter{
		Query: orEmpty(params.Q), Status: (*string)(params.Status), ParentID: params.ParentId, AncestorID: params.AncestorId,
		Email: params.Email, ExternalID: params.ExternalId, Module: params.Module,
		CreatedBefore: params.CreatedBefore, CreatedAfter: params.CreatedAfter, UpdatedBefore: params.UpdatedBefore,
		NoActivitySince: params.NoActivitySince, NeverSignedIn: params.NeverSignedIn, Invited: params.Invited, ExpiredInvitation: params.ExpiredInvitation,
		TermsAccepted: params.TermsAccepted,
		Now:           now, Properties: properties,
	}
}

// FromAPICustomerCreate gives what is said of a new customer.
func FromAPICustomerCreate(body openapi.CustomerCreate) customers.Input {
	input := customers.Input{
		Name: body.Name, Email: body.Email, Phone: body.Phone, Company: body.Company, Address: body.Address,
		Comments: body.Comments, ParentID: body.ParentId, ExternalID: body.ExternalId,
	}
	if body.Modules != nil {
		input.Modules = *body.Modules
	}
	if body.Properties != nil {
		input.Properties = *body.Properties
	}
	if body.Locale != nil {
		input.Locale = string(*body.Locale)
	}
	return input
}

// FromAPICustomerPatch gives what to change of a customer.
func FromAPICustomerPatch(body openapi.CustomerPatch) customers.Patch {
	return customers.Patch{
		Name: body.Name, Email: body.Email, Phone: body.Phone, Company: body.Company, Address: body.Address,
		Comments: body.Comments, Modules: body.Modules, Properties: body.Properties, ParentID: body.ParentId,
		ExternalID: body.ExternalId, Locale: (*string)(body.Locale),
	}
}
