package faults

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/test/process"
)

// TestReplicas lets everything fail that replicas with PostgreSQL, an S3 server and a proxy consist of, under load.
func TestReplicas(t *testing.T) {
	duration := 40 * time.Second
	if process.Long() {
		duration = 10 * time.Minute
	}
	seed := process.Seed(t)
	c := startCluster(t)
	l := newLoad(t, seed, c.entries()...)
	l.prepare()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var work sync.WaitGroup
	work.Go(func() { l.run(ctx, seed, 16) })
	count, log := c.torment(rand.New(rand.NewPCG(seed, 1)), l, duration)
	t.Logf("%d faults:\n%s", count, lines(log))
	for _, r := range c.replicas {
		r.heal()
	}
	healed := time.Now()
	c.await()
	t.Logf("ready %v after the last fault", time.Since(healed).Round(time.Millisecond))
	cancel()
	work.Wait()
	l.verify(seed)
	starts, injected := 0, 0
	for _, r := range c.replicas {
		r.stop()
		starts += r.starts
		injected += r.http.Injected()
	}
	l.check()
	l.checkTrail(c.stateOf(c.replicas[0])...)
	t.Logf("%d starts of replicas, %d requests to the object store were tampered with; fsck: %s", starts, injected, program.Fsck(t, c.stateOf(c.replicas[0])...))
	if done := len(l.log.Ops()); count < int(duration/(8*time.Second)) || done < 20*int(duration.Seconds()) {
		t.Errorf("only %d faults and %d requests: too few to find anything", count, done)
	}
}
