package api

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/oapi-codegen/nullable"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/customers"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/postgres"
)

// CustomerList lists customers.
func (s *Server) CustomerList(ctx context.Context, request openapi.CustomerListRequestObject) (openapi.CustomerListResponseObject, error) {
	params := request.Params
	sort := openapi.CustomerListParamsSortMinusCreatedAt
	if params.Sort != nil {
		sort = *params.Sort
	}
	page, err := customers.List(ctx, s.db, FromAPICustomerFilter(params, deepObject(ctx, "properties")), string(sort),
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

// CustomerCreate creates a customer.
func (s *Server) CustomerCreate(ctx context.Context, request openapi.CustomerCreateRequestObject) (openapi.CustomerCreateResponseObject, error) {
	customer, err := change(ctx, s, func(tx *postgres.Tx) (db.Customer, error) {
		return customers.Create(ctx, tx, FromAPICustomerCreate(*request.Body))
	})
	if err != nil {
		return nil, err
	}
	body := ToAPICustomer(customer)
	return openapi.CustomerCreate201JSONResponse{
		Body: body,
		Headers: openapi.CustomerCreate201ResponseHeaders{
			ETag: etag.Of(customer.Version, body), Location: "/v1/customers/" + customer.ID.String(),
		},
	}, nil
}

// CustomerGet reads a customer.
func (s *Server) CustomerGet(ctx context.Context, request openapi.CustomerGetRequestObject) (openapi.CustomerGetResponseObject, error) {
	customer, err := db.New().CustomerGet(ctx, s.db, request.CustomerId)
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
	patch := *request.Body
	customer, err := change(ctx, s, func(tx *postgres.Tx) (db.Customer, error) {
		return customers.Update(ctx, tx, request.CustomerId, etag.IfMatch(request.Params.IfMatch),
			patch.ParentId.IsSpecified(), func(customer db.Customer) (db.Customer, error) {
				return FromAPICustomerPatch(customer, patch)
			})
	})
	if err != nil {
		return nil, err
	}
	body := ToAPICustomer(customer)
	return openapi.CustomerUpdate200JSONResponse{
		Body: body, Headers: openapi.CustomerUpdate200ResponseHeaders{ETag: etag.Of(customer.Version, body)},
	}, nil
}

// CustomerDelete deletes a customer once it is confirmed, or says what that would do.
func (s *Server) CustomerDelete(ctx context.Context, request openapi.CustomerDeleteRequestObject) (openapi.CustomerDeleteResponseObject, error) {
	versions := etag.IfMatch(request.Params.IfMatch)
	if request.Params.DryRun != nil && *request.Params.DryRun {
		plan, err := customers.GetPlan(ctx, s.db, s.keyring, request.CustomerId, versions)
		if err != nil {
			return nil, err
		}
		return openapi.CustomerDelete200JSONResponse(ToAPIDeletionPlan(plan)), nil
	}
	token := ""
	if request.Params.Confirm != nil {
		token = *request.Params.Confirm
	}
	_, err := change(ctx, s, func(tx *postgres.Tx) (struct{}, error) {
		return struct{}{}, customers.Remove(ctx, tx, s.keyring, request.CustomerId, versions, token)
	})
	if err != nil {
		return nil, withPlan(err)
	}
	return openapi.CustomerDelete204Response{}, nil
}

// withPlan puts the plan of a refused deletion into the problem.
func withPlan(err error) error {
	var refusal *customers.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	problem := *refusal.Fault
	problem.Members = map[string]any{"deletion_plan": ToAPIDeletionPlan(refusal.Plan)}
	if refusal.Plan.Token != "" {
		problem.Members["confirmation_token"] = refusal.Plan.Token
	}
	return &problem
}

// CustomerDeletionPlanGet says what deleting a customer would do.
func (s *Server) CustomerDeletionPlanGet(ctx context.Context, request openapi.CustomerDeletionPlanGetRequestObject) (openapi.CustomerDeletionPlanGetResponseObject, error) {
	plan, err := customers.GetPlan(ctx, s.db, s.keyring, request.CustomerId, etag.Versions{})
	if err != nil {
		return nil, err
	}
	return openapi.CustomerDeletionPlanGet200JSONResponse(ToAPIDeletionPlan(plan)), nil
}

// ToAPICustomer shows a customer.
func ToAPICustomer(customer db.Customer) openapi.Customer {
	actions := customers.AllowedActions(customer.Status)
	return openapi.Customer{
		Id: customer.ID, Name: customer.Name, Email: customer.Email, Phone: customer.Phone, Company: customer.Company,
		Address: customer.Address, Comments: customer.Comments, Modules: customer.Modules,
		Properties: customer.Properties, ParentId: customer.ParentID, ExternalId: customer.ExternalID,
		Locale: openapi.Locale(customer.Locale), Status: openapi.CustomerStatus(customer.Status),
		AllowedActions: convert(actions, func(a customers.Action) openapi.CustomerAction { return openapi.CustomerAction(a) }),
		Version:        customer.Version, CreatedAt: customer.CreatedAt, UpdatedAt: customer.UpdatedAt,
	}
}

// ToAPIDeletionPlan shows what deleting a customer would do.
func ToAPIDeletionPlan(plan customers.Plan) openapi.DeletionPlan {
	shown := openapi.DeletionPlan{
		Counts: openapi.DeletionCounts{Notes: plan.Notes},
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

// FromAPICustomerFilter gives which customers are meant.
func FromAPICustomerFilter(params openapi.CustomerListParams, properties map[string]string) customers.Filter {
	filter := customers.Filter{
		Status: (*string)(params.Status), ParentID: params.ParentId, AncestorID: params.AncestorId,
		Email: params.Email, ExternalID: params.ExternalId, Module: params.Module,
		CreatedBefore: params.CreatedBefore, CreatedAfter: params.CreatedAfter, UpdatedBefore: params.UpdatedBefore,
		Properties: properties,
	}
	if params.Q != nil {
		filter.Query = *params.Q
	}
	return filter
}

// FromAPICustomerCreate gives the record of a customer to be.
func FromAPICustomerCreate(body openapi.CustomerCreate) db.Customer {
	customer := db.Customer{
		Name: body.Name, Email: body.Email, Phone: body.Phone, Company: body.Company, Address: body.Address,
		Comments: body.Comments, ParentID: body.ParentId, ExternalID: body.ExternalId,
	}
	if body.Modules != nil {
		customer.Modules = *body.Modules
	}
	if body.Properties != nil {
		customer.Properties = *body.Properties
	}
	if body.Locale != nil {
		customer.Locale = string(*body.Locale)
	}
	return customer
}

// FromAPICustomerPatch gives the record as the patch makes it.
func FromAPICustomerPatch(customer db.Customer, patch openapi.CustomerPatch) (db.Customer, error) {
	if patch.Name != nil {
		customer.Name = *patch.Name
	}
	set(&customer.Email, patch.Email)
	set(&customer.Phone, patch.Phone)
	set(&customer.Company, patch.Company)
	set(&customer.Address, patch.Address)
	set(&customer.Comments, patch.Comments)
	set(&customer.ParentID, patch.ParentId)
	set(&customer.ExternalID, patch.ExternalId)
	if patch.Locale != nil {
		customer.Locale = string(*patch.Locale)
	}
	if patch.Modules.IsSpecified() {
		customer.Modules, _ = patch.Modules.Get() // null empties
	}
	if patch.Properties.IsNull() {
		customer.Properties = json.RawMessage("{}")
	} else if properties, err := patch.Properties.Get(); err == nil {
		merged, err := customers.PatchProperties(customer.Properties, properties)
		if err != nil {
			return customer, err
		}
		customer.Properties = merged
	}
	return customer, nil
}

// set does what a patch says of a member: absent stays, null clears, a value sets.
func set[T any](field **T, patch nullable.Nullable[T]) {
	switch value, err := patch.Get(); {
	case patch.IsNull():
		*field = nil
	case err == nil:
		*field = &value
	}
}
