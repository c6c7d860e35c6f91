package app

import (
	"log"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// handshakeLogInterval is how often a failed handshake is told, so that strangers can't fill the log.
const handshakeLogInterval = time.Second

// serverLog takes what net/http logs. That a client's TLS handshake failed is for the operator, who can't see it anywhere else;
// all else is about single connections.
type serverLog struct {
	log *slog.Logger

	mu   sync.Mutex
	last time.Time
}

func newServerLog(l *slog.Logger) *log.Logger { return log.New(&serverLog{log: l}, "", 0) }

// Write takes one line.
func (s *serverLog) Write(p []byte) (int, error) {
	text := strings.TrimSpace(string(p))
	rest, failed := strings.CutPrefix(text, "http: TLS handshake error from ")
	client, cause, told := strings.Cut(rest, ": ")
	// Who connects and says nothing, as probes do, has not failed.
	if failed && told && cause != "EOF" && s.next() {
		s.log.Info("TLS handshake failed", "client", client, "error", cause)
		return len(p), nil
	}
	s.log.Debug(text)
	return len(p), nil
}

// next reports whether another failure may be told now.
func (s *serverLog) next() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Sub(s.last) < handshakeLogInterval {
		return false
	}
	s.last = now
	return true
}
