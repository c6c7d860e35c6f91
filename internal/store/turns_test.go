package store

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Refusals leave one turn at a time, success gives turns back, and nobody keeps a turn that he didn't wait for to the end.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns turns
		turns.init(4)
		take := func() <-chan error {
			done := make(chan error, 1)
			go func() { done <- turns.take(t.Context(), time.Hour) }()
			synctest.Wait()
			return done
		}
		had := func(done <-chan error) bool {
			synctest.Wait()
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
				return true
			default:
				return false
			}
		}
		for range 4 {
			if !had(take()) {
				t.Fatal("no turn")
			}
		}
		fifth := take()
		if had(fifth) {
			t.Fatal("more turns than the most")
		}
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() { gone <- turns.take(ctx, time.Hour) }()
		synctest.Wait()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("who went away: %v", err)
		}
		if err := turns.take(t.Context(), time.Second); !errors.Is(err, ErrUnavailable) {
			t.Errorf("who had no more patience: %v", err)
		}
		for range 3 {
			turns.give(true)
		}
		if had(fifth) {
			t.Error("a turn although one runs and the limit is one")
		}
		turns.give(true)
		if !had(fifth) {
			t.Error("no turn although none runs")
		}
		turns.give(false)
		for range 400 {
			if !had(take()) {
				t.Fatal("no turn")
			}
			turns.give(false)
		}
		for range 4 {
			if !had(take()) {
				t.Fatal("turns were not given back")
			}
		}
	})
}
