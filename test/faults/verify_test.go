package faults

import (
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/coffer-registry/coffer/test/client"
	"github.com/coffer-registry/coffer/test/process"
)

// verify reads everything that was ever pushed, once all is well again: by each way all lists and tags, and by a way that is
// drawn all images and layers. What is read goes to the history like all else. An answer that doesn't come is a fault now.
func (l *load) verify(seed uint64) {
	l.t.Helper()
	began := time.Now()
	l.patience = []time.Duration{process.Patience}
	work := make(chan func(*worker))
	var all sync.WaitGroup
	for i := range 8 {
		w := &worker{load: l, name: "verifier", r: rand.New(rand.NewPCG(seed, uint64(200+i)))}
		all.Go(func() {
			for do := range work {
				do(w)
			}
		})
	}
	l.answers.expectAll()
	n := 0
	for _, repository := range repositories {
		images, layers, tags := l.known.everything(repository)
		for _, e := range l.entries {
			work <- func(w *worker) { w.listBy(e, repository) }
			for _, tag := range tags {
				work <- func(w *worker) { w.readTagBy(e, repository, tag) }
			}
		}
		for _, digest := range images {
			work <- func(w *worker) { w.readImage(repository, digest) }
		}
		for _, digest := range layers {
			work <- func(w *worker) { w.readLayer(repository, digest) }
		}
		n += len(images) + len(layers) + len(tags)
	}
	close(work)
	all.Wait()
	l.t.Logf("verified %d images, layers and tags in %v", n, time.Since(began).Round(time.Millisecond))
}

// forget drops what was acknowledged so far, if the trail of it would soon be too long to be looked through.
func (l *load) forget() {
	total := int64(0)
	for c := range l.clients() {
		total += c.Requests()
	}
	if total-l.forgotten < process.MostRecords/3 {
		return
	}
	l.forgotten = total
	for c := range l.clients() {
		c.Acknowledged()
	}
}

// clients are those of all ways to the registry.
func (l *load) clients() map[*client.Client]bool {
	all := map[*client.Client]bool{}
	for _, e := range l.entries {
		all[e.Client] = true
	}
	return all
}

// checkTrail looks for the records of what was acknowledged in the trail of a registry that has stopped.
func (l *load) checkTrail(flags ...string) {
	l.t.Helper()
	changed, total := map[string]string{}, int64(0)
	for c := range l.clients() {
		total += c.Requests()
		maps.Copy(changed, c.Acknowledged())
	}
	// Those that were under way when the older ones were forgotten, and reads, are recorded a little later than they were sent.
	const late = 5000
	program.CheckTrail(l.t, changed, total-l.forgotten+late, flags...)
	l.t.Logf("looked for %d changes in the trail", len(changed))
}
