package postgres

import (
	"cmp"
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

// Querier reads: a pool or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Where is the filter of a list. The zero value lets every row through.
type Where struct {
	predicates []string
	args       []any
	filtered   bool // has predicates other than the place of the page
	searching  bool // has predicates for an inverted index
	narrowing  []narrowing
}

// narrowing is what stands for a predicate while rows are found: the format of an equal one, and the value whose
// placeholder goes into it.
type narrowing struct {
	predicate int
	format    string
	value     any
}

// Arg keeps a value as an argument and gives its placeholder.
func (w *Where) Arg(value any) string {
	w.args = append(w.args, value)
	return fmt.Sprintf("$%d", len(w.args))
}

// And adds a predicate, which must hold too.
func (w *Where) And(predicate string) {
	w.predicates = append(w.predicates, "("+predicate+")")
	w.filtered = true
}

// Within adds the predicate that says whose rows the list is about, which leads every index that the list is read by: one
// plan is right for whoever it is, and is kept as long as nothing else is asked for.
func (w *Where) Within(predicate string) {
	w.predicates = append(w.predicates, "("+predicate+")")
}

// AndSearch adds a predicate that an inverted index answers. It usually finds few rows, wherever they lie, which
// changes how a page is best read.
func (w *Where) AndSearch(predicate string) {
	w.And(predicate)
	w.searching = true
}

// AndSearchBy adds a predicate like AndSearch, and the format of an equal one, which takes a value and finds rows faster.
// It is not for reading rows in order: the planner takes what always comes together for a rare coincidence, and would
// rather sort many rows, which it expects to be few, than walk the order.
func (w *Where) AndSearchBy(predicate, format string, value any) {
	w.narrowing = append(w.narrowing, narrowing{len(w.predicates), format, value})
	w.AndSearch(predicate)
}

// narrowed is the filter in the form that finds rows.
func (w *Where) narrowed() Where {
	narrowed := *w
	narrowed.predicates, narrowed.args = slices.Clone(w.predicates), slices.Clone(w.args)
	for _, n := range w.narrowing {
		narrowed.predicates[n.predicate] = "(" + fmt.Sprintf(n.format, narrowed.Arg(n.value)) + ")"
	}
	return narrowed
}

// SQL gives the filter as a WHERE clause, with a space in front; nothing where every row is let through.
func (w *Where) SQL() string {
	if len(w.predicates) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.predicates, " AND ")
}

// Select is a filtered, ordered page of a table or view with an id.
type Select struct {
	From    string
	Columns string
	Fields  []string // the names of those columns that are read; nil for all
	Where   Where
	Order   string // the column that it is sorted by, never null; the id breaks ties
	Desc    bool
	After   []any // Order's value and the id of the last row of the page before; nil for the first page
	Limit   int   // 0 for none
}

// searchLimit is how many rows a search may find and still be sorted after it.
const searchLimit = 2000

// Rows reads a page into structs, by the names of the columns, and tells whether there are more rows after it.
func Rows[T any](ctx context.Context, db Querier, query Select) (rows []T, more bool, err error) {
	query.start()
	for {
		narrowed := query
		if query.Where.searching {
			if narrowed, more, err = query.narrow(ctx, db); err != nil {
				return nil, false, err
			}
		}
		narrowed.Limit++ // one more tells whether there are more
		if rows, err = read[T](ctx, db, narrowed); err != nil {
			return nil, false, err
		}
		if len(rows) > query.Limit {
			return rows[:query.Limit], true, nil
		}
		if len(rows) > 0 || !more {
			return rows, more, nil
		}
		// What was found has all been deleted before it was read: look again.
	}
}

func read[T any](ctx context.Context, db Querier, query Select) ([]T, error) {
	found, err := db.Query(ctx, query.sql(), query.Where.Args()...)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", query.From, err)
	}
	rows, err := pgx.CollectRows(found, pgx.RowToStructByName[T])
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", query.From, err)
	}
	return rows, nil
}

// narrow finds the ids of the page by way of the filter's index and gives a query for just these, unless that finds too
// many rows to sort. Left to itself the planner would rather walk the order's index and filter, which reads the whole
// table when it misjudges how rare the rows are.
func (s *Select) narrow(ctx context.Context, db Querier) (narrowed Select, more bool, err error) {
	where, limit := s.Where.narrowed(), cmp.Or(s.Limit, searchLimit)
	sql := fmt.Sprintf(`WITH found AS MATERIALIZED (SELECT id, %[1]s FROM %[2]s%[3]s LIMIT %[4]d)
		SELECT id, (SELECT count(*) FROM found) FROM found ORDER BY %[5]s LIMIT %[6]d`,
		s.Order, s.From, where.SQL(), searchLimit+1, s.OrderBy(), limit+1)
	rows, err := db.Query(ctx, sql, where.Args()...)
	if err != nil {
		return *s, false, fmt.Errorf("searching %s: %w", s.From, err)
	}
	var ids []uuid.UUID
	var id uuid.UUID
	var count int
	_, err = pgx.ForEachRow(rows, []any{&id, &count}, func() error {
		ids = append(ids, id)
		return nil
	})
	if err != nil {
		return *s, false, fmt.Errorf("searching %s: %w", s.From, err)
	}
	narrowed = *s
	if count > searchLimit {
		return narrowed, false, nil
	}
	if more = len(ids) > limit; more {
		ids = ids[:limit]
	}
	narrowed.Where = Where{}
	narrowed.Where.predicates = []string{"id = ANY (" + narrowed.Where.Arg(ids) + ")"}
	return narrowed, more, nil
}

// Count counts the rows that the filter lets through.
func Count(ctx context.Context, db Querier, from string, where Where) (int64, error) {
	where = where.narrowed()
	var count int64
	query := "SELECT count(*) FROM " + from + where.SQL()
	if err := db.QueryRow(ctx, query, where.Args()...).Scan(&count); err != nil {
		return 0, fmt.Errorf("counting %s: %w", from, err)
	}
	return count, nil
}

// sql is the statement. Of columns that are not read nothing is worked out, though they are given by expressions.
func (s *Select) sql() string {
	sql := "SELECT " + s.Columns + " FROM " + s.From + s.Where.SQL()
	if s.Fields != nil {
		sql = "SELECT " + strings.Join(s.Fields, ", ") + " FROM (" + sql + ") AS listed"
	}
	sql += " ORDER BY " + s.OrderBy()
	if s.Limit > 0 {
		sql += fmt.Sprintf(" LIMIT %d", s.Limit)
	}
	return sql
}

// OrderBy gives the order as SQL has it after ORDER BY.
func (s *Select) OrderBy() string {
	if s.Desc {
		return s.Order + " DESC, id DESC"
	}
	return s.Order + ", id"
}

// start puts the place that it starts after into the filter.
func (s *Select) start() {
	if s.After != nil {
		s.Where.predicates = append(slices.Clone(s.Where.predicates), s.keyset(&s.Where))
	}
}

func (s *Select) keyset(where *Where) string {
	comparison := ">"
	if s.Desc {
		comparison = "<"
	}
	return fmt.Sprintf("(%s, id) %s (%s, %s)", s.Order, comparison, where.Arg(s.After[0]), where.Arg(s.After[1]))
}

// Args gives the arguments so that a filtered query is planned for these very values at each execution, since how
// many rows they find decides how it is best done: the description of the statement is kept, the plan is not.
func (w *Where) Args() []any {
	if !w.filtered {
		return w.args
	}
	return append([]any{pgx.QueryExecModeCacheDescribe}, w.args...)
}
