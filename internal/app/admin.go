package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// serveAdmin serves health and metrics on their own port.
func (s *Server) serveAdmin() error {
	if s.config.AdminListen == "" {
		return nil
	}
	l, err := listen("--admin-listen", s.config.AdminListen)
	if err != nil {
		return err
	}
	s.adminURL = "http://" + l.Addr().String()
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), FIPSOfProcess().metric())
	if s.tls != nil {
		metrics.MustRegister(s.tls)
	}
	s.registerRoot(metrics)
	s.jobMetrics.register(metrics)
	s.blobMetrics.register(metrics)
	metrics.MustRegister(databaseMetrics{s.state.db})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	s.admin = &http.Server{Handler: sniffless(mux), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10}
	s.running.Go(func() {
		if err := s.admin.Serve(l); err != http.ErrServerClosed {
			s.failed <- fmt.Errorf("serve --admin-listen: %w", err)
		}
	})
	return nil
}

// AdminURL is where health and metrics are served, such as http://127.0.0.1:5001; empty if they aren't.
func (s *Server) AdminURL() string { return s.adminURL }

// ready answers whether requests can be served, and if not, what is wrong.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if s.stopping.Load() {
		http.Error(w, "the server is stopping", http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	if err := s.state.db.Ping(ctx); err != nil {
		http.Error(w, "database: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	if err := s.state.blobs.Ping(ctx); err != nil {
		http.Error(w, "object store: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	if o := s.state.keys.Outage(); o.Closed {
		http.Error(w, o.String(), http.StatusServiceUnavailable)
		return
	} else if o.Err != nil {
		fmt.Fprintln(w, "ok, but "+o.String())
		return
	}
	fmt.Fprintln(w, "ok")
}

// panicked answers a request whose handler panicked. The stack goes to the log.
func (s *Server) panicked(w http.ResponseWriter, r *http.Request, p any) {
	if p == http.ErrAbortHandler {
		panic(p)
	}
	s.log.Error("panic", "method", r.Method, "path", r.URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	text, _ := json.Marshal(map[string]string{"__type": "ServerException", "message": "An internal error occurred; see the server's log."})
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(http.StatusInternalServerError)
	w.Write(text)
}
