package identity

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/coffer-registry/coffer/internal/store/pgtest"

	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Around(m)) }

// The example of the AWS documentation, and the account of tests.
const (
	exampleID     = "AKIAIOSFODNN7EXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	account       = "123456789012"
)

// noToken comes with long-term keys.
var noToken secret.Text

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

// house is a directory over a database of its own, with the account's root key in it.
type house struct {
	*Directory
	clock *clock
	db    *store.DB
	t     testing.TB
}

func newHouse(t testing.TB) *house {
	t.Helper()
	db := storetest.Open(t, t.TempDir(), store.Options{})
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &clock{at: time.Date(2026, 1, 15, 12, 30, 45, 123456789, time.UTC)}
	s := iam.New(iam.Config{DB: db, Secrets: seal.NewKey(), Now: c.now})
	if err := s.PutRootKey(t.Context(), account, exampleID, secret.New(exampleSecret)); err != nil {
		t.Fatal(err)
	}
	return &house{NewDirectory(s, seal.NewKey(), c.now), c, db, t}
}

func (h *house) update(fn func(*store.Tx) error) {
	h.t.Helper()
	if err := h.db.Update(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// root is the account's root, as it authenticates.
func (h *house) root() Caller { return h.mustAuthenticate(exampleID, noToken).Caller }

func (h *house) mustAuthenticate(id string, token secret.Text) Credential {
	h.t.Helper()
	c, err := h.Authenticate(h.t.Context(), id, token)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// user makes a user with an access key.
func (h *house) user(name string) (user iam.User, id string, text secret.Text) {
	h.t.Helper()
	h.update(func(tx *store.Tx) (err error) {
		if user, err = h.iam.CreateUser(tx, account, "/team/", name); err != nil {
			return err
		}
		id, text, err = h.iam.CreateAccessKey(tx, account, &user)
		return err
	})
	return user, id, text
}

func (h *house) exec(query string, args ...any) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		if err := tx.Touch("iam/" + account); err != nil {
			return err
		}
		_, err := tx.Exec(query, args...)
		return err
	})
}

// unknown wants credentials to be refused as ones that do not exist.
func (h *house) unknown(what, id string, token secret.Text) {
	h.t.Helper()
	for range 2 { // nothing is remembered of it
		c, err := h.Authenticate(h.t.Context(), id, token)
		if !errors.Is(err, ErrUnknownKey) || !c.Secret.Empty() || !c.Caller.Anonymous() {
			h.t.Errorf("%s: %+v, error %v", what, c, err)
		}
	}
}

func TestAuthenticateLongTermKeys(t *testing.T) {
	h := newHouse(t)
	for range 2 { // the second time from memory
		c := h.mustAuthenticate(exampleID, noToken)
		if c.Secret.Reveal() != exampleSecret || !c.Caller.Principal.Root || c.Caller.Type != TypeRoot || c.Caller.AccessKeyID != exampleID ||
			c.Caller.PrincipalID != account || c.Caller.Session != nil {
			t.Errorf("the root is %+v", c.Caller)
		}
	}
	ann, id, text := h.user("ann")
	c := h.mustAuthenticate(id, noToken)
	if !c.Secret.Equal(text) || c.Caller.Principal.ARN != "arn:aws:iam::123456789012:user/team/ann" || c.Caller.Type != TypeUser ||
		c.Caller.PrincipalID != ann.ID || c.Caller.Name != "ann" || c.Caller.Standing == nil {
		t.Errorf("the user is %+v", c.Caller)
	}
	for _, key := range []string{"aws:multifactorauthpresent", "aws:tokenissuetime"} {
		if values, there := c.Caller.Keys[key]; there {
			t.Errorf("%s of a long-term key is %q", key, values)
		}
	}
	h.unknown("no such key", "AKIAI44QH8DHBEXAMPLE", noToken)
	h.unknown("an empty id", "", noToken)
	h.unknown("a session token with a long-term key", exampleID, secret.New("token"))
	h.exec(`UPDATE access_key SET active = 0 WHERE id = $1`, id)
	h.unknown("an inactive key", id, noToken)
	h.exec(`UPDATE access_key SET active = 1 WHERE id = $1`, id)
	h.mustAuthenticate(id, noToken)
	h.exec(`UPDATE account SET status = 'SUSPENDED' WHERE id = $1`, account)
	h.unknown("a key of a closed account", id, noToken)
	h.exec(`UPDATE account SET status = 'ACTIVE' WHERE id = $1`, account)
	h.exec(`DELETE FROM access_key WHERE id = $1`, id)
	h.unknown("a deleted key", id, noToken)
}

// A token of one use is none of another, nor are the names of uses access keys, even once it was checked as what it is.
func TestTokensAreNoCredentials(t *testing.T) {
	h := newHouse(t)
	registry, _ := h.issue(h.root(), "us-east-1")
	download, err := h.IssueDownload(h.root(), "subject", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.CheckRegistryToken(t.Context(), registry); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.CheckDownload(t.Context(), download.Reveal()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{useRegistry, useDownload, useSession, exampleID} {
		h.unknown("a registry token under "+id, id, secret.New(registry))
		h.unknown("a download token under "+id, id, download)
	}
}

// alter calls fn with all kinds of texts that are almost a token.
func alter(t *testing.T, token string, fn func(what, altered string)) {
	t.Helper()
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(sealed) * 8 {
		altered := append([]byte(nil), sealed...)
		altered[i/8] ^= 1 << (i % 8)
		fn(fmt.Sprintf("bit %d", i), base64.RawURLEncoding.EncodeToString(altered))
	}
	for i := range sealed {
		fn(fmt.Sprintf("cut at %d", i), base64.RawURLEncoding.EncodeToString(sealed[:i]))
	}
	// Each character counts, even the bits of the last that stand for nothing.
	for i := range token {
		for _, c := range []byte("A_\n\r =:\x00") {
			if token[i] != c {
				fn(fmt.Sprintf("%q at %d", c, i), token[:i]+string(c)+token[i+1:])
			}
			fn(fmt.Sprintf("%q before %d", c, i), token[:i]+string(c)+token[i:])
		}
	}
	for what, text := range map[string]string{
		"text": "password", "a line break at its end": token + "\n", "padding": token + "=", "twice": token + token,
		"overlong": strings.Repeat("A", maxToken+1), "endless": strings.Repeat(token, 1000), "standard base64": base64.StdEncoding.EncodeToString(sealed) + "/+",
	} {
		fn(what, text)
	}
}
