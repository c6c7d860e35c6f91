package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/store"
)

// databaseMetrics tell what the database is busy with.
type databaseMetrics struct{ db *store.DB }

var (
	databaseConnections = prometheus.NewDesc("coffer_database_connections", "Connections to the database for transactions, by state.", []string{"engine", "state"}, nil)
	databaseRetries     = prometheus.NewDesc("coffer_database_retries_total", "Transactions that ran again, since others came in their way or the connection was lost.", []string{"engine"}, nil)
	databaseQueries     = prometheus.NewDesc("coffer_database_round_trips_total", "Round trips to the database.", []string{"engine"}, nil)
	databaseClock       = prometheus.NewDesc("coffer_database_clock_ahead_seconds", "How far the database's clock, which counts, is ahead of this server's.", []string{"engine"}, nil)
)

// Describe is prometheus.Collector's.
func (m databaseMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{databaseConnections, databaseRetries, databaseQueries, databaseClock} {
		out <- d
	}
}

// Collect is prometheus.Collector's.
func (m databaseMetrics) Collect(out chan<- prometheus.Metric) {
	s := m.db.Stats()
	for state, n := range map[string]int{"used": s.InUse, "open": s.Open, "max": s.Max} {
		out <- prometheus.MustNewConstMetric(databaseConnections, prometheus.GaugeValue, float64(n), s.Engine, state)
	}
	out <- prometheus.MustNewConstMetric(databaseRetries, prometheus.CounterValue, float64(s.Retries), s.Engine)
	out <- prometheus.MustNewConstMetric(databaseQueries, prometheus.CounterValue, float64(s.Queries), s.Engine)
	out <- prometheus.MustNewConstMetric(databaseClock, prometheus.GaugeValue, s.ClockAhead.Seconds(), s.Engine)
}

// blobMetrics count the calls of the object store, if it is one on S3. A nil one counts nothing.
type blobMetrics struct {
	seconds  *prometheus.HistogramVec
	bytes    *prometheus.CounterVec
	attempts *prometheus.CounterVec
}

func newBlobMetrics() *blobMetrics {
	return &blobMetrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "coffer_object_store_duration_seconds",
			Help: "How long calls of the object store took, by how they ended; ok is a success.", Buckets: []float64{0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60}}, []string{"operation", "outcome"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "coffer_object_store_bytes_total",
			Help: "Bytes of objects that calls of the object store moved."}, []string{"operation"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "coffer_object_store_attempts_total",
			Help: "Attempts of calls of the object store: more than there were calls, if some were made again."}, []string{"operation"}),
	}
}

func (m *blobMetrics) register(r *prometheus.Registry) {
	r.MustRegister(m.seconds, m.bytes, m.attempts)
}

func (m *blobMetrics) observe(o blob.S3Operation) {
	if m == nil {
		return
	}
	outcome := o.Class
	if outcome == "" {
		outcome = "ok"
	}
	m.seconds.WithLabelValues(o.Name, outcome).Observe(o.Duration.Seconds())
	m.bytes.WithLabelValues(o.Name).Add(float64(o.Bytes))
	m.attempts.WithLabelValues(o.Name).Add(float64(o.Attempts))
}
