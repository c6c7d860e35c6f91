// Package federationtest has identity providers for tests: an OpenID Connect issuer and a SAML identity provider, which can
// lie, rotate their keys and stop. Their keys are made when they are.
//
// It knows nothing of the package that verifies what they say, so that both are judged by the standards.
package federationtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/coffer-registry/coffer/internal/secret"
)

// Issuer is an OpenID Connect provider on loopback. It is safe for concurrent use.
type Issuer struct {
	// URL is the issuer's name, without a slash at its end.
	URL string
	// Now is the issuer's clock; time.Now unless it is set before the first token.
	Now func() time.Time
	// Authority vouches for the server's certificate; nil if it has no TLS.
	Authority *Authority

	t       testing.TB
	tls     *tls.Config
	address string

	mu      sync.Mutex
	server  *httptest.Server // nil while it is stopped
	keys    []*Key
	handler map[string]http.HandlerFunc
	fetches map[string]int
}

// Key is a key that tokens are signed with.
type Key struct {
	ID        string
	Algorithm jose.SignatureAlgorithm
	// Private is an *rsa.PrivateKey, an *ecdsa.PrivateKey or, for algorithms with secrets, a []byte.
	Private any
}

// NewKey makes a key for an algorithm.
func NewKey(t testing.TB, algorithm jose.SignatureAlgorithm) *Key {
	t.Helper()
	var private any
	var err error
	switch algorithm {
	case jose.ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.ES384:
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case jose.ES512:
		private, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	default:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &Key{ID: rand.Text(), Algorithm: algorithm, Private: private}
}

// Public is the key as a key set has it.
func (k *Key) Public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.Private.(crypto.Signer).Public(), KeyID: k.ID, Algorithm: string(k.Algorithm), Use: "sig"}
}

// The paths of an issuer's documents.
const (
	DiscoveryPath = "/.well-known/openid-configuration"
	KeysPath      = "/keys"
)

// NewIssuer starts an issuer with TLS and one key. It ends with the test.
func NewIssuer(t testing.TB) *Issuer {
	t.Helper()
	authority := NewAuthority(t)
	i := newIssuer(t, "https://", &tls.Config{Certificates: []tls.Certificate{authority.Issue(t, "127.0.0.1")}})
	i.Authority = authority
	return i
}

// NewPlainIssuer starts an issuer without TLS.
func NewPlainIssuer(t testing.TB) *Issuer {
	t.Helper()
	return newIssuer(t, "http://", nil)
}

func newIssuer(t testing.TB, scheme string, config *tls.Config) *Issuer {
	t.Helper()
	i := &Issuer{Now: time.Now, t: t, tls: config, keys: []*Key{NewKey(t, jose.ES256)}, handler: map[string]http.HandlerFunc{}, fetches: map[string]int{}}
	i.address = "127.0.0.1:0"
	i.Start()
	i.URL = scheme + i.address
	t.Cleanup(i.Stop)
	return i
}

// Start starts the issuer again, at the same address.
func (i *Issuer) Start() {
	i.t.Helper()
	listener, err := net.Listen("tcp", i.address)
	if err != nil {
		i.t.Fatal(err)
	}
	i.address = listener.Addr().String()
	server := httptest.NewUnstartedServer(http.HandlerFunc(i.serve))
	server.Listener.Close()
	server.Listener = listener
	// Handshakes that fail on purpose are no news.
	server.Config.ErrorLog = discard
	if i.tls == nil {
		server.Start()
	} else {
		server.TLS = i.tls.Clone()
		server.StartTLS()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.server = server
}

// Stop makes the issuer refuse connections.
func (i *Issuer) Stop() {
	i.mu.Lock()
	server := i.server
	i.server = nil
	i.mu.Unlock()
	if server != nil {
		server.Close()
	}
}

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.fetches[r.URL.Path]++
	handler := i.handler[r.URL.Path]
	set := jose.JSONWebKeySet{}
	for _, k := range i.keys {
		set.Keys = append(set.Keys, k.Public())
	}
	i.mu.Unlock()
	switch {
	case handler != nil:
		handler(w, r)
	case r.URL.Path == DiscoveryPath:
		json.NewEncoder(w).Encode(map[string]any{"issuer": i.URL, "jwks_uri": i.URL + KeysPath})
	case r.URL.Path == KeysPath:
		json.NewEncoder(w).Encode(set)
	default:
		http.NotFound(w, r)
	}
}

// Handle answers a path otherwise than the issuer would; nil ends that.
func (i *Issuer) Handle(path string, handler http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.handler[path] = handler
}

// Fetches tells how often a path was asked for.
func (i *Issuer) Fetches(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches[path]
}

// Publish replaces the keys of the issuer. Tokens are signed with the first.
func (i *Issuer) Publish(keys ...*Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

// Rotate replaces the keys of the issuer with a new one.
func (i *Issuer) Rotate() { i.Publish(NewKey(i.t, jose.ES256)) }

// Key is the key that tokens are signed with.
func (i *Issuer) Key() *Key {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[0]
}

// Mint makes a token with the issuer's key. Unless claims say otherwise, it is for the subject "alice" and the audience
// "coffer", and lasts an hour. A claim of nil is left out.
func (i *Issuer) Mint(claims map[string]any) secret.Text {
	i.t.Helper()
	return i.MintWith(i.Key(), claims)
}

// MintWith makes a token with a key, which need not be published.
func (i *Issuer) MintWith(k *Key, claims map[string]any) secret.Text {
	i.t.Helper()
	all := map[string]any{"iss": i.URL, "sub": "alice", "aud": "coffer", "iat": i.Now().Unix(), "exp": i.Now().Add(time.Hour).Unix()}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	payload, err := json.Marshal(all)
	if err != nil {
		i.t.Fatal(err)
	}
	return k.Sign(i.t, payload)
}

// Sign makes a token of any payload.
func (k *Key) Sign(t testing.TB, payload []byte) secret.Text {
	t.Helper()
	options := &jose.SignerOptions{}
	options.WithType("JWT")
	if k.ID != "" {
		options.WithHeader("kid", k.ID)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: k.Algorithm, Key: k.Private}, options)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return secret.New(text)
}
