package iam

import (
	"crypto/fips140"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"time"
)

// stepTime is how long a one-time code is shown (RFC 6238).
const stepTime = 30 * time.Second

// stepAt counts the steps from 1970 to a moment.
func stepAt(t time.Time) int64 { return t.Unix() / int64(stepTime/time.Second) }

// Refusals while FIPS 140-3 is enforced, which does not approve SHA-1. A code by which somebody signs in is a security
// function, so that nothing lets these devices work as an exception.
const noDevices = "Virtual MFA devices are not available: this server enforces FIPS 140-3, which does not approve HMAC-SHA-1, and by that they make their codes."

var (
	errFIPSDevice = Errorf(InvalidInput, noDevices)
	errFIPSCodes  = Errorf(InvalidAuthenticationCode, noDevices)
	errFIPSSignIn = Errorf(AccessDenied, "MultiFactorAuthentication failed: this server enforces FIPS 140-3, which does not approve HMAC-SHA-1, and by that virtual MFA devices make their codes.")
)

// unlessFIPS is the refusal while FIPS 140-3 is enforced; else nil.
func unlessFIPS(refusal *Error) error {
	if fips140.Enforced() {
		return refusal
	}
	return nil
}

// oneTimeCode is the code of six digits that a device with this seed shows in a step (RFC 6238 with SHA-1, the one that
// all apps know). It must not be called while FIPS 140-3 is enforced.
func oneTimeCode(seed []byte, step int64) string {
	mac := hmac.New(sha1.New, seed)
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(step))
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0x0f
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:])&0x7fff_ffff%1_000_000)
}

func sameCode(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
