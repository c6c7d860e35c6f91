package kms

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/kms"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/policy"
)

func (s *service) addSigning(out *awsapi.Service) {
	awsapi.Add(out, onKey(s, about[api.SignRequest]{
		key: func(in *api.SignRequest) string { return in.KeyID }, aliases: true,
		context: func(in *api.SignRequest, c policy.Context) { putSigning(c, in.SigningAlgorithm, in.MessageType) },
	}, awsapi.Op[api.SignRequest, api.SignResponse]{
		Action: "kms:Sign",
		Parameters: func(in *api.SignRequest) any {
			shown := *in
			shown.Message, shown.GrantTokens = nil, nil
			return &shown
		},
		Read: s.sign,
	}))
	awsapi.Add(out, onKey(s, about[api.VerifyRequest]{
		key: func(in *api.VerifyRequest) string { return in.KeyID }, aliases: true,
		context: func(in *api.VerifyRequest, c policy.Context) { putSigning(c, in.SigningAlgorithm, in.MessageType) },
	}, awsapi.Op[api.VerifyRequest, api.VerifyResponse]{
		Action: "kms:Verify",
		Parameters: func(in *api.VerifyRequest) any {
			shown := *in
			shown.Message, shown.Signature, shown.GrantTokens = nil, nil, nil
			return &shown
		},
		Read: s.verify,
	}))
	awsapi.Add(out, onKey(s, about[api.GetPublicKeyRequest]{key: func(in *api.GetPublicKeyRequest) string { return in.KeyID }, aliases: true},
		awsapi.Op[api.GetPublicKeyRequest, api.GetPublicKeyResponse]{
			Action: "kms:GetPublicKey",
			Parameters: func(in *api.GetPublicKeyRequest) any {
				shown := *in
				shown.GrantTokens = nil
				return &shown
			},
			Read: s.getPublicKey,
		}))
}

// putSigning adds the condition keys of a signature.
func putSigning(c policy.Context, algorithm, messageType string) {
	c.Put("kms:SigningAlgorithm", algorithm)
	c.Put("kms:MessageType", orRaw(messageType))
}

func orRaw(messageType string) string {
	if messageType == "" {
		return "RAW"
	}
	return messageType
}

// ready checks all of a request to use a key but what it is to be used on.
func (s *service) ready(c awsapi.Call, op kms.Operation, usage string, tokens []string, dryRun *bool) (key kms.Key, err error) {
	if key, err = keyOf(c); err != nil {
		return key, err
	}
	if err := s.checkTokens(tokens); err != nil {
		return key, err
	}
	if err := key.Usable(op, usage); err != nil {
		return key, err
	}
	return key, rehearse(dryRun)
}

func (s *service) sign(ctx context.Context, c awsapi.Call, in *api.SignRequest) (*api.SignResponse, error) {
	key, err := s.ready(c, kms.Sign, kms.UsageSign, in.GrantTokens, in.DryRun)
	if err != nil {
		return nil, err
	}
	signature, err := s.Keys.Sign(ctx, key.ARN, kms.Message{Algorithm: in.SigningAlgorithm, Type: orRaw(in.MessageType), Text: in.Message})
	return &api.SignResponse{KeyID: key.ARN, Signature: signature, SigningAlgorithm: in.SigningAlgorithm}, err
}

func (s *service) verify(ctx context.Context, c awsapi.Call, in *api.VerifyRequest) (*api.VerifyResponse, error) {
	key, err := s.ready(c, kms.Verify, kms.UsageSign, in.GrantTokens, in.DryRun)
	if err != nil {
		return nil, err
	}
	err = s.Keys.Verify(ctx, key.ARN, kms.Message{Algorithm: in.SigningAlgorithm, Type: orRaw(in.MessageType), Text: in.Message}, in.Signature)
	valid := err == nil
	return &api.VerifyResponse{KeyID: key.ARN, SignatureValid: &valid, SigningAlgorithm: in.SigningAlgorithm}, err
}

func (s *service) getPublicKey(ctx context.Context, c awsapi.Call, in *api.GetPublicKeyRequest) (*api.GetPublicKeyResponse, error) {
	key, err := keyOf(c)
	if err != nil {
		return nil, err
	}
	if err := s.checkTokens(in.GrantTokens); err != nil {
		return nil, err
	}
	der, err := s.Keys.PublicKey(ctx, key.ARN)
	out := &api.GetPublicKeyResponse{KeyID: key.ARN, PublicKey: der, CustomerMasterKeySpec: key.Spec, KeySpec: key.Spec, KeyUsage: key.Usage}
	switch key.Usage {
	case kms.UsageEncrypt:
		out.EncryptionAlgorithms = key.Algorithms()
	case kms.UsageSign:
		out.SigningAlgorithms = key.Algorithms()
	}
	return out, err
}
