package awsapi_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/sigv4"
)

const (
	describeRegistry = "AmazonEC2ContainerRegistry_V20150921.DescribeRegistry"
	callerIdentity   = "Action=GetCallerIdentity&Version=2011-06-15"
	formType         = "application/x-www-form-urlencoded; charset=utf-8"
)

// call is a request of which a test says what is unusual.
type call struct {
	method, path, body string
	// headers are names and values, in turn; of an empty value there is none.
	headers []string
	// service is that of the signature; empty for the one that the request is for, "-" for no signature.
	service string
	// region and now are those of the signature, the usual ones if they are zero.
	region string
	now    time.Time
	// secret and token are credentials other than the usual.
	secret, token string
	keyID         string
	// after changes the request after it was signed.
	after func(*http.Request)
}

// send signs and sends a call, and writes down what comes back: the status, those headers that say something, and the body.
func (c call) send(t *testing.T, s *coffertest.Server) string {
	t.Helper()
	r := s.Request(orElse(c.method, http.MethodPost), orElse(c.path, "/"), strings.NewReader(c.body))
	for i := 0; i < len(c.headers); i += 2 {
		r.Header.Set(c.headers[i], c.headers[i+1])
	}
	if c.service != "-" {
		c.sign(t, r)
	}
	if c.after != nil {
		c.after(r)
	}
	got := s.Do(r)
	id := got.Header.Get("X-Amzn-Requestid")
	var b strings.Builder
	fmt.Fprintln(&b, got.Status)
	if got.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Error("an answer may be taken for something else than it says")
	}
	for _, name := range slices.Sorted(maps.Keys(got.Header)) {
		if value := got.Header.Get(name); name != "Date" && name != "X-Amzn-Requestid" && name != "Content-Length" && name != "X-Content-Type-Options" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	body := string(got.Body)
	if id != "" {
		body = strings.ReplaceAll(body, id, "REQUEST")
	}
	return b.String() + "\n" + body
}

func (c call) sign(t *testing.T, r *http.Request) {
	t.Helper()
	service := c.service
	if service == "" {
		service = "sts"
		if r.Header.Get("X-Amz-Target") != "" {
			service = "ecr"
		}
	}
	now := c.now
	if now.IsZero() {
		now = time.Now()
	}
	err := sigv4.Sign(r, []byte(c.body), sigv4.Credentials{AccessKeyID: orElse(c.keyID, coffertest.AccessKeyID),
		Secret: secret.New(orElse(c.secret, coffertest.SecretAccessKey)), SessionToken: secret.New(c.token)},
		sigv4.Scope{Region: orElse(c.region, coffertest.Region), Service: service}, now)
	if err != nil {
		t.Fatal(err)
	}
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func jsonCall(target, body string) call {
	return call{body: body, headers: []string{"Content-Type", "application/x-amz-json-1.1", "X-Amz-Target", target}}
}

func queryCall(body string) call {
	return call{body: body, headers: []string{"Content-Type", formType}}
}

// jsonError is the answer to a call of awsJson that failed.
func jsonError(code, message string) string {
	return "400\nCache-Control: no-store\nContent-Type: application/x-amz-json-1.1\nX-Amzn-Errortype: " + code + "\n\n" + `{"__type":"` + code + `","message":"` + message + `"}`
}

// queryError is the answer to a call of awsQuery that failed.
func queryError(status int, code, message string) string {
	return fmt.Sprintf("%d\nCache-Control: no-store\nContent-Type: text/xml\n\n", status) + `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>` +
		code + "</Code><Message>" + message + "</Message></Error><RequestId>REQUEST</RequestId></ErrorResponse>"
}

const notFound = "404\nCache-Control: no-store\nContent-Type: text/plain; charset=utf-8\n\n404 page not found\n"

const registry = `{"registryId":"123456789012","replicationConfiguration":{"rules":[]}}`

const identity = `200
Cache-Control: no-store
Content-Type: text/xml

<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><UserId>123456789012</UserId>` +
	`<Account>123456789012</Account><Arn>arn:aws:iam::123456789012:root</Arn></GetCallerIdentityResult>` +
	`<ResponseMetadata><RequestId>REQUEST</RequestId></ResponseMetadata></GetCallerIdentityResponse>`

// TestDispatch sends calls in every form that a client may give them, and some that it may not.
func TestDispatch(t *testing.T) {
	s := coffertest.Start(t)
	for _, test := range []struct {
		name string
		call call
		want string
	}{
		{"awsJson 1.1", jsonCall(describeRegistry, "{}"), "200\nCache-Control: no-store\nContent-Type: application/x-amz-json-1.1\n\n" + registry},
		{"awsJson 1.0", call{body: "{}", headers: []string{"Content-Type", "application/x-amz-json-1.0; charset=utf-8", "X-Amz-Target", describeRegistry}},
			"200\nCache-Control: no-store\nContent-Type: application/x-amz-json-1.0\n\n" + registry},
		{"no body", jsonCall(describeRegistry, ""), "200\nCache-Control: no-store\nContent-Type: application/x-amz-json-1.1\n\n" + registry},
		{"no such operation", jsonCall("AmazonEC2ContainerRegistry_V20150921.Explode", "{}"),
			jsonError("UnknownOperationException", "The operation Explode is not available on this server.")},
		{"operations have letter case", jsonCall("AmazonEC2ContainerRegistry_V20150921.describeregistry", "{}"),
			jsonError("UnknownOperationException", "The operation describeregistry is not available on this server.")},
		{"no such service", jsonCall("SecretService.Encrypt", "{}"),
			jsonError("UnknownOperationException", "The operation SecretService.Encrypt is not available on this server.")},
		{"no operation", jsonCall("DescribeRegistry", "{}"),
			jsonError("UnknownOperationException", "The operation DescribeRegistry is not available on this server.")},
		{"awsJson by GET", call{method: http.MethodGet, headers: jsonCall(describeRegistry, "").headers}, notFound},
		{"awsJson elsewhere", call{path: "/x", body: "{}", headers: jsonCall(describeRegistry, "").headers}, notFound},
		{"awsJson of another type", call{body: "{}", headers: []string{"Content-Type", "application/json", "X-Amz-Target", describeRegistry}}, notFound},
		{"no JSON", jsonCall(describeRegistry, "{"),
			jsonError("SerializationException", "invalid JSON at byte 1: text ends where a member's name should be")},
		{"awsQuery", queryCall(callerIdentity), identity},
		{"awsQuery by GET", call{method: http.MethodGet, path: "/?" + callerIdentity}, identity},
		{"awsQuery with both", call{path: "/?" + callerIdentity, body: "Action=Other", headers: []string{"Content-Type", formType}}, identity},
		{"no such action", queryCall("Action=Explode&Version=2011-06-15"), queryError(400, "InvalidAction", "Could not find operation Explode for version 2011-06-15")},
		{"an action that is not served", queryCall("Action=AssumeRoot&Version=2011-06-15"),
			queryError(400, "InvalidAction", "Could not find operation AssumeRoot for version 2011-06-15")},
		{"no such version", queryCall("Action=GetCallerIdentity&Version=1999-01-01"),
			unnamed(queryError(400, "InvalidAction", "Could not find operation GetCallerIdentity for version 1999-01-01"))},
		{"no version", queryCall("Action=GetCallerIdentity"),
			unnamed(queryError(400, "InvalidAction", "Could not find operation GetCallerIdentity for version NO_VERSION_SPECIFIED"))},
		{"no action", queryCall("Version=2011-06-15"), notFound},
		{"a form of another type", call{body: callerIdentity, headers: []string{"Content-Type", "text/plain"}}, notFound},
		{"a form that is none", queryCall("Action=%zz"), unnamed(queryError(400, "MalformedInput", "The request body is not a valid form."))},
		{"a query that is none", call{path: "/?Action=a;b", service: "-"}, unnamed(queryError(400, "MalformedQueryString", "The query string contains a syntax error."))},
		{"nothing", call{method: http.MethodGet, service: "-"}, notFound},
		{"a path of the first registry protocol", call{method: http.MethodGet, path: "/v1/_ping", service: "-"}, notFound},
		{"a path that begins like the registry's", call{method: http.MethodGet, path: "/v2x/", service: "-"}, notFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.call.send(t, s)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// unnamed is an answer of no service in particular.
func unnamed(answer string) string {
	return strings.Replace(answer, ` xmlns="https://sts.amazonaws.com/doc/2011-06-15/"`, "", 1)
}

const mismatch = "The request signature we calculated does not match the signature you provided. " +
	"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."

// TestCredentials sends each call in both protocols.
func TestCredentials(t *testing.T) {
	s := coffertest.Start(t)
	for _, test := range []struct {
		name   string
		change func(*call)
		// code and message are those of awsJson, whose status is 400.
		code, message string
		// queryStatus, queryCode and queryMessage are those of awsQuery; no message is the same one.
		queryStatus             int
		queryCode, queryMessage string
	}{
		{"none", func(c *call) { c.service = "-" },
			"MissingAuthenticationTokenException", "Missing Authentication Token", 403, "MissingAuthenticationToken", "Request is missing Authentication Token"},
		{"of another scheme", func(c *call) {
			c.after = func(r *http.Request) { r.Header.Set("Authorization", "Basic QVdTOng=") }
		}, "IncompleteSignatureException", "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. " +
			"Authorization header requires 'SignedHeaders' parameter. (Hashed with SHA-256 and encoded with Base64) Authorization=ZpWkdIfkZOSTMtCCYReDMHxIu/d+/bZvuEj8bBCt8xs=",
			400, "IncompleteSignature", ""},
		{"incomplete", func(c *call) {
			c.after = func(r *http.Request) { r.Header.Del("X-Amz-Date") }
		}, "IncompleteSignatureException", "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.", 400, "IncompleteSignature", ""},
		{"of another algorithm", func(c *call) {
			c.after = func(r *http.Request) { r.Header.Set("Authorization", "AWS4-ECDSA-P256-SHA256 Credential=x") }
		}, "IncompleteSignatureException", "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256' (only AWS4-HMAC-SHA256 for now). ", 400, "IncompleteSignature", ""},
		{"two", func(c *call) {
			c.after = func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }
		}, "IncompleteSignatureException", "Found more than one 'Authorization' as HTTP header.", 400, "IncompleteSignature", ""},
		{"in two places", func(c *call) {
			c.after = func(r *http.Request) { r.URL.RawQuery += "&X-Amz-Signature=0" }
		}, "IncompleteSignatureException", "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.", 400, "IncompleteSignature", ""},
		{"unknown", func(c *call) { c.keyID = "AKIAI44QH8DHBEXAMPLE" },
			"UnrecognizedClientException", "The security token included in the request is invalid.", 403, "InvalidClientTokenId", ""},
		{"with a token that is not theirs", func(c *call) { c.token = "token" },
			"UnrecognizedClientException", "The security token included in the request is invalid.", 403, "InvalidClientTokenId", ""},
		{"with another secret", func(c *call) { c.secret = "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY" },
			"InvalidSignatureException", mismatch, 403, "SignatureDoesNotMatch", ""},
		{"of another service", func(c *call) { c.service = "iam" },
			"InvalidSignatureException", "Credential should be scoped to correct service: 'ecr'. ", 403, "SignatureDoesNotMatch", "Credential should be scoped to correct service: 'sts'. "},
		{"of a body that was changed", func(c *call) {
			c.after = func(r *http.Request) {
				more := "\n" // means nothing in JSON
				if c.body == callerIdentity {
					more = "&" // means nothing in a form
				}
				r.Body = io.NopCloser(strings.NewReader(c.body + more))
				r.ContentLength++
			}
		}, "InvalidSignatureException", mismatch, 403, "SignatureDoesNotMatch", ""},
		{"of a header that was changed", func(c *call) {
			c.after = func(r *http.Request) { r.Header.Set("Content-Type", r.Header.Get("Content-Type")+";x=y") }
		}, "InvalidSignatureException", mismatch, 403, "SignatureDoesNotMatch", ""},
		{"of a header that was added", func(c *call) {
			c.after = func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "") }
		}, "InvalidSignatureException", mismatch + " The header 'x-amz-security-token' must be signed.", 403, "SignatureDoesNotMatch", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := jsonCall(describeRegistry, "{}")
			test.change(&c)
			if diff := cmp.Diff(jsonError(test.code, test.message), c.send(t, s)); diff != "" {
				t.Errorf("awsJson: -want +got\n%s", diff)
			}
			c = queryCall(callerIdentity)
			test.change(&c)
			want := queryError(test.queryStatus, test.queryCode, escape(orElse(test.queryMessage, test.message)))
			if diff := cmp.Diff(want, c.send(t, s)); diff != "" {
				t.Errorf("awsQuery: -want +got\n%s", diff)
			}
		})
	}
}

// escape writes a text as it is in XML.
func escape(s string) string { return strings.ReplaceAll(s, "'", "&#39;") }

// TestRegions signs for a region that is not served: services that are global take any.
func TestRegions(t *testing.T) {
	s := coffertest.Start(t)
	c := jsonCall(describeRegistry, "{}")
	c.region = "ap-south-1"
	if got, want := c.send(t, s), jsonError("InvalidSignatureException", "Credential should be scoped to a valid region, not 'ap-south-1'. "); got != want {
		t.Errorf("awsJson: -want +got\n%s", cmp.Diff(want, got))
	}
	c = queryCall(callerIdentity)
	c.region = "ap-south-1"
	if got := c.send(t, s); got != identity {
		t.Errorf("awsQuery: -want +got\n%s", cmp.Diff(identity, got))
	}
	for _, r := range s.Trail() {
		if r.AWSRegion != coffertest.Region {
			t.Errorf("a record went to the region %s", r.AWSRegion)
		}
	}
}
