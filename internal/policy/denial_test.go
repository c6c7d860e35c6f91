package policy

import "testing"

// AWS's sentences, by what denied and whether a statement did.
func TestMessages(t *testing.T) {
	const (
		head   = "User: arn:aws:iam::123456789012:user/dev/mira is not authorized to perform: ecr:PutImage on resource: arn:aws:ecr:r:1:repository/a"
		action = " allows the ecr:PutImage action"
	)
	named := Statement{"arn:aws:iam::123456789012:policy/P", "S", 1}
	inline := Statement{"inline", "S", 1}
	tests := []struct {
		reason    Reason
		explicit  bool
		statement Statement
		foreign   bool
		want      string
	}{
		{ReasonIdentity, false, Statement{}, false, " because no identity-based policy" + action},
		{ReasonBoundary, false, Statement{}, false, " because no permissions boundary" + action},
		{ReasonSession, false, Statement{}, false, " because no session policy" + action},
		{ReasonResource, false, Statement{}, false, " because no resource-based policy" + action},
		{ReasonTrust, false, Statement{}, false, " because no role trust policy" + action},
		{ReasonSCP, false, Statement{}, false, " because no service control policy" + action},
		{ReasonRCP, false, Statement{}, false, " because no resource control policy" + action},
		{ReasonEndpoint, false, Statement{}, false, " because no VPC endpoint policy" + action},

		{ReasonIdentity, true, inline, false, " with an explicit deny in an identity-based policy"},
		{ReasonIdentity, true, named, false, " with an explicit deny in an identity-based policy: arn:aws:iam::123456789012:policy/P"},
		{ReasonBoundary, true, named, false, " with an explicit deny in a permissions boundary: arn:aws:iam::123456789012:policy/P"},
		{ReasonSession, true, inline, false, " with an explicit deny in a session policy"},
		{ReasonSession, true, named, false, " with an explicit deny in a session policy: arn:aws:iam::123456789012:policy/P"},
		{ReasonResource, true, named, false, " with an explicit deny in a resource-based policy"},
		{ReasonTrust, true, inline, false, " with an explicit deny in the role trust policy"},
		{ReasonSCP, true, named, false, " with an explicit deny in a service control policy: arn:aws:iam::123456789012:policy/P"},
		{ReasonRCP, true, named, false, " with an explicit deny in a resource control policy: arn:aws:iam::123456789012:policy/P"},
		{ReasonEndpoint, true, named, false, " with an explicit deny in a VPC endpoint policy"},

		// Another account is told of its own policies only.
		{ReasonIdentity, true, named, true, " with an explicit deny in an identity-based policy: arn:aws:iam::123456789012:policy/P"},
		{ReasonSCP, false, Statement{}, true, " because no service control policy" + action},
		{ReasonResource, false, Statement{}, true, " because no resource-based policy" + action},
		{ReasonResource, true, inline, true, " because no resource-based policy" + action},
		{ReasonRCP, true, named, true, " because no resource-based policy" + action},
		{ReasonRCP, false, Statement{}, true, " because no resource-based policy" + action},
		{ReasonTrust, false, Statement{}, true, ""},
		{ReasonTrust, true, inline, true, ""},
	}
	for _, test := range tests {
		d := Decision{Reason: test.reason, Explicit: test.explicit, Statement: test.statement, foreign: test.foreign,
			Action: "ecr:PutImage", Resource: "arn:aws:ecr:r:1:repository/a"}
		if got := d.Message(aUser); got != head+test.want {
			t.Errorf("%s: got %q\nwant %q", test.reason, got, head+test.want)
		}
	}
}

func TestMessagesByPrincipal(t *testing.T) {
	role := Resource{ARN: "arn:aws:iam::123456789012:role/r", Account: "123456789012"}
	may := mustParse(t, KindIdentity, `{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}}`)
	for _, test := range []struct {
		who    Principal
		action string
		want   string
	}{
		{aSession, "sts:AssumeRole", "User: arn:aws:sts::123456789012:assumed-role/Release/job-7 is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/r because no role trust policy allows the sts:AssumeRole action"},
		{aRoot, "sts:AssumeRole", "Roles may not be assumed by root accounts."},
		{aProvider, "sts:AssumeRoleWithWebIdentity", "Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		{anonymous, "sts:AssumeRole", "User: anonymous is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/r"},
		{aService, "sts:AssumeRole", "User: replication.ecr.amazonaws.com is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/r"},
	} {
		d := Evaluate(Request{Principal: test.who, Questions: Ask([]string{test.action}, role)}, PolicySet{Identity: []*Policy{may}})
		if got := d.Message(test.who); d.Allowed || got != test.want {
			t.Errorf("%q: got %q", test.who.ARN, got)
		}
	}
}

// Whoever may not assume any role is not told whether there is one.
func TestDenialsDoNotTellWhetherRolesExist(t *testing.T) {
	role := Resource{ARN: "arn:aws:iam::123456789012:role/r", Account: "123456789012"}
	trust := mustParse(t, KindTrust, `{"Statement":{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"}}`)
	r := Request{Principal: aSession, Questions: Ask([]string{"sts:AssumeRole"}, role)}
	there := Evaluate(r, PolicySet{Resources: map[Resource]ResourceSet{role: {Policies: []*Policy{trust}}}})
	if gone := Evaluate(r, PolicySet{}); there.Allowed || gone != there {
		t.Errorf("there: %+v, gone: %+v", there, gone)
	}
}
