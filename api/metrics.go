package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics counts and times requests for Prometheus. A nil Metrics measures nothing.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
}

// NewMetrics makes a Metrics, with those of the process and the runtime beside its own.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "clientele_http_request_duration_seconds",
			Help:    "How long requests took, by operation and status.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
		}, []string{"operation", "status"}),
	}
	m.registry.MustRegister(m.requests, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *Metrics) measured(next echo.HandlerFunc) echo.HandlerFunc {
	if m == nil {
		return next
	}
	return func(c echo.Context) error {
		started := time.Now()
		defer func() {
			operation := "none" // paths are not labels: anybody can make up any number of them
			if known := requestOf(c.Request().Context()).operation; known != nil {
				operation = known.ID
			}
			status := strconv.Itoa(c.Response().Status)
			m.requests.WithLabelValues(operation, status).Observe(time.Since(started).Seconds())
		}()
		if err := next(c); err != nil {
			c.Error(err) // written here, so that the status is known
		}
		return nil
	}
}
