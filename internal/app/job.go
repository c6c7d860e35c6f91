package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/audit"
	"github.com/coffer-registry/coffer/internal/job"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/store"
)

const (
	// rewrapInterval is how often it is looked whether keys of repositories are to be wrapped anew, which costs nothing unless a
	// customer key changed.
	rewrapInterval = time.Second
	// orphanInterval is how often objects are looked for that no row knows of, which goes over all objects.
	orphanInterval = 24 * time.Hour
)

// jobs are the work that one server at a time does in the background.
func (s *Server) jobs() []job.Job {
	return []job.Job{
		{Name: "sweep", Every: s.sweep, Do: s.sweepOnce},
		{Name: "sweep-orphans", Every: orphanInterval, Do: s.sweepOrphans},
		{Name: "destroy-keys", Every: s.sweep, Do: s.destroyKeys},
		{Name: "expire-key-material", Every: s.sweep, Do: s.expireMaterial},
		{Name: "rotate-keys", Every: s.sweep, Do: s.rotateKeys},
		{Name: "rewrap-repository-keys", Every: rewrapInterval, Due: s.Registry.RewrapDue, Do: s.rewrapOnce},
	}
}

// startOrphans looks for orphans at the start of the one server that a database in a folder has: after a crash there are some.
func (s *Server) startOrphans(ctx context.Context) {
	if s.config.Database == "" {
		s.attempt(ctx, "sweep orphans", s.sweepOrphans)
	}
}

// embeddedHolder is the name of the one server that a database in a folder has.
const embeddedHolder = "embedded"

func (s *Server) newRunner() *job.Runner {
	s.jobMetrics = newJobMetrics()
	c := job.Config{DB: s.state.db, Now: s.now, Log: s.log, Observe: s.jobMetrics.observe}
	if s.config.Database == "" {
		c.Holder = embeddedHolder
	}
	return job.New(c)
}

// jobMetrics count what this server did in the background.
type jobMetrics struct {
	runs    *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	last    *prometheus.GaugeVec
}

func newJobMetrics() jobMetrics {
	return jobMetrics{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "coffer_job_runs_total",
			Help: "Runs of background work by this server, by how they ended."}, []string{"job", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "coffer_job_duration_seconds",
			Help: "How long runs of background work took.", Buckets: []float64{0.01, 0.1, 1, 10, 60, 600, 3600}}, []string{"job"}),
		last: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "coffer_job_last_success_timestamp_seconds",
			Help: "When background work was last done by this server, since it started."}, []string{"job"}),
	}
}

func (m jobMetrics) register(r *prometheus.Registry) { r.MustRegister(m.runs, m.seconds, m.last) }

func (m jobMetrics) observe(run job.Run) {
	outcome := "done"
	if run.Err != nil {
		outcome = "failed"
	} else {
		m.last.WithLabelValues(run.Job).SetToCurrentTime()
	}
	m.runs.WithLabelValues(run.Job, outcome).Inc()
	m.seconds.WithLabelValues(run.Job).Observe(run.Took.Seconds())
}

func (s *Server) sweepOnce(ctx context.Context) error {
	swept, err := s.Registry.Sweep(ctx, s.recordReferrer)
	if swept != (registry.Swept{}) {
		s.log.Info("swept", "uploads", swept.Uploads, "layers", swept.Layers, "referrers", swept.Referrers,
			"repositories", swept.Repositories, "objects", swept.Objects)
	}
	return err
}

// rewrapOnce wraps the keys of repositories anew whose customer keys have new material.
func (s *Server) rewrapOnce(ctx context.Context) error {
	done, err := s.Registry.Rewrap(ctx, func(done, left int64) {
		s.log.Info("wrapped keys of repositories anew", "done", done, "left", left)
	})
	if done > 0 && err == nil {
		s.log.Info("the keys of all repositories are wrapped with current material", "wrapped", done)
	}
	return err
}

func (s *Server) sweepOrphans(ctx context.Context) error {
	n, err := s.Registry.SweepOrphans(ctx)
	if n > 0 {
		s.log.Info("swept orphans", "objects", n)
	}
	return err
}

// recordReferrer leaves the record of a referrer that the service itself deleted, since its subject is gone.
func (s *Server) recordReferrer(tx *store.Tx, id registry.ID, repository string, digest oci.Digest) error {
	parameters := audit.AppendString([]byte(`{"repositoryName":`), repository)
	parameters = audit.AppendString(append(parameters, `,"imageIds":[{"imageDigest":`...), string(digest))
	parameters = append(parameters, `}]}`...)
	return s.trail.Append(tx, &audit.Record{
		Identity: audit.Identity{Type: "AWSService", InvokedBy: "ecr.amazonaws.com"}, Time: s.now(),
		Source: "ecr.amazonaws.com", Name: "BatchDeleteImage", Region: id.Region, SourceIP: "ecr.amazonaws.com",
		UserAgent: "ecr.amazonaws.com", Parameters: parameters, RequestID: audit.NewUUID(), Account: id.Account,
		Resources: []audit.Resource{{ARN: arn.Repository(id.Region, id.Account, repository).String(), Account: id.Account, Type: "AWS::ECR::Repository"}},
	})
}
