package policy

import (
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The generators draw from few names, so that statements often concern the request.
var (
	drawAction = rapid.SampledFrom([]string{"*", "ecr:*", "ecr:Put*", "ecr:PutImage", "ECR:putimage", "ecr:Get?mage", "ecr:GetImage",
		"e*:PutImage", "s3:GetObject", "kms:Decrypt", "sts:AssumeRole", "ecr:PutImage,ecr:GetImage", "ecr:GetAuthorizationToken", "ecr:ReplicateImage"})
	drawResource = rapid.SampledFrom([]string{"*", "arn:aws:ecr:us-east-1:123456789012:repository/app", "arn:aws:ecr:*:*:repository/*", "arn:aws:ecr",
		"arn:aws:ecr:us-east-1:123456789012:repository/a?p", "arn:aws:ecr:us-east-1:123456789012:repository/${aws:username}",
		"arn:aws:ecr:us-east-1:123456789012:repository/${a:missing}", "arn:aws:ecr:us-east-1:123456789012:repository/${aws:username, 'app'}*",
		"arn:aws:ecr:*:*:repository/zebra", "arn:aws:iam::123456789012:role/ops/Release", "arn:aws:kms:us-east-1:123456789012:key/1", "nothing", "arn:aws:${a:b}:::x"})
	drawPrincipalEntry = rapid.SampledFrom([]string{"*", "123456789012", "999999999999", aUser.ARN, aUser.ID, aSession.ARN, aSession.Role, aFederated.ARN, "nobody"})
	drawOperator       = rapid.SampledFrom([]string{"StringEquals", "StringNotEquals", "StringLike", "ForAllValues:StringNotLike", "ForAnyValue:StringEquals",
		"StringEqualsIfExists", "Null", "Bool", "NumericLessThan", "NumericNotEquals", "DateGreaterThan", "NotIpAddress", "ArnLike", "BinaryEquals", "Unknown"})
	drawKey   = rapid.SampledFrom([]string{"aws:username", "AWS:UserName", "aws:tagkeys", "a:missing", "a:number"})
	drawValue = rapid.SampledFrom([]string{"app", "a*", "true", "false", "7", "", "${aws:username}", "${a:missing}", "2026-01-01", "10.0.0.0/8", "arn:aws:s3:::*"})
	drawWho   = rapid.SampledFrom([]Principal{aUser, aSession, aFederated, aRoot, aService, aProvider, anonymous,
		{ARN: "arn:aws:iam::999999999999:user/noor", Account: "999999999999"}, {ARN: "arn:aws:iam::999999999999:root", Account: "999999999999", Root: true}})
	drawTarget = rapid.SampledFrom([]Resource{Repository("us-east-1", "123456789012", "app"), Registry("123456789012"),
		{ARN: "arn:aws:iam::123456789012:role/ops/Release", Account: "123456789012"}, {ARN: "arn:aws:kms:us-east-1:123456789012:key/1", Account: "123456789012"}})
)

type rawJSON = map[string]any

// drawStatement makes a statement that may be malformed, as what was saved long ago may be.
func drawStatement(named bool, effects ...string) *rapid.Generator[rawJSON] {
	return rapid.Custom(func(t *rapid.T) rawJSON {
		s := rawJSON{"Effect": rapid.SampledFrom(effects).Draw(t, "effect")}
		s[rapid.SampledFrom([]string{"Action", "Action", "Action", "NotAction"}).Draw(t, "action element")] = rapid.SliceOfN(drawAction, 1, 3).Draw(t, "actions")
		if e := rapid.SampledFrom([]string{"Resource", "Resource", "Resource", "NotResource", ""}).Draw(t, "resource element"); e != "" {
			s[e] = rapid.SliceOfN(drawResource, 1, 3).Draw(t, "resources")
		}
		if named {
			if e := rapid.SampledFrom([]string{"Principal", "Principal", "Principal", "NotPrincipal", ""}).Draw(t, "principal element"); e != "" {
				s[e] = rawJSON{"AWS": rapid.SliceOfN(drawPrincipalEntry, 1, 3).Draw(t, "principals")}
			}
		}
		if rapid.Bool().Draw(t, "conditional") {
			s["Condition"] = rapid.MapOfN(drawOperator, rapid.MapOfN(drawKey, rapid.SliceOfN(drawValue, 0, 2), 1, 2), 1, 2).Draw(t, "condition")
		}
		return s
	})
}

// drawnPolicy is a document that can be put together anew.
type drawnPolicy struct {
	kind       Kind
	version    string
	statements []rawJSON
}

func (d drawnPolicy) load(t *rapid.T) *Policy {
	text, err := json.Marshal(rawJSON{"Version": d.version, "Statement": d.statements})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Load(d.kind, text, Options{})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p
}

func drawPolicies(kind Kind) *rapid.Generator[[]drawnPolicy] {
	return rapid.Custom(func(t *rapid.T) []drawnPolicy {
		var out []drawnPolicy
		for range rapid.IntRange(0, 3).Draw(t, "policies") {
			out = append(out, drawnPolicy{kind, rapid.SampledFrom([]string{version2012, version2012, version2008}).Draw(t, "version"),
				rapid.SliceOfN(drawStatement(grammars[kind].principal == required, effectAllow, effectAllow, effectDeny), 1, 4).Draw(t, "statements")})
		}
		return out
	})
}

// drawnSet is all that a request is judged by.
type drawnSet struct {
	identity, boundary, session, endpoint, resource, registry, scp, rcp []drawnPolicy
	grants                                                              []Grant
}

// layers lists the policies, for changing them.
func (d *drawnSet) layers() []*[]drawnPolicy {
	return []*[]drawnPolicy{&d.identity, &d.boundary, &d.session, &d.endpoint, &d.resource, &d.registry, &d.scp, &d.rcp}
}

var layerKinds = []Kind{KindIdentity, KindManaged, KindSession, KindEndpoint, KindResource, KindRegistry, KindSCP, KindRCP}

func drawSet(t *rapid.T) *drawnSet {
	d := &drawnSet{}
	for i, layer := range d.layers() {
		if i == 0 || rapid.Bool().Draw(t, layerKinds[i].String()) {
			*layer = drawPolicies(layerKinds[i]).Draw(t, layerKinds[i].String()+" policies")
		}
	}
	if rapid.Bool().Draw(t, "granted") {
		d.grants = []Grant{{Grantee: drawPrincipalEntry.Draw(t, "grantee"), Operations: []string{"Decrypt"}}}
	}
	return d
}

func (d *drawnSet) compile(t *rapid.T, about Resource) PolicySet {
	load := func(policies []drawnPolicy) (out []*Policy) {
		for _, p := range policies {
			out = append(out, p.load(t))
		}
		return out
	}
	levels := func(policies []drawnPolicy) (out [][]*Policy) {
		if p := load(policies); p != nil {
			out = [][]*Policy{p}
		}
		return out
	}
	return PolicySet{
		Identity: load(d.identity), Boundary: load(d.boundary), Session: load(d.session), Endpoint: load(d.endpoint), SCP: levels(d.scp),
		Resources: map[Resource]ResourceSet{about: {Policies: append(load(d.resource), load(d.registry)...), RCP: levels(d.rcp), Grants: d.grants}},
	}
}

func drawRequest(t *rapid.T) (Request, Resource) {
	about := drawTarget.Draw(t, "resource")
	in := Context{}
	for key, values := range rapid.MapOfN(rapid.SampledFrom([]string{"aws:username", "aws:tagkeys", "a:number"}), rapid.SliceOfN(drawValue, 0, 2), 0, 3).Draw(t, "context") {
		in.Put(key, values...)
	}
	action := rapid.SampledFrom([]string{"ecr:PutImage", "ecr:GetImage", "kms:Decrypt", "sts:AssumeRole", "ecr:GetAuthorizationToken", "ecr:ReplicateImage"})
	return Request{Principal: drawWho.Draw(t, "principal"), Context: in, Questions: Ask([]string{action.Draw(t, "asked")}, about)}, about
}

// A statement that denies never turns a denial into a permission, wherever it is added.
func TestDenyNeverAllows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := drawSet(t)
		request, about := drawRequest(t)
		before := Evaluate(request, set.compile(t, about))
		i := rapid.IntRange(0, len(layerKinds)-1).Draw(t, "layer")
		layer := set.layers()[i]
		deny := drawStatement(grammars[layerKinds[i]].principal == required, effectDeny).Draw(t, "deny")
		if n := len(*layer); n > 0 && rapid.Bool().Draw(t, "into a policy") {
			p := &(*layer)[rapid.IntRange(0, n-1).Draw(t, "policy")]
			p.statements = append(p.statements, deny)
		} else {
			*layer = append(*layer, drawnPolicy{layerKinds[i], version2012, []rawJSON{deny}})
		}
		if after := Evaluate(request, set.compile(t, about)); after.Allowed && !before.Allowed {
			t.Fatalf("%+v became %+v", before, after)
		}
	})
}

// The order of policies and statements never matters.
func TestOrderNeverMatters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := drawSet(t)
		request, about := drawRequest(t)
		before := Evaluate(request, set.compile(t, about))
		for _, layer := range set.layers() {
			*layer = rapid.Permutation(*layer).Draw(t, "policies")
			for i := range *layer {
				(*layer)[i].statements = rapid.Permutation((*layer)[i].statements).Draw(t, "statements")
			}
		}
		after := Evaluate(request, set.compile(t, about))
		if before.Allowed != after.Allowed || before.Explicit != after.Explicit || before.Reason != after.Reason {
			t.Fatalf("%+v became %+v", before, after)
		}
	})
}

// One more layer of those that limit never turns a denial into a permission.
func TestLimitsNeverAllow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := drawSet(t)
		set.boundary, set.session, set.endpoint, set.scp, set.rcp = nil, nil, nil, nil, nil
		request, about := drawRequest(t)
		// What a session's policies allow, a federated user gets from them: there is no less than none.
		if request.Principal.User != "" {
			request.Principal = aUser
		}
		before := Evaluate(request, set.compile(t, about))
		i := rapid.SampledFrom([]int{1, 2, 3, 6, 7}).Draw(t, "layer")
		*set.layers()[i] = drawPolicies(layerKinds[i]).Draw(t, "limits")
		if after := Evaluate(request, set.compile(t, about)); after.Allowed && !before.Allowed {
			t.Fatalf("%+v became %+v", before, after)
		}
	})
}

// The index finds exactly the statements that concern an action and resource.
func TestIndexMissesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies := drawPolicies(KindIdentity).Draw(t, "policies")
		request, about := drawRequest(t)
		e := evaluation{caller: caller{Principal: aUser, kind: user}, request: &request, set: &PolicySet{}}
		e.answer(&request.Questions[0])
		for _, d := range policies {
			p := d.load(t)
			var got, want verdict
			e.consult(p, &got)
			for _, s := range p.statements {
				if !s.concerns(e.action) || !s.fitsResource(&e.target, e.in) || !s.fitsConditions(e.in) || s.fitsPrincipal(&e.caller) == unnamed {
					continue
				}
				if s.deny {
					want.deny = s
				} else {
					want.allow[byName] = s
				}
			}
			if (got.deny == nil) != (want.deny == nil) || got.deny == nil && got.allows() != want.allows() {
				t.Fatalf("%v on %v: got %+v, want %+v", request.Questions, about, got, want)
			}
		}
	})
}

// What Parse accepts, Load reads alike; and Parse's documents leave nothing that could not be understood.
func TestParseAndLoadAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom(layerKinds).Draw(t, "kind")
		policies := drawPolicies(kind).Draw(t, "policies")
		for _, d := range policies {
			text, _ := json.Marshal(rawJSON{"Version": d.version, "Statement": d.statements})
			p, err := Parse(kind, text, Options{})
			if err != nil {
				continue
			}
			loaded := d.load(t)
			if len(loaded.statements) != len(p.statements) {
				t.Fatalf("%s has %d statements, then %d", text, len(p.statements), len(loaded.statements))
			}
			if slices.ContainsFunc(p.statements, func(s *statement) bool { return s.brokenResource || s.brokenPrincipal || s.brokenCondition }) {
				t.Fatalf("%s was not understood", text)
			}
		}
	})
}
