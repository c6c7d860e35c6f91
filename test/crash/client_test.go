package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/sigv4"
)

// client speaks to a server that may die at any moment: an error means that the answer did not come, so that what was
// asked for may or may not have happened. It is safe for concurrent use.
type client struct {
	url   string
	http  http.Client
	root  sigv4.Credentials
	token string
	// requests counts those that were sent, each of which leaves at most one record in the trail.
	requests atomic.Int64

	mu sync.Mutex
	// changed holds, by the request ids that the server gave, the changes that were acknowledged.
	changed map[string]string
}

// answer is a response that was read whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func newClient(url string) *client {
	root := sigv4.Credentials{AccessKeyID: coffertest.AccessKeyID, Secret: secret.New(coffertest.SecretAccessKey)}
	return &client{url: url, root: root, changed: map[string]string{}, http: http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// login gets the registry token.
func (c *client) login(ctx context.Context) error {
	var out struct {
		AuthorizationData []struct{ AuthorizationToken string }
	}
	a, err := c.ecr(ctx, "GetAuthorizationToken", struct{}{}, &out)
	if err != nil {
		return err
	}
	if len(out.AuthorizationData) != 1 {
		return fmt.Errorf("GetAuthorizationToken: %v", a)
	}
	c.token = out.AuthorizationData[0].AuthorizationToken
	return nil
}

func (c *client) do(r *http.Request, name string, change bool) (answer, error) {
	c.requests.Add(1)
	response, err := c.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	if change && response.StatusCode < 300 {
		c.mu.Lock()
		c.changed[response.Header.Get("X-Amzn-Requestid")] = name
		c.mu.Unlock()
	}
	return answer{response.StatusCode, response.Header, body}, nil
}

// v2 sends a request under /v2/ with a registry token. Headers are pairs of name and value.
func (c *client) v2(ctx context.Context, method, path string, body []byte, headers ...string) (answer, error) {
	return c.v2Body(ctx, method, path, bytes.NewReader(body), headers...)
}

func (c *client) v2Body(ctx context.Context, method, path string, body io.Reader, headers ...string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.url+"/v2/"+path, body)
	if err != nil {
		return answer{}, err
	}
	if b, ok := body.(sized); ok {
		r.ContentLength = int64(b.size)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	r.Header.Set("Authorization", "Basic "+c.token)
	return c.do(r, method+" "+path, method != http.MethodGet && method != http.MethodHead)
}

// ecr calls an operation with the root access key and decodes its result into out unless that is nil or the call fails.
func (c *client) ecr(ctx context.Context, operation string, in, out any) (answer, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return answer{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/", bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921."+operation)
	if err := sigv4.Sign(r, body, c.root, sigv4.Scope{Region: coffertest.Region, Service: "ecr"}, time.Now()); err != nil {
		return answer{}, err
	}
	a, err := c.do(r, operation+" "+string(body[:min(len(body), 200)]), !readOnly(operation))
	if err != nil || a.status != http.StatusOK || out == nil {
		return a, err
	}
	return a, json.Unmarshal(a.body, out)
}

func readOnly(operation string) bool {
	for _, prefix := range []string{"Get", "List", "Describe", "BatchGet", "BatchCheck"} {
		if strings.HasPrefix(operation, prefix) {
			return true
		}
	}
	return false
}

// acknowledged takes the acknowledged changes out of the client.
func (c *client) acknowledged() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.changed
	c.changed = map[string]string{}
	return taken
}

// code is the name of the error in an answer, in either protocol; empty if there is none.
func (a answer) code() string {
	var body struct {
		Type   string `json:"__type"`
		Errors []struct{ Code string }
	}
	if json.Unmarshal(a.body, &body) != nil {
		return ""
	}
	if len(body.Errors) > 0 {
		return body.Errors[0].Code
	}
	return body.Type
}

func (a answer) String() string {
	return fmt.Sprintf("status %d: %s", a.status, bytes.TrimSpace(a.body[:min(len(a.body), 1000)]))
}

// loggedIn is a client of a server with a registry token.
func loggedIn(t *testing.T, s *server) *client {
	t.Helper()
	c := newClient(s.url)
	t.Cleanup(c.http.CloseIdleConnections)
	if err := c.login(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// must returns a function that ends the test unless a request was answered with a status.
func must(t *testing.T, status int) func(answer, error) answer {
	return func(a answer, err error) answer {
		t.Helper()
		if err != nil || a.status != status {
			t.Fatalf("want status %d: %v, %v", status, a, err)
		}
		return a
	}
}
