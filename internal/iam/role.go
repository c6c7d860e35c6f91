package iam

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/store"
)

// Role is an IAM role.
type Role struct {
	ID, Account, Name, Path string
	CreatedAt               time.Time
	// Boundary is the ARN of the permissions boundary; empty for none.
	Boundary string
	// Trust is the trust policy as it is kept: with unique ids in place of users and roles. ShownTrust makes of it what is
	// shown.
	Trust       string
	Description string
	// MaxSession is the longest life that a session may ask for.
	MaxSession time.Duration
	// LinkedService is the service that a service-linked role belongs to; empty for others.
	LinkedService string
	// UsedAt is when a session of the role last did something, and UsedRegion where; zero and empty for never.
	UsedAt     time.Time
	UsedRegion string
}

// ARN is the role's Amazon resource name.
func (r Role) ARN() string { return KindRole.ARN(r.Account, r.Path, r.Name) }

const (
	// rolesPerAccount is IAM's quota.
	rolesPerAccount = 1000
	// DefaultMaxSession is the longest life of a session of a role that doesn't say otherwise.
	DefaultMaxSession = time.Hour
)

// reservedPaths are those of roles that services and single sign-on make.
var reservedPaths = []string{"/aws-service-role/", "/aws-reserved/"}

// isReserved reports whether a path is one of roles that only services make and change.
func isReserved(path string) bool {
	return slices.ContainsFunc(reservedPaths, func(r string) bool { return strings.HasPrefix(path, r) })
}

// Changeable wants the role to be one that its account may change. The error is of code UnmodifiableEntity.
func (r Role) Changeable() error {
	if isReserved(r.Path) || r.LinkedService != "" {
		return Errorf(UnmodifiableEntity, "Cannot perform the operation on the protected role '%s' - this role is only modifiable by AWS", r.Name)
	}
	return nil
}

// CreateRole makes a role of what r says, whose Trust is a document as its author wrote it. The error is of code
// EntityAlreadyExists, LimitExceeded, MalformedPolicyDocument or ValidationError.
func (s *Store) CreateRole(tx *store.Tx, r Role) (Role, error) {
	r.Path = OrRoot(r.Path)
	if isReserved(r.Path) {
		// The sentence of IAM is not known.
		return Role{}, Errorf(ValidationError, "The path %s is reserved for roles that services make.", r.Path)
	}
	return s.insertRole(tx, r)
}

// insertRole makes a role, also one of a service.
func (s *Store) insertRole(tx *store.Tx, r Role) (Role, error) {
	r.ID, r.CreatedAt = newID(KindRole), s.now()
	if r.MaxSession == 0 {
		r.MaxSession = DefaultMaxSession
	}
	if err := s.count(tx, "iam_role", r.Account, rolesPerAccount, "RolesPerAccount"); err != nil {
		return Role{}, err
	}
	if _, err := s.Role(tx, r.Account, r.Name); err == nil {
		return Role{}, Errorf(EntityAlreadyExists, "Role with name %s already exists.", r.Name)
	} else if !IsMissing(err) {
		return Role{}, err
	}
	kept, err := s.keptTrust(tx, r.Trust)
	if err != nil {
		return Role{}, err
	}
	r.Trust = kept
	if err := s.changed(tx, r.Account); err != nil {
		return Role{}, err
	}
	_, err = tx.Exec(`INSERT INTO iam_role (id, account, name, name_key, path, created_at, boundary, trust, description, max_session, linked_service, used_region)
		VALUES ($1, $2, $3, $4, $5, $6, '', $7, $8, $9, $10, '')`, r.ID, r.Account, r.Name, nameKey(r.Name), r.Path, r.CreatedAt.UnixMicro(), r.Trust,
		r.Description, int64(r.MaxSession/time.Second), r.LinkedService)
	if err != nil {
		return Role{}, fmt.Errorf("create role %s: %w", r.Name, err)
	}
	return r, nil
}

const roleColumns = `id, account, name, path, created_at, boundary, trust, description, max_session, linked_service, used_at, used_region`

func scanRole(row store.Scanner) (Role, error) {
	var r Role
	var created, seconds int64
	var used *int64
	err := row.Scan(&r.ID, &r.Account, &r.Name, &r.Path, &created, &r.Boundary, &r.Trust, &r.Description, &seconds, &r.LinkedService, &used, &r.UsedRegion)
	if err != nil {
		return Role{}, err
	}
	r.CreatedAt, r.MaxSession, r.UsedAt = time.UnixMicro(created), time.Duration(seconds)*time.Second, moment(used)
	return r, nil
}

// Role finds a role by name, without regard to case. The error is of code NoSuchEntity.
func (s *Store) Role(tx *store.Tx, account, name string) (Role, error) {
	r, err := scanRole(tx.QueryRow(`SELECT `+roleColumns+` FROM iam_role WHERE account = $1 AND name_key = $2`, account, nameKey(name)))
	if errors.Is(err, store.ErrNoRows) {
		return Role{}, Errorf(NoSuchEntity, "The role with name %s cannot be found.", name)
	}
	return r, err
}

// RolePage lists roles whose path has a prefix, by path and name.
func (s *Store) RolePage(tx *store.Tx, account, prefix string, after Place, n int) (roles []Role, more bool, err error) {
	return byPath(tx, "iam_role", roleColumns, account, prefix, after, n, scanRole)
}

// UpdateRole gives a role the description and the longest life of sessions that r has.
func (s *Store) UpdateRole(tx *store.Tx, r Role) error {
	if err := s.changed(tx, r.Account); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE iam_role SET description = $1, max_session = $2 WHERE id = $3`, r.Description, int64(r.MaxSession/time.Second), r.ID)
	return err
}

// UpdateTrust gives a role another trust policy. Sessions that were made before go on. The error is of code
// MalformedPolicyDocument, LimitExceeded or UnmodifiableEntity.
func (s *Store) UpdateTrust(tx *store.Tx, r Role, document string) error {
	if err := r.Changeable(); err != nil {
		return err
	}
	kept, err := s.keptTrust(tx, document)
	if err != nil {
		return err
	}
	if err := s.changed(tx, r.Account); err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE iam_role SET trust = $1 WHERE id = $2`, kept, r.ID)
	return err
}

// DeleteRole deletes a role, and with it all its sessions end. The error is of code DeleteConflict while it has policies,
// or UnmodifiableEntity.
func (s *Store) DeleteRole(tx *store.Tx, r Role) error {
	if err := r.Changeable(); err != nil {
		return err
	}
	if err := unhindered(tx, r.ID, ofPolicies); err != nil {
		return err
	}
	return s.dropRole(tx, r)
}

// dropRole deletes a role with what it has.
func (s *Store) dropRole(tx *store.Tx, r Role) error {
	if err := s.changed(tx, r.Account); err != nil {
		return err
	}
	for _, query := range []string{`DELETE FROM iam_tag WHERE owner = $1`, `DELETE FROM iam_access WHERE entity = $1`,
		`DELETE FROM iam_attachment WHERE owner = $1`, `DELETE FROM iam_inline WHERE owner = $1`, `DELETE FROM iam_role WHERE id = $1`} {
		if _, err := tx.Exec(query, r.ID); err != nil {
			return err
		}
	}
	return nil
}
