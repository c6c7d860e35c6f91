package registry

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/store"
)

// modelRepository is what a repository should hold: manifests by digest and digests by tag.
type modelRepository struct {
	images map[oci.Digest]string // the text of the layer
	tags   map[string]oci.Digest
}

// model is what the registry should hold, and the registry.
type model struct {
	*env
	repositories map[string]*modelRepository
}

// TestModel pushes, tags, deletes, mounts, sweeps and restarts at random, and compares the registry with two maps.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "coffer-model-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		m := &model{env: startEnv(t, dir, map[Limit]int64{LayerGraceSeconds: 60, UploadExpirySeconds: 60}), repositories: map[string]*modelRepository{}}
		defer func() { m.stop() }()
		for _, name := range []string{"one", "two/three"} {
			m.create(name)
			m.repositories[name] = &modelRepository{images: map[oci.Digest]string{}, tags: map[string]oci.Digest{}}
		}
		t.Repeat(map[string]func(*rapid.T){
			"push":    m.pushOne,
			"untag":   m.untagOne,
			"delete":  m.deleteOne,
			"empty":   m.emptyOne,
			"mount":   m.mountOne,
			"abandon": m.abandonOne,
			"sweep":   func(*rapid.T) { m.clock.Advance(2 * time.Minute); m.sweep() },
			"restart": func(*rapid.T) { m.restart() },
			"":        m.compare,
		})
	})
}

// draw chooses a repository.
func (m *model) draw(t *rapid.T) (Repository, *modelRepository) {
	name := rapid.SampledFrom(slices.Sorted(maps.Keys(m.repositories))).Draw(t, "repository")
	repo, err := m.Find(t.Context(), home, name)
	if err != nil {
		t.Fatal(err)
	}
	return repo, m.repositories[name]
}

var modelTags = rapid.SampledFrom([]string{"a", "b", "c"})

func (m *model) pushOne(t *rapid.T) {
	repo, want := m.draw(t)
	text, tag := fmt.Sprintf("layer %d", rapid.IntRange(1, 4).Draw(t, "layer")), modelTags.Draw(t, "tag")
	for _, content := range [][]byte{emptyConfig, []byte(text)} {
		if _, err := m.Layer(t.Context(), repo, oci.DigestOf(content)); errors.Is(err, ErrLayerNotFound) {
			m.pushLayer(repo, content)
		}
	}
	manifest := imageOf([]byte(text))
	_, err := m.push(repo, tag, manifest)
	var exists *ImageExistsError
	if err != nil && !errors.As(err, &exists) {
		t.Fatalf("push %s: %v", tag, err)
	}
	digest := oci.DigestOf(manifest)
	want.images[digest], want.tags[tag] = text, digest
}

func (m *model) untagOne(t *rapid.T) {
	repo, want := m.draw(t)
	tag := modelTags.Draw(t, "tag")
	deleted, failures := m.delete(repo, ImageID{Tag: tag})
	digest, there := want.tags[tag]
	if there != (len(deleted) == 1) || there != (len(failures) == 0) {
		t.Fatalf("untag %s: %v deleted, %v failed, and it was there: %v", tag, deleted, failures, there)
	}
	if !there {
		return
	}
	delete(want.tags, tag)
	if !slices.Contains(slices.Collect(maps.Values(want.tags)), digest) {
		delete(want.images, digest)
	}
}

func (m *model) deleteOne(t *rapid.T) {
	repo, want := m.draw(t)
	if len(want.images) == 0 {
		t.Skip("nothing to delete")
	}
	digest := rapid.SampledFrom(slices.Sorted(maps.Keys(want.images))).Draw(t, "image")
	if _, failures := m.delete(repo, ImageID{Digest: string(digest)}); len(failures) > 0 {
		t.Fatalf("delete %s: %v", digest, failures)
	}
	delete(want.images, digest)
	maps.DeleteFunc(want.tags, func(_ string, d oci.Digest) bool { return d == digest })
}

// emptyOne deletes a repository by force and makes one of the same name.
func (m *model) emptyOne(t *rapid.T) {
	repo, want := m.draw(t)
	if err := m.deleteRepository(home, repo.Name, true); err != nil {
		t.Fatal(err)
	}
	m.create(repo.Name)
	clear(want.images)
	clear(want.tags)
}

func (m *model) mountOne(t *rapid.T) {
	from, source := m.draw(t)
	to, _ := m.draw(t)
	if len(source.images) == 0 {
		t.Skip("nothing to mount")
	}
	text := rapid.SampledFrom(slices.Sorted(maps.Values(source.images))).Draw(t, "layer")
	_, err := change(m.env, func(tx *store.Tx) (Layer, error) { return m.MountLayer(tx, from, to, oci.DigestOf([]byte(text))) })
	if err != nil {
		t.Fatalf("mount a layer that an image refers to: %v", err)
	}
}

func (m *model) abandonOne(t *rapid.T) {
	repo, _ := m.draw(t)
	u := m.startUpload(repo)
	if _, err := m.sendPart(repo, u.ID, []byte("a part that nobody finishes")); err != nil {
		t.Fatal(err)
	}
}

// compare reads everything back, and has the check look for faults.
func (m *model) compare(t *rapid.T) {
	for name, want := range m.repositories {
		repo, err := m.Find(t.Context(), home, name)
		if err != nil {
			t.Fatal(err)
		}
		images := read(m.env, func(tx *store.Tx) ([]Image, error) { return m.Images(tx, repo, AnyStatus, "", 100) })
		tags := map[string]oci.Digest{}
		for _, image := range images {
			for _, tag := range image.Tags {
				tags[tag] = image.Digest
			}
			text, known := want.images[image.Digest]
			if !known {
				t.Fatalf("%s has the image %s, which was deleted", name, image.Digest)
			}
			if manifest, err := m.Manifest(t.Context(), repo, image.Digest); err != nil || string(manifest.Body) != string(imageOf([]byte(text))) {
				t.Fatalf("%s: the manifest of %s: %v", name, image.Digest, err)
			}
			m.wantContent(repo, []byte(text))
		}
		if len(images) != len(want.images) || !maps.Equal(tags, want.tags) {
			t.Fatalf("%s has %d images and the tags %v, want %d and %v", name, len(images), tags, len(want.images), want.tags)
		}
	}
	if _, err := m.Check(t.Context(), func(text string) { t.Errorf("the check: %s", text) }, func(Checked) {}); err != nil {
		t.Fatal(err)
	}
}
