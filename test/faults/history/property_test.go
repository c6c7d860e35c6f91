package history_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coffer-registry/coffer/test/faults/history"
)

// simulation is a registry that does each thing at one instant.
type simulation struct {
	tags   map[string]string
	images map[string]bool
}

// apply lets a request happen, and fills in what it would be answered. It reports false if it is refused.
func (s *simulation) apply(op *history.Op) bool {
	switch op.Kind {
	case history.PushTag:
		if op.Repository == fixed && s.tags[op.Tag] != "" {
			return false
		}
		s.tags[op.Tag], s.images[op.Digest] = op.Digest, true
	case history.PushImage:
		s.images[op.Digest] = true
	case history.DeleteTag:
		digest := s.tags[op.Tag]
		if digest == "" {
			return false
		}
		delete(s.tags, op.Tag)
		if !slices.Contains(slices.Collect(maps.Values(s.tags)), digest) {
			delete(s.images, digest)
		}
	case history.DeleteImage:
		if !s.images[op.Digest] {
			return false
		}
		delete(s.images, op.Digest)
		maps.DeleteFunc(s.tags, func(_, digest string) bool { return digest == op.Digest })
	case history.ReadTag:
		op.Digest = s.tags[op.Tag]
	case history.ReadImage:
		op.Found = s.images[op.Digest]
	case history.List:
		tagged := map[string]bool{}
		for tag, digest := range s.tags {
			op.Images = append(op.Images, history.Named{Tag: tag, Digest: digest})
			tagged[digest] = true
		}
		for digest := range s.images {
			if !tagged[digest] {
				op.Images = append(op.Images, history.Named{Digest: digest})
			}
		}
	}
	return true
}

// simulate draws requests of several clients to one repository, lets each happen at an instant, and notes what the clients
// see. The answers to some don't come; their effect may come much later or never.
func simulate(t *rapid.T, name string) []history.Op {
	n := rapid.IntRange(0, 80).Draw(t, "requests")
	var ops []*history.Op
	at := map[*history.Op]time.Duration{}
	for i := range n {
		op := draw(t, name, i)
		begin, length := rapid.IntRange(0, 400).Draw(t, "begin"), rapid.IntRange(0, 60).Draw(t, "length")
		op.Begin, op.End = ms(begin), ms(begin+length)
		instant := rapid.IntRange(begin, begin+length).Draw(t, "instant")
		if op.Kind < history.ReadTag && rapid.IntRange(0, 4).Draw(t, "answer") == 0 {
			op.Outcome = history.Unknown
			instant = rapid.SampledFrom([]int{instant, instant + 200, 100_000}).Draw(t, "late")
		}
		// No two at the same instant.
		at[op] = ms(instant) + time.Duration(i)
		op.End = max(op.End, at[op])
		ops = append(ops, op)
	}
	slices.SortFunc(ops, func(a, b *history.Op) int { return cmp.Compare(at[a], at[b]) })
	s := simulation{map[string]string{}, map[string]bool{}}
	var seen []history.Op
	for _, op := range ops {
		if !s.apply(op) && op.Outcome == history.Done {
			op.Outcome = history.Refused
		}
		seen = append(seen, *op)
	}
	return seen
}

// draw draws what is asked for, of few tags, so that they move, and of digests that were pushed or not.
func draw(t *rapid.T, name string, i int) *history.Op {
	kinds := []history.Kind{history.PushTag, history.PushTag, history.PushTag, history.PushImage, history.DeleteTag, history.DeleteImage,
		history.ReadTag, history.ReadTag, history.ReadImage, history.List}
	if name == fixed {
		// A tag that was deleted may be given away again, which the load never asks for.
		kinds = slices.DeleteFunc(kinds, func(k history.Kind) bool { return k == history.DeleteTag || k == history.DeleteImage })
	}
	op := &history.Op{Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Repository: name, Outcome: history.Done, By: "simulated"}
	switch op.Kind {
	case history.PushTag:
		op.Digest = fmt.Sprintf("d%d", i)
		if rapid.IntRange(0, 9).Draw(t, "again") == 0 {
			op.Digest = fmt.Sprintf("d%d", rapid.IntRange(0, i).Draw(t, "digest"))
		}
		op.Tag = rapid.SampledFrom([]string{"t", "u"}).Draw(t, "tag")
	case history.PushImage, history.DeleteImage, history.ReadImage:
		op.Digest = fmt.Sprintf("d%d", rapid.IntRange(0, i).Draw(t, "digest"))
	case history.DeleteTag, history.ReadTag:
		op.Tag = rapid.SampledFrom([]string{"t", "u"}).Draw(t, "tag")
	}
	return op
}

func TestSimulated(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ops := simulate(t, rapid.SampledFrom([]string{repository, fixed}).Draw(t, "repository"))
		if found := history.Check(ops, immutable); len(found) > 0 {
			t.Fatalf("it is possible, and found: %v", found)
		}
	})
}

// TestInjected adds one answer to a possible history that can't be.
func TestInjected(t *testing.T) {
	wrong := map[string]func(*rapid.T, []history.Op) *history.Op{"old tag": oldTag, "lost image": lostImage, "returned image": returnedImage}
	for name, inject := range wrong {
		t.Run(name, func(t *testing.T) {
			injected := 0
			rapid.Check(t, func(t *rapid.T) {
				ops := simulate(t, repository)
				op := inject(t, ops)
				if op == nil {
					return
				}
				injected++
				if found := history.Check(append(ops, *op), immutable); len(found) == 0 {
					t.Fatalf("nothing found about %v in %v", *op, ops)
				}
			})
			if injected == 0 { // How many histories take the answer is up to chance.
				t.Error("none were injected")
			}
		})
	}
}

// read is a request after all others that were answered.
func read(kind history.Kind, tag, digest string) history.Op {
	return at(10_000_000, 10_000_001, kind, tag, digest)
}

// oldTag reads a tag as it was before a push that was acknowledged.
func oldTag(t *rapid.T, ops []history.Op) *history.Op {
	for _, before := range ops {
		for _, after := range ops {
			if is(before, history.PushTag) && is(after, history.PushTag) && before.Tag == after.Tag && before.Digest != after.Digest && before.End < after.Begin &&
				only(ops, func(op history.Op) bool {
					return op.Kind == history.PushTag && op.Tag == before.Tag && op.Digest == before.Digest
				}) {
				op := read(history.ReadTag, before.Tag, before.Digest)
				return &op
			}
		}
	}
	return nil
}

// lostImage finds an image gone that nobody can have deleted.
func lostImage(t *rapid.T, ops []history.Op) *history.Op {
	for _, push := range ops {
		if is(push, history.PushImage) && !slices.ContainsFunc(ops, func(op history.Op) bool {
			return op.Kind == history.DeleteImage && op.Digest == push.Digest || op.Kind == history.PushTag && op.Digest == push.Digest
		}) {
			op := read(history.ReadImage, "", push.Digest)
			return &op
		}
	}
	return nil
}

// returnedImage finds an image that was deleted after all its pushes.
func returnedImage(t *rapid.T, ops []history.Op) *history.Op {
	for _, deletion := range ops {
		if is(deletion, history.DeleteImage) && !slices.ContainsFunc(ops, func(op history.Op) bool {
			push := op.Kind == history.PushTag || op.Kind == history.PushImage
			return push && op.Digest == deletion.Digest && (op.Outcome == history.Unknown || op.Outcome == history.Done && op.End >= deletion.Begin)
		}) {
			op := found(read(history.ReadImage, "", deletion.Digest))
			return &op
		}
	}
	return nil
}

func is(op history.Op, kind history.Kind) bool {
	return op.Kind == kind && op.Outcome == history.Done
}

func only(ops []history.Op, like func(history.Op) bool) bool {
	n := 0
	for _, op := range ops {
		if like(op) {
			n++
		}
	}
	return n == 1
}
