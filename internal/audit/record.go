package audit

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of a record's texts, in bytes, as CloudTrail has them.
const (
	maxText       = 1 << 10
	maxParameters = 100 << 10
)

// Record is one event in CloudTrail's record format, version 1.11. Fields that are empty are left out where CloudTrail
// leaves them out, and null where it writes null. No secret, token, signature or layer byte may be put into one.
type Record struct {
	Identity Identity
	// Time is when the request was completed.
	Time      time.Time
	Source    string // service, such as "ecr.amazonaws.com"
	Name      string // operation, such as "PutImage"
	Region    string
	SourceIP  string
	UserAgent string
	ErrorCode string
	// ErrorMessage is what the client was told.
	ErrorMessage string
	// Parameters and Response are JSON objects, nil for null. Response is nil for reads and on errors.
	Parameters json.RawMessage
	Response   json.RawMessage
	RequestID  string
	ReadOnly   bool
	Resources  []Resource
	// Account receives the record: the owner of what was asked for.
	Account string
	// SharedID is the same in the records of one event that several accounts receive; empty for one.
	SharedID string
	TLS      *TLS
	// ServiceEvent is a JSON object that says what a service did of itself, without a request; nil for all requests.
	ServiceEvent json.RawMessage
}

// Identity is the userIdentity of a record.
type Identity struct {
	// Type is that of the principal, "AWSService" for what the registry does of itself, or "Unknown" when nobody was
	// authenticated.
	Type        string
	PrincipalID string
	ARN         string
	AccountID   string
	AccessKeyID string
	// UserName is the name of an IAM user, or the subject of a token.
	UserName string
	// Session is there for temporary credentials.
	Session *Session
	// Provider is the identity provider that vouched for who has no identity here.
	Provider string
	// InvokedBy names the service, for AWSService.
	InvokedBy string
}

// Session is the sessionContext of temporary credentials.
type Session struct {
	// Issuer is whose session it is; empty for a user's own.
	Issuer    Issuer
	CreatedAt time.Time
	// MFA is set if a second factor was proved.
	MFA            bool
	SourceIdentity string
	// Provider is the ARN of the identity provider that vouched for the holder, and ProviderKeys the audience and subject
	// that it told.
	Provider     string
	ProviderKeys map[string]string
}

// Issuer is the role or user that a session was made of.
type Issuer struct {
	Type, PrincipalID, ARN, AccountID, UserName string
}

// Resource is something that the request touched.
type Resource struct {
	ARN     string
	Account string
	// Type is a CloudFormation type such as "AWS::ECR::Repository".
	Type string
}

// TLS describes the connection that the request came over.
type TLS struct {
	State tls.ConnectionState
	// Host is the host header that the client sent.
	Host string
	// ClientSubject is that of the client's certificate, verified; empty without one. CloudTrail has nothing like it.
	ClientSubject string
}

// NewUUID returns a random UUID, version 4 (RFC 9562), as request and event ids are.
func NewUUID() string {
	var u [16]byte
	rand.Read(u[:])
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	var out [36]byte
	hex.Encode(out[0:8], u[0:4])
	hex.Encode(out[9:13], u[4:6])
	hex.Encode(out[14:18], u[6:8])
	hex.Encode(out[19:23], u[8:10])
	hex.Encode(out[24:36], u[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}

// appendJSON appends the record as one JSON object without a line break. It is on the path of every request, hence by
// hand.
func (r *Record) appendJSON(b []byte) []byte {
	b = append(b, `{"eventVersion":"1.11","userIdentity":`...)
	b = r.Identity.appendJSON(b)
	b = append(b, `,"eventTime":"`...)
	b = r.Time.UTC().AppendFormat(b, time.RFC3339)
	b = append(b, `","eventSource":`...)
	b = appendString(b, r.Source)
	b = append(b, `,"eventName":`...)
	b = appendString(b, r.Name)
	b = append(b, `,"awsRegion":`...)
	b = appendString(b, r.Region)
	b = append(b, `,"sourceIPAddress":`...)
	b = appendString(b, r.SourceIP)
	b = append(b, `,"userAgent":`...)
	b = appendString(b, cut(r.UserAgent))
	if r.ErrorCode != "" {
		b = append(b, `,"errorCode":`...)
		b = appendString(b, cut(r.ErrorCode))
		b = append(b, `,"errorMessage":`...)
		b = appendString(b, cut(r.ErrorMessage))
	}
	b = append(b, `,"requestParameters":`...)
	b = appendObject(b, r.Parameters, `{"requestParametersOmitted":true}`)
	b = append(b, `,"responseElements":`...)
	b = appendObject(b, r.Response, `{"responseElementsOmitted":true}`)
	b = append(b, `,"requestID":`...)
	b = appendString(b, r.RequestID)
	b = append(b, `,"eventID":"`...)
	b = append(b, NewUUID()...)
	b = append(b, `","readOnly":`...)
	b = appendBool(b, r.ReadOnly)
	b = appendResources(b, r.Resources)
	eventType := "AwsApiCall"
	if r.ServiceEvent != nil {
		eventType = "AwsServiceEvent"
	}
	b = append(append(append(b, `,"eventType":"`...), eventType...), `","managementEvent":true,"recipientAccountId":`...)
	b = appendString(b, r.Account)
	if r.ServiceEvent != nil {
		b = append(b, `,"serviceEventDetails":`...)
		b = appendObject(b, r.ServiceEvent, `{"serviceEventDetailsOmitted":true}`)
	}
	b = appendFields(b, field{`,"sharedEventID":`, r.SharedID})
	b = append(b, `,"eventCategory":"Management"`...)
	if r.TLS != nil {
		b = r.TLS.appendJSON(b)
	}
	return append(b, '}')
}

func (t *TLS) appendJSON(b []byte) []byte {
	b = append(b, `,"tlsDetails":{"tlsVersion":`...)
	b = appendString(b, strings.Replace(tls.VersionName(t.State.Version), "TLS 1", "TLSv1", 1))
	b = append(b, `,"cipherSuite":`...)
	b = appendString(b, suiteName(t.State.CipherSuite))
	b = append(b, `,"clientProvidedHostHeader":`...)
	b = appendString(b, cut(t.Host))
	if t.State.CurveID != 0 { // as in the exchange of keys by RSA
		b = append(b, `,"keyExchange":`...)
		b = appendString(b, t.State.CurveID.String())
	}
	if t.ClientSubject != "" {
		b = append(b, `,"clientCertSubject":`...)
		b = appendString(b, cut(t.ClientSubject))
	}
	return append(b, '}')
}

// suiteName is what CloudTrail calls a suite: those of TLS 1.2 by OpenSSL's names, those of TLS 1.3 by IANA's.
func suiteName(suite uint16) string {
	switch suite {
	case tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:
		return "ECDHE-ECDSA-AES128-GCM-SHA256"
	case tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:
		return "ECDHE-RSA-AES128-GCM-SHA256"
	case tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:
		return "ECDHE-ECDSA-AES256-GCM-SHA384"
	case tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:
		return "ECDHE-RSA-AES256-GCM-SHA384"
	case tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:
		return "ECDHE-ECDSA-CHACHA20-POLY1305"
	case tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:
		return "ECDHE-RSA-CHACHA20-POLY1305"
	}
	return tls.CipherSuiteName(suite)
}

func appendResources(b []byte, resources []Resource) []byte {
	if len(resources) == 0 {
		return b
	}
	b = append(b, `,"resources":[`...)
	for i, r := range resources {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"ARN":`...)
		b = appendString(b, r.ARN)
		b = append(b, `,"accountId":`...)
		b = appendString(b, r.Account)
		if r.Type != "" {
			b = append(b, `,"type":`...)
			b = appendString(b, r.Type)
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendObject(b []byte, object json.RawMessage, omitted string) []byte {
	switch {
	case len(object) == 0:
		return append(b, "null"...)
	case len(object) > maxParameters:
		return append(b, omitted...)
	}
	// A record is a line. In JSON, a line break can be nothing but space between tokens.
	if bytes.IndexByte(object, '\n') >= 0 {
		object = bytes.ReplaceAll(object, []byte("\n"), []byte(" "))
	}
	return append(b, object...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, "true"...)
	}
	return append(b, "false"...)
}

// appendString appends s as a JSON string; what isn't UTF-8 becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += size
			continue
		}
		i++
	}
	return append(b, '"')
}

// AppendString appends s as a JSON string, for edges that build request parameters by hand.
func AppendString(b []byte, s string) []byte { return appendString(b, s) }

// cut shortens a text to what a record holds, at a character's boundary.
func cut(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) <= maxText {
		return s
	}
	end := maxText
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}
