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

var feed = paging.NewList("events")

// Feed reads the events after the cursor that the caller may see, the oldest first, and the cursor to go on from, which
// there always is.
func Feed(ctx context.Context, database *postgres.DB, caller *access.Principal, page paging.Request) ([]db.Event, string, error) {
	var after int64
	if page.Cursor != "" {
		if err := feed.Decode(page.Cursor, &after); err != nil {
			return nil, "", err
		}
	}
	// What the caller may not see is passed over: without new events of its own, it goes on from the end of what there
	// was when it asked.
	last, err := db.New().EventLastPosition(ctx, database)
	if err != nil {
		return nil, "", err
	}
	rows, err := db.New().EventListByPosition(ctx, database, after, VisibleKinds(caller), int32(page.Limit))
	if err != nil {
		return nil, "", err
	}
	switch {
	case len(rows) == page.Limit:
		after = *rows[len(rows)-1].Position
	case len(rows) > 0:
		after = max(after, last, *rows[len(rows)-1].Position)
	default:
		after = max(after, last)
	}
	return rows, feed.Encode(after), nil
}

// FeedEnd gives the cursor of the present end of the feed.
func FeedEnd(ctx context.Context, database *postgres.DB) (string, error) {
	last, err := db.New().EventLastPosition(ctx, database)
	return feed.Encode(last), err
}

// History reads what happened to a customer, the newest first. It goes by the order in which the customer was locked,
// which for one customer is the order of the changes, so that it is complete before events have their positions. Of a
// deleted customer it still tells that there was one.
func History(
	ctx context.Context, database *postgres.DB, caller *access.Principal, customerID uuid.UUID, page paging.Request,
) (paging.Page[db.Event], error) {
	list := paging.NewList("history", customerID)
	before := int64(math.MaxInt64)
	if page.Cursor != "" {
		if err := list.Decode(page.Cursor, &before); err != nil {
			return paging.Page[db.Event]{}, err
		}
	}
	rows, err := db.New().EventListByCustomer(ctx, database, db.EventListByCustomerParams{
		CustomerID: &customerID, BeforeSequence: before, ResourceKinds: VisibleKinds(caller),
		RowLimit: int32(page.Limit) + 1,
	})
	if err != nil {
		return paging.Page[db.Event]{}, err
	}
	if len(rows) == 0 && page.Cursor == "" {
		if _, err := db.New().CustomerGet(ctx, database, customerID); err != nil {
			return paging.Page[db.Event]{}, err
		}
	}
	return paging.Cut(list, rows, page.Limit, func(last db.Event) any { return last.Sequence }), nil
}
