package blobtest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/coffer-registry/coffer/internal/blob"
)

// keysOfDays makes keys of several days, in their order.
func keysOfDays(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = blob.NewKey(time.Now().AddDate(0, 0, -i/4))
	}
	slices.Sort(keys)
	return keys
}

func testList(t *testing.T, opener Opener) {
	open := opener(t)
	s := open()
	keys := keysOfDays(12)
	var want []blob.Info
	before := time.Now()
	for i, key := range keys {
		u := create(t, s, key, nil)
		write(t, u, content(uint64(i), 100+i))
		synced(t, u)
		if i%3 == 0 {
			closeUpload(t, u)
		} else {
			commit(t, u)
		}
		want = append(want, blob.Info{Key: key, Size: int64(100 + i), Partial: i%3 == 0})
	}
	for _, s := range []blob.Store{s, open()} {
		all := list(t, s, "")
		if diff := cmp.Diff(want, known(all, want), cmpopts.IgnoreFields(blob.Info{}, "Modified")); diff != "" {
			t.Error(diff)
		}
		for _, info := range all {
			if info.Modified.Before(before.Add(-time.Minute)) || info.Modified.After(time.Now().Add(time.Minute)) {
				t.Errorf("modified %v", info.Modified)
			}
		}
		for i, key := range keys {
			if diff := cmp.Diff(want[i+1:], known(list(t, s, key), want[i+1:]), cmpopts.IgnoreFields(blob.Info{}, "Modified"), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("after %s: %s", key, diff)
			}
		}
	}
}

// known is a list in which the sizes of unfinished uploads that the store doesn't know are as they should be.
func known(all, want []blob.Info) []blob.Info {
	all = slices.Clone(all)
	for i := range min(len(all), len(want)) {
		if all[i].Partial && all[i].Size == -1 {
			all[i].Size = want[i].Size
		}
	}
	return all
}

// testListPages lists from keys that don't exist.
func testListPages(t *testing.T, opener Opener) {
	s := opener(t)()
	keys := keysOfDays(9)
	for _, key := range keys {
		put(t, s, key, nil)
	}
	listed := func(after string) (got []string) {
		for _, info := range list(t, s, after) {
			got = append(got, info.Key)
		}
		return got
	}
	middle := keys[4]
	for _, after := range []string{
		"", "0", "00000000", "00000000/" + strings.Repeat("0", 32), "zzzz", "ffffffff/" + strings.Repeat("f", 32), "/", "~",
		middle[:3], middle[:8], middle[:9], middle[:20], middle[:len(middle)-1], middle + "0", middle[:8] + "/" + strings.Repeat("f", 32),
	} {
		var want []string
		for _, key := range keys {
			if key > after {
				want = append(want, key)
			}
		}
		if diff := cmp.Diff(want, listed(after)); diff != "" {
			t.Errorf("after %q: %s", after, diff)
		}
	}
	// Page by page, while what was listed is deleted.
	var got []string
	for after := ""; ; {
		page := 0
		for info, err := range s.List(t.Context(), after) {
			if err != nil {
				t.Fatal(err)
			}
			got, after = append(got, info.Key), info.Key
			if err := s.Delete(t.Context(), info.Key); err != nil {
				t.Fatal(err)
			}
			if page++; page == 2 {
				break
			}
		}
		if page < 2 {
			break
		}
	}
	if diff := cmp.Diff(keys, got); diff != "" {
		t.Error(diff)
	}
	if rest := listed(""); len(rest) != 0 {
		t.Errorf("left are %v", rest)
	}
}

func testListStops(t *testing.T, opener Opener) {
	s := opener(t)()
	for _, key := range keysOfDays(9) {
		put(t, s, key, nil)
	}
	n := 0
	for _, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 5 {
			break
		}
	}
	if n != 5 {
		t.Errorf("went on %d times", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var last error
	for info, err := range s.List(ctx, "") {
		if last = err; err == nil {
			t.Errorf("listed %s after ctx ended", info.Key)
		}
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("error is %v", last)
	}
}

// testListWhileChanging lists while objects come and go: those that stay are listed, once each and in order.
func testListWhileChanging(t *testing.T, opener Opener) {
	s := opener(t)()
	var stay []string
	for range 20 {
		key := newKey()
		put(t, s, key, []byte("stays"))
		stay = append(stay, key)
	}
	slices.Sort(stay)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 25 {
				key := newKey()
				if err := writeOne(t, s, key, []byte("goes"), false); err != nil {
					t.Error(err)
				}
				if err := s.Delete(t.Context(), key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 20 {
		var got []string
		last := ""
		for info, err := range s.List(t.Context(), "") {
			if err != nil {
				t.Error(err)
			}
			if info.Key < last {
				t.Errorf("%s comes after %s", info.Key, last)
			}
			if last = info.Key; slices.Contains(stay, info.Key) {
				got = append(got, info.Key)
			}
		}
		if diff := cmp.Diff(stay, got); diff != "" {
			t.Error(diff)
		}
	}
	wg.Wait()
	if all := list(t, s, ""); len(all) != len(stay) {
		t.Errorf("%d objects are left", len(all))
	}
}

func testDelete(t *testing.T, opener Opener) {
	s := opener(t)()
	object, upload, other := newKey(), newKey(), newKey()
	put(t, s, object, []byte("abc"))
	put(t, s, other, []byte("def"))
	u := create(t, s, upload, nil)
	write(t, u, []byte("abc"))
	state := synced(t, u)
	closeUpload(t, u)
	for _, key := range []string{object, upload} {
		for range 2 {
			if err := s.Delete(t.Context(), key); err != nil {
				t.Errorf("delete: %v", err)
			}
			wantMissing(t, s, key)
		}
	}
	_, err := s.Create(t.Context(), upload, state)
	if err == nil {
		t.Error("resumed what was deleted")
	}
	if all := list(t, s, ""); len(all) != 1 || all[0].Key != other {
		t.Errorf("left are %v", all)
	}
	wantObject(t, s, other, []byte("def"))
}

// testDeleteWhileWritten deletes an upload under its writer, as the sweeper may: it must not come to be an object.
func testDeleteWhileWritten(t *testing.T, opener Opener) {
	s := opener(t)()
	for _, end := range []string{"commit", "abort"} {
		key := newKey()
		u := create(t, s, key, nil)
		write(t, u, []byte("abc"))
		synced(t, u)
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if end == "commit" {
			if err := u.Commit(t.Context()); err == nil {
				t.Error("committed what was deleted")
			}
		}
		if err := u.Abort(t.Context()); err != nil {
			t.Errorf("abort: %v", err)
		}
		closeUpload(t, u)
		wantMissing(t, s, key)
	}
	if all := list(t, s, ""); len(all) != 0 {
		t.Errorf("left are %v", all)
	}
}
