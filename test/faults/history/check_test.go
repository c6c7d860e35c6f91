package history_test

import (
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/test/faults/history"
)

const repository, fixed = "team/app", "team/fixed"

var immutable = map[string]bool{fixed: true}

// at is a request of a hand-made history, with times in milliseconds. An end of 0 means that no answer came.
func at(begin, end int, kind history.Kind, tag, digest string) history.Op {
	op := history.Op{Kind: kind, Repository: repository, Tag: tag, Digest: digest, Begin: ms(begin), End: ms(end), By: "test"}
	if end > 0 {
		op.Outcome = history.Done
	}
	return op
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func found(op history.Op) history.Op { op.Found = true; return op }

func got(op history.Op, digest string) history.Op { op.Got = digest; return op }

func inFixed(op history.Op) history.Op { op.Repository = fixed; return op }

func refused(op history.Op) history.Op { op.Outcome = history.Refused; return op }

func partial(op history.Op) history.Op { op.Partial = true; return op }

func list(begin, end int, images ...history.Named) history.Op {
	op := at(begin, end, history.List, "", "")
	op.Images = images
	return op
}

func resume(acked, sent, offset int64) history.Op {
	op := at(1, 2, history.Resume, "", "a")
	op.Acked, op.Sent, op.Offset = acked, sent, offset
	return op
}

// Each history is possible if it expects no rule, and else breaks that one.
var cases = []struct {
	name string
	rule string
	ops  []history.Op
}{
	{"nothing", "", nil},
	{"read what was pushed", "", []history.Op{at(1, 2, history.PushTag, "t", "a"), at(3, 4, history.ReadTag, "t", "a"),
		found(at(3, 4, history.ReadImage, "", "a")), list(5, 6, history.Named{Tag: "t", Digest: "a"})}},
	{"lost tag", "acknowledged", []history.Op{at(1, 2, history.PushTag, "t", "a"), at(3, 4, history.ReadTag, "t", "")}},
	{"tag lost in a list", "acknowledged", []history.Op{at(1, 2, history.PushTag, "t", "a"), list(3, 4, history.Named{Digest: "a"})}},
	{"lost image", "acknowledged", []history.Op{at(1, 2, history.PushImage, "", "a"), at(3, 4, history.ReadImage, "", "a")}},
	{"image lost in a list", "acknowledged", []history.Op{at(1, 2, history.PushImage, "", "a"), list(3, 4)}},
	{"lost layer", "acknowledged", []history.Op{at(1, 2, history.PushLayer, "", "a"), at(3, 4, history.ReadLayer, "", "a")}},
	{"not in a part of a list", "", []history.Op{at(1, 2, history.PushTag, "t", "a"), partial(list(3, 4))}},
	{"twice in a list", "", []history.Op{at(1, 2, history.PushTag, "t", "a"), at(3, 6, history.PushTag, "t", "b"),
		list(3, 6, history.Named{Tag: "t", Digest: "a"}, history.Named{Tag: "t", Digest: "b"})}},
	{"read while it is pushed", "", []history.Op{at(1, 4, history.PushImage, "", "a"), at(2, 3, history.ReadImage, "", "a")}},
	{"read before it is pushed", "there", []history.Op{found(at(1, 2, history.ReadImage, "", "a")), at(3, 4, history.PushImage, "", "a")}},
	{"seen, then not, during the push", "acknowledged", []history.Op{at(1, 10, history.PushImage, "", "a"), found(at(2, 3, history.ReadImage, "", "a")),
		at(4, 5, history.ReadImage, "", "a")}},
	{"lost though it was seen and never acknowledged", "acknowledged", []history.Op{at(1, 0, history.PushImage, "", "a"), found(at(2, 3, history.ReadImage, "", "a")),
		at(4, 5, history.ReadImage, "", "a")}},
	{"comes late without an answer", "", []history.Op{at(1, 0, history.PushImage, "", "a"), at(2, 3, history.ReadImage, "", "a"), found(at(4, 5, history.ReadImage, "", "a"))}},
	{"never comes without an answer", "", []history.Op{at(1, 0, history.PushTag, "t", "a"), at(2, 3, history.ReadTag, "t", ""), at(4, 5, history.ReadTag, "t", "")}},
	{"refused and there", "there", []history.Op{refused(at(1, 2, history.PushImage, "", "a")), found(at(3, 4, history.ReadImage, "", "a"))}},

	{"tag moves", "", []history.Op{at(1, 2, history.PushTag, "t", "a"), at(3, 6, history.PushTag, "t", "b"), at(4, 5, history.ReadTag, "t", "a"),
		at(4, 5, history.ReadTag, "t", "a"), at(7, 8, history.ReadTag, "t", "b")}},
	{"tag goes back after the push", "tag shows", []history.Op{at(1, 2, history.PushTag, "t", "a"), at(3, 4, history.PushTag, "t", "b"), at(5, 6, history.ReadTag, "t", "a")}},
	{"tag goes back between two reads", "tag shows", []history.Op{at(1, 2, history.PushTag, "t", "a"), at(3, 10, history.PushTag, "t", "b"),
		at(4, 5, history.ReadTag, "t", "b"), at(6, 7, history.ReadTag, "t", "a")}},
	{"tag goes back without an answer", "tag shows", []history.Op{at(1, 2, history.PushTag, "t", "a"), at(3, 0, history.PushTag, "t", "b"),
		at(4, 5, history.ReadTag, "t", "b"), at(6, 7, history.ReadTag, "t", "a")}},
	{"late write without an answer", "", []history.Op{at(1, 0, history.PushTag, "t", "a"), at(2, 3, history.PushTag, "t", "b"),
		at(4, 5, history.ReadTag, "t", "b"), at(6, 7, history.ReadTag, "t", "a")}},
	{"two writes at once, in two orders", "tag shows", []history.Op{at(1, 9, history.PushTag, "t", "a"), at(1, 9, history.PushTag, "t", "b"),
		at(10, 11, history.ReadTag, "t", "a"), at(12, 13, history.ReadTag, "t", "b")}},
	{"a tag of nobody's image", "tag shows", []history.Op{at(1, 2, history.PushTag, "t", "a"), at(3, 4, history.ReadTag, "t", "c")}},
	{"names without the tag", "answered", []history.Op{at(1, 2, history.PushTag, "t", "a"), at(3, 4, history.DeleteTag, "t", ""), at(5, 6, history.HasTag, "t", "")}},
	{"names with the tag of an unknown push", "", []history.Op{at(1, 2, history.PushTag, "t", "a"), at(2, 0, history.PushTag, "t", "b"), at(3, 4, history.DeleteTag, "t", ""),
		at(5, 6, history.HasTag, "t", "")}},

	{"deleted tag", "", []history.Op{at(1, 2, history.PushTag, "t", "a"), at(3, 4, history.DeleteTag, "t", ""), at(5, 6, history.ReadTag, "t", ""),
		at(5, 6, history.ReadImage, "", "a")}},
	{"deleted tag returns", "tag shows", []history.Op{at(1, 2, history.PushTag, "t", "a"), at(3, 4, history.DeleteTag, "t", ""), at(5, 6, history.ReadTag, "t", "a")}},
	{"delete without an answer, twice", "tag shows", []history.Op{at(1, 2, history.PushTag, "t", "a"), at(3, 0, history.DeleteTag, "t", ""),
		at(4, 5, history.ReadTag, "t", ""), at(6, 7, history.ReadTag, "t", "a")}},
	{"one delete can't delete twice", "acknowledged", []history.Op{at(1, 2, history.PushTag, "t", "a"), at(1, 0, history.DeleteTag, "t", ""),
		at(4, 5, history.ReadTag, "t", ""), at(6, 7, history.PushTag, "t", "b"), at(8, 9, history.ReadTag, "t", "")}},
	{"two deletes can", "", []history.Op{at(1, 2, history.PushTag, "t", "a"), at(1, 0, history.DeleteTag, "t", ""), at(1, 0, history.DeleteTag, "t", ""),
		at(4, 5, history.ReadTag, "t", ""), at(6, 7, history.PushTag, "t", "b"), at(8, 9, history.ReadTag, "t", "")}},
	{"image goes with its last tag alone", "", []history.Op{at(1, 2, history.PushTag, "t", "a"), at(3, 4, history.PushTag, "u", "a"), at(5, 6, history.DeleteTag, "t", ""),
		found(at(7, 8, history.ReadImage, "", "a"))}},
	{"image of another tag is lost", "acknowledged", []history.Op{at(1, 2, history.PushTag, "t", "a"), at(3, 4, history.PushTag, "t", "b"), at(5, 6, history.DeleteTag, "t", ""),
		at(7, 8, history.ReadImage, "", "a")}},

	{"deleted image", "", []history.Op{at(1, 2, history.PushTag, "t", "a"), at(3, 4, history.DeleteImage, "", "a"), at(5, 6, history.ReadImage, "", "a"),
		at(5, 6, history.ReadTag, "t", ""), list(7, 8)}},
	{"deleted image returns", "deleted", []history.Op{at(1, 2, history.PushImage, "", "a"), at(3, 4, history.DeleteImage, "", "a"), found(at(5, 6, history.ReadImage, "", "a"))}},
	{"deleted image returns in a list", "deleted", []history.Op{at(1, 2, history.PushImage, "", "a"), at(3, 4, history.DeleteImage, "", "a"), list(5, 6),
		list(7, 8, history.Named{Digest: "a"})}},
	{"deleted image returns by its tag", "shows", []history.Op{at(1, 2, history.PushTag, "t", "a"), at(3, 4, history.DeleteImage, "", "a"), at(5, 6, history.ReadTag, "t", "a")}},
	{"deleted and pushed again", "", []history.Op{at(1, 2, history.PushImage, "", "a"), at(3, 4, history.DeleteImage, "", "a"), list(5, 6), at(7, 8, history.PushImage, "", "a"),
		found(at(9, 10, history.ReadImage, "", "a"))}},
	{"deleted, pushed again and lost", "acknowledged", []history.Op{at(1, 2, history.PushImage, "", "a"), at(3, 4, history.DeleteImage, "", "a"), list(5, 6),
		at(7, 8, history.PushImage, "", "a"), list(9, 10)}},
	{"another image's delete leaves the tag", "acknowledged", []history.Op{at(1, 2, history.PushTag, "t", "a"), at(3, 4, history.PushTag, "t", "b"), at(5, 6, history.DeleteImage, "", "a"),
		at(7, 8, history.ReadTag, "t", "")}},
	{"late push without an answer, then its delete", "", []history.Op{at(1, 2, history.PushTag, "t", "a"), at(2, 0, history.PushTag, "t", "b"), at(3, 4, history.DeleteImage, "", "b"),
		at(7, 8, history.ReadTag, "t", "")}},
	{"delete without an answer takes the tag along late", "", []history.Op{at(1, 2, history.PushTag, "t", "a"), at(3, 0, history.DeleteImage, "", "a"), at(4, 5, history.ReadTag, "t", "a"),
		at(7, 8, history.ReadTag, "t", "")}},

	{"immutable tag", "", []history.Op{inFixed(at(1, 5, history.PushTag, "t", "a")), refused(inFixed(at(2, 5, history.PushTag, "t", "b"))),
		inFixed(at(2, 5, history.HasTag, "t", "")), inFixed(at(6, 7, history.ReadTag, "t", "a"))}},
	{"two images under an immutable tag", "immutable", []history.Op{inFixed(at(1, 2, history.PushTag, "t", "a")), inFixed(at(3, 4, history.PushTag, "t", "b"))}},
	{"immutable tag refused before anyone pushed", "answered", []history.Op{inFixed(at(1, 2, history.HasTag, "t", "")), inFixed(at(3, 4, history.PushTag, "t", "a"))}},
	{"immutable tag moves without an answer", "immutable", []history.Op{inFixed(at(1, 2, history.PushTag, "t", "a")), inFixed(at(3, 0, history.PushTag, "t", "b")),
		inFixed(at(5, 6, history.ReadTag, "t", "b"))}},

	{"other bytes", "bytes", []history.Op{at(1, 2, history.PushLayer, "", "a"), got(found(at(3, 4, history.ReadLayer, "", "a")), "b")}},
	{"the bytes", "", []history.Op{at(1, 2, history.PushLayer, "", "a"), got(found(at(3, 4, history.ReadLayer, "", "a")), "a")}},
	{"upload went on", "", []history.Op{resume(10, 20, 20), resume(10, 20, 10)}},
	{"upload lost a part", "upload", []history.Op{resume(10, 20, 9)}},
	{"upload invented a part", "upload", []history.Op{resume(10, 20, 21)}},
}

func TestCheck(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			violations := history.Check(c.ops, immutable)
			if c.rule == "" && len(violations) > 0 {
				t.Errorf("it is possible, and found: %v", violations)
			}
			if c.rule == "" {
				return
			}
			for _, v := range violations {
				if strings.Contains(v.Rule, c.rule) {
					return
				}
			}
			t.Errorf("nothing found about %q: %v", c.rule, violations)
		})
	}
}

// TestMuchUnanswered has many requests without an answer on one tag: they neither hide what is wrong nor take long.
func TestMuchUnanswered(t *testing.T) {
	var ops []history.Op
	name := func(n int) string { return strings.Repeat("x", n+1) }
	n := 0
	for i := range 300 {
		ops = append(ops, at(10*i+1, 0, history.PushTag, "t", name(n)), at(10*i+1, 0, history.DeleteTag, "t", ""),
			at(10*i+2, 10*i+3, history.PushTag, "t", name(n+1)), at(10*i+4, 10*i+5, history.ReadTag, "t", name(n+1)))
		if i%3 == 0 {
			ops = append(ops, at(10*i+6, 10*i+7, history.ReadTag, "t", name(n)))
		}
		n += 2
	}
	if found := history.Check(ops, nil); len(found) > 0 {
		t.Errorf("it is possible, and found: %v", found)
	}
	ops = append(ops, at(5000, 5001, history.ReadTag, "t", name(1)))
	if found := history.Check(ops, nil); len(found) != 1 {
		t.Errorf("a tag went back, and found: %v", found)
	}
}

// TestViolationText shows the history of the object, and nothing of others.
func TestViolationText(t *testing.T) {
	found := history.Check([]history.Op{at(1, 2, history.PushTag, "t", "sha256:0123456789abcdef"), at(1, 2, history.PushTag, "u", "b"),
		list(3, 4, history.Named{Tag: "u", Digest: "b"}), at(5, 6, history.PushTag, "t", "c")}, nil)
	if len(found) != 2 {
		t.Fatalf("want a tag and an image: %v", found)
	}
	text := found[1].String()
	for _, want := range []string{"team/app:t: what was acknowledged is not there", "0.001–0.002 test: push tag team/app:t 0123456789 done", "shows nothing"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in: %s", want, text)
		}
	}
	if strings.Contains(text, "app:u") || strings.Contains(text, " c ") {
		t.Errorf("it tells of other tags or later requests: %s", text)
	}
}
