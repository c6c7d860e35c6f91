// Package link puts faults between the parts of an installation: connections that break, stall or are slow, and HTTP servers
// that fail. What a part reaches by a Link or a Faulty of its own can be taken from it alone.
package link

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Link passes TCP connections on to an address. It is safe for concurrent use.
type Link struct {
	target   string
	listener net.Listener

	mu     sync.Mutex
	state  state
	change chan struct{}     // closed when the state changes
	conns  map[net.Conn]bool // both ends of all
	closed bool
	wait   sync.WaitGroup
}

// state is what is wrong with a link.
type state struct {
	cut     bool
	stalled bool
	delay   time.Duration
}

// New listens on a free port of loopback until the test ends.
func New(t testing.TB, target string) *Link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &Link{target: target, listener: listener, change: make(chan struct{}), conns: map[net.Conn]bool{}}
	l.wait.Go(l.accept)
	t.Cleanup(l.close)
	return l
}

// Address is where the link listens.
func (l *Link) Address() string { return l.listener.Addr().String() }

// Cut resets all connections, and new ones as soon as they are made.
func (l *Link) Cut() { l.set(state{cut: true}) }

// Stall holds back all bytes in both directions and loses none, as a network does that drops packets until they are sent
// again. New connections are made and then stall.
func (l *Link) Stall() { l.set(state{stalled: true}) }

// Delay lets whatever is sent arrive later.
func (l *Link) Delay(by time.Duration) { l.set(state{delay: by}) }

// Heal ends what is wrong.
func (l *Link) Heal() { l.set(state{}) }

func (l *Link) set(s state) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = s
	close(l.change)
	l.change = make(chan struct{})
	if s.cut {
		l.resetAll()
	}
}

// resetAll resets all connections. The caller holds the lock.
func (l *Link) resetAll() {
	for c := range l.conns {
		reset(c)
	}
}

func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0) // If that fails it is closed in the ordinary way.
	}
	c.Close()
}

func (l *Link) close() {
	l.mu.Lock()
	l.closed = true
	l.resetAll()
	close(l.change)
	l.change = make(chan struct{})
	l.mu.Unlock()
	l.listener.Close()
	l.wait.Wait()
}

func (l *Link) accept() {
	for {
		c, err := l.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		if l.add(c) {
			l.wait.Go(func() { l.pass(c) })
		}
	}
}

// add notes a connection, unless there can't be one now.
func (l *Link) add(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.state.cut {
		reset(c)
		return false
	}
	l.conns[c] = true
	return true
}

func (l *Link) remove(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// pass serves one connection to its end.
func (l *Link) pass(from net.Conn) {
	defer l.remove(from)
	defer from.Close()
	if !l.ready(from) {
		return
	}
	to, err := net.Dial("tcp", l.target)
	if err != nil {
		reset(from)
		return
	}
	if !l.add(to) {
		reset(from)
		return
	}
	defer l.remove(to)
	defer to.Close()
	var both sync.WaitGroup
	both.Go(func() { l.copy(to, from) })
	both.Go(func() { l.copy(from, to) })
	both.Wait()
}

// copy passes on bytes, and then their end.
func (l *Link) copy(to, from net.Conn) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !l.ready(from) {
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				reset(from)
				return
			}
		}
		switch {
		case err == nil:
		case err == io.EOF && l.ready(from):
			if t, ok := to.(*net.TCPConn); ok {
				t.CloseWrite() // The other direction finds out if it failed.
			}
			return
		default:
			reset(to)
			return
		}
	}
}

// ready waits until bytes may pass, and reports false if the connection is gone by then.
func (l *Link) ready(c net.Conn) bool {
	delayed := false
	for {
		l.mu.Lock()
		s, change, there := l.state, l.change, l.conns[c] && !l.closed
		l.mu.Unlock()
		switch {
		case !there || s.cut:
			return false
		case s.stalled:
			<-change
		case s.delay > 0 && !delayed:
			delayed = true
			select {
			case <-time.After(s.delay):
			case <-change:
			}
		default:
			return true
		}
	}
}
