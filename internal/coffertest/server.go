// Package coffertest runs a whole server inside a test and speaks to it as clients do.
//
// It is for tests that need the parts put together; what one package promises is tested beside it, without this one.
package coffertest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/sigv4"
	"github.com/coffer-registry/coffer/internal/store/storetest"
)

// The root access key of the servers of tests: the example of the AWS documentation.
const (
	AccessKeyID     = "AKIAIOSFODNN7EXAMPLE"
	SecretAccessKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

// Account and Region are those of the servers of tests.
const (
	Account = "123456789012"
	Region  = "us-east-1"
)

// Server is a running server.
type Server struct {
	*app.Server
	// URL is where it answers.
	URL string
	// Config is what it was started with.
	Config app.Config
	// Client follows no redirects and keeps connections until the test ends.
	Client *http.Client

	// Host is the name under which /v2/ is asked for, such as 999999999999.dkr.ecr.us-east-1.example.com; empty is the
	// address.
	Host string
	// Credentials sign what it sends; those of the root unless As says otherwise.
	Credentials Credentials

	t   testing.TB
	now func() time.Time
}

// Credentials are an access key, with the session token of temporary ones.
type Credentials struct{ AccessKeyID, SecretAccessKey, SessionToken string }

// rootCredentials are those of the servers of tests.
var rootCredentials = Credentials{AccessKeyID: AccessKeyID, SecretAccessKey: SecretAccessKey}

// As returns a client of the same server that signs with other credentials. It can't stop the server.
func (s *Server) As(c Credentials) *Server {
	other := *s
	other.Server, other.Credentials = nil, c
	return &other
}

// Option changes how a server is started.
type Option func(*app.Config, *app.Options)

// Data keeps the state in a folder that outlives the server.
func Data(dir string) Option { return func(c *app.Config, _ *app.Options) { c.Data = dir } }

// Limits sets limits.
func Limits(limits map[string]int64) Option {
	return func(c *app.Config, _ *app.Options) { c.Limits = limits }
}

// Clock sets the server's clock.
func Clock(now func() time.Time) Option { return func(_ *app.Config, o *app.Options) { o.Now = now } }

// TLS makes the server speak TLS with a certificate of its own making, which the client trusts.
func TLS() Option { return func(c *app.Config, _ *app.Options) { c.TLSDev = true } }

// Configure changes the configuration.
func Configure(change func(*app.Config)) Option {
	return func(c *app.Config, _ *app.Options) { change(c) }
}

// Config is a configuration with free ports, the root access key of tests, and its state in a folder of the test's.
func Config(t testing.TB) app.Config {
	return app.Config{Data: t.TempDir() + "/data", Listen: "127.0.0.1:0", Account: Account, Region: []string{Region},
		RootAccessKeyID: AccessKeyID, RootSecretAccessKey: secret.New(SecretAccessKey)}
}

// Start starts a server that is stopped with the test.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	c, o := Config(t), app.Options{Log: slog.New(slog.NewTextHandler(testLog{t}, nil)), PasswordRounds: 1000}
	for _, option := range options {
		option(&c, &o)
	}
	if storetest.Reruns() {
		o.BeforeCommit = storetest.Rerun
	}
	if storetest.OnPostgreSQL() && c.Database == "" {
		c.Database = storetest.URL(t, c.Data)
	}
	server, err := app.Start(context.Background(), c, o)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	s := At(t, server.URL())
	s.Server, s.Config = server, c
	if path := server.CAPath(); path != "" {
		s.Trust(path)
	}
	if o.Now != nil {
		s.now = o.Now
	}
	t.Cleanup(s.Stop)
	return s
}

// At speaks to a server that the test started some other way, such as a process with the root access key of tests. There
// is no Server in it, and nothing to stop.
func At(t testing.TB, url string) *Server {
	s := &Server{URL: url, Credentials: rootCredentials, t: t, now: time.Now, Client: &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	t.Cleanup(s.Client.CloseIdleConnections)
	return s
}

// Trust makes the client trust the authorities of a file, and those alone, and take part in HTTP/2. Each connection shows the
// certificates, if the server asks for one.
func (s *Server) Trust(path string, certificates ...tls.Certificate) {
	s.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		s.t.Fatalf("there is no certificate in %s", path)
	}
	client := *s.Client
	transport := &http.Transport{MaxIdleConnsPerHost: 64, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: certificates}}
	client.Transport = transport
	s.t.Cleanup(transport.CloseIdleConnections)
	s.Client = &client
}

// Stop stops the server, once.
func (s *Server) Stop() {
	if s.Server == nil {
		return
	}
	s.Client.CloseIdleConnections()
	if err := s.Server.Stop(); err != nil {
		s.t.Errorf("stop: %v", err)
	}
	s.Server = nil
}

// testLog gives the server's log to the test.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("server: %s", bytes.TrimSpace(p))
	return len(p), nil
}

// Response is an answer that was read whole.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Code is the name of the error of an AWS call, or of the first of a /v2/ answer; empty if there is none.
func (r Response) Code() string { return r.field("__type", "code") }

// Message is the text of the error.
func (r Response) Message() string { return r.field("message", "message") }

func (r Response) field(aws, v2 string) string {
	if bytes.HasPrefix(r.Body, []byte("<")) {
		return r.Text(strings.ToUpper(v2[:1]) + v2[1:])
	}
	var body map[string]any
	if json.Unmarshal(r.Body, &body) != nil {
		return ""
	}
	if list, ok := body["errors"].([]any); ok && len(list) > 0 {
		first, _ := list[0].(map[string]any)
		text, _ := first[v2].(string)
		return text
	}
	text, _ := body[aws].(string)
	return text
}

// Do sends a request and reads the answer.
func (s *Server) Do(r *http.Request) Response {
	s.t.Helper()
	resp, err := s.Client.Do(r)
	if err != nil {
		s.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: read the answer: %v", r.Method, r.URL, err)
	}
	return Response{Status: resp.StatusCode, Header: resp.Header, Body: body}
}

// Request makes a request to the server; the body may be nil. Headers are pairs of name and value.
func (s *Server) Request(method, path string, body io.Reader, headers ...string) *http.Request {
	s.t.Helper()
	r, err := http.NewRequest(method, s.URL+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// ECR calls an operation of ECR. in is encoded as JSON, unless it is a string, which is sent as
// it is.
func (s *Server) ECR(operation string, in any) Response {
	s.t.Helper()
	return s.json("ecr", "AmazonEC2ContainerRegistry_V20150921."+operation, in)
}

// json calls an operation of a service that speaks awsJson.
func (s *Server) json(service, target string, in any) Response {
	s.t.Helper()
	text, raw := in.(string)
	body := []byte(text)
	if !raw {
		var err error
		if body, err = json.Marshal(in); err != nil {
			s.t.Fatal(err)
		}
	}
	r := s.Request(http.MethodPost, "/", bytes.NewReader(body), "Content-Type", "application/x-amz-json-1.1", "X-Amz-Target", target)
	s.Sign(r, body, service)
	return s.Do(r)
}

// MustECR calls an operation of ECR that must succeed, and decodes what it answers into out unless that is nil.
func (s *Server) MustECR(operation string, in, out any) {
	s.t.Helper()
	s.decode(operation, s.ECR(operation, in), out)
}

// decode wants an answer to be one of success, and decodes it into out unless that is nil.
func (s *Server) decode(operation string, r Response, out any) {
	s.t.Helper()
	if r.Status != http.StatusOK {
		s.t.Fatalf("%s: status %d: %s", operation, r.Status, r.Body)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(r.Body, out); err != nil {
		s.t.Fatalf("%s: %v", operation, err)
	}
}

// Sign signs a request to a service.
func (s *Server) Sign(r *http.Request, body []byte, service string) {
	s.t.Helper()
	s.SignAt(r, body, service, s.now())
}

// SignAt signs as Sign does, by another clock than the server's.
func (s *Server) SignAt(r *http.Request, body []byte, service string, now time.Time) {
	s.t.Helper()
	err := sigv4.Sign(r, body, sigv4.Credentials{AccessKeyID: s.Credentials.AccessKeyID,
		Secret: secret.New(s.Credentials.SecretAccessKey), SessionToken: secret.New(s.Credentials.SessionToken)},
		sigv4.Scope{Region: Region, Service: service}, now)
	if err != nil {
		s.t.Fatal(err)
	}
}

// Token returns a registry token, as docker login gets it: what comes after "Basic " in Authorization.
func (s *Server) Token() string {
	s.t.Helper()
	var out struct {
		AuthorizationData []struct{ AuthorizationToken string }
	}
	s.MustECR("GetAuthorizationToken", struct{}{}, &out)
	return out.AuthorizationData[0].AuthorizationToken
}

// V2 sends a request under /v2/ with a registry token of Token, or none. The body may be nil, a string, a []byte or an
// io.Reader.
func (s *Server) V2(token, method, path string, body any, headers ...string) Response {
	s.t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	case []byte:
		in = bytes.NewReader(b)
	case io.Reader:
		in = b
	default:
		s.t.Fatalf("a body of type %T", body)
	}
	r := s.Request(method, path, in, headers...)
	if s.Host != "" {
		r.Host = s.Host
	}
	if token != "" {
		r.Header.Set("Authorization", "Basic "+token)
	}
	return s.Do(r)
}
