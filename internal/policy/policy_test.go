package policy

import "testing"

func TestEvaluate(t *testing.T) {
	root := Principal{ARN: "arn:aws:iam::123456789012:root", Account: "123456789012", Root: true}
	user := Principal{ARN: "arn:aws:iam::123456789012:user/ann", Account: "123456789012"}
	own := Repository("us-east-1", "123456789012", "app")
	other := Repository("us-east-1", "999999999999", "app")
	push := []string{"ecr:PutImage"}
	tests := []struct {
		name      string
		request   Request
		allowed   bool
		message   string
		principal Principal
	}{
		{"root in its account", Request{Principal: root, Questions: Ask(push, own)}, true, "", root},
		{"root on the registry", Request{Principal: root, Questions: Ask([]string{"ecr:DescribeRegistry"}, Registry("123456789012"))}, true, "", root},
		{"root elsewhere", Request{Principal: root, Questions: Ask(push, other)}, false,
			"User: arn:aws:iam::123456789012:root is not authorized to perform: ecr:PutImage on resource: arn:aws:ecr:us-east-1:999999999999:repository/app because no resource-based policy allows the ecr:PutImage action", root},
		{"one of two elsewhere", Request{Principal: root, Questions: Ask(push, own, other)}, false,
			"User: arn:aws:iam::123456789012:root is not authorized to perform: ecr:PutImage on resource: arn:aws:ecr:us-east-1:999999999999:repository/app because no resource-based policy allows the ecr:PutImage action", root},
		{"a user without policies", Request{Principal: user, Questions: Ask(push, own)}, false,
			"User: arn:aws:iam::123456789012:user/ann is not authorized to perform: ecr:PutImage on resource: arn:aws:ecr:us-east-1:123456789012:repository/app because no identity-based policy allows the ecr:PutImage action", user},
		{"identity alone", Request{Principal: user}, true, "", user},
		{"a resource of no account", Request{Principal: root, Questions: Ask(push, Resource{ARN: "*"})}, false,
			"User: arn:aws:iam::123456789012:root is not authorized to perform: ecr:PutImage on resource: * because no resource-based policy allows the ecr:PutImage action", root},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Evaluate(tt.request, PolicySet{})
			if d.Allowed != tt.allowed {
				t.Fatalf("allowed = %v, want %v", d.Allowed, tt.allowed)
			}
			if !d.Allowed && d.Message(tt.principal) != tt.message {
				t.Errorf("message = %q\nwant %q", d.Message(tt.principal), tt.message)
			}
		})
	}
	if d := Evaluate(Request{Questions: Ask(push, own)}, PolicySet{}); d.Allowed {
		t.Error("nobody was allowed")
	}
}
