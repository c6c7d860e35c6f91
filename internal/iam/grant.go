package iam

import (
	"errors"
	"strings"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// Entity is a user, group, role or managed policy, by what it is called.
type Entity struct {
	Kind Kind
	// ID is the unique id; that of a managed policy of AWS is its ARN.
	ID, Account, Name, Path string
}

// ARN is the entity's Amazon resource name.
func (e Entity) ARN() string { return e.Kind.ARN(e.Account, e.Path, e.Name) }

// awsPolicies begins the ARNs of AWS's own managed policies, which are there in every account.
const awsPolicies = "arn:aws:iam::aws:policy/"

// EntityByARN finds a user, group, role or managed policy of an account, or a managed policy of AWS, by its ARN, whose case
// counts. The error is of code InvalidInput or NoSuchEntity.
func (s *Store) EntityByARN(tx *store.Tx, account, arn string) (Entity, error) {
	if strings.HasPrefix(arn, awsPolicies) {
		_, err := s.managedDocument(tx, arn)
		name := policyName(arn)
		path := strings.TrimSuffix(strings.TrimPrefix(arn, "arn:aws:iam::aws:policy"), name)
		return Entity{Kind: KindPolicy, ID: arn, Account: "aws", Name: name, Path: path}, err
	}
	kind, owner, path, name, ok := splitARN(arn)
	table := tables[kind]
	if !ok || table == "" || name == "" {
		return Entity{}, Errorf(InvalidInput, "Invalid Entity Arn: %s does not clearly define entity type and name.", arn)
	}
	missing := Errorf(NoSuchEntity, "The %s with name %s cannot be found.", kind, name)
	if kind == KindPolicy {
		missing = Errorf(NoSuchEntity, "Policy %s was not found.", arn)
	}
	if owner != account {
		return Entity{}, missing
	}
	e := Entity{Kind: kind, Account: account}
	err := tx.QueryRow(`SELECT id, name, path FROM `+table+` WHERE account = $1 AND name_key = $2`, account, nameKey(name)).Scan(&e.ID, &e.Name, &e.Path)
	if errors.Is(err, store.ErrNoRows) || err == nil && (e.Name != name || e.Path != path) {
		return Entity{}, missing
	}
	return e, err
}

// EntityByName finds a user, group or role of an account by name, without regard to case. The error is of code NoSuchEntity.
func (s *Store) EntityByName(tx *store.Tx, kind Kind, account, name string) (Entity, error) {
	e := Entity{Kind: kind, Account: account}
	err := tx.QueryRow(`SELECT id, name, path FROM `+tables[kind]+` WHERE account = $1 AND name_key = $2`, account, nameKey(name)).Scan(&e.ID, &e.Name, &e.Path)
	if errors.Is(err, store.ErrNoRows) {
		return Entity{}, Errorf(NoSuchEntity, "The %s with name %s cannot be found.", kind, name)
	}
	return e, err
}

// Changeable wants the entity to be one that its account may change. The error is of code UnmodifiableEntity.
func (e Entity) Changeable() error {
	if e.Kind != KindRole {
		return nil
	}
	return Role{Name: e.Name, Path: e.Path}.Changeable()
}

// Grant is a policy that says what an entity may do.
type Grant struct {
	Policy *policy.Policy
	// Name is the policy's, and ARN that of a managed one; empty for an inline one.
	Name, ARN string
	// Owner is who has the policy: the entity itself, or a group that it is in.
	Owner Entity
}

// Grants reads and compiles the policies that an entity has: its inline and its attached ones and those of its groups; of a
// managed policy, itself.
func (s *Store) Grants(tx *store.Tx, e Entity) ([]Grant, error) {
	if e.Kind == KindPolicy {
		p, err := s.managed(tx, e.ARN())
		return []Grant{{Policy: p, Name: e.Name, ARN: e.ARN(), Owner: e}}, err
	}
	owners := []Entity{e}
	if e.Kind == KindUser {
		groups, err := s.groupsOf(tx, e)
		if err != nil {
			return nil, err
		}
		owners = append(owners, groups...)
	}
	var all []Grant
	for _, owner := range owners {
		grants, err := s.ownGrants(tx, owner)
		if err != nil {
			return nil, err
		}
		all = append(all, grants...)
	}
	return all, nil
}

func (s *Store) groupsOf(tx *store.Tx, user Entity) ([]Entity, error) {
	rows, err := tx.Query(`SELECT g.id, g.name, g.path FROM iam_membership m JOIN iam_group g ON g.id = m.group_id
		WHERE m.member = $1 ORDER BY m.group_id`, user.ID)
	if err != nil {
		return nil, err
	}
	return store.Collect(rows, func(row store.Scanner) (Entity, error) {
		e := Entity{Kind: KindGroup, Account: user.Account}
		err := row.Scan(&e.ID, &e.Name, &e.Path)
		return e, err
	})
}

// ownGrants reads and compiles the inline and the attached policies of a user, group or role.
func (s *Store) ownGrants(tx *store.Tx, owner Entity) ([]Grant, error) {
	rows, err := tx.Query(`SELECT name, document FROM iam_inline WHERE owner = $1 ORDER BY name`, owner.ID)
	if err != nil {
		return nil, err
	}
	all, err := store.Collect(rows, func(row store.Scanner) (Grant, error) {
		g := Grant{Owner: owner}
		var document string
		if err := row.Scan(&g.Name, &document); err != nil {
			return Grant{}, err
		}
		// What can't be read any more denies everything. The name tells it from those of others, such as user_ann_pull.
		g.Policy, _ = policy.Load(policy.KindIdentity, []byte(document), policy.Options{Name: string(owner.Kind) + "_" + owner.Name + "_" + g.Name})
		return g, nil
	})
	if err != nil {
		return nil, err
	}
	rows, err = tx.Query(`SELECT policy FROM iam_attachment WHERE owner = $1 ORDER BY policy`, owner.ID)
	if err != nil {
		return nil, err
	}
	attached, err := store.Collect(rows, store.Value[string])
	if err != nil {
		return nil, err
	}
	for _, arn := range attached {
		p, err := s.managed(tx, arn)
		if err != nil {
			return nil, err
		}
		all = append(all, Grant{Policy: p, Name: policyName(arn), ARN: arn, Owner: owner})
	}
	return all, nil
}

// policyName is the name of a managed policy, which ends its ARN.
func policyName(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
