package identity

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

func (h *house) issue(c Caller, region string) (string, time.Time) {
	h.t.Helper()
	token, expires, err := h.IssueRegistryToken(h.t.Context(), c, region)
	if err != nil {
		h.t.Fatal(err)
	}
	return token.Reveal(), expires
}

func (h *house) check(token string) (RegistryToken, error) {
	return h.CheckRegistryToken(h.t.Context(), token)
}

func nothing(r RegistryToken) bool {
	return r.Caller.Anonymous() && r.Region == "" && r.Expires.IsZero()
}

// sameCaller compares callers by all that the gate and the trail see of them.
var sameCaller = cmp.Comparer(func(a, b Caller) bool {
	return a.Principal == b.Principal && a.Type == b.Type && a.PrincipalID == b.PrincipalID && a.AccessKeyID == b.AccessKeyID && a.Name == b.Name &&
		a.Standing == b.Standing && cmp.Equal(a.Keys, b.Keys)
})

func TestRegistryToken(t *testing.T) {
	h := newHouse(t)
	token, expires := h.issue(h.root(), "us-east-1")
	if want := h.clock.now().Add(12 * time.Hour).Truncate(time.Microsecond); !expires.Equal(want) {
		t.Errorf("it expires at %v, want %v", expires, want)
	}
	for range 2 { // the second time from memory
		got, err := h.check(token)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(RegistryToken{Caller: h.root(), Region: "us-east-1", Expires: expires}, got, sameCaller); diff != "" {
			t.Error(diff)
		}
	}
	if again, _ := h.issue(h.root(), "us-east-1"); again == token {
		t.Error("two tokens are the same")
	}
}

// Clients split user and password at the colon, and put tokens into headers and addresses as they are.
func TestTokenText(t *testing.T) {
	h := newHouse(t)
	rapid.Check(t, func(rt *rapid.T) {
		g := grant{Owner: account, Account: account, Key: exampleID, Region: rapid.String().Draw(rt, "region"), Subject: rapid.String().Draw(rt, "subject"),
			Issued: rapid.Int64().Draw(rt, "issued"), Expires: rapid.Int64().Draw(rt, "expires")}
		text, err := h.seal(useRegistry, g)
		if err != nil {
			rt.Fatal(err)
		}
		token := text.Reveal()
		if strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			rt.Fatalf("token %q", token)
		}
		if strings.Contains(token, exampleID) {
			rt.Fatal("it tells who it is for")
		}
		got, err := h.open(useRegistry, token)
		if diff := cmp.Diff(g, got); err != nil || diff != "" {
			rt.Fatalf("error %v: %s", err, diff)
		}
	})
}

func TestRegistryTokenExpires(t *testing.T) {
	h := newHouse(t)
	token, _ := h.issue(h.root(), "r")
	h.clock.advance(TokenLifetime - time.Second)
	if _, err := h.check(token); err != nil {
		t.Fatal(err)
	}
	// It was found good a second before, and that is remembered.
	h.clock.advance(time.Second)
	for range 2 {
		if got, err := h.check(token); !errors.Is(err, ErrTokenExpired) || !nothing(got) {
			t.Errorf("%+v, error %v", got, err)
		}
	}
}

// An account may want shorter lives, and none longer than twelve hours.
func TestLifetimeOfRegistryTokens(t *testing.T) {
	h := newHouse(t)
	for seconds, want := range map[int]time.Duration{60: time.Minute, 0: TokenLifetime, 1_000_000: TokenLifetime} {
		h.exec(`UPDATE account SET token_seconds = $1`, seconds)
		if _, expires := h.issue(h.root(), "r"); !expires.Equal(h.clock.now().Add(want).Truncate(time.Microsecond)) {
			t.Errorf("with %d s: until %v", seconds, expires)
		}
	}
}

func TestVerdictsAreRemembered(t *testing.T) {
	h := newHouse(t)
	token, _ := h.issue(h.root(), "r")
	if _, err := h.check(token); err != nil {
		t.Fatal(err)
	}
	// Only what is remembered is found good once the key is another.
	key := h.key
	h.key = seal.NewKey()
	if _, err := h.check(token); err != nil {
		t.Error(err)
	}
	other, _ := h.issue(h.root(), "r")
	h.key = key
	if _, err := h.check(other); !errors.Is(err, ErrTokenInvalid) {
		t.Errorf("a token of another key: %v", err)
	}
	for i := range maxRemembered - 5 {
		h.remember(newCredentialKey(useRegistry, fmt.Sprint(i), ""), remembered{}, 1)
	}
	for i := range 10 {
		token, _ := h.issue(h.root(), fmt.Sprint(i))
		if _, err := h.check(token); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(h.callers); n == 0 || n > maxRemembered {
		t.Errorf("%d verdicts are remembered", n)
	}
}

// What is remembered of a token is asked anew after each change of the identities.
func TestTokenOfWhoIsGone(t *testing.T) {
	h := newHouse(t)
	ann, id, _ := h.user("ann")
	token, _ := h.issue(h.mustAuthenticate(id, noToken).Caller, "r")
	good := func() {
		t.Helper()
		if _, err := h.check(token); err != nil {
			t.Error(err)
		}
	}
	void := func(what string) {
		t.Helper()
		for range 2 {
			if got, err := h.check(token); !errors.Is(err, ErrTokenInvalid) || !nothing(got) {
				t.Errorf("%s: %+v, error %v", what, got, err)
			}
		}
	}
	good()
	h.exec(`UPDATE access_key SET active = 0 WHERE id = $1`, id)
	void("the key is inactive")
	h.exec(`UPDATE access_key SET active = 1 WHERE id = $1`, id)
	good()
	h.exec(`UPDATE account SET status = 'SUSPENDED' WHERE id = $1`, account)
	void("the account is closed")
	h.exec(`UPDATE account SET status = 'ACTIVE' WHERE id = $1`, account)
	good()
	// An access key that was made again under the same id is another's.
	h.exec(`UPDATE access_key SET principal = $1 WHERE id = $2`, iam.RootOf(account), id)
	void("the key is another's")
	h.exec(`UPDATE access_key SET principal = $1 WHERE id = $2`, ann.ID, id)
	good()
	h.exec(`DELETE FROM iam_user WHERE id = $1`, ann.ID)
	void("the user is gone")
}

func TestAlteredTokens(t *testing.T) {
	h := newHouse(t)
	token, _ := h.issue(h.root(), "us-east-1")
	refused := func(what, token string) {
		t.Helper()
		if got, err := h.check(token); !errors.Is(err, ErrTokenInvalid) || !nothing(got) {
			t.Errorf("%s: %+v, error %v", what, got, err)
		}
		if c, subject, err := h.CheckDownload(t.Context(), token); !errors.Is(err, ErrTokenInvalid) || !c.Anonymous() || subject != "" {
			t.Errorf("%s, as a download: %+v %q, error %v", what, c, subject, err)
		}
	}
	before := len(h.callers)
	alter(t, token, refused)
	refused("nothing", "")
	foreign, _ := newHouse(t).issue(h.root(), "us-east-1")
	refused("another installation's", foreign)
	if len(h.callers) != before {
		t.Error("a bad token left a verdict")
	}
	if _, err := h.check(token); err != nil {
		t.Error(err)
	}
}

func TestDownloadToken(t *testing.T) {
	h := newHouse(t)
	text, err := h.IssueDownload(h.root(), "123456789012/us-east-1/team/app@sha256:00", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	token := text.Reveal()
	c, subject, err := h.CheckDownload(t.Context(), token)
	if err != nil || !cmp.Equal(c, h.root(), sameCaller) || subject != "123456789012/us-east-1/team/app@sha256:00" {
		t.Errorf("%+v %q, error %v", c, subject, err)
	}
	h.clock.advance(time.Minute - time.Microsecond)
	if _, _, err := h.CheckDownload(t.Context(), token); err != nil {
		t.Error(err)
	}
	h.clock.advance(time.Microsecond)
	if c, subject, err := h.CheckDownload(t.Context(), token); !errors.Is(err, ErrTokenExpired) || !c.Anonymous() || subject != "" {
		t.Errorf("%+v %q, error %v", c, subject, err)
	}
	if text := fmt.Sprintf("%v %+v %#v %d", text, text, text, text); strings.Contains(text, token[:10]) {
		t.Error(text)
	}
}

// A token of one use is none of another.
func TestUsesOfTokens(t *testing.T) {
	h := newHouse(t)
	registry, _ := h.issue(h.root(), "us-east-1")
	download, err := h.IssueDownload(h.root(), "subject", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, _, err := h.CheckDownload(t.Context(), registry); !errors.Is(err, ErrTokenInvalid) {
			t.Errorf("a registry token as a download: %v", err)
		}
		if _, err := h.check(download.Reveal()); !errors.Is(err, ErrTokenInvalid) {
			t.Errorf("a download token at the registry: %v", err)
		}
		// Checking it as what it is must not make it good for the other use.
		if _, err := h.check(registry); err != nil {
			t.Error(err)
		}
		if _, _, err := h.CheckDownload(t.Context(), download.Reveal()); err != nil {
			t.Error(err)
		}
	}
}

func TestTokensConcurrently(t *testing.T) {
	h := newHouse(t)
	root := h.root()
	token, _ := h.issue(root, "us-east-1")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 200 {
				if got, err := h.check(token); err != nil || !cmp.Equal(got.Caller, root, sameCaller) {
					t.Errorf("%+v, error %v", got, err)
				}
				h.clock.advance(time.Second)
				if i == 0 {
					h.update(func(tx *store.Tx) error { return tx.Touch("iam/" + account) })
				}
			}
		})
	}
	wg.Wait()
}

func TestTokensByTheRealClock(t *testing.T) {
	h := newHouse(t)
	h.Directory = NewDirectory(h.iam, seal.NewKey(), nil)
	token, expires := h.issue(h.root(), "r")
	if left := time.Until(expires); left > TokenLifetime || left < TokenLifetime-time.Minute {
		t.Errorf("it lives for %v", left)
	}
	if _, err := h.check(token); err != nil {
		t.Error(err)
	}
}
