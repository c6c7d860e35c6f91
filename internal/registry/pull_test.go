package registry

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/oci"
)

func (e *env) pulledAt(repo Repository, digest oci.Digest) time.Time {
	e.t.Helper()
	return e.described(repo, ImageID{Digest: string(digest)}).PulledAt
}

func TestPullTimes(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	one, two := e.pushImage(repo, "v1", "one"), e.pushImage(repo, "v2", "two")
	e.RecordPull(repo, one)
	if at := e.pulledAt(repo, one); !at.IsZero() {
		t.Errorf("it is written at once: %v", at)
	}
	first := e.clock.Now()
	e.clock.Advance(time.Second)
	e.must(e.FlushPulls(t.Context()))
	if at := e.pulledAt(repo, one); !at.Equal(first) {
		t.Errorf("pulled at %v, want %v", at, first)
	}
	if at := e.pulledAt(repo, two); !at.IsZero() {
		t.Errorf("one that nobody pulled: %v", at)
	}
	// An image that is pulled all the time is written once a minute.
	for e.clock.Now().Before(first.Add(pullPrecision - time.Second)) {
		e.clock.Advance(time.Second)
		e.RecordPull(repo, one)
		e.RecordPull(repo, two)
	}
	e.must(e.FlushPulls(t.Context()))
	if at := e.pulledAt(repo, one); !at.Equal(first) {
		t.Errorf("pulled at %v, want still %v", at, first)
	}
	if at := e.pulledAt(repo, two); !at.Equal(e.clock.Now()) {
		t.Errorf("pulled at %v, want the last time, %v", at, e.clock.Now())
	}
	e.clock.Advance(time.Second)
	e.RecordPull(repo, one)
	e.must(e.FlushPulls(t.Context()))
	if at := e.pulledAt(repo, one); !at.Equal(first.Add(pullPrecision)) {
		t.Errorf("a minute later: pulled at %v", at)
	}
	e.restart()
	if at := e.pulledAt(repo, one); !at.Equal(first.Add(pullPrecision)) {
		t.Errorf("after a restart: pulled at %v", at)
	}
	e.check()
}

// A pull of what is deleted meanwhile is nothing to write, and keeps the others from nothing.
func TestPullOfADeletedImage(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	one, two := e.pushImage(repo, "v1", "one"), e.pushImage(repo, "v2", "two")
	e.RecordPull(repo, one)
	e.RecordPull(repo, two)
	e.delete(repo, ImageID{Digest: string(one)})
	e.must(e.FlushPulls(t.Context()))
	if at := e.pulledAt(repo, two); at.IsZero() {
		t.Error("the pull of the other is lost")
	}
	e.pushImage(repo, "v1", "one")
	if at := e.pulledAt(repo, one); !at.IsZero() {
		t.Errorf("a new image was pulled at %v", at)
	}
}

func TestFlushPullsFails(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	digest := e.pushImage(repo, "v1", "one")
	e.RecordPull(repo, digest)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.FlushPulls(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	e.clock.Advance(pullPrecision)
	e.RecordPull(repo, digest)
	e.must(e.FlushPulls(t.Context()))
	if at := e.pulledAt(repo, digest); !at.Equal(e.clock.Now()) {
		t.Errorf("pulled at %v", at)
	}
}

// What waits to be written, and what is remembered of it, is bounded.
func TestPullTimesAreBounded(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	for i := range maxPullTimes + 10 {
		e.RecordPull(repo, oci.Digest(fmt.Sprint(i)))
	}
	if n := len(e.pulls.pending); n != maxPullTimes {
		t.Errorf("%d wait", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // They are remembered all the same, and it is much quicker.
	e.FlushPulls(ctx)
	e.RecordPull(repo, "one more")
	e.FlushPulls(ctx)
	if n := len(e.pulls.written); n > maxPullTimes {
		t.Errorf("%d are remembered", n)
	}
}
