package faults

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/ecrtext"
	"github.com/coffer-registry/coffer/test/client"
)

// answers counts what came, and keeps what must not come whatever fails.
type answers struct {
	mu         sync.Mutex
	counts     map[string]int
	well       bool // nothing fails any more, so that all must be answered
	unexpected []string
}

// mostUnexpected bounds what is kept.
const mostUnexpected = 30

// note looks at one answer. A server that can't do what it is asked for says so with 503 and a reason, or in ECR's protocol that
// the tags changed; a proxy whose servers don't answer may also say 502 or 504 in its own words.
func (n *answers) note(at time.Duration, via string, e entry, a client.Answer, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.counts == nil {
		n.counts = map[string]int{}
	}
	kind := "no answer"
	if err == nil {
		kind = fmt.Sprint(a.Status)
	}
	n.counts[kind]++
	if n.well && (err != nil || a.Status >= http.StatusInternalServerError) {
		n.add(at, via, fmt.Sprintf("all is well again: %v, %v", a, err))
	}
	if err != nil || a.Status < http.StatusInternalServerError {
		return
	}
	own := a.Code() != "" || a.Header.Get("Content-Type") == "application/json"
	switch {
	case a.Status == http.StatusServiceUnavailable && (own || len(a.Body) == 0):
	case a.Code() == "ServerException" && strings.Contains(string(a.Body), ecrtext.TagsChanged):
	case e.proxy && !own && (a.Status == http.StatusBadGateway || a.Status == http.StatusServiceUnavailable || a.Status == http.StatusGatewayTimeout):
	default:
		n.add(at, via, fmt.Sprintf("a failure is told as %v", a))
	}
}

// expectAll says that nothing fails any more.
func (n *answers) expectAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.well = true
}

func (n *answers) add(at time.Duration, via, text string) {
	if n.unexpected = append(n.unexpected, fmt.Sprintf("%.3f %s: %s", at.Seconds(), via, text)); len(n.unexpected) > 10*mostUnexpected {
		n.unexpected = n.unexpected[:10*mostUnexpected]
	}
}

// unexpected notes an answer that no fault explains.
func (l *load) unexpected(s sent, what string) {
	l.answers.mu.Lock()
	defer l.answers.mu.Unlock()
	l.answers.add(l.log.Now(), s.via, fmt.Sprintf("%s: %v", what, s.answer))
}

func (n *answers) report(t *testing.T) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(n.counts)) {
		parts = append(parts, fmt.Sprintf("%s: %d", kind, n.counts[kind]))
	}
	t.Logf("answers: %s", strings.Join(parts, ", "))
	for i, text := range n.unexpected {
		if i == mostUnexpected {
			t.Errorf("and %d more answers", len(n.unexpected)-i)
			break
		}
		t.Error(text)
	}
}
