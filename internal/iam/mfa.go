package iam

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"time"

	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/store"
)

// Quotas of MFA devices: of a user or root, and of an account, assigned or not.
const (
	devicesPerUser    = 8
	devicesPerAccount = 5000
)

// maxSerial bounds the length of a serial number, in characters.
const maxSerial = 256

// MFADevice is a virtual MFA device: an app that shows one-time codes.
type MFADevice struct {
	Account, Name, Path string
	CreatedAt           time.Time
	// Owner is the unique id of the user, or the account's id for its root; empty while the device isn't assigned.
	Owner string
	// EnabledAt is zero while the device isn't assigned.
	EnabledAt time.Time

	seed []byte // sealed
	// drift is how many steps the device's clock is ahead, and lastStep that of the last code that was taken.
	drift, lastStep int64
}

// Serial is the device's serial number, its Amazon resource name.
func (d MFADevice) Serial() string { return MFASerial(d.Account, d.Path, d.Name) }

// MFASerial is the serial number that a device of this path and name has.
func MFASerial(account, path, name string) string {
	return Kind("mfa").ARN(account, OrRoot(path), name)
}

// NoMFADevice is the refusal of a serial number that no device has.
func NoMFADevice(serial string) *Error {
	return Errorf(NoSuchEntity, "VirtualMFADevice with serial number %s doesn't exist.", serial)
}

// CreateMFADevice makes a device that is assigned to nobody yet, and returns its seed in base32, which is never shown
// again. The error is of code EntityAlreadyExists, LimitExceeded, ValidationError or, while FIPS 140-3 is enforced, InvalidInput.
func (s *Store) CreateMFADevice(tx *store.Tx, account, path, name string) (d MFADevice, seed secret.Text, err error) {
	d = MFADevice{Account: account, Name: name, Path: OrRoot(path), CreatedAt: s.now()}
	if err := unlessFIPS(errFIPSDevice); err != nil {
		return d, seed, err
	}
	if len(d.Serial()) > maxSerial {
		return d, seed, Errorf(ValidationError, "The path and the name of a virtual MFA device must not be longer together than its serial number may be, which is %d characters.", maxSerial)
	}
	if err := s.count(tx, "iam_mfa", account, devicesPerAccount, "MFADevicesPerAccount"); err != nil {
		return d, seed, err
	}
	if _, err := s.MFADevice(tx, d.Serial()); err == nil {
		return d, seed, Errorf(EntityAlreadyExists, "MFADevice entity at the same path and name already exists.")
	} else if !IsMissing(err) {
		return d, seed, err
	}
	var raw [40]byte
	rand.Read(raw[:])
	if d.seed, err = seal.SealBytes(s.secrets, seedContext(d.Serial()), raw[:]); err != nil {
		return d, seed, err
	}
	if err := s.changed(tx, account); err != nil {
		return d, seed, err
	}
	_, err = tx.Exec(`INSERT INTO iam_mfa (serial, account, name, path, seed, drift, last_step, created_at) VALUES ($1, $2, $3, $4, $5, 0, 0, $6)`,
		d.Serial(), account, name, d.Path, d.seed, d.CreatedAt.UnixMicro())
	return d, secret.New(base32.StdEncoding.EncodeToString(raw[:])), err
}

func seedContext(serial string) []byte { return append([]byte("mfa-seed\x00"), serial...) }

const deviceColumns = `account, name, path, created_at, owner, enabled_at, seed, drift, last_step`

func scanDevice(row store.Scanner) (MFADevice, error) {
	var d MFADevice
	var created int64
	var owner *string
	var enabled *int64
	if err := row.Scan(&d.Account, &d.Name, &d.Path, &created, &owner, &enabled, &d.seed, &d.drift, &d.lastStep); err != nil {
		return MFADevice{}, err
	}
	if owner != nil {
		d.Owner = *owner
	}
	d.CreatedAt, d.EnabledAt = time.UnixMicro(created), moment(enabled)
	return d, nil
}

// MFADevice finds a device. The error is of code NoSuchEntity.
func (s *Store) MFADevice(tx *store.Tx, serial string) (MFADevice, error) {
	d, err := scanDevice(tx.QueryRow(`SELECT `+deviceColumns+` FROM iam_mfa WHERE serial = $1`, serial))
	if errors.Is(err, store.ErrNoRows) {
		return MFADevice{}, NoMFADevice(serial)
	}
	return d, err
}

// MFADeviceOf finds a device that is assigned to a user or root. The error is of code NoSuchEntity.
func (s *Store) MFADeviceOf(tx *store.Tx, owner, serial string) (MFADevice, error) {
	d, err := s.MFADevice(tx, serial)
	if err == nil && (owner == "" || d.Owner != owner) { // a device that isn't assigned is nobody's, and not that of nobody
		return MFADevice{}, NoMFADevice(serial)
	}
	return d, err
}

// MFADevices lists the devices of a user or root that come after a serial number; an empty one is the beginning. There are
// few of them.
func (s *Store) MFADevices(tx *store.Tx, owner, after string, n int) (devices []MFADevice, more bool, err error) {
	rows, err := tx.Query(`SELECT `+deviceColumns+` FROM iam_mfa WHERE owner = $1 AND serial > $2 ORDER BY serial LIMIT $3`, owner, after, n+1)
	if err != nil {
		return nil, false, err
	}
	return cut(rows, n, scanDevice)
}

// Assignment says whether a list has the devices that are assigned, those that are not, or both.
type Assignment string

// The assignments, as the API names them.
const (
	AnyAssignment Assignment = "Any"
	Assigned      Assignment = "Assigned"
	Unassigned    Assignment = "Unassigned"
)

// MFADevicePage lists the devices of an account that come after a serial number; an empty one is the beginning. A page may
// have fewer than n entries, or none, although the list goes on; last is where.
func (s *Store) MFADevicePage(tx *store.Tx, account string, which Assignment, after string, n int) (devices []MFADevice, last string, more bool, err error) {
	rows, err := tx.Query(`SELECT `+deviceColumns+` FROM iam_mfa WHERE account = $1 AND serial > $2 ORDER BY serial LIMIT $3`, account, after, n+1)
	if err != nil {
		return nil, "", false, err
	}
	all, more, err := cut(rows, n, scanDevice)
	for _, d := range all {
		last = d.Serial()
		if which == AnyAssignment || which == "" || (which == Assigned) == (d.Owner != "") {
			devices = append(devices, d)
		}
	}
	return devices, last, more, err
}

// widestDrift is how many steps the clock of a device may be off when it is enabled or synchronised.
const widestDrift = 20

// errNoCodes is the refusal of two codes. The wording is not confirmed.
var errNoCodes = Errorf(InvalidAuthenticationCode, "Authentication code for device is not valid.")

// synchronise finds the step in which the device showed the second of two codes, one right after the other.
func (s *Store) synchronise(d *MFADevice, code1, code2 string) error {
	if err := unlessFIPS(errFIPSCodes); err != nil {
		return err
	}
	seed, err := s.seedOf(d)
	if err != nil {
		return err
	}
	return s.guesses.judge(d.Serial(), s.now(), errNoCodes, func() bool {
		now := stepAt(s.now())
		for drift := int64(-widestDrift); drift <= widestDrift; drift++ {
			step := now + drift
			if sameCode(oneTimeCode(seed, step-1), code1) && sameCode(oneTimeCode(seed, step), code2) && step > d.lastStep {
				d.drift, d.lastStep = drift, step
				return true
			}
		}
		return false
	})
}

func (s *Store) seedOf(d *MFADevice) ([]byte, error) {
	seed, err := seal.OpenBytes(s.secrets, seedContext(d.Serial()), d.seed)
	if err != nil {
		return nil, fmt.Errorf("open the seed of MFA device %s: %w", d.Serial(), err)
	}
	return seed, nil
}

// EnableMFADevice assigns a device to a user, or to the account's root, who proves by two codes that it is at hand. The
// error is of code InvalidAuthenticationCode, EntityAlreadyExists or LimitExceeded.
func (s *Store) EnableMFADevice(tx *store.Tx, d MFADevice, owner, code1, code2 string) error {
	if d.Owner != "" {
		return Errorf(EntityAlreadyExists, "MFA Device is already in use.")
	}
	devices, _, err := s.MFADevices(tx, owner, "", devicesPerUser)
	if err != nil {
		return err
	}
	if len(devices) >= devicesPerUser {
		return Errorf(LimitExceeded, "Cannot exceed quota for MFADevicesPerUser: %d", devicesPerUser)
	}
	if err := s.synchronise(&d, code1, code2); err != nil {
		return err
	}
	if err := s.changed(tx, d.Account); err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE iam_mfa SET owner = $1, enabled_at = $2, drift = $3, last_step = $4 WHERE serial = $5`,
		owner, s.now().UnixMicro(), d.drift, d.lastStep, d.Serial())
	return err
}

// ResyncMFADevice finds out anew how far a device's clock is off. The error is of code InvalidAuthenticationCode.
func (s *Store) ResyncMFADevice(tx *store.Tx, d MFADevice, code1, code2 string) error {
	if err := s.synchronise(&d, code1, code2); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE iam_mfa SET drift = $1, last_step = $2 WHERE serial = $3`, d.drift, d.lastStep, d.Serial())
	return err
}

// DeactivateMFADevice takes a device from its owner. It can be enabled again.
func (s *Store) DeactivateMFADevice(tx *store.Tx, d MFADevice) error {
	if err := s.changed(tx, d.Account); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE iam_mfa SET owner = NULL, enabled_at = NULL WHERE serial = $1`, d.Serial())
	return err
}

// DeleteMFADevice deletes a device. The error is of code DeleteConflict while it is assigned.
func (s *Store) DeleteMFADevice(tx *store.Tx, d MFADevice) error {
	if d.Owner != "" {
		return Errorf(DeleteConflict, "MFA VirtualDevice in use. Must deactivate first.")
	}
	if err := s.changed(tx, d.Account); err != nil {
		return err
	}
	for _, query := range []string{`DELETE FROM iam_tag WHERE owner = $1`, `DELETE FROM iam_mfa WHERE serial = $1`} {
		if _, err := tx.Exec(query, d.Serial()); err != nil {
			return err
		}
	}
	return nil
}

// Sentences of STS about codes, to the letter.
var (
	errWrongCode   = Errorf(AccessDenied, "MultiFactorAuthentication failed with invalid MFA one time pass code. ")
	errWrongDevice = Errorf(AccessDenied, "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.")
)

// CheckCode judges the code that one of a user's or root's devices shows, and leaves it as good as it was. The error is of
// code AccessDenied.
func (s *Store) CheckCode(ctx context.Context, owner, serial, code string) error {
	return s.db.View(ctx, func(tx *store.Tx) error {
		_, err := s.stepOf(tx, owner, serial, code)
		return err
	})
}

// TakeCode judges a code as CheckCode does, and makes it void: of two who come with the same code at once, one wins.
func (s *Store) TakeCode(ctx context.Context, owner, serial, code string) error {
	return s.db.Update(ctx, func(tx *store.Tx) error {
		step, err := s.stepOf(tx, owner, serial, code)
		if err != nil {
			return err
		}
		// Nothing that is kept in memory depends on it.
		n, err := tx.Exec(`UPDATE iam_mfa SET last_step = $1 WHERE serial = $2 AND owner = $3 AND last_step < $1`, step, serial, owner)
		if err == nil && n == 0 {
			err = errWrongCode
		}
		return err
	})
}

// stepOf is the step in which the device shows a code that wasn't taken yet: this one, or one beside it.
func (s *Store) stepOf(tx *store.Tx, owner, serial, code string) (step int64, err error) {
	d, err := s.MFADeviceOf(tx, owner, serial)
	if IsMissing(err) {
		return 0, errWrongDevice
	}
	if err != nil {
		return 0, err
	}
	if err := unlessFIPS(errFIPSSignIn); err != nil {
		return 0, err
	}
	seed, err := s.seedOf(&d)
	if err != nil {
		return 0, err
	}
	now := stepAt(s.now()) + d.drift
	err = s.guesses.judge(serial, s.now(), errWrongCode, func() bool {
		for step = now - 1; step <= now+1; step++ {
			if step > d.lastStep && sameCode(oneTimeCode(seed, step), code) {
				return true
			}
		}
		return false
	})
	return step, err
}
