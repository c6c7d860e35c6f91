package sts

import (
	"context"
	"errors"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/sts"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/policy"
)

func (s *service) addAccessKeyInfo(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.GetAccessKeyInfoRequest, api.GetAccessKeyInfoResponse]{
		Action:    "sts:GetAccessKeyInfo",
		Resources: func(c awsapi.Call, _ *api.GetAccessKeyInfoRequest) []policy.Resource { return onAccount(c) },
		Read:      s.getAccessKeyInfo,
	})
}

// onAccount is the resource of what has none of its own.
func onAccount(c awsapi.Call) []policy.Resource {
	return []policy.Resource{{ARN: "*", Account: c.Caller.Principal.Account}}
}

// getAccessKeyInfo tells the account of an access key, active or not. AWS reads it from the key's id, which tells it here
// too of temporary keys, and answers for keys that there are none of.
func (s *service) getAccessKeyInfo(ctx context.Context, _ awsapi.Call, in *api.GetAccessKeyInfoRequest) (*api.GetAccessKeyInfoResponse, error) {
	account, temporary := iam.AccountOfTemporaryKey(in.AccessKeyID)
	var err error
	if !temporary {
		account, err = s.IAM.AccountOfKey(ctx, in.AccessKeyID)
	}
	if errors.Is(err, iam.ErrUnknownKey) {
		return nil, invalid("The access key ID " + in.AccessKeyID + " is not known.")
	}
	return &api.GetAccessKeyInfoResponse{Account: account}, err
}
