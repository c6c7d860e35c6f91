package kms

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/kms"
	"github.com/coffer-registry/coffer/internal/kms"
)

// Some operations exist for what no key here can do: key pairs that leave, key agreement, and keys of several regions.
// Whoever may call them is told so in KMS's own code.

func (s *service) addUnsupported(out *awsapi.Service) {
	awsapi.Add(out, unsupported[api.GenerateDataKeyPairRequest, api.GenerateDataKeyPairResponse](s, "kms:GenerateDataKeyPair", func(in *api.GenerateDataKeyPairRequest) string { return in.KeyID }))
	awsapi.Add(out, unsupported[api.GenerateDataKeyPairWithoutPlaintextRequest, api.GenerateDataKeyPairWithoutPlaintextResponse](s, "kms:GenerateDataKeyPairWithoutPlaintext",
		func(in *api.GenerateDataKeyPairWithoutPlaintextRequest) string { return in.KeyID }))
	awsapi.Add(out, unsupported[api.DeriveSharedSecretRequest, api.DeriveSharedSecretResponse](s, "kms:DeriveSharedSecret", func(in *api.DeriveSharedSecretRequest) string { return in.KeyID }))
	awsapi.Add(out, unsupported[api.ReplicateKeyRequest, api.ReplicateKeyResponse](s, "kms:ReplicateKey", func(in *api.ReplicateKeyRequest) string { return in.KeyID }))
	awsapi.Add(out, unsupported[api.UpdatePrimaryRegionRequest, struct{}](s, "kms:UpdatePrimaryRegion", func(in *api.UpdatePrimaryRegionRequest) string { return in.KeyID }))
}

// unsupported is an operation that no key supports. The trail shows nothing of its input, which may hold tokens of grants.
func unsupported[I, O any](s *service, action string, key func(*I) string) awsapi.Op[I, O] {
	return onKey(s, about[I]{key: key, aliases: true}, awsapi.Op[I, O]{
		Action:     action,
		Parameters: func(in *I) any { return map[string]string{"KeyId": key(in)} },
		Read: func(_ context.Context, c awsapi.Call, _ *I) (*O, error) {
			if _, err := keyOf(c); err != nil {
				return nil, err
			}
			return nil, kms.Errorf(kms.CodeUnsupportedOperation, "%s is not supported.", action[len("kms:"):])
		},
	})
}
