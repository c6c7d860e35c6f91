package app_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/rootkey/roottest"
)

// movedClock is a clock that a test moves.
type movedClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *movedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *movedClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// rooted is a server whose root of trust a test can take away.
func rooted(t *testing.T, options ...coffertest.Option) (*coffertest.Server, *movedClock) {
	clock := &movedClock{now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	return coffertest.Start(t, append(options, func(c *app.Config, o *app.Options) {
		c.AdminListen, c.RootKeyGrace = "127.0.0.1:0", 5*time.Minute
		// Only the test asks.
		o.Watch = kms.Watch{Interval: 24 * time.Hour, Now: clock.Now}
	})...), clock
}

// admin gets a page of the admin port.
func admin(t *testing.T, s *coffertest.Server, path string) (int, string) {
	t.Helper()
	r, err := s.Client.Get(s.AdminURL() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

// TestRootOutage takes the root of trust away, and puts it back. Signing in goes on, and what is refused is recorded.
func TestRootOutage(t *testing.T) {
	vault := roottest.NewVault(t, false)
	vault.Allow("s.token", true)
	vault.Put("coffer")
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s.token"), 0o600); err != nil {
		t.Fatal(err)
	}
	name := "vault://" + vault.Host() + "/transit/coffer"
	var path string
	for _, tt := range map[string]struct {
		url        string
		away, back func()
		named      string
	}{
		"file": {"", func() { must(t, os.Rename(path, path+".away")) }, func() { must(t, os.Rename(path+".away", path)) }, "file:"},
		"vault": {name + "?tls=off&token-file=" + token, func() {
			vault.Instead(func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "sealed", http.StatusServiceUnavailable)
			})
		}, func() { vault.Instead(nil) }, name},
	} {
		s, clock := rooted(t, func(c *app.Config, _ *app.Options) { c.RootKey = tt.url })
		path = filepath.Join(s.Config.Data, "root-key")
		s.CreateRepository("app")
		bearer := s.Token()
		s.PushImage(bearer, "app", "1", []byte("a layer"))
		must(t, s.AskRoot(t.Context()))
		if status, text := admin(t, s, "/readyz"); status != 200 || text != "ok\n" {
			t.Errorf("it is ready with %d %s", status, text)
		}
		tt.away()
		if err := s.AskRoot(t.Context()); err == nil {
			t.Fatal("the root is there")
		}
		if status, text := admin(t, s, "/readyz"); status != 200 || !strings.Contains(text, "ok, but root of trust "+tt.named) || !strings.Contains(text, "unavailable since 2030-01-02T03:04:05Z; data keys open until 2030-01-02T03:09:05Z") {
			t.Errorf("in the grace it is ready with %d %s", status, text)
		}
		s.CreateRepository("in-grace")
		clock.move(5 * time.Minute)
		if status, text := admin(t, s, "/readyz"); status != 503 || !strings.Contains(text, "data keys don't open until it is back") {
			t.Errorf("after the grace it is ready with %d %s", status, text)
		}
		if _, text := admin(t, s, "/metrics"); !strings.Contains(text, "\ncoffer_root_key_available 0\n") || !strings.Contains(text, "\ncoffer_root_key_closed 1\n") || !strings.Contains(text, "\ncoffer_root_key_unavailable_since_seconds 1.893553445e+09\n") {
			t.Error("the metrics don't tell of it")
		}
		if r := s.ECR("CreateRepository", map[string]string{"repositoryName": "closed"}); r.Status == 200 || r.Code() != "KmsException" {
			t.Errorf("a repository is refused with %d %s", r.Status, r.Body)
		}
		for _, path := range []string{"/v2/app/manifests/1", "/v2/app/blobs/" + coffertest.Digest([]byte("a layer"))} {
			if r := s.V2(bearer, "GET", path, nil); r.Status != 403 || !strings.Contains(string(r.Body), "the root of trust can't be reached since 2030-01-02T03:04:05Z") {
				t.Errorf("%s is answered with %d %s", path, r.Status, r.Body)
			}
		}
		s.Token() // Signing in goes on.
		recorded := map[string]bool{}
		for _, r := range s.Trail() {
			recorded[r.EventName+" "+r.ErrorCode] = true
		}
		if !recorded["CreateRepository KmsException"] || !recorded["BatchGetImage KmsException"] {
			t.Errorf("what was refused is not recorded: %v", recorded)
		}
		tt.back()
		must(t, s.AskRoot(t.Context()))
		if status, _ := admin(t, s, "/readyz"); status != 200 {
			t.Errorf("when the root is back it is ready with %d", status)
		}
		s.CreateRepository("back")
		s.Stop()
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// One server is the root of trust of another, by the protocol of KMS. What is done to the key there tells here.
func TestRootInKMS(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", coffertest.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", coffertest.SecretAccessKey)
	upper := coffertest.Start(t)
	id := upper.CreateKMSKey(nil)
	upper.MustKMS("CreateAlias", map[string]string{"AliasName": "alias/coffer", "TargetKeyId": id}, nil)
	url := "awskms://" + strings.TrimPrefix(upper.URL, "http://") + "/alias/coffer?region=us-east-1&tls=off"
	data := coffertest.Data(t.TempDir())

	s, _ := rooted(t, data)
	s.CreateRepository("app")
	s.PushImage(s.Token(), "app", "1", []byte("a layer"))
	var steps []string
	must(t, app.RotateRootKey(t.Context(), s.Config, url, func(step string) { steps = append(steps, step) }))
	if len(steps) != 3 || steps[2] != "from now on start with --root-key "+url {
		t.Errorf("steps are %q", steps)
	}
	s.PushImage(s.Token(), "app", "2", []byte("a layer"))
	s.Stop()
	// The file of before opens nothing now.
	fails(t, s.Config, "the keys of this data are wrapped by awskms://")

	s, _ = rooted(t, data, func(c *app.Config, _ *app.Options) { c.RootKey = url })
	bearer := s.Token()
	pull := func() int { return s.V2(bearer, "GET", "/v2/app/manifests/2", nil).Status }
	must(t, s.AskRoot(t.Context()))
	upper.MustKMS("DisableKey", map[string]string{"KeyId": id}, nil)
	if err := s.AskRoot(t.Context()); !errors.Is(err, kms.ErrRootRefused) {
		t.Errorf("a disabled key: %v", err)
	}
	if status := pull(); status != 403 {
		t.Errorf("with a disabled key it answers %d", status)
	}
	upper.MustKMS("EnableKey", map[string]string{"KeyId": id}, nil)
	must(t, s.AskRoot(t.Context()))
	if status := pull(); status != 200 {
		t.Errorf("with the key enabled again it answers %d", status)
	}
	must(t, app.RotateRootKey(t.Context(), s.Config, "", func(string) {}))
	state, err := app.RootKeyState(t.Context(), s.Config)
	if err != nil || state.Rotations != 2 || !state.Available || !strings.HasPrefix(state.Root, "awskms://") {
		t.Errorf("the state is %+v, error %v", state, err)
	}
	s.Stop()
	upper.MustKMS("DisableKey", map[string]string{"KeyId": id}, nil)
	fails(t, s.Config, "open the keys: the root of trust refuses its key: awskms://")
	upper.MustKMS("EnableKey", map[string]string{"KeyId": id}, nil)
	coffertest.Start(t, data, func(c *app.Config, _ *app.Options) { c.RootKey = url }).Stop()
}

// fails checks that a server doesn't start, and why.
func fails(t *testing.T, c app.Config, want string) {
	t.Helper()
	s, err := app.Start(t.Context(), c, app.Options{})
	if err == nil {
		t.Fatal(errors.Join(errors.New("it started"), s.Stop()))
	}
	if !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error is %v", err)
	}
}
