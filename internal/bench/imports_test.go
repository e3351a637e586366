package bench

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	fewImported = 50_000
	// warmUpRows are imported before each round, so that connections, statements and caches are made.
	warmUpRows = 10_000
	// minImports is how many pairs of rounds there are at least, of a few customers.
	minImports = 3

	// lookEvery is how often an import is looked at while it goes on.
	lookEvery = 100 * time.Millisecond
)

// BenchmarkImports sends a file of customers to the program and waits until it has imported them all, in turns with a
// COPY of just the rows that it has written. Each has a database of its own, on one server that waits for the disk. The
// program is the one that is built, in a process of its own, so that its memory is known: on Linux only.
func BenchmarkImports(b *testing.B) {
	size, rounds := fewImported, minImports
	if *million {
		size, rounds = manyCustomers, 1
	}
	productURL, referenceURL := durableDatabases(b)
	file := dataset{size: size}.file(b)
	warmUp := dataset{size: warmUpRows}.file(b)
	buildProgram(b).run(b, func(running process) {
		product := importer{process: running, db: connect(b, productURL)}
		reference := copier{db: connect(b, referenceURL), dir: b.TempDir()}
		var imported, copied, ratios, idle, peaks []float64
		pair := func() {
			token := dial(b, running.addr).signIn(b, "staff", adminEmail)
			product.round(b, token, warmUp, warmUpRows)
			running.forgetPeak(b)
			took, seen := product.round(b, token, file, size)
			if megabytes, ok := running.memory(b, "VmHWM"); ok {
				peaks = append(peaks, megabytes)
			}
			imported = append(imported, float64(size)/took.Seconds())
			idle = append(idle, seen.longestPause().Seconds())
			rows, took := reference.round(b, product.db)
			if rows != int64(size) {
				b.Fatalf("the import of %d customers made %d", size, rows)
			}
			copied = append(copied, float64(size)/took.Seconds())
			ratios = append(ratios, last(imported)/last(copied))
			b.Logf("imported %.0f rows/s, copied %.0f rows/s, ratio %.3f; rows/s by tenths: %s",
				last(imported), last(copied), last(ratios), seen.tenths())
		}
		for b.Loop() {
			pair()
		}
		for len(ratios) < rounds {
			pair()
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(median(imported), "product-rows/s")
		b.ReportMetric(median(copied), "copy-rows/s")
		b.ReportMetric(median(ratios), "ratio")
		b.ReportMetric(quantile(idle, 1), "s-without-progress")
		if len(peaks) > 0 {
			b.ReportMetric(quantile(peaks, 1), "MB-peak")
		}
	}, "CLIENTELE_DATABASE_URL="+productURL, "CLIENTELE_SECRET_KEY=a secret key that is only for benchmarks",
		"CLIENTELE_ADMIN_EMAIL="+adminEmail, "CLIENTELE_ADMIN_PASSWORD="+password)
}

// file writes the customers of the data set to a CSV file, each with an external id, and gives its path.
func (d dataset) file(b testing.TB) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "customers.csv")
	file, err := os.Create(path)
	must(b, err)
	defer file.Close()
	lines := csv.NewWriter(file)
	must(b, lines.Write([]string{
		"external_id", "name", "email", "phone", "company", "address", "comments", "properties.manager", "properties.city",
		"properties.tier",
	}))
	text := func(value *string) string {
		if value == nil {
			return ""
		}
		return *value
	}
	for i := range d.size {
		c := d.customer(i)
		var properties struct{ Manager, City, Tier string }
		must(b, json.Unmarshal(c.Properties, &properties))
		must(b, lines.Write([]string{
			fmt.Sprintf("C-%07d", i), c.Name, text(c.Email), text(c.Phone), text(c.Company), text(c.Address),
			text(c.Comments), properties.Manager, properties.City, properties.Tier,
		}))
	}
	lines.Flush()
	must(b, errors.Join(lines.Error(), file.Close()))
	return path
}

// connect opens a connection without the limits that the program's have.
func connect(b testing.TB, databaseURL string) *pgx.Conn {
	b.Helper()
	conn, err := pgx.Connect(context.Background(), databaseURL)
	must(b, err)
	b.Cleanup(func() { must(b, conn.Close(context.Background())) })
	return conn
}

// empty empties the tables that are written to, and puts what was written before on the disk.
func empty(b testing.TB, db *pgx.Conn) {
	b.Helper()
	for _, sql := range []string{"TRUNCATE customers, events, operation_keys CASCADE", "CHECKPOINT"} {
		_, err := db.Exec(context.Background(), sql)
		must(b, err)
	}
}

// importer is the program, which imports, and its database.
type importer struct {
	process
	db *pgx.Conn
}

// round imports the file into empty tables, and gives what that took from its first byte to the end of the operation. In
// the middle of it somebody signs in, which needs as much memory as the import does.
func (i importer) round(b testing.TB, token, path string, rows int) (time.Duration, sightings) {
	b.Helper()
	empty(b, i.db)
	started := time.Now()
	id := i.send(b, path, token)
	seen, visited := sightings{}, false
	for {
		var state string
		var read, created int64
		err := i.db.QueryRow(context.Background(), "SELECT state, rows_read, rows_created FROM operations WHERE id = $1", id).
			Scan(&state, &read, &created)
		must(b, err)
		seen = append(seen, sighting{time.Since(started), read})
		if !visited && read >= int64(rows)/2 {
			dial(b, i.addr).signIn(b, "staff", adminEmail)
			visited = true
		}
		if state == "succeeded" && created == int64(rows) {
			break
		}
		if state != "running" && state != "queued" {
			var faults string
			_ = i.db.QueryRow(context.Background(), "SELECT faults FROM operation_refusals ORDER BY number LIMIT 1").Scan(&faults)
			b.Fatalf("the import of %d customers has %s with %d: %s", rows, state, created, faults)
		}
		time.Sleep(lookEvery)
	}
	took := last(seen).at
	i.settle(b)
	return took, seen
}

// send uploads the file and gives the id of the operation.
func (i importer) send(b testing.TB, path, token string) (id string) {
	b.Helper()
	file, err := os.Open(path)
	must(b, err)
	defer file.Close()
	request, err := http.NewRequest(http.MethodPost, "http://"+i.addr+"/v1/customers/import", file)
	must(b, err)
	request.Header.Set("Content-Type", "text/csv")
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(request)
	must(b, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(b, err)
	if answer.StatusCode != http.StatusAccepted {
		b.Fatalf("the file was answered with %s: %s", answer.Status, body)
	}
	var operation struct{ ID string }
	must(b, json.Unmarshal(body, &operation))
	return operation.ID
}

// settle waits until the import has cleaned up behind itself, and every event has its place.
func (i importer) settle(b testing.TB) {
	b.Helper()
	for open := true; open; time.Sleep(lookEvery) {
		err := i.db.QueryRow(context.Background(), `SELECT EXISTS (SELECT FROM operation_keys)
			OR EXISTS (SELECT FROM events WHERE position IS NULL)`).Scan(&open)
		must(b, err)
	}
}

// sighting is how far an import was at a time after its beginning.
type sighting struct {
	at   time.Duration
	rows int64
}

type sightings []sighting

// longestPause is how long the import was seen to stand still, at most.
func (s sightings) longestPause() (longest time.Duration) {
	moved := s[0]
	for _, one := range s {
		longest = max(longest, one.at-moved.at)
		if one.rows > moved.rows {
			moved = one
		}
	}
	return longest
}

// tenths tells how many rows a second were read in each tenth of the rows.
func (s sightings) tenths() string {
	var paces []string
	from, total := s[0], last(s).rows
	for _, one := range s {
		if one.rows*10/total > from.rows*10/total {
			paces = append(paces, fmt.Sprintf("%.0f", float64(one.rows-from.rows)/(one.at-from.at).Seconds()))
			from = one
		}
	}
	return strings.Join(paces, " ")
}

// copier is the reference: COPY from a file that has all that there is to be written.
type copier struct {
	db  *pgx.Conn
	dir string // of the files
}

// copiedColumns has the tables that are written to, with what of a row the database does not make itself. Positions are given
// to events later, by whoever orders them.
var copiedColumns = map[string]string{
	"customers": strings.Join(columns, ", "),
	"events":    "id, type, resource_kind, resource_id, version, customer_id, actor_kind, actor_id, actor_name, request_id, at, data",
}

// round copies what is in the tables of the other database into empty ones, in one transaction, which is the fastest
// way, and gives how many customers there were and what that took. It empties those that it has read.
func (c copier) round(b testing.TB, from *pgx.Conn) (customers int64, took time.Duration) {
	b.Helper()
	ctx := context.Background()
	for table, names := range copiedColumns {
		file, err := os.Create(filepath.Join(c.dir, table))
		must(b, err)
		buffered := bufio.NewWriterSize(file, 1<<20)
		_, err = from.PgConn().CopyTo(ctx, buffered, "COPY (SELECT "+names+" FROM "+table+" ORDER BY id) TO STDOUT (FORMAT binary)")
		must(b, errors.Join(err, buffered.Flush(), file.Close()))
	}
	empty(b, from)
	empty(b, c.db)
	started := time.Now()
	must(b, pgx.BeginFunc(ctx, c.db, func(tx pgx.Tx) error {
		var counts [2]int64
		for i, table := range []string{"customers", "events"} {
			file, err := os.Open(filepath.Join(c.dir, table))
			if err != nil {
				return err
			}
			defer file.Close()
			tag, err := tx.Conn().PgConn().CopyFrom(ctx, file, "COPY "+table+" ("+copiedColumns[table]+") FROM STDIN (FORMAT binary)")
			if err != nil {
				return err
			}
			counts[i] = tag.RowsAffected()
		}
		if counts[0] != counts[1] {
			return fmt.Errorf("there are %d customers and %d events", counts[0], counts[1])
		}
		customers = counts[0]
		return nil
	}))
	return customers, time.Since(started)
}
