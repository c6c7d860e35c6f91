package iam

import (
	"context"
	"errors"

	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/store"
)

// policySource finds a user, group or role of an account with its policies. That of a group has nothing else.
func (s *service) policySource(ctx context.Context, account, arn string) (*iam.Standing, error) {
	var entity iam.Entity
	standing := &iam.Standing{Account: account, Kind: iam.KindGroup}
	err := s.IAM.View(ctx, func(tx *store.Tx) (err error) {
		if entity, err = s.IAM.EntityByARN(tx, account, arn); err != nil || entity.Kind != iam.KindGroup {
			return err
		}
		grants, err := s.IAM.Grants(tx, entity)
		for _, g := range grants {
			standing.Policies = append(standing.Policies, g.Policy)
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case entity.Kind == iam.KindPolicy:
		return nil, iam.Errorf(iam.InvalidInput, "Invalid Entity Arn: %s does not clearly define entity type and name.", arn)
	case entity.Kind == iam.KindGroup:
		return standing, nil
	}
	standing, err = s.IAM.Standing(ctx, account, entity.ID)
	if errors.Is(err, iam.ErrGone) { // since it was found
		err = iam.Errorf(iam.NoSuchEntity, "The %s with name %s cannot be found.", entity.Kind, entity.Name)
	}
	return standing, err
}
