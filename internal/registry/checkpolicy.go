package registry

import (
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// policies reads every policy, since one that can't be read denies everything.
func (c *checker) policies() error {
	err := c.r.db.View(c.ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT account, region, document FROM registry_policy`)
		if err != nil {
			return err
		}
		_, err = store.Collect(rows, func(row store.Scanner) (none struct{}, err error) {
			var account, region, document string
			err = row.Scan(&account, &region, &document)
			c.policy(policy.KindRegistry, document, "registry "+account+"/"+region)
			return none, err
		})
		return err
	})
	if err != nil {
		return err
	}
	for after := int64(0); ; {
		last := after
		err := c.r.db.View(c.ctx, func(tx *store.Tx) error {
			rows, err := tx.Query(`SELECT p.repository, p.document, r.account, r.region, r.name FROM repository_policy p
				JOIN repository r ON r.id = p.repository WHERE p.repository > $1 ORDER BY p.repository LIMIT $2`, after, checkPage)
			if err != nil {
				return err
			}
			_, err = store.Collect(rows, func(row store.Scanner) (none struct{}, err error) {
				var document, account, region, name string
				err = row.Scan(&last, &document, &account, &region, &name)
				c.policy(policy.KindRepository, document, "repository "+account+"/"+region+"/"+name)
				return none, err
			})
			return err
		})
		if err != nil || last == after {
			return err
		}
		after = last
	}
}

func (c *checker) policy(kind policy.Kind, document, where string) {
	if _, err := policy.Load(kind, []byte(document), policy.Options{}); err != nil {
		c.faultf("%s: its policy can't be read: %v", where, err)
	}
}
