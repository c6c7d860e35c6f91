package registry

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/coffer-registry/coffer/internal/oci"
)

func (e *env) rewrap(ctx context.Context) (done int64, told [][2]int64, err error) {
	done, err = e.Rewrap(ctx, func(done, left int64) { told = append(told, [2]int64{done, left}) })
	return done, told, err
}

// When a customer key gets new material, the keys of its repositories are wrapped anew, and no object is written.
func TestRewrap(t *testing.T) {
	e := newEnv(t, nil)
	var repos []Repository
	for i := range 2*rewrapPage + 5 {
		kind := []string{EncryptionKMS, EncryptionDSSE}[i%2]
		repos = append(repos, e.createUnder(fmt.Sprintf("app%03d", i), Encryption{Type: kind, Key: keyOne}))
	}
	other := e.createUnder("other", Encryption{Type: EncryptionKMS, Key: keyTwo})
	digest := e.pushImage(repos[1], "1", "text")
	l, err := e.Layer(t.Context(), repos[1], oci.DigestOf([]byte("text")))
	e.must(err)
	object, err := os.ReadFile(e.objectPath(l.object))
	e.must(err)
	if done, _, err := e.rewrap(t.Context()); done != 0 || err != nil {
		t.Fatalf("without a rotation: %d, %v", done, err)
	}

	e.setKey(keyOne, rotate)
	ctx, cancel := context.WithCancel(t.Context())
	done, err := e.Rewrap(ctx, func(done, left int64) { cancel() })
	if done != rewrapPage || err == nil {
		t.Errorf("cut short: %d, %v", done, err)
	}
	e.restart()
	done, told, err := e.rewrap(t.Context())
	if done != int64(len(repos)-rewrapPage) || err != nil {
		t.Errorf("went on: %d, %v", done, err)
	}
	if want := fmt.Sprint([][2]int64{{rewrapPage, 5}, {rewrapPage + 5, 0}}); fmt.Sprint(told) != want {
		t.Errorf("told %v, want %s", told, want)
	}
	for _, repo := range append(repos, other) {
		found, err := e.Find(t.Context(), home, repo.Name)
		e.must(err)
		want := "material-1"
		if repo.Name == "other" {
			want = "material-0"
		}
		if found.wrapped.material != want || found.wrapped.inner[0] != want[len(want)-1]-'0' {
			t.Errorf("%s is wrapped with %s", repo.Name, found.wrapped.material)
		}
	}
	repo, err := e.Find(t.Context(), home, repos[1].Name)
	e.must(err)
	e.wantContent(repo, []byte("text"))
	if _, err := e.Manifest(t.Context(), repo, digest); err != nil {
		t.Error(err)
	}
	if now, err := os.ReadFile(e.objectPath(l.object)); err != nil || !bytes.Equal(now, object) {
		t.Errorf("the object was rewritten, error %v", err)
	}
	wraps, _ := e.customer.counts()
	if done, _, err := e.rewrap(t.Context()); done != 0 || err != nil {
		t.Errorf("once more: %d, %v", done, err)
	}
	if again, _ := e.customer.counts(); again != wraps {
		t.Error("wrapped anew what was wrapped already")
	}
}

// A repository whose key is refused keeps no other of the same customer key from its turn.
func TestRewrapSkipsRepositoriesThatAreRefused(t *testing.T) {
	e := newEnv(t, nil)
	for i := range rewrapPage + 2 {
		repo := e.createUnder(fmt.Sprintf("app%03d", i), Encryption{Type: EncryptionKMS, Key: keyOne})
		if i%50 == 0 {
			e.customer.refuse(repo.ARN())
		}
	}
	e.setKey(keyOne, rotate)
	if done, _, err := e.rewrap(t.Context()); done != rewrapPage+2-3 || err != nil {
		t.Errorf("%d, %v", done, err)
	}
}

// A customer key that can't be used keeps no other from its turn, and has its own when it can be used.
func TestRewrapSkipsKeysThatCantBeUsed(t *testing.T) {
	e := newEnv(t, nil)
	for i, key := range []string{keyOne, keyTwo} {
		e.createUnder(fmt.Sprintf("app%d", i), Encryption{Type: EncryptionKMS, Key: key})
		e.setKey(key, rotate)
	}
	e.setKey(keyOne, disable)
	if done, _, err := e.rewrap(t.Context()); done != 1 || err != nil {
		t.Errorf("%d, %v", done, err)
	}
	e.setKey(keyOne, enable)
	if done, _, err := e.rewrap(t.Context()); done != 1 || err != nil {
		t.Errorf("when it is enabled: %d, %v", done, err)
	}
}
