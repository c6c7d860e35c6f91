package sts_test

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/coffer-registry/coffer/internal/store/pgtest"

	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/sigv4"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Around(m)) }

const callerIdentity = "Action=GetCallerIdentity&Version=2011-06-15"

// identity is what a client reads of an answer.
type identity struct {
	Account   string `xml:"GetCallerIdentityResult>Account"`
	Arn       string `xml:"GetCallerIdentityResult>Arn"`
	UserID    string `xml:"GetCallerIdentityResult>UserId"`
	RequestID string `xml:"ResponseMetadata>RequestId"`
}

func ask(t *testing.T, s *coffertest.Server, r *http.Request) identity {
	t.Helper()
	answer := s.Do(r)
	var got identity
	if err := xml.Unmarshal(answer.Body, &got); err != nil || answer.Status != http.StatusOK {
		t.Fatalf("status %d, %v: %s", answer.Status, err, answer.Body)
	}
	if got.RequestID == "" || got.RequestID != answer.Header.Get("X-Amzn-Requestid") {
		t.Errorf("the request is %q in the answer and %q in its header", got.RequestID, answer.Header.Get("X-Amzn-Requestid"))
	}
	got.RequestID = ""
	return got
}

var root = identity{Account: coffertest.Account, Arn: "arn:aws:iam::" + coffertest.Account + ":root", UserID: coffertest.Account}

func TestGetCallerIdentity(t *testing.T) {
	s := coffertest.Start(t)
	post := s.Request(http.MethodPost, "/", strings.NewReader(callerIdentity), "Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	s.Sign(post, []byte(callerIdentity), "sts")
	if diff := cmp.Diff(root, ask(t, s, post)); diff != "" {
		t.Errorf("POST: -want +got\n%s", diff)
	}
	get := s.Request(http.MethodGet, "/?"+callerIdentity, nil)
	s.Sign(get, nil, "sts")
	if diff := cmp.Diff(root, ask(t, s, get)); diff != "" {
		t.Errorf("GET: -want +got\n%s", diff)
	}
	for _, r := range s.Trail() {
		if r.EventSource != "sts.amazonaws.com" || r.EventName != "GetCallerIdentity" || !r.ReadOnly || r.RequestParameters != nil || r.ResponseElements != nil {
			t.Errorf("a record: %s", r.Text)
		}
	}
}

// A presigned request is how a program proves to another who it is, without giving it a credential.
func TestPresignedGetCallerIdentity(t *testing.T) {
	clock := coffertest.NewClock()
	s := coffertest.Start(t, coffertest.Clock(clock.Now))
	r := s.Request(http.MethodGet, "/?"+callerIdentity, nil)
	err := sigv4.Presign(r, sigv4.Credentials{AccessKeyID: coffertest.AccessKeyID, Secret: secret.New(coffertest.SecretAccessKey)},
		sigv4.Scope{Region: coffertest.Region, Service: "sts"}, clock.Now(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	presigned := r.URL.RequestURI()
	if diff := cmp.Diff(root, ask(t, s, s.Request(http.MethodGet, presigned, nil))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	refused := func(what, code string, r *http.Request) {
		t.Helper()
		if got := s.Do(r); got.Status != http.StatusForbidden || !strings.Contains(string(got.Body), "<Code>"+code+"</Code>") {
			t.Errorf("%s: status %d: %s", what, got.Status, got.Body)
		}
	}
	refused("with another method", "SignatureDoesNotMatch", s.Request(http.MethodPut, presigned, nil))
	refused("with a body", "SignatureDoesNotMatch", s.Request(http.MethodPost, presigned, io.LimitReader(strings.NewReader("x"), 1)))
	refused("for longer", "SignatureDoesNotMatch", s.Request(http.MethodGet, strings.Replace(presigned, "X-Amz-Expires=60", "X-Amz-Expires=600", 1), nil))
	refused("by another key", "InvalidClientTokenId", s.Request(http.MethodGet, strings.Replace(presigned, url.QueryEscape(coffertest.AccessKeyID), "AKIAI44QH8DHBEXAMPLE", 1), nil))
	other := s.Request(http.MethodGet, presigned, nil)
	other.Host = "sts.example.com"
	refused("for another host", "SignatureDoesNotMatch", other)
	clock.Advance(time.Minute)
	ask(t, s, s.Request(http.MethodGet, presigned, nil))
	clock.Advance(time.Second)
	refused("after its end", "SignatureDoesNotMatch", s.Request(http.MethodGet, presigned, nil))
}
