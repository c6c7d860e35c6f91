package iam

import (
	"bytes"
	"crypto/fips140"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/fipstest"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/store"
)

// The vectors of RFC 6238, appendix B, of which six digits are left.
func TestOneTimeCodes(t *testing.T) {
	fipstest.SkipPhones(t)
	seed := []byte("12345678901234567890")
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		if got := oneTimeCode(seed, stepAt(time.Unix(at, 0))); got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
	}
}

// phone is a device whose clock the test has in its hand, and whose clock may be off.
type phone struct {
	*Store
	t      testing.TB
	clock  *hand
	device MFADevice
	seed   []byte
	ahead  time.Duration
}

// hand is a clock that is moved by hand.
type hand struct {
	mu sync.Mutex
	at time.Time
}

func (h *hand) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *hand) advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = h.at.Add(d)
}

const owner = "AIDAEXAMPLEEXAMPLE123"

func newPhone(t testing.TB, ahead time.Duration) *phone {
	t.Helper()
	fipstest.SkipPhones(t)
	return makePhone(t, ahead)
}

// makePhone is newPhone, also while FIPS 140-3 is enforced.
func makePhone(t testing.TB, ahead time.Duration) *phone {
	t.Helper()
	clock := &hand{at: time.Date(2026, 1, 15, 12, 30, 15, 0, time.UTC)}
	p := &phone{Store: New(Config{DB: openDB(t), Secrets: seal.NewKey(), Now: clock.now}), t: t, clock: clock, ahead: ahead}
	put(t, p.Store, account, exampleID, exampleSecret)
	p.mustUpdate(t, func(tx *store.Tx) error {
		var text secret.Text
		var err error
		if p.device, text, err = createDevice(p.Store, tx, "/team/", "phone"); err != nil {
			return err
		}
		p.seed, err = base32.StdEncoding.DecodeString(text.Reveal())
		return err
	})
	if len(p.seed) != 40 {
		t.Fatalf("a seed of %d bytes", len(p.seed))
	}
	return p
}

// createDevice makes a device as if it came from a time when FIPS 140-3 was not enforced, if it is now.
func createDevice(s *Store, tx *store.Tx, path, name string) (d MFADevice, seed secret.Text, err error) {
	fips140.WithoutEnforcement(func() { d, seed, err = s.CreateMFADevice(tx, account, path, name) })
	return d, seed, err
}

// code is what the device shows so many steps from now.
func (p *phone) code(steps int64) string {
	return oneTimeCode(p.seed, stepAt(p.clock.now().Add(p.ahead))+steps)
}

func (p *phone) enable(code1, code2 string) error {
	return p.db.Update(p.t.Context(), func(tx *store.Tx) (err error) {
		if p.device, err = p.MFADevice(tx, p.device.Serial()); err != nil {
			return err
		}
		return p.EnableMFADevice(tx, p.device, owner, code1, code2)
	})
}

func (p *phone) mustEnable() {
	p.t.Helper()
	if err := p.enable(p.code(-1), p.code(0)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *phone) check(code string) error {
	return p.CheckCode(p.t.Context(), owner, p.device.Serial(), code)
}

func (p *phone) take(code string) error {
	return p.TakeCode(p.t.Context(), owner, p.device.Serial(), code)
}

func wantCode(t testing.TB, what string, err error, code Code) {
	t.Helper()
	var refused *Error
	if code == "" && err == nil || errors.As(err, &refused) && refused.Code == code {
		return
	}
	t.Errorf("%s: error %v, want %s", what, err, code)
}

func TestMFADevice(t *testing.T) {
	p := newPhone(t, 0)
	if got := p.device.Serial(); got != "arn:aws:iam::123456789012:mfa/team/phone" {
		t.Errorf("serial number %s", got)
	}
	if kept := readAll[[]byte](t, p.Store, `SELECT seed FROM iam_mfa`); len(kept) != 1 || bytes.Contains(kept[0], p.seed) {
		t.Error("the seed lies open in the database")
	}
	p.mustUpdate(t, func(tx *store.Tx) error {
		_, _, err := p.CreateMFADevice(tx, account, "/team/", "phone")
		wantCode(t, "again", err, EntityAlreadyExists)
		_, _, err = p.CreateMFADevice(tx, account, "/"+strings.Repeat("x", 250)+"/", "phone")
		wantCode(t, "a long path", err, ValidationError)
		_, err = p.MFADevice(tx, "arn:aws:iam::123456789012:mfa/phone")
		wantCode(t, "another path", err, NoSuchEntity)
		return nil
	})
	wantCode(t, "before it is enabled", p.check(p.code(0)), AccessDenied)
	wantCode(t, "the same code twice", p.enable(p.code(0), p.code(0)), InvalidAuthenticationCode)
	wantCode(t, "codes in the wrong order", p.enable(p.code(0), p.code(-1)), InvalidAuthenticationCode)
	wantCode(t, "codes with one between", p.enable(p.code(-2), p.code(0)), InvalidAuthenticationCode)
	wantCode(t, "wrong codes", p.enable("000000", "000000"), InvalidAuthenticationCode)
	p.mustEnable()
	wantCode(t, "twice", p.enable(p.code(1), p.code(2)), EntityAlreadyExists)
	wantCode(t, "a code that enabled it", p.check(p.code(0)), AccessDenied)
	p.mustUpdate(t, func(tx *store.Tx) error {
		d, err := p.MFADeviceOf(tx, owner, p.device.Serial())
		if err != nil || d.Owner != owner || !d.EnabledAt.Equal(p.clock.now()) {
			t.Errorf("%+v, error %v", d, err)
		}
		_, err = p.MFADeviceOf(tx, account, p.device.Serial())
		wantCode(t, "of another", err, NoSuchEntity)
		wantCode(t, "delete it", p.DeleteMFADevice(tx, d), DeleteConflict)
		return p.DeactivateMFADevice(tx, d)
	})
	p.clock.advance(stepTime)
	wantCode(t, "once it is taken away", p.check(p.code(0)), AccessDenied)
	p.clock.advance(stepTime)
	p.mustEnable()
	p.mustUpdate(t, func(tx *store.Tx) error {
		d, err := p.MFADevice(tx, p.device.Serial())
		if err != nil {
			return err
		}
		if err := p.DeactivateMFADevice(tx, d); err != nil {
			return err
		}
		if d, err = p.MFADevice(tx, p.device.Serial()); err != nil {
			return err
		}
		if err := p.PutTags(tx, account, d.Serial(), []Tag{{"k", "v"}}); err != nil {
			return err
		}
		return p.DeleteMFADevice(tx, d)
	})
	if left := append(readAll[string](t, p.Store, `SELECT serial FROM iam_mfa`), readAll[string](t, p.Store, `SELECT owner FROM iam_tag`)...); len(left) > 0 {
		t.Errorf("%s is left", left)
	}
}

// readAll reads the one column of what a query finds.
func readAll[T any](t testing.TB, s *Store, query string) (all []T) {
	t.Helper()
	err := s.View(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Query(query)
		if err != nil {
			return err
		}
		all, err = store.Collect(rows, store.Value[T])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A code is good in its own step and in those beside it, by the clock of the device, and once.
func TestCodes(t *testing.T) {
	for _, ahead := range []time.Duration{0, widestDrift * stepTime, -widestDrift * stepTime} {
		t.Run(ahead.String(), func(t *testing.T) {
			p := newPhone(t, ahead)
			p.mustEnable()
			p.clock.advance(time.Hour)
			for _, steps := range []int64{-2, 2, -20} {
				wantCode(t, fmt.Sprintf("%d steps off", steps), p.check(p.code(steps)), AccessDenied)
			}
			for _, steps := range []int64{-1, 0, 1} {
				wantCode(t, fmt.Sprintf("%d steps off", steps), p.check(p.code(steps)), "")
			}
			code := p.code(0)
			wantCode(t, "take it", p.take(code), "")
			wantCode(t, "take it again", p.take(code), AccessDenied)
			wantCode(t, "look at it again", p.check(code), AccessDenied)
			wantCode(t, "one from before", p.take(p.code(-1)), AccessDenied)
			wantCode(t, "the next one", p.take(p.code(1)), "")
			for what, err := range map[string]error{
				"another device": p.CheckCode(t.Context(), owner, "arn:aws:iam::123456789012:mfa/other", p.code(1)),
				"another owner":  p.CheckCode(t.Context(), account, p.device.Serial(), p.code(1)),
				"nobody":         p.CheckCode(t.Context(), "", p.device.Serial(), p.code(1)),
			} {
				if err == nil || err.Error() != "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user." {
					t.Errorf("%s: %v", what, err)
				}
			}
			if err := p.check("000000"); err == nil || err.Error() != "MultiFactorAuthentication failed with invalid MFA one time pass code. " {
				t.Errorf("a wrong code: %v", err)
			}
		})
	}
	p := newPhone(t, (widestDrift+1)*stepTime)
	wantCode(t, "a clock that is too far off", p.enable(p.code(-1), p.code(0)), InvalidAuthenticationCode)
}

// A device that is assigned to nobody proves nothing, not even of callers who can't have any.
func TestCodesOfADeviceThatIsNotAssigned(t *testing.T) {
	p := newPhone(t, 0)
	for what, err := range map[string]error{
		"nobody": p.CheckCode(t.Context(), "", p.device.Serial(), p.code(0)),
		"a user": p.CheckCode(t.Context(), owner, p.device.Serial(), p.code(0)),
	} {
		if err == nil || err.Error() != errWrongDevice.Error() {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestResync(t *testing.T) {
	p := newPhone(t, 0)
	p.mustEnable()
	p.ahead = 5 * stepTime
	wantCode(t, "the clock went off", p.check(p.code(0)), AccessDenied)
	resync := func(code1, code2 string) error {
		return p.db.Update(t.Context(), func(tx *store.Tx) error {
			d, err := p.MFADevice(tx, p.device.Serial())
			if err != nil {
				return err
			}
			return p.ResyncMFADevice(tx, d, code1, code2)
		})
	}
	wantCode(t, "wrong codes", resync("000000", "000001"), InvalidAuthenticationCode)
	wantCode(t, "resync", resync(p.code(-1), p.code(0)), "")
	wantCode(t, "the same codes again", resync(p.code(-1), p.code(0)), InvalidAuthenticationCode)
	wantCode(t, "a code of before", p.check(p.code(0)), AccessDenied)
	wantCode(t, "the next code", p.take(p.code(1)), "")
}

// Of two who come with the same code at once, one wins.
func TestCodeIsTakenOnce(t *testing.T) {
	p := newPhone(t, 0)
	p.mustEnable()
	p.clock.advance(time.Hour)
	code := p.code(0)
	errs := make(chan error, 8)
	for range cap(errs) {
		go func() { errs <- p.take(code) }()
	}
	won := 0
	for range cap(errs) {
		if err := <-errs; err == nil {
			won++
		} else {
			wantCode(t, "one who lost", err, AccessDenied)
		}
	}
	if won != 1 {
		t.Errorf("%d won", won)
	}
}

// Whoever tries codes has only so many tries, and is not told when the right one was among those after them.
func TestGuesses(t *testing.T) {
	p := newPhone(t, 0)
	p.mustEnable()
	p.clock.advance(time.Hour)
	wrong := "000000"
	for p.check(wrong) == nil { // one in 300,000
		wrong = "111111"
	}
	for range guessesAtOnce - 2 {
		wantCode(t, "a wrong code", p.check(wrong), AccessDenied)
	}
	wantCode(t, "the right one", p.check(p.code(0)), "")
	wantCode(t, "the last wrong one", p.check(wrong), AccessDenied)
	wantCode(t, "the right one after too many", p.check(p.code(0)), AccessDenied)
	p.clock.advance(guessEvery)
	wantCode(t, "one more", p.check(p.code(0)), "")
	wantCode(t, "another wrong one", p.check(wrong), AccessDenied)
	wantCode(t, "the right one", p.check(p.code(0)), AccessDenied)
	p.clock.advance(timeOfAllGuess)
	for range guessesAtOnce {
		wantCode(t, "wrong codes", p.check(wrong), AccessDenied)
	}
	wantCode(t, "the right one, much later", p.check(p.code(0)), AccessDenied)
}

func TestGuessesAreBounded(t *testing.T) {
	var g guesses
	now := time.Date(2026, 1, 15, 12, 30, 15, 0, time.UTC)
	for i := range maxGuessed + 100 {
		g.wrong(fmt.Sprint(i), now)
	}
	if n := len(g.until); n != maxGuessed {
		t.Errorf("%d devices are counted", n)
	}
	g.wrong("later", now.Add(time.Hour))
	if n := len(g.until); n != 1 {
		t.Errorf("%d devices are counted once all but one have their guesses again", n)
	}
}

func TestMFADeviceLists(t *testing.T) {
	p := newPhone(t, 0)
	p.mustEnable()
	p.mustUpdate(t, func(tx *store.Tx) error {
		for i := range 5 {
			if _, _, err := p.CreateMFADevice(tx, account, "", fmt.Sprint("d", i)); err != nil {
				return err
			}
		}
		names := func(which Assignment) (all []string) {
			after := ""
			for {
				page, last, more, err := p.MFADevicePage(tx, account, which, after, 2)
				if err != nil || len(page) > 2 {
					t.Fatalf("%d entries, error %v", len(page), err)
				}
				for _, d := range page {
					all = append(all, d.Name)
				}
				if after = last; !more {
					return all
				}
			}
		}
		want := map[Assignment][]string{AnyAssignment: {"d0", "d1", "d2", "d3", "d4", "phone"}, "": {"d0", "d1", "d2", "d3", "d4", "phone"},
			Assigned: {"phone"}, Unassigned: {"d0", "d1", "d2", "d3", "d4"}}
		for which, all := range want {
			if diff := cmp.Diff(all, names(which)); diff != "" {
				t.Errorf("%s: %s", which, diff)
			}
		}
		devices, more, err := p.MFADevices(tx, owner, "", 1)
		if err != nil || more || len(devices) != 1 || devices[0].Name != "phone" {
			t.Errorf("%v, more %v, error %v", devices, more, err)
		}
		return nil
	})
}

func TestQuotaOfMFADevices(t *testing.T) {
	p := newPhone(t, 0)
	for i := range devicesPerUser + 1 {
		p.mustUpdate(t, func(tx *store.Tx) error {
			d, text, err := p.CreateMFADevice(tx, account, "", fmt.Sprint("d", i))
			if err != nil {
				return err
			}
			p.seed, _ = base32.StdEncoding.DecodeString(text.Reveal())
			err = p.EnableMFADevice(tx, d, owner, p.code(-1), p.code(0))
			if i == devicesPerUser {
				wantCode(t, "the ninth", err, LimitExceeded)
				return nil
			}
			return err
		})
	}
}
