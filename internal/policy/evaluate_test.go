package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Without any policy, a root may do everything in its account, and nobody anything else.
func TestEvaluateWithoutPolicies(t *testing.T) {
	own := Repository("us-east-1", "123456789012", "app")
	other := Repository("us-east-1", "999999999999", "app")
	push := []string{"ecr:PutImage"}
	const (
		ownARN   = "arn:aws:ecr:us-east-1:123456789012:repository/app"
		otherARN = "arn:aws:ecr:us-east-1:999999999999:repository/app"
		denied   = " is not authorized to perform: ecr:PutImage on resource: "
		resource = " because no resource-based policy allows the ecr:PutImage action"
		identity = " because no identity-based policy allows the ecr:PutImage action"
	)
	tests := []struct {
		name    string
		request Request
		message string // empty if allowed
	}{
		{"root in its account", Request{Principal: aRoot, Questions: Ask(push, own)}, ""},
		{"root on the registry", Request{Principal: aRoot, Questions: Ask([]string{"ecr:DescribeRegistry"}, Registry("123456789012"))}, ""},
		{"root elsewhere", Request{Principal: aRoot, Questions: Ask(push, other)}, "User: " + aRoot.ARN + denied + otherARN + resource},
		{"one of two elsewhere", Request{Principal: aRoot, Questions: Ask(push, own, other)}, "User: " + aRoot.ARN + denied + otherARN + resource},
		{"a user", Request{Principal: aUser, Questions: Ask(push, own)}, "User: " + aUser.ARN + denied + ownARN + identity},
		{"identity alone", Request{Principal: aUser}, ""},
		{"a resource of no account", Request{Principal: aRoot, Questions: Ask(push, Resource{ARN: "*"})}, "User: " + aRoot.ARN + denied + "*" + resource},
		{"nobody", Request{Questions: Ask(push, own)}, "User: anonymous" + denied + ownARN + resource},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := Evaluate(test.request, PolicySet{})
			if d.Allowed != (test.message == "") {
				t.Fatalf("allowed: %t", d.Allowed)
			}
			if !d.Allowed && d.Message(test.request.Principal) != test.message {
				t.Errorf("message is %q\nwant %q", d.Message(test.request.Principal), test.message)
			}
		})
	}
	if Evaluate(Request{}, PolicySet{}).Allowed {
		t.Error("nobody was allowed")
	}
}

// A decision names the statement that made it.
func TestDecidingStatement(t *testing.T) {
	parse := func(kind Kind, name, document string) *Policy {
		p, err := Parse(kind, []byte(document), Options{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	repository := Repository("us-east-1", "123456789012", "app")
	set := PolicySet{
		Identity: []*Policy{
			parse(KindManaged, "arn:aws:iam::aws:policy/Read", statements(
				`{"Sid":"Other","Effect":"Allow","Action":"s3:*","Resource":"*"}`,
				`{"Sid":"Pull","Effect":"Allow","Action":"ecr:BatchGetImage","Resource":"*"}`)),
			parse(KindIdentity, "Write", statements(
				`{"Effect":"Allow","Action":"ecr:PutImage","Resource":"*"}`,
				`{"Effect":"Deny","Action":"ecr:Delete*","Resource":"*"}`)),
		},
		Resources: map[Resource]ResourceSet{repository: {
			Policies: []*Policy{parse(KindRepository, "policy of app", trusting(`"Sid":"for mira","Principal":{"AWS":"`+aUser.ARN+`"},"Action":"ecr:StartImageScan"`))},
			Grants:   []Grant{{ID: "1234", Grantee: aUser.ARN, Operations: []string{"Decrypt"}}},
		}},
	}
	for _, test := range []struct {
		action string
		want   Decision
		text   string
	}{
		{"ecr:BatchGetImage", Decision{Allowed: true, Reason: ReasonIdentity, Statement: Statement{"arn:aws:iam::aws:policy/Read", "Pull", 2}}, "arn:aws:iam::aws:policy/Read/Pull"},
		{"ecr:PutImage", Decision{Allowed: true, Reason: ReasonIdentity, Statement: Statement{"Write", "", 1}}, "Write[1]"},
		{"ecr:DeleteRepository", Decision{Explicit: true, Reason: ReasonIdentity, Statement: Statement{"Write", "", 2}, Action: "ecr:DeleteRepository", Resource: repository.ARN}, "Write[2]"},
		{"ecr:StartImageScan", Decision{Allowed: true, Reason: ReasonResource, Statement: Statement{"policy of app", "for mira", 1}}, "policy of app/for mira"},
		{"ecr:ListImages", Decision{Reason: ReasonIdentity, Action: "ecr:ListImages", Resource: repository.ARN}, ""},
		{"kms:Decrypt", Decision{Allowed: true, Reason: ReasonGrant, Statement: Statement{Policy: "1234"}}, "1234"},
	} {
		d := Evaluate(Request{Principal: aUser, Questions: Ask([]string{test.action}, repository)}, set)
		if d != test.want || d.Statement.String() != test.text {
			t.Errorf("%s: got %+v (%s), want %+v", test.action, d, d.Statement, test.want)
		}
	}
	both := Evaluate(Request{Principal: aUser, Questions: Ask([]string{"ecr:BatchGetImage", "ecr:PutImage"}, repository)}, set)
	if !both.Allowed || both.Statement.Sid != "Pull" {
		t.Errorf("of two questions: %+v", both)
	}
	second := Evaluate(Request{Principal: aUser, Questions: Ask([]string{"ecr:PutImage", "ecr:ListImages", "ecr:DeleteRepository"}, repository)}, set)
	if second.Allowed || second.Action != "ecr:ListImages" {
		t.Errorf("the first denial of three questions: %+v", second)
	}
}

// Of several layers that deny, the one is named that AWS would name.
func TestOrderOfLayers(t *testing.T) {
	deny := func(kind Kind) *Policy {
		named := ""
		if grammars[kind].principal == required {
			named = `"Principal":"*",`
		}
		p, err := Load(kind, []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny",`+named+`"Action":"*","Resource":"*"}]}`), Options{})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	repository := Repository("us-east-1", "123456789012", "app")
	one := func(kind Kind) []*Policy { return []*Policy{deny(kind)} }
	full := PolicySet{
		SCP: [][]*Policy{one(KindSCP)}, Endpoint: one(KindEndpoint), Boundary: one(KindManaged), Session: one(KindSession), Identity: one(KindIdentity),
		Resources: map[Resource]ResourceSet{repository: {Policies: one(KindRepository), RCP: [][]*Policy{one(KindRCP)}}},
	}
	less := []func(*PolicySet){
		func(s *PolicySet) { s.SCP = nil },
		func(s *PolicySet) { s.Resources[repository] = ResourceSet{Policies: one(KindRepository)} },
		func(s *PolicySet) { s.Endpoint = nil },
		func(s *PolicySet) { s.Boundary = nil },
		func(s *PolicySet) { s.Session = nil },
		func(s *PolicySet) { s.Identity = nil },
		func(s *PolicySet) { s.Resources = nil },
	}
	var got []Reason
	for _, remove := range less {
		d := Evaluate(Request{Principal: aSession, Questions: Ask([]string{"ecr:PutImage"}, repository)}, full)
		if !d.Explicit {
			t.Errorf("%+v is not explicit", d)
		}
		got = append(got, d.Reason)
		remove(&full)
	}
	want := []Reason{ReasonSCP, ReasonRCP, ReasonEndpoint, ReasonBoundary, ReasonSession, ReasonIdentity, ReasonResource}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A layer that exists and is empty allows nothing; one that does not exist has no say.
func TestEmptyLayers(t *testing.T) {
	repository := Repository("us-east-1", "123456789012", "app")
	everything := []*Policy{mustParse(t, KindManaged, allow(`"Action":"*"`))}
	for _, test := range []struct {
		set    PolicySet
		reason Reason
	}{
		{PolicySet{Identity: everything}, ReasonIdentity},
		{PolicySet{Identity: everything, Boundary: []*Policy{}}, ReasonBoundary},
		{PolicySet{Identity: everything, Session: []*Policy{}}, ReasonSession},
		{PolicySet{Identity: everything, Endpoint: []*Policy{}}, ReasonEndpoint},
		{PolicySet{Identity: everything, SCP: [][]*Policy{{}}}, ReasonSCP},
		{PolicySet{Identity: everything, SCP: [][]*Policy{}}, ReasonIdentity},
		{PolicySet{Identity: everything, Resources: map[Resource]ResourceSet{repository: {RCP: [][]*Policy{{}}}}}, ReasonRCP},
	} {
		d := Evaluate(Request{Principal: aSession, Questions: Ask([]string{"ecr:PutImage"}, repository)}, test.set)
		if d.Reason != test.reason || d.Allowed != (test.reason == ReasonIdentity) {
			t.Errorf("got %+v, want %s", d, test.reason)
		}
	}
}

// A federated user of the root has of the root's permissions what its session's policy says.
func TestFederatedUserOfRoot(t *testing.T) {
	p := Principal{ARN: "arn:aws:sts::123456789012:federated-user/guest", Account: "123456789012", User: "arn:aws:iam::123456789012:root"}
	repository := Repository("us-east-1", "123456789012", "app")
	r := Request{Principal: p, Questions: Ask([]string{"ecr:PutImage"}, repository)}
	session := []*Policy{mustParse(t, KindSession, allow(`"Action":"ecr:Put*"`))}
	if d := Evaluate(r, PolicySet{Session: session}); !d.Allowed {
		t.Errorf("with a session policy: %+v", d)
	}
	if d := Evaluate(r, PolicySet{}); d.Allowed || d.Reason != ReasonSession {
		t.Errorf("without: %+v", d)
	}
}

// The organization of the caller limits neither services, nor those without identity, nor its own management.
func TestWhomSCPsLimit(t *testing.T) {
	none := [][]*Policy{{}}
	open := mustParse(t, KindRepository, trusting(`"Principal":"*","Action":"ecr:*"`))
	repository := Repository("us-east-1", "123456789012", "app")
	managing, linked := aUser, aSession
	managing.Management, linked.ServiceLinked = true, true
	for _, test := range []struct {
		who     Principal
		limited bool
	}{
		{aUser, true}, {aSession, true}, {aFederated, true}, {aRoot, true}, {managing, false}, {linked, false},
		{aService, false}, {aProvider, false}, {anonymous, false},
	} {
		d := Evaluate(Request{Principal: test.who, Questions: Ask([]string{"ecr:PutImage"}, repository)},
			PolicySet{SCP: none, Resources: map[Resource]ResourceSet{repository: {Policies: []*Policy{open}}}})
		if d.Allowed == test.limited {
			t.Errorf("%q: %+v", test.who.ARN, d)
		}
	}
}

// A registry policy that has no say does not silence the repository's.
func TestRegistryPolicyBesideRepositoryPolicy(t *testing.T) {
	repository := Repository("us-east-1", "123456789012", "app")
	registry := mustParse(t, KindRegistry, trusting(`"Principal":"*","Action":"ecr:ReplicateImage","Resource":"*"`))
	own := mustParse(t, KindRepository, trusting(`"Principal":{"AWS":"`+aUser.ARN+`"},"Action":"ecr:PutImage"`))
	set := PolicySet{Resources: map[Resource]ResourceSet{repository: {Policies: []*Policy{registry, own}, RegistryV1: true}}}
	for action, want := range map[string]bool{"ecr:PutImage": true, "ecr:ReplicateImage": true, "ecr:GetImage": false} {
		if d := Evaluate(Request{Principal: aUser, Questions: Ask([]string{action}, repository)}, set); d.Allowed != want {
			t.Errorf("%s: %+v", action, d)
		}
	}
}

// The policy of a registry opens nothing to those who have no identity, which takes the repository's own.
func TestRegistryPolicyIsNotForNobody(t *testing.T) {
	repository := Repository("us-east-1", "123456789012", "app")
	everyone := func(kind Kind, effect string) *Policy {
		p, err := Parse(kind, []byte(`{"Version":"2012-10-17","Statement":{"Effect":"`+effect+`","Principal":"*","Action":"ecr:*","Resource":"*"}}`), Options{})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	ofRegistry, ofRepository := everyone(KindRegistry, "Allow"), everyone(KindRepository, "Allow")
	for name, tt := range map[string]struct {
		who      Principal
		policies []*Policy
		allowed  bool
	}{
		"nobody, by the registry":            {anonymous, []*Policy{ofRegistry}, false},
		"nobody, by the repository":          {anonymous, []*Policy{ofRepository}, true},
		"nobody, by both":                    {anonymous, []*Policy{ofRepository, ofRegistry}, true},
		"nobody, by both in another order":   {anonymous, []*Policy{ofRegistry, ofRepository}, true},
		"nobody, denied by the registry":     {anonymous, []*Policy{ofRepository, everyone(KindRegistry, "Deny")}, false},
		"a user, by the registry":            {aUser, []*Policy{ofRegistry}, true},
		"a root of another, by the registry": {Principal{ARN: "arn:aws:iam::999999999999:root", Account: "999999999999", Root: true}, []*Policy{ofRegistry}, true},
	} {
		d := Evaluate(Request{Principal: tt.who, Questions: Ask([]string{"ecr:BatchGetImage"}, repository)},
			PolicySet{Resources: map[Resource]ResourceSet{repository: {Policies: tt.policies}}})
		if d.Allowed != tt.allowed {
			t.Errorf("%s: %+v", name, d)
		}
	}
}
