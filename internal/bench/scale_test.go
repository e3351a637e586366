package bench

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clientele-api/clientele/internal/dbtest"
)

var million = flag.Bool("million", false, "let benchmarks measure 1,000,000 rows, or whole sizes, which take some minutes to prepare")

const (
	fewCustomers  = 10_000
	manyCustomers = 1_000_000

	// minSamples is how many requests of a kind there are at least; -benchtime asks for more.
	minSamples = 40
)

// question is a kind of request, which is asked of data sets of every size.
type question struct {
	name   string
	target func(set *scaled) string
	total  int  // how many customers it finds, 0 where that depends on the size
	whole  bool // is known to read most of the table
}

// list gives a question for the first page of a list with these parameters, a name and a value each.
func list(name string, total int, parameters ...string) question {
	query := url.Values{"limit": {"20"}}
	for i := 0; i < len(parameters); i += 2 {
		query.Set(parameters[i], parameters[i+1])
	}
	target := "/v1/customers?" + query.Encode()
	return question{name: name, total: total, target: func(*scaled) string { return target }}
}

func questions() []question {
	asked := []question{
		{name: "get", target: func(set *scaled) string {
			return "/v1/customers/" + set.id(set.random.IntN(set.size)).String()
		}},
		list("page/first", 0),
		{name: "page/deep", target: func(set *scaled) string { return set.deep }},
		list("page/by-name", 0, "sort", "name"),
	}
	for _, p := range planted {
		asked = append(asked, list("search/"+strconv.Itoa(p.count), p.count, "q", p.surname))
	}
	for _, p := range planted {
		asked = append(asked, list("property/"+strconv.Itoa(p.count), p.count, "properties[manager]", p.manager))
	}
	for _, p := range planted {
		asked = append(asked, list("property-by-name/"+strconv.Itoa(p.count), p.count, "properties[manager]", p.manager, "sort", "name"))
	}
	tree := func(more string) func(*scaled) string {
		return func(set *scaled) string {
			return "/v1/customers?limit=20&ancestor_id=" + set.id(rootIndex).String() + more
		}
	}
	total := list("total", 0, "include_total", "true")
	total.whole = true // as it was asked to
	// Too many to be sorted, and all at the far end of the order.
	oldest := list("property/oldest", 0, "properties["+ageKey+"]", oldValue)
	newestLast := list("property/newest-last", 0, "properties["+ageKey+"]", newValue, "sort", "created_at")
	oldest.whole, newestLast.whole = true, true
	return append(asked,
		list("search/none", 0, "q", "zyxomma"),
		list("search/part-of-name", 0, "q", "lindb"), // of 4 in 1,000
		list("search/first-name", 0, "q", "katarzyna"),
		list("search/two-letters", 0, "q", "zo"),
		list("search/one-letter", 0, "q", "b"),
		list("property/broad", 0, "properties["+broadKey+"]", broadValue),
		list("property/broad-by-name", 0, "properties["+broadKey+"]", broadValue, "sort", "name"),
		oldest,
		list("property/newest", 0, "properties["+ageKey+"]", newValue),
		newestLast,
		question{name: "tree", total: 1000, target: tree("")},
		question{name: "tree/by-name", total: 1000, target: tree("&sort=name")},
		question{name: "tree/total", target: tree("&include_total=true")},
		total,
	)
}

// deepPage asks for the page after nine tenths of all rows. A cursor holds the time and the id of the last row of a page:
// those of the row at that depth are put in their place.
func (s *scaled) deepPage(b testing.TB) string {
	b.Helper()
	const target = "/v1/customers?limit=20"
	var page struct {
		NextCursor string `json:"next_cursor"`
	}
	must(b, json.Unmarshal(dial(b, s.product.addr).get(b, target, s.product.token(b)), &page))
	cursor, err := base64.RawURLEncoding.DecodeString(page.NextCursor)
	must(b, err)
	shown, deep := s.size-20, s.size/10
	moved := strings.NewReplacer(
		s.createdAt(shown).Format(time.RFC3339Nano), s.createdAt(deep).Format(time.RFC3339Nano),
		s.id(shown).String(), s.id(deep).String(),
	).Replace(string(cursor))
	if moved == string(cursor) {
		b.Fatalf("the cursor has another form: %s", cursor)
	}
	return target + "&cursor=" + base64.RawURLEncoding.EncodeToString([]byte(moved))
}

// BenchmarkScale asks the same of a small and a large number of customers, in turns, one request after another.
func BenchmarkScale(b *testing.B) {
	sets := []*scaled{newScaled(b, fewCustomers)}
	if *million {
		sets = append(sets, newScaled(b, manyCustomers))
	}
	for _, q := range questions() {
		b.Run(q.name, func(b *testing.B) {
			for _, set := range sets {
				set.client = dial(b, set.product.addr)
				set.check(b, q)
			}
			took := measure(b, q, sets)
			if *million {
				sets[1].plans(b, q, took)
			}
		})
	}
}

// scaled is the product over a data set.
type scaled struct {
	dataset
	product *product
	tracer  *tracer
	client  *connection
	random  *rand.Rand
	deep    string // a target, see deepPage
}

func newScaled(b testing.TB, size int) *scaled {
	b.Helper()
	s := &scaled{dataset: dataset{size: size}, tracer: &tracer{}, random: rand.New(rand.NewPCG(1, 2))}
	s.product = newProduct(b, dbtest.URL(b), s.tracer)
	checkFold(b, s.product)
	started := time.Now()
	s.fill(b, s.product.db)
	b.Logf("%d customers made in %s", size, time.Since(started).Round(time.Second))
	s.deep = s.deepPage(b)
	return s
}

// check makes sure that the question finds what it is meant to find.
func (s *scaled) check(b testing.TB, q question) {
	b.Helper()
	if q.total == 0 {
		return
	}
	var page struct {
		Data  []json.RawMessage `json:"data"`
		Total int               `json:"total"`
	}
	target := q.target(s) + "&include_total=true"
	must(b, json.Unmarshal(s.client.get(b, target, s.product.token(b)), &page))
	if page.Total != q.total || len(page.Data) != min(q.total, 20) {
		b.Fatalf("of %d customers it finds %d and shows %d, not %d", s.size, page.Total, len(page.Data), q.total)
	}
}

// measure reports the median latencies and, of two sets, their ratio. It gives the latency, in µs, of the last set.
func measure(b *testing.B, q question, sets []*scaled) float64 {
	b.Helper()
	took := make([][]float64, len(sets))
	tokens := make([]string, len(sets))
	for i, set := range sets {
		tokens[i] = set.product.token(b)
		for range 10 { // statements are prepared and what is needed is in memory
			set.client.get(b, q.target(set), tokens[i])
		}
	}
	ask := func() {
		for i, set := range sets {
			target := q.target(set)
			started := time.Now()
			set.client.get(b, target, tokens[i])
			took[i] = append(took[i], float64(time.Since(started).Nanoseconds())/1000)
		}
	}
	for b.Loop() {
		ask()
	}
	for len(took[0]) < minSamples {
		ask()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(took[0]), "µs-at-10k")
	if len(sets) == 2 {
		b.ReportMetric(median(took[1]), "µs-at-1M")
		b.ReportMetric(median(took[1])/median(took[0]), "ratio")
	}
	return median(took[len(took)-1])
}

// plans logs how the database answers the question, and fails when it reads most of the table for it.
func (s *scaled) plans(b *testing.B, q question, took float64) {
	b.Helper()
	target, token := q.target(s), s.product.token(b)
	statements := s.tracer.record(func() { s.client.get(b, target, token) })
	for i, statement := range statements {
		plan := explain(b, s.product, statement)
		b.Logf("%s, statement %d of %d at %d customers:\n%s\n%s", q.name, i+1, len(statements), s.size, statement.sql, plan)
		if read := rowsRead(plan); read > s.size/2 && !q.whole {
			b.Errorf("%s reads %d of %d customers, in %.0f µs at last", q.name, read, s.size, took)
		}
	}
	if len(statements) == 0 {
		b.Errorf("no statement was seen for %s", target)
	}
}
