package kms

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/kms"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/policy"
)

func (s *service) addMacs(out *awsapi.Service) {
	awsapi.Add(out, onKey(s, about[api.GenerateMacRequest]{
		key: func(in *api.GenerateMacRequest) string { return in.KeyID }, aliases: true,
		context: func(in *api.GenerateMacRequest, c policy.Context) { c.Put("kms:MacAlgorithm", in.MacAlgorithm) },
	}, awsapi.Op[api.GenerateMacRequest, api.GenerateMacResponse]{
		Action: "kms:GenerateMac",
		Parameters: func(in *api.GenerateMacRequest) any {
			shown := *in
			shown.Message, shown.GrantTokens = nil, nil
			return &shown
		},
		Read: s.generateMac,
	}))
	awsapi.Add(out, onKey(s, about[api.VerifyMacRequest]{
		key: func(in *api.VerifyMacRequest) string { return in.KeyID }, aliases: true,
		context: func(in *api.VerifyMacRequest, c policy.Context) { c.Put("kms:MacAlgorithm", in.MacAlgorithm) },
	}, awsapi.Op[api.VerifyMacRequest, api.VerifyMacResponse]{
		Action: "kms:VerifyMac",
		Parameters: func(in *api.VerifyMacRequest) any {
			shown := *in
			shown.Message, shown.Mac, shown.GrantTokens = nil, nil, nil
			return &shown
		},
		Read: s.verifyMac,
	}))
}

func (s *service) generateMac(ctx context.Context, c awsapi.Call, in *api.GenerateMacRequest) (*api.GenerateMacResponse, error) {
	key, err := s.ready(c, kms.GenerateMac, kms.UsageMac, in.GrantTokens, in.DryRun)
	if err != nil {
		return nil, err
	}
	mac, err := s.Keys.GenerateMac(ctx, key.ARN, in.MacAlgorithm, in.Message)
	return &api.GenerateMacResponse{KeyID: key.ARN, Mac: mac, MacAlgorithm: in.MacAlgorithm}, err
}

func (s *service) verifyMac(ctx context.Context, c awsapi.Call, in *api.VerifyMacRequest) (*api.VerifyMacResponse, error) {
	key, err := s.ready(c, kms.VerifyMac, kms.UsageMac, in.GrantTokens, in.DryRun)
	if err != nil {
		return nil, err
	}
	err = s.Keys.VerifyMac(ctx, key.ARN, in.MacAlgorithm, in.Message, in.Mac)
	valid := err == nil
	return &api.VerifyMacResponse{KeyID: key.ARN, MacValid: &valid, MacAlgorithm: in.MacAlgorithm}, err
}
