package registry

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/storetest"
)

var encryptions = map[string]Encryption{
	"AES256":   {Type: EncryptionAES256},
	"KMS":      {Type: EncryptionKMS, Key: keyOne, Grants: []string{"a", "b"}},
	"KMS_DSSE": {Type: EncryptionDSSE, Key: keyOne, Grants: []string{"a", "b"}},
}

func (e *env) createUnder(name string, encryption Encryption) Repository {
	e.t.Helper()
	return e.createIn(home, NewRepository{Name: name, Mutability: Mutable, Encryption: encryption})
}

// Whatever the encryption, a push in parts and across a restart reads back, and the check finds nothing.
func TestEveryEncryption(t *testing.T) {
	for name, encryption := range encryptions {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, nil)
			repo := e.createUnder("app", encryption)
			digest := e.pushImage(repo, "1", "small")
			large := bytes.Repeat([]byte("larger than a chunk "), 20_000)
			u := e.startUpload(repo)
			if _, err := e.sendPart(repo, u.ID, large[:150_000]); err != nil {
				t.Fatal(err)
			}
			e.restart()
			repo, err := e.Find(t.Context(), home, "app")
			e.must(err)
			if repo.Encryption.Type != encryption.Type || repo.Encryption.Key != encryption.Key || len(repo.Encryption.Grants) != len(encryption.Grants) {
				t.Errorf("it is encrypted as %+v", repo.Encryption)
			}
			if _, _, err := e.finishUpload(repo, u.ID, large[150_000:]); err != nil {
				t.Fatal(err)
			}
			e.wantContent(repo, []byte("small"))
			e.wantContent(repo, large)
			if m, err := e.Manifest(t.Context(), repo, digest); err != nil || oci.DigestOf(m.Body) != digest {
				t.Errorf("the manifest: %v", err)
			}
			e.wantClean()
		})
	}
}

func (e *env) wantClean() {
	e.t.Helper()
	_, err := e.Check(e.t.Context(), func(fault string) { e.t.Errorf("%s", fault) }, func(Checked) {})
	e.must(err)
}

// Bytes are shared between repositories of the same type and customer key, and no others.
func TestSharingStaysWithinAKey(t *testing.T) {
	e := newEnv(t, nil)
	kinds := []Encryption{{}, {Type: EncryptionKMS, Key: keyOne}, {Type: EncryptionKMS, Key: keyTwo}, {Type: EncryptionDSSE, Key: keyOne}}
	objects := map[string]bool{}
	for i, encryption := range kinds {
		name := string(rune('a' + i))
		first, second := e.createUnder(name+"1", encryption), e.createUnder(name+"2", encryption)
		e.pushImage(first, "1", "the same everywhere")
		l := e.pushLayer(second, []byte("the same everywhere"))
		original, err := e.Layer(t.Context(), first, l.Digest)
		e.must(err)
		if l.object != original.object {
			t.Errorf("%+v: two repositories have an object each", encryption)
		}
		if objects[l.object] {
			t.Errorf("%+v: shares an object across keys", encryption)
		}
		objects[l.object] = true
		e.wantContent(second, []byte("the same everywhere"))
	}
	for i := range kinds {
		from, err := e.Find(t.Context(), home, string(rune('a'+i))+"1")
		e.must(err)
		to := e.createUnder("to"+string(rune('a'+i)), kinds[(i+1)%len(kinds)])
		if _, err := change(e, func(tx *store.Tx) (Layer, error) {
			return e.MountLayer(tx, from, to, oci.DigestOf([]byte("the same everywhere")))
		}); !errors.Is(err, ErrLayerNotFound) {
			t.Errorf("mounted from %+v to %+v: %v", from.Encryption, to.Encryption, err)
		}
	}
	e.wantClean()
}

// A customer key that can't be used closes its repositories, and no others, until it can be used again.
func TestDisabledKeyClosesItsRepositories(t *testing.T) {
	for _, kind := range []string{EncryptionKMS, EncryptionDSSE} {
		t.Run(kind, func(t *testing.T) {
			e := newEnv(t, nil)
			closed := e.createUnder("closed", Encryption{Type: kind, Key: keyOne})
			open := e.createUnder("open", Encryption{Type: kind, Key: keyTwo})
			plain := e.create("plain")
			digest := e.pushImage(closed, "1", "text")
			for _, repo := range []Repository{open, plain} {
				e.pushImage(repo, "1", "text")
			}
			upload := e.startUpload(closed)
			e.wantContent(closed, []byte("text"))
			_, err := e.Manifest(t.Context(), closed, digest)
			e.must(err) // which is in memory now

			attempts := map[string]func() error{
				"pull a layer":    func() error { _, err := e.content(closed, oci.DigestOf([]byte("text"))); return err },
				"pull a manifest": func() error { _, err := e.Manifest(t.Context(), closed, digest); return err },
				"push a manifest": func() error { _, err := e.push(closed, "2", imageOf([]byte("text"), []byte("text"))); return err },
				"begin an upload": func() error {
					_, err := change(e, func(tx *store.Tx) (Upload, error) { return e.StartUpload(tx, closed) })
					return err
				},
				"push a layer":      func() error { tr, err := e.Begin(t.Context(), closed); return errors.Join(err, closeTransfer(tr)) },
				"go on":             func() error { _, err := e.sendPart(closed, upload.ID, []byte("part")); return err },
				"make a repository": func() error { return e.tryCreate("new", Encryption{Type: kind, Key: keyOne}) },
			}
			for i := range 2 {
				e.setKey(keyOne, disable)
				for name, attempt := range attempts {
					var refused *KeyError
					if err := attempt(); !errors.As(err, &refused) || refused.Code != "DisabledException" {
						t.Errorf("round %d, %s: %v", i, name, err)
					}
				}
				for _, repo := range []Repository{open, plain} {
					e.wantContent(repo, []byte("text"))
				}
				// What is known of the repository needs no key.
				if _, err := e.Find(t.Context(), home, "closed"); err != nil {
					t.Error(err)
				}
				e.setKey(keyOne, enable)
				e.wantContent(closed, []byte("text"))
				if _, err := e.Manifest(t.Context(), closed, digest); err != nil {
					t.Error(err)
				}
			}
			if _, _, err := e.finishUpload(closed, upload.ID, []byte("later")); err != nil {
				t.Errorf("go on when the key is enabled again: %v", err)
			}
			e.setKey(keyOne, disable)
			if err := e.deleteRepository(home, "closed", true); err != nil {
				t.Errorf("delete a repository whose key is disabled: %v", err)
			}
		})
	}
}

func closeTransfer(tr *Transfer) error {
	if tr == nil {
		return nil
	}
	return tr.Close()
}

func (e *env) tryCreate(name string, encryption Encryption) error {
	_, err := change(e, func(tx *store.Tx) (Repository, error) {
		return e.CreateRepository(tx, home, NewRepository{Name: name, Mutability: Mutable, Encryption: encryption})
	})
	return err
}

// A cold pull makes one operation with the customer key, however many layers and clients; a warm one makes none.
func TestKeyOperationsOfAPull(t *testing.T) {
	if storetest.Reruns() {
		t.Skip("a transaction that runs twice asks for keys twice")
	}
	for _, kind := range []string{EncryptionKMS, EncryptionDSSE} {
		t.Run(kind, func(t *testing.T) {
			e := newEnv(t, nil)
			repo := e.createUnder("app", Encryption{Type: kind, Key: keyOne})
			digest := e.pushImage(repo, "1", "text")
			pull := func() {
				if _, err := e.Manifest(t.Context(), repo, digest); err != nil {
					t.Error(err)
				}
				e.wantContent(repo, []byte("text"))
				e.wantContent(repo, emptyConfig)
			}
			wants := func(what string, want int) {
				t.Helper()
				e.customer.mu.Lock()
				defer e.customer.mu.Unlock()
				if got := e.customer.wraps + e.customer.unwraps; got != want {
					t.Errorf("%s: %d key operations, want %d", what, got, want)
				}
				e.customer.wraps, e.customer.unwraps = 0, 0
			}
			wants("a creation and a push", 2)
			pull()
			wants("a warm pull", 0)
			e.restart()
			repo, err := e.Find(t.Context(), home, "app")
			e.must(err)
			var clients sync.WaitGroup
			for range 16 {
				clients.Go(pull)
			}
			clients.Wait()
			wants("16 cold pulls at once", 1)
			e.clock.Advance(keyTTL)
			pull()
			wants("a pull when the key was open for its time", 1)
			e.clock.Advance(-time.Hour)
			pull()
			wants("a pull after the clock was set back", 1)
		})
	}
}

// A repository without grants keeps nobody from pushing what it has to another one under the same key.
func TestPushBesideARepositoryWithoutGrants(t *testing.T) {
	e := newEnv(t, nil)
	closed, open := e.createUnder("closed", encryptions["KMS"]), e.createUnder("open", encryptions["KMS"])
	e.pushImage(closed, "1", "text")
	e.customer.refuse(closed.ARN())
	e.setKey(keyOne, enable) // which forgets what is open
	e.pushImage(open, "1", "text")
	e.wantContent(open, []byte("text"))
}

// A key that is taken away while a layer is on its way keeps the layer out.
func TestKeyTakenAwayDuringAPush(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.createUnder("app", encryptions["KMS"])
	digest := e.pushImage(repo, "1", "text")
	tr, err := e.Begin(t.Context(), repo)
	e.must(err)
	e.setKey(keyOne, disable)
	var refused *KeyError
	if _, _, err := e.finish(tr, []byte("late")); !errors.As(err, &refused) {
		t.Errorf("the layer: %v", err)
	}
	if _, err := e.push(repo, "2", imageOf([]byte("text"))); !errors.As(err, &refused) {
		t.Errorf("another tag of %s: %v", digest, err)
	}
}

// Many readers of what only the key opens, at a moment when it is not open, wait for the key and not for each other.
func TestColdReadersDoNotWaitForEachOther(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.createUnder("app", encryptions["KMS"])
	subject := e.pushImage(repo, "1", "text")
	e.customer.look = func(ctx context.Context) {
		e.must(e.db.View(ctx, func(tx *store.Tx) error { return tx.QueryRow(`SELECT 1`).Scan(new(int)) }))
	}
	e.setKey(keyOne, enable)
	var clients sync.WaitGroup
	for range 32 {
		clients.Go(func() {
			e.view(func(tx *store.Tx) error {
				_, err := e.readManifest(manifestRow(tx, repo, subject), repo, subject)
				return err
			})
		})
	}
	clients.Wait()
}

// A wrapped key opens in its own row only.
func TestSwappedWrapsDoNotOpen(t *testing.T) {
	for name, encryption := range encryptions {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, nil)
			one, two := e.createUnder("one", encryption), e.createUnder("two", encryption)
			digest := e.pushImage(one, "1", "first")
			e.pushImage(two, "1", "second")
			first, err := e.Layer(t.Context(), one, oci.DigestOf([]byte("first")))
			e.must(err)
			config, err := e.Layer(t.Context(), one, oci.DigestOf(emptyConfig))
			e.must(err)
			second, err := e.Layer(t.Context(), two, oci.DigestOf([]byte("second")))
			e.must(err)
			for what, wrapped := range map[string][]byte{
				"another object of the repository": config.wrapped, "an object of another repository": second.wrapped,
				"the key of the repository": one.wrapped.inner, "nothing": nil, "the format alone": {objectWrap},
				"another format": append([]byte{9}, first.wrapped[1:]...), "a bit flipped": flipped(first.wrapped, 20), "the last byte cut": first.wrapped[:len(first.wrapped)-1],
			} {
				l := first
				l.wrapped = wrapped
				if reader, err := e.OpenLayer(t.Context(), one, l); err == nil {
					t.Errorf("%s: opened %d bytes", what, reader.Size())
				} else if !errors.Is(err, kms.ErrUnwrap) {
					t.Errorf("%s: %v", what, err)
				}
			}
			// The keys of two repositories, exchanged in the database.
			e.update(func(tx *store.Tx) error {
				for name, wrapped := range map[string]wrappedKey{"one": two.wrapped, "two": one.wrapped} {
					if _, err := tx.Exec(`UPDATE repository SET data_key = $1, outer_key = $2 WHERE name = $3`, wrapped.inner, wrapped.outer, name); err != nil {
						return err
					}
				}
				return nil
			})
			e.restart()
			swapped, err := e.Find(t.Context(), home, "one")
			e.must(err)
			if _, err := e.Manifest(t.Context(), swapped, digest); err == nil {
				t.Error("opened with the key of another repository")
			}
			if _, err := e.content(swapped, first.Digest); err == nil {
				t.Error("read a layer with the key of another repository")
			}
		})
	}
}

func flipped(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 1
	return b
}

// Objects of repositories under a customer key are of the version of their layers, and readable under no service key.
func TestObjectsAreSealedInLayers(t *testing.T) {
	e := newEnv(t, nil)
	for kind, version := range map[string]byte{EncryptionAES256: 1, EncryptionKMS: 1, EncryptionDSSE: 2} {
		repo := e.createUnder(strings.ToLower(kind), encryptions[kind])
		l := e.pushLayer(repo, []byte("find me in the folder"))
		text, err := os.ReadFile(e.objectPath(l.object))
		e.must(err)
		if text[7] != version || bytes.Contains(text, []byte("find me")) {
			t.Errorf("%s: an object of version %d", kind, text[7])
		}
		if _, err := e.Registry.keys.Unwrap(l.wrapped, objectContext(repo, l.object)); err == nil {
			t.Errorf("%s: a service key opens the object's key", kind)
		}
		if kind == EncryptionAES256 {
			continue
		}
		if _, err := e.Registry.keys.Unwrap(repo.wrapped.inner, repositoryContext(home, repo.Name)); err == nil {
			t.Errorf("%s: a service key opens the repository's key", kind)
		}
	}
}

func (e *env) objectPath(object string) string {
	return filepath.Join(e.dir, "blobs", filepath.FromSlash(object))
}

// What was written before repositories' keys wrapped those of objects is still read, shared and gone on with.
func TestOldWrapsOpen(t *testing.T) {
	e := newEnv(t, nil)
	repo, other := e.create("old"), e.create("other")
	l := e.pushLayer(repo, []byte("old"))
	e.pushImage(repo, "1", "old")
	key, err := e.objectKey(repo, l.object, l.wrapped)
	e.must(err)
	old, err := e.Registry.keys.Wrap(home.keyScope(), key, objectContext(repo, l.object))
	e.must(err)
	e.update(func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE layer SET data_key = $1 WHERE digest = $2`, old, string(l.Digest))
		return err
	})
	e.restart()
	e.wantContent(repo, []byte("old"))
	if shared := e.pushLayer(other, []byte("old")); shared.object != l.object || shared.wrapped[0] != objectWrap {
		t.Errorf("it is not shared, or wrapped as before")
	}
	e.wantContent(other, []byte("old"))
	e.wantClean()
}

func TestEncryptionThatMakesNoSense(t *testing.T) {
	e := newEnv(t, nil)
	for name, encryption := range map[string]Encryption{
		"no such type": {Type: "ROT13"}, "no key": {Type: EncryptionKMS}, "a key too many": {Type: EncryptionAES256, Key: keyOne},
	} {
		if err := e.tryCreate("app", encryption); err == nil {
			t.Errorf("%s: made", name)
		}
	}
	var refused *KeyError
	if err := e.tryCreate("app", Encryption{Type: EncryptionKMS, Key: "arn:aws:kms:us-east-1:123456789012:key/none"}); !errors.As(err, &refused) {
		t.Errorf("a key that isn't there: %v", err)
	}
}
