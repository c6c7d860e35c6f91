package access

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coffer-registry/coffer/internal/policy"
)

func TestThrottled(t *testing.T) {
	h := build(t, func(c *Config) { c.Rates = map[string]int64{"ecr:PutImage": 2} })
	for range 2 {
		h.enter(push())
	}
	h.want()
	pass, err := h.Enter(t.Context(), push(), "AccessDeniedException")
	if pass != nil || !errors.Is(err, ErrThrottled) || err.Error() != "rate exceeded" {
		t.Errorf("a pass, or error %v", err)
	}
	want := pushed()
	want.ErrorCode, want.ErrorMessage = "ThrottlingException", "Rate exceeded"
	h.want(want)
	// Others are not slowed down by it, nor is another action.
	for what, change := range map[string]func(*Request){
		"region":  func(r *Request) { r.Region = "eu-central-1" },
		"account": func(r *Request) { r.Account = "999999999999" },
		"action":  func(r *Request) { r.Questions[0].Action = "ecr:BatchGetImage" },
	} {
		r := push()
		change(r)
		if _, err := h.Enter(t.Context(), r, "AccessDeniedException"); err != nil {
			t.Errorf("another %s: %v", what, err)
		}
	}
	h.clock = h.clock.Add(500 * time.Millisecond)
	h.enter(push())
	if _, err := h.Enter(t.Context(), push(), "AccessDeniedException"); !errors.Is(err, ErrThrottled) {
		t.Errorf("error is %v", err)
	}
}

// A request counts once, whatever number of things it is about.
func TestRequestCountsOnce(t *testing.T) {
	h := build(t, func(c *Config) { c.Rates = map[string]int64{"ecr:PutImage": 2} })
	r := push()
	r.Questions = policy.Ask([]string{"ecr:PutImage", "ecr:BatchGetImage"}, policy.Repository(region, account, "a"), policy.Repository(region, account, "b"))
	for range 2 {
		h.enter(r)
	}
	if _, err := h.Enter(t.Context(), r, "AccessDeniedException"); !errors.Is(err, ErrThrottled) {
		t.Errorf("error is %v", err)
	}
}

func TestBucket(t *testing.T) {
	start := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	key := bucketKey{account, region, "a"}
	r := newRates(map[string]int64{"a": 10, "zero": 0, "negative": -1})
	count := func(at time.Duration) (n int) {
		for n < 1000 && r.allow(key, start.Add(at)) {
			n++
		}
		return n
	}
	for _, tt := range []struct {
		at   time.Duration
		want int
	}{
		{0, 10}, {0, 0}, {99 * time.Millisecond, 0}, {100 * time.Millisecond, 1}, {250 * time.Millisecond, 1}, {300 * time.Millisecond, 1}, // the halves add up
		{1300 * time.Millisecond, 10}, {time.Hour, 10}, // no more than a second's worth
		{time.Minute, 0}, {time.Minute + time.Second, 10}, // a clock that goes back gives nothing, and goes on from there
	} {
		if got := count(tt.at); got != tt.want {
			t.Errorf("at %v: %d, want %d", tt.at, got, tt.want)
		}
	}
	for _, action := range []string{"other", "zero", "negative"} {
		for range 100 {
			if !r.allow(bucketKey{account, region, action}, start) {
				t.Errorf("%s has a limit", action)
			}
		}
	}
	for i := range maxBuckets + 10 {
		r.allow(bucketKey{fmt.Sprint(i), region, "a"}, start)
	}
	if n := len(r.buckets.all); n == 0 || n > maxBuckets {
		t.Errorf("%d buckets", n)
	}
}

// TestRateIsKept: in no span of time more gets in than the rate and one bucket.
func TestRateIsKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Int64Range(1, 50).Draw(t, "rate")
		r := newRates(map[string]int64{"a": rate})
		now := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
		var spent time.Duration
		allowed := 0
		for _, pause := range rapid.SliceOfN(rapid.IntRange(0, 300), 1, 200).Draw(t, "pauses") {
			spent += time.Duration(pause) * time.Millisecond
			if r.allow(bucketKey{action: "a"}, now.Add(spent)) {
				allowed++
			}
		}
		if most := float64(rate)*(1+spent.Seconds()) + 1e-6; float64(allowed) > most {
			t.Fatalf("%d in %v at %d a second", allowed, spent, rate)
		}
	})
}
