package iam

import (
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

// oneTimeCode is the code of six digits that a device with this seed shows in a step (RFC 6238 with SHA-1, the one that
// all apps know).
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
