package crash

import (
	"maps"

	"github.com/coffer-registry/coffer/test/client"
)

// contents is what one worker keeps in one repository: its images by digest, and the digests by its tags.
type contents struct {
	images map[string]*client.Image
	tags   map[string]string
}

// state is all that one worker keeps, by repository. It is what the server must show of the worker's own.
type state map[string]contents

// clone copies a state, so that one can be changed and the other kept.
func (s state) clone() state {
	next := state{}
	for name, c := range s {
		next[name] = contents{maps.Clone(c.images), maps.Clone(c.tags)}
	}
	return next
}

// with is the state after repository was made.
func (s state) with(repository string) state {
	next := s.clone()
	next[repository] = contents{map[string]*client.Image{}, map[string]string{}}
	return next
}

// without is the state after a repository was deleted with all that is in it.
func (s state) without(repository string) state {
	next := s.clone()
	delete(next, repository)
	return next
}

// pushed is the state after an image was pushed, with a tag or without.
func (s state) pushed(repository string, i *client.Image, tag string) state {
	next := s.clone()
	next[repository].images[i.Digest] = i
	if tag != "" {
		next[repository].tags[tag] = i.Digest
	}
	return next
}

// indexed reports whether an index of the repository refers to an image, which then can't be deleted.
func (s state) indexed(repository, digest string) bool {
	for _, i := range s[repository].images {
		for _, c := range i.Children {
			if c.Digest == digest {
				return true
			}
		}
	}
	return false
}

// untagged is the state after a tag was deleted, and with an image's last tag the image, and whether that is allowed.
func (s state) untagged(repository, tag string) (next state, allowed bool) {
	digest := s[repository].tags[tag]
	others := 0
	for other, d := range s[repository].tags {
		if other != tag && d == digest {
			others++
		}
	}
	if others == 0 {
		return s.deleted(repository, digest)
	}
	next = s.clone()
	delete(next[repository].tags, tag)
	return next, true
}

// deleted is the state after an image was deleted with all its tags, and whether that is allowed.
func (s state) deleted(repository, digest string) (next state, allowed bool) {
	if s.indexed(repository, digest) {
		return s, false
	}
	next = s.clone()
	delete(next[repository].images, digest)
	maps.DeleteFunc(next[repository].tags, func(_, d string) bool { return d == digest })
	return next, true
}

// imageID names an image of a repository the way ListImages does: once for each tag, or without a tag if it has none.
type imageID struct{ repository, digest, tag string }

// ids is the state as ListImages of all repositories shows it.
func (s state) ids() map[imageID]bool {
	ids := map[imageID]bool{}
	for name, c := range s {
		tagged := map[string]bool{}
		for tag, digest := range c.tags {
			ids[imageID{name, digest, tag}] = true
			tagged[digest] = true
		}
		for digest := range c.images {
			if !tagged[digest] {
				ids[imageID{name, digest, ""}] = true
			}
		}
	}
	return ids
}
