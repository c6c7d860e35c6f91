// Package sts is the API of the AWS Security Token Service: so far only who the caller is.
package sts

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/sts"
)

// New returns the service.
func New() *awsapi.Service {
	out := &awsapi.Service{Model: api.Model, EventSource: "sts.amazonaws.com"}
	awsapi.Add(out, awsapi.Op[api.GetCallerIdentityRequest, api.GetCallerIdentityResponse]{
		Action: "sts:GetCallerIdentity",
		Read:   getCallerIdentity,
	})
	return out
}

// getCallerIdentity needs no permission: whoever signed the request knows already who that is.
func getCallerIdentity(_ context.Context, c awsapi.Call, _ *api.GetCallerIdentityRequest) (*api.GetCallerIdentityResponse, error) {
	return &api.GetCallerIdentityResponse{
		Account: c.Caller.Principal.Account, Arn: c.Caller.Principal.ARN, UserID: c.Caller.PrincipalID,
	}, nil
}
