package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/coffer-registry/coffer/test/client"
)

// directory is what workers tell each other of: images that were pushed perhaps, and tags. It draws what to ask for, and is
// no judge of what the registry must have.
type directory struct {
	mu   sync.Mutex
	repo map[string]*names
	turn int
}

// names are what one repository has had.
type names struct {
	images  []*client.Image // the newest last; some may be gone or may never have come
	retired []string        // images that were to be deleted
	layers  []string
	tags    []string
	known   map[string]bool // tags and layers
}

const (
	// mostImages is how many images of a repository are kept, about.
	mostImages = 200
	// fewTags is how many tags move in a repository.
	fewTags = 6
)

func newDirectory() *directory {
	d := &directory{repo: map[string]*names{}}
	for _, name := range repositories {
		d.repo[name] = &names{known: map[string]bool{}}
	}
	return d
}

// add notes an image that is about to be pushed, and its tag if it has one.
func (d *directory) add(repository string, i *client.Image, tag string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.repo[repository]
	n.images = append(n.images, i)
	n.note(&n.tags, tag)
}

func (n *names) note(list *[]string, name string) {
	if name != "" && !n.known[name] {
		n.known[name] = true
		*list = append(*list, name)
	}
}

func (d *directory) addLayer(repository, digest string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.repo[repository]
	n.note(&n.layers, digest)
}

// newTag draws a tag to push: one of a few that move, or in a repository where tags don't, the one that others push too just
// now, or the next.
func (d *directory) newTag(r *rand.Rand, repository string) string {
	if repository != fixedRepository {
		return fmt.Sprintf("t%d", r.IntN(fewTags))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.IntN(3) == 0 {
		d.turn++
	}
	return fmt.Sprintf("v%d", d.turn)
}

// newest draws one of the last few of a list, or now and then any.
func newest[T any](r *rand.Rand, list []T) (none T) {
	if len(list) == 0 {
		return none
	}
	if r.IntN(4) > 0 {
		list = list[max(0, len(list)-20):]
	}
	return list[r.IntN(len(list))]
}

func (d *directory) image(r *rand.Rand, repository string) *client.Image {
	d.mu.Lock()
	defer d.mu.Unlock()
	return newest(r, d.repo[repository].images)
}

func (d *directory) digest(r *rand.Rand, repository string) string {
	if i := d.image(r, repository); i != nil {
		return i.Digest
	}
	return ""
}

func (d *directory) layer(r *rand.Rand, repository string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return newest(r, d.repo[repository].layers)
}

func (d *directory) tag(r *rand.Rand, repository string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return newest(r, d.repo[repository].tags)
}

// size is how many images a repository may have.
func (d *directory) size(repository string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.repo[repository].images)
}

func (d *directory) allTags(repository string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.repo[repository].tags)
}

// retire draws images that are to be deleted and won't be drawn any more.
func (d *directory) retire(r *rand.Rand, repository string) (digests []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.repo[repository]
	for range min(10, len(n.images)) {
		i := r.IntN(len(n.images))
		digests = append(digests, n.images[i].Digest)
		n.images = slices.Delete(n.images, i, i+1)
	}
	n.retired = append(n.retired, digests...)
	return digests
}

// everything is all that a repository ever had.
func (d *directory) everything(repository string) (images, layers, tags []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.repo[repository]
	images = slices.Clone(n.retired)
	for _, i := range n.images {
		images = append(images, i.Digest)
	}
	return images, slices.Clone(n.layers), slices.Clone(n.tags)
}
