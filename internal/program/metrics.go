package program

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/clientele-api/clientele/api"
	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/postgres"
	"github.com/clientele-api/clientele/internal/queue"
)

// metrics gives what measures requests, and the handler that tells Prometheus of them and of all else.
func (s *server) metrics(more ...prometheus.Collector) (*api.Metrics, http.Handler) {
	registry := prometheus.NewRegistry()
	requests := api.NewMetrics(registry)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		newStanding(s))
	registry.MustRegister(more...)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, // what the database knows is missing while it is away
		ErrorLog:      slog.NewLogLogger(s.log.Handler(), slog.LevelWarn), MaxRequestsInFlight: 4,
	}))
	return requests, mux
}

// standingTime is how long the database may take to say how things stand.
const standingTime = 5 * time.Second

// standing tells Prometheus how things stand at the moment it asks: what waits to be done, which is the same whichever
// replica tells it, and the connections of this one.
type standing struct {
	upkeep *postgres.DB
	asking sync.Mutex // takes one connection of upkeep, however many ask
	pools  map[string]*postgres.DB

	unplaced, unsent, pending, overdue, jobs *prometheus.Desc
	connections, most, waits                 *prometheus.Desc
}

func newStanding(s *server) *standing {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("clientele_"+name, help, labels, nil)
	}
	return &standing{
		upkeep: s.upkeep,
		pools:  map[string]*postgres.DB{"requests": s.database, "upkeep": s.upkeep, "exports": s.exporting},

		unplaced: describe("events_unplaced", "Events that have no place in the feed yet."),
		unsent:   describe("webhook_events_behind", "Events in the feed that no deliveries have been made of yet."),
		pending:  describe("webhook_deliveries_pending", "Deliveries to webhook endpoints that have not ended."),
		overdue: describe("webhook_delivery_overdue_seconds",
			"How long the next attempt at the oldest pending delivery has been due."),
		jobs:        describe("background_jobs", "Background jobs that are not completed, by queue and state.", "queue", "state"),
		connections: describe("database_connections", "Connections to the database, by pool and state.", "pool", "state"),
		most:        describe("database_connections_max", "How many connections a pool may have.", "pool"),
		waits:       describe("database_connection_waits_total", "How often somebody waited for a connection of a pool.", "pool"),
	}
}

// Describe names what is told.
func (s *standing) Describe(to chan<- *prometheus.Desc) {
	for _, one := range []*prometheus.Desc{
		s.unplaced, s.unsent, s.pending, s.overdue, s.jobs, s.connections, s.most, s.waits,
	} {
		to <- one
	}
}

// Collect tells it.
func (s *standing) Collect(to chan<- prometheus.Metric) {
	gauge := func(of *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(of, prometheus.GaugeValue, value, labels...)
	}
	for name, pool := range s.pools {
		state := pool.Stat()
		gauge(s.connections, float64(state.AcquiredConns()), name, "acquired")
		gauge(s.connections, float64(state.IdleConns()), name, "idle")
		gauge(s.most, float64(state.MaxConns()), name)
		to <- prometheus.MustNewConstMetric(s.waits, prometheus.CounterValue, float64(state.EmptyAcquireCount()), name)
	}
	s.asking.Lock()
	defer s.asking.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), standingTime)
	defer cancel()
	if feed, err := db.New().EventBacklog(ctx, s.upkeep); err != nil {
		to <- prometheus.NewInvalidMetric(s.unplaced, fmt.Errorf("counting events: %w", err))
	} else {
		gauge(s.unplaced, float64(feed.Unplaced))
		gauge(s.unsent, float64(feed.Last-feed.Sent))
	}
	now := s.upkeep.Now()
	if deliveries, err := db.New().WebhookDeliveryBacklog(ctx, s.upkeep, now); err != nil {
		to <- prometheus.NewInvalidMetric(s.pending, fmt.Errorf("counting deliveries: %w", err))
	} else {
		gauge(s.pending, float64(deliveries.Pending))
		gauge(s.overdue, max(now.Sub(deliveries.DueAt), 0).Seconds())
	}
	jobs, err := queue.CountOpen(ctx, s.upkeep)
	if err != nil {
		to <- prometheus.NewInvalidMetric(s.jobs, fmt.Errorf("counting jobs: %w", err))
	}
	for _, one := range jobs {
		gauge(s.jobs, float64(one.Jobs), one.Queue, one.State)
	}
}
