package history

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Violation is an answer that the registry must not have given.
type Violation struct {
	// Rule says what was broken.
	Rule string
	// Object is what it was broken for: a repository's tag, image or layer.
	Object string
	// Op is the request that shows it.
	Op Op
	// History are the requests that concern the object, by their begin.
	History []Op
}

// mostShown bounds the requests that a violation prints.
const mostShown = 60

// String tells of the violation and, up to a bound, of the object's history before it.
func (v Violation) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s: %s: %v\n", v.Object, v.Rule, v.Op)
	until := len(v.History)
	for until > 0 && v.Op.Outcome != Unknown && v.History[until-1].Begin > v.Op.End {
		until--
	}
	from := max(0, until-mostShown)
	if from > 0 {
		fmt.Fprintf(&s, "  … %d requests before\n", from)
	}
	for _, op := range v.History[from:until] {
		fmt.Fprintf(&s, "  %v\n", op)
	}
	return s.String()
}

// The rules.
const (
	ruleLost      = "what was acknowledged is not there"
	ruleReturned  = "what was deleted is there"
	ruleBack      = "a tag shows what it can't show any more, or not yet"
	ruleRefused   = "a request was answered as it can't be"
	ruleFixed     = "an immutable tag had several images"
	ruleBytes     = "the bytes are not those of the digest"
	ruleOffset    = "an upload doesn't have what was acknowledged"
	ruleUndecided = "too much is possible to decide"
)

// object is a tag, an image or a layer of a repository, with what happened to it.
type object struct{ kind, repository, name string }

func (o object) String() string {
	return o.kind + " " + o.repository + map[string]string{"tag": ":", "image": "@", "layer": " layer "}[o.kind] + o.name
}

// there is the value of an image or layer that is there.
const there = "there"

// Check returns all violations of a history, in the order of their requests. immutable are the repositories whose tags never
// move.
func Check(ops []Op, immutable map[string]bool) []Violation {
	c := checker{immutable: immutable, actions: map[object][]action{}}
	for i := range ops {
		c.ops = append(c.ops, &ops[i])
	}
	slices.SortStableFunc(c.ops, func(a, b *Op) int { return cmp.Compare(a.Begin, b.Begin) })
	c.index()
	for _, op := range c.ops {
		c.plain(op)
		c.act(op)
	}
	c.fixed()
	for o, actions := range c.actions {
		c.judge(o, actions)
	}
	slices.SortStableFunc(c.found, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.Op.Begin, b.Op.Begin), cmp.Compare(a.Object, b.Object))
	})
	return c.found
}

type checker struct {
	ops       []*Op
	immutable map[string]bool
	actions   map[object][]action
	found     []Violation

	tags   map[object][]*Op            // what was pushed under each tag
	tagged map[object]map[string]bool  // the tags under which each image was pushed
	all    map[string]map[object]*life // of each repository
}

// life is what is known of a tag or an image from its pushes.
type life struct {
	pushes []*Op // by their begin
	gone   bool  // for good
}

// index finds out what was pushed and deleted at all, which lists are compared with.
func (c *checker) index() {
	c.tags, c.tagged, c.all = map[object][]*Op{}, map[object]map[string]bool{}, map[string]map[object]*life{}
	at := func(kind, repository, name string) *life {
		o := object{kind, repository, name}
		if c.all[repository] == nil {
			c.all[repository] = map[object]*life{}
		}
		if c.all[repository][o] == nil {
			c.all[repository][o] = &life{}
		}
		return c.all[repository][o]
	}
	for _, op := range c.ops {
		if op.Outcome == Refused {
			continue
		}
		switch op.Kind {
		case PushTag:
			tag, image := at("tag", op.Repository, op.Tag), at("image", op.Repository, op.Digest)
			tag.pushes, image.pushes = append(tag.pushes, op), append(image.pushes, op)
			o := object{"tag", op.Repository, op.Tag}
			c.tags[o] = append(c.tags[o], op)
			i := object{"image", op.Repository, op.Digest}
			if c.tagged[i] == nil {
				c.tagged[i] = map[string]bool{}
			}
			c.tagged[i][op.Tag] = true
		case PushImage:
			l := at("image", op.Repository, op.Digest)
			l.pushes = append(l.pushes, op)
		}
	}
}

// plain checks what needs no other request.
func (c *checker) plain(op *Op) {
	if op.Outcome != Done {
		return
	}
	switch op.Kind {
	case ReadTag, ReadImage, ReadLayer:
		if op.Got != "" && op.Got != op.Digest {
			c.report(ruleBytes, object{"image", op.Repository, Short(op.Digest)}.String(), op, nil)
		}
	case Resume:
		if op.Offset < op.Acked || op.Offset > op.Sent {
			c.report(ruleOffset, "upload of "+Short(op.Digest), op, nil)
		}
	}
}

func (c *checker) report(rule, what string, op *Op, history []Op) {
	c.found = append(c.found, Violation{rule, what, *op, history})
}

// act turns a request into what it does to tags, images and layers.
func (c *checker) act(op *Op) {
	done := op.Outcome == Done
	if op.Outcome == Refused || !done && op.Kind >= ReadTag {
		return
	}
	switch op.Kind {
	case PushTag:
		write := set
		if c.immutable[op.Repository] {
			write = create
		}
		c.add("tag", op.Tag, op, write, op.Digest, done)
		c.add("image", op.Digest, op, set, there, done)
	case PushImage:
		c.add("image", op.Digest, op, set, there, done)
	case PushLayer:
		c.add("layer", op.Digest, op, set, there, done)
	case DeleteTag:
		c.add("tag", op.Tag, op, set, "", done)
		c.untagged(op)
	case DeleteImage:
		c.add("image", op.Digest, op, set, "", done)
		for tag := range c.tagged[object{"image", op.Repository, op.Digest}] {
			c.add("tag", tag, op, drop, op.Digest, done)
		}
	case ReadTag:
		c.add("tag", op.Tag, op, see, op.Digest, true)
		if op.Digest != "" {
			c.add("image", op.Digest, op, see, there, true)
		}
	case ReadImage, ReadLayer:
		kind, value := "image", ""
		if op.Kind == ReadLayer {
			kind = "layer"
		}
		if op.Found {
			value = there
		}
		c.add(kind, op.Digest, op, see, value, true)
	case HasTag:
		c.add("tag", op.Tag, op, seeAny, "", true)
	case List:
		c.listed(op)
	}
}

// add notes an action. What is neither required nor has an end that is known may happen at any time.
func (c *checker) add(kind, name string, op *Op, e effect, value string, required bool) {
	c.addUntil(kind, name, op, e, value, required, op.Outcome == Done)
}

func (c *checker) addUntil(kind, name string, op *Op, e effect, value string, required, ends bool) {
	a := action{effect: e, value: value, begin: op.Begin, end: never, required: required, op: op}
	if ends {
		a.end = op.End
	}
	o := object{kind, op.Repository, name}
	c.actions[o] = append(c.actions[o], a)
}

// untagged notes that the images that a tag may have named may be gone, since an image goes with its last tag.
func (c *checker) untagged(op *Op) {
	pushes := c.tags[object{"tag", op.Repository, op.Tag}]
	// A push that was acknowledged before another began can't have been the last one after that.
	var newest time.Duration = -1
	for _, p := range pushes {
		if p.Outcome == Done && p.End < op.Begin {
			newest = max(newest, p.Begin)
		}
	}
	for _, p := range pushes {
		over := p.Outcome == Done && p.End < newest
		late := op.Outcome == Done && p.Begin > op.End
		if !over && !late {
			c.addUntil("image", p.Digest, op, set, "", false, op.Outcome == Done)
		}
	}
}

// listed takes a list for a look at each tag and image that it has, and at each that it should have.
func (c *checker) listed(op *Op) {
	tags, images := map[string]string{}, map[string]bool{}
	for _, i := range op.Images {
		images[i.Digest] = true
		if i.Tag != "" {
			tags[i.Tag] = i.Digest
		}
	}
	for _, i := range op.Images {
		if i.Tag != "" {
			c.add("tag", i.Tag, op, see, i.Digest, true)
		}
	}
	for digest := range images {
		c.add("image", digest, op, see, there, true)
	}
	if op.Partial {
		return
	}
	for o, l := range c.all[op.Repository] {
		switch {
		case o.kind == "tag" && tags[o.name] == "":
			c.add("tag", o.name, op, see, "", true)
		case o.kind == "image" && !images[o.name] && l.looked(op):
			c.add("image", o.name, op, see, "", true)
		}
	}
}

// looked reports whether it is of interest that an image isn't in a list. It isn't before the first push of the image, nor
// once the image was seen to be gone after the last.
func (l *life) looked(list *Op) bool {
	if l.gone || l.pushes[0].Begin > list.End {
		return false
	}
	l.gone = !slices.ContainsFunc(l.pushes, func(p *Op) bool { return p.Outcome == Unknown || p.End >= list.Begin })
	return true
}

// fixed finds immutable tags that had more than one image.
func (c *checker) fixed() {
	first := map[object]string{}
	for _, op := range c.ops {
		if !c.immutable[op.Repository] || op.Outcome != Done {
			continue
		}
		var names []Named
		switch op.Kind {
		case PushTag, ReadTag:
			names = []Named{{op.Tag, op.Digest}}
		case List:
			names = op.Images
		}
		for _, n := range names {
			o := object{"tag", op.Repository, n.Tag}
			if n.Tag == "" || n.Digest == "" {
				continue
			}
			if first[o] == "" {
				first[o] = n.Digest
			} else if first[o] != n.Digest {
				c.report(ruleFixed, o.String(), op, history(c.actions[o]))
			}
		}
	}
}

func history(actions []action) []Op {
	var ops []Op
	for _, a := range actions {
		op := *a.op
		if op.Kind == List {
			// What it says of this object is all that is of interest.
			op.Answer = strings.TrimSpace("shows " + Short(a.value) + " " + op.Answer)
		}
		ops = append(ops, op)
	}
	return ops
}

// judge decides whether what happened to an object can have happened.
func (c *checker) judge(o object, actions []action) {
	problem := linearize(actions)
	if problem == nil {
		return
	}
	a := problem.at
	var rule string
	switch {
	case problem.tooMuch:
		rule = ruleUndecided
	case a.effect != see:
		rule = ruleRefused
	case a.value == "":
		rule = ruleLost
	case o.kind == "tag":
		rule = ruleBack
	default:
		rule = ruleReturned
	}
	c.report(rule, o.String(), a.op, history(actions))
}

// Counts are how many requests there were of each kind and outcome.
func Counts(ops []Op) string {
	counts := map[string]int{}
	for _, op := range ops {
		counts[op.Kind.String()+" "+op.Outcome.String()]++
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(parts, ", ")
}
