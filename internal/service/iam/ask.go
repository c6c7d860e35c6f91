package iam

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"strings"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/policy"
)

// onEntity makes the question of an operation that one user, group or role is the resource of: about its ARN, whose path
// has to be looked up. name returns its name, and an empty one stands for the caller. more adds condition keys; nil is none.
func onEntity[I, O any](s *service, kind iam.Kind, op awsapi.Op[I, O], name func(*I) string, more func(*I) policy.Context) awsapi.Op[I, O] {
	op.Ask = func(ctx context.Context, c awsapi.Call, in *I) (a awsapi.Asked, err error) {
		arn := c.Caller.Principal.ARN
		if named := name(in); named != "" {
			if arn, err = s.IAM.ARNOf(ctx, kind, c.Caller.Principal.Account, named); err != nil {
				return a, err
			}
		}
		a.Questions = policy.Ask([]string{op.Action}, policy.Resource{ARN: arn, Account: c.Caller.Principal.Account})
		if more != nil {
			a.Context = more(in)
		}
		return a, nil
	}
	return op
}

// onStanding makes the question of an operation on a user or role for which more counts than its tags: keys says which
// condition keys it has. Those that the request carries come before them.
func onStanding[I, O any](s *service, kind iam.Kind, op awsapi.Op[I, O], name func(*I) string, more func(*I) policy.Context,
	keys func(*iam.Standing) policy.Context) awsapi.Op[I, O] {
	op = onEntity(s, kind, op, name, more)
	ask := op.Ask
	op.Ask = func(ctx context.Context, c awsapi.Call, in *I) (awsapi.Asked, error) {
		a, err := ask(ctx, c, in)
		if err != nil {
			return a, err
		}
		st, err := s.IAM.ByARN(ctx, a.Questions[0].Resource.ARN)
		if errors.Is(err, iam.ErrGone) {
			return a, nil
		}
		if err != nil {
			return a, err
		}
		all := keys(st)
		maps.Copy(all, a.Context)
		a.Context = all
		return a, nil
	}
	return op
}

// onBounded makes the question of an operation for which the boundary counts that the user or role has, as the condition key
// iam:PermissionsBoundary. By it administrators are held to those that have a boundary.
func onBounded[I, O any](s *service, kind iam.Kind, op awsapi.Op[I, O], name func(*I) string, more func(*I) policy.Context) awsapi.Op[I, O] {
	return onStanding(s, kind, op, name, more, func(st *iam.Standing) policy.Context { return boundaryKey(st.BoundaryARN) })
}

// onRenamed makes the questions of an operation that gives a user or group another path and name: about the ARN that it has
// and the one that it is going to have.
func onRenamed[I, O any](s *service, kind iam.Kind, op awsapi.Op[I, O], names func(*I) (name, newPath, newName string)) awsapi.Op[I, O] {
	op.Ask = func(ctx context.Context, c awsapi.Call, in *I) (a awsapi.Asked, err error) {
		account := c.Caller.Principal.Account
		name, newPath, newName := names(in)
		before, err := s.IAM.ARNOf(ctx, kind, account, name)
		if err != nil {
			return a, err
		}
		// Whatever the kind, an entity's ARN has a slash before its path, and another before its name.
		first, last := strings.IndexByte(before, '/'), strings.LastIndexByte(before, '/')
		resources := []policy.Resource{{ARN: before, Account: account}}
		if after := kind.ARN(account, cmp.Or(newPath, before[first:last+1]), cmp.Or(newName, before[last+1:])); after != before {
			resources = append(resources, policy.Resource{ARN: after, Account: account})
		}
		a.Questions = policy.Ask([]string{op.Action}, resources...)
		return a, nil
	}
	return op
}

// onNew makes the questions of an operation that creates something: about the ARN that it is going to have, and with tags
// also about the action that tags it.
func onNew[I, O any](kind iam.Kind, tagging string, op awsapi.Op[I, O], names func(*I) (path, name string), tags func(*I) []api.Tag,
	more func(*I) policy.Context) awsapi.Op[I, O] {
	op.Ask = func(_ context.Context, c awsapi.Call, in *I) (a awsapi.Asked, err error) {
		path, name := names(in)
		actions := []string{op.Action}
		a.Context = policy.Context{}
		if more != nil {
			a.Context = more(in)
		}
		if t := tags(in); len(t) > 0 {
			actions = append(actions, tagging)
			putTags(a.Context, t)
		}
		a.Questions = policy.Ask(actions, policy.Resource{ARN: kind.ARN(c.Caller.Principal.Account, iam.OrRoot(path), name), Account: c.Caller.Principal.Account})
		return a, nil
	}
	return op
}

// onARN makes the question of an operation about what is named by its ARN: about what
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

// onAccount makes the question of an operation that concerns the account as a whole, or one of its lists.
func onAccount[I, O any](op awsapi.Op[I, O]) awsapi.Op[I, O] {
	op.Resources = func(c awsapi.Call, _ *I) []policy.Resource {
		return []policy.Resource{{ARN: "*", Account: c.Caller.Principal.Account}}
	}
	return op
}

// putTags adds the condition keys of tags that a request carries.
func putTags(c policy.Context, tags []api.Tag) {
	keys := make([]string, 0, len(tags))
	for _, t := range tags {
		c.Put("aws:RequestTag/"+t.Key, t.Value)
		keys = append(keys, t.Key)
	}
	c.Put("aws:TagKeys", keys...)
}

// boundaryKey is the condition key of a permissions boundary that a request carries.
func boundaryKey(arn string) policy.Context {
	c := policy.Context{}
	if arn != "" {
		c.Put("iam:PermissionsBoundary", arn)
	}
	return c
}
