package iam

import (
	"context"
	"strings"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addOIDCProviders(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.CreateOpenIDConnectProviderRequest, api.CreateOpenIDConnectProviderResponse]{
		Action: "iam:CreateOpenIDConnectProvider",
		Ask: func(_ context.Context, c awsapi.Call, in *api.CreateOpenIDConnectProviderRequest) (awsapi.Asked, error) {
			return askNewProvider(c, iam.ProviderOIDC, in.Url, in.Tags), nil
		},
		Write: s.createOIDCProvider,
	})
	awsapi.Add(out, onARN(awsapi.Op[api.GetOpenIDConnectProviderRequest, api.GetOpenIDConnectProviderResponse]{
		Action: "iam:GetOpenIDConnectProvider",
		Read:   s.getOIDCProvider,
	}, func(in *api.GetOpenIDConnectProviderRequest) string { return in.OpenIDConnectProviderARN }))
	awsapi.Add(out, onAccount(awsapi.Op[api.ListOpenIDConnectProvidersRequest, api.ListOpenIDConnectProvidersResponse]{
		Action: "iam:ListOpenIDConnectProviders",
		Read:   s.listOIDCProviders,
	}))
	awsapi.Add(out, onARN(awsapi.Op[api.DeleteOpenIDConnectProviderRequest, nothing]{
		Action: "iam:DeleteOpenIDConnectProvider",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.DeleteOpenIDConnectProviderRequest) (*nothing, error) {
			p, err := s.provider(tx, c, iam.ProviderOIDC, in.OpenIDConnectProviderARN)
			if iam.IsMissing(err) { // AWS deletes what isn't there
				return &nothing{}, nil
			}
			if err != nil {
				return nil, err
			}
			return &nothing{}, s.IAM.DeleteProvider(tx, p)
		},
	}, func(in *api.DeleteOpenIDConnectProviderRequest) string { return in.OpenIDConnectProviderARN }))
	s.addOIDCProviderChanges(out)
}

// addOIDCProviderChanges adds the operations that change a provider.
func (s *service) addOIDCProviderChanges(out *awsapi.Service) {
	providers := s.taggedProviders(iam.ProviderOIDC)
	awsapi.Add(out, onARN(awsapi.Op[api.TagOpenIDConnectProviderRequest, nothing]{
		Action: "iam:TagOpenIDConnectProvider",
		Context: func(_ awsapi.Call, in *api.TagOpenIDConnectProviderRequest) policy.Context {
			return requestTags(in.Tags)
		},
		Write: func(tx *store.Tx, c awsapi.Call, in *api.TagOpenIDConnectProviderRequest) (*nothing, error) {
			return s.tag(tx, c, providers, in.OpenIDConnectProviderARN, in.Tags)
		},
	}, func(in *api.TagOpenIDConnectProviderRequest) string { return in.OpenIDConnectProviderARN }))
	awsapi.Add(out, onARN(awsapi.Op[api.UntagOpenIDConnectProviderRequest, nothing]{
		Action: "iam:UntagOpenIDConnectProvider",
		Context: func(_ awsapi.Call, in *api.UntagOpenIDConnectProviderRequest) policy.Context {
			return tagKeys(in.TagKeys)
		},
		Write: func(tx *store.Tx, c awsapi.Call, in *api.UntagOpenIDConnectProviderRequest) (*nothing, error) {
			return s.untag(tx, c, providers, in.OpenIDConnectProviderARN, in.TagKeys)
		},
	}, func(in *api.UntagOpenIDConnectProviderRequest) string { return in.OpenIDConnectProviderARN }))
	awsapi.Add(out, onARN(awsapi.Op[api.ListOpenIDConnectProviderTagsRequest, api.ListOpenIDConnectProviderTagsResponse]{
		Action: "iam:ListOpenIDConnectProviderTags",
		Read: func(ctx context.Context, c awsapi.Call, in *api.ListOpenIDConnectProviderTagsRequest) (*api.ListOpenIDConnectProviderTagsResponse, error) {
			p, err := s.listTags(ctx, c, providers, in.OpenIDConnectProviderARN, in.Marker, in.MaxItems)
			return &api.ListOpenIDConnectProviderTagsResponse{Tags: p.items, IsTruncated: p.more, Marker: p.marker}, err
		},
	}, func(in *api.ListOpenIDConnectProviderTagsRequest) string { return in.OpenIDConnectProviderARN }))
	awsapi.Add(out, onARN(awsapi.Op[api.AddClientIDToOpenIDConnectProviderRequest, nothing]{
		Action: "iam:AddClientIDToOpenIDConnectProvider",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.AddClientIDToOpenIDConnectProviderRequest) (*nothing, error) {
			return s.changeProvider(tx, c, iam.ProviderOIDC, in.OpenIDConnectProviderARN, func(p *iam.Provider) { p.AddClient(in.ClientID) })
		},
	}, func(in *api.AddClientIDToOpenIDConnectProviderRequest) string { return in.OpenIDConnectProviderARN }))
	awsapi.Add(out, onARN(awsapi.Op[api.RemoveClientIDFromOpenIDConnectProviderRequest, nothing]{
		Action: "iam:RemoveClientIDFromOpenIDConnectProvider",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.RemoveClientIDFromOpenIDConnectProviderRequest) (*nothing, error) {
			return s.changeProvider(tx, c, iam.ProviderOIDC, in.OpenIDConnectProviderARN, func(p *iam.Provider) { p.RemoveClient(in.ClientID) })
		},
	}, func(in *api.RemoveClientIDFromOpenIDConnectProviderRequest) string {
		return in.OpenIDConnectProviderARN
	}))
	awsapi.Add(out, onARN(awsapi.Op[api.UpdateOpenIDConnectProviderThumbprintRequest, nothing]{
		Action: "iam:UpdateOpenIDConnectProviderThumbprint",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.UpdateOpenIDConnectProviderThumbprintRequest) (*nothing, error) {
			return s.changeProvider(tx, c, iam.ProviderOIDC, in.OpenIDConnectProviderARN, func(p *iam.Provider) { p.Thumbprints = in.ThumbprintList })
		},
	}, func(in *api.UpdateOpenIDConnectProviderThumbprintRequest) string { return in.OpenIDConnectProviderARN }))
}

func (s *service) createOIDCProvider(tx *store.Tx, c awsapi.Call, in *api.CreateOpenIDConnectProviderRequest) (*api.CreateOpenIDConnectProviderResponse, error) {
	p, err := s.IAM.CreateProvider(tx, iam.Provider{Kind: iam.ProviderOIDC, Account: c.Caller.Principal.Account, URL: in.Url,
		Clients: in.ClientIDList, Thumbprints: in.ThumbprintList})
	if err != nil {
		return nil, err
	}
	return &api.CreateOpenIDConnectProviderResponse{OpenIDConnectProviderARN: p.ARN(), Tags: in.Tags},
		s.IAM.PutTags(tx, p.Account, p.ARN(), tagsFrom(in.Tags))
}

func (s *service) getOIDCProvider(ctx context.Context, c awsapi.Call, in *api.GetOpenIDConnectProviderRequest) (out *api.GetOpenIDConnectProviderResponse, err error) {
	err = s.IAM.View(ctx, func(tx *store.Tx) error {
		p, err := s.provider(tx, c, iam.ProviderOIDC, in.OpenIDConnectProviderARN)
		if err != nil {
			return err
		}
		created := awsapi.NewTime(p.CreatedAt)
		out = &api.GetOpenIDConnectProviderResponse{Url: strings.TrimPrefix(p.URL, "https://"), ClientIDList: p.Clients,
			ThumbprintList: p.Thumbprints, CreateDate: &created}
		out.Tags, err = s.providerTags(tx, p)
		return err
	})
	return out, err
}

func (s *service) listOIDCProviders(ctx context.Context, c awsapi.Call, _ *api.ListOpenIDConnectProvidersRequest) (*api.ListOpenIDConnectProvidersResponse, error) {
	out := &api.ListOpenIDConnectProvidersResponse{OpenIDConnectProviderList: []api.OpenIDConnectProviderListEntry{}}
	err := s.IAM.View(ctx, func(tx *store.Tx) error {
		all, err := s.IAM.Providers(tx, c.Caller.Principal.Account, iam.ProviderOIDC)
		for _, p := range all {
			out.OpenIDConnectProviderList = append(out.OpenIDConnectProviderList, api.OpenIDConnectProviderListEntry{Arn: p.ARN()})
		}
		return err
	})
	return out, err
}
