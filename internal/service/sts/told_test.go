package sts

import (
	"testing"
	"time"
)

func TestLogIsToldOfSoMuch(t *testing.T) {
	var told told
	now := time.Unix(1_000_000, 0)
	for second := range 3 {
		n := 0
		for range 5 * toldPerSecond {
			if told.room(now) {
				n++
			}
		}
		if n != toldPerSecond {
			t.Errorf("second %d: told of %d", second, n)
		}
		now = now.Add(time.Second)
	}
}
