package coffertest

import (
	"sync"
	"time"
)

// FakeClock stands still until it is told to move. It is safe for concurrent use.
type FakeClock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock returns a clock that shows the present, to the second.
func NewClock() *FakeClock { return &FakeClock{at: time.Now().Truncate(time.Second)} }

// Now is what the clock shows.
func (c *FakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Advance moves the clock, back if d is negative.
func (c *FakeClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}
