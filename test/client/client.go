// Package client speaks to a server that may die at any moment, in both of its protocols, and makes what is pushed to it.
package client

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

// Client speaks to a server that may die at any moment: an error means that the answer did not come, so that what was
// asked for may or may not have happened. It is safe for concurrent use.
type Client struct {
	URL  string
	HTTP http.Client
	Root sigv4.Credentials

	token string
	// requests counts those that were sent, each of which leaves at most one record in the trail.
	requests atomic.Int64

	mu sync.Mutex
	// changed holds, by the request ids that the server gave, the changes that were acknowledged.
	changed map[string]string
}

// Answer is a response that was read whole.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// New is a client of a server with the root access key of tests.
func New(url string) *Client {
	root := sigv4.Credentials{AccessKeyID: coffertest.AccessKeyID, Secret: secret.New(coffertest.SecretAccessKey)}
	return &Client{URL: url, Root: root, changed: map[string]string{}, HTTP: http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Login gets the registry token.
func (c *Client) Login(ctx context.Context) error {
	var out struct {
		AuthorizationData []struct{ AuthorizationToken string }
	}
	a, err := c.ECR(ctx, "GetAuthorizationToken", struct{}{}, &out)
	if err != nil {
		return err
	}
	if len(out.AuthorizationData) != 1 {
		return fmt.Errorf("GetAuthorizationToken: %v", a)
	}
	c.token = out.AuthorizationData[0].AuthorizationToken
	return nil
}

func (c *Client) do(r *http.Request, name string, change bool) (Answer, error) {
	c.requests.Add(1)
	response, err := c.HTTP.Do(r)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return Answer{}, err
	}
	if change && response.StatusCode < 300 {
		c.mu.Lock()
		c.changed[response.Header.Get("X-Amzn-Requestid")] = name
		c.mu.Unlock()
	}
	return Answer{response.StatusCode, response.Header, body}, nil
}

// V2 sends a request under /v2/ with a registry token. Headers are pairs of name and value.
func (c *Client) V2(ctx context.Context, method, path string, body []byte, headers ...string) (Answer, error) {
	return c.V2Body(ctx, method, path, bytes.NewReader(body), headers...)
}

func (c *Client) V2Body(ctx context.Context, method, path string, body io.Reader, headers ...string) (Answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.URL+"/v2/"+path, body)
	if err != nil {
		return Answer{}, err
	}
	if b, ok := body.(Sized); ok {
		r.ContentLength = int64(b.Size)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	r.Header.Set("Authorization", "Basic "+c.token)
	return c.do(r, method+" "+path, method != http.MethodGet && method != http.MethodHead)
}

// ECR calls an operation with the root access key and decodes its result into out unless that is nil or the call fails.
func (c *Client) ECR(ctx context.Context, operation string, in, out any) (Answer, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return Answer{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+"/", bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921."+operation)
	if err := sigv4.Sign(r, body, c.Root, sigv4.Scope{Region: coffertest.Region, Service: "ecr"}, time.Now()); err != nil {
		return Answer{}, err
	}
	a, err := c.do(r, operation+" "+string(body[:min(len(body), 200)]), !readOnly(operation))
	if err != nil || a.Status != http.StatusOK || out == nil {
		return a, err
	}
	return a, json.Unmarshal(a.Body, out)
}

func readOnly(operation string) bool {
	for _, prefix := range []string{"Get", "List", "Describe", "BatchGet", "BatchCheck"} {
		if strings.HasPrefix(operation, prefix) {
			return true
		}
	}
	return false
}

// Acknowledged takes the acknowledged changes out of the client.
func (c *Client) Acknowledged() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.changed
	c.changed = map[string]string{}
	return taken
}

// Code is the name of the error in an Answer, in either protocol; empty if there is none.
func (a Answer) Code() string {
	var body struct {
		Type   string `json:"__type"`
		Errors []struct{ Code string }
	}
	if json.Unmarshal(a.Body, &body) != nil {
		return ""
	}
	if len(body.Errors) > 0 {
		return body.Errors[0].Code
	}
	return body.Type
}

func (a Answer) String() string {
	return fmt.Sprintf("status %d: %s", a.Status, bytes.TrimSpace(a.Body[:min(len(a.Body), 1000)]))
}

// Must returns a function that ends the test unless a request was answered with a status.
func Must(t *testing.T, status int) func(Answer, error) Answer {
	return func(a Answer, err error) Answer {
		t.Helper()
		if err != nil || a.Status != status {
			t.Fatalf("want status %d: %v, %v", status, a, err)
		}
		return a
	}
}

// Sized is a body whose length is known.
type Sized struct {
	io.Reader
	Size int
}

// Requests is how many requests were sent.
func (c *Client) Requests() int64 { return c.requests.Load() }

// Close closes the connections that no request uses.
func (c *Client) Close() { c.HTTP.CloseIdleConnections() }

// Location is where an upload goes on, below /v2/.
func (a Answer) Location() string { return strings.TrimPrefix(a.Header.Get("Location"), "/v2/") }

// Page gets a page of a list of ECR's, of 100 things, after what came with the one before.
func (c *Client) Page(ctx context.Context, operation string, in map[string]any, next string, out any) error {
	in["maxResults"] = 100
	if next != "" {
		in["nextToken"] = next
	}
	a, err := c.ECR(ctx, operation, in, out)
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("%s: %v", operation, a)
	}
	return err
}

// PullImage pulls a manifest and all layers that were not pulled already, and compares every byte.
func (c *Client) PullImage(ctx context.Context, repository, reference string, i *Image, pulled map[string]bool) error {
	a, err := c.V2(ctx, http.MethodGet, repository+"/manifests/"+reference, nil)
	if err != nil {
		return err
	}
	if a.Status != http.StatusOK || !bytes.Equal(a.Body, i.Manifest) || a.Header.Get("Docker-Content-Digest") != i.Digest || a.Header.Get("Content-Type") != i.MediaType {
		return fmt.Errorf("manifest %s is not that of %s, a %s: %v %v", reference, i.Digest, i.MediaType, a.Header, a)
	}
	for _, b := range i.Blobs {
		if pulled[b.Digest] {
			continue
		}
		pulled[b.Digest] = true
		if err := c.PullBlob(ctx, repository, b); err != nil {
			return err
		}
	}
	return nil
}

// PullBlob pulls a layer and compares every byte.
func (c *Client) PullBlob(ctx context.Context, repository string, b Blob) error {
	a, err := c.V2(ctx, http.MethodGet, repository+"/blobs/"+b.Digest, nil)
	if err != nil {
		return err
	}
	if a.Status != http.StatusOK {
		return fmt.Errorf("layer %s of %d bytes: %v", b.Digest, len(b.Bytes), a)
	}
	if !bytes.Equal(a.Body, b.Bytes) {
		return fmt.Errorf("layer %s of %d bytes: %d other bytes", b.Digest, len(b.Bytes), len(a.Body))
	}
	return nil
}
