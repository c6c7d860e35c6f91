package ecr

import (
	"context"
	"encoding/base64"
	"strings"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/ecr"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/registry"
)

func (s *service) addRegistry(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.DescribeRegistryRequest, api.DescribeRegistryResponse]{
		Action:    "ecr:DescribeRegistry",
		Resources: func(c awsapi.Call, _ *api.DescribeRegistryRequest) []policy.Resource { return onRegistry(c) },
		Read: func(_ context.Context, c awsapi.Call, _ *api.DescribeRegistryRequest) (*api.DescribeRegistryResponse, error) {
			return &api.DescribeRegistryResponse{
				RegistryID:               c.Caller.Principal.Account,
				ReplicationConfiguration: &api.ReplicationConfiguration{Rules: []api.ReplicationRule{}},
			}, nil
		},
	})
	awsapi.Add(out, awsapi.Op[api.GetAuthorizationTokenRequest, api.GetAuthorizationTokenResponse]{
		Action:    "ecr:GetAuthorizationToken",
		Resources: func(c awsapi.Call, _ *api.GetAuthorizationTokenRequest) []policy.Resource { return onRegistry(c) },
		Read:      s.getAuthorizationToken,
	})
}

// registryHost is the host, with the port if it needs one, at which docker finds a registry.
func (s *service) registryHost(c awsapi.Call, id registry.ID) string {
	if s.Domain != "" {
		return id.Account + ".dkr.ecr." + id.Region + "." + s.Domain
	}
	_, host, _ := strings.Cut(c.BaseURL, "://")
	if rest, ok := strings.CutPrefix(host, "127.0.0.1:"); ok {
		return "localhost:" + rest
	}
	return host
}

func (s *service) getAuthorizationToken(ctx context.Context, c awsapi.Call, in *api.GetAuthorizationTokenRequest) (*api.GetAuthorizationTokenResponse, error) {
	token, expires, err := s.Directory.IssueRegistryToken(ctx, c.Caller, c.Region)
	if err != nil {
		return nil, err
	}
	accounts := in.RegistryIDs
	if len(accounts) == 0 {
		accounts = []string{c.Caller.Principal.Account}
	}
	scheme, _, _ := strings.Cut(c.BaseURL, "://")
	if s.Domain != "" {
		scheme = "https"
	}
	out := &api.GetAuthorizationTokenResponse{AuthorizationData: []api.AuthorizationData{}}
	for _, account := range accounts {
		at := awsapi.NewTime(expires)
		out.AuthorizationData = append(out.AuthorizationData, api.AuthorizationData{
			AuthorizationToken: base64.StdEncoding.EncodeToString([]byte("AWS:" + token.Reveal())),
			ExpiresAt:          &at,
			ProxyEndpoint:      scheme + "://" + s.registryHost(c, registry.ID{Account: account, Region: c.Region}),
		})
	}
	return out, nil
}
