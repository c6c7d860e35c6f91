package sigv4

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/secret"
)

// Credentials are what a request is signed with.
type Credentials struct {
	AccessKeyID string
	Secret      secret.Text
	// SessionToken belongs to temporary credentials; it is empty for long-term ones.
	SessionToken secret.Text
}

// minSecret is how many characters a secret access key has at least. FIPS 140-3 asks for 112 bits of a key of HMAC, four
// characters of which SigV4 adds.
const minSecret = 10

var errShortSecret = errors.New("the secret access key is too short to be one")

// Sign signs a request that is about to be sent with exactly this body: it sets X-Amz-Date, X-Amz-Security-Token and
// Authorization. Host, Content-Type and all X-Amz headers are signed. Of scope the date is taken from now.
func Sign(r *http.Request, body []byte, c Credentials, scope Scope, now time.Time) error {
	if len(c.Secret.Reveal()) < minSecret {
		return errShortSecret
	}
	s := c.claim(&scope, now)
	r.Header.Set("X-Amz-Date", s.stamp)
	if !c.SessionToken.Empty() {
		r.Header.Set("X-Amz-Security-Token", c.SessionToken.Reveal())
	}
	s.headers = []string{"host"}
	for name := range r.Header {
		if lower := strings.ToLower(name); lower == "content-type" || strings.HasPrefix(lower, "x-amz-") {
			s.headers = append(s.headers, lower)
		}
	}
	slices.Sort(s.headers)
	payload := sha256.Sum256(body)
	canonical, err := appendCanonical(nil, r, s.Service, s.headers, cmp.Or(r.Header.Get("X-Amz-Content-Sha256"), hex.EncodeToString(payload[:])))
	if err != nil {
		return err
	}
	key := deriveKey(c.Secret, s.Scope)
	r.Header.Set("Authorization", Algorithm+" Credential="+s.credential()+", SignedHeaders="+strings.Join(s.headers, ";")+
		", Signature="+hex.EncodeToString(mac(key[:], s.stringToSign(canonical))))
	return nil
}

// Presign puts a signature into the URL of a request without a body, good from now until it expires. The host and the
// headers that the request has are signed too.
func Presign(r *http.Request, c Credentials, scope Scope, now time.Time, expires time.Duration) error {
	s := c.claim(&scope, now)
	s.headers = []string{"host"}
	for name := range r.Header {
		s.headers = append(s.headers, strings.ToLower(name))
	}
	slices.Sort(s.headers)
	q := r.URL.Query()
	q.Del("X-Amz-Signature")
	q.Set("X-Amz-Algorithm", Algorithm)
	q.Set("X-Amz-Credential", s.credential())
	q.Set("X-Amz-Date", s.stamp)
	q.Set("X-Amz-Expires", strconv.FormatInt(int64(expires/time.Second), 10))
	q.Set("X-Amz-SignedHeaders", strings.Join(s.headers, ";"))
	if !c.SessionToken.Empty() {
		q.Set("X-Amz-Security-Token", c.SessionToken.Reveal())
	}
	r.URL.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20")
	payload := unsignedPayload
	if !isS3(s.Service) {
		empty := sha256.Sum256(nil)
		payload = hex.EncodeToString(empty[:])
	}
	canonical, err := appendCanonical(nil, r, s.Service, s.headers, payload)
	if err != nil {
		return err
	}
	key := deriveKey(c.Secret, s.Scope)
	r.URL.RawQuery += "&" + url.Values{"X-Amz-Signature": {hex.EncodeToString(mac(key[:], s.stringToSign(canonical)))}}.Encode()
	return nil
}

func (c Credentials) claim(scope *Scope, now time.Time) *Signed {
	stamp := now.UTC().Format(stampForm)
	scope.Date = stamp[:len(dateForm)]
	return &Signed{AccessKeyID: c.AccessKeyID, Scope: *scope, stamp: stamp}
}

func (s *Signed) credential() string {
	return strings.Join([]string{s.AccessKeyID, s.Date, s.Region, s.Service, terminator}, "/")
}
