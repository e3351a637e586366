package bench

import (
	"context"
	"regexp"
	"strconv"
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

var (
	planNode    = regexp.MustCompile(`\(cost=`)
	scanNode    = regexp.MustCompile(`Scan .*\bcustomers\b.*\(actual time=\S+ rows=(\d+) loops=(\d+)\)`)
	rowsRemoved = regexp.MustCompile(`Rows Removed by (?:Filter|Index Recheck): (\d+)`)
)

// rowsRead gives how many customers a plan did read, in the scan that read most: those that it kept and those that it
// looked at in vain. A scan that would read the whole table but found enough before counts for what it read.
func rowsRead(plan string) int {
	most, read, loops := 0, 0, 0
	for line := range strings.Lines(plan) {
		if planNode.MatchString(line) {
			read, loops = 0, 0 // whatever is removed from now on, another node removes it
		}
		if scan := scanNode.FindStringSubmatch(line); scan != nil {
			loops = count(scan[2])
			read = count(scan[1]) * loops // rows are told for one loop, of several processes too
		}
		if removed := rowsRemoved.FindStringSubmatch(line); removed != nil {
			read += count(removed[1]) * loops
		}
		most = max(most, read)
	}
	return most
}

func count(digits string) int {
	n, _ := strconv.Atoi(digits) // a plan's numbers fit
	return n
}
