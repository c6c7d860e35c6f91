package audit

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const (
	account = "123456789012"
	region  = "us-east-1"
	// keyID is the example of the AWS documentation.
	keyID = "AKIAIOSFODNN7EXAMPLE"
)

var completed = time.Date(2026, 1, 15, 13, 30, 45, 999_000_000, time.FixedZone("", 3600))

// change is the record of a change, with everything in it.
func change() *Record {
	return &Record{
		Identity: Identity{Type: "Root", PrincipalID: account, ARN: "arn:aws:iam::123456789012:root", AccountID: account, AccessKeyID: keyID},
		Time:     completed, Source: "ecr.amazonaws.com", Name: "CreateRepository", Region: region, SourceIP: "203.0.113.7", UserAgent: "aws-cli/2",
		Parameters: json.RawMessage(`{"repositoryName":"team/app"}`), Response: json.RawMessage(`{"repository":{}}`),
		RequestID: "11111111-2222-4333-8444-555555555555", Account: account,
		Resources: []Resource{{ARN: "arn:aws:ecr:us-east-1:123456789012:repository/team/app", Account: account, Type: "AWS::ECR::Repository"}},
		TLS:       &TLS{State: tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, CurveID: tls.X25519MLKEM768}, Host: "ecr.example.com"},
	}
}

var eventID = regexp.MustCompile(`"eventID":"([0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})"`)

// encoded is a record as JSON, with its event's id replaced.
func encoded(t testing.TB, r *Record) string {
	t.Helper()
	text := r.appendJSON(nil)
	if !json.Valid(text) || bytes.ContainsRune(text, '\n') || !utf8.Valid(text) {
		t.Fatalf("the record is not a line of JSON: %s", text)
	}
	if !eventID.Match(text) {
		t.Fatalf("the event has no id: %s", text)
	}
	return eventID.ReplaceAllString(string(text), `"eventID":"ID"`)
}

func TestRecord(t *testing.T) {
	refusal := &Record{
		Identity: Identity{Type: "Unknown", AccessKeyID: keyID}, Time: completed, Source: "ecr.amazonaws.com", Name: "GetAuthorizationToken",
		Region: region, SourceIP: "::1", ErrorCode: "UnrecognizedClientException", ErrorMessage: "The security token included in the request is invalid.",
		RequestID: "11111111-2222-4333-8444-555555555555", ReadOnly: true, Account: account,
	}
	service := &Record{
		Identity: Identity{Type: "AWSService", InvokedBy: "ecr.amazonaws.com"}, Time: completed, Source: "ecr.amazonaws.com", Name: "BatchDeleteImage",
		Region: region, SourceIP: "ecr.amazonaws.com", UserAgent: "ecr.amazonaws.com", RequestID: "11111111-2222-4333-8444-555555555555", Account: account,
		Resources: []Resource{{ARN: "arn:a", Account: account}, {ARN: "arn:b", Account: account}},
	}
	event := &Record{
		Identity: Identity{Type: "AWSService", AccountID: account, InvokedBy: "AWS Internal"}, Time: completed, Source: "kms.amazonaws.com", Name: "RotateKey",
		Region: region, SourceIP: "AWS Internal", UserAgent: "AWS Internal", RequestID: "11111111-2222-4333-8444-555555555555", Account: account,
		ServiceEvent: []byte(`{"keyId":"k"}`),
	}
	for name, tt := range map[string]struct {
		record *Record
		want   string
	}{
		"an event of a service": {event, `{"eventVersion":"1.11","userIdentity":{"type":"AWSService","accountId":"123456789012","invokedBy":"AWS Internal"},` +
			`"eventTime":"2026-01-15T12:30:45Z","eventSource":"kms.amazonaws.com","eventName":"RotateKey","awsRegion":"us-east-1",` +
			`"sourceIPAddress":"AWS Internal","userAgent":"AWS Internal","requestParameters":null,"responseElements":null,` +
			`"requestID":"11111111-2222-4333-8444-555555555555","eventID":"ID","readOnly":false,"eventType":"AwsServiceEvent","managementEvent":true,` +
			`"recipientAccountId":"123456789012","serviceEventDetails":{"keyId":"k"},"eventCategory":"Management"}`},
		"a change": {change(), `{"eventVersion":"1.11","userIdentity":{"type":"Root","principalId":"123456789012",` +
			`"arn":"arn:aws:iam::123456789012:root","accountId":"123456789012","accessKeyId":"AKIAIOSFODNN7EXAMPLE"},` +
			`"eventTime":"2026-01-15T12:30:45Z","eventSource":"ecr.amazonaws.com","eventName":"CreateRepository","awsRegion":"us-east-1",` +
			`"sourceIPAddress":"203.0.113.7","userAgent":"aws-cli/2","requestParameters":{"repositoryName":"team/app"},` +
			`"responseElements":{"repository":{}},"requestID":"11111111-2222-4333-8444-555555555555","eventID":"ID","readOnly":false,` +
			`"resources":[{"ARN":"arn:aws:ecr:us-east-1:123456789012:repository/team/app","accountId":"123456789012","type":"AWS::ECR::Repository"}],` +
			`"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"123456789012","eventCategory":"Management",` +
			`"tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"ecr.example.com",` +
			`"keyExchange":"X25519MLKEM768"}}`},
		"a refusal": {refusal, `{"eventVersion":"1.11","userIdentity":{"type":"Unknown","accessKeyId":"AKIAIOSFODNN7EXAMPLE"},` +
			`"eventTime":"2026-01-15T12:30:45Z","eventSource":"ecr.amazonaws.com","eventName":"GetAuthorizationToken","awsRegion":"us-east-1",` +
			`"sourceIPAddress":"::1","userAgent":"","errorCode":"UnrecognizedClientException",` +
			`"errorMessage":"The security token included in the request is invalid.","requestParameters":null,"responseElements":null,` +
			`"requestID":"11111111-2222-4333-8444-555555555555","eventID":"ID","readOnly":true,"eventType":"AwsApiCall","managementEvent":true,` +
			`"recipientAccountId":"123456789012","eventCategory":"Management"}`},
		"of the service itself": {service, `{"eventVersion":"1.11","userIdentity":{"type":"AWSService","invokedBy":"ecr.amazonaws.com"},` +
			`"eventTime":"2026-01-15T12:30:45Z","eventSource":"ecr.amazonaws.com","eventName":"BatchDeleteImage","awsRegion":"us-east-1",` +
			`"sourceIPAddress":"ecr.amazonaws.com","userAgent":"ecr.amazonaws.com","requestParameters":null,"responseElements":null,` +
			`"requestID":"11111111-2222-4333-8444-555555555555","eventID":"ID","readOnly":false,` +
			`"resources":[{"ARN":"arn:a","accountId":"123456789012"},{"ARN":"arn:b","accountId":"123456789012"}],` +
			`"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"123456789012","eventCategory":"Management"}`},
	} {
		if diff := cmp.Diff(strings.Split(tt.want, ","), strings.Split(encoded(t, tt.record), ",")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestTLSDetails(t *testing.T) {
	of := func(version, suite uint16, curve tls.CurveID) TLS {
		return TLS{State: tls.ConnectionState{Version: version, CipherSuite: suite, CurveID: curve}, Host: "h"}
	}
	client := of(tls.VersionTLS13, tls.TLS_CHACHA20_POLY1305_SHA256, tls.CurveP256)
	client.ClientSubject = `CN="a\`
	for want, details := range map[string]TLS{
		`{"tlsVersion":"TLSv1.2","cipherSuite":"ECDHE-RSA-AES128-GCM-SHA256","clientProvidedHostHeader":"h","keyExchange":"X25519"}`:      of(tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.X25519),
		`{"tlsVersion":"TLSv1.2","cipherSuite":"ECDHE-RSA-AES256-GCM-SHA384","clientProvidedHostHeader":"h","keyExchange":"X25519"}`:      of(tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.X25519),
		`{"tlsVersion":"TLSv1.2","cipherSuite":"ECDHE-RSA-CHACHA20-POLY1305","clientProvidedHostHeader":"h","keyExchange":"X25519"}`:      of(tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, tls.X25519),
		`{"tlsVersion":"TLSv1.2","cipherSuite":"ECDHE-ECDSA-AES128-GCM-SHA256","clientProvidedHostHeader":"h","keyExchange":"CurveP384"}`: of(tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.CurveP384),
		`{"tlsVersion":"TLSv1.2","cipherSuite":"ECDHE-ECDSA-AES256-GCM-SHA384","clientProvidedHostHeader":"h","keyExchange":"CurveP384"}`: of(tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.CurveP384),
		`{"tlsVersion":"TLSv1.2","cipherSuite":"ECDHE-ECDSA-CHACHA20-POLY1305","clientProvidedHostHeader":"h","keyExchange":"CurveP384"}`: of(tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.CurveP384),
		`{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_CHACHA20_POLY1305_SHA256","clientProvidedHostHeader":"h","keyExchange":"CurveP256",` +
			`"clientCertSubject":"CN=\"a\\"}`: client,
		// What isn't offered any more has its name all the same, and the exchange of keys by RSA has no curve.
		`{"tlsVersion":"TLSv1.2","cipherSuite":"TLS_RSA_WITH_AES_128_GCM_SHA256","clientProvidedHostHeader":"h"}`: of(tls.VersionTLS12, tls.TLS_RSA_WITH_AES_128_GCM_SHA256, 0),
	} {
		r := change()
		r.TLS = &details
		if text := encoded(t, r); !strings.HasSuffix(text, `,"tlsDetails":`+want+`}`) {
			t.Errorf("%s\nwant %s", text, want)
		}
	}
}

func TestEventIDsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		id := string(eventID.FindSubmatch(change().appendJSON(nil))[1])
		if seen[id] {
			t.Errorf("event id %s comes twice", id)
		}
		seen[id] = true
	}
}

// member reads a member of a record.
func member(t testing.TB, r *Record, name string) any {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(encoded(t, r)), &members); err != nil {
		t.Fatal(err)
	}
	return members[name]
}

func TestTextsAreBounded(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"short":               {"aws-cli/2", "aws-cli/2"},
		"at the bound":        {strings.Repeat("a", 1024), strings.Repeat("a", 1024)},
		"above it":            {strings.Repeat("a", 1025), strings.Repeat("a", 1024)},
		"within a character":  {strings.Repeat("a", 1023) + "é" + "b", strings.Repeat("a", 1023)},
		"after a character":   {strings.Repeat("a", 1022) + "é" + "b", strings.Repeat("a", 1022) + "é"},
		"not UTF-8":           {"a\xff\xfeb", "a\ufffdb"},
		"much that isn't":     {strings.Repeat("\xff", 5000), "\ufffd"},
		"here and there":      {strings.Repeat("a\xff", 2000), strings.Repeat("a\ufffd", 256)},
		"only continuation":   {strings.Repeat("\x80", 2000), "\ufffd"},
		"characters of three": {strings.Repeat("€", 1000), strings.Repeat("€", 341)},
	} {
		t.Run(name, func(t *testing.T) {
			r := change()
			r.UserAgent, r.ErrorCode, r.ErrorMessage, r.TLS.Host = tt.in, tt.in, tt.in, tt.in
			for _, field := range []string{"userAgent", "errorCode", "errorMessage"} {
				if got := member(t, r, field); got != tt.want {
					t.Errorf("%s has %d bytes: %.60q", field, len(got.(string)), got)
				}
			}
			if got := member(t, r, "tlsDetails").(map[string]any)["clientProvidedHostHeader"]; got != tt.want {
				t.Errorf("the host has %d bytes", len(got.(string)))
			}
		})
	}
}

func TestObjectsAreBounded(t *testing.T) {
	object := func(size int) json.RawMessage {
		return json.RawMessage(`{"a":"` + strings.Repeat("x", size-8) + `"}`)
	}
	r := change()
	r.Parameters, r.Response = object(100<<10), object(100<<10)
	for _, field := range []string{"requestParameters", "responseElements"} {
		if got := member(t, r, field).(map[string]any)["a"]; len(got.(string)) != 100<<10-8 {
			t.Errorf("%s has %d bytes", field, len(got.(string)))
		}
	}
	if n := len(encoded(t, r)); n > 256<<10 {
		t.Errorf("the event has %d bytes", n)
	}
	r.Parameters, r.Response = object(100<<10+1), object(100<<10+1)
	if diff := cmp.Diff(map[string]any{"requestParametersOmitted": true}, member(t, r, "requestParameters")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{"responseElementsOmitted": true}, member(t, r, "responseElements")); diff != "" {
		t.Error(diff)
	}
	// A record is a line, in whatever way its objects were written.
	r.Parameters, r.Response = json.RawMessage("{\n  \"a\":\r\n [1,\n2]\n}\n"), nil
	if diff := cmp.Diff(map[string]any{"a": []any{1.0, 2.0}}, member(t, r, "requestParameters")); diff != "" {
		t.Error(diff)
	}
}

// TestStrings holds the encoding of texts against encoding/json, for all that is UTF-8 and that isn't.
func TestStrings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`[\x00-\x1f"\\/<>&a\x7f\x{2028}]{0,20}`),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "text")
		text := AppendString([]byte("x"), s)
		if text[0] != 'x' || !utf8.Valid(text) || bytes.ContainsAny(text, "\n\r\x00") {
			t.Fatalf("%q", text)
		}
		var got, want string
		standard, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(standard, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text[1:], &got); err != nil || got != want {
			t.Fatalf("%q became %q, want %q, error %v", s, got, want, err)
		}
	})
}

// Whatever a client sends stays in its place in the record.
func TestRecordCantBeForged(t *testing.T) {
	forged := `","readOnly":true,"x":"` + "\n{}\n" + `\` + "\xff"
	r := change()
	for _, field := range []*string{&r.UserAgent, &r.ErrorCode, &r.ErrorMessage, &r.SourceIP, &r.Name, &r.RequestID, &r.Region, &r.Account, &r.TLS.Host,
		&r.Identity.AccessKeyID, &r.Resources[0].ARN, &r.Resources[0].Account, &r.Resources[0].Type} {
		*field = forged
	}
	if member(t, r, "readOnly") != false || member(t, r, "x") != nil {
		t.Error(encoded(t, r))
	}
}

func TestUUID(t *testing.T) {
	pattern := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for range 100 {
		if id := NewUUID(); !pattern.MatchString(id) || id == NewUUID() {
			t.Error(fmt.Sprint("id ", id))
		}
	}
}
