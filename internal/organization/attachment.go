package organization

import (
	"slices"

	"github.com/coffer-registry/coffer/internal/store"
)

// maxAttached is AWS's quota of policies of a type that are attached to one target, those of AWS among them.
const maxAttached = 5

const targetNotFound = "You specified a target that doesn't exist."

// Target is what a policy is attached to.
type Target struct {
	ID, Name string
}

// PoliciesOf lists the policies of a type that are attached to a target itself, by id, after one id.
func (s *Store) PoliciesOf(tx *store.Tx, target string, t PolicyType, after string, n int) ([]Policy, error) {
	rows, err := tx.Query(`SELECT `+policyColumns+` FROM organization_attachment a JOIN organization_policy p ON p.id = a.policy
		WHERE a.target = $1 AND a.type = $2 AND a.policy > $3 ORDER BY a.policy LIMIT $4`, target, string(t), after, n)
	if err != nil {
		return nil, err
	}
	return store.Collect(rows, scanPolicy)
}

// TargetsOf lists what a policy is attached to, by id, after one id.
func (s *Store) TargetsOf(tx *store.Tx, policy, after string, n int) ([]Target, error) {
	rows, err := tx.Query(`SELECT a.target, coalesce(u.name, c.name, 'Root') FROM organization_attachment a
		LEFT JOIN organization_unit u ON u.id = a.target LEFT JOIN account c ON c.id = a.target
		WHERE a.policy = $1 AND a.target > $2 ORDER BY a.target LIMIT $3`, policy, after, n)
	if err != nil {
		return nil, err
	}
	return store.Collect(rows, func(row store.Scanner) (t Target, err error) { return t, row.Scan(&t.ID, &t.Name) })
}

// CheckTarget looks whether there is such a root, unit or account. The error is of code TargetNotFoundException.
func (s *Store) CheckTarget(tx *store.Tx, id string) error {
	table := map[Kind]string{
		KindRoot: `organization WHERE root`, KindUnit: `organization_unit WHERE id`, KindAccount: `organization_account WHERE account`,
	}[KindOf(id)]
	var n int
	err := tx.QueryRow(`SELECT count(*) FROM `+table+` = $1`, id).Scan(&n)
	if err == nil && n == 0 {
		return Errorf(TargetNotFound, targetNotFound)
	}
	return err
}

// Attach attaches a policy to a root, unit or account. The error is of code PolicyNotFoundException,
// TargetNotFoundException, PolicyTypeNotEnabledException, DuplicatePolicyAttachmentException or
// ConstraintViolationException.
func (s *Store) Attach(tx *store.Tx, policy, target string) error {
	p, err := s.Policy(tx, policy)
	if err != nil {
		return err
	}
	if err := s.CheckTarget(tx, target); err != nil {
		return err
	}
	if err := s.checkEnabled(tx, p.Type); err != nil {
		return err
	}
	attached, err := s.PoliciesOf(tx, target, p.Type, "", maxAttached)
	if err != nil {
		return err
	}
	if hasPolicy(attached, policy) {
		return Errorf(DuplicatePolicyAttachment, duplicatePolicy)
	}
	if len(attached) >= maxAttached {
		return violated("MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", "You have attached the maximum number of policies to the specified target.")
	}
	return s.attach(tx, p.ID, p.Type, target)
}

func hasPolicy(attached []Policy, id string) bool {
	return slices.ContainsFunc(attached, func(p Policy) bool { return p.ID == id })
}

func (s *Store) attach(tx *store.Tx, policy string, t PolicyType, target string) error {
	if err := s.changed(tx); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO organization_attachment (target, type, policy) VALUES ($1, $2, $3)`, target, string(t), policy)
	return err
}

// attachDefaults attaches to what is new the policies that allow everything, of each type that is enabled.
func (s *Store) attachDefaults(tx *store.Tx, target string) error {
	for _, t := range PolicyTypes {
		enabled, err := s.enabled(tx, t)
		if err == nil && enabled {
			err = s.attach(tx, defaults[t], t, target)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Detach takes a policy off a root, unit or account. One service control policy must stay, and RCPFullAWSAccess. The error
// is of code PolicyNotFoundException, TargetNotFoundException, PolicyNotAttachedException or ConstraintViolationException.
func (s *Store) Detach(tx *store.Tx, policy, target string) error {
	p, err := s.Policy(tx, policy)
	if err != nil {
		return err
	}
	if err := s.CheckTarget(tx, target); err != nil {
		return err
	}
	attached, err := s.PoliciesOf(tx, target, p.Type, "", maxAttached)
	if err != nil {
		return err
	}
	switch {
	case !hasPolicy(attached, policy):
		return Errorf(PolicyNotAttached, "The policy isn't attached to the specified target in the specified root.")
	case policy == fullResourceAccess:
		return violated(minimumAttached, "You cannot detach the RCPFullAWSAccess policy from the specified target.") // (unverified)
	case len(attached) == 1:
		return violated(minimumAttached, "You cannot remove the last policy attached to the specified target. You must have at least one attached at all times.")
	}
	if err := s.changed(tx); err != nil {
		return err
	}
	_, err = tx.Exec(`DELETE FROM organization_attachment WHERE target = $1 AND type = $2 AND policy = $3`, target, string(p.Type), policy)
	return err
}

const minimumAttached = "MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED"

// enabled reports whether policies of a type count.
func (s *Store) enabled(tx *store.Tx, t PolicyType) (bool, error) {
	var n int
	err := tx.QueryRow(`SELECT count(*) FROM organization_policy_type WHERE type = $1`, string(t)).Scan(&n)
	return n > 0, err
}

// checkEnabled refuses a type of policies that doesn't count.
func (s *Store) checkEnabled(tx *store.Tx, t PolicyType) error {
	enabled, err := s.enabled(tx, t)
	if err == nil && !enabled {
		return Errorf(PolicyTypeNotEnabled, "This operation can be performed only for enabled policy types.")
	}
	return err
}

// EnabledTypes are the types of policies that count.
func (s *Store) EnabledTypes(tx *store.Tx) (enabled []PolicyType, err error) {
	for _, t := range PolicyTypes {
		is, err := s.enabled(tx, t)
		if err != nil {
			return nil, err
		}
		if is {
			enabled = append(enabled, t)
		}
	}
	return enabled, nil
}

// checkRoot looks whether it is the organization's root. The error is of code RootNotFoundException.
func (s *Store) checkRoot(tx *store.Tx, root string) error {
	info, err := s.Info(tx)
	if err == nil && info.Root != root {
		err = Errorf(RootNotFound, "You specified a root that doesn't exist.")
	}
	return err
}

// EnablePolicyType makes policies of a type count, and attaches the one that allows everything to the root, every unit and
// every account. The error is of code RootNotFoundException, PolicyTypeAlreadyEnabledException or
// PolicyTypeNotAvailableForOrganizationException.
func (s *Store) EnablePolicyType(tx *store.Tx, root string, t PolicyType) error {
	if err := s.checkRoot(tx, root); err != nil {
		return err
	}
	if err := checkType(t); err != nil {
		return err
	}
	enabled, err := s.enabled(tx, t)
	if err != nil {
		return err
	}
	if enabled {
		return Errorf(PolicyTypeAlreadyEnabled, "The specified policy type is already enabled.")
	}
	if err := s.changed(tx); err != nil {
		return err
	}
	for _, query := range []string{
		`INSERT INTO organization_attachment (target, type, policy) SELECT root, $1, $2 FROM organization`,
		`INSERT INTO organization_attachment (target, type, policy) SELECT id, $1, $2 FROM organization_unit`,
		`INSERT INTO organization_attachment (target, type, policy) SELECT account, $1, $2 FROM organization_account`,
	} {
		if _, err := tx.Exec(query, string(t), defaults[t]); err != nil {
			return err
		}
	}
	_, err = tx.Exec(`INSERT INTO organization_policy_type (type) VALUES ($1)`, string(t))
	return err
}

// DisablePolicyType takes all policies of a type off everything. The error is of code RootNotFoundException or
// PolicyTypeNotEnabledException.
func (s *Store) DisablePolicyType(tx *store.Tx, root string, t PolicyType) error {
	if err := s.checkRoot(tx, root); err != nil {
		return err
	}
	if err := s.checkEnabled(tx, t); err != nil {
		return err
	}
	if err := s.changed(tx); err != nil {
		return err
	}
	for _, query := range []string{`DELETE FROM organization_attachment WHERE type = $1`, `DELETE FROM organization_policy_type WHERE type = $1`} {
		if _, err := tx.Exec(query, string(t)); err != nil {
			return err
		}
	}
	return nil
}
