package audit

import (
	"bytes"
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

// trail is a trail with its database and its reader.
type trail struct {
	*Log
	reader *Reader
	t      testing.TB
}

func newTrail(t testing.TB) *trail {
	t.Helper()
	// Not the test's own context, which ends before what is put off for the end runs.
	db, err := store.Open(context.Background(), t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	key := seal.NewKey()
	log, err := New(db, key)
	if err != nil {
		t.Fatal(err)
	}
	return &trail{log, newReader(t, db, key), t}
}

func newReader(t testing.TB, db *store.DB, key seal.Key) *Reader {
	t.Helper()
	r, err := NewReader(db, key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// named is a record that can be told from others.
func named(name string) *Record {
	return &Record{Identity: Identity{Type: "Root"}, Time: completed, Name: name, Region: region, Account: account}
}

func (l *trail) exec(query string, args ...any) {
	l.t.Helper()
	if err := l.db.Update(context.Background(), func(tx *store.Tx) error { _, err := tx.Exec(query, args...); return err }); err != nil {
		l.t.Fatal(err)
	}
}

func (l *trail) note(names ...string) {
	l.t.Helper()
	for _, name := range names {
		if err := l.Note(named(name)); err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *trail) append(names ...string) {
	l.t.Helper()
	for _, name := range names {
		if err := l.db.Update(context.Background(), func(tx *store.Tx) error { return l.Append(tx, named(name)) }); err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *trail) flush() {
	l.t.Helper()
	if err := l.Flush(context.Background()); err != nil {
		l.t.Fatal(err)
	}
}

// breaks keeps the trail from being written, until the result is called.
func (l *trail) breaks() (mend func()) {
	l.t.Helper()
	l.exec(`ALTER TABLE audit RENAME TO gone`)
	return func() {
		l.t.Helper()
		l.exec(`ALTER TABLE gone RENAME TO audit`)
	}
}

func (l *trail) segments() []Segment {
	l.t.Helper()
	all, err := l.reader.After(context.Background(), 0, 1000)
	if err != nil {
		l.t.Fatal(err)
	}
	return all
}

// nameOf is the name of a record.
func nameOf(record []byte) string {
	_, rest, _ := bytes.Cut(record, []byte(`"eventName":"`))
	name, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(name)
}

func namesOf(records [][]byte) (names []string) {
	for _, r := range records {
		names = append(names, nameOf(r))
	}
	return names
}

func (l *trail) names() (names []string) {
	l.t.Helper()
	for _, s := range l.segments() {
		names = append(names, namesOf(s.list())...)
	}
	return names
}

func (l *trail) want(names ...string) {
	l.t.Helper()
	if diff := cmp.Diff(names, l.names()); diff != "" {
		l.t.Error(diff)
	}
}
