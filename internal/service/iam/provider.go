package iam

import (
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

// taggedProviders are the providers of a kind of the caller's account.
func (s *service) taggedProviders(kind iam.ProviderKind) tagged {
	return tagged{"", func(tx *store.Tx, c awsapi.Call, arn string) (account, owner string, err error) {
		p, err := s.provider(tx, c, kind, arn)
		return p.Account, p.ARN(), err
	}}
}

func (s *service) providerTags(tx *store.Tx, p iam.Provider) ([]api.Tag, error) {
	tags, err := s.IAM.Tags(tx, p.ARN())
	return tagsTo(tags), err
}
