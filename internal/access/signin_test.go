package access

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/policy"
)

// strangerFrom is a request by nobody who named an access key.
func strangerFrom(source, key string) *Request {
	r := push()
	r.Caller, r.SourceIP, r.Questions = identity.Caller{AccessKeyID: key}, source, nil
	return r
}

func refuseSignIn(h *house, source, key string) error {
	return h.RefuseSignIn(h.t.Context(), strangerFrom(source, key), "SignatureDoesNotMatch", "No.")
}

// Failures are limited by source and by key; the first beyond the limit is recorded, and after a pause there is room again.
func TestFailedSignInsAreLimited(t *testing.T) {
	h := build(t, nil)
	for i := range keyFailures {
		if err := refuseSignIn(h, fmt.Sprintf("203.0.113.%d", i), keyID); err != nil {
			t.Fatal(i, err)
		}
	}
	for range 3 {
		if err := refuseSignIn(h, "198.51.100.1", keyID); !errors.Is(err, ErrThrottled) {
			t.Errorf("too many of a key: %v", err)
		}
	}
	if n := len(h.records()); n != keyFailures+1 {
		t.Errorf("%d records", n)
	}
	if err := refuseSignIn(h, "198.51.100.1", "AKIAI44QH8DHBEXAMPLE"); err != nil {
		t.Errorf("another key: %v", err)
	}
	h.clock = h.clock.Add(time.Second)
	if err := refuseSignIn(h, "198.51.100.1", keyID); err != nil {
		t.Errorf("after a pause: %v", err)
	}
	for i := range sourceFailures {
		if err := refuseSignIn(h, "192.0.2.9", fmt.Sprint("key", i)); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := refuseSignIn(h, "192.0.2.9", "fresh"); !errors.Is(err, ErrThrottled) {
		t.Errorf("too many of a source: %v", err)
	}
	if err := refuseSignIn(h, "192.0.2.10", "fresh"); err != nil {
		t.Errorf("another source: %v", err)
	}
}

// Who was let in by its secret enters, however many failures there were before it.
func TestFailuresLockNobodyOut(t *testing.T) {
	h := build(t, nil)
	for range sourceFailures + keyFailures {
		_ = refuseSignIn(h, push().SourceIP, keyID)
	}
	if _, err := h.Enter(t.Context(), push(), "AccessDeniedException"); err != nil {
		t.Error(err)
	}
}

// What strangers are refused is recorded up to a limit by source, whether at the gate or before it, and what others are
// refused always.
func TestRecordsOfStrangersAreLimited(t *testing.T) {
	h := build(t, nil)
	refuse := func(source string) {
		t.Helper()
		if err := h.Refuse(strangerFrom(source, ""), "MissingAuthenticationToken", "No."); err != nil {
			t.Fatal(err)
		}
	}
	gate := func(caller identity.Caller) {
		t.Helper()
		r := push()
		r.Caller, r.Questions = caller, policy.Ask([]string{"ecr:PutImage"}, policy.Repository(region, "999999999999", "app"))
		var denied *DeniedError
		if _, err := h.Enter(t.Context(), r, "AccessDenied"); !errors.As(err, &denied) {
			t.Fatal(err)
		}
	}
	for range strangerRefusals - 1 {
		refuse(push().SourceIP)
	}
	for range 5 {
		gate(identity.Caller{})
		refuse(push().SourceIP)
	}
	want := strangerRefusals + 1
	if n := len(h.records()); n != want {
		t.Errorf("%d records, want %d", n, want)
	}
	for range 5 {
		gate(root)
	}
	refuse("198.51.100.1")
	h.clock = h.clock.Add(time.Second)
	refuse(push().SourceIP)
	if n := len(h.records()); n != want+7 {
		t.Errorf("%d records, want %d", n, want+7)
	}
}

func TestNetwork(t *testing.T) {
	for source, want := range map[string]string{
		"203.0.113.7": "203.0.113.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:db8:1:2::9%eth0": "2001:db8:1:2::/64",
		"::ffff:203.0.113.7": "::ffff:203.0.113.7", "": "", "unix": "unix",
	} {
		if got := network(source); got != want {
			t.Errorf("%q: %q, want %q", source, got, want)
		}
	}
}

// All failures are answered equally long after they arrived.
func TestFailuresTakeTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, spent := range []time.Duration{0, time.Millisecond, 14 * time.Millisecond} {
			arrived := time.Now()
			time.Sleep(spent)
			waitUntil(t.Context(), arrived.Add(failureTime))
			if took := time.Since(arrived); took != failureTime {
				t.Errorf("after %v: %v", spent, took)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		before := time.Now()
		waitUntil(ctx, before.Add(time.Hour))
		if time.Since(before) != 0 {
			t.Error("it waits for a client that went away")
		}
	})
}
