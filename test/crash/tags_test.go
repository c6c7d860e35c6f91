package crash

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"

	"github.com/coffer-registry/coffer/test/client"
)

// register is the history of one tag, for those who read it while it moves: what they see is never older than what was
// acknowledged when they asked. The empty digest stands for a tag that isn't there.
type register struct {
	mu      sync.Mutex
	history []string
	acked   int // index of the last acknowledged digest
}

func latestTag(worker string) string { return worker + "-latest" }

// latest is the digest of a worker's tag that others read, or empty.
func (s state) latest(worker string) string { return s[sharedRepositories[0]].tags[latestTag(worker)] }

// reset begins anew with what is known after a restart.
func (r *register) reset(digest string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history, r.acked = []string{digest}, 0
}

// issue notes what the tag may be from now on.
func (r *register) issue(digest string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history = append(r.history, digest)
}

// acknowledge notes that what was issued last is true.
func (r *register) acknowledge() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acked = len(r.history) - 1
}

// withdraw notes that what was issued last did not happen.
func (r *register) withdraw() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history = r.history[:len(r.history)-1]
}

func (r *register) acknowledged() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.acked
}

// since are the digests that the tag may have had from a place in its history until now.
func (r *register) since(acked int) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.history[acked:])
}

// readTags reads the workers' moving tags until the server is gone: none goes back.
func readTags(ctx context.Context, w *world, c *client.Client, workers []*worker, r *rand.Rand) {
	for {
		owner := workers[r.IntN(len(workers))]
		from := owner.latest.acknowledged()
		a, err := c.V2(ctx, http.MethodHead, sharedRepositories[0]+"/manifests/"+latestTag(owner.name), nil)
		if err != nil {
			if !w.killed.Load() {
				w.t.Errorf("read a tag: %v", err)
			}
			return
		}
		digest := a.Header.Get("Docker-Content-Digest")
		if a.Status == http.StatusNotFound {
			digest = ""
		} else if a.Status != http.StatusOK {
			w.t.Errorf("read a tag: %v", a)
		}
		if possible := owner.latest.since(from); !slices.Contains(possible, digest) {
			w.t.Errorf("tag %s is %q, and must be one of %q", latestTag(owner.name), digest, possible)
		}
	}
}

// fixedTags are the immutable tags: the first digest that one shows is the only one ever.
type fixedTags struct {
	mu     sync.Mutex
	digest map[string]string
}

// see notes what a tag shows, and returns what it showed before if that is another digest.
func (f *fixedTags) see(tag, digest string) (other string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.digest == nil {
		f.digest = map[string]string{}
	}
	if known := f.digest[tag]; known != "" && known != digest {
		return known
	}
	f.digest[tag] = digest
	return ""
}

func (f *fixedTags) known() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := map[string]string{}
	for tag, digest := range f.digest {
		all[tag] = digest
	}
	return all
}
