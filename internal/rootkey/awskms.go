package rootkey

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/sigv4"
)

// awsKMS is a symmetric key of AWS KMS, or of whatever speaks its protocol.
type awsKMS struct {
	name        string
	url         string
	key, region string
	credentials *awsCredentials
	client      *http.Client
	now         func() time.Time
}

func newAWSKMS(u *url.URL, o Options) (*awsKMS, error) {
	q, err := parameters(u, "region", "tls", "ca", "profile")
	if err != nil {
		return nil, err
	}
	key := strings.TrimPrefix(u.Path, "/")
	if key == "" {
		return nil, errors.New("names no key: awskms://HOST/KEY?region=NAME, where KEY is an id, alias/NAME or an ARN")
	}
	getenv := o.getenv()
	region := cmp.Or(q["region"], arnRegion(key), getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION"))
	if !plainName(region) {
		return nil, errors.New("names no region: awskms://HOST/KEY?region=NAME")
	}
	host := cmp.Or(u.Host, awsHost("kms", region))
	base, transport, err := endpoint(host, q["tls"], cmp.Or(q["ca"], getenv("AWS_CA_BUNDLE")))
	if err != nil {
		return nil, err
	}
	k := &awsKMS{name: kindAWSKMS + "://" + u.Host + "/" + key + "?region=" + region, url: base + "/", key: key, region: region,
		client: newClient(transport, o.Timeout), now: o.now()}
	k.credentials = &awsCredentials{getenv: getenv, region: region, profile: cmp.Or(q["profile"], getenv("AWS_PROFILE"), "default"),
		client: k.client, now: k.now, name: k.name}
	return k, nil
}

// awsHost is the host of a service of AWS itself.
func awsHost(service, region string) string {
	suffix := ".amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		suffix += ".cn"
	}
	return service + "." + region + suffix
}

// arnRegion is the region of the ARN of a key; empty if it is none.
func arnRegion(key string) string {
	if parts := strings.Split(key, ":"); len(parts) == 6 && parts[0] == "arn" {
		return parts[3]
	}
	return ""
}

// plainName says that a text is lower-case letters, digits and hyphens, as names of regions are.
func plainName(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// String is the URL of the key.
func (k *awsKMS) String() string { return k.name }

// keyCall is what Encrypt and Decrypt ask and answer.
type keyCall struct {
	KeyID             string      `json:"KeyId,omitempty"`
	Plaintext         []byte      `json:",omitempty"`
	CiphertextBlob    []byte      `json:",omitempty"`
	EncryptionContext kms.Context `json:",omitempty"`
}

// Wrap has KMS encrypt a key.
func (k *awsKMS) Wrap(ctx context.Context, plaintext []byte, c kms.Context) ([]byte, error) {
	out, err := k.call(ctx, "Encrypt", keyCall{KeyID: k.key, Plaintext: plaintext, EncryptionContext: c})
	if err != nil {
		return nil, err
	}
	if len(out.CiphertextBlob) == 0 {
		return nil, unavailable(k.name, errMeaningless)
	}
	return out.CiphertextBlob, nil
}

// Unwrap has KMS decrypt what Wrap made. It names the key, so that nobody else's key opens anything.
func (k *awsKMS) Unwrap(ctx context.Context, wrapped []byte, c kms.Context) ([]byte, error) {
	out, err := k.call(ctx, "Decrypt", keyCall{KeyID: k.key, CiphertextBlob: wrapped, EncryptionContext: c})
	if err != nil {
		return nil, err
	}
	if len(out.Plaintext) == 0 {
		return nil, unavailable(k.name, errMeaningless)
	}
	return out.Plaintext, nil
}

func (k *awsKMS) call(ctx context.Context, operation string, in keyCall) (out keyCall, err error) {
	credentials, err := k.credentials.get(ctx)
	if err != nil {
		return out, err
	}
	body, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, k.url, bytes.NewReader(body))
	if err != nil {
		return out, unavailable(k.name, errors.New("the URL makes no request"))
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "TrentService."+operation)
	if err := sigv4.Sign(r, body, credentials, sigv4.Scope{Region: k.region, Service: "kms"}, k.now()); err != nil {
		return out, unavailable(k.name, fmt.Errorf("the request can't be signed: %w", err))
	}
	status, answer, err := exchange(k.client, k.name, r)
	if err != nil {
		return out, err
	}
	if status != http.StatusOK {
		return out, k.problem(status, answer)
	}
	if json.Unmarshal(answer, &out) != nil {
		return out, unavailable(k.name, errMeaningless)
	}
	return out, nil
}

// problem reads the code of an error. The text beside it is not repeated.
func (k *awsKMS) problem(status int, answer []byte) error {
	var e struct {
		Type string `json:"__type"`
	}
	if json.Unmarshal(answer, &e) != nil {
		return unavailable(k.name, fmt.Errorf("it answers with status %d", status))
	}
	code := e.Type[strings.LastIndex(e.Type, "#")+1:]
	switch code {
	case "InvalidCiphertextException", "IncorrectKeyException":
		return kms.ErrWrongRoot
	case "NotFoundException", "DisabledException", "KMSInvalidStateException", "AccessDeniedException", "InvalidKeyUsageException", "InvalidGrantTokenException":
		return refusedBy(k.name, errors.New("it answers "+code))
	case "ThrottlingException", "KeyUnavailableException", "DependencyTimeoutException", "KMSInternalException",
		"ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch",
		"IncompleteSignatureException", "RequestExpired", "ValidationException":
		return unavailable(k.name, errors.New("it answers "+code))
	}
	return unavailable(k.name, fmt.Errorf("it answers with status %d", status))
}
