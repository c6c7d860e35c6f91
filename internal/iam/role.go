package iam

import (
	"errors"
	"time"

	"github.com/coffer-registry/coffer/internal/store"
)

// Role is an IAM role.
type Role struct {
	ID, Account, Name, Path string
	CreatedAt               time.Time
	// Boundary is the ARN of the permissions boundary; empty for none.
	Boundary string
	// Trust is the trust policy as it is kept: with unique ids in place of users and roles.
	Trust       string
	Description string
	// MaxSession is the longest life that a session may ask for.
	MaxSession time.Duration
	// LinkedService is the service that a service-linked role belongs to; empty for others.
	LinkedService string
	UsedAt        time.Time
	UsedRegion    string
}

// ARN is the role's Amazon resource name.
func (r Role) ARN() string { return KindRole.ARN(r.Account, r.Path, r.Name) }

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
