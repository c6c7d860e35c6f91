// Package history holds what clients asked of a registry and what they were answered, and decides whether a registry that
// does each thing at one instant, between question and answer, and forgets nothing, can have answered so.
//
// It is pure: it knows nothing of HTTP, servers or faults. Who drives a registry records an Op for each request that
// matters and lets Check look at all of them in the end. Times are those of one monotonic clock.
package history

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// Kind is what was asked for.
type Kind int

const (
	// PushTag gives a tag to an image, which is pushed with it unless it is there.
	PushTag Kind = iota
	// PushImage pushes an image by its digest, without a tag.
	PushImage
	// PushLayer makes a layer readable.
	PushLayer
	// DeleteTag removes a tag, and the image with its last tag.
	DeleteTag
	// DeleteImage removes an image with all its tags.
	DeleteImage
	// ReadTag asks which image a tag names.
	ReadTag
	// ReadImage asks for an image by its digest.
	ReadImage
	// ReadLayer asks for the bytes of a layer.
	ReadLayer
	// List asks for all images with their tags.
	List
	// HasTag learns only that a tag names some image, such as by a list of names or because an immutable tag was refused.
	HasTag
	// Resume asks how many bytes an upload has after an answer did not come.
	Resume
)

func (k Kind) String() string {
	return [...]string{"push tag", "push image", "push layer", "delete tag", "delete image", "read tag", "read image", "read layer", "list", "has tag", "resume"}[k]
}

// Outcome is what is known of a request's effect.
type Outcome int

const (
	// Unknown is the outcome of a request whose answer did not come or says nothing: its effect may have come, may still
	// come at any time, or never.
	Unknown Outcome = iota
	// Done is the outcome of a request that was acknowledged.
	Done
	// Refused is the outcome of a request that had no effect and never will.
	Refused
)

func (o Outcome) String() string { return [...]string{"unknown", "done", "refused"}[o] }

// Named is an image in a list: once for each of its tags, or with an empty tag if it has none.
type Named struct{ Tag, Digest string }

// Op is one request with its answer.
type Op struct {
	Kind       Kind
	Repository string
	// Tag is what the tag is called for PushTag, DeleteTag, ReadTag and HasTag.
	Tag string
	// Digest is what was pushed, deleted or asked for. For ReadTag it is what the tag names, empty if there is no such tag.
	Digest string
	// Found says whether what ReadImage and ReadLayer asked for is there.
	Found bool
	// Got is the digest of the bytes that ReadImage and ReadLayer got, or ReadTag got with the manifest; empty if no bytes
	// were asked for.
	Got string
	// Images is what List got. Partial says that there are more.
	Images  []Named
	Partial bool
	// Sent, Acked and Offset are for Resume: how many bytes were sent, and of these were acknowledged, and the answer.
	Sent, Acked, Offset int64

	// Begin is when the request was sent, and End when the answer had come. End means nothing while the outcome is Unknown.
	Begin, End time.Duration
	Outcome    Outcome
	// By says who asked, by which way.
	By string
	// Answer is the answer in short.
	Answer string
}

// String is a line about the request.
func (o Op) String() string {
	end := "…"
	if o.Outcome != Unknown {
		end = seconds(o.End)
	}
	var what strings.Builder
	fmt.Fprintf(&what, "%s–%s %s: %v %s", seconds(o.Begin), end, o.By, o.Kind, o.Repository)
	if o.Tag != "" {
		fmt.Fprintf(&what, ":%s", o.Tag)
	}
	switch o.Kind {
	case ReadImage, ReadLayer:
		fmt.Fprintf(&what, " %s found %v", Short(o.Digest), o.Found)
	case List:
		fmt.Fprintf(&what, " %d images", len(o.Images))
	case Resume:
		fmt.Fprintf(&what, " %s at %d, acknowledged %d, sent %d", Short(o.Digest), o.Offset, o.Acked, o.Sent)
	default:
		fmt.Fprintf(&what, " %s", Short(o.Digest))
	}
	fmt.Fprintf(&what, " %v %s", o.Outcome, o.Answer)
	return strings.TrimSpace(what.String())
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// Short is enough of a digest to tell it from others.
func Short(digest string) string {
	if digest == "" {
		return "nothing"
	}
	_, hex, found := strings.Cut(digest, ":")
	if !found {
		hex = digest
	}
	return hex[:min(len(hex), 10)]
}

// Log collects requests. It is safe for concurrent use; the zero value is not, use NewLog.
type Log struct {
	began time.Time
	mu    sync.Mutex
	ops   []*Op
}

// NewLog starts a history, whose times count from now.
func NewLog() *Log { return &Log{began: time.Now()} }

// Now is the time in the history.
func (l *Log) Now() time.Duration { return time.Since(l.began) }

// Begin notes a request that is about to be sent. Its outcome is unknown until End is called.
func (l *Log) Begin(op Op) *Op {
	op.Outcome = Unknown
	l.mu.Lock()
	defer l.mu.Unlock()
	op.Begin = l.Now()
	l.ops = append(l.ops, &op)
	return &op
}

// End notes the answer to a request: answered fills in what it says, and sets the outcome unless that is Done.
func (l *Log) End(op *Op, answered func(*Op)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	op.Outcome = Done
	if answered != nil {
		answered(op)
	}
	op.End = l.Now()
}

// Note says more about a request whose outcome stays unknown.
func (l *Log) Note(op *Op, answer string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	op.Answer = answer
}

// Add notes a request that ends now, with its begin and outcome.
func (l *Log) Add(op Op) {
	l.mu.Lock()
	defer l.mu.Unlock()
	op.End = l.Now()
	l.ops = append(l.ops, &op)
}

// Ops is a copy of what was noted so far.
func (l *Log) Ops() []Op {
	l.mu.Lock()
	defer l.mu.Unlock()
	ops := make([]Op, len(l.ops))
	for i, op := range l.ops {
		ops[i] = *op
	}
	return ops
}
