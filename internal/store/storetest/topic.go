package storetest

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/coffer-registry/coffer/internal/store"
)

// topics collects what a database tells its subscribers.
type topics struct {
	mu   sync.Mutex
	told []string
}

func subscribe(db *store.DB) *topics {
	t := &topics{}
	db.Subscribe(func(topic string) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.told = append(t.told, topic)
	})
	return t
}

// take returns what was told since the last call, sorted.
func (t *topics) take() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	told := t.told
	t.told = nil
	slices.Sort(told)
	return told
}

func wantTopics(t *testing.T, when string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: told of %q, want %q", when, got, want)
	}
}

// testTouch: subscribers know of a change before Update returns, and of none that did not come about.
func testTouch(t *testing.T, opener Opener) {
	db := openTable(t, opener)
	heard := subscribe(db)
	update(t, db, func(tx *store.Tx) error {
		err := errors.Join(tx.Touch("a"), tx.Touch("b"))
		wantTopics(t, "before the commit", heard.take())
		return err
	})
	wantTopics(t, "after the commit", heard.take(), "a", "b")
	fault := errors.New("fault")
	wantError(t, db.Update(t.Context(), func(tx *store.Tx) error { return errors.Join(tx.Touch("a"), fault) }), fault)
	wantTopics(t, "after a rollback", heard.take())
}

// testFresh: a second server hears of each change before it goes on, once.
func testFresh(t *testing.T, opener Opener) {
	open := opener(t)
	one, two := open(), open()
	t.Cleanup(func() {
		if err := errors.Join(one.Close(), two.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	heard := subscribe(two)
	look := func() []string {
		t.Helper()
		if err := two.Fresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		return heard.take()
	}
	wantTopics(t, "nothing changed", look())
	touch := func(topics ...string) {
		t.Helper()
		update(t, one, func(tx *store.Tx) error {
			for _, topic := range topics {
				if err := tx.Touch(topic); err != nil {
					return err
				}
			}
			return nil
		})
	}
	touch("a", "b")
	wantTopics(t, "two changes", look(), "a", "b")
	wantTopics(t, "no more", look())
	touch("a")
	touch("a")
	wantTopics(t, "one topic twice", look(), "a")
	touch("c", "a")
	wantTopics(t, "a new topic and an old one", look(), "a", "c")
}
