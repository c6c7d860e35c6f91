package blobtest

import (
	"bytes"
	"fmt"
	"io/fs"
	"sync"
	"testing"

	"github.com/coffer-registry/coffer/internal/blob"
)

func testVisibleByCommit(t *testing.T, opener Opener) {
	open := opener(t)
	s := open()
	key := newKey()
	u := create(t, s, key, nil)
	wantMissing(t, s, key)
	write(t, u, []byte("abc"))
	wantMissing(t, s, key)
	synced(t, u)
	wantMissing(t, s, key)
	wantMissing(t, open(), key)
	commit(t, u)
	wantObject(t, s, key, []byte("abc"))
	wantObject(t, open(), key, []byte("abc"))
}

// testCommittedOnce uses an upload after it is over.
func testCommittedOnce(t *testing.T, opener Opener) {
	s := opener(t)()
	key := newKey()
	u := create(t, s, key, nil)
	write(t, u, []byte("abc"))
	if err := u.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := u.WritePart(t.Context(), []byte("d")); err == nil {
		t.Error("wrote after the commit")
	}
	if err := u.Sync(t.Context()); err == nil {
		t.Error("synced after the commit")
	}
	if err := u.Commit(t.Context()); err == nil {
		t.Error("committed twice")
	}
	for range 2 { // as deferred calls do
		if err := u.Abort(t.Context()); err != nil {
			t.Errorf("abort after the commit: %v", err)
		}
		closeUpload(t, u)
	}
	wantObject(t, s, key, []byte("abc"))
}

func testAbort(t *testing.T, opener Opener) {
	s := opener(t)()
	key := newKey()
	u := create(t, s, key, nil)
	write(t, u, []byte("abc"))
	state := synced(t, u)
	for range 2 {
		if err := u.Abort(t.Context()); err != nil {
			t.Errorf("abort: %v", err)
		}
	}
	if err := u.WritePart(t.Context(), []byte("d")); err == nil {
		t.Error("wrote after the abort")
	}
	if err := u.Commit(t.Context()); err == nil {
		t.Error("committed after the abort")
	}
	closeUpload(t, u)
	wantMissing(t, s, key)
	if all := list(t, s, ""); len(all) != 0 {
		t.Errorf("it left %v", all)
	}
	_, err := s.Create(t.Context(), key, state)
	wantError(t, "resume", err, fs.ErrNotExist)
	put(t, s, key, []byte("new"))
	wantObject(t, s, key, []byte("new"))
}

// testBegunAgain begins an upload anew where an unfinished one lies.
func testBegunAgain(t *testing.T, opener Opener) {
	s := opener(t)()
	key := newKey()
	u := create(t, s, key, nil)
	write(t, u, []byte("a long beginning"))
	synced(t, u)
	closeUpload(t, u)
	put(t, s, key, []byte("short"))
	wantObject(t, s, key, []byte("short"))
}

func testResume(t *testing.T, opener Opener) {
	open := opener(t)
	for i, test := range []struct {
		name    string
		dropped []byte // written after the last sync
		reopen  bool
	}{
		{"at once", nil, false},
		{"in another process", nil, true},
		{"with more written", []byte("dropped"), false},
		{"in another process, with more written", []byte("dropped"), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open()
			key, want := newKey(), content(uint64(i), 250_000)
			var state []byte
			for at := 0; at < len(want); at += 50_000 {
				u := create(t, s, key, state)
				write(t, u, want[at:at+50_000])
				state = bytes.Clone(synced(t, u))
				if test.dropped != nil {
					write(t, u, test.dropped)
				}
				closeUpload(t, u)
				wantMissing(t, s, key)
				if test.reopen {
					s = open()
				}
			}
			u := create(t, s, key, state)
			if !bytes.Equal(u.State(), state) {
				t.Errorf("the state after it was resumed is %x, want %x", u.State(), state)
			}
			commit(t, u)
			wantObject(t, s, key, want)
		})
	}
}

// testResumeFromAnyState goes on from a state that is not the last.
func testResumeFromAnyState(t *testing.T, opener Opener) {
	s := opener(t)()
	key := newKey()
	u := create(t, s, key, nil)
	states := [][]byte{bytes.Clone(synced(t, u))}
	for _, part := range []string{"one ", "two ", "three "} {
		write(t, u, []byte(part))
		states = append(states, bytes.Clone(synced(t, u)))
	}
	closeUpload(t, u)
	for i := len(states) - 1; i >= 0; i-- {
		u := create(t, s, key, states[i])
		closeUpload(t, u)
	}
	u = create(t, s, key, states[0])
	write(t, u, []byte("four"))
	commit(t, u)
	wantObject(t, s, key, []byte("four"))
}

func testNothingToResume(t *testing.T, opener Opener) {
	s := opener(t)()
	key := newKey()
	u := create(t, s, key, nil)
	write(t, u, []byte("abc"))
	state := bytes.Clone(synced(t, u))
	_, err := s.Create(t.Context(), newKey(), state)
	wantError(t, "resume what was never begun", err, fs.ErrNotExist)
	commit(t, u)
	_, err = s.Create(t.Context(), key, state)
	wantError(t, "resume what was committed", err, fs.ErrExist)
	wantObject(t, s, key, []byte("abc"))
	if err := s.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	_, err = s.Create(t.Context(), key, state)
	wantError(t, "resume what was deleted", err, fs.ErrNotExist)
}

func testStatesRefused(t *testing.T, opener Opener) {
	s := opener(t)()
	key := newKey()
	u := create(t, s, key, nil)
	write(t, u, []byte("abc"))
	state := bytes.Clone(synced(t, u))
	closeUpload(t, u)
	longer := create(t, s, newKey(), nil)
	write(t, longer, []byte("abcd"))
	for name, bad := range map[string][]byte{
		"empty": {}, "short": state[:len(state)-1], "long": append(bytes.Clone(state), 0), "text": []byte("state"),
		"of a longer upload": synced(t, longer), "absurd": bytes.Repeat([]byte{0xff}, len(state)), "huge": append([]byte{0x7f}, bytes.Repeat([]byte{0xff}, len(state)-1)...),
	} {
		_, err := s.Create(t.Context(), key, bad)
		wantError(t, "resume from a state that is "+name, err, blob.ErrState)
	}
	// None of this did any harm, nor keeps the upload busy.
	u = create(t, s, key, state)
	write(t, u, []byte("def"))
	commit(t, u)
	wantObject(t, s, key, []byte("abcdef"))
}

func testBusy(t *testing.T, opener Opener) {
	s := opener(t)()
	for name, end := range map[string]func(blob.Upload) error{
		"close": func(u blob.Upload) error { return u.Close() },
		"abort": func(u blob.Upload) error { return u.Abort(t.Context()) },
	} {
		key := newKey()
		u := create(t, s, key, nil)
		write(t, u, []byte("abc"))
		state := bytes.Clone(synced(t, u))
		_, err := s.Create(t.Context(), key, nil)
		wantError(t, "begin again", err, blob.ErrBusy)
		_, err = s.Create(t.Context(), key, state)
		wantError(t, "resume", err, blob.ErrBusy)
		create(t, s, newKey(), nil) // another is free
		if err := end(u); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		put(t, s, key, []byte("other"))
		wantObject(t, s, key, []byte("other"))
		closeUpload(t, u) // a second time, which must not end anything of the other's
	}
	// Ending an upload twice must not end the one that came after it.
	key := newKey()
	first := create(t, s, key, nil)
	closeUpload(t, first)
	create(t, s, key, nil)
	closeUpload(t, first)
	if err := first.Abort(t.Context()); err != nil {
		t.Errorf("abort after close: %v", err)
	}
	_, err := s.Create(t.Context(), key, nil)
	wantError(t, "begin again", err, blob.ErrBusy)
}

func testManyWriters(t *testing.T, opener Opener) {
	open := opener(t)
	s := open()
	const writers, objects = 8, 12
	keys := make([][objects]string, writers)
	var wg sync.WaitGroup
	for g := range writers {
		wg.Go(func() {
			for i := range objects {
				keys[g][i] = newKey()
				if err := writeOne(t, s, keys[g][i], content(uint64(g*objects+i), 10_000), i%3 == 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s = open()
	for g := range writers {
		for i := range objects {
			wantObject(t, s, keys[g][i], content(uint64(g*objects+i), 10_000))
		}
	}
	if all := list(t, s, ""); len(all) != writers*objects {
		t.Errorf("%d objects are listed", len(all))
	}
}

// writeOne writes an object with others doing the same, and looks for it at once.
func writeOne(t *testing.T, s blob.Store, key string, p []byte, resume bool) (err error) {
	u, err := s.Create(t.Context(), key, nil)
	if err != nil {
		return err
	}
	defer func() { u.Close() }()
	if err := u.WritePart(t.Context(), p[:len(p)/2]); err != nil {
		return err
	}
	if resume {
		if err := u.Sync(t.Context()); err != nil {
			return err
		}
		state := u.State()
		if err := u.Close(); err != nil {
			return err
		}
		if u, err = s.Create(t.Context(), key, state); err != nil {
			return err
		}
	}
	if err := u.WritePart(t.Context(), p[len(p)/2:]); err != nil {
		return err
	}
	if err := u.Commit(t.Context()); err != nil {
		return err
	}
	got, err := get(t.Context(), s, key)
	if err == nil && !bytes.Equal(got, p) {
		err = fmt.Errorf("object %s has other bytes", key)
	}
	return err
}
