// Package listing reads lists that callers filter and sort: it ties the order that is asked for to the cursor of the page
// and to the query. It knows no resource, and decides nothing about who may see what: that is in the filter.
package listing

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
)

// List is a list of a resource, whose rows are structs of the columns.
type List[Row any] struct {
	Resource string // sets its cursors apart from those of other lists
	From     string // a table or view with an id
	Columns  string
	Orders   map[string]Order[Row] // by the name that the contract gives them
	ID       func(Row) uuid.UUID
	Bulky    *Bulky[Row] // nil for a list without
}

// Bulky is a column that may be large, beside the other columns: a page ends early when it has come to so many bytes of it.
type Bulky[Row any] struct {
	Column, Size string // the column, and the one that has its size in bytes
	MaxBytes     int64
	LeftOut      func(Row) bool // tells a row that comes without it, since the page is full
}

// columns gives the columns with the bulky one, which is read for as many rows as the page has room for.
func (b *Bulky[Row]) columns(query postgres.Select) string {
	return fmt.Sprintf(`%[1]s, CASE WHEN sum(%[2]s) OVER (ORDER BY %[3]s ROWS UNBOUNDED PRECEDING) - %[2]s < %[4]d
		THEN %[5]s END AS %[5]s`, query.Columns, b.Size, query.OrderBy(), b.MaxBytes, b.Column)
}

// Order is a way to sort: a column that is never null, and its value in a row, as exactly one of Text and Time.
type Order[Row any] struct {
	Column string
	Text   func(Row) string
	Time   func(Row) time.Time
}

// place is where a page starts: after the row with this value and id.
type place struct {
	Value json.RawMessage `json:"v"`
	ID    uuid.UUID       `json:"i"`
}

// Read reads a page of the rows that the filter lets through; where gives the filter as predicates, and filter is the
// same as a value that tells one list from another. Sort names an order, with a minus before it to turn it round.
func (l List[Row]) Read(
	ctx context.Context, database postgres.Querier, filter any, where func() postgres.Where, sort string, page paging.Request,
) (paging.Page[Row], error) {
	order, desc, err := l.order(sort)
	if err != nil {
		return paging.Page[Row]{}, err
	}
	cursors := paging.CursorsOf(l.Resource, filter, sort)
	query := postgres.Select{
		From: l.From, Columns: l.Columns, Where: where(), Order: order.Column, Desc: desc, Limit: page.Limit,
	}
	if page.Cursor != "" {
		after, err := order.decode(cursors, page.Cursor)
		if err != nil {
			return paging.Page[Row]{}, err
		}
		query.After = after
	}
	if l.Bulky != nil {
		query.Columns = l.Bulky.columns(query)
	}
	rows, more, err := postgres.Rows[Row](ctx, database, query)
	if err != nil {
		return paging.Page[Row]{}, err
	}
	if l.Bulky != nil {
		if full := slices.IndexFunc(rows, l.Bulky.LeftOut); full > 0 { // never the first one
			rows, more = rows[:full], true
		}
	}
	result := paging.Page[Row]{Rows: rows}
	if more {
		last := rows[len(rows)-1]
		next := cursors.Encode(place{Value: order.encode(last), ID: l.ID(last)})
		result.Next = &next
	}
	if page.Total {
		total, err := postgres.Count(ctx, database, l.From, where())
		if err != nil {
			return result, err
		}
		result.Total = &total
	}
	return result, nil
}

func (l List[Row]) order(sort string) (order Order[Row], desc bool, err error) {
	name, desc := strings.CutPrefix(sort, "-")
	order, known := l.Orders[name]
	if !known {
		return order, desc, fmt.Errorf("%s are not sorted by %q", l.Resource, name)
	}
	return order, desc, nil
}

func (o Order[Row]) value(row Row) any {
	if o.Time != nil {
		return o.Time(row)
	}
	return o.Text(row)
}

func (o Order[Row]) encode(row Row) json.RawMessage {
	encoded, _ := json.Marshal(o.value(row)) // a time or a text
	return encoded
}

// decode reads a cursor into the value of the order and the id.
func (o Order[Row]) decode(cursors paging.Cursors, cursor string) ([]any, error) {
	var after place
	if err := cursors.Decode(cursor, &after); err != nil {
		return nil, err
	}
	var text string
	if err := json.Unmarshal(after.Value, &text); err != nil {
		return nil, fault.InvalidCursor(true)
	}
	if o.Time == nil {
		return []any{text, after.ID}, nil
	}
	moment, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return nil, fault.InvalidCursor(true)
	}
	return []any{moment, after.ID}, nil
}
