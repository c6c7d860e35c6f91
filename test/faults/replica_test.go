package faults

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/test/faults/link"
	"github.com/coffer-registry/coffer/test/process"
)

// replica is one server of several, and the links by which it reaches the others and is reached.
type replica struct {
	name          string
	t             *testing.T
	listen, admin string
	args          []string

	database, objects *link.Link
	http              *link.Faulty // between the replica and the link to the object store
	front             *link.Link   // from the proxy

	mu       sync.Mutex
	server   *process.Server
	killed   bool // the server that runs now, by us
	stopping bool
	starts   int
	ended    chan struct{} // closed when nobody starts the replica any more
}

// supervise starts the replica again whenever it ends, as whoever runs it does. While what it needs is away it may refuse to
// start; once it has served it may not end by itself.
func (r *replica) supervise() {
	defer close(r.ended)
	for {
		r.mu.Lock()
		if r.stopping {
			r.mu.Unlock()
			return
		}
		s := process.Launch(r.t, program.Command(r.args...))
		r.server, r.killed = s, false
		r.starts++
		r.mu.Unlock()
		<-s.Ended()
		r.mu.Lock()
		asked := r.killed || r.stopping
		r.mu.Unlock()
		if !asked && s.Count("serving") > 0 {
			r.t.Errorf("%s ended by itself:\n%s", r.name, s.Tail())
		}
		r.complain(s)
		<-time.After(200 * time.Millisecond)
	}
}

// complain fails the test for what a server must not have to say, whatever fails around it.
func (r *replica) complain(s *process.Server) {
	for _, line := range s.Errors() {
		if strings.Contains(line, "panic") || strings.Contains(line, "DATA RACE") || strings.HasPrefix(line, "goroutine ") {
			r.t.Errorf("%s: the log: %s", r.name, line)
		}
	}
}

func (r *replica) kill() {
	r.mu.Lock()
	s := r.server
	r.killed = true
	r.mu.Unlock()
	if s != nil {
		s.Kill()
	}
}

// stop stops the replica for good.
func (r *replica) stop() {
	r.t.Helper()
	r.mu.Lock()
	s := r.server
	r.stopping = true
	r.mu.Unlock()
	if status := s.Stop(r.t); status != 0 {
		r.t.Errorf("%s ended with %d:\n%s", r.name, status, s.Tail())
	}
	<-r.ended
}

// heal ends what is wrong with the replica's links.
func (r *replica) heal() {
	r.http.Set(nil)
	for _, l := range []*link.Link{r.database, r.objects, r.front} {
		l.Heal()
	}
}

// ready asks the replica whether it can serve, and says why not.
func (r *replica) ready() error { return answers200(r.name, "http://"+r.admin+"/readyz") }

func answers200(name, url string) error {
	c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	a, err := c.Get(url)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		text := make([]byte, 500)
		n, _ := a.Body.Read(text) // What there is of it.
		return fmt.Errorf("%s: status %d: %s", name, a.StatusCode, text[:n])
	}
	return nil
}
