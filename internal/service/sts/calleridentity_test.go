package sts_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/sigv4"
)

// presigned is a request by which whoever signs shows another who that is, bound to a name in a header.
func (w *world) presigned(c coffertest.Credentials, header, name string, life time.Duration) *http.Request {
	w.t.Helper()
	r := w.Request(http.MethodGet, "/?"+callerIdentity, nil, header, name)
	err := sigv4.Presign(r, sigv4.Credentials{AccessKeyID: c.AccessKeyID, Secret: secret.New(c.SecretAccessKey), SessionToken: secret.New(c.SessionToken)},
		sigv4.Scope{Region: coffertest.Region, Service: "sts"}, w.clock.Now(), life)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// A cluster takes a presigned request for a token of its users, and a vault for a login: in it, the name of the cluster or
// vault is signed.
func TestPresignedForAnother(t *testing.T) {
	w := newWorld(t)
	role := w.role("Node", document(trust(account, "sts:AssumeRole")), nil)
	node := session(w.user("ann", statement("Allow", "sts:AssumeRole", "*")), role, in{"DurationSeconds": 3600})
	for _, header := range []string{"x-k8s-aws-id", "X-Vault-AWS-IAM-Server-ID"} {
		r := w.presigned(node.Credentials, header, "one", time.Minute)
		if !strings.Contains(strings.ToLower(r.URL.RawQuery), strings.ToLower(header)) {
			t.Fatalf("%s is not signed: %s", header, r.URL)
		}
		if got := w.Do(r.Clone(t.Context())); got.Status != http.StatusOK || got.Text("Arn") != "arn:aws:sts::123456789012:assumed-role/Node/run1" {
			t.Errorf("%s: status %d: %s", header, got.Status, got.Body)
		}
		other := r.Clone(t.Context())
		other.Header.Set(header, "other")
		w.refused("for another cluster", w.Do(other), http.StatusForbidden, "SignatureDoesNotMatch", "")
		other.Header.Del(header)
		if got := w.Do(other); got.Status < 400 {
			t.Errorf("without the name: status %d", got.Status)
		}
	}
	week := w.presigned(w.Credentials, "x-k8s-aws-id", "one", 7*24*time.Hour)
	more := w.presigned(w.Credentials, "x-k8s-aws-id", "one", 7*24*time.Hour+time.Second)
	if got := w.Do(more); got.Status < 400 {
		t.Errorf("for more than a week: status %d", got.Status)
	}
	w.clock.Advance(7 * 24 * time.Hour)
	if got := w.Do(week.Clone(t.Context())); got.Status != http.StatusOK {
		t.Errorf("for a week: status %d: %s", got.Status, got.Body)
	}
	w.clock.Advance(time.Second)
	w.refused("after a week", w.Do(week), http.StatusForbidden, "SignatureDoesNotMatch", "")
}

func TestCallerIdentityAsJSON(t *testing.T) {
	w := newWorld(t)
	for accept, want := range map[string]string{
		"application/json": "application/json", "Application/JSON; charset=utf-8": "application/json", "application/json, text/xml": "application/json",
		"text/xml": "text/xml", "*/*": "text/xml", "text/xml, application/json": "text/xml", "": "text/xml",
	} {
		r := w.presigned(w.Credentials, "x-k8s-aws-id", "one", time.Minute)
		r.Header.Set("Accept", accept)
		got := w.Do(r)
		if kind := got.Header.Get("Content-Type"); kind != want || got.Status != http.StatusOK {
			t.Errorf("Accept %q: status %d, %s", accept, got.Status, kind)
		}
		if want != "application/json" {
			continue
		}
		var answer map[string]any
		if err := json.Unmarshal(got.Body, &answer); err != nil {
			t.Fatal(err)
		}
		wanted := map[string]any{"GetCallerIdentityResponse": map[string]any{
			"GetCallerIdentityResult": map[string]any{"Account": account, "Arn": "arn:aws:iam::" + account + ":root", "UserId": account},
			"ResponseMetadata":        map[string]any{"RequestId": got.Header.Get("X-Amzn-Requestid")},
		}}
		if diff := cmp.Diff(wanted, answer); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		if got.Header.Get("Cache-Control") != "no-store" {
			t.Error("a cache may keep it")
		}
	}
	// No other operation has that form.
	body := []byte("Action=GetSessionToken&Version=2011-06-15")
	r := w.Request(http.MethodPost, "/", strings.NewReader(string(body)), "Content-Type", "application/x-www-form-urlencoded", "Accept", "application/json")
	w.Sign(r, body, "sts")
	if got := w.Do(r); got.Header.Get("Content-Type") != "text/xml" {
		t.Errorf("GetSessionToken as %s", got.Header.Get("Content-Type"))
	}
}

func TestGetAccessKeyInfo(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", statement("Allow", "sts:GetAccessKeyInfo", "*"))
	for _, id := range []string{coffertest.AccessKeyID, ann.Credentials.AccessKeyID} {
		if got := ann.MustQuery("sts", "GetAccessKeyInfo", in{"AccessKeyId": id}).Text("Account"); got != account {
			t.Errorf("%s is of account %s", id, got)
		}
	}
	bob := w.user("bob")
	w.MustQuery("iam", "UpdateAccessKey", in{"UserName": "bob", "AccessKeyId": bob.Credentials.AccessKeyID, "Status": "Inactive"})
	if got := ann.MustQuery("sts", "GetAccessKeyInfo", in{"AccessKeyId": bob.Credentials.AccessKeyID}).Text("Account"); got != account {
		t.Errorf("an inactive key is of account %q", got)
	}
	w.invalid("a key that there is none of", ann.Query("sts", "GetAccessKeyInfo", in{"AccessKeyId": "AKIAI44QH8DHBEXAMPLE"}), "")
	w.denied("one who may not ask", bob.As(w.user("carl").Credentials).Query("sts", "GetAccessKeyInfo", in{"AccessKeyId": coffertest.AccessKeyID}), "")
}

// A denial comes with a text that those of the account who may decode it can read.
func TestDecodeAuthorizationMessage(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", statement("Deny", "iam:CreateUser", "*"))
	bob := w.user("bob", statement("Allow", "sts:DecodeAuthorizationMessage", "*"))
	for service, denied := range map[string]coffertest.Response{
		"iam": ann.Query("iam", "CreateUser", in{"UserName": "carl"}),
		"ecr": ann.ECR("DescribeRepositories", in{}),
		"sts": ann.Query("sts", "GetFederationToken", in{"Name": "carl"}),
	} {
		encoded := denied.Header.Get("X-Amzn-Authorization-Message")
		if encoded == "" || len(encoded) > 4096 || strings.Contains(string(denied.Body), encoded) {
			t.Fatalf("%s: %d characters: %s", service, len(encoded), denied.Body)
		}
		w.denied("one who may not decode", ann.Query("sts", "DecodeAuthorizationMessage", in{"EncodedMessage": encoded}), "")
		text := bob.MustQuery("sts", "DecodeAuthorizationMessage", in{"EncodedMessage": encoded}).Text("DecodedMessage")
		var message struct {
			Allowed, ExplicitDeny bool
			Context               struct {
				Principal struct{ ARN string }
				Action    string
			}
		}
		if err := json.Unmarshal([]byte(text), &message); err != nil {
			t.Fatalf("%s: %v: %s", service, err, text)
		}
		if message.Allowed || message.ExplicitDeny != (service == "iam") || message.Context.Principal.ARN != "arn:aws:iam::123456789012:user/ann" ||
			!strings.HasPrefix(message.Context.Action, service+":") {
			t.Errorf("%s: %s", service, text)
		}
		_, there := w.inAnother("of-" + service)
		for what, r := range map[string]coffertest.Response{
			"of another account": there.Query("sts", "DecodeAuthorizationMessage", in{"EncodedMessage": encoded}),
			"altered":            bob.Query("sts", "DecodeAuthorizationMessage", in{"EncodedMessage": string(encoded[0]^1) + encoded[1:]}),
			"no message":         bob.Query("sts", "DecodeAuthorizationMessage", in{"EncodedMessage": "x"}),
		} {
			w.refused(what, r, http.StatusBadRequest, "InvalidAuthorizationMessageException", "")
		}
	}
	if got := bob.Query("iam", "GetUser", in{"UserName": "nobody"}); got.Code() != "AccessDenied" {
		t.Errorf("%s", got.Body)
	}
	if got := w.Query("iam", "GetUser", in{"UserName": "nobody"}); got.Header.Get("X-Amzn-Authorization-Message") != "" {
		t.Error("an error that is no denial has an authorization message")
	}
	if got := w.As(coffertest.Credentials{}).Query("sts", "GetCallerIdentity", nil); got.Header.Get("X-Amzn-Authorization-Message") != "" {
		t.Error("nobody gets an authorization message")
	}
}
