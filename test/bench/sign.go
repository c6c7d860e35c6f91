package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// signer makes AWS Signature Version 4 for the one kind of request that is needed here: a POST to the root without a
// query, with a content type and a target. It shares no code with the server that checks it.
type signer struct{ keyID, secret, region, service string }

// sign sets X-Amz-Date and Authorization. The body is the one that will be sent.
func (s signer) sign(req *http.Request, body []byte, now time.Time) {
	const signed = "content-type;host;x-amz-date;x-amz-target"
	stamp := now.UTC().Format("20060102T150405Z")
	day := stamp[:8]
	scope := strings.Join([]string{day, s.region, s.service, "aws4_request"}, "/")
	canonical := strings.Join([]string{
		req.Method, "/", "",
		"content-type:" + req.Header.Get("Content-Type"),
		"host:" + req.URL.Host,
		"x-amz-date:" + stamp,
		"x-amz-target:" + req.Header.Get("X-Amz-Target"),
		"", signed, hexSum(body),
	}, "\n")
	key := []byte("AWS4" + s.secret)
	for _, part := range []string{day, s.region, s.service, "aws4_request"} {
		key = mac(key, part)
	}
	text := strings.Join([]string{"AWS4-HMAC-SHA256", stamp, scope, hexSum([]byte(canonical))}, "\n")
	req.Header.Set("X-Amz-Date", stamp)
	req.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%x",
		s.keyID, scope, signed, mac(key, text)))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hexSum(p []byte) string {
	sum := sha256.Sum256(p)
	return hex.EncodeToString(sum[:])
}
