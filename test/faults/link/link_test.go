package link_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/test/faults/link"
)

// echo is a server that sends lines back.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

type conn struct {
	net.Conn
	lines *bufio.Reader
}

func dial(t *testing.T, l *link.Link) conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return conn{c, bufio.NewReader(c)}
}

// knock makes a connection that should be reset, which may show at any time.
func knock(l *link.Link) error {
	c, err := net.Dial("tcp", l.Address())
	if err != nil {
		return err
	}
	defer c.Close()
	return conn{c, bufio.NewReader(c)}.hears("", long)
}

// says sends a line and waits for it to come back.
func (c conn) says(line string, patience time.Duration) error {
	if _, err := fmt.Fprintln(c, line); err != nil {
		return err
	}
	return c.hears(line, patience)
}

func (c conn) hears(line string, patience time.Duration) error {
	c.SetReadDeadline(time.Now().Add(patience))
	got, err := c.lines.ReadString('\n')
	if err == nil && strings.TrimSpace(got) != line {
		err = fmt.Errorf("heard %q", got)
	}
	return err
}

const long, short = 10 * time.Second, 50 * time.Millisecond

func TestCut(t *testing.T) {
	t.Parallel()
	l := link.New(t, echo(t))
	c := dial(t, l)
	if err := c.says("a", long); err != nil {
		t.Fatal(err)
	}
	l.Cut()
	if err := c.hears("", long); err == nil || timeout(err) {
		t.Errorf("the connection is not reset: %v", err)
	}
	if err := knock(l); err == nil || timeout(err) {
		t.Errorf("a new connection is not reset: %v", err)
	}
	l.Heal()
	if err := dial(t, l).says("c", long); err != nil {
		t.Errorf("it did not heal: %v", err)
	}
}

func timeout(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

func TestStall(t *testing.T) {
	t.Parallel()
	l := link.New(t, echo(t))
	c := dial(t, l)
	if err := c.says("a", long); err != nil {
		t.Fatal(err)
	}
	l.Stall()
	fresh := dial(t, l)
	for _, stalled := range []conn{c, fresh} {
		if err := stalled.says("b", short); !timeout(err) {
			t.Errorf("it does not stall: %v", err)
		}
	}
	l.Heal()
	for _, healed := range []conn{c, fresh} {
		if err := healed.hears("b", long); err != nil {
			t.Errorf("what was held back is lost: %v", err)
		}
	}
	l.Stall()
	if err := c.says("c", short); !timeout(err) {
		t.Errorf("it does not stall: %v", err)
	}
	l.Cut()
	if err := c.hears("c", long); err == nil || timeout(err) {
		t.Errorf("a stalled connection is not reset: %v", err)
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	l := link.New(t, echo(t))
	c := dial(t, l)
	l.Delay(short)
	began := time.Now()
	if err := c.says("a", long); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 2*short {
		t.Errorf("there and back took %v", took)
	}
}

// TestGone resets connections to a server that is not there, and passes on the end of what is sent.
func TestGone(t *testing.T) {
	t.Parallel()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	if err := knock(link.New(t, gone.Addr().String())); err == nil || timeout(err) {
		t.Errorf("nothing listens, and it is %v", err)
	}
	c := dial(t, link.New(t, echo(t)))
	if err := c.says("a", long); err != nil {
		t.Fatal(err)
	}
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := c.hears("", long); err != io.EOF {
		t.Errorf("the end arrives as %v", err)
	}
}

func TestFaulty(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	var host atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		host.Store(r.Host)
		io.Copy(w, r.Body)
	}))
	t.Cleanup(server.Close)
	f := link.NewFaulty(t, server.Listener.Addr().String())
	put := func() (int, string) {
		t.Helper()
		r, err := http.NewRequest(http.MethodPut, "http://"+f.Address()+"/bucket/key", strings.NewReader("bytes"))
		if err != nil {
			t.Fatal(err)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		body, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return a.StatusCode, string(body)
	}
	if status, body := put(); status != http.StatusOK || body != "bytes" || host.Load() != f.Address() {
		t.Errorf("it passes on %d %q for host %v", status, body, host.Load())
	}
	for _, c := range []struct {
		fault  link.Fault
		served int64
	}{{link.Fault{Status: 503}, 1}, {link.Fault{Status: 500, After: true}, 2}, {link.Fault{Status: 500, Stall: short}, 2}} {
		f.Set(func(*http.Request) link.Fault { return c.fault })
		began := time.Now()
		if status, _ := put(); status != c.fault.Status || served.Load() != c.served || time.Since(began) < c.fault.Stall {
			t.Errorf("%+v: status %d, %d served", c.fault, status, served.Load())
		}
	}
	if f.Injected() != 3 {
		t.Errorf("%d injected", f.Injected())
	}
	f.Set(nil)
	if status, _ := put(); status != http.StatusOK {
		t.Errorf("status %d after the faults", status)
	}
}
