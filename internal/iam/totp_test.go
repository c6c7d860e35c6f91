package iam

import (
	"crypto/fips140"
	"testing"

	"github.com/coffer-registry/coffer/internal/fipstest"
	"github.com/coffer-registry/coffer/internal/store"
)

// While FIPS 140-3 is enforced, no device is made, enabled or believed, and each refusal says why. Devices from before can
// be taken away.
func TestDevicesUnderFIPS(t *testing.T) {
	if !fipstest.Enforced(t) {
		return
	}
	const (
		device = "Virtual MFA devices are not available: this server enforces FIPS 140-3, which does not approve HMAC-SHA-1, and by that they make their codes."
		signIn = "MultiFactorAuthentication failed: this server enforces FIPS 140-3, which does not approve HMAC-SHA-1, and by that virtual MFA devices make their codes."
	)
	p := makePhone(t, 0)
	var code string
	fips140.WithoutEnforcement(func() {
		p.mustEnable()
		p.clock.advance(stepTime)
		code = p.code(0)
	})
	p.mustUpdate(t, func(tx *store.Tx) error {
		_, _, err := p.CreateMFADevice(tx, account, "", "other")
		wantRefusal(t, "make one", err, Errorf(InvalidInput, device))
		return nil
	})
	for range 2 * guessesAtOnce { // nothing is guessed at, so that nothing is counted
		wantRefusal(t, "look at a code", p.check(code), Errorf(AccessDenied, signIn))
	}
	wantRefusal(t, "take a code", p.take(code), Errorf(AccessDenied, signIn))
	wantRefusal(t, "a code of another's device", p.CheckCode(t.Context(), account, p.device.Serial(), code), errWrongDevice)
	p.mustUpdate(t, func(tx *store.Tx) error {
		d, err := p.MFADevice(tx, p.device.Serial())
		if err != nil {
			return err
		}
		wantRefusal(t, "synchronise", p.ResyncMFADevice(tx, d, code, code), Errorf(InvalidAuthenticationCode, device))
		if err := p.DeactivateMFADevice(tx, d); err != nil {
			return err
		}
		if d, err = p.MFADevice(tx, p.device.Serial()); err != nil {
			return err
		}
		wantRefusal(t, "enable", p.EnableMFADevice(tx, d, owner, code, code), Errorf(InvalidAuthenticationCode, device))
		return p.DeleteMFADevice(tx, d)
	})
	// The same device is good where FIPS 140-3 isn't enforced: what was refused is not the code.
	fips140.WithoutEnforcement(func() {
		q := makePhone(t, 0)
		q.mustEnable()
		q.clock.advance(stepTime)
		wantCode(t, "without enforcement", q.check(q.code(0)), "")
	})
}
