// Package roottest has servers that speak as the roots of trust do, for tests: the Transit engine of Vault, and KMS. They
// keep to what the real ones were seen to answer, and can be made to fail in each way.
package roottest

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/coffer-registry/coffer/internal/seal"
)

// server is what both have in common.
type server struct {
	*httptest.Server

	mu sync.Mutex
	// instead, if set, answers in place of the service.
	instead http.HandlerFunc
	keys    map[string]*serverKey
}

// serverKey is a key of a server.
type serverKey struct {
	seal.Key
	disabled bool
}

func (s *server) start(t testing.TB, tls bool, h http.HandlerFunc) {
	s.keys = map[string]*serverKey{}
	h2 := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		instead := s.instead
		s.mu.Unlock()
		if instead != nil {
			instead(w, r)
			return
		}
		h(w, r)
	})
	if tls {
		s.Server = httptest.NewTLSServer(h2)
	} else {
		s.Server = httptest.NewServer(h2)
	}
	t.Cleanup(s.Close)
}

// Instead has another handler answer; nil has the service answer again.
func (s *server) Instead(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instead = h
}

// Put makes a key, or another one of its name.
func (s *server) Put(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[name] = &serverKey{Key: seal.NewKey()}
}

// Delete takes a key away.
func (s *server) Delete(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, name)
}

func (s *server) key(name string) *serverKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[name]
}

// Host is the address of the server.
func (s *server) Host() string { return s.Listener.Addr().String() }
