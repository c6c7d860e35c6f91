package kms_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/coffer-registry/coffer/internal/store/pgtest"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Around(m)) }

type in = map[string]any

// house is a server with ann, who may do nothing, and a key that leaves all to the account.
type house struct {
	*coffertest.Server
	t   *testing.T
	ann *coffertest.Server
	key string
}

const (
	annARN = "arn:aws:iam::123456789012:user/ann"
	root   = "arn:aws:iam::123456789012:root"
)

func start(t *testing.T, options ...coffertest.Option) *house {
	t.Helper()
	h := &house{Server: coffertest.Start(t, options...), t: t}
	h.ann = h.user("ann")
	h.key = h.CreateKMSKey(nil)
	return h
}

// user makes a user with an access key, and returns a client that signs with it.
func (h *house) user(name string) *coffertest.Server {
	h.t.Helper()
	h.MustQuery("iam", "CreateUser", in{"UserName": name})
	return h.As(h.MustQuery("iam", "CreateAccessKey", in{"UserName": name}).KeyOf())
}

// let gives a user a policy of one statement.
func (h *house) let(user, effect, action, resource string) {
	h.t.Helper()
	h.MustQuery("iam", "PutUserPolicy", in{"UserName": user, "PolicyName": strings.ToLower(effect), "PolicyDocument": policyOf(statement(effect, "", action, resource, ""))})
}

// statement is one of a policy, without a principal or a condition if those are empty.
func statement(effect, principal, action, resource, condition string) string {
	s := `{"Effect":"` + effect + `","Action":"` + action + `","Resource":"` + resource + `"`
	if principal != "" {
		s += `,"Principal":{"AWS":"` + principal + `"}`
	}
	if condition != "" {
		s += `,"Condition":` + condition
	}
	return s + "}"
}

func policyOf(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// account leaves all to the policies of the account.
func accountStatement() string { return statement("Allow", root, "kms:*", "*", "") }

// put gives the key a policy of the account's statement and others.
func (h *house) put(statements ...string) {
	h.t.Helper()
	h.MustKMS("PutKeyPolicy", in{"KeyId": h.key, "Policy": policyOf(append([]string{accountStatement()}, statements...)...)}, nil)
}

// told is what a call answers: nothing, or its code and message.
func told(r coffertest.Response) string {
	if r.Status == http.StatusOK {
		return ""
	}
	return r.Code() + ": " + r.Message()
}

// expect compares what a call answers.
func expect(t *testing.T, who *coffertest.Server, operation string, input in, want string) {
	t.Helper()
	if input == nil {
		input = in{}
	}
	if got := told(who.KMS(operation, input)); got != want {
		t.Errorf("%s of %v: got %q\nwant %q", operation, input, got, want)
	}
}

// decode reads an answer that must be there.
func decode[T any](t *testing.T, r coffertest.Response) (out T) {
	t.Helper()
	if r.Status != http.StatusOK {
		t.Fatalf("status %d: %s", r.Status, r.Body)
	}
	if err := json.Unmarshal(r.Body, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// encrypt encrypts one byte by a key, with an encryption context.
func (h *house) encrypt(key string, context map[string]string) string {
	h.t.Helper()
	return decode[struct{ CiphertextBlob string }](h.t, h.KMS("Encrypt", in{"KeyId": key, "Plaintext": "eA==", "EncryptionContext": context})).CiphertextBlob
}

// denied is the sentence about a denial.
func denied(who, action, resource, why string) string {
	return "AccessDeniedException: User: " + who + " is not authorized to perform: kms:" + action + " on resource: " + resource + why
}

func noPolicy(kind, action string) string {
	return " because no " + kind + "-based policy allows the kms:" + action + " action"
}
