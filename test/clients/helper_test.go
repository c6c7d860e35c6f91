package clients_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The credential helper knows registries by their names alone, so that these must end as those of Amazon ECR do.
const helperDomain = "amazonaws.com"

// credentials are what a helper gives to docker and its like.
type credentials struct{ ServerURL, Username, Secret string }

// The credential helper gets its endpoint from "coffer env".
func TestCredentialHelper(t *testing.T) {
	t.Parallel()
	s := serve(t, "--domain", helperDomain)
	host := "123456789012.dkr.ecr.us-east-1." + helperDomain
	s.CreateRepository("team/helper")
	var got credentials
	decode(t, s.feed(t, host, "docker-credential-ecr-login", "get"), &got)
	if got.ServerURL != host || got.Username != "AWS" {
		t.Errorf("get: %+v", got)
	}
	if status := s.run(t, "curl", "-sS", "-o", os.DevNull, "-w", "%{http_code}", "-u", "AWS:"+got.Secret, s.URL+"/v2/team/helper/tags/list"); status != "200" {
		t.Errorf("the helper's password gives status %s", status)
	}
	var again credentials
	decode(t, s.feed(t, host, "docker-credential-ecr-login", "get"), &again)
	if again != got {
		t.Error("the helper does not keep what it got")
	}
	var list map[string]string
	decode(t, s.run(t, "docker-credential-ecr-login", "list"), &list)
	if diff := cmp.Diff(map[string]string{"https://" + host: "AWS"}, list); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
}

// A machine whose names of AWS lead to the server: neither the helper nor the client is told of it.
func TestCredentialHelperBehindTLS(t *testing.T) {
	t.Parallel()
	s := serve(t, "--domain", helperDomain)
	s.CreateRepository("team/helper")
	host := "123456789012.dkr.ecr.us-east-1." + helperDomain
	front := startFront(t, strings.TrimPrefix(s.URL, "http://"))
	var env []string
	for _, v := range s.env {
		if !strings.HasPrefix(v, "AWS_ENDPOINT_URL=") {
			env = append(env, v)
		}
	}
	s.env = append(env, "HTTPS_PROXY="+front.url, "SSL_CERT_FILE="+front.authority)
	config, err := json.Marshal(map[string]any{"credHelpers": map[string]string{host: "ecr-login"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(s.home, ".docker"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.home, ".docker", "config.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}

	hello := helloLayout(t)
	pushed := s.run(t, "crane", "push", hello.alone(t).dir, host+"/team/helper:"+hello.tag)
	if pushed != host+"/team/helper@"+hello.root.Digest {
		t.Errorf("push says %s, expected the digest %s", pushed, hello.root.Digest)
	}
	s.holds(t, "team/helper", hello)
	back := filepath.Join(t.TempDir(), "back")
	s.run(t, "crane", "pull", "--format=oci", host+"/team/helper:"+hello.tag, back)
	sameLayout(t, hello, openOnly(t, back))
	uri := s.run(t, "aws", "ecr", "describe-repositories", "--ca-bundle", front.authority, "--output", "text", "--query", "repositories[0].repositoryUri")
	if uri != host+"/team/helper" {
		t.Errorf("the repository is named %s", uri)
	}
	s.refuse(t, []string{"Could not resolve registry id from host 210987654321.dkr.ecr.us-east-1." + helperDomain},
		"crane", "push", hello.alone(t).dir, "210987654321.dkr.ecr.us-east-1."+helperDomain+"/team/helper:1")
	for _, name := range []string{"api.ecr.us-east-1." + helperDomain, host} {
		if !front.asked(name) {
			t.Errorf("nobody asked for %s", name)
		}
	}
}

// front is a proxy on loopback that answers for every name: it ends TLS with a certificate of its own authority, and passes
// the bytes on to a server.
type front struct {
	url string
	// authority is a file with the certificate that clients must trust.
	authority string
	target    string
	sign      func(name string) (*tls.Certificate, error)

	mu    sync.Mutex
	names map[string]bool
}

func startFront(t *testing.T, target string) *front {
	t.Helper()
	f := &front{target: target, authority: filepath.Join(t.TempDir(), "authority.pem"), names: map[string]bool{}}
	f.makeAuthority(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.url = "http://" + l.Addr().String()
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { f.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return f
}

func (f *front) makeAuthority(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Authority of a test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
	f.sign = func(name string) (*tls.Certificate, error) {
		leaf := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{name}, NotBefore: template.NotBefore, NotAfter: template.NotAfter}
		der, err := x509.CreateCertificate(rand.Reader, leaf, template, key.Public(), key)
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
	}
}

// serve answers one CONNECT. A client that breaks off is not the front's problem: it shows in the client's own outcome.
func (f *front) serve(conn net.Conn) {
	defer conn.Close()
	request, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil || request.Method != http.MethodConnect {
		return
	}
	name, _, _ := net.SplitHostPort(request.Host)
	f.mu.Lock()
	f.names[name] = true
	f.mu.Unlock()
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	server, err := net.Dial("tcp", f.target)
	if err != nil {
		return
	}
	defer server.Close()
	client := tls.Server(conn, &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return f.sign(hello.ServerName) }})
	var back sync.WaitGroup
	back.Go(func() {
		io.Copy(client, server)
		conn.Close()
	})
	io.Copy(server, client)
	server.Close()
	back.Wait()
}

func (f *front) asked(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.names[name]
}
