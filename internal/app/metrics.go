package app

import (
	"github.com/prometheus/client_golang/prometheus"

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
