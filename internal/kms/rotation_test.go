package kms

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/store"
)

// days lets so many days pass, or come back.
func (e *keysEnv) days(n int) { e.at = e.at.AddDate(0, 0, n) }

// rotate runs the rotations that are due.
func (e *keysEnv) rotate() (all []KeyRotation) {
	e.t.Helper()
	n, err := e.Rotate(e.t.Context(), func(tx *store.Tx, r KeyRotation) error {
		tx.OnCommit(func() { all = append(all, r) })
		return nil
	})
	e.must(err)
	if n != len(all) {
		e.t.Errorf("%d rotations were recorded as %d", n, len(all))
	}
	return all
}

// now reads a key as it stands.
func (e *keysEnv) now(key Key) (now Key) {
	e.t.Helper()
	e.must(e.View(e.t.Context(), func(tx *store.Tx) (err error) {
		now, err = e.Key(tx, key.ID)
		return err
	}))
	return now
}

func (e *keysEnv) enableRotation(key Key, days int64) error {
	return e.change(func(tx *store.Tx) error { return e.EnableRotation(tx, key, days) })
}

func (e *keysEnv) status(key Key) (s RotationStatus) {
	e.t.Helper()
	e.must(e.View(e.t.Context(), func(tx *store.Tx) (err error) {
		s, err = e.RotationStatus(tx, key)
		return err
	}))
	return s
}

func (e *keysEnv) rotations(key Key, all bool) (list []MaterialInfo) {
	e.t.Helper()
	e.must(e.View(e.t.Context(), func(tx *store.Tx) error {
		var after MaterialPlace
		for {
			page, err := e.Rotations(tx, key, all, after, 2)
			if err != nil || len(page) == 0 {
				return err
			}
			list = append(list, page...)
			after = page[len(page)-1].Place()
		}
	}))
	return list
}

func (e *keysEnv) encrypt(key Key) []byte {
	e.t.Helper()
	blob, err := e.Encrypt(e.t.Context(), key.ARN, []byte("text"), Context{"a": "b"})
	e.must(err)
	return blob
}

func (e *keysEnv) opens(blob []byte) error {
	_, _, _, err := e.Decrypt(e.t.Context(), blob, Context{"a": "b"})
	return err
}

func TestRotationKeepsTheSchedule(t *testing.T) {
	e := newKeysEnv(t)
	key := e.create(NewKey{})
	start := e.at
	if s := e.status(key); s.Enabled {
		t.Errorf("a new key rotates: %+v", s)
	}
	for _, days := range []int64{89, 2561, -1} {
		refused(t, e.enableRotation(key, days), CodeValidation, "RotationPeriodInDays")
	}
	e.must(e.enableRotation(key, 100))
	if s := e.status(key); s != (RotationStatus{true, 100, start.AddDate(0, 0, 100)}) {
		t.Errorf("status %+v", s)
	}
	blobs := [][]byte{e.encrypt(key)}
	e.days(50)
	e.must(e.enableRotation(key, 100)) // which changes nothing
	e.at = start.AddDate(0, 0, 100).Add(-time.Second)
	if r := e.rotate(); r != nil {
		t.Errorf("it rotates too early: %+v", r)
	}
	for i := 1; i <= 3; i++ {
		e.at = start.AddDate(0, 0, 100*i).Add(time.Duration(i) * time.Minute)
		r := e.rotate()
		if len(r) != 1 || r[0].Kind != MaterialAutomatic || r[0].Current == r[0].Previous || e.now(key).Current != r[0].Current {
			t.Fatalf("rotation %d: %+v", i, r)
		}
		if again := e.rotate(); again != nil {
			t.Errorf("it rotates twice: %+v", again)
		}
		if s := e.status(key); !s.Next.Equal(start.AddDate(0, 0, 100*(i+1))) {
			t.Errorf("the next rotation after %d is at %v", i, s.Next)
		}
		blobs = append(blobs, e.encrypt(key))
	}
	used := map[string]bool{}
	for i, blob := range blobs {
		e.must(e.opens(blob))
		_, id, err := ParseBlob(blob)
		e.must(err)
		if used[id] {
			t.Errorf("ciphertext %d was made with material %s, as another was", i, id)
		}
		used[id] = true
	}
	list, all := e.rotations(key, false), e.rotations(key, true)
	if len(list) != 3 || len(all) != 4 || all[0].Kind != MaterialCreated || !all[0].Rotated.IsZero() || all[3].State != MaterialCurrent {
		t.Errorf("rotations %+v", all)
	}
	for i, m := range list {
		if m.Kind != MaterialAutomatic || !m.Rotated.Equal(start.AddDate(0, 0, 100*(i+1)).Add(time.Duration(i+1)*time.Minute)) || (m.State == MaterialCurrent) != (i == 2) {
			t.Errorf("rotation %d: %+v", i, m)
		}
	}
	e.must(e.change(func(tx *store.Tx) error { return e.DisableRotation(tx, key) }))
	e.days(10_000)
	if r := e.rotate(); r != nil || e.status(key).Enabled {
		t.Errorf("it rotates though that was disabled: %+v", r)
	}
}

// A clock that jumps makes at most one rotation, and none when it jumps back.
func TestRotationWithAJumpingClock(t *testing.T) {
	e := newKeysEnv(t)
	key := e.create(NewKey{})
	e.must(e.enableRotation(key, 90))
	e.days(-3650)
	if r := e.rotate(); r != nil {
		t.Errorf("it rotates in the past: %+v", r)
	}
	blob := e.encrypt(key)
	e.days(3650 + 1000)
	if r := e.rotate(); len(r) != 1 {
		t.Errorf("after eleven periods: %+v", r)
	}
	if s := e.status(key); !s.Next.Equal(e.at.AddDate(0, 0, 90)) {
		t.Errorf("the next rotation is at %v", s.Next)
	}
	if r := e.rotate(); r != nil {
		t.Errorf("it rotates twice: %+v", r)
	}
	e.days(-2000)
	if r := e.rotate(); r != nil {
		t.Errorf("it rotates as the clock goes back: %+v", r)
	}
	e.must(e.opens(blob))
	e.must(e.opens(e.encrypt(key)))
}

func TestRotationWaitsForTheKey(t *testing.T) {
	e := newKeysEnv(t)
	key := e.create(NewKey{})
	e.must(e.enableRotation(key, 90))
	e.must(e.change(func(tx *store.Tx) error { return e.SetEnabled(tx, key, false) }))
	e.days(200)
	if r := e.rotate(); r != nil {
		t.Errorf("a disabled key rotates: %+v", r)
	}
	if s := e.status(key); !s.Enabled {
		t.Error("a disabled key has lost its schedule")
	}
	e.must(e.change(func(tx *store.Tx) error { return e.SetEnabled(tx, key, true) }))
	if r := e.rotate(); len(r) != 1 {
		t.Errorf("an overdue key was enabled: %+v", r)
	}
	next := e.status(key).Next
	e.must(e.change(func(tx *store.Tx) error { _, err := e.ScheduleDeletion(tx, key, 30); return err }))
	if s := e.status(key); s.Enabled {
		t.Errorf("a key that is to be destroyed rotates: %+v", s)
	}
	refused(t, e.enableRotation(key, 90), CodeInvalidState, "pending deletion")
	e.must(e.change(func(tx *store.Tx) error { return e.CancelDeletion(tx, key) }))
	if s := e.status(key); !s.Enabled || !s.Next.Equal(next) {
		t.Errorf("a key that is kept after all: %+v", s)
	}
}

// Many servers look at the same time, and the key rotates once.
func TestRotationHappensOnce(t *testing.T) {
	e := newKeysEnv(t)
	key := e.create(NewKey{})
	e.must(e.enableRotation(key, 90))
	e.days(91)
	var rotated, recorded atomic.Int64
	var servers sync.WaitGroup
	for range 8 {
		other := e.open(e.db)
		servers.Go(func() {
			n, err := other.Rotate(t.Context(), func(tx *store.Tx, _ KeyRotation) error {
				tx.OnCommit(func() { recorded.Add(1) })
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			rotated.Add(int64(n))
		})
	}
	servers.Wait()
	if rotated.Load() != 1 || recorded.Load() != 1 || len(e.rotations(key, true)) != 2 {
		t.Errorf("rotated %d times, recorded %d times", rotated.Load(), recorded.Load())
	}
}

func TestManagedKeysRotateYearly(t *testing.T) {
	e := newKeysEnv(t)
	key, err := e.Managed(t.Context(), account, region, "ecr")
	e.must(err)
	if s := e.status(key); s != (RotationStatus{true, 365, e.at.AddDate(0, 0, 365)}) {
		t.Errorf("status %+v", s)
	}
	refused(t, e.enableRotation(key, 90), CodeUnsupportedOperation, "managed by AWS")
	refused(t, e.change(func(tx *store.Tx) error { return e.DisableRotation(tx, key) }), CodeUnsupportedOperation, "managed by AWS")
	refused(t, e.change(func(tx *store.Tx) error { _, err := e.RotateOnDemand(tx, key); return err }), CodeUnsupportedOperation, "managed by AWS")
	blob := e.encrypt(key)
	e.days(365)
	if r := e.rotate(); len(r) != 1 {
		t.Errorf("after a year: %+v", r)
	}
	e.must(e.opens(blob))
}

func TestRotateOnDemand(t *testing.T) {
	e := newKeysEnv(t)
	key := e.create(NewKey{})
	e.must(e.enableRotation(key, 90))
	next := e.status(key).Next
	demand := func() (r KeyRotation, err error) {
		err = e.change(func(tx *store.Tx) error { r, err = e.RotateOnDemand(tx, key); return err })
		return r, err
	}
	e.at = next.Add(-19 * time.Minute)
	_, err := demand()
	refused(t, err, CodeConflict, "20 minutes")
	e.at = next.Add(-time.Hour)
	blobs := [][]byte{e.encrypt(key)}
	for range MaxOnDemand {
		r, err := demand()
		e.must(err)
		if r.Kind != MaterialOnDemand || e.now(key).Current != r.Current {
			t.Errorf("%+v", r)
		}
		blobs = append(blobs, e.encrypt(key))
	}
	_, err = demand()
	refused(t, err, CodeLimitExceeded, "25 times")
	if s := e.status(key); !s.Next.Equal(next) {
		t.Errorf("the schedule moved to %v", s.Next)
	}
	for _, blob := range blobs {
		e.must(e.opens(blob))
	}
	e.must(e.change(func(tx *store.Tx) error { return e.SetEnabled(tx, key, false) }))
	_, err = demand()
	refused(t, err, CodeDisabled, "is disabled")
}

// What a change of another server brings is used here once it is known of.
func TestRotationElsewhere(t *testing.T) {
	e := newKeysEnv(t)
	key := e.create(NewKey{})
	other := e.open(e.db)
	if _, err := other.Encrypt(t.Context(), key.ARN, []byte("a"), nil); err != nil {
		t.Fatal(err)
	}
	e.must(e.change(func(tx *store.Tx) error { _, err := e.RotateOnDemand(tx, key); return err }))
	blob, err := other.Encrypt(t.Context(), key.ARN, []byte("a"), nil)
	e.must(err)
	if _, id, _ := ParseBlob(blob); id != e.now(key).Current {
		t.Errorf("another server encrypts with %s still", id)
	}
}

func TestOnlySymmetricKeysRotate(t *testing.T) {
	e := newKeysEnv(t)
	for spec, usage := range map[string]string{"HMAC_256": UsageMac, "ECC_NIST_P256": UsageSign} {
		key := e.create(NewKey{Spec: spec, Usage: usage})
		for name, fn := range map[string]func(*store.Tx) error{
			"enable":    func(tx *store.Tx) error { return e.EnableRotation(tx, key, 0) },
			"disable":   func(tx *store.Tx) error { return e.DisableRotation(tx, key) },
			"status":    func(tx *store.Tx) error { _, err := e.RotationStatus(tx, key); return err },
			"on demand": func(tx *store.Tx) error { _, err := e.RotateOnDemand(tx, key); return err },
			"list":      func(tx *store.Tx) error { _, err := e.Rotations(tx, key, true, MaterialPlace{}, 1); return err },
		} {
			t.Log(spec, name)
			refused(t, e.change(fn), CodeUnsupportedOperation, spec)
		}
	}
	external := e.create(NewKey{Origin: OriginExternal})
	refused(t, e.enableRotation(external, 0), CodeUnsupportedOperation, "origin is EXTERNAL")
}
