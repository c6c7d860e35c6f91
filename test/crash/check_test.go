package crash

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/coffer-registry/coffer/test/client"
)

// shown is what the server has, as the API lists it.
type shown struct {
	repositories map[string]bool
	images       map[imageID]bool
}

// look lists all repositories and images.
func look(ctx context.Context, c *client.Client) (shown, error) {
	s := shown{map[string]bool{}, map[imageID]bool{}}
	for next := ""; ; {
		var page struct {
			Repositories []struct{ RepositoryName string }
			NextToken    string
		}
		if err := c.Page(ctx, "DescribeRepositories", map[string]any{}, next, &page); err != nil {
			return s, err
		}
		for _, r := range page.Repositories {
			s.repositories[r.RepositoryName] = true
		}
		if next = page.NextToken; next == "" {
			break
		}
	}
	for repository := range s.repositories {
		if err := s.lookInto(ctx, c, repository); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s shown) lookInto(ctx context.Context, c *client.Client, repository string) error {
	for next := ""; ; {
		var page struct {
			ImageIDs  []struct{ ImageDigest, ImageTag string }
			NextToken string
		}
		if err := c.Page(ctx, "ListImages", map[string]any{"repositoryName": repository}, next, &page); err != nil {
			return err
		}
		for _, id := range page.ImageIDs {
			s.images[imageID{repository, id.ImageDigest, id.ImageTag}] = true
		}
		if next = page.NextToken; next == "" {
			return nil
		}
	}
}

// settle decides, of the two states that are possible after the server was killed, which one it is. What the server
// shows must be all of one of them.
func (w *worker) settle(s shown) {
	problems := w.differences(w.state, s)
	if len(problems) > 0 && w.pending != nil {
		if others := w.differences(w.pending, s); len(others) == 0 {
			w.forgetAfter(w.pending)
			problems = nil
		} else {
			problems = append(append(problems, "or, if the request under way was done:"), others...)
		}
	}
	w.pending = nil
	w.latest.reset(w.state.latest(w.name))
	for _, p := range problems {
		w.t.Errorf("%s: %s", w.name, p)
	}
}

func (w *worker) forgetAfter(next state) {
	before := w.state
	w.state = next
	w.forget(before)
}

// differences are what the server shows of the worker's own and shouldn't, and the other way round.
func (w *worker) differences(want state, s shown) (problems []string) {
	for _, name := range []string{w.own(), w.temporary()} {
		if _, kept := want[name]; kept != s.repositories[name] {
			problems = append(problems, fmt.Sprintf("repository %s is there: %v", name, s.repositories[name]))
		}
	}
	ids := want.ids()
	for id := range ids {
		// The tags of immutable repositories are looked at elsewhere.
		if id.repository == fixedRepository {
			if !s.has(id.repository, id.digest) {
				problems = append(problems, fmt.Sprintf("image %s of %s is lost", id.digest, id.repository))
			}
		} else if !s.images[id] {
			problems = append(problems, fmt.Sprintf("%v is lost", id))
		}
	}
	for id := range s.images {
		if w.owns(id) && !ids[id] && id.repository != fixedRepository {
			problems = append(problems, fmt.Sprintf("%v should not be there", id))
		}
	}
	slices.Sort(problems)
	return problems
}

func (s shown) has(repository, digest string) bool {
	for id := range s.images {
		if id.repository == repository && id.digest == digest {
			return true
		}
	}
	return false
}

// owns reports whether an image id is the worker's: all that is in its repositories, and what it put into shared ones.
func (w *worker) owns(id imageID) bool {
	if id.repository == w.own() || id.repository == w.temporary() {
		return true
	}
	if len(id.tag) > len(w.name) && id.tag[:len(w.name)+1] == w.name+"-" {
		return true
	}
	for _, s := range []state{w.state, w.pending} {
		if s[id.repository].images[id.digest] != nil {
			return true
		}
	}
	return slices.ContainsFunc(w.gone, func(g imageID) bool { return g.repository == id.repository && g.digest == id.digest })
}

// checkFixed checks the immutable tags: all that were seen are there, with the digest that they had.
func (w *world) checkFixed(s shown) {
	listed := map[string]string{}
	for id := range s.images {
		if id.repository != fixedRepository || id.tag == "" {
			continue
		}
		listed[id.tag] = id.digest
		if other := w.fixed.see(id.tag, id.digest); other != "" {
			w.t.Errorf("the immutable tag %s shows %s and before %s", id.tag, id.digest, other)
		}
	}
	for tag, digest := range w.fixed.known() {
		if listed[tag] != digest {
			w.t.Errorf("the immutable tag %s of %s shows %q", tag, digest, listed[tag])
		}
	}
}

// pullAll pulls all that the worker keeps, and looks for what it deleted.
func (w *worker) pullAll(ctx context.Context) {
	for _, repository := range slices.Sorted(maps.Keys(w.state)) {
		pulled := map[string]bool{}
		for _, i := range w.state[repository].images {
			if err := w.c.PullImage(ctx, repository, i.Digest, i, pulled); err != nil {
				w.t.Errorf("%s: pull %s: %v", w.name, repository, err)
			}
		}
		for tag, digest := range w.state[repository].tags {
			if err := w.c.PullImage(ctx, repository, tag, w.state[repository].images[digest], pulled); err != nil {
				w.t.Errorf("%s: pull %s: %v", w.name, repository, err)
			}
		}
	}
	for _, id := range w.gone {
		a, err := w.c.V2(ctx, http.MethodGet, id.repository+"/manifests/"+id.digest, nil)
		if err != nil || a.Status != http.StatusNotFound {
			w.t.Errorf("%s: the deleted image %v: %v, %v", w.name, id, a, err)
		}
	}
}

// verify checks after a restart that everything acknowledged is there.
func verify(ctx context.Context, t *testing.T, c *client.Client, w *world, workers []*worker) {
	t.Helper()
	s, err := look(ctx, c)
	if err != nil {
		t.Fatalf("look at what is there: %v", err)
	}
	w.checkFixed(s)
	var all sync.WaitGroup
	for _, worker := range workers {
		worker.c = c
		worker.settle(s)
		all.Go(func() { worker.pullAll(ctx) })
	}
	all.Wait()
}
