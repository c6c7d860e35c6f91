package ecr_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/coffer-registry/coffer/internal/store/pgtest"

	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Around(m)) }

// call is a call of an operation and its answer: JSON, or for an error its code, a colon and its message. Both are
// expanded: ${digest:NAME}, ${size:NAME}, ${body:NAME} and ${base64:NAME} speak of the contents of the script, ${now} is
// the clock in seconds, and other names are values. "${=NAME}" as a string in an answer stands for any string and names it.
type call struct {
	name, operation, in, want string
	// before runs before the call.
	before func(*session)
}

// script is a row of calls to a server of its own, which has the repository team/app.
type script struct {
	name     string
	options  []coffertest.Option
	contents map[string]string
	setup    func(*session)
	calls    []call
}

// session is a script that runs.
type session struct {
	*coffertest.Server
	t        *testing.T
	clock    *coffertest.FakeClock
	contents map[string]string
	values   map[string]string
}

// TestCalls is what the API answers, call by call.
func TestCalls(t *testing.T) {
	for _, s := range slices.Concat(repositoryScripts, registryScripts, resourceTagScripts, layerScripts, uploadScripts, imageScripts,
		imageListScripts, referrerScripts, pageScripts) {
		t.Run(s.name, func(t *testing.T) { s.run(t) })
	}
}

func (s script) run(t *testing.T) {
	w := start(t, s.options...)
	w.contents = s.contents
	if s.setup != nil {
		s.setup(w)
	}
	for _, c := range s.calls {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			if c.before != nil {
				c.before(w)
			}
			w.call(c)
		})
	}
}

func start(t *testing.T, options ...coffertest.Option) *session {
	clock := coffertest.NewClock()
	server := coffertest.Start(t, append(options, coffertest.Clock(clock.Now))...)
	w := &session{Server: server, t: t, clock: clock, values: map[string]string{
		"host": strings.Replace(strings.TrimPrefix(server.URL, "http://"), "127.0.0.1", "localhost", 1), "token": server.Token(),
	}}
	w.CreateRepository("team/app")
	return w
}

func (w *session) call(c call) {
	w.t.Helper()
	status := http.StatusOK
	want := w.expand(c.want)
	if code, message, isError := strings.Cut(want, ": "); isError && !strings.HasPrefix(want, "{") {
		text, _ := json.Marshal(map[string]string{"__type": code, "message": message})
		want = string(text)
	}
	if strings.Contains(want, `"__type"`) {
		status = http.StatusBadRequest
	}
	got := w.ECR(c.operation, w.expand(c.in))
	wanted, answered := parse(w.t, []byte(want)), parse(w.t, got.Body)
	w.capture(wanted, answered)
	if diff := cmp.Diff(wanted, answered); diff != "" || got.Status != status {
		w.t.Fatalf("status %d, want %d: -want +got\n%s", got.Status, status, diff)
	}
}

func parse(t *testing.T, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// capture names strings of the answer, and puts them where the expected answer leaves them open.
func (w *session) capture(want, got any) {
	switch want := want.(type) {
	case map[string]any:
		got, _ := got.(map[string]any)
		for name, value := range want {
			if text, ok := got[name].(string); ok {
				if open, _ := value.(string); strings.HasPrefix(open, "${=") {
					w.values[strings.Trim(open, "${=}")] = text
					want[name] = text
				}
			}
			w.capture(value, got[name])
		}
	case []any:
		got, _ := got.([]any)
		for i := range min(len(want), len(got)) {
			w.capture(want[i], got[i])
		}
	}
}

func (w *session) expand(text string) string {
	return os.Expand(text, func(name string) string {
		kind, content, _ := strings.Cut(name, ":")
		body, known := w.contents[content]
		switch {
		case strings.HasPrefix(name, "="):
			return "${" + name + "}"
		case name == "$": // "$$" is a dollar
			return name
		case name == "now":
			return strconv.FormatInt(w.clock.Now().Unix(), 10)
		case !known:
		case kind == "digest":
			return coffertest.Digest([]byte(body))
		case kind == "size":
			return strconv.Itoa(len(body))
		case kind == "base64":
			return base64.StdEncoding.EncodeToString([]byte(body))
		case kind == "body":
			quoted, _ := json.Marshal(body)
			return string(quoted)
		}
		value, known := w.values[name]
		if !known {
			w.t.Fatalf("nothing is called %q", name)
		}
		return value
	})
}

// allowAll is a policy that allows everything to whoever is authenticated.
func allowAll(r policy.Request) policy.Decision {
	return policy.Decision{Allowed: r.Principal.ARN != ""}
}

func noRepository(name, account string) string {
	return fmt.Sprintf("RepositoryNotFoundException: The repository with name '%s' does not exist in the registry with id '%s'", name, account)
}

// deniedAcross is the refusal of what belongs to another account, as long as no policy can allow it.
func deniedAcross(action, name string) string {
	return "AccessDeniedException: User: arn:aws:iam::123456789012:root is not authorized to perform: " + action +
		" on resource: arn:aws:ecr:us-east-1:999999999999:repository/" + name + " because no resource-based policy allows the " + action + " action"
}

func invalid(field, reason string) string {
	return "InvalidParameterException: Invalid parameter at '" + field + "' failed to satisfy constraint: '" + reason + "'"
}
