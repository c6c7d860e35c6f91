package kms

import (
	"context"
	"fmt"
	"time"

	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

// RootStatus is what is known of the root of trust, for the operator.
type RootStatus struct {
	Root string
	// Since is when this root came to wrap the installation key, and Rotated when that key was made anew last; zero if it
	// never was.
	Since, Rotated time.Time
	// Rotations counts how often it was.
	Rotations int64
	// ServiceKeys counts the keys that the installation key wraps.
	ServiceKeys int
	Outage      Outage
}

// Status reads what is known of the root.
func (k *Keyring) Status(ctx context.Context) (s RootStatus, err error) {
	err = k.db.View(ctx, func(tx *store.Tx) error {
		r, err := getRecord(tx)
		if err != nil {
			return err
		}
		s = RootStatus{Root: r.Root, Since: time.UnixMicro(r.Since), Rotations: r.Rotations, Outage: k.Outage()}
		if r.Rotations > 0 {
			s.Rotated = time.UnixMicro(r.Made)
		}
		rows, err := serviceRows(tx)
		s.ServiceKeys = len(rows)
		return err
	})
	return s, err
}

// Rotation says how keys are rotated. The zero value rotates those of the root that there is.
type Rotation struct {
	// To is the root from then on; nil is the same, with a new key if it can make one.
	To Root
	// Say is told of each step that is done; nil is nobody.
	Say func(string)
	// Record is called in the transaction that does it; nil records nothing.
	Record func(*store.Tx) error
}

// Rotate makes a new installation key and wraps all service keys with it, in one transaction, while the keys are in use.
// However it ends, the data opens: with the root of before if it failed, and with the new one otherwise.
func (k *Keyring) Rotate(ctx context.Context, rotation Rotation) error {
	to, say := rotation.To, rotation.Say
	if say == nil {
		say = func(string) {}
	}
	k.asking.Lock()
	defer k.asking.Unlock()
	// The root must open what is stored now, by which it also finishes what an earlier rotation left half done.
	if err := k.ask(ctx); err != nil {
		return fmt.Errorf("open the keys before they are rotated: %w", err)
	}
	old, before, _ := k.current()
	next, finish := to, func(context.Context) error { return nil }
	if to == nil {
		next = old
		if r, ok := old.(Renewer); ok {
			renewed, done, err := r.Renew(ctx)
			if err != nil {
				return fmt.Errorf("make a new root key: %w", err)
			}
			next, finish = renewed, done
			say("made a new key of " + old.String())
		}
	}
	r, key, err := newRecord(ctx, next, k.installation)
	if err != nil {
		return err
	}
	r.Rotations = before.Rotations + 1
	if to == nil {
		r.Root, r.Since = old.String(), before.Since
	}
	say("made a new installation key, wrapped by " + r.Root)
	k.hold(r.ID, key)
	n, err := k.switchTo(ctx, before, r, key, rotation)
	if err != nil {
		k.release(r.ID)
		return fmt.Errorf("wrap the service keys anew: %w", err)
	}
	say(fmt.Sprintf("wrapped %d service keys anew", n))
	// The data needs the new key of the root now: what is left is done whatever becomes of who asked for it.
	if err := finish(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("the keys are rotated, but the new root key is not in its place yet, where the next start puts it: %w", err)
	}
	k.release(before.ID)
	// What the old root opens is not to be found in the log of changes either.
	if err := k.db.Scrub(context.WithoutCancel(ctx), "service_key", "setting"); err != nil {
		say("what was wrapped before may stay in the database's log for a while: " + err.Error())
	}
	return nil
}

// switchTo rewraps all service keys and stores the record, if the one of before is still stored.
func (k *Keyring) switchTo(ctx context.Context, before, r record, key seal.Key, rotation Rotation) (n int, err error) {
	err = k.db.Update(ctx, func(tx *store.Tx) error {
		stored, err := getRecord(tx)
		if err != nil {
			return err
		}
		if stored.ID != before.ID {
			k.made.Add(1)
			return errChanged
		}
		old, err := k.wrappingKey(tx)
		if err != nil {
			return err
		}
		rows, err := serviceRows(tx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			service, err := row.open(old)
			if err != nil {
				return err
			}
			wrapped, err := seal.SealBytes(key, row.context(), service.Bytes())
			if err != nil {
				return err
			}
			if err := row.rewrap(tx, wrapped); err != nil {
				return err
			}
		}
		n = len(rows)
		if err := putRecord(tx, r); err != nil {
			return err
		}
		tx.OnCommit(func() {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.record = r
			if rotation.To != nil {
				k.root = rotation.To
			}
		})
		if rotation.Record != nil {
			if err := rotation.Record(tx); err != nil {
				return err
			}
		}
		return tx.Touch(topic)
	})
	return n, err
}

// hold keeps an installation key that is about to be in use, so that service keys that are made in the same moment find it.
func (k *Keyring) hold(id string, key seal.Key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wrapping[id] = key
}

// release forgets an installation key that is not in use.
func (k *Keyring) release(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.record.ID != id {
		delete(k.wrapping, id)
	}
}
