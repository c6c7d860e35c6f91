package ociserver_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/coffer-registry/coffer/internal/store/pgtest"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Around(m)) }

// exchange is a request and its answer, as they are on the wire. Both are expanded: ${digest:NAME}, ${size:NAME} and
// ${body:NAME} speak of the contents of the script, ${NAME} is one of its values, and ${=NAME} in an answer stands for
// whatever is there and names it.
//
// A request gets the headers Host, Authorization and Content-Length unless it has them; "Authorization:" alone is none,
// and with "Transfer-Encoding: chunked" its body is sent in two chunks. An answer shows all headers but those that each
// has, which are checked for all of them: Date, Content-Length, Docker-Distribution-Api-Version and X-Amzn-Requestid.
type exchange struct {
	name, request, response string
	// before runs before the request is sent.
	before func(*session)
}

// script is a conversation with a server of its own.
type script struct {
	name      string
	options   []coffertest.Option
	contents  map[string]string
	setup     func(*session)
	exchanges []exchange
}

// session is a script that runs.
type session struct {
	*coffertest.Server
	t        *testing.T
	clock    *coffertest.FakeClock
	contents map[string]string
	values   map[string]string
}

// TestExchanges is the protocol: what goes over the wire, request by request.
func TestExchanges(t *testing.T) {
	for _, s := range slices.Concat(authScripts, uploadScripts, blobScripts, manifestScripts, referrerScripts, deleteScripts, listScripts, errorScripts) {
		t.Run(s.name, func(t *testing.T) { s.run(t) })
	}
}

func (s script) run(t *testing.T) {
	clock := coffertest.NewClock()
	server := coffertest.Start(t, append(s.options, coffertest.Clock(clock.Now))...)
	w := &session{Server: server, t: t, clock: clock, contents: maps.Clone(s.contents), values: map[string]string{
		"token": server.Token(), "host": strings.TrimPrefix(server.URL, "http://"),
	}}
	server.CreateRepository("team/app")
	if s.setup != nil {
		s.setup(w)
	}
	for _, e := range s.exchanges {
		t.Run(e.name, func(t *testing.T) {
			w.t = t
			if e.before != nil {
				e.before(w)
			}
			w.exchange(e)
		})
	}
}

func (w *session) exchange(e exchange) {
	w.t.Helper()
	want := strings.TrimPrefix(w.expand(e.response), "\n")
	got := w.send(e.request)
	pattern, names := captures(want)
	match := pattern.FindStringSubmatch(got)
	if match == nil {
		w.t.Fatalf("-want +got\n%s", cmp.Diff(want, got))
	}
	for i, name := range names {
		w.values[name] = match[i+1]
	}
}

var capture = regexp.MustCompile(`\$\{=(\w+)\}`)

// captures turns an expected answer into a pattern, and names its groups.
func captures(want string) (pattern *regexp.Regexp, names []string) {
	var b strings.Builder
	at := 0
	for _, m := range capture.FindAllStringSubmatchIndex(want, -1) {
		b.WriteString(regexp.QuoteMeta(want[at:m[0]]) + `([^\s/]+)`)
		names = append(names, want[m[2]:m[3]])
		at = m[1]
	}
	return regexp.MustCompile(`\A` + b.String() + regexp.QuoteMeta(want[at:]) + `\z`), names
}

func (w *session) expand(text string) string {
	return os.Expand(text, func(name string) string {
		kind, content, _ := strings.Cut(name, ":")
		body, known := w.contents[content]
		switch {
		case strings.HasPrefix(name, "="):
			return "${" + name + "}"
		case kind == "digest" && known:
			return coffertest.Digest([]byte(body))
		case kind == "size" && known:
			return strconv.Itoa(len(body))
		case kind == "body" && known:
			return body
		}
		value, known := w.values[name]
		if !known {
			w.t.Fatalf("nothing is called %q", name)
		}
		return value
	})
}

// send sends a request on a connection of its own and writes down the answer.
func (w *session) send(request string) string {
	w.t.Helper()
	head, body, _ := strings.Cut(strings.TrimPrefix(request, "\n"), "\n\n")
	conn, err := net.Dial("tcp", w.values["host"])
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	method, _, _ := strings.Cut(head, " ")
	if _, err := io.WriteString(conn, w.wire(strings.TrimSpace(head), w.expand(body))); err != nil {
		w.t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	w.checkCommon(method, response, got)
	return write(response, got)
}

// wire completes a request.
func (w *session) wire(head, body string) string {
	lines := strings.Split(w.expand(head), "\n")
	has := func(name string) bool {
		return slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, name+":") })
	}
	if !has("Host") {
		lines = append(lines, "Host: "+w.values["host"])
	}
	if !has("Authorization") {
		lines = append(lines, "Authorization: Basic "+w.values["token"])
	}
	switch {
	case has("Transfer-Encoding"):
		half := len(body) / 2
		body = fmt.Sprintf("%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", half, body[:half], len(body)-half, body[half:])
	case !has("Content-Length") && body != "":
		lines = append(lines, "Content-Length: "+strconv.Itoa(len(body)))
	}
	lines = slices.DeleteFunc(lines, func(l string) bool { return l == "Authorization:" })
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + body
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func (w *session) checkCommon(method string, r *http.Response, body []byte) {
	w.t.Helper()
	if got := r.Header.Get("Docker-Distribution-Api-Version"); got != "registry/2.0" {
		w.t.Errorf("Docker-Distribution-Api-Version: %q", got)
	}
	if got := r.Header.Get("X-Amzn-Requestid"); !uuid.MatchString(got) {
		w.t.Errorf("X-Amzn-Requestid: %q", got)
	}
	length := strconv.Itoa(len(body))
	if r.StatusCode == http.StatusNoContent || r.StatusCode == http.StatusNotModified {
		length = ""
	}
	if got := r.Header.Get("Content-Length"); got != length && method != http.MethodHead {
		w.t.Errorf("Content-Length: %q, the body has %d bytes", got, len(body))
	}
	if method != http.MethodHead {
		r.Header.Del("Content-Length")
	}
	if got := r.Header.Get("X-Content-Type-Options"); got != "nosniff" {
		w.t.Errorf("X-Content-Type-Options: %q", got)
	}
	for _, name := range []string{"Docker-Distribution-Api-Version", "X-Amzn-Requestid", "Date", "X-Content-Type-Options"} {
		r.Header.Del(name)
	}
}

// write is an answer as the tables show it.
func write(r *http.Response, body []byte) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d\n", r.StatusCode)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, value := range r.Header[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	b.WriteString("\n")
	b.Write(body)
	return b.String()
}

// refusal is an answer that reports an error.
func refusal(status int, code, message string) string {
	return fmt.Sprintf("%d\nContent-Type: application/json\n\n{\"errors\":[{\"code\":\"%s\",\"message\":\"%s\"}]}", status, code, message)
}
