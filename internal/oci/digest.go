// Package oci holds the vocabulary of the OCI distribution and image specifications, version 1.1: digests, names, tags,
// manifests, and what a request under /v2/ asks for.
//
// Everything in it is a function of values. What comes from outside is accepted only if it is exactly what the
// specifications, narrowed to what Amazon ECR allows, say; text is never cleaned or guessed at. Not its job: HTTP beyond
// method, path and query, and whether anything that is named exists.
package oci

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
)

// Digest is "sha256:" and 64 lower-case hexadecimal digits. Other algorithms are not served.
type Digest string

const digestPrefix = "sha256:"

// ErrDigest means that a text is not a digest of the only algorithm that is served.
var ErrDigest = errors.New("not a digest of the form sha256:<64 lower-case hexadecimal digits>")

// ParseDigest checks a digest. The error is ErrDigest.
func ParseDigest(s string) (Digest, error) {
	digits, ok := strings.CutPrefix(s, digestPrefix)
	if !ok || len(digits) != hex.EncodedLen(sha256.Size) {
		return "", ErrDigest
	}
	for i := range len(digits) {
		if c := digits[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", ErrDigest
		}
	}
	return Digest(s), nil
}

// DigestOf is the digest of some bytes.
func DigestOf(b []byte) Digest {
	sum := sha256.Sum256(b)
	return Digest(digestPrefix + hex.EncodeToString(sum[:]))
}

// Bounds of a repository's name, which are those of Amazon ECR.
const (
	minName = 2
	maxName = 256
)

// ValidRepositoryName reports whether a name follows ECR's grammar: path components of lower-case letters and digits,
// with one ".", one or two "_" or any number of "-" between them.
func ValidRepositoryName(s string) bool {
	if len(s) < minName || len(s) > maxName {
		return false
	}
	inside := false // a component, after its first character
	separator, run := byte(0), 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			inside, run = true, 0
		case inside && c == '/' && run == 0:
			inside = false
		case inside && (c == '.' || c == '_' || c == '-') && (run == 0 || c == separator && mayRepeat(c, run)):
			separator = c
			run++
		default:
			return false
		}
	}
	return inside && run == 0
}

// mayRepeat reports whether a separator may follow a run of itself.
func mayRepeat(c byte, run int) bool { return c == '-' || c == '_' && run == 1 }

const maxTag = 128

// ValidTag reports whether a tag follows the grammar of the distribution specification.
func ValidTag(s string) bool {
	if s == "" || len(s) > maxTag {
		return false
	}
	for i := range len(s) {
		c := s[i]
		word := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
		if !word && (i == 0 || c != '.' && c != '-') {
			return false
		}
	}
	return true
}
