package iam

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// askNewProvider are the questions of an operation that makes a provider.
func askNewProvider(c awsapi.Call, kind iam.ProviderKind, url string, tags []api.Tag) awsapi.Asked {
	account := c.Caller.Principal.Account
	actions := map[iam.ProviderKind][]string{
		iam.ProviderOIDC: {"iam:CreateOpenIDConnectProvider", "iam:TagOpenIDConnectProvider"}, iam.ProviderSAML: {"iam:CreateSAMLProvider", "iam:TagSAMLProvider"},
	}[kind]
	asked := awsapi.Asked{Context: policy.Context{}}
	if len(tags) == 0 {
		actions = actions[:1]
	} else {
		putTags(asked.Context, tags)
	}
	asked.Questions = policy.Ask(actions, policy.Resource{ARN: iam.Provider{Kind: kind, Account: account, URL: url}.ARN(), Account: account})
	return asked
}

// provider finds a provider of the caller's account.
func (s *service) provider(tx *store.Tx, c awsapi.Call, kind iam.ProviderKind, arn string) (iam.Provider, error) {
	p, err := s.IAM.Provider(tx, kind, arn)
	if err == nil && p.Account != c.Caller.Principal.Account {
		return iam.Provider{}, iam.NoProvider(kind, arn)
	}
	return p, err
}

func (s *service) changeProvider(tx *store.Tx, c awsapi.Call, kind iam.ProviderKind, arn string, change func(*iam.Provider)) (*nothing, error) {
	p, err := s.provider(tx, c, kind, arn)
	if err != nil {
		return nil, err
	}
	change(&p)
	return &nothing{}, s.IAM.UpdateProvider(tx, p)
}

// onProviderTags makes the question of an operation that tags a provider or takes tags away.
func onProviderTags[I, O any](op awsapi.Op[I, O], of func(*I) (arn string, tags []api.Tag, keys []string)) awsapi.Op[I, O] {
	op = onARN(op, func(in *I) string {
		arn, _, _ := of(in)
		return arn
	})
	op.Context = func(_ awsapi.Call, in *I) policy.Context {
		c := policy.Context{}
		_, tags, keys := of(in)
		if tags != nil {
			putTags(c, tags)
		} else {
			c.Put("aws:TagKeys", keys...)
		}
		return c
	}
	return op
}

// tagsFrom are tags of the API as IAM keeps them.
func tagsFrom(tags []api.Tag) []iam.Tag {
	out := make([]iam.Tag, len(tags))
	for i, t := range tags {
		out[i] = iam.Tag{Key: t.Key, Value: t.Value}
	}
	return out
}

// tagsTo are tags as the API has them.
func tagsTo(tags []iam.Tag) []api.Tag {
	out := make([]api.Tag, len(tags))
	for i, t := range tags {
		out[i] = api.Tag{Key: t.Key, Value: t.Value}
	}
	return out
}

func (s *service) tagProvider(tx *store.Tx, c awsapi.Call, kind iam.ProviderKind, arn string, tags []api.Tag) (*nothing, error) {
	p, err := s.provider(tx, c, kind, arn)
	if err != nil {
		return nil, err
	}
	return &nothing{}, s.IAM.PutTags(tx, p.Account, p.ARN(), tagsFrom(tags))
}

func (s *service) untagProvider(tx *store.Tx, c awsapi.Call, kind iam.ProviderKind, arn string, keys []string) (*nothing, error) {
	p, err := s.provider(tx, c, kind, arn)
	if err != nil {
		return nil, err
	}
	return &nothing{}, s.IAM.DeleteTags(tx, p.Account, p.ARN(), keys)
}

func (s *service) providerTags(tx *store.Tx, p iam.Provider) ([]api.Tag, error) {
	tags, err := s.IAM.Tags(tx, p.ARN())
	return tagsTo(tags), err
}

// tagPage is one page of tags.
type tagPage struct {
	tags   []api.Tag
	more   bool
	marker string
}

func (s *service) providerTagPage(ctx context.Context, c awsapi.Call, kind iam.ProviderKind, arn, mark string, maxItems *int64) (page tagPage, err error) {
	list := "tags of " + arn
	after, n, err := paging(list, mark, maxItems)
	if err != nil {
		return page, err
	}
	err = s.IAM.View(ctx, func(tx *store.Tx) error {
		p, err := s.provider(tx, c, kind, arn)
		if err != nil {
			return err
		}
		last := ""
		if after != nil {
			last = after[0]
		}
		tags, more, err := s.IAM.TagPage(tx, p.ARN(), last, n)
		page = tagPage{tags: tagsTo(tags), more: more}
		if more {
			page.marker = nextMarker(list, tags[len(tags)-1].Key)
		}
		return err
	})
	return page, err
}
