package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"github.com/clientele-api/clientele/gen/client"
)

// trip is one way through the API.
type trip struct {
	api *client.ClientWithResponses
	out io.Writer
	tag string              // that all customers of this trip have, to find them again
	ids []client.CustomerId // of the customers that are there
}

// all does everything, and deletes what it made, whatever went wrong.
func (t *trip) all(ctx context.Context) (err error) {
	t.tag = uuid.NewString()
	defer func() { err = errors.Join(err, t.delete(context.WithoutCancel(ctx))) }()
	for _, step := range []func(context.Context) error{t.create, t.list, t.change, t.refusals, t.rows, t.file} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// create makes five customers.
func (t *trip) create(ctx context.Context) error {
	me, err := t.api.MeGetWithResponse(ctx)
	if err != nil {
		return err
	}
	if err := answered(me.HTTPResponse, me.Body); err != nil {
		return err
	}
	fmt.Fprintf(t.out, "signed in as %s\n", me.JSON200.Name)

	properties, err := json.Marshal(map[string]string{"trip": t.tag, "country": "Mexico"})
	if err != nil {
		return err
	}
	for number := range 5 {
		customer := client.CustomerCreate{
			Name:       fmt.Sprintf("Antonio Moreno Taquería %d", number+1),
			Phone:      nullable.NewNullableWithValue("(5) 555-3932"),
			Company:    nullable.NewNullableWithValue("Moreno S.A."),
			ExternalId: nullable.NewNullableWithValue(fmt.Sprintf("%s-%d", t.tag, number+1)),
			Properties: (*client.Properties)(&properties),
		}
		if number == 0 { // with a login that has a password a customer is active, and may submit jobs
			email, password := t.tag+"@example.com", uuid.NewString()
			customer.Identity = &client.CustomerCreateIdentity{Email: &email, Password: &password}
		}
		created, err := t.api.CustomerCreateWithResponse(ctx, nil, customer)
		if err != nil {
			return err
		}
		if err := answered(created.HTTPResponse, created.Body); err != nil {
			return err
		}
		t.ids = append(t.ids, created.JSON201.Id)
	}
	fmt.Fprintf(t.out, "created %d customers\n", len(t.ids))
	return nil
}

// list goes through all pages. The place of the next one stands in each page; the last one has none.
func (t *trip) list(ctx context.Context) error {
	limit, order := client.Limit(2), client.CustomerListParamsSortCreatedAt
	params := &client.CustomerListParams{Properties: &map[string]string{"trip": t.tag}, Limit: &limit, Sort: &order}
	pages, found := 0, 0
	for {
		page, err := t.api.CustomerListWithResponse(ctx, params)
		if err != nil {
			return err
		}
		if err := answered(page.HTTPResponse, page.Body); err != nil {
			return err
		}
		pages++
		found += len(page.JSON200.Data)
		if page.JSON200.NextCursor.IsNull() {
			break
		}
		next := page.JSON200.NextCursor.MustGet()
		params.Cursor = &next
	}
	fmt.Fprintf(t.out, "listed %d customers on %d pages\n", found, pages)
	return nil
}

// change sends a merge patch. A member that is not mentioned stays, null clears, a value is set; nullable.Nullable holds
// all three: its zero value is left out, NewNullNullable is null.
func (t *trip) change(ctx context.Context) error {
	read, err := t.api.CustomerGetWithResponse(ctx, t.ids[0], nil)
	if err != nil {
		return err
	}
	if err := answered(read.HTTPResponse, read.Body); err != nil {
		return err
	}
	// Properties are JSON of your own, and merge key by key in the same way.
	properties := client.CustomerPatch{}.Properties
	properties.Set(json.RawMessage(`{"country": null, "tier": "gold"}`))
	patch := client.CustomerPatch{
		Phone:      nullable.NewNullNullable[string](),              // null: cleared
		Address:    nullable.NewNullableWithValue("Mataderos 2312"), // a value: set
		Properties: properties,
		// Company is not mentioned: it stays.
	}
	// With If-Match the change is made only if nobody else has made one since.
	changed, err := t.api.CustomerUpdateWithResponse(ctx, t.ids[0],
		&client.CustomerUpdateParams{IfMatch: &read.Headers200.ETag}, patch)
	if err != nil {
		return err
	}
	if err := answered(changed.HTTPResponse, changed.Body); err != nil {
		return err
	}
	now := changed.JSON200
	fmt.Fprintf(t.out, "changed: phone %s, address %s, company %s, properties %s\n",
		shown(now.Phone), shown(now.Address), shown(now.Company), now.Properties)
	return nil
}

func shown(text nullable.Nullable[string]) string {
	if value, err := text.Get(); err == nil {
		return value
	}
	return "null"
}

// refusals makes mistakes on purpose. Programs go by code, which is stable; detail and message are for people.
func (t *trip) refusals(ctx context.Context) error {
	taken, err := t.api.CustomerCreateWithResponse(ctx, nil, client.CustomerCreate{
		Name: "Another Antonio", ExternalId: nullable.NewNullableWithValue(t.tag + "-1"),
	})
	if err != nil {
		return err
	}
	if err := t.refused(http.StatusConflict, taken.HTTPResponse, taken.Body); err != nil {
		return err
	}
	wrong, err := t.api.CustomerCreateWithResponse(ctx, nil, client.CustomerCreate{
		Email: nullable.NewNullableWithValue("nobody"), // and there is no name
	})
	if err != nil {
		return err
	}
	if err := t.refused(http.StatusUnprocessableEntity, wrong.HTTPResponse, wrong.Body); err != nil {
		return err
	}
	outdated, name := `"1.0"`, "Antonio"
	stale, err := t.api.CustomerUpdateWithResponse(ctx, t.ids[0],
		&client.CustomerUpdateParams{IfMatch: &outdated}, client.CustomerPatch{Name: &name})
	if err != nil {
		return err
	}
	return t.refused(http.StatusPreconditionFailed, stale.HTTPResponse, stale.Body)
}

// refused shows a refusal that is expected.
func (t *trip) refused(status int, response *http.Response, body []byte) error {
	err := answered(response, body)
	var refused *refusal
	if !errors.As(err, &refused) || refused.status != status {
		return fmt.Errorf("expected a refusal with %d: %w", status, err)
	}
	fmt.Fprintf(t.out, "refused: %v\n", refused)
	return nil
}

// delete deletes what was created. It takes two calls: the first one is answered with what would go, and with a token.
func (t *trip) delete(ctx context.Context) error {
	if len(t.ids) == 0 {
		return nil
	}
	for _, id := range t.ids {
		planned, err := t.api.CustomerDeleteWithResponse(ctx, id, nil)
		if err != nil {
			return err
		}
		err = answered(planned.HTTPResponse, planned.Body)
		var refused *refusal
		if !errors.As(err, &refused) || refused.problem.ConfirmationToken == nil {
			return fmt.Errorf("asking what a deletion would do: %w", err)
		}
		deleted, err := t.api.CustomerDeleteWithResponse(ctx, id,
			&client.CustomerDeleteParams{Confirm: refused.problem.ConfirmationToken})
		if err != nil {
			return err
		}
		if err := answered(deleted.HTTPResponse, deleted.Body); err != nil {
			return err
		}
	}
	fmt.Fprintf(t.out, "deleted %d customers\n", len(t.ids))
	return nil
}
