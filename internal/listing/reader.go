package listing

import (
	"context"
	"fmt"
	"slices"

	"github.com/clientele-api/clientele/internal/postgres"
)

// firstRows is how many rows are read by a query of their own. It is planned to have them at once, where the one for all
// others is planned to have the last of them soon, and may have to sort for it.
const firstRows = 1000

// Reader reads a whole list, row after row.
type Reader[Row any] struct {
	list     List[Row]
	database postgres.Querier
	where    func() postgres.Where
	order    Order[Row]
	desc     bool
}

// Reader gives a reader of the rows that the filter lets through. The database has to be a transaction that sees one
// moment.
func (l List[Row]) Reader(database postgres.Querier, where func() postgres.Where, sort string) (*Reader[Row], error) {
	order, desc, err := l.order(sort)
	return &Reader[Row]{list: l, database: database, where: where, order: order, desc: desc}, err
}

// Each lets something be done with each row. The row is good until that returns, and of its fields only the named ones
// have to be there; with nil all are.
func (r *Reader[Row]) Each(ctx context.Context, fields []string, do func(*Row) error) error {
	query := postgres.Select{
		From: r.list.From, Columns: r.list.Columns, Fields: fields, Where: r.where(), Order: r.order.Column, Desc: r.desc,
		Limit: firstRows,
	}
	if fields != nil { // and the place that the others come after
		query.Fields = slices.Compact(slices.Sorted(slices.Values(append([]string{"id", r.order.Column}, fields...))))
	}
	var row Row
	count := 0
	read := func() error {
		err := postgres.Each(ctx, r.database, query, &row, func() error {
			count++
			return do(&row)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", r.list.Resource, err)
		}
		return nil
	}
	if err := read(); err != nil || count < firstRows {
		return err
	}
	query.Where, query.After, query.Limit = r.where(), []any{r.order.value(row), r.list.ID(row)}, 0
	query.Fields = fields
	return read()
}
