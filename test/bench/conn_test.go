package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// fakeRegistry keeps blobs and manifests in memory. It puts off the first upload with 429, answers lists in chunks, and
// closes the connection after each manifest that it stores.
type fakeRegistry struct {
	mu          sync.Mutex
	blobs       map[string][]byte
	manifests   map[string][]byte
	busy        bool
	connections map[string]bool
	header      http.Header // of the last request
}

func (f *fakeRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.connections[r.RemoteAddr] = true
	f.header = r.Header.Clone()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	switch {
	case r.Method == "POST" && !f.busy:
		f.busy = true
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusTooManyRequests)
	case r.Method == "POST":
		w.Header().Set("Location", "http://"+r.Host+"/v2/a/blobs/uploads/1?state=x%2Fy")
		w.WriteHeader(http.StatusAccepted)
	case r.Method == "PUT" && r.URL.Query().Get("state") == "x/y":
		f.blobs[r.URL.Query().Get("digest")] = body
		w.WriteHeader(http.StatusCreated)
	case r.Method == "PUT":
		f.manifests[name] = body
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusCreated)
	case name == "list":
		for i := range 3 {
			fmt.Fprintf(w, "part %d,", i)
			w.(http.Flusher).Flush()
		}
	case f.manifests[name] != nil:
		w.Write(f.manifests[name])
	default:
		http.Error(w, "nothing here", http.StatusNotFound)
	}
}

// snapshot is what the registry has seen so far.
func (f *fakeRegistry) snapshot(digest string) (blob []byte, authorization string, connections int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.blobs[digest], f.header.Get("Authorization"), len(f.connections)
}

func TestConn(t *testing.T) {
	f := &fakeRegistry{blobs: map[string][]byte{}, manifests: map[string][]byte{}, connections: map[string]bool{}}
	s := httptest.NewServer(f)
	defer s.Close()
	c, err := target{addr: s.Listener.Addr().String(), auth: "Basic abc"}.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()

	src, err := newSource(3*mib + 5)
	if err != nil {
		t.Fatal(err)
	}
	b, err := src.blob(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.pushBlob("a", b); err != nil {
		t.Fatal(err)
	}
	got, authorization, connections := f.snapshot(b.digest)
	if int64(len(got)) != b.size || digestOf(got) != b.digest {
		t.Errorf("pushed %d bytes of %s, want %d of %s", len(got), digestOf(got), b.size, b.digest)
	}
	if authorization != "Basic abc" {
		t.Errorf("Authorization: %q", authorization)
	}
	if connections != 1 {
		t.Errorf("%d connections, want one that is kept", connections)
	}

	m := manifest(b, "x")
	if err := c.pushManifest("a", "x", m); err != nil {
		t.Fatal(err)
	}
	for range 2 { // on a connection of their own, for the server closed the first
		if got, err := c.get("/v2/a/manifests/x"); err != nil || !bytes.Equal(got, m) {
			t.Errorf("manifest = %q, %v", got, err)
		}
	}
	if _, _, n := f.snapshot(""); n != 2 {
		t.Errorf("%d connections, want a second one", n)
	}
	for range 2 {
		if got, err := c.get("/v2/a/tags/list"); err != nil || string(got) != "part 0,part 1,part 2," {
			t.Errorf("chunks = %q, %v", got, err)
		}
	}
	for _, method := range []string{"HEAD", "GET"} {
		head := c.target.request(nil, method, "/v2/a/manifests/x", "", -1)
		r, err := c.send(http.StatusOK, head)
		want := int64(len(m))
		if method == "HEAD" {
			want = 0
		}
		if err != nil || r.length != want {
			t.Errorf("%s: %d bytes, %v", method, r.length, err)
		}
	}
	if err := fetch(c, c.target.request(nil, "GET", "/v2/a/manifests/x", "", -1), 1); err == nil {
		t.Error("a body of another size was taken")
	}
	if _, err := c.expect(http.StatusOK, "GET", "/v2/a/manifests/y", ""); err == nil || !strings.Contains(err.Error(), "nothing here") {
		t.Errorf("a missing manifest: %v", err)
	}
	if _, _, n := f.snapshot(""); n != 2 {
		t.Errorf("%d connections after answers that were read whole", n)
	}
}

func TestBadAnswers(t *testing.T) {
	for _, answer := range []string{
		"",
		"SSH-2.0-x\r\n",
		"HTTP/1.1 2x0 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
		"HTTP/1.1 200 OK\r\n\r\n",
	} {
		t.Run(answer, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				nc.Read(make([]byte, 4096))
				io.WriteString(nc, answer)
				nc.Close()
			}()
			c, err := target{addr: l.Addr().String()}.dial()
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			if r, err := c.do("GET", "/", ""); err == nil {
				t.Errorf("taken as %+v", r)
			}
			if c.nc != nil {
				t.Error("the connection is kept")
			}
		})
	}
}

func TestUploadPath(t *testing.T) {
	tests := []struct{ location, want string }{
		{"/v2/a/blobs/uploads/1", "/v2/a/blobs/uploads/1?digest=sha256%3Aab"},
		{"http://h:1/v2/a/blobs/uploads/1?_state=x%2B", "/v2/a/blobs/uploads/1?_state=x%2B&digest=sha256%3Aab"},
		{"uploads/1", ""},
		{"", ""},
	}
	for _, tt := range tests {
		if got, err := uploadPath(tt.location, "sha256:ab"); got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("uploadPath(%q) = %q, %v; want %q", tt.location, got, err, tt.want)
		}
	}
}

func TestSource(t *testing.T) {
	if _, err := newSource(tailSize - 1); err == nil {
		t.Error("a source of blobs smaller than what tells them apart was made")
	}
	for _, size := range []int64{tailSize, kib, mib, mib + tailSize, 2*mib + 1} {
		s, err := newSource(size)
		if err != nil {
			t.Fatal(err)
		}
		seen := make(map[string]bool)
		for n := range uint64(3) {
			b, err := s.blob(n)
			if err != nil {
				t.Fatal(err)
			}
			whole := bytes.Join(b.parts, nil)
			if int64(len(whole)) != size || b.size != size || digestOf(whole) != b.digest || seen[b.digest] {
				t.Errorf("blob %d of %d bytes: %d bytes of %s, want %s, not seen before", n, size, len(whole), digestOf(whole), b.digest)
			}
			seen[b.digest] = true
		}
	}
}
