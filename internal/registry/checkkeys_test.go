package registry

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/store"
)

func (e *env) keyFacts() (facts []KeyFact) {
	e.t.Helper()
	e.must(e.CheckKeys(e.t.Context(), func(f KeyFact) { facts = append(facts, f) }))
	return facts
}

// Every repository, object and upload under way is told of, with the keys above it.
func TestCheckKeys(t *testing.T) {
	e := newEnv(t, nil)
	for kind, encryption := range encryptions {
		repo := e.createUnder("app-"+strings.ToLower(kind), encryption)
		e.pushImage(repo, "1", "text")
		e.startUpload(repo)
	}
	e.must(e.deleteRepository(home, "app-aes256", true)) // whose rows are only waiting for the sweeper
	facts := e.keyFacts()
	if len(facts) != 2*(1+2+1) {
		t.Errorf("%d facts", len(facts))
	}
	for _, f := range facts {
		dsse := f.Encryption.Type == EncryptionDSSE
		if f.Err != nil || f.Encryption.Key != keyOne || f.Material != "material-0" || (f.ServiceKey != "") != dsse || (f.Layers == 2) != dsse {
			t.Errorf("%+v", f)
		}
	}
	repo, err := e.Find(t.Context(), home, "app-kms")
	e.must(err)
	l, err := e.Layer(t.Context(), repo, oci.DigestOf([]byte("text")))
	e.must(err)
	e.update(func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE layer SET data_key = $1 WHERE repository = $2 AND digest = $3`, flipped(l.wrapped, 30), repo.id, string(l.Digest))
		return err
	})
	e.setKey(keyTwo, disable)
	bad := slices.DeleteFunc(e.keyFacts(), func(f KeyFact) bool { return f.Err == nil })
	if len(bad) != 1 || bad[0].Object != l.object || !errors.Is(bad[0].Err, kms.ErrUnwrap) {
		t.Errorf("with a wrap altered: %+v", bad)
	}
	e.setKey(keyOne, disable)
	for _, f := range e.keyFacts() {
		var refused *KeyError
		if !errors.As(f.Err, &refused) || refused.Code != "DisabledException" {
			t.Errorf("with the key disabled: %v", f.Err)
		}
	}
}
