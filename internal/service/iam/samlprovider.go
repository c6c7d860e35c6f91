package iam

import (
	"context"
	"errors"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/federation"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addSAMLProviders(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.CreateSAMLProviderRequest, api.CreateSAMLProviderResponse]{
		Action: "iam:CreateSAMLProvider",
		Ask: func(_ context.Context, c awsapi.Call, in *api.CreateSAMLProviderRequest) (awsapi.Asked, error) {
			return askNewProvider(c, iam.ProviderSAML, in.Name, in.Tags), nil
		},
		Parameters: func(in *api.CreateSAMLProviderRequest) any {
			shown := *in
			shown.AddPrivateKey = "" // is refused, but was sent
			return shown
		},
		Write: s.createSAMLProvider,
	})
	awsapi.Add(out, onARN(awsapi.Op[api.GetSAMLProviderRequest, api.GetSAMLProviderResponse]{
		Action: "iam:GetSAMLProvider",
		Read:   s.getSAMLProvider,
	}, func(in *api.GetSAMLProviderRequest) string { return in.SAMLProviderARN }))
	awsapi.Add(out, onAccount(awsapi.Op[api.ListSAMLProvidersRequest, api.ListSAMLProvidersResponse]{
		Action: "iam:ListSAMLProviders",
		Read:   s.listSAMLProviders,
	}))
	awsapi.Add(out, onARN(awsapi.Op[api.UpdateSAMLProviderRequest, api.UpdateSAMLProviderResponse]{
		Action: "iam:UpdateSAMLProvider",
		Parameters: func(in *api.UpdateSAMLProviderRequest) any {
			shown := *in
			shown.AddPrivateKey = ""
			return shown
		},
		Write: s.updateSAMLProvider,
	}, func(in *api.UpdateSAMLProviderRequest) string { return in.SAMLProviderARN }))
	awsapi.Add(out, onARN(awsapi.Op[api.DeleteSAMLProviderRequest, nothing]{
		Action: "iam:DeleteSAMLProvider",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.DeleteSAMLProviderRequest) (*nothing, error) {
			p, err := s.provider(tx, c, iam.ProviderSAML, in.SAMLProviderARN)
			if err != nil {
				return nil, err
			}
			return &nothing{}, s.IAM.DeleteProvider(tx, p)
		},
	}, func(in *api.DeleteSAMLProviderRequest) string { return in.SAMLProviderARN }))
	s.addSAMLProviderTags(out)
}

func (s *service) addSAMLProviderTags(out *awsapi.Service) {
	providers := s.taggedProviders(iam.ProviderSAML)
	awsapi.Add(out, onARN(awsapi.Op[api.TagSAMLProviderRequest, nothing]{
		Action:  "iam:TagSAMLProvider",
		Context: func(_ awsapi.Call, in *api.TagSAMLProviderRequest) policy.Context { return requestTags(in.Tags) },
		Write: func(tx *store.Tx, c awsapi.Call, in *api.TagSAMLProviderRequest) (*nothing, error) {
			return s.tag(tx, c, providers, in.SAMLProviderARN, in.Tags)
		},
	}, func(in *api.TagSAMLProviderRequest) string { return in.SAMLProviderARN }))
	awsapi.Add(out, onARN(awsapi.Op[api.UntagSAMLProviderRequest, nothing]{
		Action:  "iam:UntagSAMLProvider",
		Context: func(_ awsapi.Call, in *api.UntagSAMLProviderRequest) policy.Context { return tagKeys(in.TagKeys) },
		Write: func(tx *store.Tx, c awsapi.Call, in *api.UntagSAMLProviderRequest) (*nothing, error) {
			return s.untag(tx, c, providers, in.SAMLProviderARN, in.TagKeys)
		},
	}, func(in *api.UntagSAMLProviderRequest) string { return in.SAMLProviderARN }))
	awsapi.Add(out, onARN(awsapi.Op[api.ListSAMLProviderTagsRequest, api.ListSAMLProviderTagsResponse]{
		Action: "iam:ListSAMLProviderTags",
		Read: func(ctx context.Context, c awsapi.Call, in *api.ListSAMLProviderTagsRequest) (*api.ListSAMLProviderTagsResponse, error) {
			p, err := s.listTags(ctx, c, providers, in.SAMLProviderARN, in.Marker, in.MaxItems)
			return &api.ListSAMLProviderTagsResponse{Tags: p.items, IsTruncated: p.more, Marker: p.marker}, err
		},
	}, func(in *api.ListSAMLProviderTagsRequest) string { return in.SAMLProviderARN }))
}

// readMetadata judges the document of a provider. Assertions are taken as they are signed, not encrypted.
func readMetadata(document, mode, key string) (*federation.Metadata, error) {
	if key != "" || mode == "Required" {
		return nil, iam.Errorf(iam.InvalidInput, "Encrypted assertions are not taken here; leave AssertionEncryptionMode and the private key out.")
	}
	metadata, err := federation.ParseMetadata(document)
	var refused *federation.Error
	if errors.As(err, &refused) {
		return nil, iam.Errorf(iam.InvalidInput, "%s", refused.Message)
	}
	return metadata, err
}

func (s *service) createSAMLProvider(tx *store.Tx, c awsapi.Call, in *api.CreateSAMLProviderRequest) (*api.CreateSAMLProviderResponse, error) {
	if _, err := readMetadata(in.SAMLMetadataDocument, in.AssertionEncryptionMode, in.AddPrivateKey); err != nil {
		return nil, err
	}
	p, err := s.IAM.CreateProvider(tx, iam.Provider{Kind: iam.ProviderSAML, Account: c.Caller.Principal.Account, URL: in.Name, Metadata: in.SAMLMetadataDocument})
	if err != nil {
		return nil, err
	}
	return &api.CreateSAMLProviderResponse{SAMLProviderARN: p.ARN(), Tags: in.Tags}, s.IAM.PutTags(tx, p.Account, p.ARN(), tagsFrom(in.Tags))
}

// validUntil is when a provider's document ends; as at AWS, one that doesn't say is good for a hundred years.
func validUntil(p iam.Provider) *awsapi.Time {
	until := p.CreatedAt.AddDate(100, 0, 0)
	if metadata, err := federation.ParseMetadata(p.Metadata); err == nil && !metadata.ValidUntil.IsZero() {
		until = metadata.ValidUntil
	}
	return timeOf(until)
}

func (s *service) getSAMLProvider(ctx context.Context, c awsapi.Call, in *api.GetSAMLProviderRequest) (out *api.GetSAMLProviderResponse, err error) {
	err = s.IAM.View(ctx, func(tx *store.Tx) error {
		p, err := s.provider(tx, c, iam.ProviderSAML, in.SAMLProviderARN)
		if err != nil {
			return err
		}
		out = &api.GetSAMLProviderResponse{SAMLProviderUUID: p.UUID, SAMLMetadataDocument: p.Metadata, CreateDate: timeOf(p.CreatedAt), ValidUntil: validUntil(p)}
		out.Tags, err = s.providerTags(tx, p)
		return err
	})
	return out, err
}

func (s *service) listSAMLProviders(ctx context.Context, c awsapi.Call, _ *api.ListSAMLProvidersRequest) (*api.ListSAMLProvidersResponse, error) {
	out := &api.ListSAMLProvidersResponse{SAMLProviderList: []api.SAMLProviderListEntry{}}
	err := s.IAM.View(ctx, func(tx *store.Tx) error {
		all, err := s.IAM.Providers(tx, c.Caller.Principal.Account, iam.ProviderSAML)
		for _, p := range all {
			out.SAMLProviderList = append(out.SAMLProviderList, api.SAMLProviderListEntry{Arn: p.ARN(), ValidUntil: validUntil(p), CreateDate: timeOf(p.CreatedAt)})
		}
		return err
	})
	return out, err
}

func (s *service) updateSAMLProvider(tx *store.Tx, c awsapi.Call, in *api.UpdateSAMLProviderRequest) (*api.UpdateSAMLProviderResponse, error) {
	p, err := s.provider(tx, c, iam.ProviderSAML, in.SAMLProviderARN)
	if err != nil {
		return nil, err
	}
	if in.SAMLMetadataDocument != "" {
		p.Metadata = in.SAMLMetadataDocument
	}
	if _, err := readMetadata(p.Metadata, in.AssertionEncryptionMode, in.AddPrivateKey); err != nil {
		return nil, err
	}
	return &api.UpdateSAMLProviderResponse{SAMLProviderARN: p.ARN()}, s.IAM.UpdateProvider(tx, p)
}
