package crash

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coffer-registry/coffer/test/client"
)

// Repositories that all workers push into. In the one that is fixed, tags are immutable.
var (
	sharedRepositories = []string{"shared/a", "shared/b"}
	fixedRepository    = "shared/fixed"
)

// world is what the workers have in common.
type world struct {
	t      *testing.T
	common []client.Blob
	fixed  fixedTags
	// turn numbers the immutable tag that the workers push at the moment.
	turn  atomic.Int64
	names []string // of the workers
	// killed is set just before the server is killed: until then every answer must come.
	killed atomic.Bool
	// sweeping is set while the server sweeps at once what is not in use: then an upload or a layer that is not yet in an
	// image may vanish.
	sweeping atomic.Bool
	vanished atomic.Int64 // how often that happened
	changes  atomic.Int64
}

// worker changes its own images and tags, one request at a time, and knows what the server must show of them.
type worker struct {
	*world
	name  string
	r     *rand.Rand
	c     *client.Client
	count int

	// state is what was acknowledged. pending is what the request under way would make of it, nil if there is none.
	state, pending state
	// gone are images that were deleted.
	gone   []imageID
	latest register
}

func newWorker(w *world, name string, r *rand.Rand) *worker {
	s := state{}
	for _, shared := range append(slices.Clone(sharedRepositories), fixedRepository) {
		s = s.with(shared)
	}
	return &worker{world: w, name: name, r: r, state: s}
}

// own is the worker's repository that lasts, and temporary the one that it deletes now and then.
func (w *worker) own() string       { return w.name + "/own" }
func (w *worker) temporary() string { return w.name + "/temporary" }

// run works until the server is gone.
func (w *worker) run(ctx context.Context) {
	for w.step(ctx) {
	}
}

// most is how many images a worker keeps in a repository.
const most = 8

// step does one thing, and reports whether the server still answers.
func (w *worker) step(ctx context.Context) bool {
	repository := w.repository()
	c, exists := w.state[repository]
	if !exists {
		return w.create(ctx, repository)
	}
	n := w.r.IntN(100)
	switch {
	case repository == w.temporary() && n < 20:
		return w.deleteRepository(ctx, repository)
	case len(c.images) == 0 || n < 40 && len(c.images) < most:
		return w.push(ctx, repository)
	case n < 50:
		return w.retag(ctx, repository)
	case n < 58:
		return w.index(ctx, repository)
	case n < 72:
		return w.untag(ctx, repository)
	case n < 84 || len(c.images) >= most:
		return w.delete(ctx, repository)
	case n < 90:
		return w.pushFixed(ctx)
	}
	return w.pull(ctx, repository)
}

func (w *worker) repository() string {
	return []string{w.own(), w.own(), w.temporary(), sharedRepositories[0], sharedRepositories[1]}[w.r.IntN(5)]
}

// failed notes that an answer did not come, or was none that may come.
func (w *worker) failed(what string, a client.Answer, err error) bool {
	if err == nil {
		w.t.Errorf("%s: %s: %v", w.name, what, a)
	} else if !w.killed.Load() {
		w.t.Errorf("%s: %s: %v", w.name, what, err)
	}
	return false
}

// mayVanish reports whether an answer says that what was uploaded was swept, and may have been.
func (w *worker) mayVanish(a client.Answer) bool {
	if !w.sweeping.Load() {
		return false
	}
	switch a.Code() {
	case "BLOB_UPLOAD_UNKNOWN", "MANIFEST_BLOB_UNKNOWN", "UploadNotFoundException", "LayersNotFoundException":
		w.vanished.Add(1)
		return true
	}
	return false
}

// change sends a request that turns the worker's state into next. It is over when the answer has come; if none comes,
// both states are possible.
func (w *worker) change(next state, send func() (client.Answer, error)) (client.Answer, error) {
	w.pending = next
	w.latest.issue(next.latest(w.name))
	a, err := send()
	if err != nil {
		return a, err
	}
	w.pending = nil
	if a.Status < 300 {
		w.changes.Add(1)
		w.state = next
		w.latest.acknowledge()
	} else {
		w.latest.withdraw()
	}
	return a, nil
}

func (w *worker) create(ctx context.Context, repository string) bool {
	a, err := w.change(w.state.with(repository), func() (client.Answer, error) {
		return w.c.ECR(ctx, "CreateRepository", map[string]any{"repositoryName": repository}, nil)
	})
	if err != nil || a.Status != http.StatusOK {
		return w.failed("create "+repository, a, err)
	}
	return true
}

func (w *worker) deleteRepository(ctx context.Context, repository string) bool {
	before := w.state
	a, err := w.change(w.state.without(repository), func() (client.Answer, error) {
		return w.c.ECR(ctx, "DeleteRepository", map[string]any{"repositoryName": repository, "force": true}, nil)
	})
	if err != nil || a.Status != http.StatusOK {
		return w.failed("delete "+repository, a, err)
	}
	w.forget(before)
	return true
}

// forget notes the images that were there before and aren't any more.
func (w *worker) forget(before state) {
	for name, c := range before {
		for digest := range c.images {
			if _, there := w.state[name].images[digest]; !there {
				w.gone = append(w.gone, imageID{repository: name, digest: digest})
			}
		}
	}
	w.gone = w.gone[max(0, len(w.gone)-30):]
}

// newTag draws one of a few tags, so that tags move.
func (w *worker) newTag(repository string) string {
	if repository == sharedRepositories[0] && w.r.IntN(2) == 0 {
		return latestTag(w.name)
	}
	return fmt.Sprintf("%s-%d", w.name, w.r.IntN(8))
}

func (w *worker) newName() string {
	w.count++
	return fmt.Sprintf("%s %d %d", w.name, w.count, w.r.Uint64())
}

// draw makes an image of common layers and new ones.
func (w *worker) draw() *client.Image {
	var layers []client.Blob
	for range 1 + w.r.IntN(3) {
		if w.r.IntN(2) == 0 {
			layers = append(layers, w.common[w.r.IntN(len(w.common))])
		} else {
			layers = append(layers, client.RandomBlob(w.r, client.LayerSize(w.r)))
		}
	}
	return client.NewImage(w.newName(), layers)
}

func (w *worker) push(ctx context.Context, repository string) bool {
	i := w.draw()
	tag := w.newTag(repository)
	if w.r.IntN(8) == 0 {
		tag = ""
	}
	if ok, done := w.pushBlobs(ctx, repository, i); !done {
		return ok
	}
	return w.put(ctx, repository, i, tag)
}

// put pushes a manifest, by either protocol.
func (w *worker) put(ctx context.Context, repository string, i *client.Image, tag string) bool {
	a, err := w.change(w.state.pushed(repository, i, tag), func() (client.Answer, error) { return w.sendManifest(ctx, repository, i, tag) })
	if err == nil && w.mayVanish(a) {
		return true
	}
	if err != nil || a.Status >= 300 && a.Code() != "ImageAlreadyExistsException" {
		return w.failed("push "+repository+":"+tag, a, err)
	}
	return true
}

func (w *worker) sendManifest(ctx context.Context, repository string, i *client.Image, tag string) (client.Answer, error) {
	if w.r.IntN(3) == 0 {
		in := map[string]any{"repositoryName": repository, "imageManifest": string(i.Manifest), "imageManifestMediaType": i.MediaType}
		if tag != "" {
			in["imageTag"] = tag
		}
		return w.c.ECR(ctx, "PutImage", in, nil)
	}
	reference := tag
	if tag == "" {
		reference = i.Digest
	}
	return w.c.V2(ctx, http.MethodPut, repository+"/manifests/"+reference, i.Manifest, "Content-Type", i.MediaType)
}

// any draws an image of a repository that has some.
func (w *worker) any(repository string) *client.Image {
	digests := slices.Sorted(maps.Keys(w.state[repository].images))
	return w.state[repository].images[digests[w.r.IntN(len(digests))]]
}

// retag gives a tag, which another image may have, to an image that is there.
func (w *worker) retag(ctx context.Context, repository string) bool {
	return w.put(ctx, repository, w.any(repository), w.newTag(repository))
}

func (w *worker) index(ctx context.Context, repository string) bool {
	var children []*client.Image
	for range 1 + w.r.IntN(2) {
		if i := w.any(repository); i.Children == nil && !slices.Contains(children, i) {
			children = append(children, i)
		}
	}
	if children == nil {
		return true
	}
	return w.put(ctx, repository, client.NewIndex(w.newName(), children), w.newTag(repository))
}

// untag deletes a tag, by either protocol.
func (w *worker) untag(ctx context.Context, repository string) bool {
	tags := slices.Sorted(maps.Keys(w.state[repository].tags))
	if len(tags) == 0 {
		return true
	}
	tag := tags[w.r.IntN(len(tags))]
	next, allowed := w.state.untagged(repository, tag)
	return w.remove(ctx, repository, tag, map[string]string{"imageTag": tag}, next, allowed)
}

func (w *worker) delete(ctx context.Context, repository string) bool {
	i := w.any(repository)
	next, allowed := w.state.deleted(repository, i.Digest)
	return w.remove(ctx, repository, i.Digest, map[string]string{"imageDigest": i.Digest}, next, allowed)
}

func (w *worker) remove(ctx context.Context, repository, reference string, id map[string]string, next state, allowed bool) bool {
	before, byAPI := w.state, w.r.IntN(2) == 0
	a, err := w.change(next, func() (client.Answer, error) {
		if byAPI {
			return w.c.ECR(ctx, "BatchDeleteImage", map[string]any{"repositoryName": repository, "imageIds": []any{id}}, nil)
		}
		return w.c.V2(ctx, http.MethodDelete, repository+"/manifests/"+reference, nil)
	})
	if err != nil {
		return w.failed("delete "+repository+" "+reference, a, err)
	}
	deleted := a.Status < 300 && !(byAPI && strings.Contains(string(a.Body), "ImageReferencedByManifestList"))
	if deleted != allowed {
		return w.failed(fmt.Sprintf("delete %s %s, which is allowed: %v", repository, reference, allowed), a, nil)
	}
	w.forget(before)
	return true
}

// pull pulls an image by one of its tags or its digest, and compares all bytes.
func (w *worker) pull(ctx context.Context, repository string) bool {
	i := w.any(repository)
	references := []string{i.Digest}
	for tag, digest := range w.state[repository].tags {
		if digest == i.Digest {
			references = append(references, tag)
		}
	}
	slices.Sort(references)
	if err := w.c.PullImage(ctx, repository, references[w.r.IntN(len(references))], i, map[string]bool{}); err != nil {
		return w.failed("pull "+repository, client.Answer{}, err)
	}
	return true
}
