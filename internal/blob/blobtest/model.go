package blobtest

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coffer-registry/coffer/internal/blob"
)

// model is what a store should hold.
type model struct {
	objects map[string][]byte
	// uploads are unfinished: what of each was durable, by state, and whether it is open.
	uploads map[string]*modelUpload
	// replaced are keys of unfinished uploads that were begun anew: what they left may be listed until it is deleted, or
	// until the object is committed.
	replaced map[string]bool
}

type modelUpload struct {
	open   blob.Upload
	bytes  []byte // what was written
	synced int    // how much of it is durable
	state  []byte // after that
}

// testModel runs random calls against the store and against maps, and opens the store anew in between.
func testModel(t *testing.T, opener Opener) {
	open := opener(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := open()
		m := model{map[string][]byte{}, map[string]*modelUpload{}, map[string]bool{}}
		keys := make([]string, 4)
		for i := range keys {
			keys[i] = blob.NewKey(time.Now().Add(time.Duration(i/2) * time.Hour))
		}
		defer func() {
			for _, u := range m.uploads {
				u.close(rt)
			}
			for _, key := range keys {
				if err := s.Delete(t.Context(), key); err != nil {
					rt.Fatal(err)
				}
			}
		}()
		pick := func(rt *rapid.T) string { return rapid.SampledFrom(keys).Draw(rt, "key") }
		opened := func(rt *rapid.T) (string, *modelUpload) {
			key := pick(rt)
			u := m.uploads[key]
			if u == nil || u.open == nil {
				rt.Skip("not open")
			}
			return key, u
		}
		rt.Repeat(map[string]func(*rapid.T){
			"begin": func(rt *rapid.T) {
				key := pick(rt)
				u, err := s.Create(t.Context(), key, nil)
				if old := m.uploads[key]; old != nil && old.open != nil {
					if !errors.Is(err, blob.ErrBusy) {
						rt.Fatalf("begin a second time: %v", err)
					}
					return
				}
				if err != nil {
					rt.Fatal(err)
				}
				m.replaced[key] = m.replaced[key] || m.uploads[key] != nil && m.uploads[key].state != nil
				m.uploads[key] = &modelUpload{open: u}
			},
			"resume": func(rt *rapid.T) { m.resume(rt, t, s, pick(rt)) },
			"write": func(rt *rapid.T) {
				_, u := opened(rt)
				p := rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(rt, "bytes")
				if err := u.open.WritePart(t.Context(), p); err != nil {
					rt.Fatal(err)
				}
				u.bytes = append(u.bytes, p...)
			},
			"sync": func(rt *rapid.T) {
				_, u := opened(rt)
				if err := u.open.Sync(t.Context()); err != nil {
					rt.Fatal(err)
				}
				u.synced, u.state = len(u.bytes), bytes.Clone(u.open.State())
			},
			"close": func(rt *rapid.T) {
				key, u := opened(rt)
				u.close(rt)
				if u.state == nil {
					// It can't be resumed, and whether it is still there is open.
					if err := s.Delete(t.Context(), key); err != nil {
						rt.Fatal(err)
					}
					delete(m.uploads, key)
					delete(m.objects, key)
					delete(m.replaced, key)
				}
			},
			"abort": func(rt *rapid.T) {
				key, u := opened(rt)
				if err := u.open.Abort(t.Context()); err != nil {
					rt.Fatal(err)
				}
				u.close(rt)
				delete(m.uploads, key)
			},
			"commit": func(rt *rapid.T) {
				key, u := opened(rt)
				err := u.open.Commit(t.Context())
				if _, exists := m.objects[key]; exists {
					if !errors.Is(err, fs.ErrExist) {
						rt.Fatalf("commit a second time: %v", err)
					}
					return
				}
				if err != nil {
					rt.Fatal(err)
				}
				u.close(rt)
				m.objects[key] = u.bytes
				delete(m.uploads, key)
				delete(m.replaced, key)
			},
			"delete": func(rt *rapid.T) {
				key := pick(rt)
				if u := m.uploads[key]; u != nil && u.open != nil {
					rt.Skip("open")
				}
				if err := s.Delete(t.Context(), key); err != nil {
					rt.Fatal(err)
				}
				delete(m.objects, key)
				delete(m.uploads, key)
				delete(m.replaced, key)
			},
			"reopen": func(rt *rapid.T) {
				for _, u := range m.uploads {
					if u.open != nil {
						rt.Skip("open")
					}
				}
				s = open()
			},
			"": func(rt *rapid.T) { m.check(rt, t, s, keys) },
		})
	})
}

func (u *modelUpload) close(rt *rapid.T) {
	if u.open == nil {
		return
	}
	if err := u.open.Close(); err != nil {
		rt.Fatal(err)
	}
	u.open = nil
}

func (m model) resume(rt *rapid.T, t *testing.T, s blob.Store, key string) {
	u := m.uploads[key]
	if u == nil || u.state == nil {
		rt.Skip("nothing to resume")
	}
	opened, err := s.Create(t.Context(), key, u.state)
	if u.open != nil {
		if !errors.Is(err, blob.ErrBusy) {
			rt.Fatalf("resume what is open: %v", err)
		}
		return
	}
	if _, exists := m.objects[key]; exists && errors.Is(err, fs.ErrExist) {
		delete(m.uploads, key) // it could not come to be an object
		return
	}
	if err != nil {
		rt.Fatal(err)
	}
	u.open, u.bytes = opened, u.bytes[:u.synced:u.synced]
}

func (m model) check(rt *rapid.T, t *testing.T, s blob.Store, keys []string) {
	for _, key := range keys {
		want, exists := m.objects[key]
		got, err := get(t.Context(), s, key)
		if exists && (err != nil || !bytes.Equal(got, want)) {
			rt.Fatalf("%d bytes, want %d, error %v", len(got), len(want), err)
		}
		if !exists && !errors.Is(err, fs.ErrNotExist) {
			rt.Fatalf("an object that should not be there: error %v", err)
		}
	}
	var objects, uploads []string
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			rt.Fatal(err)
		}
		if info.Partial {
			uploads = append(uploads, info.Key)
			continue
		}
		objects = append(objects, info.Key)
		if info.Size != int64(len(m.objects[info.Key])) {
			rt.Fatalf("size %d is listed, want %d", info.Size, len(m.objects[info.Key]))
		}
	}
	if want := slices.Sorted(maps.Keys(m.objects)); !slices.Equal(objects, want) {
		rt.Fatalf("objects %v, want %v", objects, want)
	}
	for key, u := range m.uploads {
		if _, exists := m.objects[key]; u.state != nil && !exists && !slices.Contains(uploads, key) {
			rt.Fatalf("upload %s is not listed", key)
		}
	}
	for _, key := range uploads {
		if m.uploads[key] == nil && !m.replaced[key] {
			rt.Fatalf("upload %s is listed", key)
		}
	}
}
