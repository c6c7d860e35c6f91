package access

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/coffer-registry/coffer/internal/store/pgtest"

	"github.com/coffer-registry/coffer/internal/audit"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/organization"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Around(m)) }

const (
	account = "123456789012"
	region  = "us-east-1"
	// keyID is the example of the AWS documentation.
	keyID = "AKIAIOSFODNN7EXAMPLE"
)

var root = identity.Caller{
	Principal: policy.Principal{ARN: "arn:aws:iam::123456789012:root", Account: account, Root: true},
	Type:      "Root", PrincipalID: account, AccessKeyID: keyID,
}

// house is a door with what is behind it.
type house struct {
	*Door
	db     *store.DB
	trail  *audit.Log
	reader *audit.Reader
	clock  time.Time
	t      testing.TB
}

// build makes a house with the real policies, but for what change sets.
func build(t testing.TB, change func(*Config)) *house {
	t.Helper()
	db := storetest.Open(t, t.TempDir(), store.Options{})
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	key := seal.NewKey()
	policies := &Policies{IAM: iam.New(iam.Config{DB: db, Secrets: key}), Organization: organization.New(organization.Config{DB: db})}
	trail, err := audit.New(db, key)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := audit.NewReader(db, key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.Close)
	h := &house{db: db, trail: trail, reader: reader, clock: time.Date(2026, 1, 15, 12, 30, 45, 0, time.UTC), t: t}
	c := Config{DB: db, Trail: trail, Policies: policies, Now: func() time.Time { return h.clock }}
	if change != nil {
		change(&c)
	}
	h.Door = New(c)
	return h
}

// push is a request of the root principal to push an image.
func push() *Request {
	return &Request{
		ID: "11111111-2222-4333-8444-555555555555", Caller: root, Account: account, Region: region, Source: "ecr.amazonaws.com", Name: "PutImage",
		Questions:  policy.Ask([]string{"ecr:PutImage"}, policy.Repository(region, account, "team/app")),
		Parameters: json.RawMessage(`{"repositoryName":"team/app"}`), SourceIP: "203.0.113.7", UserAgent: "aws-cli/2",
	}
}

// record is what the tests read of one.
type record struct {
	UserIdentity                       map[string]string
	EventTime, EventSource, EventName  string
	AWSRegion, SourceIPAddress         string
	UserAgent, ErrorCode, ErrorMessage string
	RequestParameters                  map[string]any
	ResponseElements                   map[string]any
	RequestID                          string
	ReadOnly                           bool
	Resources                          []map[string]string
	RecipientAccountID                 string
	TLSDetails                         map[string]string
}

// records writes what was noted, and reads the trail.
func (h *house) records() (all []record) {
	h.t.Helper()
	if err := h.trail.Flush(context.Background()); err != nil {
		h.t.Fatal(err)
	}
	segments, err := h.reader.After(context.Background(), 0, 1000)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, s := range segments {
		for line := range s.Records() {
			var r record
			if err := json.Unmarshal(line, &r); err != nil {
				h.t.Fatal(err)
			}
			all = append(all, r)
		}
	}
	return all
}

func (h *house) want(records ...record) {
	h.t.Helper()
	if diff := cmp.Diff(records, h.records()); diff != "" {
		h.t.Error(diff)
	}
}

// pushed is the record of push, but for its outcome.
func pushed() record {
	return record{
		UserIdentity: map[string]string{"type": "Root", "principalId": account, "arn": "arn:aws:iam::123456789012:root", "accountId": account, "accessKeyId": keyID},
		EventTime:    "2026-01-15T12:30:45Z", EventSource: "ecr.amazonaws.com", EventName: "PutImage", AWSRegion: region, SourceIPAddress: "203.0.113.7",
		UserAgent: "aws-cli/2", RequestParameters: map[string]any{"repositoryName": "team/app"}, RequestID: "11111111-2222-4333-8444-555555555555",
		Resources:          []map[string]string{{"ARN": "arn:aws:ecr:us-east-1:123456789012:repository/team/app", "accountId": account, "type": "AWS::ECR::Repository"}},
		RecipientAccountID: account,
	}
}

func (h *house) enter(r *Request) *Pass {
	h.t.Helper()
	pass, err := h.Enter(h.t.Context(), r, "AccessDeniedException")
	if err != nil {
		h.t.Fatal(err)
	}
	return pass
}

func TestDone(t *testing.T) {
	h := build(t, nil)
	pass := h.enter(push())
	h.want() // nothing before the end
	h.clock = h.clock.Add(3 * time.Second)
	if err := pass.Done(); err != nil {
		t.Fatal(err)
	}
	want := pushed()
	want.EventTime = "2026-01-15T12:30:48Z" // when it was completed
	h.want(want)
}

func TestFail(t *testing.T) {
	h := build(t, nil)
	if err := h.enter(push()).Fail("RepositoryNotFoundException", "The repository is gone."); err != nil {
		t.Fatal(err)
	}
	want := pushed()
	want.ErrorCode, want.ErrorMessage = "RepositoryNotFoundException", "The repository is gone."
	h.want(want)
}

// TestDenied has the policies refuse requests: each leaves one record with the reason, and nobody gets a pass.
func TestDenied(t *testing.T) {
	user := identity.Caller{Principal: policy.Principal{ARN: "arn:aws:iam::123456789012:user/ann", Account: account}, Type: "IAMUser",
		PrincipalID: "AIDACKCEVSQ6C2EXAMPLE", AccessKeyID: keyID}
	for name, tt := range map[string]struct {
		caller   identity.Caller
		resource policy.Resource
		message  string
		identity map[string]string
	}{
		"another account's": {root, policy.Repository(region, "999999999999", "app"),
			"User: arn:aws:iam::123456789012:root is not authorized to perform: ecr:PutImage on resource: " +
				"arn:aws:ecr:us-east-1:999999999999:repository/app because no resource-based policy allows the ecr:PutImage action", nil},
		"without a policy": {user, policy.Repository(region, account, "app"),
			"User: arn:aws:iam::123456789012:user/ann is not authorized to perform: ecr:PutImage on resource: " +
				"arn:aws:ecr:us-east-1:123456789012:repository/app because no identity-based policy allows the ecr:PutImage action",
			map[string]string{"type": "IAMUser", "principalId": "AIDACKCEVSQ6C2EXAMPLE", "arn": user.Principal.ARN, "accountId": account, "accessKeyId": keyID}},
		"nobody": {identity.Caller{AccessKeyID: keyID}, policy.Repository(region, account, "app"), "",
			map[string]string{"type": "Unknown", "accessKeyId": keyID}},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t, func(c *Config) { c.Rates = map[string]int64{"ecr:PutImage": 1} })
			r := push()
			r.Caller, r.Questions = tt.caller, policy.Ask([]string{"ecr:PutImage"}, tt.resource)
			for range 3 { // a refusal uses up no rate
				pass, err := h.Enter(t.Context(), r, "AccessDeniedException")
				var denied *DeniedError
				if pass != nil || !errors.As(err, &denied) {
					t.Fatalf("a pass, or error %v", err)
				}
				if tt.message != "" && err.Error() != tt.message {
					t.Errorf("error is %q", err)
				}
			}
			records := h.records()
			if len(records) != 3 {
				t.Fatalf("%d records", len(records))
			}
			got := records[0]
			if got.ErrorCode != "AccessDeniedException" || tt.message != "" && got.ErrorMessage != tt.message || got.ErrorMessage == "" ||
				got.Resources[0]["ARN"] != tt.resource.ARN || got.Resources[0]["accountId"] != tt.resource.Account || got.ResponseElements != nil {
				t.Errorf("%+v", got)
			}
			if tt.identity != nil {
				if diff := cmp.Diff(tt.identity, got.UserIdentity); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// The policies are asked exactly what the request is about.
func TestPoliciesAreAsked(t *testing.T) {
	var asked []policy.Request
	h := build(t, func(c *Config) {
		c.Evaluate = func(r policy.Request) policy.Decision {
			asked = append(asked, r)
			return policy.Decision{Allowed: len(r.Questions) > 0 && r.Questions[0].Action != "ecr:Never"}
		}
	})
	r := push()
	r.Context = policy.Context{"aws:sourceip": {"203.0.113.7"}}
	pass := h.enter(r)
	more := policy.Ask([]string{"ecr:Never"}, policy.Registry(account))
	if pass.May(t.Context(), more...) {
		t.Error("it may")
	}
	if !pass.May(t.Context(), r.Questions...) {
		t.Error("it may not")
	}
	want := []policy.Request{
		{Principal: root.Principal, Questions: r.Questions, Context: r.Context}, {Principal: root.Principal, Questions: more, Context: r.Context},
		{Principal: root.Principal, Questions: r.Questions, Context: r.Context},
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Error(diff)
	}
	h.want() // a further question is no request
}

// A request that needs no permission still needs a caller.
func TestNoQuestions(t *testing.T) {
	h := build(t, nil)
	r := push()
	r.Questions = nil
	if err := h.enter(r).Done(); err != nil {
		t.Fatal(err)
	}
	r.Caller = identity.Caller{}
	var denied *DeniedError
	if _, err := h.Enter(t.Context(), r, "AccessDeniedException"); !errors.As(err, &denied) {
		t.Errorf("error is %v", err)
	}
	if records := h.records(); len(records) != 2 || records[0].Resources != nil || records[1].ErrorCode != "AccessDeniedException" {
		t.Errorf("%+v", records)
	}
}

func TestRefuse(t *testing.T) {
	h := build(t, nil)
	r := push()
	r.Caller = identity.Caller{AccessKeyID: keyID}
	if err := h.Refuse(r, "UnrecognizedClientException", "The security token included in the request is invalid."); err != nil {
		t.Fatal(err)
	}
	want := pushed()
	want.UserIdentity = map[string]string{"type": "Unknown", "accessKeyId": keyID}
	want.ErrorCode, want.ErrorMessage = "UnrecognizedClientException", "The security token included in the request is invalid."
	h.want(want)
}

// TestResources names in the record each resource once, and not what stands for none.
func TestResources(t *testing.T) {
	h := build(t, nil)
	a, b := policy.Repository(region, account, "a"), policy.Repository(region, account, "b")
	r := push()
	r.Questions = append(policy.Ask([]string{"ecr:PutImage", "ecr:BatchGetImage"}, a, b), policy.Ask([]string{"ecr:DescribeRegistry"}, policy.Registry(account))...)
	r.TLS, r.Host = &tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, CurveID: tls.X25519}, "ecr.example.com"
	if err := h.enter(r).Done(); err != nil {
		t.Fatal(err)
	}
	want := pushed()
	want.Resources = []map[string]string{{"ARN": a.ARN, "accountId": account, "type": "AWS::ECR::Repository"}, {"ARN": b.ARN, "accountId": account, "type": "AWS::ECR::Repository"}}
	want.TLSDetails = map[string]string{"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256", "clientProvidedHostHeader": "ecr.example.com", "keyExchange": "X25519"}
	h.want(want)
}
