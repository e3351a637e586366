package events

import (
	"context"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
)

const (
	// A page looks through stretches of positions until it is full, one in a query. The first has room for all events of a
	// page: most pages are full then, and cheap even where PostgreSQL has no statistics yet and sorts the stretch. Each
	// further one is longer. However rare the events are that are asked for, a page takes a second or so.
	firstStretch   = 4 // pages
	longestStretch = 50_000
	maxStretches   = 24
)

// Request is what is asked of the feed.
type Request struct {
	Patterns   []string      // nil for all events
	CustomerID *uuid.UUID    // nil for all customers
	Wait       time.Duration // how long to wait for events when there are none
	Page       paging.Request
}

// Page is a piece of the feed. There always is a cursor to go on from.
type Page struct {
	Rows   []db.Event
	Next   string
	More   bool // whether there is more to look through already
	Waited bool // whether time has passed before it was there
}

// Feed reads the events after the cursor that are asked for and that the caller may see, the oldest first. With a time to
// wait it is back as soon as there are any.
func (s *Sequencer) Feed(
	ctx context.Context, database *postgres.DB, caller *access.Principal, request Request,
) (page Page, err error) {
	after, err := begin(ctx, database, request.Page.Cursor)
	if err != nil {
		return page, err
	}
	patterns := request.Patterns
	if patterns == nil {
		patterns = []string{everything}
	}
	filter := NewFilter(patterns, caller.Has)
	filter.customerID, filter.reach = request.CustomerID, caller.Reach()
	timeout := time.NewTimer(request.Wait)
	defer timeout.Stop()
	for look := true; look; {
		if page.Rows, after, page.More, err = read(ctx, database, filter, after, request.Page.Limit); err != nil {
			return page, err
		}
		if len(page.Rows) > 0 || page.More || request.Wait == 0 {
			break
		}
		page.Waited = true
		if look, err = s.wait(ctx, filter, after, timeout.C); err != nil {
			return page, err
		}
	}
	page.Next, err = cursorOf(ctx, database, after)
	return page, err
}

// read gives the next events, and the position to go on from. What is not asked for is passed over: without events it
// goes on from the end of what there was.
func read(
	ctx context.Context, database *postgres.DB, filter Filter, after int64, limit int,
) (rows []db.Event, next int64, more bool, err error) {
	last, err := db.New().EventLastPosition(ctx, database)
	if err != nil {
		return nil, after, false, err
	}
	rows = []db.Event{}
	stretch := int64(firstStretch * limit)
	for range maxStretches {
		if after >= last {
			return rows, after, false, nil
		}
		upTo := min(last, after+stretch)
		found, err := list(ctx, database, filter, after, upTo, limit-len(rows))
		if err != nil {
			return nil, after, false, err
		}
		after, stretch = upTo, min(4*stretch, longestStretch)
		if rows = append(rows, found...); len(rows) == limit {
			after = *rows[limit-1].Position
			break
		}
	}
	return rows, after, after < last, nil
}

// list gives the events between two positions that are asked for, of those that are within the reach.
func list(
	ctx context.Context, database *postgres.DB, filter Filter, after, upTo int64, limit int,
) ([]db.Event, error) {
	if filter.reach == nil {
		return db.New().EventListByPosition(ctx, database, db.EventListByPositionParams{
			AfterPosition: after, UpToPosition: upTo, Kinds: filter.kinds, Types: filter.types, CustomerID: filter.customerID,
			RowLimit: int32(limit),
		})
	}
	return db.New().EventListByPositionWithin(ctx, database, db.EventListByPositionWithinParams{
		AfterPosition: after, UpToPosition: upTo, Kinds: filter.kinds, Types: filter.types, CustomerID: filter.customerID,
		Reach: *filter.reach, RowLimit: int32(limit),
	})
}

// FeedEnd gives the cursor of the present end of the feed.
func FeedEnd(ctx context.Context, database *postgres.DB) (string, error) {
	last, err := db.New().EventLastPosition(ctx, database)
	if err != nil {
		return "", err
	}
	return cursorOf(ctx, database, last)
}

// History reads what happened to a customer, the newest first. It goes by the order in which the customer was locked,
// which for one customer is the order of the changes, so that it is complete before events have their positions. Of a
// deleted customer it still tells that there was one. A caller of limited reach is told what happened within it, as long as
// the customer is, and of a deleted one if it was then.
func History(
	ctx context.Context, database *postgres.DB, caller *access.Principal, customerID uuid.UUID, page paging.Request,
) (paging.Page[db.Event], error) {
	history, err := paging.Read(page, paging.Query[db.Event, int64]{
		Cursors: paging.CursorsOf("history", customerID),
		Start:   math.MaxInt64,
		Rows: func(before int64, limit int32) ([]db.Event, error) {
			return db.New().EventListByCustomer(ctx, database, db.EventListByCustomerParams{
				CustomerID: &customerID, BeforeSequence: before, ResourceKinds: VisibleKinds(caller), Reach: caller.Reach(),
				RowLimit: limit,
			})
		},
		PlaceOf: func(event db.Event) int64 { return event.Sequence },
	})
	switch {
	case err != nil || len(history.Rows) > 0:
	case page.Cursor != "": // there is a next page where there is a first one
		_, err = History(ctx, database, caller, customerID, paging.Request{Limit: 1})
	default:
		_, err = db.New().CustomerFind(ctx, database, customerID, caller.Reach())
	}
	return history, err
}
