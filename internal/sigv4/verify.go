package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coffer-registry/coffer/internal/secret"
)

// Check is what a signature is held against.
type Check struct {
	// Secret is the secret access key of the access key that the request names.
	Secret secret.Text
	Now    time.Time
	// Skew is how far the clocks may differ; 0 is DefaultSkew.
	Skew time.Duration
	// Service is the one that the request is for.
	Service string
	// Regions are those that are served; none means that any will do, as with services that are global.
	Regions []string
	// BodySHA256 is the hash of the body as it came.
	BodySHA256 [sha256.Size]byte
	// Keys remembers derived keys; nil derives them anew.
	Keys *KeyCache
}

// Verify checks every claim of the signature. r is the request that it was parsed from. The error is an *Error of kind
// Expired, NotYetCurrent, one of the Scope kinds, Unsigned, Payload, Incomplete or Mismatch.
func (s *Signed) Verify(r *http.Request, c Check) error {
	if err := s.checkScope(c); err != nil {
		return err
	}
	if err := s.checkTime(c); err != nil {
		return err
	}
	if err := s.checkHeaders(r); err != nil {
		return err
	}
	payload, err := s.payload(r, c.BodySHA256)
	if err != nil {
		return err
	}
	canonical, err := appendCanonical(make([]byte, 0, 1024), r, s.Service, s.headers, payload)
	if err != nil {
		return err
	}
	key := c.Keys.get(s, c.Secret)
	if subtle.ConstantTimeCompare(mac(key[:], s.stringToSign(canonical)), s.signature) != 1 {
		return mismatch()
	}
	c.Keys.put(s, c.Secret, key)
	return nil
}

func (s *Signed) checkScope(c Check) error {
	switch {
	case s.terminator != terminator:
		return &Error{ScopeTerminator, "Credential should be scoped with a valid terminator: 'aws4_request', not '" + shown(s.terminator) + "'. "}
	case s.Service != c.Service:
		return &Error{ScopeService, "Credential should be scoped to correct service: '" + c.Service + "'. "}
	case len(c.Regions) > 0 && !slices.Contains(c.Regions, s.Region):
		return &Error{ScopeRegion, "Credential should be scoped to a valid region, not '" + shown(s.Region) + "'. "}
	}
	if date := s.stamp[:len(dateForm)]; date != s.Date {
		return &Error{ScopeDate, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '" +
			shown(s.Date) + "' != '" + date + "', from '" + s.stamp + "'."}
	}
	return nil
}

// checkTime takes a presigned request from Time on for as long as it asks to live, and any other within the skew.
func (s *Signed) checkTime(c Check) error {
	skew := c.Skew
	if skew == 0 {
		skew = DefaultSkew
	}
	now := c.Now.UTC().Truncate(time.Second)
	oldest := now.Add(-skew)
	if s.Expires > 0 {
		oldest = now.Add(-s.Expires)
	}
	if s.Time.Before(oldest) {
		return &Error{Expired, "Signature expired: " + s.stamp + " is now earlier than " + oldest.Format(stampForm) +
			" (" + now.Format(stampForm) + " - " + length(now.Sub(oldest)) + ")"}
	}
	if newest := now.Add(skew); s.Time.After(newest) {
		return &Error{NotYetCurrent, "Signature not yet current: " + s.stamp + " is still later than " + newest.Format(stampForm) +
			" (" + now.Format(stampForm) + " + " + length(skew) + ")"}
	}
	return nil
}

// mustSign are the headers that mean something to who answers the request, so that they must be signed if they are there.
var mustSign = [...]string{"X-Amz-Target", "X-Amz-Security-Token", "X-Amz-Content-Sha256", "Content-Type"}

func (s *Signed) checkHeaders(r *http.Request) error {
	if !slices.Contains(s.headers, "host") {
		return unsigned("host")
	}
	for _, name := range mustSign {
		if lower := strings.ToLower(name); len(r.Header[name]) > 0 && !slices.Contains(s.headers, lower) {
			return unsigned(lower)
		}
	}
	if s.Presigned {
		return nil
	}
	date := "date"
	if r.Header.Get("X-Amz-Date") != "" {
		date = "x-amz-date"
	}
	if !slices.Contains(s.headers, date) {
		return unsigned(date)
	}
	return nil
}

// unsigned says which header has to be signed. AWS says the first half.
func unsigned(name string) *Error {
	return &Error{Unsigned, mismatchMessage + " The header '" + name + "' must be signed."}
}

const unsignedPayload = "UNSIGNED-PAYLOAD"

// payload is the hash of the body as the canonical request has it. Only S3 knows bodies that are not signed, and takes
// them from presigned requests and over TLS.
func (s *Signed) payload(r *http.Request, body [sha256.Size]byte) (string, error) {
	computed := hex.EncodeToString(body[:])
	switch {
	case isS3(s.Service) && (s.Payload == unsignedPayload || s.Payload == "" && s.Presigned):
		if !s.Presigned && r.TLS == nil {
			return "", &Error{Payload, "The payload must be signed on a connection without TLS."}
		}
		return unsignedPayload, nil
	case s.Payload == "" || s.Payload == computed:
		return computed, nil
	case isS3(s.Service):
		return "", &Error{Payload, "The provided 'x-amz-content-sha256' header does not match what was computed."}
	}
	return "", mismatch()
}

func (s *Signed) stringToSign(canonical []byte) []byte {
	sum := sha256.Sum256(canonical)
	b := make([]byte, 0, 256)
	b = append(b, Algorithm...)
	b = append(b, '\n')
	b = append(b, s.stamp...)
	b = append(b, '\n')
	b = append(b, s.Date...)
	b = append(b, '/')
	b = append(b, s.Region...)
	b = append(b, '/')
	b = append(b, s.Service...)
	b = append(b, "/"+terminator+"\n"...)
	return hex.AppendEncode(b, sum[:])
}

// deriveKey makes the key that signs within a scope.
func deriveKey(text secret.Text, s Scope) (key [sha256.Size]byte) {
	b := []byte("AWS4" + text.Reveal())
	for _, part := range [...]string{s.Date, s.Region, s.Service, terminator} {
		b = mac(b, []byte(part))
	}
	return [sha256.Size]byte(b)
}

func mac(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	return h.Sum(nil)
}

// KeyCache remembers keys that were derived from secrets, which takes several times as long as to check a signature. It
// is safe for concurrent use.
type KeyCache struct {
	mu   sync.RWMutex
	keys map[cacheKey][sha256.Size]byte
}

type cacheKey struct {
	secret string
	Scope
}

// maxCachedKeys bounds the memory. Only scopes of good signatures get in.
const maxCachedKeys = 4096

// NewKeyCache returns an empty cache.
func NewKeyCache() *KeyCache { return &KeyCache{keys: map[cacheKey][sha256.Size]byte{}} }

func (k *KeyCache) get(s *Signed, text secret.Text) [sha256.Size]byte {
	if k != nil {
		k.mu.RLock()
		key, ok := k.keys[cacheKey{text.Reveal(), s.Scope}]
		k.mu.RUnlock()
		if ok {
			return key
		}
	}
	return deriveKey(text, s.Scope)
}

func (k *KeyCache) put(s *Signed, text secret.Text, key [sha256.Size]byte) {
	if k == nil {
		return
	}
	k.mu.RLock()
	_, ok := k.keys[cacheKey{text.Reveal(), s.Scope}]
	k.mu.RUnlock()
	if ok {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.keys) >= maxCachedKeys {
		clear(k.keys)
	}
	k.keys[cacheKey{text.Reveal(), s.Scope}] = key
}
