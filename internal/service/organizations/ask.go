package organizations

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/organizations"
	"github.com/coffer-registry/coffer/internal/organization"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// about is what an operation concerns, for the policies.
type about struct {
	// ids are those of the root, units, accounts and policies; none is everything.
	ids []string
	// policyType is the type of policies that the request names itself.
	policyType string
	// tags are put on what the operation concerns, and keys are taken off it.
	tags []api.Tag
	keys []string
}

// ids are those among some that are given.
func ids(given ...string) about {
	return about{ids: slices.DeleteFunc(given, func(id string) bool { return id == "" })}
}

// ofType is the type of policies that a list is asked for.
func ofType(t string) about { return about{policyType: t} }

// asked makes the questions of an operation. What belongs to the organization belongs to its management account; but nobody
// of another account can have a policy that says more than its own, so that the questions are of the caller's account, and
// managed has the last word.
func asked[I, O any](s *service, op awsapi.Op[I, O], concerns func(*I) about) awsapi.Op[I, O] {
	op.Ask = func(ctx context.Context, c awsapi.Call, in *I) (a awsapi.Asked, err error) {
		err = s.Organization.View(ctx, func(tx *store.Tx) error {
			info, err := s.Organization.Info(tx)
			if err != nil {
				return err
			}
			a, err = s.questions(tx, info, c, op.Action, concerns(in))
			a.Found = info
			return err
		})
		return a, err
	}
	return op
}

func (s *service) questions(tx *store.Tx, info organization.Info, c awsapi.Call, action string, of about) (a awsapi.Asked, err error) {
	account := c.Caller.Principal.Account
	a.Context = policy.Context{}
	var resources []policy.Resource
	for _, id := range of.ids {
		arn := info.ARNOf(id)
		if strings.HasPrefix(id, "p-") {
			p, err := s.policyOf(tx, id, account == info.Management)
			if err != nil {
				return a, err
			}
			arn, of.policyType = info.ARNOfPolicy(p), string(p.Type)
		}
		resources = append(resources, policy.Resource{ARN: arn, Account: account})
	}
	if len(resources) == 0 {
		resources = []policy.Resource{{ARN: "*", Account: account}}
	}
	actions := []string{action}
	if len(of.tags) > 0 && action != actionTag {
		actions = append(actions, actionTag)
	}
	if of.policyType != "" {
		a.Context.Put("organizations:PolicyType", of.policyType)
	}
	putTags(a.Context, of)
	a.Questions = policy.Ask(actions, resources...)
	return a, nil
}

// policyOf finds a policy. One that does not exist, or that is none of the caller's business, is asked about as if it were
// a service control policy, so that the answer tells nothing.
func (s *service) policyOf(tx *store.Tx, id string, known bool) (organization.Policy, error) {
	unknown := organization.Policy{ID: id, Type: organization.ServiceControl}
	if !known {
		return unknown, nil
	}
	p, err := s.Organization.Policy(tx, id)
	var refused *organization.Error
	if errors.As(err, &refused) {
		return unknown, nil
	}
	return p, err
}

// putTags adds the condition keys of tags that a request carries or takes off.
func putTags(c policy.Context, of about) {
	keys := slices.Clone(of.keys)
	for _, t := range of.tags {
		c.Put("aws:RequestTag/"+t.Key, t.Value)
		keys = append(keys, t.Key)
	}
	if len(keys) > 0 {
		c.Put("aws:TagKeys", keys...)
	}
}

// managed makes an operation that only the management account may call, whatever its policies say.
func managed[I, O any](s *service, op awsapi.Op[I, O], concerns func(*I) about) awsapi.Op[I, O] {
	op = asked(s, op, concerns)
	if read := op.Read; read != nil {
		op.Read = func(ctx context.Context, c awsapi.Call, in *I) (*O, error) {
			if err := checkManagement(c); err != nil {
				return nil, err
			}
			return read(ctx, c, in)
		}
	}
	if write := op.Write; write != nil {
		op.Write = func(tx *store.Tx, c awsapi.Call, in *I) (*O, error) {
			if err := checkManagement(c); err != nil {
				return nil, err
			}
			return write(tx, c, in)
		}
	}
	return op
}

// infoOf is the organization that asked found.
func infoOf(c awsapi.Call) organization.Info { return c.Found.(organization.Info) }

func checkManagement(c awsapi.Call) error {
	if c.Caller.Principal.Account == infoOf(c).Management {
		return nil
	}
	return organization.Errorf(organization.AccessDenied, "You don't have permissions to access this resource.")
}
