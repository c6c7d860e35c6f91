package store

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// turns bounds how many Updates of this process run at once. Those that change the same come in each other's way, and PostgreSQL, which
// watches whole pages of indexes, takes more for the same than is, most of all in small tables; what it refuses runs again and
// costs twice. So after each that is refused fewer run at once, and after many that are not, more. Between processes nothing is agreed
// on: each finds out for itself.
type turns struct {
	most int

	mu      sync.Mutex
	limit   float64
	running int
	waiting []chan struct{} // of those who came first first
}

const (
	// turnsLost is the part of the limit that is left after an Update was refused.
	turnsLost = 0.7
	// turnsGained is what a limit of one gains by an Update that was not refused; larger ones gain less.
	turnsGained = 0.05
)

func (t *turns) init(most int) { t.most, t.limit = most, float64(most) }

// take waits for a turn, which give ends, for as long as patience lasts. Errors are ctx's and ErrUnavailable.
func (t *turns) take(ctx context.Context, patience time.Duration) error {
	t.mu.Lock()
	if t.running < int(t.limit) && len(t.waiting) == 0 {
		t.running++
		t.mu.Unlock()
		return nil
	}
	mine := make(chan struct{})
	t.waiting = append(t.waiting, mine)
	t.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	err := fmt.Errorf("%w: others are before this for %v", ErrUnavailable, patience)
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.waiting, mine); i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
	} else { // The turn came at the same time.
		t.running--
		t.wake()
	}
	return err
}

// give ends a turn; refused says that others came in the way of what it was for.
func (t *turns) give(refused bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running--
	if refused {
		t.limit = max(1, t.limit*turnsLost)
	} else {
		t.limit = min(float64(t.most), t.limit+turnsGained/t.limit)
	}
	t.wake()
}

// wake lets those who wait have their turns.
func (t *turns) wake() {
	for t.running < int(t.limit) && len(t.waiting) > 0 {
		close(t.waiting[0])
		t.waiting = slices.Delete(t.waiting, 0, 1)
		t.running++
	}
}
