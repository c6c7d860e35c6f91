package audit

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Around(m)) }

func TestAppend(t *testing.T) {
	l := newTrail(t)
	l.append("first", "second")
	l.want("first", "second")
	// A change that fails takes its record with it.
	failure := errors.New("chosen")
	err := l.db.Update(t.Context(), func(tx *store.Tx) error {
		if err := l.Append(tx, named("undone")); err != nil {
			return err
		}
		return failure
	})
	if err != failure {
		t.Fatal(err)
	}
	l.want("first", "second")
	// And a record that can't be written takes the change with it.
	mend := l.breaks()
	err = l.db.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.Exec(`INSERT INTO setting (name, value) VALUES ('a', x'')`); err != nil {
			return err
		}
		return l.Append(tx, named("lost"))
	})
	if err == nil {
		t.Error("changed without a record")
	}
	mend()
	var n int
	if err := l.db.View(t.Context(), func(tx *store.Tx) error { return tx.QueryRow(`SELECT count(*) FROM setting`).Scan(&n) }); err != nil || n != 0 {
		t.Errorf("%d changes without a record, error %v", n, err)
	}
	l.want("first", "second")
}

func TestNote(t *testing.T) {
	l := newTrail(t)
	l.note("a", "b", "c")
	l.want()
	l.flush()
	l.flush()
	l.want("a", "b", "c")
	segments := l.segments()
	if len(segments) != 1 || segments[0].Count != 3 || segments[0].Account != account || segments[0].Region != region {
		t.Errorf("%+v", segments)
	}
	other := named("d")
	other.Account, other.Region = "999999999999", "eu-central-1"
	if err := l.Note(other); err != nil {
		t.Fatal(err)
	}
	l.note("e")
	l.flush()
	scopes := map[string][]string{}
	for _, s := range l.segments() {
		scopes[s.Account+" "+s.Region] = append(scopes[s.Account+" "+s.Region], namesOf(s.list())...)
	}
	if diff := cmp.Diff(map[string][]string{account + " " + region: {"a", "b", "c", "e"}, "999999999999 eu-central-1": {"d"}}, scopes); diff != "" {
		t.Error(diff)
	}
	if l.waiting != 0 {
		t.Errorf("%d bytes wait", l.waiting)
	}
}

// The columns say from when to when a segment goes.
func TestTimesOfSegments(t *testing.T) {
	l := newTrail(t)
	for i := range 3 {
		r := named("a")
		r.Time = completed.Add(time.Duration(i) * time.Minute)
		if err := l.Note(r); err != nil {
			t.Fatal(err)
		}
	}
	mend := l.breaks()
	if err := l.Flush(t.Context()); err == nil {
		t.Fatal("it was written")
	}
	mend()
	late := named("b")
	late.Time = completed.Add(time.Hour)
	if err := l.Note(late); err != nil {
		t.Fatal(err)
	}
	l.flush()
	var first, last time.Time
	var n int
	err := l.db.View(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT first_time, last_time, records FROM audit`).Scan(&first, &last, &n)
	})
	if err != nil || !first.Equal(completed.Truncate(time.Microsecond)) || !last.Equal(completed.Add(time.Hour)) || n != 4 {
		t.Errorf("%d records from %v to %v, error %v", n, first, last, err)
	}
}

// TestFlushKeeps: what can't be written is kept, in its order, with what comes meanwhile.
func TestFlushKeeps(t *testing.T) {
	l := newTrail(t)
	l.note("a", "b")
	mend := l.breaks()
	for range 2 {
		if err := l.Flush(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "write 2 records of the trail: ") {
			t.Errorf("error is %v", err)
		}
	}
	l.note("c")
	if err := l.Flush(t.Context()); err == nil {
		t.Error("it was written")
	}
	waiting := l.waiting
	mend()
	l.note("d")
	if l.waiting <= waiting {
		t.Errorf("%d bytes wait, and %d did before", l.waiting, waiting)
	}
	l.flush()
	l.want("a", "b", "c", "d")
	if l.waiting != 0 {
		t.Errorf("%d bytes wait", l.waiting)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	l.note("e")
	if err := l.Flush(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	l.flush()
	l.want("a", "b", "c", "d", "e")
}

// TestNoteWhileFlushing notes a record while those before it are being written, which then fails.
func TestNoteWhileFlushing(t *testing.T) {
	l := newTrail(t)
	l.note("a", "b")
	flushing, release := make(chan struct{}), make(chan struct{})
	broken := make(chan error, 1)
	go func() {
		broken <- l.db.Update(context.Background(), func(tx *store.Tx) error {
			close(flushing)
			<-release
			_, err := tx.Exec(`ALTER TABLE audit RENAME TO gone`)
			return err
		})
	}()
	<-flushing
	flushed := make(chan error, 1)
	go func() { flushed <- l.Flush(context.Background()) }()
	for {
		l.mu.Lock()
		taken := len(l.pending) == 0
		l.mu.Unlock()
		if taken {
			break
		}
		runtime.Gosched()
	}
	l.note("c")
	close(release)
	if err := <-broken; err != nil {
		t.Fatal(err)
	}
	if err := <-flushed; err == nil {
		t.Fatal("it was written")
	}
	l.exec(`ALTER TABLE gone RENAME TO audit`)
	l.flush()
	l.want("a", "b", "c")
	if segments := l.segments(); len(segments) != 1 || segments[0].Count != 3 || l.waiting != 0 {
		t.Errorf("%d segments, %d bytes wait", len(segments), l.waiting)
	}
}

func TestBacklog(t *testing.T) {
	l := newTrail(t)
	mend := l.breaks()
	large := named("large")
	large.Parameters = []byte(`"` + strings.Repeat("x", 90<<10) + `"`)
	n := 0
	for ; n < 1000; n++ {
		if err := l.Note(large); err != nil {
			if err != ErrBacklog {
				t.Fatal(err)
			}
			break
		}
		if n%50 == 0 {
			if err := l.Flush(t.Context()); err == nil {
				t.Fatal("it was written")
			}
		}
	}
	if l.waiting < maxPending || l.waiting > maxPending+100<<10 {
		t.Errorf("%d bytes wait at most", l.waiting)
	}
	// Even a small record is refused, again and again, and none is forgotten.
	for range 3 {
		if err := l.Note(named("small")); err != ErrBacklog {
			t.Errorf("error is %v", err)
		}
	}
	mend()
	l.flush()
	l.note("after")
	l.flush()
	if names := l.names(); len(names) != n+1 || names[n] != "after" || slices.Contains(names, "small") {
		t.Errorf("%d records, want %d", len(names), n+1)
	}
}

// TestLargeSegments: a segment is compressed if that saves something, and reads back the same.
func TestLargeSegments(t *testing.T) {
	l := newTrail(t)
	var want []string
	size := func() (bytes int) {
		err := l.db.View(t.Context(), func(tx *store.Tx) error {
			return tx.QueryRow(`SELECT length(body) FROM audit ORDER BY id DESC LIMIT 1`).Scan(&bytes)
		})
		if err != nil {
			t.Fatal(err)
		}
		return bytes
	}
	for _, n := range []int{1, 3, 10, 5000} {
		for i := range n {
			want = append(want, fmt.Sprintf("op-%d-of-%d", i, n))
		}
		l.note(want[len(want)-n:]...)
		l.flush()
		plain := 0
		for _, s := range l.segments() {
			plain = len(s.body)
		}
		if stored := size(); plain > compressAbove && stored > plain*2/3 || plain < compressAbove && stored < plain {
			t.Errorf("%d records of %d bytes take %d", n, plain, stored)
		}
	}
	l.want(want...)
}

// TestRun: what is noted is written within a second, a large segment at once, and the rest at the end.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTrail(t)
		ctx, cancel := context.WithCancel(t.Context())
		reports := make(chan error, 10)
		ended := make(chan error, 1)
		go func() { ended <- l.Run(ctx, func(err error) { reports <- err }) }()
		l.note("a")
		time.Sleep(flushEvery + time.Millisecond)
		synctest.Wait()
		l.want("a")
		begun := time.Now()
		large := named("large")
		large.Parameters = []byte(`"` + strings.Repeat("x", 100_000) + `"`)
		for range flushBytes/100_000 + 1 {
			if err := l.Note(large); err != nil {
				t.Fatal(err)
			}
		}
		for len(l.names()) == 1 && time.Since(begun) < flushEvery {
			time.Sleep(time.Millisecond)
		}
		if waited := time.Since(begun); waited > flushEvery/2 {
			t.Errorf("a large segment waited for %v", waited)
		}
		mend := l.breaks()
		l.note("kept")
		time.Sleep(2*flushEvery + time.Millisecond)
		synctest.Wait()
		if len(reports) == 0 {
			t.Error("nothing was reported")
		}
		mend()
		l.note("last")
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		names := l.names()
		if diff := cmp.Diff([]string{"kept", "last"}, names[len(names)-2:]); diff != "" {
			t.Error(diff)
		}
		// The error of the last write is the one of Run.
		l.note("never")
		l.breaks()
		if err := l.Run(ctx, func(error) {}); err == nil || !strings.Contains(err.Error(), "write 1 records of the trail") {
			t.Errorf("error is %v", err)
		}
	})
}

func TestConcurrently(t *testing.T) {
	l := newTrail(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx, func(err error) { t.Error(err) }) }()
	var wg sync.WaitGroup
	var want []string
	for g := range 6 {
		for i := range 100 {
			want = append(want, fmt.Sprintf("%d-%d", g, i))
		}
		wg.Go(func() {
			for i := range 100 {
				name := fmt.Sprintf("%d-%d", g, i)
				var err error
				switch {
				case g == 0:
					err = l.db.Update(t.Context(), func(tx *store.Tx) error { return l.Append(tx, named(name)) })
				case g == 1 && i%10 == 0:
					err = errors.Join(l.Note(named(name)), l.Flush(t.Context()))
				default:
					err = l.Note(named(name))
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	got := l.names()
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Whoever flushes finds everything written that was noted before, even what another was about to write.
func TestFlushWaitsForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTrail(t)
		l.note("a")
		release := make(chan struct{})
		go func() {
			// The first flush waits for the one writer.
			l.db.Update(context.Background(), func(*store.Tx) error { <-release; return nil })
		}()
		synctest.Wait()
		var done [2]bool
		for i := range done {
			go func() {
				if err := l.Flush(context.Background()); err != nil {
					t.Error(err)
				}
				done[i] = true
			}()
			synctest.Wait()
		}
		if done != [2]bool{} {
			t.Errorf("done before anything was written: %v", done)
		}
		close(release)
		synctest.Wait()
		if done != [2]bool{true, true} {
			t.Errorf("not done: %v", done)
		}
	})
}
