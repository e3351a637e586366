package listing

import (
	"context"

	"github.com/clientele-api/clientele/internal/postgres"
)

// Reader reads a whole list, a batch at a time, each by its place after the one before. It neither repeats nor loses a
// row; all batches are of one moment only when the database is a transaction that sees one.
type Reader[Row any] struct {
	list     List[Row]
	database postgres.Querier
	where    func() postgres.Where
	order    Order[Row]
	desc     bool
	size     int
	after    []any
	ended    bool
}

// Reader gives a reader of the rows that the filter lets through, in batches of that size.
func (l List[Row]) Reader(
	database postgres.Querier, where func() postgres.Where, sort string, size int,
) (*Reader[Row], error) {
	order, desc, err := l.order(sort)
	return &Reader[Row]{list: l, database: database, where: where, order: order, desc: desc, size: size}, err
}

// Next gives the next batch; an empty one after the last.
func (r *Reader[Row]) Next(ctx context.Context) ([]Row, error) {
	if r.ended {
		return nil, nil
	}
	rows, more, err := postgres.Rows[Row](ctx, r.database, postgres.Select{
		From: r.list.From, Columns: r.list.Columns, Where: r.where(), Order: r.order.Column, Desc: r.desc,
		After: r.after, Limit: r.size,
	})
	if err != nil {
		return nil, err
	}
	r.ended = !more
	if more {
		last := rows[len(rows)-1]
		r.after = []any{r.order.value(last), r.list.ID(last)}
	}
	return rows, nil
}
