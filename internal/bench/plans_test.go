package bench

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// statement is what the product sent to the database.
type statement struct {
	sql  string
	args []any
}

// tracer keeps the statements about customers while it is told to.
type tracer struct {
	mu         sync.Mutex
	recording  bool
	statements []statement
}

// TraceQueryStart sees every statement before it is sent.
func (t *tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.recording && strings.Contains(data.SQL, "customers") {
		t.statements = append(t.statements, statement{data.SQL, data.Args})
	}
	return ctx
}

// TraceQueryEnd has nothing to do.
func (t *tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// record gives the statements that are sent while something is done.
func (t *tracer) record(do func()) []statement {
	t.set(true)
	do()
	return t.set(false)
}

func (t *tracer) set(recording bool) []statement {
	t.mu.Lock()
	defer t.mu.Unlock()
	statements := t.statements
	t.recording, t.statements = recording, nil
	return statements
}

// explain runs a statement again, in the way it was sent, and gives the plan with what it took.
func explain(b testing.TB, p *product, s statement) string {
	b.Helper()
	rows, err := p.db.Query(context.Background(), "EXPLAIN (ANALYZE, BUFFERS) "+s.sql, s.args...)
	must(b, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(b, err)
	return strings.Join(lines, "\n")
}

var wholeTable = regexp.MustCompile(`Seq Scan on (\w+\.)?customers\b`)
