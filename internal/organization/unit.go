package organization

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/coffer-registry/coffer/internal/store"
)

// Unit is an organizational unit.
type Unit struct {
	ID, Name string
	// Parent is the root or unit that it hangs in.
	Parent string
}

// Quotas of AWS.
const (
	maxDepth = 5 // of units below the root
	maxUnits = 2000
)

const (
	unitNotFound  = "You specified an organizational unit that doesn't exist."
	duplicateUnit = "An OU with the same name already exists."
)

// Unit finds a unit. The error is of code OrganizationalUnitNotFoundException.
func (s *Store) Unit(tx *store.Tx, id string) (Unit, error) {
	u, err := scanUnit(tx.QueryRow(`SELECT id, parent, name FROM organization_unit WHERE id = $1`, id))
	if errors.Is(err, store.ErrNoRows) {
		return Unit{}, Errorf(UnitNotFound, unitNotFound)
	}
	return u, err
}

func scanUnit(row store.Scanner) (u Unit, err error) { return u, row.Scan(&u.ID, &u.Parent, &u.Name) }

// Units lists the units that hang directly in a parent, by name, after one name. The error is of code
// ParentNotFoundException.
func (s *Store) Units(tx *store.Tx, parent, after string, n int) ([]Unit, error) {
	if err := s.checkParent(tx, parent, ParentNotFound); err != nil {
		return nil, err
	}
	rows, err := tx.Query(`SELECT id, parent, name FROM organization_unit WHERE parent = $1 AND name > $2 ORDER BY name LIMIT $3`, parent, after, n)
	if err != nil {
		return nil, err
	}
	return store.Collect(rows, scanUnit)
}

// checkParent looks whether there is such a root or unit. The error is of the code that is given.
func (s *Store) checkParent(tx *store.Tx, id string, code Code) error {
	var n int
	err := tx.QueryRow(`SELECT (SELECT count(*) FROM organization WHERE root = $1) + (SELECT count(*) FROM organization_unit WHERE id = $1)`, id).Scan(&n)
	if err == nil && n == 0 {
		return Errorf(code, "%s", parentNotFound[code])
	}
	return err
}

var parentNotFound = map[Code]string{
	ParentNotFound:            "You specified parent that doesn't exist.",
	SourceParentNotFound:      "We can't find a source root or OU with the ParentId that you specified.",
	DestinationParentNotFound: "We can't find the destination container (a root or OU) with the ParentId that you specified.",
}

// CreateUnit makes a unit in a parent. The error is of code ParentNotFoundException, DuplicateOrganizationalUnitException or
// ConstraintViolationException.
func (s *Store) CreateUnit(tx *store.Tx, parent, name string) (Unit, error) {
	info, err := s.Info(tx)
	if err != nil {
		return Unit{}, err
	}
	if err := s.checkParent(tx, parent, ParentNotFound); err != nil {
		return Unit{}, err
	}
	levels, err := s.levels(tx, info, parent)
	if err != nil {
		return Unit{}, err
	}
	if len(levels) > maxDepth {
		return Unit{}, violated("OU_DEPTH_LIMIT_EXCEEDED", "You have exceeded the maximum depth of nested organizational units.")
	}
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM organization_unit`).Scan(&n); err != nil {
		return Unit{}, err
	}
	if n >= maxUnits {
		return Unit{}, violated("OU_NUMBER_LIMIT_EXCEEDED", "You have exceeded the allowed number of organizational units.")
	}
	if err := s.checkUnitName(tx, parent, name, ""); err != nil {
		return Unit{}, err
	}
	if err := s.changed(tx); err != nil {
		return Unit{}, err
	}
	u := Unit{ID: newID("ou-"+strings.TrimPrefix(info.Root, "r-")+"-", 8), Parent: parent, Name: name}
	if _, err := tx.Exec(`INSERT INTO organization_unit (id, parent, name) VALUES ($1, $2, $3)`, u.ID, parent, name); err != nil {
		return Unit{}, fmt.Errorf("create a unit: %w", err)
	}
	return u, s.attachDefaults(tx, u.ID)
}

// checkUnitName refuses a name that another unit than own has in the parent.
func (s *Store) checkUnitName(tx *store.Tx, parent, name, own string) error {
	var n int
	err := tx.QueryRow(`SELECT count(*) FROM organization_unit WHERE parent = $1 AND name = $2 AND id <> $3`, parent, name, own).Scan(&n)
	if err == nil && n > 0 {
		return Errorf(DuplicateUnit, duplicateUnit)
	}
	return err
}

// RenameUnit gives a unit another name. The error is of code OrganizationalUnitNotFoundException or
// DuplicateOrganizationalUnitException.
func (s *Store) RenameUnit(tx *store.Tx, id, name string) (Unit, error) {
	u, err := s.Unit(tx, id)
	if err != nil {
		return Unit{}, err
	}
	if err := s.checkUnitName(tx, u.Parent, name, id); err != nil {
		return Unit{}, err
	}
	u.Name = name
	_, err = tx.Exec(`UPDATE organization_unit SET name = $2 WHERE id = $1`, id, name)
	return u, err
}

// DeleteUnit removes a unit that holds nothing. The error is of code OrganizationalUnitNotFoundException or
// OrganizationalUnitNotEmptyException.
func (s *Store) DeleteUnit(tx *store.Tx, id string) error {
	if _, err := s.Unit(tx, id); err != nil {
		return err
	}
	var n int
	err := tx.QueryRow(`SELECT (SELECT count(*) FROM organization_unit WHERE parent = $1) + (SELECT count(*) FROM organization_account WHERE parent = $1)`, id).Scan(&n)
	if err != nil {
		return err
	}
	if n > 0 {
		return Errorf(UnitNotEmpty, "The specified OU is not empty. Move all accounts to another root or to other OUs, remove all child OUs, and try the operation again.")
	}
	if err := s.changed(tx); err != nil {
		return err
	}
	for _, query := range []string{
		`DELETE FROM organization_attachment WHERE target = $1`, `DELETE FROM organization_tag WHERE owner = $1`,
		`DELETE FROM organization_unit WHERE id = $1`,
	} {
		if _, err := tx.Exec(query, id); err != nil {
			return err
		}
	}
	return nil
}

// levels are the ids from the root down to a root or unit, which must exist.
func (s *Store) levels(tx *store.Tx, info Info, id string) ([]string, error) {
	levels := []string{id}
	for id != info.Root {
		if len(levels) > maxDepth {
			return nil, fmt.Errorf("unit %s does not hang in the root", levels[0])
		}
		if err := tx.QueryRow(`SELECT parent FROM organization_unit WHERE id = $1`, id).Scan(&id); err != nil {
			return nil, fmt.Errorf("look up the parent of unit %s: %w", id, err)
		}
		levels = append(levels, id)
	}
	slices.Reverse(levels)
	return levels, nil
}

// pathOf is the path of the last of some levels, such as o-exampleorg/r-ab12/ou-ab12-11111111/.
func pathOf(info Info, levels []string) string {
	return info.ID + "/" + strings.Join(levels, "/") + "/"
}

// Path is the path of a root or unit, which must exist.
func (s *Store) Path(tx *store.Tx, info Info, id string) (string, error) {
	levels, err := s.levels(tx, info, id)
	return pathOf(info, levels), err
}
