package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var (
	genAccount  = rapid.SampledFrom([]string{"", "123456789012", "999999999999", "12345678901"})
	genResource = rapid.Custom(func(t *rapid.T) Resource {
		account := genAccount.Draw(t, "owner")
		return rapid.SampledFrom([]Resource{Registry(account), Repository("us-east-1", account, "app"), {ARN: "*"}, {}}).Draw(t, "resource")
	})
	genQuestion = rapid.Custom(func(t *rapid.T) Question {
		return Question{rapid.SampledFrom([]string{"", "*", "ecr:*", "ecr:PutImage", "ecr:GetAuthorizationToken"}).Draw(t, "action"), genResource.Draw(t, "resource")}
	})
	genPrincipal = rapid.Custom(func(t *rapid.T) Principal {
		return Principal{ARN: rapid.SampledFrom([]string{"", "arn:aws:iam::123456789012:root", "*", "arn:aws:iam::123456789012:user/ann"}).Draw(t, "arn"),
			Account: genAccount.Draw(t, "account"), Root: rapid.Bool().Draw(t, "root")}
	})
	genRequest = rapid.Custom(func(t *rapid.T) Request {
		return Request{Principal: genPrincipal.Draw(t, "principal"), Questions: rapid.SliceOfN(genQuestion, 0, 4).Draw(t, "questions")}
	})
)

// TestOnlyRootInItsAccount: all that is allowed is what the account's root principal asks of its own account, and a
// denial says what and why.
func TestOnlyRootInItsAccount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := genRequest.Draw(t, "request")
		d := Evaluate(r, PolicySet{})
		want := r.Principal.ARN != ""
		for _, q := range r.Questions {
			want = want && r.Principal.Root && q.Resource.Account != "" && q.Resource.Account == r.Principal.Account
		}
		if d.Allowed != want {
			t.Fatalf("allowed is %v", d.Allowed)
		}
		if d.Allowed != (d.Reason == "") || d.Allowed && d != (Decision{Allowed: true}) {
			t.Fatalf("decision is %+v", d)
		}
		if !d.Allowed && len(r.Questions) > 0 && !slices.ContainsFunc(r.Questions, func(q Question) bool {
			return q.Action == d.Action && q.Resource.ARN == d.Resource
		}) {
			t.Fatalf("decision is about something else: %+v", d)
		}
		if message := d.Message(r.Principal); !d.Allowed && !strings.HasSuffix(message, " because "+string(d.Reason)+" the "+d.Action+" action") {
			t.Fatalf("message is %q", message)
		}
	})
}

// TestAskingMoreNeverAllows: no question makes up for another.
func TestAskingMoreNeverAllows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := genRequest.Draw(t, "request")
		before := Evaluate(r, PolicySet{})
		more := r
		at := rapid.IntRange(0, len(r.Questions)).Draw(t, "at")
		more.Questions = slices.Insert(slices.Clone(r.Questions), at, genQuestion.Draw(t, "more"))
		if !before.Allowed && Evaluate(more, PolicySet{}).Allowed {
			t.Fatal("it is allowed now")
		}
		if again := Evaluate(r, PolicySet{}); again != before {
			t.Fatalf("it is %+v now, and was %+v", again, before)
		}
	})
}

func TestAsk(t *testing.T) {
	a, b := Repository("us-east-1", "123456789012", "a"), Registry("123456789012")
	want := []Question{{"ecr:X", a}, {"ecr:X", b}, {"ecr:Y", a}, {"ecr:Y", b}}
	if diff := cmp.Diff(want, Ask([]string{"ecr:X", "ecr:Y"}, a, b)); diff != "" {
		t.Error(diff)
	}
	if len(Ask(nil, a)) != 0 || len(Ask([]string{"ecr:X"})) != 0 {
		t.Error("questions about nothing")
	}
	if a.ARN != "arn:aws:ecr:us-east-1:123456789012:repository/a" || a.Account != "123456789012" || b != (Resource{"*", "123456789012"}) {
		t.Errorf("%+v %+v", a, b)
	}
}

// Who isn't known is told so, and asked for nothing.
func TestNobody(t *testing.T) {
	for _, principal := range []Principal{{}, {Account: "123456789012"}, {Account: "123456789012", Root: true}} {
		d := Evaluate(Request{Principal: principal}, PolicySet{})
		if want := (Decision{Resource: "*", Reason: ReasonNoPrincipal}); d != want {
			t.Errorf("%+v: %+v", principal, d)
		}
		d = Evaluate(Request{Principal: principal, Questions: Ask([]string{"ecr:X"}, Repository("us-east-1", "123456789012", "a"))}, PolicySet{})
		if want := (Decision{Action: "ecr:X", Resource: "arn:aws:ecr:us-east-1:123456789012:repository/a", Reason: ReasonNoPrincipal}); d != want {
			t.Errorf("%+v: %+v", principal, d)
		}
	}
}
