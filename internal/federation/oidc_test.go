package federation

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/coffer-registry/coffer/internal/federation/federationtest"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock stands still until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// house is a verifier, a provider that it trusts, and the clock of both.
type house struct {
	*testing.T
	verifier *Verifier
	issuer   *federationtest.Issuer
	provider OIDCProvider
	clock    *clock
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{T: t, issuer: federationtest.NewIssuer(t), clock: &clock{at: time.Now().Truncate(time.Second)}}
	h.issuer.Now = h.clock.now
	h.verifier = NewVerifier(Config{Now: h.clock.now, Roots: h.issuer.Authority.Roots()})
	h.verifier.fetcher.timeout = time.Minute // what a busy machine takes is not to be told from what a provider takes
	t.Cleanup(h.verifier.Close)
	h.provider = OIDCProvider{URL: h.issuer.URL, ClientIDs: []string{"coffer", "other"}}
	return h
}

func (h *house) verify(token secret.Text) (Claims, error) {
	h.Helper()
	return h.verifier.Verify(context.Background(), h.provider, token)
}

func (h *house) accepts(what string, token secret.Text) Claims {
	h.Helper()
	c, err := h.verify(token)
	if err != nil {
		h.Errorf("%s: %v", what, err)
	}
	return c
}

// refuses expects a code, and a sentence that begins with sentence.
func (h *house) refuses(what string, token secret.Text, code Code, sentence string) {
	h.Helper()
	c, err := h.verify(token)
	wantRefusal(h.T, what, err, code, sentence)
	if !cmp.Equal(c, Claims{}) {
		h.Errorf("%s: something is said of whom was refused: %+v", what, c)
	}
}

func wantRefusal(t *testing.T, what string, err error, code Code, sentence string) {
	t.Helper()
	refusal, ok := errors.AsType[*Error](err)
	if !ok || refusal.Code != code || !strings.HasPrefix(refusal.Message, sentence) {
		t.Errorf("%s: %v, want %s: %s", what, err, code, sentence)
	}
}

const (
	sentenceJWT = "The ID Token provided is not a valid JWT."
	sentenceKey = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements"
	sentenceTLS = "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint"
)

func TestVerify(t *testing.T) {
	h := newHouse(t)
	c := h.accepts("a token", h.issuer.Mint(map[string]any{
		"sub": "repo:octo-org/octo-repo:ref:refs/heads/main", "amr": []string{"pwd", "mfa"}, "email": "alice@example.com", "repository": "octo-org/octo-repo",
		"https://aws.amazon.com/tags":            map[string]any{"principal_tags": map[string]any{"Project": []string{"Automation"}, "Team": "a"}, "transitive_tag_keys": []string{"Project"}},
		"https://aws.amazon.com/source_identity": "alice",
	}))
	prefix := strings.TrimPrefix(h.issuer.URL, "https://")
	want := Claims{
		Issuer: h.issuer.URL, Subject: "repo:octo-org/octo-repo:ref:refs/heads/main", Audience: "coffer",
		IssuedAt: h.clock.now(), ExpiresAt: h.clock.now().Add(time.Hour),
		Keys: policy.Context{
			prefix + ":sub": {"repo:octo-org/octo-repo:ref:refs/heads/main"}, prefix + ":aud": {"coffer"}, prefix + ":amr": {"pwd", "mfa"},
		},
		TrustKeys: policy.Context{prefix + ":oaud": {"coffer"}, prefix + ":email": {"alice@example.com"}, prefix + ":repository": {"octo-org/octo-repo"}},
		Passed: Passed{
			Tags: map[string]string{"Project": "Automation", "Team": "a"}, TransitiveTagKeys: []string{"Project"}, SourceIdentity: "alice",
		},
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
	if n := h.issuer.Fetches(federationtest.KeysPath); n != 1 {
		t.Errorf("%d fetches", n)
	}
	h.accepts("another token", h.issuer.Mint(nil))
	if n := h.issuer.Fetches(federationtest.KeysPath); n != 1 {
		t.Errorf("%d fetches for two tokens", n)
	}
}

func TestAlgorithms(t *testing.T) {
	h := newHouse(t)
	keys := []*federationtest.Key{}
	rsa := federationtest.NewKey(t, jose.RS256)
	for _, a := range []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512} {
		keys = append(keys, &federationtest.Key{ID: string(a), Algorithm: a, Private: rsa.Private})
	}
	for _, a := range []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.ES512} {
		keys = append(keys, federationtest.NewKey(t, a))
	}
	h.issuer.Publish(keys...)
	for _, k := range keys {
		h.accepts(string(k.Algorithm), h.issuer.MintWith(k, nil))
	}
}
