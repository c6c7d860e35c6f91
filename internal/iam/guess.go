package iam

import (
	"sync"
	"time"
)

// Whoever has a user's access key could find a code of six digits by trying, so a device takes only so many wrong codes at
// once, and one more every five minutes, by which a code is found in three years. In between it takes none at all: only who
// has the key can bring that about.
const (
	guessesAtOnce  = 10
	guessEvery     = 5 * time.Minute
	maxGuessed     = 10_000
	timeOfAllGuess = guessesAtOnce * guessEvery
)

// guesses counts wrong codes by the device. It is kept in memory: a restart gives ten more.
type guesses struct {
	mu sync.Mutex
	// until is when a device has all its guesses again, by its serial number.
	until map[string]time.Time
}

// judge returns the refusal unless right judges a code as right. After too many wrong ones it doesn't even ask.
func (g *guesses) judge(serial string, now time.Time, refusal *Error, right func() bool) error {
	if !g.left(serial, now) {
		return refusal
	}
	if !right() {
		g.wrong(serial, now)
		return refusal
	}
	return nil
}

func (g *guesses) left(serial string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.until[serial].Sub(now) <= timeOfAllGuess-guessEvery
}

func (g *guesses) wrong(serial string, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.until == nil {
		g.until = map[string]time.Time{}
	}
	if _, again := g.until[serial]; !again && len(g.until) >= maxGuessed {
		g.forget(now)
	}
	from := g.until[serial]
	if from.Before(now) {
		from = now
	}
	g.until[serial] = from.Add(guessEvery)
}

// forget makes room: devices that have all their guesses again need no entry, and if there are none, any other goes.
func (g *guesses) forget(now time.Time) {
	for serial, until := range g.until {
		if until.Before(now) {
			delete(g.until, serial)
		}
	}
	for serial := range g.until {
		if len(g.until) < maxGuessed {
			return
		}
		delete(g.until, serial)
	}
}
