package kms

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

// clock is a clock that a test moves.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

// watched is a keyring whose root a test can take away.
type watched struct {
	*Keyring
	t       *testing.T
	root    *memoryRoot
	clock   *clock
	reports []Outage
	wrapped []byte
}

// openEmbedded opens a database that no network is between, for tests with a clock of their own.
func openEmbedded(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func newWatched(t *testing.T, grace time.Duration) *watched {
	w := &watched{t: t, root: newRoot(), clock: &clock{time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}}
	w.Keyring = open(t, openEmbedded(t), w.root, append(all, Scope{PurposeKMS, "123456789012", "us-east-1"})...)
	w.health.watch.Store(&Watch{Grace: grace, Now: w.clock.Now, Report: func(o Outage) { w.reports = append(w.reports, o) }})
	_, wrapped, err := w.GenerateDataKey(ecrEast, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.wrapped = wrapped
	return w
}

// beat asks once, after some time, and tells whether the root gave the key.
func (w *watched) beat(after time.Duration, fail error) bool {
	w.t.Helper()
	w.clock.now = w.clock.now.Add(after)
	w.root.fail = fail
	return w.Beat(w.t.Context()) == nil
}

// serves checks whether data keys open. Keys for signing in and for the trail always do.
func (w *watched) serves(want bool) {
	w.t.Helper()
	kmsEast := Scope{PurposeKMS, "123456789012", "us-east-1"}
	_, unwrapErr := w.Unwrap(w.wrapped, nil)
	_, wrapErr := w.Wrap(ecrEast, seal.NewKey(), nil)
	key, wrapped, generateErr := w.GenerateDataKey(kmsEast, nil)
	_, keyErr := w.Key(kmsEast)
	for what, err := range map[string]error{"Unwrap": unwrapErr, "Wrap": wrapErr, "GenerateDataKey": generateErr, "Key": keyErr} {
		if want && err != nil || !want && !errors.Is(err, ErrRootUnavailable) {
			w.t.Errorf("%s: %v", what, err)
		}
	}
	if !want && (key.Bytes() != nil || wrapped != nil) {
		w.t.Error("it gave a key with the error")
	}
	for _, scope := range []Scope{token, secrets, trail} {
		if _, err := w.Key(scope); err != nil {
			w.t.Errorf("%s: %v", scope.Purpose, err)
		}
	}
	if got := w.Outage().Closed; got == want {
		w.t.Errorf("closed is %v", got)
	}
}

// While the root gives no answer, data keys open for the grace, then not, and again once it is back.
func TestOutage(t *testing.T) {
	w := newWatched(t, 5*time.Minute)
	w.serves(true)
	if !w.beat(time.Minute, nil) {
		t.Fatal("the root is away")
	}
	began := w.clock.now.Add(time.Minute)
	if w.beat(time.Minute, errors.New("connection refused")) {
		t.Fatal("it beats without a root")
	}
	w.serves(true)
	w.beat(4*time.Minute, ErrRootUnavailable)
	w.serves(true)
	w.clock.now = began.Add(5*time.Minute - time.Nanosecond)
	w.serves(true)
	w.clock.now = began.Add(5 * time.Minute)
	w.serves(false)
	_, err := w.Unwrap(w.wrapped, nil)
	if want := "the root of trust can't be reached since 2030-01-02T03:06:05Z, and data keys don't open until it is back"; err == nil || err.Error() != want {
		t.Errorf("error is %v", err)
	}
	if o := w.Outage(); !o.Since.Equal(began) || !strings.Contains(o.String(), "root of trust memory:1 unavailable since 2030-01-02T03:06:05Z; data keys don't open until it is back: the root of trust can't be reached") {
		t.Errorf("outage is %s", o)
	}
	if !w.beat(time.Hour, nil) {
		t.Fatal("it is not back")
	}
	w.serves(true)
	// A later outage has a grace of its own.
	w.beat(time.Hour, ErrRootUnavailable)
	w.serves(true)
	if len(w.reports) != 3 || w.reports[0].Err == nil || w.reports[1].Err != nil || w.reports[2].Err == nil {
		t.Errorf("reports are %v", w.reports)
	}
}

// A root that answers no is obeyed at once, and is not forgiven when it goes away after that.
func TestRootRefuses(t *testing.T) {
	for _, fail := range []error{ErrRootRefused, ErrWrongRoot} {
		w := newWatched(t, time.Hour)
		w.beat(time.Minute, fail)
		w.serves(false)
		w.beat(time.Second, ErrRootUnavailable)
		w.serves(false)
		w.beat(time.Second, nil)
		w.serves(true)
	}
	w := newWatched(t, time.Hour)
	w.beat(time.Minute, ErrRootUnavailable)
	w.serves(true)
	w.beat(time.Minute, ErrRootRefused)
	w.serves(false)
}

// A root that has another key now, in which it wraps all the same, does not count as this one.
func TestRootIsReplaced(t *testing.T) {
	w := newWatched(t, time.Hour)
	w.root.key = seal.NewKey()
	w.beat(0, nil)
	w.serves(false)
}

// A root that hangs is given up on.
func TestRootHangs(t *testing.T) {
	db := openEmbedded(t)
	synctest.Test(t, func(t *testing.T) {
		root := newRoot()
		k := open(t, db, root)
		root.onAsk = func() { time.Sleep(time.Minute) }
		k.health.watch.Store(&Watch{Timeout: 3 * time.Second})
		hanging := hangingRoot{root}
		k.root = hanging
		start := time.Now()
		if err := k.Beat(t.Context()); !errors.Is(err, ErrRootUnavailable) {
			t.Errorf("error is %v", err)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// hangingRoot answers nothing until it is given up on.
type hangingRoot struct{ *memoryRoot }

func (h hangingRoot) Unwrap(ctx context.Context, _ []byte, _ Context) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// Run asks in its interval, and more often while the root is away.
func TestRun(t *testing.T) {
	db := openEmbedded(t)
	root := newRoot()
	k := open(t, db, root)
	synctest.Test(t, func(t *testing.T) {
		k.Watch(Watch{Interval: 30 * time.Second, Grace: time.Minute})
		ctx, cancel := context.WithCancel(t.Context())
		root.reset(nil)
		done := make(chan struct{})
		go func() { k.Run(ctx); close(done) }()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if asked := root.reset(ErrRootUnavailable); asked < 9 || asked > 11 {
			t.Errorf("it asked %d times in 5 minutes", asked)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if !k.Outage().Closed {
			t.Error("it is not closed")
		}
		if asked := root.reset(nil); asked < 50 || asked > 66 {
			t.Errorf("it asked %d times in 5 minutes in which the root was away", asked)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if o := k.Outage(); o.Err != nil || o.Closed {
			t.Errorf("it is not back: %s", o)
		}
		cancel()
		<-done
	})
}
