package federation

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/coffer-registry/coffer/internal/federation/federationtest"
)

func TestRotation(t *testing.T) {
	h := newHouse(t)
	old := h.issuer.Key()
	h.accepts("the first key", h.issuer.Mint(nil))
	h.issuer.Rotate()
	h.refuses("a new key at once: nobody makes us ask each time", h.issuer.Mint(nil), InvalidIdentityToken, sentenceKey)
	h.accepts("the old key", h.issuer.MintWith(old, nil))
	h.clock.advance(retryAfter)
	h.accepts("a new key", h.issuer.Mint(nil))
	h.refuses("the old key, which is gone", h.issuer.MintWith(old, nil), InvalidIdentityToken, sentenceKey)
	if n := h.issuer.Fetches(federationtest.KeysPath); n != 2 {
		t.Errorf("%d fetches", n)
	}
	// A key that was withdrawn without a new one in use ends when the keys are no longer fresh.
	withdrawn := h.issuer.Key()
	h.issuer.Rotate()
	h.clock.advance(keysFresh - time.Second)
	h.accepts("a withdrawn key for a while", h.issuer.MintWith(withdrawn, nil))
	h.clock.advance(time.Second)
	h.refuses("a withdrawn key", h.issuer.MintWith(withdrawn, nil), InvalidIdentityToken, sentenceKey)
}

// A name that is unknown makes a provider be asked, but no more often than each retryAfter.
func TestUnknownKeys(t *testing.T) {
	h := newHouse(t)
	h.accepts("a token", h.issuer.Mint(nil))
	for range 20 {
		h.refuses("unknown", h.issuer.MintWith(federationtest.NewKey(t, jose.ES256), nil), InvalidIdentityToken, sentenceKey)
		h.clock.advance(retryAfter / 10)
	}
	if n := h.issuer.Fetches(federationtest.KeysPath); n != 2 {
		t.Errorf("%d fetches in twice the time", n)
	}
	h.accepts("a token after that", h.issuer.Mint(nil))
}

func TestStoppedIssuer(t *testing.T) {
	h := newHouse(t)
	h.accepts("before", h.issuer.Mint(nil))
	h.issuer.Stop()
	h.accepts("fresh keys", h.issuer.Mint(nil))
	h.clock.advance(keysFresh)
	h.accepts("keys that could not be fetched again", h.issuer.Mint(nil))
	h.refuses("a key that may be new", h.issuer.MintWith(federationtest.NewKey(t, jose.ES256), nil), IDPCommunicationError, "The identity provider")
	h.clock.advance(keyLifetime - keysFresh - time.Second)
	h.accepts("at the end", h.issuer.Mint(nil))
	h.clock.advance(time.Second)
	h.refuses("after the end", h.issuer.Mint(nil), IDPCommunicationError, "The identity provider")
	h.clock.advance(retryAfter)
	h.refuses("still", h.issuer.Mint(nil), IDPCommunicationError, "The identity provider")
	h.issuer.Start()
	h.refuses("not tried again so soon", h.issuer.Mint(nil), IDPCommunicationError, "The identity provider")
	h.clock.advance(retryAfter)
	h.accepts("back", h.issuer.Mint(nil))
}

func TestBadDocuments(t *testing.T) {
	text := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(text)) }
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	to := func(url string) http.HandlerFunc { return http.RedirectHandler(url, http.StatusFound).ServeHTTP }
	for what, c := range map[string]struct {
		path    string
		handler http.HandlerFunc
		code    Code
	}{
		"no discovery":               {federationtest.DiscoveryPath, status(http.StatusNotFound), InvalidIdentityToken},
		"discovery that needs login": {federationtest.DiscoveryPath, status(http.StatusUnauthorized), InvalidIdentityToken},
		"discovery that fails":       {federationtest.DiscoveryPath, status(http.StatusBadGateway), IDPCommunicationError},
		"discovery that is busy":     {federationtest.DiscoveryPath, status(http.StatusTooManyRequests), IDPCommunicationError},
		"discovery that hangs up":    {federationtest.DiscoveryPath, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, IDPCommunicationError},
		"discovery of another":       {federationtest.DiscoveryPath, text(`{"issuer":"https://other.example.com","jwks_uri":"https://other.example.com/keys"}`), InvalidIdentityToken},
		"discovery without keys":     {federationtest.DiscoveryPath, nil, InvalidIdentityToken},
		"keys over HTTP":             {federationtest.DiscoveryPath, nil, InvalidIdentityToken},
		"discovery of HTML":          {federationtest.DiscoveryPath, text(`<html>`), InvalidIdentityToken},
		"discovery without an end":   {federationtest.DiscoveryPath, text(`{"issuer":"` + strings.Repeat("a", maxDiscovery)), InvalidIdentityToken},
		"keys that are too large":    {federationtest.KeysPath, text(`{"keys":[],"more":"` + strings.Repeat("a", maxKeySet) + `"}`), InvalidIdentityToken},
		"keys that are compressed": {federationtest.KeysPath, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			defer z.Close()
			z.Write(make([]byte, 2*maxKeySet))
		}, InvalidIdentityToken},
		"too many keys":            {federationtest.KeysPath, text(`{"keys":[{}` + strings.Repeat(`,{}`, 2*maxKeys) + `]}`), InvalidIdentityToken},
		"keys that are not a list": {federationtest.KeysPath, text(`{"keys":{}}`), InvalidIdentityToken},
		"keys twice":               {federationtest.KeysPath, text(`{"keys":[],"keys":[]}`), InvalidIdentityToken},
		"no keys":                  {federationtest.KeysPath, text(`{"keys":[]}`), InvalidIdentityToken},
		"redirects to itself":      {federationtest.KeysPath, to(federationtest.KeysPath), InvalidIdentityToken},
		"redirect to HTTP":         {federationtest.KeysPath, to("http://127.0.0.1:1/"), InvalidIdentityToken},
		"redirect to a file":       {federationtest.KeysPath, to("file:///etc/passwd"), InvalidIdentityToken},
		"redirect with a password": {federationtest.KeysPath, to("https://a:b@127.0.0.1:1/"), InvalidIdentityToken},
	} {
		t.Run(what, func(t *testing.T) {
			h := newHouse(t)
			switch what {
			case "discovery without keys":
				c.handler = text(fmt.Sprintf(`{"issuer":%q}`, h.issuer.URL))
			case "keys over HTTP":
				c.handler = text(fmt.Sprintf(`{"issuer":%q,"jwks_uri":"http://127.0.0.1:1/keys"}`, h.issuer.URL))
			}
			h.issuer.Handle(c.path, c.handler)
			sentence := sentenceKey
			if c.code == IDPCommunicationError {
				sentence = "The identity provider"
			}
			h.refuses(what, h.issuer.Mint(nil), c.code, sentence)
			h.issuer.Handle(c.path, nil)
			h.clock.advance(retryAfter)
			h.accepts("when that is over", h.issuer.Mint(nil))
		})
	}
}

// Keys that are published but can't be trusted, or are for something else, verify nothing.
func TestUselessKeys(t *testing.T) {
	h := newHouse(t)
	k := h.issuer.Key()
	public := k.Public()
	encryption := public
	encryption.Use = "enc"
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{encryption, {Key: k.Private, KeyID: k.ID, Use: "sig"}, {Key: []byte("secret"), KeyID: k.ID}}}
	h.issuer.Handle(federationtest.KeysPath, func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(set) })
	h.refuses("useless keys", h.issuer.Mint(nil), InvalidIdentityToken, sentenceKey)
	weak := `{"keys":[{"kty":"RSA","kid":"weak","e":"AQAB","n":"` + part(strings.Repeat("\xff", 128)) + `"},{"kty":"RSA","kid":"huge","e":"AQAB","n":"` +
		part(strings.Repeat("\xff", 2048)) + `"}]}`
	weakSet, err := parseKeys([]byte(weak))
	if err != nil || len(weakSet.keys) != 0 {
		t.Fatalf("%v, %v", weakSet, err)
	}
	h.issuer.Handle(federationtest.KeysPath, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, weak) })
	h.clock.advance(keysFresh)
	token := h.issuer.MintWith(&federationtest.Key{ID: "weak", Algorithm: jose.RS256, Private: federationtest.NewKey(t, jose.RS256).Private}, nil)
	if _, err := h.verify(token); err == nil || !strings.HasSuffix(err.Error(), ": an RSA key of 1024 bits is not accepted; it must have 2048 to 8192") {
		t.Errorf("a token of the weak key: %v", err)
	}
}

func TestRedirects(t *testing.T) {
	h := newHouse(t)
	hop := func(n int) string { return fmt.Sprint("/hop/", n) }
	for n := range maxRedirects {
		next := hop(n + 1)
		if n == maxRedirects-1 {
			next = "/found"
		}
		h.issuer.Handle(hop(n), http.RedirectHandler(next, http.StatusTemporaryRedirect).ServeHTTP)
	}
	h.issuer.Handle("/found", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{h.issuer.Key().Public()}})
	})
	at := hop(0)
	h.issuer.Handle(federationtest.DiscoveryPath, func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]string{"issuer": h.issuer.URL, "jwks_uri": h.issuer.URL + at})
	})
	h.accepts("as many redirects as can be", h.issuer.Mint(nil))
	h.issuer.Handle("/more", http.RedirectHandler(hop(0), http.StatusFound).ServeHTTP)
	at = "/more"
	h.clock.advance(keysFresh)
	h.issuer.Rotate()
	h.refuses("one more", h.issuer.Mint(nil), InvalidIdentityToken, sentenceKey)
}

func TestThumbprints(t *testing.T) {
	h := newHouse(t)
	right, wrong := h.issuer.Authority.Thumbprint(), strings.Repeat("0", 40)
	if got := Thumbprint(h.issuer.Authority.Certificate); got != right {
		t.Errorf("%s, want %s", got, right)
	}
	for _, c := range []struct {
		what        string
		thumbprints []string
		ok          bool
	}{
		{"none", nil, false}, {"the authority's", []string{right}, true}, {"upper case", []string{strings.ToUpper(right)}, true},
		{"one of two", []string{wrong, right}, true}, {"another", []string{wrong}, false},
	} {
		h.provider.Thumbprints = c.thumbprints
		h.verifier = NewVerifier(Config{Now: h.clock.now, Roots: h.issuer.Authority.Roots()})
		h.accepts(c.what+", of a trusted authority", h.issuer.Mint(nil))
		h.verifier.Close()
		h.verifier = NewVerifier(Config{Now: h.clock.now, Roots: x509.NewCertPool()})
		if c.ok {
			h.accepts(c.what, h.issuer.Mint(nil))
		} else {
			h.refuses(c.what, h.issuer.Mint(nil), InvalidIdentityToken, sentenceTLS)
		}
		h.verifier.Close()
	}
}

// A thumbprint of the topmost certificate makes up for an authority that is not trusted, for those who name it.
func TestUntrustedAuthority(t *testing.T) {
	h := newHouse(t)
	right := h.issuer.Authority.Thumbprint()
	h.verifier = NewVerifier(Config{Now: h.clock.now, Roots: x509.NewCertPool()})
	defer h.verifier.Close()
	h.refuses("not trusted", h.issuer.Mint(nil), InvalidIdentityToken, sentenceTLS)
	h.provider.Thumbprints = []string{right}
	h.accepts("named", h.issuer.Mint(nil))
	h.provider.Thumbprints = nil
	h.refuses("named by another provider alone", h.issuer.Mint(nil), InvalidIdentityToken, sentenceTLS)
	h.provider.Thumbprints = []string{federationtest.NewAuthority(t).Thumbprint()}
	h.refuses("another named", h.issuer.Mint(nil), InvalidIdentityToken, sentenceTLS)
}

// An authority that is named vouches for its servers only, and must have signed for them.
func TestNamedAuthority(t *testing.T) {
	ours, theirs := federationtest.NewAuthority(t), federationtest.NewAuthority(t)
	for what, c := range map[string]struct {
		served tls.Certificate
		ok     bool
	}{
		"its server":                    {ours.Issue(t, "127.0.0.1"), true},
		"the server of another address": {ours.Issue(t, "127.0.0.2"), false},
		"the server of another authority that sends ours along": {appended(theirs.Issue(t, "127.0.0.1"), ours), false},
	} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
		server.TLS = &tls.Config{Certificates: []tls.Certificate{c.served}}
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
		f := newFetcher(Config{Roots: x509.NewCertPool()})
		_, err := f.get(context.Background(), server.URL, 1, []string{ours.Thumbprint()})
		if c.ok && err != nil {
			t.Errorf("%s: %v", what, err)
		} else if !c.ok {
			wantRefusal(t, what, err, InvalidIdentityToken, sentenceTLS)
		}
		server.Close()
	}
}

func appended(c tls.Certificate, a *federationtest.Authority) tls.Certificate {
	c.Certificate = append(c.Certificate, a.Certificate.Raw)
	return c
}

func TestAddresses(t *testing.T) {
	for url, want := range map[string][2]bool{ // without and with AllowLoopback
		"https://idp.example.com": {true, true}, "https://10.0.0.1:8443/realms/a": {true, true},
		"http://127.0.0.1:8080": {false, true}, "http://localhost": {false, true}, "http://[::1]:80": {false, true},
		"http://idp.example.com": {}, "http://localhost.example.com": {}, "http://10.0.0.1": {}, "http://0.0.0.0": {}, "http://127.0.0.1.example.com": {},
		"https://a@idp.example.com": {}, "ftp://127.0.0.1": {}, "file:///etc/passwd": {}, "https://": {}, "//127.0.0.1": {}, "": {}, "\x7f": {},
	} {
		for i, want := range want {
			f := newFetcher(Config{AllowLoopback: i == 1})
			ctx, cancel := context.WithCancel(context.Background())
			cancel() // no address is spoken to
			_, err := f.get(ctx, url, 1, nil)
			if want != errors.Is(err, context.Canceled) {
				t.Errorf("%q with AllowLoopback %v: %v", url, i == 1, err)
			}
		}
	}
	h := newHouse(t)
	h.issuer = federationtest.NewPlainIssuer(t)
	h.provider.URL = h.issuer.URL
	h.refuses("a plain issuer", h.issuer.Mint(nil), InvalidIdentityToken, sentenceKey)
	h.verifier = NewVerifier(Config{AllowLoopback: true})
	defer h.verifier.Close()
	h.accepts("a plain issuer where that is allowed", h.issuer.Mint(nil))
}

// Who comes at the same time waits for the same answer, and who goes away takes it from nobody.
func TestOneFetch(t *testing.T) {
	h := newHouse(t)
	arrived, answer := make(chan struct{}), make(chan struct{})
	h.issuer.Handle(federationtest.KeysPath, func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-answer
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{h.issuer.Key().Public()}})
	})
	token := h.issuer.Mint(nil)
	ctx, goAway := context.WithCancel(context.Background())
	left := make(chan error)
	go func() {
		_, err := h.verifier.Verify(ctx, h.provider, token)
		left <- err
	}()
	<-arrived
	goAway()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who went away: %v", err)
	}
	var waiting sync.WaitGroup
	for range 10 {
		waiting.Go(func() { h.accepts("who stayed", token) })
	}
	close(answer)
	waiting.Wait()
	if n := h.issuer.Fetches(federationtest.KeysPath); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// A provider that takes too long is one that can't be reached.
func TestSlowIssuer(t *testing.T) {
	h := newHouse(t)
	h.verifier.fetcher.timeout = 50 * time.Millisecond
	end := make(chan struct{})
	h.issuer.Handle(federationtest.KeysPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(`{"keys":[`))
		w.(http.Flusher).Flush()
		<-end
	})
	h.refuses("it never ends", h.issuer.Mint(nil), IDPCommunicationError, "The identity provider")
	close(end)
}

// Close does not wait for a provider that doesn't answer.
func TestClose(t *testing.T) {
	h := newHouse(t)
	arrived, end := make(chan struct{}), make(chan struct{})
	defer close(end)
	h.issuer.Handle(federationtest.KeysPath, func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-end
	})
	token, failed := h.issuer.Mint(nil), make(chan error)
	go func() {
		_, err := h.verify(token)
		failed <- err
	}()
	<-arrived
	h.verifier.Close()
	wantRefusal(t, "closed meanwhile", <-failed, IDPCommunicationError, "The identity provider")
	h.clock.advance(time.Hour)
	h.refuses("closed", token, IDPCommunicationError, "The identity provider")
}

// Only so many providers are remembered: those that were used last.
func TestForgottenIssuers(t *testing.T) {
	v := NewVerifier(Config{})
	defer v.Close()
	first := v.issuer("first")
	second := v.issuer("second")
	v.issuer("first")
	for i := range maxIssuers - 1 {
		v.issuer(fmt.Sprint(i))
	}
	if len(v.issuers) != maxIssuers {
		t.Errorf("%d issuers", len(v.issuers))
	}
	if v.issuer("first") != first || v.issuer("second") == second {
		t.Error("another one was forgotten")
	}
}
