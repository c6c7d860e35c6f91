package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGeneratedFilesAreCurrent compares the files with what the generator writes now.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	for _, name := range []string{"ecr", "sts"} {
		want, err := generate(filepath.Join("../../../api", name+".json"), name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("..", name, "zz_generated.go"))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("package %s is stale: run go generate ./internal/awsapi/%s", name, name)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"repositoryName": "RepositoryName", "registryId": "RegistryID", "imageIds": "ImageIDs", "resourceArn": "ResourceARN", "Arn": "Arn", "UserId": "UserID",
		"repositoryUri": "RepositoryURI", "downloadUrl": "DownloadURL", "kmsKey": "KmsKey", "referenceUrls": "ReferenceURLs", "SAMLAssertion": "SAMLAssertion",
	} {
		if got := fieldName(name); got != want {
			t.Errorf("the field of %s is %s, want %s", name, got, want)
		}
	}
	for value, want := range map[string]string{
		"IN_PROGRESS": "StatusInProgress", "AES256": "StatusAes256", "ecr-public": "StatusEcrPublic", "InvalidImageTag": "StatusInvalidImageTag",
	} {
		if got := valueName("status", value); got != want {
			t.Errorf("the constant of %s is %s, want %s", value, got, want)
		}
	}
	if got := codeName("KmsException"); got != "CodeKms" {
		t.Errorf("the constant of the code is %s", got)
	}
}

// TestWhatCannotBeGeneratedIsRefused gives the generator interfaces that it must not get wrong silently.
func TestWhatCannotBeGeneratedIsRefused(t *testing.T) {
	const head = `{"metadata": {"protocol": "json"}, "operations": {"Op": {"input": "In", "errors": []}}, "shapes": {`
	for name, test := range map[string]struct{ text, want string }{
		"recursion":       {head + `"In": {"type": "structure", "members": {"a": "In"}}}}`, "shape In contains itself"},
		"missing shape":   {head + `"In": {"type": "structure", "members": {"a": "A"}}}}`, "there is no shape A"},
		"unknown type":    {head + `"In": {"type": "structure", "members": {"a": "A"}}, "A": {"type": "document"}}}`, `the type "document"`},
		"name on wire":    {head + `"In": {"type": "structure", "members": {"a": {"shape": "A", "locationName": "b"}}}, "A": {"type": "string"}}}`, "member a has a name"},
		"clash":           {head + `"In": {"type": "structure", "members": {"a": "A", "b": "a"}}, "A": {"type": "structure"}, "a": {"type": "structure"}}}`, "A would be declared twice"},
		"unknown dialect": {`{"metadata": {"protocol": "rest-xml"}}`, `protocol "rest-xml"`},
		"no JSON":         {`{`, "unexpected end of JSON input"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "api.json")
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := generate(path, "x"); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestRunWritesTheFile(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.go")
	if err := run("../../../api/sts.json", "sts", out); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil || !strings.HasPrefix(string(text), "// Code generated ") {
		t.Errorf("got %.50q, %v", text, err)
	}
	if err := run("missing.json", "sts", out); err == nil {
		t.Error("a missing interface was accepted")
	}
}
