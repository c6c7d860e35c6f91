package sts

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/awsapi"
)

func TestModelIsComplete(t *testing.T) {
	if n := len(Model.Operations); n != 11 {
		t.Errorf("the model has %d operations, want 11", n)
	}
	for name, op := range Model.Operations {
		if op.Name != name || op.Input == nil || op.ResultWrapper != name+"Result" {
			t.Errorf("operation %s lacks something", name)
		}
		if unsigned := strings.HasSuffix(name, "SAML") || strings.HasSuffix(name, "WithWebIdentity"); op.Unsigned != unsigned {
			t.Errorf("operation %s: unsigned is %v", name, op.Unsigned)
		}
	}
	if e := Model.Errors["IDPRejectedClaimException"]; e != (awsapi.ErrorShape{Code: "IDPRejectedClaim", Status: 403}) {
		t.Errorf("got %+v", e)
	}
}

// TestPatternsWork matches one good and one bad text with each pattern of an input: one that can't be compiled matches
// nothing.
func TestPatternsWork(t *testing.T) {
	texts := map[string][2]string{
		"accessKeyIdType":                       {"AKIAIOSFODNN7EXAMPLE", "AKIA-"},
		"arnType":                               {"arn:aws:iam::123456789012:role/é𝄞", "arn:aws:iam::123456789012:role/\x00"},
		"externalIdType":                        {"a@b:c/d", "a b"},
		"roleSessionNameType":                   {"ci@example.com", "ci/cd"},
		"serialNumberType":                      {"arn:aws:iam::123456789012:mfa/user", "a b"},
		"sessionPolicyDocumentType":             {"{\"a\":\n\"é\"}", "{\"a\":\"日\"}"},
		"sourceIdentityType":                    {"ci", "c i"},
		"tagKeyType":                            {"Kostenstelle Köln", "a*"},
		"tagValueType":                          {"", "a*"},
		"tokenCodeType":                         {"123456", "12345a"},
		"unrestrictedSessionPolicyDocumentType": {"{}", ""},
		"userNameType":                          {"a+b", "a:b"},
	}
	seen := 0
	var visit func(*awsapi.Shape)
	visit = func(s *awsapi.Shape) {
		if s.Element != nil {
			visit(s.Element)
		}
		for _, member := range s.Members {
			visit(member.Shape)
		}
		if s.Pattern == "" {
			return
		}
		seen++
		text, known := texts[s.Name]
		if !known || !s.Matches([]byte(text[0])) || s.Matches([]byte(text[1])) {
			t.Errorf("%s with the pattern %s is wrong about %q", s.Name, s.Pattern, text)
		}
	}
	for _, op := range Model.Operations {
		visit(op.Input)
	}
	if seen < len(texts) {
		t.Errorf("met %d patterns, want at least %d", seen, len(texts))
	}
}

func TestCredentialsAreNotPrinted(t *testing.T) {
	c := Credentials{SecretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "credentials", &c)
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", &c), fmt.Sprintf("%#v", c), log.String()} {
		if strings.Contains(text, "wJalr") || !strings.Contains(text, "redacted") {
			t.Error(text)
		}
	}
}
