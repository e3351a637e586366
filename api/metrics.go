package api

import (
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts and times requests for Prometheus. A nil Metrics measures nothing.
type Metrics struct{ requests *prometheus.HistogramVec }

// NewMetrics makes a Metrics that is registered there.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "clientele_http_request_duration_seconds",
		Help:    "How long requests took, by operation and status.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
	}, []string{"operation", "status"})}
	registry.MustRegister(m.requests)
	return m
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
