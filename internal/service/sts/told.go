package sts

import (
	"sync"
	"time"
)

// toldPerSecond is how many refusals of tokens and assertions the log is told of in a second: anybody may bring some.
const toldPerSecond = 10

// told counts what the log was told of in one second.
type told struct {
	mu     sync.Mutex
	second int64
	n      int
}

// room reports whether there is room for one more at a moment, and takes it.
func (t *told) room(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if second := now.Unix(); second != t.second {
		t.second, t.n = second, 0
	}
	t.n++
	return t.n <= toldPerSecond
}
