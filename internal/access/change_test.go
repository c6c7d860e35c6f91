package access

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/audit"
	"github.com/coffer-registry/coffer/internal/store"
)

// set changes a setting, as a domain would.
func set(name string) func(*store.Tx) (json.RawMessage, error) {
	return func(tx *store.Tx) (json.RawMessage, error) {
		_, err := tx.Exec(`INSERT INTO setting (name, value) VALUES ($1, $2)`, name, []byte("v"))
		return json.RawMessage(`{"name":"` + name + `"}`), err
	}
}

// settings is how many changes were kept.
func (h *house) settings() (n int) {
	h.t.Helper()
	err := h.db.View(context.Background(), func(tx *store.Tx) error { return tx.QueryRow(`SELECT count(*) FROM setting`).Scan(&n) })
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func (h *house) exec(query string) {
	h.t.Helper()
	if err := h.db.Update(context.Background(), func(tx *store.Tx) error { _, err := tx.Exec(query); return err }); err != nil {
		h.t.Fatal(err)
	}
}

func TestChange(t *testing.T) {
	h := build(t, nil)
	if err := h.enter(push()).Change(t.Context(), set("a")); err != nil {
		t.Fatal(err)
	}
	want := pushed()
	want.ResponseElements = map[string]any{"name": "a"}
	h.want(want)
	if n := h.settings(); n != 1 {
		t.Errorf("%d changes", n)
	}
}

// TestChangeFails: neither the change nor its record is there, until the caller says that it failed.
func TestChangeFails(t *testing.T) {
	h := build(t, nil)
	failure := errors.New("chosen")
	pass := h.enter(push())
	err := pass.Change(t.Context(), func(tx *store.Tx) (json.RawMessage, error) {
		response, err := set("a")(tx)
		return response, errors.Join(err, failure)
	})
	if !errors.Is(err, failure) {
		t.Fatalf("error is %v", err)
	}
	h.want()
	if n := h.settings(); n != 0 {
		t.Errorf("%d changes", n)
	}
	if err := pass.Fail("ServerException", "chosen"); err != nil {
		t.Fatal(err)
	}
	want := pushed()
	want.ErrorCode, want.ErrorMessage = "ServerException", "chosen"
	h.want(want)
}

// TestNoChangeWithoutRecord: what can't be recorded isn't done.
func TestNoChangeWithoutRecord(t *testing.T) {
	h := build(t, nil)
	pass := h.enter(push())
	h.exec(`ALTER TABLE audit RENAME TO gone`)
	if err := pass.Change(t.Context(), set("a")); err == nil {
		t.Error("changed without a record")
	}
	h.exec(`ALTER TABLE gone RENAME TO audit`)
	if n := h.settings(); n != 0 {
		t.Errorf("%d changes", n)
	}
	h.want()
}

// A change of a client that went away before is not made; its context doesn't matter once it runs.
func TestChangeOfNobody(t *testing.T) {
	h := build(t, nil)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.enter(push()).Change(gone, set("a")); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if n := h.settings(); n != 0 {
		t.Errorf("%d changes", n)
	}
	h.want()
}

// TestBacklog: when no more records may wait, everything is turned away, refusals too.
func TestBacklog(t *testing.T) {
	h := build(t, func(c *Config) { c.Rates = map[string]int64{"ecr:PutImage": 1} })
	pass, later := h.enter(push()), push()
	large := push()
	large.Parameters = json.RawMessage(`"` + strings.Repeat("x", 90<<10) + `"`)
	for range 1000 {
		if h.Refuse(large, "a", "b") != nil {
			break
		}
	}
	stranger := push()
	stranger.Caller.Principal.Root = false
	_, denied := h.Enter(t.Context(), stranger, "AccessDeniedException")
	_, throttled := h.Enter(t.Context(), later, "AccessDeniedException")
	for what, err := range map[string]error{
		"done": pass.Done(), "fail": pass.Fail("a", "b"), "refuse": h.Refuse(later, "a", "b"), "denied": denied, "throttled": throttled,
	} {
		if err != audit.ErrBacklog {
			t.Errorf("%s: %v", what, err)
		}
	}
	// Changes don't wait, so they go on.
	if err := pass.Change(t.Context(), set("a")); err != nil {
		t.Error(err)
	}
}
