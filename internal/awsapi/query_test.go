package awsapi_test

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/awsapi"
	"github.com/coffer-registry/coffer/internal/awsapi/sts"
)

func operation(name string) *awsapi.Operation { return sts.Model.Operations[name] }

const xmlHeader = "Cache-Control: no-store\nContent-Length: "

func TestQueryOnTheWire(t *testing.T) {
	const tail = `<ResponseMetadata><RequestId>` + requestID + `</RequestId></ResponseMetadata>`
	for _, test := range []struct {
		name   string
		handle func(http.ResponseWriter)
		want   string
	}{
		{"success", func(w http.ResponseWriter) {
			awsapi.WriteQuery(w, sts.Model, operation("GetCallerIdentity"), requestID, &sts.GetCallerIdentityResponse{
				UserID: "AIDACKCEVSQ6C2EXAMPLE", Account: "123456789012", Arn: "arn:aws:iam::123456789012:user/a&b",
			})
		}, "200\n" + xmlHeader + "370\nContent-Type: text/xml\nX-Amzn-Requestid: " + requestID + "\n\n" +
			`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>` +
			`<UserId>AIDACKCEVSQ6C2EXAMPLE</UserId><Account>123456789012</Account><Arn>arn:aws:iam::123456789012:user/a&amp;b</Arn>` +
			`</GetCallerIdentityResult>` + tail + `</GetCallerIdentityResponse>`},
		{"structures, numbers and times", func(w http.ResponseWriter) {
			awsapi.WriteQuery(w, sts.Model, operation("AssumeRole"), requestID, &sts.AssumeRoleResponse{
				PackedPolicySize: ptr[int64](0), Credentials: &sts.Credentials{AccessKeyID: "ASIAIOSFODNN7EXAMPLE",
					SecretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", Expiration: awsapi.NewTime(time.Unix(1448875853, 0))},
			})
		}, "200\n" + xmlHeader + "485\nContent-Type: text/xml\nX-Amzn-Requestid: " + requestID + "\n\n" +
			`<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>` +
			`<AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY</SecretAccessKey>` +
			`<SessionToken></SessionToken><Expiration>2015-11-30T09:30:53Z</Expiration></Credentials><PackedPolicySize>0</PackedPolicySize>` +
			`</AssumeRoleResult>` + tail + `</AssumeRoleResponse>`},
		{"no output", func(w http.ResponseWriter) {
			awsapi.WriteQuery(w, &awsapi.Model{XMLNamespace: "urn:a"}, &awsapi.Operation{Name: "Op"}, requestID, nil)
		}, "200\n" + xmlHeader + "135\nContent-Type: text/xml\nX-Amzn-Requestid: " + requestID + "\n\n" +
			`<OpResponse xmlns="urn:a">` + tail + `</OpResponse>`},
		{"nil output", func(w http.ResponseWriter) {
			awsapi.WriteQuery(w, sts.Model, operation("GetSessionToken"), requestID, (*sts.GetSessionTokenResponse)(nil))
		}, "200\n" + xmlHeader + "244\nContent-Type: text/xml\nX-Amzn-Requestid: " + requestID + "\n\n" +
			`<GetSessionTokenResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetSessionTokenResult></GetSessionTokenResult>` + tail + `</GetSessionTokenResponse>`},
		{"client error", func(w http.ResponseWriter) {
			awsapi.WriteQueryError(w, sts.Model, requestID, sts.Model.Error("IDPRejectedClaimException", "a<b>\x00\xff"))
		}, "403\n" + xmlHeader + "238\nContent-Type: text/xml\nX-Amzn-Requestid: " + requestID + "\n\n" +
			`<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>IDPRejectedClaim</Code><Message>a&lt;b&gt;` + "\ufffd\ufffd" +
			`</Message></Error><RequestId>` + requestID + `</RequestId></ErrorResponse>`},
		{"server error", func(w http.ResponseWriter) {
			awsapi.WriteQueryError(w, &awsapi.Model{}, requestID, &awsapi.Error{Code: "InternalFailure", Status: 500})
		}, "500\n" + xmlHeader + "154\nContent-Type: text/xml\nX-Amzn-Requestid: " + requestID + "\n\n" +
			`<ErrorResponse><Error><Type>Receiver</Type><Code>InternalFailure</Code></Error><RequestId>` + requestID + `</RequestId></ErrorResponse>`},
		{"unknown action", func(w http.ResponseWriter) {
			awsapi.WriteQueryError(w, sts.Model, requestID, awsapi.InvalidAction("Nope", "2011-06-15"))
		}, "400\n" + xmlHeader + "271\nContent-Type: text/xml\nX-Amzn-Requestid: " + requestID + "\n\n" +
			`<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>InvalidAction</Code>` +
			`<Message>Could not find operation Nope for version 2011-06-15</Message></Error><RequestId>` + requestID + `</RequestId></ErrorResponse>`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, answer(test.handle)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestInvalidActionWithoutVersion(t *testing.T) {
	if got := awsapi.InvalidAction("X", "").Message; got != "Could not find operation X for version NO_VERSION_SPECIFIED" {
		t.Error(got)
	}
	if got := awsapi.InvalidAction(strings.Repeat("x", 1<<20), "v").Message; len(got) > 2000 {
		t.Errorf("the message has %d bytes", len(got))
	}
}

// everything is a service whose shapes have all the forms of the query protocol.
type everything struct {
	Text   string           `json:"Text,omitempty"`
	Blob   []byte           `json:"Blob,omitzero"`
	Flag   *bool            `json:"Flag,omitempty"`
	Score  *float64         `json:"Score,omitempty"`
	Names  []string         `json:"Names,omitzero"`
	Needed []string         `json:"Needed,omitzero"`
	Flat   []int64          `json:"Flat,omitzero"`
	Counts map[string]int64 `json:"Counts,omitzero"`
	Labels map[string]int64 `json:"Labels,omitzero"`
	Inner  []inner          `json:"Inner,omitzero"`
	At     *awsapi.Time     `json:"At,omitempty"`
}

type inner struct {
	Names []string `json:"Names,omitzero"`
}

var everyOp = func() *awsapi.Operation {
	scalar := func(kind awsapi.Kind) *awsapi.Shape { return &awsapi.Shape{Kind: kind} }
	text, integer := scalar(awsapi.String), scalar(awsapi.Integer)
	names := &awsapi.Shape{Kind: awsapi.List, Element: text, ElementName: "member"}
	innerShape := &awsapi.Shape{Kind: awsapi.Structure, Members: []awsapi.Member{{Name: "Names", Shape: names}}}
	counts := func(flat bool) *awsapi.Shape {
		return &awsapi.Shape{Kind: awsapi.Map, Key: text, Value: integer, Flattened: flat}
	}
	input := &awsapi.Shape{Kind: awsapi.Structure, Members: []awsapi.Member{
		{Name: "Text", Shape: text}, {Name: "Blob", Shape: scalar(awsapi.Blob)}, {Name: "Flag", Shape: scalar(awsapi.Boolean)},
		{Name: "Score", Shape: scalar(awsapi.Double)}, {Name: "Names", Shape: names}, {Name: "Needed", Shape: names, Required: true},
		{Name: "Flat", Shape: &awsapi.Shape{Kind: awsapi.List, Element: integer, ElementName: "member", Flattened: true}},
		{Name: "Counts", Shape: counts(false)}, {Name: "Labels", Shape: counts(true)},
		{Name: "Inner", Shape: &awsapi.Shape{Kind: awsapi.List, Element: innerShape, ElementName: "item"}},
		{Name: "At", Shape: scalar(awsapi.Timestamp)},
	}}
	return &awsapi.Operation{Name: "Op", Input: input, Output: input}
}()

func TestEveryFormInXML(t *testing.T) {
	r := httptest.NewRecorder()
	awsapi.WriteQuery(r, &awsapi.Model{}, everyOp, requestID, &everything{
		Text: "a\r\n\"'é", Blob: []byte{0, 0xff}, Flag: ptr(false), Score: ptr(1.5), Names: []string{}, Flat: []int64{1, 2},
		Counts: map[string]int64{"b": 2, "a": 1}, Labels: map[string]int64{"c": 3}, Inner: []inner{{Names: []string{"x", ""}}, {}},
		At: ptr(awsapi.NewTime(time.UnixMilli(1500))),
	})
	want := `<OpResponse><OpResult><Text>a&#xD;&#xA;&#34;&#39;é</Text><Blob>AP8=</Blob><Flag>false</Flag><Score>1.5</Score><Names/><Needed/>` +
		`<Flat>1</Flat><Flat>2</Flat><Counts><entry><key>a</key><value>1</value></entry><entry><key>b</key><value>2</value></entry></Counts>` +
		`<Labels><key>c</key><value>3</value></Labels><Inner><item><Names><member>x</member><member></member></Names></item><item></item></Inner>` +
		`<At>1970-01-01T00:00:01.5Z</At></OpResult><ResponseMetadata><RequestId>` + requestID + `</RequestId></ResponseMetadata></OpResponse>`
	if diff := cmp.Diff(want, r.Body.String()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for d := xml.NewDecoder(r.Body); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestEveryFormInAForm(t *testing.T) {
	form := map[string][]string{}
	for name, value := range map[string]string{
		"Action": "Op", "Version": "1", "Unknown.member.1": "x", "Text": "a\"\\é", "Blob": "AP8=", "Flag": "false", "Score": "1.5", "Needed": "",
		"Names.member.10": "third", "Names.member.2": "first", "Names.member.9": "second", "Flat.1": "1", "Flat.2": "-2",
		"Counts.entry.1.key": "a", "Counts.entry.1.value": "1", "Counts.entry.2.key": "b", "Counts.entry.2.value": "2",
		"Labels.1.key": "c", "Labels.1.value": "3", "Inner.item.1.Names.member.1": "x", "Inner.item.3.Names": "",
		"At": "1970-01-01T00:00:01.5Z",
	} {
		form[name] = []string{value}
	}
	var got everything
	if err := awsapi.DecodeQuery(&awsapi.Model{}, everyOp, form, &got); err != nil {
		t.Fatal(err)
	}
	want := everything{
		Text: "a\"\\é", Blob: []byte{0, 0xff}, Flag: ptr(false), Score: ptr(1.5), Needed: []string{},
		Names: []string{"first", "second", "third"}, Flat: []int64{1, -2}, Counts: map[string]int64{"a": 1, "b": 2},
		Labels: map[string]int64{"c": 3}, Inner: []inner{{Names: []string{"x"}}, {Names: []string{}}},
		At: ptr(awsapi.NewTime(time.UnixMilli(1500))),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestMalformedForms(t *testing.T) {
	for form, message := range map[string]string{
		"Flag=True":             "'Flag' must be a boolean",
		"Flag=":                 "'Flag' must be a boolean",
		"Flat.1=1.0":            "'Flat.1' must be an integer",
		"Flat.1=":               "'Flat.1' must be an integer",
		"Flat.1=0x1":            "'Flat.1' must be an integer",
		"Score=one":             "'Score' must be a number",
		"Score=1e999":           "'Score' must be a number",
		"Score=nan":             "'Score' must be a number",
		"Text=a&Text=b":         "'Text' is given more than once",
		"Names=a":               "'Names' must be a list",
		"Names.member.x=a":      "'Names.member.x' has no number where one should be",
		"Names.member.-1=a":     "'Names.member.-1' has no number where one should be",
		"Names.member.01=a":     "'Names.member.01' has no number where one should be",
		"Names.member.=a":       "'Names.member.' has no number where one should be",
		"Names.member.1e9=a":    "'Names.member.1e9' has no number where one should be",
		"Text=%FF":              "a parameter is not valid UTF-8",
		"Blob=***":              "'Blob' must be a blob in base64",
		"At=1":                  "'At' must be a timestamp",
		"Inner.item.1.Names=ab": "'Inner.item.1.Names' must be a list",
		"Counts.entry.1.key=a&Counts.entry.1.value=1&Counts.entry.2.key=a&Counts.entry.2.value=2": "the parameters are ambiguous or nested too deeply",
	} {
		t.Run(form, func(t *testing.T) {
			values := map[string][]string{}
			for pair := range strings.SplitSeq(form, "&") {
				name, value, _ := strings.Cut(pair, "=")
				values[name] = append(values[name], strings.ReplaceAll(value, "%FF", "\xff"))
			}
			err := awsapi.DecodeQuery(&awsapi.Model{}, everyOp, values, &everything{})
			wantError(t, err, "MalformedInput", message)
		})
	}
}

func TestDecodeQuery(t *testing.T) {
	got, err := decodeQuery(t, "AssumeRole", "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fbuild+bot"+
		"&RoleSessionName=ci&DurationSeconds=900&PolicyArns.member.1.arn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FReadOnlyAccess"+
		"&Policy=%7B%22a%22%3A%22%0A%22%7D&Tags.member.1.Key=k%C3%A9&Tags.member.1.Value=")
	if err != nil {
		t.Fatal(err)
	}
	want := &sts.AssumeRoleRequest{
		RoleARN: "arn:aws:iam::123456789012:role/build bot", RoleSessionName: "ci", DurationSeconds: ptr[int64](900),
		PolicyARNs: []sts.PolicyDescriptorType{{Arn: "arn:aws:iam::aws:policy/ReadOnlyAccess"}},
		Policy:     "{\"a\":\"\n\"}", Tags: []sts.Tag{{Key: "ké"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestInputlessOperationTakesAnything(t *testing.T) {
	op := &awsapi.Operation{Name: "Op"}
	if err := awsapi.DecodeQuery(&awsapi.Model{}, op, map[string][]string{"a": {"b", "c"}}, &struct{}{}); err != nil {
		t.Error(err)
	}
	if err := awsapi.DecodeJSON(&awsapi.Model{}, op, []byte(`{"a":1}`), &struct{}{}); err != nil {
		t.Error(err)
	}
}

// TestManyParameters has a size at which looking at every parameter for every element would take minutes.
func TestManyParameters(t *testing.T) {
	form := map[string][]string{}
	for i := range 100_000 {
		form["Inner.item."+strconv.Itoa(i)+".Names.member.1"] = []string{"x"}
	}
	form["Needed"] = []string{""}
	var got everything
	if err := awsapi.DecodeQuery(&awsapi.Model{}, everyOp, form, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Inner) != 100_000 {
		t.Errorf("got %d elements", len(got.Inner))
	}
}
