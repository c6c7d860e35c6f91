package sts_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

func TestGetSessionToken(t *testing.T) {
	w := newWorld(t)
	w.CreateRepository("team/app")
	role := w.role("Builder", document(trust(account, "sts:AssumeRole")), nil)
	ann := w.user("ann", statement("Allow", "*", "*"))
	r := ann.MustQuery("sts", "GetSessionToken", nil)
	if want := w.clock.Now().Add(12 * time.Hour).UTC().Format(time.RFC3339); r.Text("Expiration") != want {
		t.Errorf("until %s, want %s", r.Text("Expiration"), want)
	}
	own := w.As(r.KeyOf())
	who := own.MustQuery("sts", "GetCallerIdentity", nil)
	if who.Text("Arn") != "arn:aws:iam::123456789012:user/ann" || !strings.HasPrefix(who.Text("UserId"), "AIDA") {
		t.Errorf("it is %s", who.Body)
	}
	if !mayList(own) {
		t.Error("the session has not the rights of its user")
	}
	session(own, role, nil)
	const forbidden = "The security token included in the request is invalid."
	w.refused("IAM without a second factor", own.Query("iam", "GetUser", nil), http.StatusForbidden, "InvalidClientTokenId", forbidden)
	for _, operation := range []string{"GetSessionToken", "GetFederationToken", "GetAccessKeyInfo", "DecodeAuthorizationMessage"} {
		w.denied(operation, own.Query("sts", operation, in{"Name": "bob", "AccessKeyId": coffertest.AccessKeyID, "EncodedMessage": "x"}),
			"Cannot call "+operation+" with session credentials")
	}
	for seconds, life := range map[int]time.Duration{900: 15 * time.Minute, 129600: 36 * time.Hour} {
		r := ann.MustQuery("sts", "GetSessionToken", in{"DurationSeconds": seconds})
		if want := w.clock.Now().Add(life).UTC().Format(time.RFC3339); r.Text("Expiration") != want {
			t.Errorf("%d s: until %s, want %s", seconds, r.Text("Expiration"), want)
		}
	}
	w.invalid("too short", ann.Query("sts", "GetSessionToken", in{"DurationSeconds": 899}), "")
	w.invalid("too long", ann.Query("sts", "GetSessionToken", in{"DurationSeconds": 129601}), "")
	// A root's session lasts an hour at most, without a word.
	for _, more := range []in{nil, {"DurationSeconds": 129600}} {
		r := w.MustQuery("sts", "GetSessionToken", more)
		if want := w.clock.Now().Add(time.Hour).UTC().Format(time.RFC3339); r.Text("Expiration") != want {
			t.Errorf("the root's: until %s, want %s", r.Text("Expiration"), want)
		}
		if arn := w.As(r.KeyOf()).MustQuery("sts", "GetCallerIdentity", nil).Text("Arn"); arn != "arn:aws:iam::123456789012:root" {
			t.Errorf("it is %s", arn)
		}
	}
}

func TestGetFederationToken(t *testing.T) {
	w := newWorld(t)
	w.CreateRepository("team/app")
	ann := w.user("ann", statement("Allow", "ecr:*", "*"), statement("Allow", "sts:GetFederationToken", "arn:aws:sts::123456789012:federated-user/b*"))
	w.denied("another name", ann.Query("sts", "GetFederationToken", in{"Name": "carl"}),
		"User: arn:aws:iam::123456789012:user/ann is not authorized to perform: sts:GetFederationToken on resource: arn:aws:sts::123456789012:federated-user/carl because no identity-based policy allows the sts:GetFederationToken action")
	r := ann.MustQuery("sts", "GetFederationToken", in{"Name": "bob"})
	if r.Text("FederatedUserId") != "123456789012:bob" || r.Text("Arn") != "arn:aws:sts::123456789012:federated-user/bob" || r.Text("PackedPolicySize") != "" {
		t.Errorf("%s", r.Body)
	}
	bob := w.As(r.KeyOf())
	if who := bob.MustQuery("sts", "GetCallerIdentity", nil); who.Text("Arn") != r.Text("Arn") || who.Text("UserId") != r.Text("FederatedUserId") {
		t.Errorf("it is %s", who.Body)
	}
	// Without session policies, only what a resource allows.
	if mayDescribe(bob) || mayList(bob) {
		t.Error("a federated user without session policies has rights")
	}
	w.MustECR("SetRepositoryPolicy", in{"repositoryName": "team/app", "policyText": `{"Version":"2012-10-17","Statement":[{"Sid":"bob","Effect":"Allow",
		"Principal":{"AWS":"arn:aws:sts::123456789012:federated-user/bob"},"Action":"ecr:ListImages"}]}`}, nil)
	if mayDescribe(bob) || !mayList(bob) {
		t.Error("the repository's policy does not count, or for too much")
	}
	limited := w.As(ann.MustQuery("sts", "GetFederationToken", in{"Name": "bill", "Policy": document(statement("Allow", "ecr:DescribeRepositories", "*"), statement("Allow", "iam:*", "*"))}).KeyOf())
	if !mayDescribe(limited) || mayList(limited) {
		t.Error("the session policy does not count")
	}
	w.refused("IAM", limited.Query("iam", "GetUser", nil), http.StatusForbidden, "InvalidClientTokenId", "")
	for _, operation := range []string{"AssumeRole", "GetSessionToken", "GetFederationToken", "GetAccessKeyInfo", "DecodeAuthorizationMessage"} {
		w.denied(operation, limited.Query("sts", operation, in{"Name": "bob", "AccessKeyId": coffertest.AccessKeyID, "EncodedMessage": "x",
			"RoleArn": rolePre + "r", "RoleSessionName": "run1"}), "Cannot call "+operation+" with session credentials")
	}
	w.denied("tags", ann.Query("sts", "GetFederationToken", in{"Name": "bob", "Tags": tags("k", "v")}), "")
	// The root may give what it has.
	ofRoot := w.As(w.MustQuery("sts", "GetFederationToken", in{"Name": "root-bob", "Policy": document(statement("Allow", "ecr:*", "*")), "Tags": tags("k", "v")}).KeyOf())
	if !mayDescribe(ofRoot) || !mayList(ofRoot) {
		t.Error("a federated user of the root has nothing")
	}
	w.invalid("a long name", ann.Query("sts", "GetFederationToken", in{"Name": strings.Repeat("b", 33)}), "")
}
