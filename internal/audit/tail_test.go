package audit

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/store"
)

func (l *trail) tail(lines int) (names []string, calls int) {
	l.t.Helper()
	err := l.reader.Tail(context.Background(), lines, false, func(records [][]byte) error {
		calls++
		names = append(names, namesOf(records)...)
		return nil
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return names, calls
}

func TestTail(t *testing.T) {
	l := newTrail(t)
	if names, calls := l.tail(10); names != nil || calls != 1 {
		t.Errorf("of an empty trail: %q in %d calls", names, calls)
	}
	l.append("1")
	l.note("2", "3", "4")
	l.flush()
	l.append("5", "6")
	all := []string{"1", "2", "3", "4", "5", "6"}
	for lines := range 8 {
		names, calls := l.tail(lines)
		if diff := cmp.Diff(append([]string(nil), all[max(0, len(all)-lines):]...), names); diff != "" || calls != 1 {
			t.Errorf("%d lines in %d calls: %s", lines, calls, diff)
		}
	}
	// What is asked for is bounded.
	if names, _ := l.tail(1 << 40); len(names) != 6 {
		t.Errorf("%q", names)
	}
	failure := errors.New("chosen")
	if err := l.reader.Tail(t.Context(), 1, true, func([][]byte) error { return failure }); err != failure {
		t.Errorf("error is %v", err)
	}
	defer l.breaks()()
	if err := l.reader.Tail(t.Context(), 1, false, func([][]byte) error { return nil }); err == nil {
		t.Error("no error without a table")
	}
}

// inOrder appends records in a bubble of synctest, where ids have an order only if time goes by.
func (l *trail) inOrder(names ...string) {
	l.t.Helper()
	for _, name := range names {
		l.append(name)
		time.Sleep(time.Millisecond)
	}
}

// follower follows a trail in a bubble of synctest.
type follower struct {
	*trail
	got    []string
	fail   error // what it gives for the next records
	cancel context.CancelFunc
	ended  chan error
}

func follow(t *testing.T, l *trail, lines int) *follower {
	ctx, cancel := context.WithCancel(t.Context())
	f := &follower{trail: l, cancel: cancel, ended: make(chan error, 1)}
	go func() {
		f.ended <- l.reader.Tail(ctx, lines, true, func(records [][]byte) error {
			f.got = append(f.got, namesOf(records)...)
			return f.fail
		})
	}()
	synctest.Wait()
	return f
}

// wait lets so much time go by, and looks what came.
func (f *follower) wait(d time.Duration, want ...string) {
	f.t.Helper()
	time.Sleep(d)
	synctest.Wait()
	if diff := cmp.Diff(want, f.got); diff != "" {
		f.t.Error(diff)
	}
	f.got = nil
}

func (f *follower) end() {
	f.t.Helper()
	f.cancel()
	if err := <-f.ended; err != nil {
		f.t.Errorf("error is %v", err)
	}
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTrail(t)
		f := follow(t, l, 10)
		f.wait(0)
		l.inOrder("1")
		l.note("2", "3")
		l.flush()
		f.wait(followEvery, "1", "2", "3")
		f.wait(time.Minute)
		l.inOrder("4")
		f.wait(followEvery, "4")
		f.end()
	})
}

func TestFollowAfterLines(t *testing.T) {
	for lines, want := range map[int][]string{0: nil, 1: {"5"}, 3: {"3", "4", "5"}, 10: {"1", "2", "3", "4", "5"}} {
		// However old the newest records are, what was there before is not taken for new.
		for _, idle := range []time.Duration{0, followAgain / 2, 2 * followAgain, time.Hour} {
			t.Run(fmt.Sprintf("%d lines after %v", lines, idle), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := newTrail(t)
					l.inOrder("1", "2")
					time.Sleep(time.Second)
					l.inOrder("3", "4", "5")
					time.Sleep(idle)
					f := follow(t, l, lines)
					f.wait(0, want...)
					f.wait(2 * followEvery)
					l.inOrder("6")
					f.wait(followEvery, "6")
					f.end()
				})
			})
		}
	}
}

// TestFollowLateCommits has segments that commit after others with higher ids: none is lost, and none comes twice.
func TestFollowLateCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTrail(t)
		late := func(age time.Duration, name string) {
			t.Helper()
			s := &segment{scope: scope{account, region}}
			s.add(named(name))
			l.put(store.IDAt(time.Now().Add(-age))+int64(len(name)), 1, append([]byte{encodingPlain}, s.body...))
		}
		l.inOrder("old")
		f := follow(t, l, 1)
		f.wait(0, "old")
		for i := range 40 {
			l.inOrder(fmt.Sprint("now", i))
			late(time.Duration(i+1)*followAgain/50, fmt.Sprint("late", i)) // up to 8 s
			f.wait(followEvery, fmt.Sprint("late", i), fmt.Sprint("now", i))
		}
		f.wait(time.Minute)
		f.end()
	})
}

// TestFollowMuch has more segments between two looks than a page holds.
func TestFollowMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTrail(t)
		f := follow(t, l, 0)
		var want []string
		err := l.db.Update(t.Context(), func(tx *store.Tx) error {
			want = nil
			for i := range 2*followPage + 100 {
				want = append(want, fmt.Sprint(i))
				s := &segment{scope: scope{account, region}}
				s.add(named(want[i]))
				if err := l.insert(tx, s); err != nil {
					return err
				}
				time.Sleep(time.Microsecond) // so that the ids are in order
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		f.wait(followEvery, want...)
		f.wait(5 * time.Second)
		f.end()
	})
}

func TestFollowEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTrail(t)
		f := follow(t, l, 1)
		f.fail = errors.New("chosen")
		l.inOrder("1")
		f.wait(followEvery, "1")
		if err := <-f.ended; err != f.fail {
			t.Errorf("error is %v", err)
		}
		f = follow(t, l, 0)
		mend := l.breaks()
		f.wait(followEvery)
		if err := <-f.ended; err == nil {
			t.Error("no error without a table")
		}
		mend()
		f = follow(t, l, 0)
		f.end()
	})
}
