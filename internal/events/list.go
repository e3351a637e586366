package events

import (
	"context"
	"math"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
)

var feed = paging.CursorsOf("events")

// Feed reads the events after the cursor that the caller may see, the oldest first. There always is a cursor to go on
// from; full tells that there may be more after it already.
func Feed(
	ctx context.Context, database *postgres.DB, caller *access.Principal, page paging.Request,
) (rows []db.Event, next string, full bool, err error) {
	var after int64
	if page.Cursor != "" {
		if err := feed.Decode(page.Cursor, &after); err != nil {
			return nil, "", false, err
		}
	}
	// What the caller may not see is passed over: without new events of its own, it goes on from the end of what there
	// was when it asked.
	last, err := db.New().EventLastPosition(ctx, database)
	if err != nil {
		return nil, "", false, err
	}
	if reach := caller.Reach(); reach != nil {
		rows, err = db.New().EventListByPositionWithin(ctx, database, db.EventListByPositionWithinParams{
			AfterPosition: after, ResourceKinds: VisibleKinds(caller), Reach: *reach, RowLimit: int32(page.Limit),
		})
	} else {
		rows, err = db.New().EventListByPosition(ctx, database, after, VisibleKinds(caller), int32(page.Limit))
	}
	if err != nil {
		return nil, "", false, err
	}
	full = len(rows) == page.Limit
	if len(rows) > 0 {
		after = *rows[len(rows)-1].Position
	}
	if !full {
		after = max(after, last)
	}
	return rows, feed.Encode(after), full, nil
}

// FeedEnd gives the cursor of the present end of the feed.
func FeedEnd(ctx context.Context, database *postgres.DB) (string, error) {
	last, err := db.New().EventLastPosition(ctx, database)
	return feed.Encode(last), err
}

// History reads what happened to a customer, the newest first. It goes by the order in which the customer was locked,
// which for one customer is the order of the changes, so that it is complete before events have their positions. Of a
// deleted customer it still tells that there was one. A caller of limited reach is told what happened within it.
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
	if err == nil && len(history.Rows) == 0 && page.Cursor == "" {
		_, err = db.New().CustomerFind(ctx, database, customerID, caller.Reach())
	}
	return history, err
}
