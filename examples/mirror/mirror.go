package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/clientele-api/clientele/gen/client"
)

const (
	pageSize    = 200
	waitSeconds = 20 // how long the server may hold a request that finds nothing new
)

// mirror brings the copy up to date and keeps it there.
type mirror struct {
	store store
	calls *caller
	out   io.Writer
	once  bool
}

// run goes on from where the copy is, and begins anew when the server knows nothing of that place any more.
func (m *mirror) run(ctx context.Context) error {
	if err := m.mayCopy(ctx); err != nil {
		return err
	}
	for {
		err := m.goOn(ctx)
		if !errors.Is(err, errCursor) {
			return err
		}
		fmt.Fprintln(m.out, "the server's database was restored to an earlier state; copying all customers anew")
		if err := m.store.forget(ctx); err != nil {
			return err
		}
	}
}

// mayCopy tells whether the API client is shown all that a copy needs. One that is limited to a customer is not: of customers
// that are moved into its reach below another one it gets no event, and none of the end of those that were moved out.
func (m *mirror) mayCopy(ctx context.Context) error {
	var me client.Me
	err := m.calls.get(ctx, &me, func(ctx context.Context, api *client.Client) (*http.Response, error) {
		return api.MeGet(ctx)
	})
	if err == nil && !me.CustomerId.IsNull() {
		err = errors.New("the API client is limited to a customer: give the program one that is not")
	}
	return err
}

func (m *mirror) goOn(ctx context.Context) error {
	p, err := m.store.progress(ctx)
	if err != nil {
		return err
	}
	if p.feed == "" {
		if p, err = m.begin(ctx, p); err != nil {
			return err
		}
	}
	if p.list != nil {
		if p, err = m.list(ctx, p); err != nil {
			return err
		}
	}
	var count int
	if err := m.store.QueryRowContext(ctx, "SELECT count(*) FROM customers").Scan(&count); err != nil {
		return err
	}
	fmt.Fprintf(m.out, "%d customers are here; following what changes\n", count)
	return m.follow(ctx, p)
}

// begin takes the cursor to follow the feed from. It comes before the list: what changes while that is read is in the feed.
func (m *mirror) begin(ctx context.Context, p progress) (progress, error) {
	now := client.EventListParamsFromNow
	var feed client.EventFeed
	err := m.calls.get(ctx, &feed, func(ctx context.Context, api *client.Client) (*http.Response, error) {
		return api.EventList(ctx, &client.EventListParams{From: &now})
	})
	if err != nil {
		return p, err
	}
	p.feed = feed.NextCursor
	return p, m.store.write(ctx, p, func(*sql.Tx) error { return nil })
}

// list copies all customers, page by page, in an order in which none of them moves.
func (m *mirror) list(ctx context.Context, p progress) (progress, error) {
	sort, limit := client.CustomerListParamsSortCreatedAt, int32(pageSize)
	for p.list != nil {
		params := client.CustomerListParams{Sort: &sort, Limit: &limit}
		if *p.list != "" {
			params.Cursor = p.list
		}
		var page struct {
			Data       []customer `json:"data"`
			NextCursor *string    `json:"next_cursor"`
		}
		err := m.calls.get(ctx, &page, func(ctx context.Context, api *client.Client) (*http.Response, error) {
			return api.CustomerList(ctx, &params)
		})
		if err != nil {
			return p, err
		}
		p.list = page.NextCursor
		err = m.store.write(ctx, p, func(tx *sql.Tx) error {
			for _, one := range page.Data {
				if err := put(ctx, tx, one); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return p, err
		}
	}
	return p, nil
}

// follow does what the feed tells, until the context ends.
func (m *mirror) follow(ctx context.Context, p progress) error {
	types, limit, wait := "customer.*", int32(pageSize), int32(waitSeconds)
	if m.once {
		wait = 0
	}
	for {
		var feed client.EventFeed
		more := false
		err := m.calls.get(ctx, &feed, func(ctx context.Context, api *client.Client) (*http.Response, error) {
			response, err := api.EventList(ctx, &client.EventListParams{Types: &types, Limit: &limit, Wait: &wait, Cursor: &p.feed})
			more = err == nil && response.Header.Get("Link") != ""
			return response, err
		})
		if err != nil {
			return err
		}
		p.feed = feed.NextCursor
		erases := slices.ContainsFunc(feed.Data, func(event client.Event) bool { return event.Type == "customer.deleted" })
		err = m.store.write(ctx, p, func(tx *sql.Tx) error {
			for _, event := range feed.Data {
				if err := apply(ctx, tx, event); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil && erases {
			err = m.store.settle(ctx)
		}
		if err != nil || m.once && !more {
			return err
		}
	}
}

// apply does what an event tells. Every event of a customer has the whole of it, as it was after the change, but for the last
// one; and but for those that were erased meanwhile, which are followed by the last one.
func apply(ctx context.Context, tx *sql.Tx, event client.Event) error {
	if event.Type == "customer.deleted" {
		return remove(ctx, tx, event.Resource.Id.String())
	}
	data, err := event.Data.Get()
	if err != nil {
		return nil //nolint:nilerr // it is null: erased
	}
	var change struct {
		After customer `json:"after"`
	}
	if err := json.Unmarshal(data, &change); err != nil {
		return fmt.Errorf("reading the event %s: %w", event.Id, err)
	}
	return put(ctx, tx, change.After)
}
