package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Lists with filters are built here and not by sqlc: a dozen optional predicates, any number of properties, every order
// in two directions would each be a query of its own there, with the same predicates copied, or one query whose unused
// predicates (… IS NULL OR …) cost it its indexes as soon as PostgreSQL keeps a generic plan. Here a query has the
// predicates that are asked for and no other. Values are always arguments, never text.

// Where is the filter of a list. The zero value lets every row through.
type Where struct {
	predicates []string
	args       []any
	filtered   bool // has predicates other than the place of the page
	searching  bool // has predicates for an inverted index
}

// Arg keeps a value as an argument and gives its placeholder.
func (w *Where) Arg(value any) string {
	w.args = append(w.args, value)
	return fmt.Sprintf("$%d", len(w.args))
}

// And adds a predicate, which must hold too.
func (w *Where) And(predicate string) {
	w.predicates = append(w.predicates, predicate)
	w.filtered = true
}

// AndSearch adds a predicate that an inverted index answers. It usually finds few rows, wherever they lie, which
// changes how a page is best read.
func (w *Where) AndSearch(predicate string) {
	w.And(predicate)
	w.searching = true
}

func (w *Where) sql() string {
	if len(w.predicates) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.predicates, " AND ")
}

// List is a filtered, ordered, paged query of one table with an id.
type List struct {
	Table   string
	Columns string
	Where   Where
	Order   string // the column that it is sorted by, never null; the id breaks ties
	Desc    bool
	After   []any // Order's value and the id of the last row of the page before; nil for the first page
	Limit   int
}

// searchLimit is how many rows a search may find and still be sorted after it.
const searchLimit = 2000

// Rows reads a page of the list into structs, by the names of the columns.
func Rows[T any](ctx context.Context, db *DB, list List) ([]T, error) {
	filter := list.Where
	if list.After != nil {
		list.Where.predicates = append(slices.Clone(filter.predicates), list.keyset(&list.Where))
	}
	if filter.searching {
		ids, few, err := list.search(ctx, db)
		if err != nil {
			return nil, err
		}
		if few {
			// What is left to do is to read these rows, in this order.
			list.Where = Where{}
			list.Where.And("id = ANY (" + list.Where.Arg(ids) + ")")
		}
	}
	query := fmt.Sprintf("SELECT %s FROM %s%s ORDER BY %s LIMIT %d",
		list.Columns, list.Table, list.Where.sql(), list.order(), list.Limit)
	rows, err := db.Query(ctx, query, list.Where.planned()...)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", list.Table, err)
	}
	page, err := pgx.CollectRows(rows, pgx.RowToStructByNameLax[T])
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", list.Table, err)
	}
	return page, nil
}

// search finds the ids of the page by way of the filter's index, unless that finds too many rows to sort. Left to
// itself the planner would rather walk the order's index and filter, which reads the whole table when it misjudges how
// rare the rows are.
func (l *List) search(ctx context.Context, db *DB) (ids []uuid.UUID, few bool, err error) {
	query := fmt.Sprintf(`WITH found AS MATERIALIZED (SELECT id, %[1]s FROM %[2]s%[3]s LIMIT %[4]d)
		SELECT id, (SELECT count(*) FROM found) FROM found ORDER BY %[5]s LIMIT %[6]d`,
		l.Order, l.Table, l.Where.sql(), searchLimit+1, l.order(), l.Limit)
	rows, err := db.Query(ctx, query, l.Where.planned()...)
	if err != nil {
		return nil, false, fmt.Errorf("searching %s: %w", l.Table, err)
	}
	var id uuid.UUID
	var count int
	_, err = pgx.ForEachRow(rows, []any{&id, &count}, func() error {
		ids = append(ids, id)
		return nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("searching %s: %w", l.Table, err)
	}
	return ids, count <= searchLimit, nil
}

// Count counts the rows that the filter lets through.
func Count(ctx context.Context, db *DB, table string, where Where) (int64, error) {
	var count int64
	query := "SELECT count(*) FROM " + table + where.sql()
	if err := db.QueryRow(ctx, query, where.planned()...).Scan(&count); err != nil {
		return 0, fmt.Errorf("counting %s: %w", table, err)
	}
	return count, nil
}

func (l *List) order() string {
	if l.Desc {
		return l.Order + " DESC, id DESC"
	}
	return l.Order + ", id"
}

func (l *List) keyset(where *Where) string {
	comparison := ">"
	if l.Desc {
		comparison = "<"
	}
	return fmt.Sprintf("(%s, id) %s (%s, %s)", l.Order, comparison, where.Arg(l.After[0]), where.Arg(l.After[1]))
}

// planned gives the arguments so that a filtered query is planned for these very values at each execution, since how
// many rows they find decides how it is best done: the description of the statement is kept, the plan is not.
func (w *Where) planned() []any {
	if !w.filtered {
		return w.args
	}
	return append([]any{pgx.QueryExecModeCacheDescribe}, w.args...)
}
