package sts

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/sts"
)

func (s *service) addCallerIdentity(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.GetCallerIdentityRequest, api.GetCallerIdentityResponse]{
		Action: "sts:GetCallerIdentity",
		Read:   getCallerIdentity,
		JSON:   true,
	})
}

// getCallerIdentity needs no permission: whoever signed the request knows already who that is.
func getCallerIdentity(_ context.Context, c awsapi.Call, _ *api.GetCallerIdentityRequest) (*api.GetCallerIdentityResponse, error) {
	return &api.GetCallerIdentityResponse{
		Account: c.Caller.Principal.Account, Arn: c.Caller.Principal.ARN, UserID: c.Caller.PrincipalID,
	}, nil
}
