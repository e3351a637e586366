package paging

import (
	"time"

	"github.com/google/uuid"
)

// Query is a list that is read by its place: the sort values of the last row shown.
type Query[Row, Place any] struct {
	Cursors Cursors
	Start   Place                                        // where the first page starts
	Rows    func(from Place, limit int32) ([]Row, error) // the rows after a place
	PlaceOf func(row Row) Place                          // of a row
	Count   func() (int64, error)                        // all rows; nil for a list without a total
}

// Read reads a page of a list. It asks for one row more than the page has, which tells whether there is another.
func Read[Row, Place any](request Request, query Query[Row, Place]) (Page[Row], error) {
	from := query.Start
	if request.Cursor != "" {
		if err := query.Cursors.Decode(request.Cursor, &from); err != nil {
			return Page[Row]{}, err
		}
	}
	rows, err := query.Rows(from, int32(request.Limit)+1)
	if err != nil {
		return Page[Row]{}, err
	}
	page := Page[Row]{Rows: rows}
	if len(rows) > request.Limit {
		page.Rows = rows[:request.Limit]
		next := query.Cursors.Encode(query.PlaceOf(page.Rows[request.Limit-1]))
		page.Next = &next
	}
	if request.Total && query.Count != nil {
		total, err := query.Count()
		if err != nil {
			return Page[Row]{}, err
		}
		page.Total = &total
	}
	return page, nil
}

// ByTime is a place in a list that is ordered by time, ties by id.
type ByTime struct {
	CreatedAt time.Time `json:"c"`
	ID        uuid.UUID `json:"i"`
}

// Newest is where a list begins that has the newest first.
var Newest = ByTime{CreatedAt: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), ID: uuid.Max}
