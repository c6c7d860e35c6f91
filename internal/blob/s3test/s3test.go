// Package s3test runs a real S3 server for a test: versitygw, which test/setup builds, on a free port of loopback, with its
// objects in a folder of the test.
package s3test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/coffer-registry/coffer/internal/tlsconfig/tlstest"
)

// Credentials of the server's administrator, and its region.
const (
	AccessKey = "coffertest"
	Secret    = "a-secret-access-key-of-forty-characters."
	Region    = "eu-test-1"
)

// Server is a server of S3.
type Server struct {
	// Endpoint is its URL, which stays the same when it is started again.
	Endpoint string
	// Folder holds a folder for each bucket.
	Folder string

	t       testing.TB
	address string
	options []string
	// authority issued the certificate of a server that is reached by TLS; nil is of one that isn't.
	authority *tlstest.Authority
	process   *exec.Cmd
	ended     chan struct{} // closed when the process has ended
}

// Start starts a server, with more options of versitygw before the command posix. It is stopped when the test ends. The
// test is skipped if versitygw is not there and test/setup has not run on this machine; if that has, it fails.
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	return (&Server{t: t, options: options}).begin("http")
}

// StartTLS starts a server that is reached by TLS. Clients that the environment configures, and processes that the test starts, trust it.
func StartTLS(t testing.TB) *Server {
	t.Helper()
	Environment(t)
	authority := tlstest.NewAuthority(t)
	t.Setenv("AWS_CA_BUNDLE", authority.Write(t))
	certificate, key := authority.Issue(t, tlstest.Wanted{}).Write(t, t.TempDir())
	return (&Server{t: t, options: []string{"--cert", certificate, "--key", key}, authority: authority}).begin("https")
}

// begin starts the server for the first time, on a folder and an address of its own.
func (s *Server) begin(scheme string) *Server {
	s.t.Helper()
	s.Folder, s.address = s.t.TempDir(), freeAddress(s.t)
	s.Endpoint = scheme + "://" + s.address
	s.Restart()
	s.t.Cleanup(s.Stop)
	return s
}

// transport makes connections to the server.
func (s *Server) transport() *http.Transport {
	transport := &http.Transport{}
	if s.authority != nil {
		roots := x509.NewCertPool()
		roots.AddCert(s.authority.Certificate)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return transport
}

// Program finds versitygw, or skips or fails the test as Start does.
func Program(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("COFFER_TEST_DIR")
	required := dir != ""
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Skipf("no folder of programs: %v", err)
		}
		dir = filepath.Join(home, ".cache", "coffer-test")
	}
	path := filepath.Join(dir, "bin", "versitygw")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if path, err := exec.LookPath("versitygw"); err == nil {
		return path
	}
	if required {
		t.Fatal("versitygw is not installed: run test/setup")
	}
	t.Skip("versitygw is not installed: run test/setup")
	return ""
}

func freeAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Stop kills the server, as a crash does. It does nothing if it isn't running.
func (s *Server) Stop() {
	if s.process == nil {
		return
	}
	// It was asked to, so how it ends is no news.
	_ = s.process.Process.Kill()
	<-s.ended
	s.process = nil
}

// Signal sends a signal to the server: SIGSTOP makes it stall, until SIGCONT.
func (s *Server) Signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.process.Process.Signal(signal); err != nil {
		s.t.Fatalf("signal the S3 server: %v", err)
	}
}

// Restart starts the server again, on the same address and with the same objects, and waits until it answers.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	args := append([]string{"--port", s.address, "--region", Region, "--keep-alive", "--quiet"}, s.options...)
	s.process = exec.Command(Program(s.t), append(args, "posix", s.Folder)...)
	// The server is a program of others, to which a GODEBUG that enforces FIPS 140-3 doesn't apply.
	s.process.Env = append(os.Environ(), "GODEBUG=", "ROOT_ACCESS_KEY="+AccessKey, "ROOT_SECRET_KEY="+Secret)
	var output strings.Builder
	s.process.Stdout, s.process.Stderr = &output, &output
	s.process.SysProcAttr = endWithParent()
	if err := s.process.Start(); err != nil {
		s.t.Fatalf("start the S3 server: %v", err)
	}
	ended := make(chan struct{})
	s.ended = ended
	process := s.process
	go func() {
		_ = process.Wait() // the output says more
		close(ended)
	}()
	if err := s.answers(); err != nil {
		s.Stop()
		s.t.Fatalf("the S3 server doesn't answer: %v\n%s", err, output.String())
	}
}

// answers waits until the server does.
func (s *Server) answers() error {
	transport := s.transport()
	transport.DisableKeepAlives = true
	client := &http.Client{Transport: transport, Timeout: time.Second}
	deadline := time.After(20 * time.Second)
	for {
		response, err := client.Get(s.Endpoint)
		if err == nil {
			return response.Body.Close()
		}
		select {
		case <-s.ended:
			return errors.New("it has ended")
		case <-deadline:
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Bucket makes a bucket, and returns its name.
func (s *Server) Bucket(t testing.TB) string {
	t.Helper()
	id := make([]byte, 8)
	rand.Read(id)
	name := "bucket-" + hex.EncodeToString(id)
	if _, err := s.Client(t).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatalf("make a bucket: %v", err)
	}
	return name
}

// Client is a client of the administrator's, to look at what is in a bucket.
func (s *Server) Client(t testing.TB) *s3.Client {
	transport := s.transport()
	t.Cleanup(transport.CloseIdleConnections)
	return s3.New(s3.Options{BaseEndpoint: &s.Endpoint, Region: Region, UsePathStyle: true, HTTPClient: &http.Client{Transport: transport},
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired, ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: AccessKey, SecretAccessKey: Secret}, nil
		})})
}

// URL is that of a store in a bucket, with more parameters.
func (s *Server) URL(bucket string, parameters ...string) string {
	return URL(s.Endpoint, bucket, parameters...)
}

// URL is that of a store in a bucket of a server that is reached by an endpoint, such as a proxy's.
func URL(endpoint, bucket string, parameters ...string) string {
	return fmt.Sprintf("s3://%s/objects?endpoint=%s&region=%s%s", bucket, endpoint, Region, strings.Join(append([]string{""}, parameters...), "&"))
}

// Environment gives the process of the test the credentials of the server's administrator, and none else.
func Environment(t testing.TB) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": AccessKey, "AWS_SECRET_ACCESS_KEY": Secret, "AWS_SESSION_TOKEN": "", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_PROFILE": "", "AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_CA_BUNDLE": "",
	} {
		t.Setenv(name, value)
	}
}
