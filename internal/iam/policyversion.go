package iam

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/store"
)

// ID is the version's name, such as "v1".
func (v Version) ID() string { return VersionID(v.Number) }

// VersionID is the name of a version, such as "v1".
func VersionID(number int64) string { return "v" + strconv.FormatInt(number, 10) }

// versionNumber is the number in a version's name; 0 for what is none.
func versionNumber(id string) int64 {
	digits, ok := strings.CutPrefix(id, "v")
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || VersionID(n) != id {
		return 0
	}
	return n
}

// CreateVersion adds a version to a managed policy, which counts from now on if isDefault is set. Numbers are never used
// again. The error is of code LimitExceeded, MalformedPolicyDocument or AccessDenied.
func (s *Store) CreateVersion(tx *store.Tx, p Policy, document string, isDefault bool) (Version, error) {
	if err := p.Changeable(); err != nil {
		return Version{}, err
	}
	if err := checkManaged(document); err != nil {
		return Version{}, err
	}
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM iam_policy_version WHERE policy = $1`, p.ID).Scan(&n); err != nil {
		return Version{}, err
	}
	if n >= versionsPerPolicy {
		return Version{}, Errorf(LimitExceeded,
			"A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", versionsPerPolicy)
	}
	if err := s.changed(tx, p.Account); err != nil {
		return Version{}, err
	}
	p.lastVersion++
	p.UpdatedAt = s.now()
	if isDefault {
		p.DefaultVersion = p.lastVersion
	}
	if err := s.insertVersion(tx, p, document); err != nil {
		return Version{}, err
	}
	_, err := tx.Exec(`UPDATE iam_policy SET default_version = $1, last_version = $2, updated_at = $3 WHERE id = $4`,
		p.DefaultVersion, p.lastVersion, p.UpdatedAt.UnixMicro(), p.ID)
	return Version{Number: p.lastVersion, Document: document, CreatedAt: p.UpdatedAt}, err
}

func scanVersion(row store.Scanner) (Version, error) {
	var v Version
	var created int64
	err := row.Scan(&v.Number, &v.Document, &created)
	v.CreatedAt = time.UnixMicro(created)
	return v, err
}

// PolicyVersion finds a version of a managed policy by its name. The error is of code NoSuchEntity.
func (s *Store) PolicyVersion(tx *store.Tx, p Policy, id string) (Version, error) {
	missing := Errorf(NoSuchEntity, "Policy %s version %s does not exist or is not attachable.", p.ARN(), id)
	if p.OfAWS() {
		if versionNumber(id) != p.DefaultVersion {
			return Version{}, missing
		}
		return Version{Number: p.DefaultVersion, Document: awsByARN[p.ARN()].document, CreatedAt: p.CreatedAt}, nil
	}
	v, err := scanVersion(tx.QueryRow(`SELECT number, document, created_at FROM iam_policy_version WHERE policy = $1 AND number = $2`, p.ID, versionNumber(id)))
	if errors.Is(err, store.ErrNoRows) {
		return Version{}, missing
	}
	return v, err
}

// PolicyVersions lists the versions of a managed policy, newest first. There are no more than a quota's worth.
func (s *Store) PolicyVersions(tx *store.Tx, p Policy) ([]Version, error) {
	if p.OfAWS() {
		v, err := s.PolicyVersion(tx, p, VersionID(p.DefaultVersion))
		return []Version{v}, err
	}
	rows, err := tx.Query(`SELECT number, document, created_at FROM iam_policy_version WHERE policy = $1 ORDER BY number DESC`, p.ID)
	if err != nil {
		return nil, err
	}
	return store.Collect(rows, scanVersion)
}

// SetDefaultVersion makes a version the one that counts. The error is of code NoSuchEntity or AccessDenied.
func (s *Store) SetDefaultVersion(tx *store.Tx, p Policy, id string) error {
	if err := p.Changeable(); err != nil {
		return err
	}
	v, err := s.PolicyVersion(tx, p, id)
	if err != nil {
		return err
	}
	if err := s.changed(tx, p.Account); err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE iam_policy SET default_version = $1 WHERE id = $2`, v.Number, p.ID)
	return err
}

// DeleteVersion deletes a version that isn't the one that counts. The error is of code NoSuchEntity, DeleteConflict or
// AccessDenied.
func (s *Store) DeleteVersion(tx *store.Tx, p Policy, id string) error {
	if err := p.Changeable(); err != nil {
		return err
	}
	v, err := s.PolicyVersion(tx, p, id)
	if err != nil {
		return err
	}
	if v.Number == p.DefaultVersion {
		return Errorf(DeleteConflict, "Cannot delete the default version of a policy.")
	}
	if err := s.changed(tx, p.Account); err != nil {
		return err
	}
	_, err = tx.Exec(`DELETE FROM iam_policy_version WHERE policy = $1 AND number = $2`, p.ID, v.Number)
	return err
}
