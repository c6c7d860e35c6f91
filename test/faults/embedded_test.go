package faults

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/test/client"
	"github.com/coffer-registry/coffer/test/process"
)

// TestEmbedded kills one process that has all, at random instants under load.
func TestEmbedded(t *testing.T) {
	duration := 15 * time.Second
	if process.Long() {
		duration = 3 * time.Minute
	}
	seed := process.Seed(t)
	r := rand.New(rand.NewPCG(seed, 1))
	data, address := filepath.Join(t.TempDir(), "data"), process.FreeAddress(t)
	start := func() *process.Server {
		s := process.Launch(t, program.Command("serve", "--data", data, "--listen", address, "--admin-listen", ""))
		if !s.Serves(t) {
			t.Fatalf("the server ended:\n%s", s.Tail())
		}
		return s
	}
	s := start()
	l := newLoad(t, seed, entry{name: "the server", Client: client.New("http://" + address)})
	l.prepare()
	// A slow machine gets the time that it takes to find something.
	least := 100 * int(duration.Seconds())
	ctx, cancel := context.WithTimeout(t.Context(), 4*duration)
	defer cancel()
	begun := time.Now()
	var work sync.WaitGroup
	work.Go(func() { l.run(ctx, seed, 8) })
	kills := 0
	for ctx.Err() == nil && (time.Since(begun) < duration || len(l.log.Ops()) < least) {
		select {
		case <-time.After(100*time.Millisecond + time.Duration(r.Int64N(int64(2*time.Second)))):
			s.Kill()
			kills++
			for _, line := range s.Errors() {
				t.Errorf("the server's log: %s", line)
			}
			s = start()
			l.forget()
		case <-ctx.Done():
		}
	}
	cancel()
	work.Wait()
	l.verify(seed)
	if status := s.Stop(t); status != 0 {
		t.Errorf("the server ended with %d:\n%s", status, s.Tail())
	}
	l.check()
	l.checkTrail("--data", data)
	t.Logf("killed %d times; %s", kills, program.Fsck(t, "--data", data))
	if kills == 0 || len(l.log.Ops()) < least {
		t.Errorf("only %d requests and %d kills: too little to find anything", len(l.log.Ops()), kills)
	}
}
