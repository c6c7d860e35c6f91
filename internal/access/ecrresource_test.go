package access

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/coffer-registry/coffer/internal/policy"
)

func resourcePolicy(t *testing.T, kind policy.Kind, effect, action string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse(kind, []byte(`{"Version":"2012-10-17","Statement":{"Effect":"`+effect+`","Principal":"*","Action":"`+action+`","Resource":"*"}}`), policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// attach gives all resources of ECR these policies, and returns what is asked for.
func (h *house) attach(policies ...*policy.Policy) *[]string {
	var asked []string
	h.policies.Resources = map[string]Attached{"ecr": func(_ context.Context, region string, q policy.Question) (policy.ResourceSet, error) {
		asked = append(asked, region+" "+q.Resource.ARN)
		return policy.ResourceSet{Policies: policies}, nil
	}}
	return &asked
}

// What is attached is looked up by the service of the resource, in any partition, and where it has no ARN of its own by the
// service of the action.
func TestAttachedByService(t *testing.T) {
	h := build(t, nil)
	asked := h.attach(resourcePolicy(t, policy.KindRegistry, "Deny", "ecr:*"))
	const arn = "arn:aws:ecr:us-east-1:123456789012:repository/app"
	for _, q := range []policy.Question{
		{Action: "ecr:ListImages", Resource: policy.Resource{ARN: arn, Account: account}},
		{Action: "ecr:ListImages", Resource: policy.Repository("cn-north-1", account, "app")},
		{Action: "ecr:DescribeRegistry", Resource: policy.Registry(account)},
	} {
		r := push()
		r.Questions = []policy.Question{q}
		var denied *DeniedError
		if _, err := h.Enter(t.Context(), r, "AccessDeniedException"); !errors.As(err, &denied) || !denied.Decision.Explicit {
			t.Errorf("%v: %v", q, err)
		}
	}
	for _, q := range []policy.Question{{Action: "iam:ListUsers", Resource: policy.Registry(account)}, {Action: "ecr:ListImages", Resource: policy.Resource{ARN: "arn:aws:kms:us-east-1:123456789012:key/x", Account: account}}} {
		r := push()
		r.Questions = []policy.Question{q}
		h.enter(r)
	}
	if want := []string{"us-east-1 " + arn, "us-east-1 arn:aws-cn:ecr:cn-north-1:123456789012:repository/app", "us-east-1 *"}; !slices.Equal(*asked, want) {
		t.Errorf("asked for %q", *asked)
	}
}

// Whether a request may be made again under another policy is asked of that policy in place of the one of its kind, and of
// the others as they are.
func TestMayAgain(t *testing.T) {
	h := build(t, nil)
	h.attach(resourcePolicy(t, policy.KindRepository, "Allow", "ecr:PutImage"), resourcePolicy(t, policy.KindRegistry, "Allow", "ecr:PutImage"))
	r := push()
	r.Account = "111122223333" // as a root of another account, which needs both to allow
	r.Caller.Principal.ARN, r.Caller.Principal.Account = "arn:aws:iam::111122223333:root", "111122223333"
	pass := h.enter(r)
	for name, tt := range map[string]struct {
		next *policy.Policy
		want bool
	}{
		"the same":                           {resourcePolicy(t, policy.KindRepository, "Allow", "ecr:PutImage"), true},
		"one that says nothing of it":        {resourcePolicy(t, policy.KindRepository, "Allow", "ecr:ListImages"), true},
		"one that denies":                    {resourcePolicy(t, policy.KindRepository, "Deny", "ecr:PutImage"), false},
		"the registry's, which denies":       {resourcePolicy(t, policy.KindRegistry, "Deny", "ecr:Put*"), false},
		"the registry's, which says nothing": {resourcePolicy(t, policy.KindRegistry, "Deny", "ecr:ListImages"), true},
	} {
		if got := pass.MayAgain(t.Context(), tt.next); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	h.attach(resourcePolicy(t, policy.KindRepository, "Allow", "ecr:PutImage"))
	if pass.MayAgain(t.Context(), resourcePolicy(t, policy.KindRepository, "Allow", "ecr:ListImages")) {
		t.Error("it may though nothing allows it any more")
	}
	if !pass.MayAgain(t.Context(), resourcePolicy(t, policy.KindRegistry, "Deny", "ecr:ListImages")) {
		t.Error("it may not though the first policy is not the one that changes")
	}
	if err := pass.Done(); err != nil {
		t.Error(err)
	}
}

// What can't be found out is a no.
func TestMayAgainUnknown(t *testing.T) {
	h := build(t, nil)
	pass := h.enter(push())
	h.policies.Resources = map[string]Attached{"ecr": func(context.Context, string, policy.Question) (policy.ResourceSet, error) {
		return policy.ResourceSet{}, errors.New("chosen")
	}}
	if pass.MayAgain(t.Context(), resourcePolicy(t, policy.KindRepository, "Allow", "ecr:*")) {
		t.Error("it may")
	}
}
