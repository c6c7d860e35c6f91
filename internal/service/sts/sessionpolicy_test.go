package sts_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

func (w *world) policy(name string, statements ...string) string {
	w.t.Helper()
	return w.MustQuery("iam", "CreatePolicy", in{"PolicyName": name, "PolicyDocument": document(statements...)}).Text("Arn")
}

func mayDescribe(s *coffertest.Server) bool {
	return s.ECR("DescribeRepositories", in{}).Status == http.StatusOK
}

func mayList(s *coffertest.Server) bool {
	return s.ECR("ListImages", in{"repositoryName": "team/app"}).Status == http.StatusOK
}

func TestSessionPolicies(t *testing.T) {
	w := newWorld(t)
	w.CreateRepository("team/app")
	role := w.role("Builder", document(trust(account, "sts:AssumeRole")), nil, statement("Allow", "ecr:*", "*"))
	ann := w.user("ann", statement("Allow", "sts:AssumeRole", "*"))
	describe, list := statement("Allow", "ecr:DescribeRepositories", "*"), statement("Allow", "ecr:ListImages", "*")
	named := w.policy("describe", describe)
	wide := w.policy("wide", statement("Allow", "*", "*"))
	for what, test := range map[string]struct {
		more           in
		describe, list bool
	}{
		"none":              {nil, true, true},
		"a document":        {in{"Policy": document(describe)}, true, false},
		"a named one":       {in{"PolicyArns": policies(named)}, true, false},
		"both":              {in{"Policy": document(list), "PolicyArns": policies(named)}, true, true},
		"a denial":          {in{"Policy": document(statement("Deny", "ecr:ListImages", "*")), "PolicyArns": policies(wide)}, true, false},
		"of AWS":            {in{"PolicyArns": policies("arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly")}, true, true},
		"more than a role":  {in{"Policy": document(statement("Allow", "iam:*", "*"))}, false, false},
		"one for something": {in{"Policy": document(statement("Allow", "ecr:*", "arn:aws:ecr:us-east-1:123456789012:repository/team/app"))}, false, true},
	} {
		run := session(ann, role, test.more)
		if mayDescribe(run) != test.describe || mayList(run) != test.list {
			t.Errorf("%s: the session may describe: %v, list: %v", what, mayDescribe(run), mayList(run))
		}
		if run.Query("iam", "ListUsers", nil).Status == http.StatusOK {
			t.Errorf("%s: the session may do more than its role", what)
		}
	}
	run := session(ann, role, in{"PolicyArns": policies(named)})
	if !mayDescribe(run) {
		t.Error("a named policy does not count")
	}
	// It counts as it is, and one that is gone allows nothing.
	w.MustQuery("iam", "DeletePolicy", in{"PolicyArn": named})
	if mayDescribe(run) {
		t.Error("a named policy counts although it is gone")
	}
	w.invalid("one that is gone", ann.Query("sts", "AssumeRole", assume(role, in{"PolicyArns": policies(named)})),
		"Policy "+named+" does not exist or is not attachable.")
	w.invalid("of another account", ann.Query("sts", "AssumeRole", assume(role, in{"PolicyArns": policies("arn:aws:iam::210987654321:policy/p")})),
		"arn:aws:iam::210987654321:policy/p is invalid")
	w.invalid("no policy", ann.Query("sts", "AssumeRole", assume(role, in{"PolicyArns": policies(role)})), role+" is invalid")
}

func TestBoundsOfSessionPolicies(t *testing.T) {
	w := newWorld(t)
	role := w.role("Builder", document(trust(account, "sts:AssumeRole sts:TagSession")), nil)
	ann := w.user("ann", statement("Allow", "sts:*", "*"))
	var eleven []string
	for i := range 11 {
		eleven = append(eleven, fmt.Sprintf("arn:aws:iam::123456789012:policy/p%d", i))
	}
	w.invalid("eleven", ann.Query("sts", "AssumeRole", assume(role, in{"PolicyArns": policies(eleven...)})), "")
	malformed := func(what, policy string) {
		t.Helper()
		w.refused(what, ann.Query("sts", "AssumeRole", assume(role, in{"Policy": policy})), http.StatusBadRequest, "MalformedPolicyDocument", "")
	}
	malformed("no JSON", "x")
	malformed("a principal", document(`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`))
	malformed("a short ARN", document(statement("Allow", "ecr:*", "arn:aws:ecr")))
	tooLarge := func(what string, more in) {
		t.Helper()
		r := ann.Query("sts", "AssumeRole", assume(role, more))
		if w.refused(what, r, http.StatusBadRequest, "PackedPolicyTooLarge", ""); !strings.HasPrefix(r.Message(), "Packed policy consumes ") {
			t.Errorf("%s: %s", what, r.Message())
		}
	}
	long := document(statement("Allow", "ecr:*", "arn:aws:ecr:us-east-1:123456789012:repository/"+strings.Repeat("a", 2048)))
	tooLarge("a long document", in{"Policy": long})
	tooLarge("a document with names", in{"Policy": document(statement("Allow", "ecr:*", "arn:aws:ecr:us-east-1:123456789012:repository/"+strings.Repeat("a", 1880))),
		"PolicyArns": policies(eleven[:2]...)})
	var many []string
	for i := range 50 {
		many = append(many, fmt.Sprintf("%d%s", i, scrambled(i, 100)), scrambled(i+100, 200))
	}
	tooLarge("tags", in{"Tags": tags(many...)})
	r := ann.MustQuery("sts", "AssumeRole", assume(role, in{"Tags": tags(many[:10]...)}))
	if percent := r.Text("PackedPolicySize"); len(percent) != 2 {
		t.Errorf("PackedPolicySize %s", percent)
	}
}

// scrambled is a text that doesn't compress much, the same each time.
func scrambled(seed, length int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	text, state := make([]byte, length), uint32(seed)*2654435761+1
	for i := range text {
		state ^= state << 13
		state ^= state >> 17
		state ^= state << 5
		text[i] = letters[state%uint32(len(letters))]
	}
	return string(text)
}
