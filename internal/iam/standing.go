package iam

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// Standing is a user or role with all that decides what it may do, as of the account's last change. It never changes.
type Standing struct {
	ID, Account, Name, Path string
	Kind                    Kind
	// Policies are the inline and the attached ones, those of a user's groups among them.
	Policies []*policy.Policy
	// Boundary is nil where there is none.
	Boundary []*policy.Policy
	Tags     []Tag
	// BoundaryARN names the boundary; empty where there is none.
	BoundaryARN string
	// Keys are the condition keys that the user or role has as a resource: its tags.
	Keys policy.Context

	// Of a role only.
	Trust         *policy.Policy
	LinkedService string
	MaxSession    time.Duration
}

// ARN is the entity's Amazon resource name.
func (s *Standing) ARN() string { return s.Kind.ARN(s.Account, s.Path, s.Name) }

// Tag is a tag of an entity.
type Tag struct{ Key, Value string }

// ErrGone means that no user or role has that id.
var ErrGone = errors.New("the user or role does not exist")

type standingKey struct{ id string }

// Standing finds a user or role by unique id, from memory if it can. The error is ErrGone.
func (s *Store) Standing(ctx context.Context, account, id string) (*Standing, error) {
	return cached(&s.cache, account, standingKey{id}, func() (st *Standing, err error) {
		err = s.db.View(ctx, func(tx *store.Tx) error {
			st, err = s.standing(tx, account, id)
			return err
		})
		return st, err
	})
}

type arnKey struct{ arn string }

// ByARN finds a user or role by ARN, whose case counts, from memory if it can. The error is ErrGone.
func (s *Store) ByARN(ctx context.Context, arn string) (*Standing, error) {
	_, account, _, _, ok := splitARN(arn)
	if !ok {
		return nil, ErrGone
	}
	id, err := cached(&s.cache, account, arnKey{arn}, func() (id string, err error) {
		err = s.db.View(ctx, func(tx *store.Tx) error {
			var failure error
			id, ok = s.Resolve(tx, &failure)(arn)
			return failure
		})
		if err == nil && !ok {
			err = ErrGone
		}
		return id, err
	})
	if err != nil {
		return nil, err
	}
	return s.Standing(ctx, account, id)
}

// ARNOf is the ARN of a user, group or role of an account, by its name without regard to case. One that does not exist has
// the root path, so that what is asked about it tells nothing.
func (s *Store) ARNOf(ctx context.Context, kind Kind, account, name string) (arn string, err error) {
	table := tables[kind]
	err = s.db.View(ctx, func(tx *store.Tx) error {
		var path, written string
		err := tx.QueryRow(`SELECT path, name FROM `+table+` WHERE account = $1 AND name_key = $2`, account, nameKey(name)).Scan(&path, &written)
		if errors.Is(err, store.ErrNoRows) {
			path, written, err = rootPath, name, nil
		}
		arn = kind.ARN(account, path, written)
		return err
	})
	return arn, err
}

// tables hold the entities of each kind.
var tables = map[Kind]string{KindUser: "iam_user", KindGroup: "iam_group", KindRole: "iam_role", KindPolicy: "iam_policy"}

// standing reads a user or role with its policies.
func (s *Store) standing(tx *store.Tx, account, id string) (*Standing, error) {
	st, err := s.entity(tx, id)
	if err != nil {
		return nil, err
	}
	if st.Account != account {
		return nil, ErrGone
	}
	grants, err := s.Grants(tx, Entity{ID: id, Account: account, Kind: st.Kind, Name: st.Name, Path: st.Path})
	if err != nil {
		return nil, err
	}
	for _, g := range grants {
		st.Policies = append(st.Policies, g.Policy)
	}
	if st.Kind == KindUser {
		own, err := s.ofPasswordPolicy(tx, account)
		if err != nil {
			return nil, err
		}
		st.Policies = append(st.Policies, own...)
	}
	if st.BoundaryARN != "" {
		boundary, err := s.managed(tx, st.BoundaryARN)
		if err != nil {
			return nil, err
		}
		st.Boundary = []*policy.Policy{boundary}
	}
	if st.Tags, err = s.Tags(tx, id); err != nil {
		return nil, err
	}
	st.Keys = resourceKeys(st.Tags)
	return st, nil
}

// resourceKeys are the condition keys of tags that a resource of IAM has.
func resourceKeys(tags []Tag) policy.Context {
	keys := policy.Context{}
	for _, t := range tags {
		keys.Put("aws:ResourceTag/"+t.Key, t.Value)
		keys.Put("iam:ResourceTag/"+t.Key, t.Value)
	}
	return keys
}

// entity reads a user or role without its policies.
func (s *Store) entity(tx *store.Tx, id string) (*Standing, error) {
	u, err := scanUser(tx.QueryRow(`SELECT `+userColumns+` FROM iam_user WHERE id = $1`, id))
	if err == nil {
		return &Standing{ID: u.ID, Account: u.Account, Name: u.Name, Path: u.Path, Kind: KindUser, BoundaryARN: u.Boundary}, nil
	}
	if !errors.Is(err, store.ErrNoRows) {
		return nil, fmt.Errorf("look up user %s: %w", id, err)
	}
	r, err := scanRole(tx.QueryRow(`SELECT `+roleColumns+` FROM iam_role WHERE id = $1`, id))
	if errors.Is(err, store.ErrNoRows) {
		return nil, ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("look up role %s: %w", id, err)
	}
	// What can't be read any more trusts nobody.
	trust, _ := policy.Load(policy.KindTrust, []byte(r.Trust), policy.Options{Name: r.ARN()})
	return &Standing{ID: r.ID, Account: r.Account, Name: r.Name, Path: r.Path, Kind: KindRole, BoundaryARN: r.Boundary,
		Trust: trust, LinkedService: r.LinkedService, MaxSession: r.MaxSession}, nil
}

// managed reads and compiles the default version of a managed policy. One that is gone denies everything.
func (s *Store) managed(tx *store.Tx, arn string) (*policy.Policy, error) {
	document, err := s.managedDocument(tx, arn)
	if err != nil && !IsMissing(err) {
		return nil, err
	}
	p, _ := policy.Load(policy.KindManaged, []byte(document), policy.Options{Name: arn})
	return p, nil
}

type managedKey struct{ arn string }

// Managed finds the default version of a managed policy that sessions of an account may carry, from memory if it can. One
// that is gone denies everything.
func (s *Store) Managed(ctx context.Context, account, arn string) (*policy.Policy, error) {
	return cached(&s.cache, account, managedKey{arn}, func() (p *policy.Policy, err error) {
		err = s.db.View(ctx, func(tx *store.Tx) error {
			p, err = s.managed(tx, arn)
			return err
		})
		return p, err
	})
}
