package ecr

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/awsapi"
)

// shapes returns all shapes below those of the operations, by name.
func shapes(m *awsapi.Model) map[string]*awsapi.Shape {
	found := map[string]*awsapi.Shape{}
	var visit func(*awsapi.Shape)
	visit = func(s *awsapi.Shape) {
		if s == nil || found[s.Name] != nil {
			return
		}
		found[s.Name] = s
		for _, part := range []*awsapi.Shape{s.Element, s.Key, s.Value} {
			visit(part)
		}
		for _, member := range s.Members {
			visit(member.Shape)
		}
	}
	for _, op := range m.Operations {
		visit(op.Input)
		visit(op.Output)
	}
	return found
}

func TestModelIsComplete(t *testing.T) {
	if n := len(Model.Operations); n != 58 {
		t.Errorf("the model has %d operations, want 58", n)
	}
	for name, op := range Model.Operations {
		if op.Name != name || op.Input == nil || op.Output == nil || len(op.Errors) == 0 {
			t.Errorf("operation %s lacks something", name)
		}
		for _, failure := range op.Errors {
			if _, declared := Model.Errors[failure]; !declared {
				t.Errorf("operation %s has the unknown error %s", name, failure)
			}
		}
	}
	for name, shape := range Model.Errors {
		want := 400
		if name == "ServerException" {
			want = 500
		}
		if shape.Status != want || shape.Code != name {
			t.Errorf("error %s is %+v", name, shape)
		}
	}
}

// TestPatternsWork matches one good and one bad text with each pattern: one that can't be compiled matches nothing.
func TestPatternsWork(t *testing.T) {
	const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	texts := map[string][2]string{
		"Base64":                                 {"QVdT", "QV dT"},
		"CredentialArn":                          {"arn:aws:secretsmanager:us-east-1:123456789012:secret:ecr-pullthroughcache/quay", "arn:aws:secretsmanager:us-east-1:123456789012:secret:quay"},
		"ImageTagMutabilityExclusionFilterValue": {"latest-*", "latest/*"},
		"KmsKeyForRepositoryCreationTemplate":    {"", "alias/a"},
		"LayerDigest":                            {digest, digest + "g"},
		"Prefix":                                 {"ROOT", "root/-"},
		"PrincipalArn":                           {"arn:aws:iam::123456789012:role/path/name", "arn:aws:iam::123456789012:group/name"},
		"PullThroughCacheRuleRepositoryPrefix":   {"quay/", "/quay"},
		"Region":                                 {"eu-central-1", "EU"},
		"RegistryId":                             {"123456789012", "123456789012\n"},
		"RepositoryFilterValue":                  {"team/a-", "Team"},
		"RepositoryName":                         {"team/a__b.c---d", "team//a"},
		"ScanningRepositoryFilterValue":          {"*/a*", "/a"},
		"SigningProfileArn":                      {"arn:aws:signer:us-east-1:123456789012:/signing-profiles/ab", "arn:aws:signer:us-east-1:123456789012:/signing-profiles/a"},
		"SigningRepositoryFilterValue":           {"team/*", "team/"},
		"UploadId":                               {"1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed", "1b9d6bcd"},
	}
	for name, shape := range shapes(Model) {
		if shape.Pattern == "" {
			continue
		}
		text, known := texts[name]
		if !known {
			t.Errorf("the test lacks texts for %s, %s", name, shape.Pattern)
			continue
		}
		if !shape.Matches([]byte(text[0])) {
			t.Errorf("%s refuses %q", name, text[0])
		}
		if shape.Matches([]byte(text[1])) {
			t.Errorf("%s takes %q", name, text[1])
		}
	}
}

// TestStyleSpeaksOfTheModel finds names in the style that the model lacks.
func TestStyleSpeaksOfTheModel(t *testing.T) {
	known := shapes(Model)
	for name := range style.Patterns {
		if known[name] == nil {
			t.Errorf("there is no shape %s", name)
		}
	}
	for name, order := range style.Enums {
		if known[name] == nil {
			t.Errorf("there is no shape %s", name)
			continue
		}
		if diff := cmp.Diff(slices.Sorted(slices.Values(known[name].Enum)), slices.Sorted(slices.Values(order))); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
	for name := range style.Codes {
		if op := Model.Operations[name]; op == nil || !slices.Contains(op.Errors, "ValidationException") {
			t.Errorf("operation %s does not declare ValidationException", name)
		}
	}
	for name, op := range Model.Operations {
		if _, other := style.Codes[name]; !other && !slices.Contains(op.Errors, style.Code) {
			t.Errorf("operation %s does not declare %s", name, style.Code)
		}
	}
}

func TestTokensAreNotPrinted(t *testing.T) {
	out := GetAuthorizationTokenResponse{AuthorizationData: []AuthorizationData{{AuthorizationToken: "QVdTOkVYQU1QTEU="}}}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "data", out.AuthorizationData[0])
	for _, text := range []string{fmt.Sprint(out), fmt.Sprintf("%+v", out), fmt.Sprintf("%#v", out), log.String()} {
		if strings.Contains(text, "QVdT") || !strings.Contains(text, "redacted") {
			t.Error(text)
		}
	}
}
