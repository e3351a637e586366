package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/dbtest"
	"github.com/clientele-api/clientele/internal/events"
	"github.com/clientele-api/clientele/internal/paging"
	"github.com/clientele-api/clientele/internal/postgres"
)

const (
	feedEvents  = 50_000
	feedPage    = 200
	idleWaiters = 500

	webhookEndpoints = 5
	webhookEvents    = 1000 // in a round
	webhookRounds    = 4
)

// writeEvents writes events as they are written of customers that are created, and waits until they have their positions.
func (p *product) writeEvents(b testing.TB, count int) {
	b.Helper()
	all := make([]events.Event, count)
	for i := range all {
		id := uuid.Must(uuid.NewV7())
		all[i] = events.Event{
			Kind: events.Customer, What: "created", ResourceID: id, CustomerID: &id, Version: 1,
			After: customer{ID: id, Name: fmt.Sprint("Customer ", i), Properties: json.RawMessage(`{"tier":"gold"}`), Modules: []string{}},
		}
	}
	actor := uuid.Must(uuid.NewV7())
	must(b, p.db.Change(context.Background(), postgres.Change{
		Actor: postgres.Actor{Kind: access.KindStaff, ID: &actor, Name: "Grace Hopper"}, RequestID: uuid.NewString(),
	}, func(tx *postgres.Tx) error { return events.AppendAll(context.Background(), tx, all) }))
	p.settled(b)
}

// BenchmarkFeed reads pages of 200 events anywhere in the feed. The reference runs the same statement and writes the same
// JSON.
func BenchmarkFeed(b *testing.B) {
	url := dbtest.URL(b)
	product := newProduct(b, url, nil)
	product.writeEvents(b, feedEvents)
	reference := feedReference{openDB(b, url, nil).Pool}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/events", reference.list)
	token, cursors := product.token(b), paging.CursorsOf("events")
	side := func(name, addr string, cursor func(position int) string) *side {
		targets := make([]string, feedEvents/feedPage-1)
		for i := range targets {
			targets[i] = "/v1/events?limit=" + strconv.Itoa(feedPage) + "&cursor=" + cursor(i*feedPage)
		}
		return newSide(b, name, addr, http.StatusOK, func(random *rand.Rand, buffer []byte) []byte {
			return request(buffer, http.MethodGet, pick(random, targets), token, nil)
		})
	}
	products := side("product", product.addr, func(position int) string { return cursors.Encode(position) })
	compare(b, products, side("reference", serve(b, mux), strconv.Itoa))
	b.ReportMetric(median(products.perSecond)*feedPage, "events/s")
}

type feedReference struct{ pool *pgxpool.Pool }

func (r feedReference) list(w http.ResponseWriter, request *http.Request) {
	after, err := strconv.Atoi(request.FormValue("cursor"))
	if err != nil {
		fail(w, err)
		return
	}
	rows, err := r.pool.Query(request.Context(), "SELECT * FROM events WHERE position > $1 ORDER BY position LIMIT $2", after, feedPage)
	if err != nil {
		fail(w, err)
		return
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[db.Event])
	if err != nil {
		fail(w, err)
		return
	}
	page := struct {
		Data []json.RawMessage `json:"data"`
		Next string            `json:"next_cursor"`
	}{Next: strconv.Itoa(after + feedPage)}
	for _, event := range found {
		encoded, err := events.Encode(event)
		if err != nil {
			fail(w, err)
			return
		}
		page.Data = append(page.Data, encoded)
	}
	answer(w, http.StatusOK, page)
}

// BenchmarkWaiting reads customers while many wait for events and webhooks have nothing to do, beside the same without.
func BenchmarkWaiting(b *testing.B) {
	set := dataset{size: someCustomers}
	var products [2]*product
	for i := range products {
		products[i] = newProduct(b, dbtest.URL(b), nil)
		set.fill(b, products[i].db)
	}
	busy := products[0]
	receiver := httptest.NewServer(http.NotFoundHandler())
	b.Cleanup(receiver.Close)
	busy.endpoints(b, receiver.URL)
	busy.work(b)
	busy.settled(b)
	for range idleWaiters {
		wait := request(nil, http.MethodGet, "/v1/events?wait=25&types=note.created", busy.token(b), nil)
		conn, err := net.Dial("tcp", busy.addr)
		must(b, err)
		b.Cleanup(func() { _ = conn.Close() })
		go func() {
			answers := bufio.NewReader(conn)
			for {
				if _, err := conn.Write(wait); err != nil {
					return
				}
				response, err := http.ReadResponse(answers, nil)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if response.StatusCode != http.StatusOK {
					b.Errorf("who waited was answered with %s", response.Status)
					return
				}
			}
		}()
	}
	side := func(name string, p *product) *side {
		targets, token := make([]string, set.size), p.token(b)
		for i := range targets {
			targets[i] = "/v1/customers/" + set.id(i).String()
		}
		return newSide(b, name, p.addr, http.StatusOK, func(random *rand.Rand, buffer []byte) []byte {
			return request(buffer, http.MethodGet, pick(random, targets), token, nil)
		})
	}
	compare(b, side("product", busy), side("reference", products[1]))
}

// BenchmarkWebhooks sends each of many events to five endpoints of one receiver, on a database that waits for the disk, from
// the moment on in which the events are written.
func BenchmarkWebhooks(b *testing.B) {
	databaseURL, _ := durablePair(b, func(*postgres.DB) {})
	product := newProduct(b, databaseURL, nil)
	var received atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		received.Add(1)
		w.WriteHeader(http.StatusNoContent)
	}))
	b.Cleanup(receiver.Close)
	product.settled(b)
	product.endpoints(b, receiver.URL)
	product.work(b)
	round := func() float64 {
		expected := received.Load() + webhookEvents*webhookEndpoints
		started := time.Now()
		product.writeEvents(b, webhookEvents)
		for received.Load() < expected {
			if time.Since(started) > 5*time.Minute {
				b.Fatalf("%d have arrived of %d", received.Load(), expected)
			}
			time.Sleep(5 * time.Millisecond)
		}
		return webhookEvents * webhookEndpoints / time.Since(started).Seconds()
	}
	round() // connections, statements and caches are made
	var perSecond []float64
	for b.Loop() {
		perSecond = append(perSecond, round())
	}
	for len(perSecond) < webhookRounds {
		perSecond = append(perSecond, round())
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(perSecond), "deliveries/s")
}

// endpoints makes five endpoints that get the events of customers.
func (p *product) endpoints(b testing.TB, url string) {
	b.Helper()
	connection, token := dial(b, p.addr), p.token(b)
	for range webhookEndpoints {
		body := []byte(`{"url":"` + url + `","event_types":["customer.*"]}`)
		must(b, connection.expect(http.StatusCreated, request(nil, http.MethodPost, "/v1/webhook-endpoints", token, body)))
	}
}

// work works jobs until the end of the benchmark.
func (p *product) work(b testing.TB) {
	b.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var working sync.WaitGroup
	working.Go(func() {
		if err := p.queue.Run(ctx, p.db.Config().ConnString()); err != nil {
			b.Error(err)
		}
	})
	b.Cleanup(func() {
		stop()
		working.Wait()
	})
}
