package coffertest

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/coffer-registry/coffer/internal/fipstest"
)

// Phone is an MFA device, which shows codes by the server's clock.
type Phone struct {
	// Serial is its serial number.
	Serial string
	seed   []byte
	now    func() time.Time
}

// CreatePhone makes a virtual MFA device that is assigned to nobody. While FIPS 140-3 is enforced it
// skips the test, since there can be none.
func (s *Server) CreatePhone(name string) *Phone {
	s.t.Helper()
	fipstest.SkipPhones(s.t)
	r := s.MustQuery("iam", "CreateVirtualMFADevice", map[string]any{"VirtualMFADeviceName": name})
	text, err := base64.StdEncoding.DecodeString(r.Text("Base32StringSeed"))
	if err != nil {
		s.t.Fatal(err)
	}
	seed, err := base32.StdEncoding.DecodeString(string(text))
	if err != nil {
		s.t.Fatal(err)
	}
	return &Phone{Serial: r.Text("SerialNumber"), seed: seed, now: s.now}
}

// EnablePhone makes a device and assigns it to a user, with the codes of the last step and this one.
func (s *Server) EnablePhone(user, name string) *Phone {
	s.t.Helper()
	p := s.CreatePhone(name)
	s.MustQuery("iam", "EnableMFADevice", map[string]any{"UserName": user, "SerialNumber": p.Serial,
		"AuthenticationCode1": p.Code(-1), "AuthenticationCode2": p.Code(0)})
	return p
}

// Code is what the device shows so many steps of 30 s from now (RFC 6238).
func (p *Phone) Code(steps int) string {
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(p.now().Unix()/30+int64(steps)))
	mac := hmac.New(sha1.New, p.seed)
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[at:])&0x7fffffff)%1_000_000)
}
