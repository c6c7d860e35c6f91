package organization

import (
	"context"
	"errors"
	"fmt"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// Check holds the organization against itself. It tells fault in one sentence of each thing that is wrong: an account or
// unit that does not hang in the root, a document that can't be read, what has no policy of a type that counts, and what
// is attached to nothing. Before the first start there is nothing to check.
func (s *Store) Check(ctx context.Context, fault func(string)) error {
	return s.db.View(ctx, func(tx *store.Tx) error {
		info, err := s.Info(tx)
		if e := (*Error)(nil); errors.As(err, &e) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.checkPlaces(tx, info, fault); err != nil {
			return err
		}
		if err := s.checkDocuments(tx, fault); err != nil {
			return err
		}
		return s.checkAttachments(tx, fault)
	})
}

// checkPlaces looks whether all accounts and units hang in the root.
func (s *Store) checkPlaces(tx *store.Tx, info Info, fault func(string)) error {
	rows, err := tx.Query(`SELECT a.id, coalesce(o.parent, '') FROM account a LEFT JOIN organization_account o ON o.account = a.id
		UNION ALL SELECT id, parent FROM organization_unit`)
	if err != nil {
		return err
	}
	type place struct{ id, parent string }
	places, err := store.Collect(rows, func(row store.Scanner) (p place, err error) { return p, row.Scan(&p.id, &p.parent) })
	if err != nil {
		return err
	}
	parents := make(map[string]string, len(places))
	for _, p := range places {
		parents[p.id] = p.parent
	}
	for _, p := range places {
		at := p.parent
		for depth := 0; at != info.Root && at != "" && depth <= maxDepth; depth++ {
			at = parents[at]
		}
		if at != info.Root {
			fault(fmt.Sprintf("organization: %s does not hang in the root", p.id))
		}
	}
	return nil
}

func (s *Store) checkDocuments(tx *store.Tx, fault func(string)) error {
	rows, err := tx.Query(`SELECT ` + policyColumns + ` FROM organization_policy p ORDER BY p.id`)
	if err != nil {
		return err
	}
	policies, err := store.Collect(rows, scanPolicy)
	for _, p := range policies {
		if _, err := policy.Load(grammars[p.Type], []byte(p.Document), policy.Options{}); err != nil {
			fault(fmt.Sprintf("organization: policy %s can't be read and denies everything: %v", p.ID, err))
		}
	}
	return err
}

func (s *Store) checkAttachments(tx *store.Tx, fault func(string)) error {
	const targets = `(SELECT root AS id FROM organization UNION ALL SELECT id FROM organization_unit UNION ALL SELECT account FROM organization_account)`
	for _, c := range []struct{ query, text string }{
		{`SELECT t.id FROM ` + targets + ` t, organization_policy_type p WHERE NOT EXISTS
			(SELECT 1 FROM organization_attachment a WHERE a.target = t.id AND a.type = p.type) ORDER BY t.id`,
			"organization: %s has no policy of a type that is enabled, so that everything is denied"},
		{`SELECT DISTINCT target FROM organization_attachment WHERE target NOT IN (SELECT id FROM ` + targets + ` t) ORDER BY target`,
			"organization: policies are attached to %s, which does not exist"},
	} {
		rows, err := tx.Query(c.query)
		if err != nil {
			return err
		}
		found, err := store.Collect(rows, store.Value[string])
		if err != nil {
			return err
		}
		for _, id := range found {
			fault(fmt.Sprintf(c.text, id))
		}
	}
	return nil
}
