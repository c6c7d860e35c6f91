package organization

import (
	"context"
	"errors"
	"fmt"

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

// Standing finds an account's place, from memory if it can. An account that there isn't has no place.
func (s *Store) Standing(ctx context.Context, account string) (*Standing, error) {
	st, epoch := s.cache.standing(account)
	if st != nil {
		return st, nil
	}
	return s.readStanding(ctx, account, epoch)
}

// readStanding finds an account's place in the database. It is apart from Standing, whose variables stay on the stack so.
func (s *Store) readStanding(ctx context.Context, account string, epoch uint64) (st *Standing, err error) {
	compiled := s.cache.compiled()
	err = s.db.View(ctx, func(tx *store.Tx) (err error) {
		st, err = s.standing(tx, account, compiled)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look up the organization of account %s: %w", account, err)
	}
	s.cache.keep(epoch, account, st, compiled)
	return st, nil
}

func (s *Store) standing(tx *store.Tx, account string, compiled map[string]*policy.Policy) (*Standing, error) {
	info, err := s.Info(tx)
	if e := (*Error)(nil); errors.As(err, &e) {
		return &Standing{}, nil
	}
	if err != nil {
		return nil, err
	}
	parent, err := s.parentOf(tx, account)
	if errors.Is(err, store.ErrNoRows) {
		return &Standing{}, nil
	}
	if err != nil {
		return nil, err
	}
	levels, err := s.levels(tx, info, parent)
	if err != nil {
		return nil, err
	}
	st := &Standing{Organization: info.ID, Path: pathOf(info, levels), Management: account == info.Management}
	for _, t := range []struct {
		kind   policy.Kind
		typ    PolicyType
		levels *[][]*policy.Policy
	}{{policy.KindSCP, ServiceControl, &st.SCP}, {policy.KindRCP, ResourceControl, &st.RCP}} {
		enabled, err := s.enabled(tx, t.typ)
		if err != nil {
			return nil, err
		}
		if !enabled {
			continue
		}
		for _, target := range append(levels[:len(levels):len(levels)], account) {
			level, err := s.compiled(tx, info, t.kind, t.typ, target, compiled)
			if err != nil {
				return nil, err
			}
			*t.levels = append(*t.levels, level)
		}
	}
	return st, nil
}

// compiled returns the policies of a type that are attached to one target, of which those in memory aren't compiled anew.
func (s *Store) compiled(tx *store.Tx, info Info, kind policy.Kind, t PolicyType, target string, compiled map[string]*policy.Policy) ([]*policy.Policy, error) {
	attached, err := s.PoliciesOf(tx, target, t, "", maxAttached)
	if err != nil {
		return nil, err
	}
	level := make([]*policy.Policy, 0, len(attached))
	for _, p := range attached {
		if compiled[p.ID] == nil {
			// What can't be read any more denies everything.
			compiled[p.ID], _ = policy.Load(kind, []byte(p.Document), policy.Options{Name: info.ARNOfPolicy(p)})
		}
		level = append(level, compiled[p.ID])
	}
	return level, nil
}
