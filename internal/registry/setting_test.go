package registry

import (
	"errors"
	"slices"
	"testing"

	"github.com/coffer-registry/coffer/internal/store"
)

func (e *env) setting(id ID, name Setting) string {
	e.t.Helper()
	return read(e, func(tx *store.Tx) (string, error) { return e.Setting(tx, id, name) })
}

func TestSettings(t *testing.T) {
	e := newEnv(t, nil)
	if scope, mounting := e.setting(home, PolicyScope), e.setting(home, BlobMounting); scope != "V2" || mounting != "ENABLED" {
		t.Errorf("at first %s, %s", scope, mounting)
	}
	e.must(e.putSetting(home, PolicyScope, "V1"))
	e.must(e.putSetting(home, BlobMounting, "DISABLED"))
	if scope, mounting := e.setting(home, PolicyScope), e.setting(home, BlobMounting); scope != "V1" || mounting != "DISABLED" {
		t.Errorf("put and got %s, %s", scope, mounting)
	}
	for _, other := range []ID{abroad, foreign} {
		if scope := e.setting(other, PolicyScope); scope != "V2" {
			t.Errorf("%v has %s", other, scope)
		}
	}
	e.must(e.putSetting(home, PolicyScope, "V2"))
	for name, value := range map[Setting]string{PolicyScope: "v1", BlobMounting: ""} {
		var refused *SettingError
		if err := e.putSetting(home, name, value); !errors.As(err, &refused) || refused.Setting != name || !slices.IsSorted(refused.Values) || len(refused.Values) != 2 {
			t.Errorf("%s of %q: %v", name, value, err)
		}
	}
	if scope := e.setting(home, PolicyScope); scope != "V2" {
		t.Errorf("put again and got %s", scope)
	}
}

// Whether layers may be mounted is known from memory, and changes at once.
func TestMounts(t *testing.T) {
	e := newEnv(t, nil)
	want := func(id ID, want bool) {
		t.Helper()
		if mounts, err := e.Mounts(t.Context(), id); mounts != want || err != nil {
			t.Errorf("%v: %v, %v", id, mounts, err)
		}
	}
	want(home, true)
	e.must(e.putSetting(home, BlobMounting, "DISABLED"))
	want(home, false)
	want(abroad, true)
	e.must(e.putSetting(home, BlobMounting, "ENABLED"))
	want(home, true)
}
