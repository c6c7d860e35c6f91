package kms

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/coffer-registry/coffer/internal/store"
)

// Watch says how the root is watched. The zero value has what is usual.
type Watch struct {
	// Interval is the time between two questions, within a tenth of it more or less; 0 is 30 seconds. While the root is away
	// it is a sixth of that.
	Interval time.Duration
	// Grace is how long data keys still open while the root gives no answer; 0 is not at all.
	Grace time.Duration
	// Timeout is how long one answer may take; 0 is 10 seconds.
	Timeout time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Report is told when the root goes away and when it is back; nil is nobody.
	Report func(Outage)
}

// Outage is how long the root has been away, and what comes of it.
type Outage struct {
	// Root is the name of the root.
	Root string
	// Err is what came of the last question; nil if the root is there.
	Err error
	// Since is when the first question failed, and Closes when data keys stop to open, which is Since if the root refused.
	Since, Closes time.Time
	// Closed says that data keys don't open now.
	Closed bool
}

// String tells of the outage in one line.
func (o Outage) String() string {
	if o.Err == nil {
		return fmt.Sprintf("root of trust %s answers", o.Root)
	}
	rest := "data keys open until " + stamp(o.Closes)
	if o.Closed {
		rest = "data keys don't open until it is back"
	}
	return fmt.Sprintf("root of trust %s unavailable since %s; %s: %v", o.Root, stamp(o.Since), rest, o.Err)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// health is what is known of the root.
type health struct {
	watch  atomic.Pointer[Watch]
	outage atomic.Pointer[outage]
}

// outage is a row of questions that failed.
type outage struct {
	since time.Time
	// refused says that the root answered, and that its answer was no.
	refused bool
	err     error
}

func (h *health) now() time.Time {
	if w := h.watch.Load(); w != nil && w.Now != nil {
		return w.Now()
	}
	return time.Now()
}

// closes is when data keys stop to open.
func (h *health) closes(o *outage) time.Time {
	w := h.watch.Load()
	if o.refused || w == nil {
		return o.since
	}
	return o.since.Add(w.Grace)
}

// guard refuses keys of data while the root is away for longer than the grace. Keys for signing in and for the trail go on:
// what is refused is to be recorded.
func (k *Keyring) guard(p Purpose) error {
	o := k.health.outage.Load()
	if o == nil || p != PurposeECR && p != PurposeKMS || k.health.now().Before(k.health.closes(o)) {
		return nil
	}
	return fmt.Errorf("%w since %s, and data keys don't open until it is back", ErrRootUnavailable, stamp(o.since))
}

// Outage tells whether the root is away.
func (k *Keyring) Outage() Outage {
	root, _, _ := k.current()
	out := Outage{Root: root.String()}
	if o := k.health.outage.Load(); o != nil {
		out.Err, out.Since, out.Closes = o.err, o.since, k.health.closes(o)
		out.Closed = !k.health.now().Before(out.Closes)
	}
	return out
}

// Watch says how the root is watched by Run. Call it before Run.
func (k *Keyring) Watch(w Watch) { k.health.watch.Store(&w) }

// Run asks the root again and again until ctx ends.
func (k *Keyring) Run(ctx context.Context) {
	interval := 30 * time.Second
	if w := k.health.watch.Load(); w != nil {
		interval = cmp.Or(w.Interval, interval)
	}
	for {
		pause := interval
		if k.health.outage.Load() != nil {
			pause = interval / 6
		}
		pause += time.Duration((rand.Float64() - 0.5) / 5 * float64(pause))
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		_ = k.Beat(ctx) // which keeps and reports what came of it
	}
}

// Beat asks the root once for the installation key, as it is stored now, and keeps what came of it.
func (k *Keyring) Beat(ctx context.Context) error {
	k.asking.Lock()
	defer k.asking.Unlock()
	err := k.ask(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	before := k.health.outage.Load()
	if errors.Is(err, errNotAsked) {
		return nil // The database is not the root, and is told of elsewhere. What was known of the root still is.
	}
	switch {
	case err == nil:
		k.health.outage.Store(nil)
	case before == nil:
		k.health.outage.Store(&outage{since: k.health.now(), refused: saidNo(err), err: err})
	default:
		// A root that refused and is then unreachable has not taken that back.
		k.health.outage.Store(&outage{since: before.since, refused: saidNo(err) || before.refused, err: err})
	}
	if w := k.health.watch.Load(); w != nil && w.Report != nil && (err == nil) != (before == nil) {
		w.Report(k.Outage())
	}
	return err
}

// saidNo tells an answer from none.
func saidNo(err error) bool { return errors.Is(err, ErrRootRefused) || errors.Is(err, ErrWrongRoot) }

// errNotAsked means that the root could not be asked, for a reason that has nothing to do with it.
var errNotAsked = errors.New("the root was not asked")

// ask unwraps the installation key. If another server put a new one in its place meanwhile, it begins anew.
func (k *Keyring) ask(ctx context.Context) error {
	stored, err := k.storedRecord(ctx)
	if err != nil {
		return errNotAsked
	}
	for range 3 {
		err := k.askFor(ctx, stored)
		if err == nil || !saidNo(err) {
			return err
		}
		again, viewErr := k.storedRecord(ctx)
		if viewErr != nil || again.ID == stored.ID {
			return err
		}
		stored = again
	}
	return ErrRootUnavailable
}

func (k *Keyring) storedRecord(ctx context.Context) (r record, err error) {
	err = k.db.View(ctx, func(tx *store.Tx) error { r, err = getRecord(tx); return err })
	return r, err
}

// askFor has the root unwrap an installation key, and goes on with it if it is new.
func (k *Keyring) askFor(ctx context.Context, stored record) error {
	timeout := 10 * time.Second
	if w := k.health.watch.Load(); w != nil {
		timeout = cmp.Or(w.Timeout, timeout)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	root, _, _ := k.current()
	if err := stored.checkKind(root.String()); err != nil {
		return fmt.Errorf("%w: %w", ErrRootUnavailable, err)
	}
	key, err := stored.open(ctx, root, k.installation)
	if err != nil {
		if !saidNo(err) && !errors.Is(err, ErrRootUnavailable) {
			return fmt.Errorf("%w: %w", ErrRootUnavailable, err)
		}
		return err
	}
	k.mu.RLock()
	known, ok := k.wrapping[stored.ID]
	k.mu.RUnlock()
	if ok && !known.Equal(key) {
		return ErrWrongRoot
	}
	k.adopt(stored, key)
	return nil
}
