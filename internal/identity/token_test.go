package identity

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/seal"
)

var someone = Caller{
	Principal: policy.Principal{ARN: "arn:aws:iam::123456789012:root", Account: account, Root: true},
	Type:      "Root", PrincipalID: account, AccessKeyID: exampleID,
}

// clock is moved by hand.
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

func newTokens() (*Tokens, *clock) {
	c := &clock{at: time.Date(2026, 1, 15, 12, 30, 45, 123456789, time.UTC)}
	return NewTokens(seal.NewKey(), c.now), c
}

func issue(t testing.TB, tokens *Tokens, c Caller, region string) (string, time.Time) {
	t.Helper()
	token, expires, err := tokens.Issue(c, region)
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal(), expires
}

func TestToken(t *testing.T) {
	tokens, clock := newTokens()
	token, expires := issue(t, tokens, someone, "us-east-1")
	if want := clock.now().Add(12 * time.Hour); !expires.Equal(want) {
		t.Errorf("it expires at %v, want %v", expires, want)
	}
	for range 2 { // the second time from the cache
		got, err := tokens.Check(token)
		if err != nil {
			t.Fatal(err)
		}
		want := RegistryToken{Caller: someone, Region: "us-east-1", Expires: expires.Truncate(time.Microsecond)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	if again, _ := issue(t, tokens, someone, "us-east-1"); again == token {
		t.Error("two tokens are the same")
	}
}

// Clients split user and password at the colon, and put tokens into headers and addresses as they are.
func TestTokenText(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tokens, _ := newTokens()
		caller := Caller{
			Principal: policy.Principal{ARN: rapid.String().Draw(rt, "arn"), Account: rapid.String().Draw(rt, "account"), Root: rapid.Bool().Draw(rt, "root")},
			Type:      rapid.String().Draw(rt, "type"), PrincipalID: rapid.String().Draw(rt, "id"), AccessKeyID: rapid.String().Draw(rt, "key"),
		}
		token, _ := issue(t, tokens, caller, "r")
		if strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			rt.Fatalf("token %q", token)
		}
		got, err := tokens.Check(token)
		if err != nil || got.Caller != caller {
			rt.Fatalf("%+v, error %v", got.Caller, err)
		}
		if strings.Contains(token, exampleID) {
			rt.Fatal("it tells who it is for")
		}
	})
}

func TestTokenExpires(t *testing.T) {
	tokens, clock := newTokens()
	token, _ := issue(t, tokens, someone, "r")
	clock.advance(TokenLifetime - time.Second)
	if _, err := tokens.Check(token); err != nil {
		t.Fatal(err)
	}
	// It was found good a second before, and that is remembered for longer than a second.
	clock.advance(time.Second)
	for range 2 {
		if got, err := tokens.Check(token); !errors.Is(err, ErrTokenExpired) || got != (RegistryToken{}) {
			t.Errorf("%+v, error %v", got, err)
		}
	}
}

func TestVerdictsAreRemembered(t *testing.T) {
	tokens, clock := newTokens()
	token, _ := issue(t, tokens, someone, "r")
	if _, err := tokens.Check(token); err != nil {
		t.Fatal(err)
	}
	// Only what is remembered is found good once the key is another.
	tokens.key = seal.NewKey()
	clock.advance(verdictLife - 1)
	if _, err := tokens.Check(token); err != nil {
		t.Error(err)
	}
	clock.advance(1)
	if _, err := tokens.Check(token); !errors.Is(err, ErrTokenInvalid) {
		t.Errorf("after the verdict's life: %v", err)
	}
	for i := range maxVerdicts + 5 {
		token, _ := issue(t, tokens, someone, fmt.Sprint(i))
		if _, err := tokens.Check(token); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(tokens.verdicts); n == 0 || n > maxVerdicts {
		t.Errorf("%d verdicts are remembered", n)
	}
}

func TestAlteredTokens(t *testing.T) {
	tokens, _ := newTokens()
	token, _ := issue(t, tokens, someone, "us-east-1")
	refused := func(what, token string) {
		t.Helper()
		if got, err := tokens.Check(token); !errors.Is(err, ErrTokenInvalid) || got != (RegistryToken{}) {
			t.Errorf("%s: %+v, error %v", what, got, err)
		}
		if c, subject, err := tokens.CheckDownload(token); !errors.Is(err, ErrTokenInvalid) || c != (Caller{}) || subject != "" {
			t.Errorf("%s, as a download: %+v %q, error %v", what, c, subject, err)
		}
	}
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(sealed) * 8 {
		altered := append([]byte(nil), sealed...)
		altered[i/8] ^= 1 << (i % 8)
		refused(fmt.Sprintf("bit %d", i), base64.RawURLEncoding.EncodeToString(altered))
	}
	for i := range sealed {
		refused(fmt.Sprintf("cut at %d", i), base64.RawURLEncoding.EncodeToString(sealed[:i]))
	}
	// Each character counts, even the bits of the last that stand for nothing.
	for i := range token {
		for _, c := range []byte("A_\n\r =:\x00") {
			if token[i] != c {
				refused(fmt.Sprintf("%q at %d", c, i), token[:i]+string(c)+token[i+1:])
			}
			refused(fmt.Sprintf("%q before %d", c, i), token[:i]+string(c)+token[i:])
		}
	}
	for what, text := range map[string]string{
		"nothing": "", "text": "password", "a line break at its end": token + "\n", "padding": token + "=", "twice": token + token,
		"overlong": strings.Repeat("A", maxToken+1), "endless": strings.Repeat(token, 10_000), "standard base64": base64.StdEncoding.EncodeToString(sealed) + "/+",
	} {
		refused(what, text)
	}
	other, _ := newTokens()
	foreign, _ := issue(t, other, someone, "us-east-1")
	refused("another installation's", foreign)
	if len(tokens.verdicts) != 0 {
		t.Error("a bad token left a verdict")
	}
	if _, err := tokens.Check(token); err != nil {
		t.Error(err)
	}
}

func TestDownloadToken(t *testing.T) {
	tokens, clock := newTokens()
	secret, err := tokens.IssueDownload(someone, "123456789012/us-east-1/team/app@sha256:00", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	token := secret.Reveal()
	c, subject, err := tokens.CheckDownload(token)
	if err != nil || c != someone || subject != "123456789012/us-east-1/team/app@sha256:00" {
		t.Errorf("%+v %q, error %v", c, subject, err)
	}
	clock.advance(time.Minute - time.Microsecond)
	if _, _, err := tokens.CheckDownload(token); err != nil {
		t.Error(err)
	}
	clock.advance(time.Microsecond)
	if c, subject, err := tokens.CheckDownload(token); !errors.Is(err, ErrTokenExpired) || c != (Caller{}) || subject != "" {
		t.Errorf("%+v %q, error %v", c, subject, err)
	}
	if text := fmt.Sprintf("%v %+v %#v %d", secret, secret, secret, secret); strings.Contains(text, token[:10]) {
		t.Error(text)
	}
}

// A token of one use is none of another.
func TestUsesOfTokens(t *testing.T) {
	tokens, _ := newTokens()
	registry, _ := issue(t, tokens, someone, "us-east-1")
	download, err := tokens.IssueDownload(someone, "subject", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, _, err := tokens.CheckDownload(registry); !errors.Is(err, ErrTokenInvalid) {
			t.Errorf("a registry token as a download: %v", err)
		}
		if _, err := tokens.Check(download.Reveal()); !errors.Is(err, ErrTokenInvalid) {
			t.Errorf("a download token at the registry: %v", err)
		}
		// Checking it as what it is must not make it good for the other use.
		if _, err := tokens.Check(registry); err != nil {
			t.Error(err)
		}
		if _, _, err := tokens.CheckDownload(download.Reveal()); err != nil {
			t.Error(err)
		}
	}
}

func TestTokensConcurrently(t *testing.T) {
	tokens, clock := newTokens()
	token, _ := issue(t, tokens, someone, "us-east-1")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if got, err := tokens.Check(token); err != nil || got.Caller != someone {
					t.Errorf("%+v, error %v", got, err)
				}
				clock.advance(time.Second)
			}
		})
	}
	wg.Wait()
}

func TestTokensByTheRealClock(t *testing.T) {
	tokens := NewTokens(seal.NewKey(), nil)
	token, expires := issue(t, tokens, someone, "r")
	if left := time.Until(expires); left > TokenLifetime || left < TokenLifetime-time.Minute {
		t.Errorf("it lives for %v", left)
	}
	if _, err := tokens.Check(token); err != nil {
		t.Error(err)
	}
}
