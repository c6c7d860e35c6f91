package policy

import (
	"fmt"
	"testing"
)

// benchmarkSet is a busy principal: ten policies of twenty statements, most of them about the service that is asked, some
// with conditions and variables, some that deny; and a repository with a policy of its own.
func benchmarkSet(tb testing.TB) (Request, PolicySet) {
	repository := Repository("eu-central-1", "111111111111", "team/app")
	var set PolicySet
	for i := range 10 {
		d := `{"Version":"2012-10-17","Statement":[`
		for j := range 20 {
			if j > 0 {
				d += ","
			}
			d += benchmarkStatement(i, j)
		}
		set.Identity = append(set.Identity, mustParse(tb, KindManaged, d+`]}`))
	}
	own := mustParse(tb, KindRepository, `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":["222222222222","arn:aws:iam::333333333333:role/Deploy"]},"Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"]},
		{"Effect":"Deny","Principal":"*","Action":"ecr:*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`)
	set.Resources = map[Resource]ResourceSet{repository: {Policies: []*Policy{own}, Context: Context{"aws:resourcetag/team": {"team"}}}}
	set.Context = Context{"aws:principaltag/team": {"team"}, "aws:principalaccount": {"111111111111"}}
	return Request{
		Principal: Principal{ARN: "arn:aws:sts::111111111111:assumed-role/Builder/run1", Account: "111111111111", Role: "arn:aws:iam::111111111111:role/ci/Builder"},
		Questions: Ask([]string{"ecr:BatchGetImage"}, repository),
		Context: Context{
			"aws:securetransport": {"true"}, "aws:sourceip": {"10.1.2.3"}, "aws:currenttime": {"2026-01-15T12:00:00Z"},
		},
	}, set
}

func benchmarkStatement(i, j int) string {
	repository := fmt.Sprintf("arn:aws:ecr:*:111111111111:repository/project-%d-%d/*", i, j)
	switch j % 5 {
	case 0:
		return fmt.Sprintf(`{"Effect":"Allow","Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer","ecr:BatchCheckLayerAvailability"],"Resource":"%s"}`, repository)
	case 1:
		return fmt.Sprintf(`{"Effect":"Allow","Action":["ecr:Batch*","ecr:Get*","ecr:PutImage"],"Resource":["%s","%s-test"]}`, repository, repository)
	case 2:
		return fmt.Sprintf(`{"Effect":"Deny","Action":"ecr:*","Resource":"%s","Condition":{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}`, repository)
	case 3:
		return fmt.Sprintf(`{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject*"],"Resource":"arn:aws:s3:::bucket-%d-%d/*"}`, i, j)
	}
	if i == 9 && j == 19 {
		return `{"Effect":"Allow","Action":"ecr:BatchGetImage","Resource":"arn:aws:ecr:*:111111111111:repository/${aws:PrincipalTag/team}/*",
			"Condition":{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/team}"}}}`
	}
	return fmt.Sprintf(`{"Effect":"Allow","Action":"ecr:PutImage","Resource":"%s","Condition":{"StringEquals":{"aws:RequestedRegion":"eu-central-1"}}}`, repository)
}

func mustParse(tb testing.TB, kind Kind, document string) *Policy {
	tb.Helper()
	p, err := Parse(kind, []byte(document), Options{Name: kind.String()})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func BenchmarkEvaluate(b *testing.B) {
	r, set := benchmarkSet(b)
	if d := Evaluate(r, set); !d.Allowed {
		b.Fatal(d.Message(r.Principal))
	}
	b.ReportAllocs()
	for b.Loop() {
		Evaluate(r, set)
	}
}

// BenchmarkEvaluateWorst asks where every statement's action fits and the last segment alone does not.
func BenchmarkEvaluateWorst(b *testing.B) {
	r, set := benchmarkSet(b)
	set.Identity = nil
	for i := range 10 {
		d := `{"Version":"2012-10-17","Statement":[`
		for j := range 20 {
			if j > 0 {
				d += ","
			}
			d += fmt.Sprintf(`{"Effect":"Deny","Action":"ecr:Batch*Image","Resource":"arn:aws:ecr:*:111111111111:repository/*-%d-%d","Condition":{"StringNotEquals":{"aws:PrincipalAccount":"1"}}}`, i, j)
		}
		set.Identity = append(set.Identity, mustParse(b, KindManaged, d+`]}`))
	}
	b.ReportAllocs()
	for b.Loop() {
		Evaluate(r, set)
	}
}

func BenchmarkParse(b *testing.B) {
	document := []byte(`{"Version":"2012-10-17","Statement":[` + benchmarkStatement(0, 0) + `,` + benchmarkStatement(0, 1) + `,` + benchmarkStatement(0, 2) + `]}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(KindManaged, document, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
