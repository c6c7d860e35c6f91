package app_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/blob/s3test"
	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/rootkey"
	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/pgtest"
)

// shared is what the replicas of an installation share.
type shared struct {
	database, blobs, rootKey string
}

// newShared makes a database, a bucket and a root key for replicas.
func newShared(t *testing.T) shared {
	t.Helper()
	s3test.Environment(t)
	gateway := s3test.Start(t)
	path := t.TempDir() + "/root-key"
	if _, err := rootkey.CreateFile(path); err != nil {
		t.Fatal(err)
	}
	return shared{database: pgtest.Start(t).Database(t), blobs: gateway.URL(gateway.Bucket(t)), rootKey: "file:" + path}
}

// replica starts a server of the installation.
func (s shared) replica(t *testing.T, options ...coffertest.Option) *coffertest.Server {
	t.Helper()
	return coffertest.Start(t, append([]coffertest.Option{coffertest.Configure(func(c *app.Config) {
		c.Database, c.Blobs, c.RootKey = s.database, s.blobs, s.rootKey
	})}, options...)...)
}

// ahead is a clock that is wrong by so much.
func ahead(d time.Duration) coffertest.Option {
	return func(_ *app.Config, o *app.Options) {
		o.MachineClock = func() time.Time { return time.Now().Add(d) }
	}
}

// What is done by way of one replica is known to all on the next request.
func TestReplicas(t *testing.T) {
	s := newShared(t)
	one, two := s.replica(t), s.replica(t)
	one.CreateRepository("app")
	layer := []byte(strings.Repeat("layer ", 1<<18))
	first, _ := one.PushImage(one.Token(), "app", "v1", layer)
	for _, r := range []*coffertest.Server{two, one} {
		if got := r.V2(r.Token(), http.MethodGet, "/v2/app/manifests/v1", nil); got.Status != http.StatusOK || got.Header.Get("Docker-Content-Digest") != first {
			t.Fatalf("status %d: %s", got.Status, got.Body)
		}
		if got := r.V2(r.Token(), http.MethodGet, "/v2/app/blobs/"+coffertest.Digest(layer), nil); !bytes.Equal(got.Body, layer) {
			t.Errorf("status %d, %d bytes", got.Status, len(got.Body))
		}
	}
	t.Run("tags", func(t *testing.T) {
		for i := range 20 {
			from, to := one, two
			if i%2 == 1 {
				from, to = two, one
			}
			next, _ := from.PushImage(from.Token(), "app", "v1", []byte(fmt.Sprint("image ", i)))
			if got := to.V2(to.Token(), http.MethodHead, "/v2/app/manifests/v1", nil); got.Header.Get("Docker-Content-Digest") != next {
				t.Fatalf("push %d: the other replica still says %s", i, got.Header.Get("Docker-Content-Digest"))
			}
			if got := from.V2(from.Token(), http.MethodDelete, "/v2/app/manifests/"+next, nil); got.Status != http.StatusAccepted {
				t.Fatalf("delete: status %d: %s", got.Status, got.Body)
			}
			if got := to.V2(to.Token(), http.MethodGet, "/v2/app/manifests/"+next, nil); got.Status != http.StatusNotFound {
				t.Fatalf("deletion %d: the other replica says %d", i, got.Status)
			}
		}
	})
	t.Run("policies", func(t *testing.T) {
		one.MustQuery("iam", "CreateUser", map[string]any{"UserName": "ann"})
		key := one.MustQuery("iam", "CreateAccessKey", map[string]any{"UserName": "ann"})
		ann := coffertest.Credentials{AccessKeyID: key.Text("AccessKeyId"), SecretAccessKey: key.Text("SecretAccessKey")}
		for range 5 {
			if got := two.As(ann).ECR("DescribeRepositories", struct{}{}); got.Code() != "AccessDeniedException" {
				t.Fatalf("without a policy: %d %s", got.Status, got.Body)
			}
			one.MustQuery("iam", "PutUserPolicy", map[string]any{"UserName": "ann", "PolicyName": "p",
				"PolicyDocument": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ecr:*","Resource":"*"}}`})
			if got := two.As(ann).ECR("DescribeRepositories", struct{}{}); got.Status != http.StatusOK {
				t.Fatalf("with a policy: %d %s", got.Status, got.Body)
			}
			one.MustQuery("iam", "DeleteUserPolicy", map[string]any{"UserName": "ann", "PolicyName": "p"})
		}
	})
}

// An upload that began by way of one replica is gone on with by way of others, in any order, and of two that write the same part one
// wins.
func TestUploadAcrossReplicas(t *testing.T) {
	s := newShared(t)
	all := []*coffertest.Server{s.replica(t), s.replica(t), s.replica(t)}
	all[0].CreateRepository("app")
	token := all[0].Token()
	for _, size := range []int{1 << 10, 300 << 10, 7 << 20} {
		content := []byte(strings.Repeat("0123456789abcdef", size/16))
		start := all[0].V2(token, http.MethodPost, "/v2/app/blobs/uploads/", nil)
		path := start.Header.Get("Location")
		for i, at := 0, 0; at < len(content); i++ {
			end := min(len(content), at+len(content)/5+1)
			got := all[i%3].V2(token, http.MethodPatch, path, content[at:end], "Content-Type", "application/octet-stream", "Content-Range", fmt.Sprintf("%d-%d", at, end-1))
			if got.Status != http.StatusAccepted {
				t.Fatalf("part at %d of %d: status %d: %s", at, size, got.Status, got.Body)
			}
			at = end
		}
		digest := coffertest.Digest(content)
		if got := all[1].V2(token, http.MethodPut, path+"?digest="+digest, nil); got.Status != http.StatusCreated {
			t.Fatalf("finish %d: status %d: %s", size, got.Status, got.Body)
		}
		if got := all[2].V2(token, http.MethodGet, "/v2/app/blobs/"+digest, nil); string(got.Body) != string(content) {
			t.Errorf("%d bytes came back as %d", size, len(got.Body))
		}
	}
	t.Run("two at once", func(t *testing.T) {
		path := all[0].V2(token, http.MethodPost, "/v2/app/blobs/uploads/", nil).Header.Get("Location")
		texts := []string{strings.Repeat("a", 1<<20), strings.Repeat("b", 1<<20)}
		statuses := make([]int, 2)
		var both sync.WaitGroup
		for i, text := range texts {
			both.Go(func() {
				statuses[i] = all[i].V2(token, http.MethodPatch, path, text, "Content-Range", fmt.Sprintf("0-%d", len(text)-1)).Status
			})
		}
		both.Wait()
		winners := 0
		for i, status := range statuses {
			if status != http.StatusAccepted {
				continue
			}
			winners++
			digest := coffertest.Digest([]byte(texts[i]))
			if got := all[2].V2(token, http.MethodPut, path+"?digest="+digest, nil); got.Status != http.StatusCreated {
				t.Errorf("finish: status %d: %s", got.Status, got.Body)
			}
		}
		if winners != 1 {
			t.Errorf("statuses %v", statuses)
		}
	})
}

// Replicas whose clocks differ by half a minute either way go by the database's: what one revokes is revoked at all, and what one
// gives is good at all.
func TestReplicasWithWrongClocks(t *testing.T) {
	s := newShared(t)
	slow, fast := s.replica(t, ahead(-30*time.Second)), s.replica(t, ahead(30*time.Second))
	slow.CreateRepository("app")
	slow.PushImage(slow.Token(), "app", "v1", []byte("text"))
	for _, pair := range [][2]*coffertest.Server{{slow, fast}, {fast, slow}} {
		if got := pair[1].V2(pair[0].Token(), http.MethodGet, "/v2/app/manifests/v1", nil); got.Status != http.StatusOK {
			t.Errorf("status %d: %s", got.Status, got.Body)
		}
	}
}

// What is wrong with where an installation is to be kept is told in one line.
func TestWrongPlaces(t *testing.T) {
	s := newShared(t)
	other := newShared(t)
	s.replica(t).Stop()
	other.replica(t).Stop()
	start := func(change func(*app.Config)) error {
		c := coffertest.Config(t)
		c.Database, c.Blobs, c.RootKey = s.database, s.blobs, s.rootKey
		change(&c)
		server, err := app.Start(t.Context(), c, app.Options{})
		if err == nil {
			server.Stop()
		}
		return err
	}
	for name, tt := range map[string]struct {
		change func(*app.Config)
		want   string
	}{
		"as it was":              {func(*app.Config) {}, ""},
		"another's bucket":       {func(c *app.Config) { c.Blobs = other.blobs }, "belongs to another installation"},
		"another's database":     {func(c *app.Config) { c.Database, c.RootKey = other.database, other.rootKey }, "belongs to another installation"},
		"another's root key":     {func(c *app.Config) { c.RootKey = other.rootKey }, "root key"},
		"no root key":            {func(c *app.Config) { c.RootKey = "" }, "root-key"},
		"a bucket that is not":   {func(c *app.Config) { c.Blobs = strings.Replace(s.blobs, "s3://", "s3://no-", 1) }, "bucket"},
		"a database that is not": {func(c *app.Config) { c.Database = strings.Replace(s.database, "/test_", "/none_", 1) }, "does not exist"},
		"nobody there":           {func(c *app.Config) { c.Database = "postgres://coffer@127.0.0.1:1/coffer?sslmode=disable" }, "can't be reached"},
		"a wrong password":       {func(c *app.Config) { c.Database = strings.Replace(s.database, "only-for-tests", "token@wrong", 1) }, "password"},
	} {
		t.Run(name, func(t *testing.T) {
			err := start(tt.change)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error is %v", err)
			}
			t.Log(err)
			if strings.ContainsAny(err.Error(), "\n\r") || strings.Contains(err.Error(), "token@") {
				t.Errorf("%q is not one line, or tells a password", err)
			}
		})
	}
	if _, err := os.Stat(strings.TrimPrefix(s.rootKey, "file:")); err != nil {
		t.Error(err)
	}
}

// A check of an installation that replicas serve meanwhile finds nothing wrong, and one that lacks an object does.
func TestCheckBesideTraffic(t *testing.T) {
	s := newShared(t)
	one := s.replica(t, coffertest.Limits(map[string]int64{"sweep-seconds": 1, "layer-grace-seconds": 3}))
	one.CreateRepository("app")
	token := one.Token()
	kept := bytes.Repeat([]byte("kept "), 1<<16)
	first, _ := one.PushImage(token, "app", "kept", kept)
	pull := func() {
		t.Helper()
		if got := one.V2(token, http.MethodGet, "/v2/app/blobs/"+coffertest.Digest(kept), nil); !bytes.Equal(got.Body, kept) {
			t.Errorf("pull: status %d, %d bytes of %d", got.Status, len(got.Body), len(kept))
		}
	}
	pull()
	stop := make(chan struct{})
	var traffic sync.WaitGroup
	for worker := range 2 {
		traffic.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				digest, _ := one.PushImage(token, "app", fmt.Sprint("w", worker), bytes.Repeat(fmt.Append(nil, worker, i), 100<<10))
				one.V2(token, http.MethodDelete, "/v2/app/manifests/"+digest, nil)
			}
		})
	}
	c := coffertest.Config(t)
	c.Database, c.Blobs, c.RootKey = s.database, s.blobs, s.rootKey
	check := func() (faults []string, images int64) {
		done, err := app.Check(t.Context(), c, func(text string) { faults = append(faults, text) }, func(app.Checked) {})
		if err != nil {
			t.Error(err)
		}
		return faults, done.Images
	}
	for range 3 {
		if faults, images := check(); len(faults) > 0 || images == 0 {
			t.Errorf("%d images, faults %q", images, faults)
		}
	}
	close(stop)
	traffic.Wait()
	err := one.Registry.View(t.Context(), func(tx *store.Tx) error {
		var object string
		if err := tx.QueryRow(`SELECT layer.object FROM layer JOIN image_layer ON image_layer.repository = layer.repository AND image_layer.layer = layer.digest
			WHERE image_layer.image = $1 ORDER BY layer.size DESC LIMIT 1`, first).Scan(&object); err != nil {
			return err
		}
		objects, err := blob.OpenS3(t.Context(), s.blobs, blob.S3Options{})
		if err != nil {
			return err
		}
		defer objects.Close()
		return objects.Delete(t.Context(), object)
	})
	if err != nil {
		t.Fatal(err)
	}
	pull() // A server still has it in memory, and a check doesn't ask there.
	if faults, _ := check(); len(faults) == 0 {
		t.Error("an object that is missing was not found")
	}
}

// The installation key is rotated by way of one replica, and all go on, with accounts made before and after by way of any.
func TestRotateRootKeyOfReplicas(t *testing.T) {
	s := newShared(t)
	one, two := s.replica(t), s.replica(t)
	one.CreateRepository("app")
	one.PushImage(one.Token(), "app", "v1", []byte("before"))
	for round := range 2 {
		if err := app.RotateRootKey(t.Context(), one.Config, "", func(string) {}); err != nil {
			t.Fatal(err)
		}
		for _, r := range []*coffertest.Server{two, one} {
			name := fmt.Sprintf("of-%d-%t", round, r == one)
			r.CreateRepository(name)
			r.PushImage(r.Token(), name, "v1", []byte("after"))
			for _, repository := range []string{"app", name} {
				for _, other := range []*coffertest.Server{one, two} {
					if got := other.V2(other.Token(), http.MethodGet, "/v2/"+repository+"/manifests/v1", nil); got.Status != http.StatusOK {
						t.Errorf("round %d, %s: status %d: %s", round, repository, got.Status, got.Body)
					}
				}
			}
		}
		// A new account needs new service keys, made by the one and used by the other.
		created := two.Organizations("CreateAccount", map[string]any{"AccountName": fmt.Sprint("n", round), "Email": fmt.Sprintf("n%d@example.com", round)})
		if created.Status != http.StatusOK {
			t.Fatalf("status %d: %s", created.Status, created.Body)
		}
	}
	three := s.replica(t)
	if got := three.V2(three.Token(), http.MethodGet, "/v2/app/manifests/v1", nil); got.Status != http.StatusOK {
		t.Errorf("a replica that started later: status %d: %s", got.Status, got.Body)
	}
}

// A backup that is made while replicas are pushed to and deleted from is restored in a folder, as a whole.
func TestBackupOfReplicas(t *testing.T) {
	s := newShared(t)
	one := s.replica(t)
	one.CreateRepository("app")
	token := one.Token()
	kept := []byte(strings.Repeat("kept ", 1<<18))
	one.PushImage(token, "app", "kept", kept)
	stop := make(chan struct{})
	var traffic sync.WaitGroup
	for worker := range 2 {
		traffic.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				digest, _ := one.PushImage(token, "app", fmt.Sprint("w", worker), bytes.Repeat(fmt.Append(nil, worker, i), 100<<10))
				one.V2(token, http.MethodDelete, "/v2/app/manifests/"+digest, nil)
			}
		})
	}
	c := coffertest.Config(t)
	c.Database, c.Blobs, c.RootKey = s.database, s.blobs, s.rootKey
	folder := t.TempDir() + "/backups"
	for range 2 {
		if _, err := app.MakeBackup(t.Context(), c, app.BackupOptions{Folder: folder, Tell: func(app.Transferred) {}}); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	traffic.Wait()
	restored := coffertest.Config(t)
	restored.RootKey = s.rootKey
	b, err := app.Restore(t.Context(), restored, app.RestoreOptions{Folder: folder, Say: func(string) {}, Tell: func(app.Transferred) {}})
	if err != nil || b.Objects == 0 {
		t.Fatal(b, err)
	}
	if _, err := app.Check(t.Context(), restored, func(text string) { t.Error(text) }, func(app.Checked) {}); err != nil {
		t.Fatal(err)
	}
	again := coffertest.Start(t, coffertest.Configure(func(c *app.Config) { c.Data, c.RootKey = restored.Data, restored.RootKey }))
	if got := again.V2(again.Token(), http.MethodGet, "/v2/app/blobs/"+coffertest.Digest(kept), nil); !bytes.Equal(got.Body, kept) {
		t.Errorf("status %d, %d bytes", got.Status, len(got.Body))
	}
}
