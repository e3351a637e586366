package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/textfold"
)

const (
	someRows = 100_000
	manyRows = 1_000_000

	// minExports is how many pairs of exports there are at least; -benchtime asks for more.
	minExports = 5
	// sampleEvery is how often it is seen how much memory there is.
	sampleEvery = 20 * time.Millisecond
)

// The same columns, rows and order as the exports of everything, in one query.
const (
	allDomains = `SELECT host, http_ports, scheme, customers.name, origin, origin_port, cache_configuration, redirection,
			ssl_expires_at, tls_protocol, waf_configuration
		FROM domains JOIN customers ON customers.id = customer_id ORDER BY host, domains.id`
	allCustomers = `SELECT customers.id, name, email, phone, company, address, comments, modules, parent_id, external_id,
			locale, status, invited_at, last_activity_at, accepted.version, accepted_at, restored_at, customers.version, created_at,
			updated_at
		FROM customers LEFT JOIN customer_activity ON customer_activity.customer_id = customers.id
		LEFT JOIN (SELECT customer_id, version, accepted_at FROM terms_acceptances JOIN terms ON terms.id = terms_id
			WHERE is_first AND version = (SELECT max(version) FROM terms)) AS accepted ON accepted.customer_id = customers.id
		ORDER BY created_at DESC, customers.id DESC`
)

// BenchmarkExports downloads everything as CSV, beside a bare client that has the database COPY the same, in turns. The
// domains are those of 10,000 customers.
func BenchmarkExports(b *testing.B) {
	size := someRows
	if *million {
		size = manyRows
	}
	b.Run("domains", func(b *testing.B) {
		e := newExported(b, someCustomers)
		e.fillDomains(b, size)
		e.compare(b, "/v1/domains.csv", allDomains, size)
		e.firstBytes(b, "/v1/domains.csv", []string{
			"?sort=-host", "?sort=created_at", "?sort=-updated_at", "?q=shop", "?q=shop&sort=created_at",
			"?host=none.example", "?tls_protocol=TLSv1.0", "?scheme=http&tls_protocol=TLSv1.0&sort=-created_at",
			"?ssl_expires_before=2000-01-01T00:00:00Z", "?customer_id=" + e.id(4711).String(),
		})
	})
	b.Run("customers", func(b *testing.B) {
		e := newExported(b, size)
		e.compare(b, "/v1/customers.csv", allCustomers, size)
		e.firstBytes(b, "/v1/customers.csv", []string{
			"?sort=name", "?sort=-name", "?sort=updated_at", "?q=katarzyna", "?status=active", "?invited=true",
			"?properties[" + ageKey + "]=" + oldValue, "?properties[" + broadKey + "]=" + broadValue + "&sort=name",
			"?ancestor_id=" + e.id(rootIndex).String(), "?no_activity_since=2000-01-01T00:00:00Z",
		})
	})
}

// exported is the product over a data set, and a connection of the reference's own to the same database.
type exported struct {
	dataset
	product   *product
	reference *pgx.Conn
	client    *http.Client
}

func newExported(b testing.TB, customers int) *exported {
	b.Helper()
	e := &exported{dataset: dataset{size: customers}, product: newProduct(b, dbtest.URL(b), nil)}
	started := time.Now()
	e.fill(b, e.product.db)
	b.Logf("%d customers made in %s", customers, time.Since(started).Round(time.Second))
	var err error
	e.reference, err = pgx.ConnectConfig(context.Background(), e.product.db.Config().ConnConfig)
	must(b, err)
	b.Cleanup(func() { _ = e.reference.Close(context.Background()) })
	transport := &http.Transport{ReadBufferSize: 64 << 10}
	b.Cleanup(transport.CloseIdleConnections)
	e.client = &http.Client{Transport: transport}
	return e
}

// fillDomains gives the customers domains. Those of one customer lie anywhere in the table and in the order of hosts.
func (e *exported) fillDomains(b testing.TB, size int) {
	b.Helper()
	started := time.Now()
	columns := []string{
		"id", "customer_id", "host", "http_ports", "scheme", "origin", "origin_port", "cache_configuration", "redirection",
		"ssl_expires_at", "tls_protocol", "waf_configuration", "created_at", "updated_at", "search_text",
	}
	made := dataset{size: size}
	copyInto(b, e.product.db, "domains", columns, size, func(i int) []any {
		random := rand.New(rand.NewPCG(uint64(i), 11))
		d := newDomain(random, i)
		created := made.createdAt(i)
		return []any{
			uuid.Must(uuid.NewV7()), e.id(random.IntN(e.size)), d.host, d.ports, d.scheme, d.origin, d.originPort, d.cache,
			d.redirection, d.expires, d.tls, d.waf, created, created, textfold.SearchText(d.host),
		}
	})
	b.Logf("%d domains made in %s", size, time.Since(started).Round(time.Second))
}

type domain struct {
	host, scheme            string
	ports                   []int32
	origin, tls             *string
	originPort              *int32
	cache, redirection, waf json.RawMessage
	expires                 *time.Time
}

// newDomain makes a domain as varied as in life: one in twelve has a name beyond ASCII, and a third is configured.
func newDomain(random *rand.Rand, i int) domain {
	names := words("shop www api static media blog login cdn news mail")
	label := fmt.Sprintf("%s-%08x%d", pick(random, names), random.Uint32(), i)
	d := domain{host: label + pick(random, domains), scheme: "https", ports: []int32{80}}
	if random.IntN(12) == 0 {
		d.host = label + ".xn--zw-fka6lne.example"
	}
	if random.IntN(10) == 0 {
		d.scheme, d.ports = "http", []int32{80, 8080}
	}
	if random.IntN(2) == 0 {
		origin, port := "origin-"+label+".example", int32(8000+random.IntN(1000))
		d.origin, d.originPort = &origin, &port
	}
	if d.scheme == "https" {
		expires := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(random.IntN(365*24*60)) * time.Minute)
		version := pick(random, words("TLSv1.2 TLSv1.3 TLSv1.3"))
		d.expires, d.tls = &expires, &version
	}
	if random.IntN(3) == 0 {
		d.cache = fmt.Appendf(nil, `{"default_ttl_seconds":%d,"query_strings":"ignore"}`, random.IntN(86400))
		d.redirection = fmt.Appendf(nil, `{"to":"https://%s.example/","status":301,"keep":["path","query"]}`, label)
		d.waf = json.RawMessage(`{"mode":"block"}`)
	}
	return d
}

// download is what an export took.
type download struct {
	rows      int
	firstByte time.Duration
	took      time.Duration
	grown     uint64 // bytes of memory at most, beyond what there was before
}

func (d download) perSecond() float64 { return float64(d.rows) / d.took.Seconds() }

// counter counts the rows of what is thrown away.
type counter struct{ rows int }

func (c *counter) Write(text []byte) (int, error) {
	c.rows += bytes.Count(text, []byte{'\n'})
	return len(text), nil
}

// get downloads an export, or only its first byte.
func (e *exported) get(b testing.TB, target, token string, whole bool) download {
	b.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://"+e.product.addr+target, nil)
	must(b, err)
	request.Header.Set("Authorization", "Bearer "+token)
	grown := memory()
	started := time.Now()
	response, err := e.client.Do(request)
	must(b, err)
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		b.Fatalf("%s answered %d", target, response.StatusCode)
	}
	var rows counter
	buffer := make([]byte, 64<<10)
	n, err := io.ReadAtLeast(response.Body, buffer, 1)
	must(b, err)
	d := download{firstByte: time.Since(started)}
	if !whole {
		grown()
		return d
	}
	_, _ = rows.Write(buffer[:n])
	_, err = io.CopyBuffer(&rows, response.Body, buffer)
	must(b, err)
	d.took, d.rows, d.grown = time.Since(started), rows.rows-1, grown()
	return d
}

// copy has the database copy the same rows, as text.
func (e *exported) copy(b testing.TB, query string) download {
	b.Helper()
	var rows counter
	started := time.Now()
	_, err := e.reference.PgConn().CopyTo(context.Background(), &rows, "COPY ("+query+") TO STDOUT")
	must(b, err)
	return download{rows: rows.rows, took: time.Since(started)}
}

// memory begins to watch the memory of this process, of which the client has next to nothing. The function that it gives
// ends that, and says how much more there was at most than at the beginning.
func memory() (grown func() uint64) {
	runtime.GC() // nobody pays for what the other side left behind
	inUse := func() uint64 {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapInuse + stats.StackInuse
	}
	before := inUse()
	most := before
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		every := time.NewTicker(sampleEvery)
		defer every.Stop()
		for {
			select {
			case <-stop:
				return
			case <-every.C:
				most = max(most, inUse())
			}
		}
	})
	return func() uint64 {
		close(stop)
		watching.Wait()
		return most - before
	}
}

// compare lets the export and the copy take turns, and reports both throughputs and the median of the ratios.
func (e *exported) compare(b *testing.B, target, query string, size int) {
	b.Helper()
	var exports, copies, ratios []float64
	var firstByte time.Duration
	var grown uint64
	pair := func() {
		var d, c download
		token := e.product.token(b)
		if len(ratios)%2 == 0 {
			d = e.get(b, target, token, true)
		}
		c = e.copy(b, query)
		if len(ratios)%2 == 1 {
			d = e.get(b, target, token, true)
		}
		if d.rows != size || c.rows != size {
			b.Fatalf("of %d rows %s has %d and the copy %d", size, target, d.rows, c.rows)
		}
		exports, copies = append(exports, d.perSecond()), append(copies, c.perSecond())
		ratios = append(ratios, d.perSecond()/c.perSecond())
		firstByte, grown = max(firstByte, d.firstByte), max(grown, d.grown)
	}
	pair() // statements are prepared and what is needed is in memory
	exports, copies, ratios, firstByte, grown = nil, nil, nil, 0, 0
	for b.Loop() {
		pair()
	}
	for len(ratios) < minExports {
		pair()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(exports), "rows/s")
	b.ReportMetric(median(copies), "copied/s")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(float64(firstByte.Microseconds())/1000, "ms-first-byte")
	b.ReportMetric(float64(grown)/1e6, "MB-grown")
	b.Logf("%d pairs of %d rows, ratio %.3f, half of them between %.3f and %.3f",
		len(ratios), size, median(ratios), quantile(ratios, 0.25), quantile(ratios, 0.75))
}

// firstBytes measures how long the first byte of other exports takes, and reports the slowest.
func (e *exported) firstBytes(b *testing.B, target string, queries []string) {
	b.Helper()
	token := e.product.token(b)
	var slowest time.Duration
	var of string
	for _, query := range queries {
		if took := e.get(b, target+query, token, false).firstByte; took > slowest {
			slowest, of = took, target+query
		}
	}
	b.ReportMetric(float64(slowest.Microseconds())/1000, "ms-slowest-first-byte")
	b.Logf("the slowest first byte of %d other exports is that of %s", len(queries), of)
}
