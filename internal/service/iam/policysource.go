package iam

import (
	"context"
	"errors"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/awsapi"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// onARN makes the question of an operation about a user, group, role or managed policy that is named by its ARN: about what
// the ARN says, which belongs to the account that it says. Managed policies of AWS belong to everybody.
func onARN[I, O any](op awsapi.Op[I, O], text func(*I) string) awsapi.Op[I, O] {
	op.Resources = func(c awsapi.Call, in *I) []policy.Resource {
		r := policy.Resource{ARN: text(in), Account: c.Caller.Principal.Account}
		if a, err := arn.Parse(r.ARN); err == nil && len(a.Account) == 12 {
			r.Account = a.Account
		}
		return []policy.Resource{r}
	}
	return op
}

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
