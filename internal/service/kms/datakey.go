package kms

import (
	"context"
	"crypto/rand"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/kms"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/policy"
)

func (s *service) addDataKeys(out *awsapi.Service) {
	awsapi.Add(out, onKey(s, about[api.GenerateDataKeyRequest]{
		key: func(in *api.GenerateDataKeyRequest) string { return in.KeyID }, aliases: true,
		encryption: func(in *api.GenerateDataKeyRequest) map[string]string { return in.EncryptionContext },
		context:    func(_ *api.GenerateDataKeyRequest, c policy.Context) { putAlgorithm(c, "") },
	}, awsapi.Op[api.GenerateDataKeyRequest, api.GenerateDataKeyResponse]{
		Action: "kms:GenerateDataKey",
		Parameters: func(in *api.GenerateDataKeyRequest) any {
			shown := *in
			shown.GrantTokens, shown.Recipient = nil, nil
			return &shown
		},
		Read: s.generateDataKey,
	}))
	awsapi.Add(out, onKey(s, about[api.GenerateDataKeyWithoutPlaintextRequest]{
		key: func(in *api.GenerateDataKeyWithoutPlaintextRequest) string { return in.KeyID }, aliases: true,
		encryption: func(in *api.GenerateDataKeyWithoutPlaintextRequest) map[string]string { return in.EncryptionContext },
		context:    func(_ *api.GenerateDataKeyWithoutPlaintextRequest, c policy.Context) { putAlgorithm(c, "") },
	}, awsapi.Op[api.GenerateDataKeyWithoutPlaintextRequest, api.GenerateDataKeyWithoutPlaintextResponse]{
		Action: "kms:GenerateDataKeyWithoutPlaintext",
		Parameters: func(in *api.GenerateDataKeyWithoutPlaintextRequest) any {
			shown := *in
			shown.GrantTokens = nil
			return &shown
		},
		Read: s.generateDataKeyWithoutPlaintext,
	}))
	awsapi.Add(out, awsapi.Op[api.GenerateRandomRequest, api.GenerateRandomResponse]{
		Action: "kms:GenerateRandom",
		Resources: func(c awsapi.Call, _ *api.GenerateRandomRequest) []policy.Resource {
			return []policy.Resource{anyKey(c)}
		},
		Parameters: func(in *api.GenerateRandomRequest) any {
			shown := *in
			shown.Recipient = nil
			return &shown
		},
		Read: generateRandom,
	})
}

// dataKey is a data key, plain and encrypted.
type dataKey struct {
	plaintext, blob []byte
	keyARN          string
	materialID      string
}

// dataKey makes a data key of a spec or a length, one of which is given.
func (s *service) dataKey(ctx context.Context, c awsapi.Call, op kms.Operation, spec string, bytes *int64, encryption map[string]string, tokens []string, dryRun *bool) (d dataKey, err error) {
	key, err := keyOf(c)
	if err != nil {
		return d, err
	}
	if (spec == "") == (bytes == nil) {
		return d, kms.Errorf(kms.CodeValidation, "Please specify either number of bytes or key spec.")
	}
	if err := s.checkUse(key, op, kms.AlgorithmSymmetric, encryption, tokens); err != nil {
		return d, err
	}
	if err := rehearse(dryRun); err != nil {
		return d, err
	}
	size := int64(32)
	switch {
	case bytes != nil:
		size = *bytes
	case spec == "AES_128":
		size = 16
	}
	d.plaintext, d.keyARN = make([]byte, size), key.ARN
	rand.Read(d.plaintext)
	d.blob, d.materialID, err = s.Keys.EncryptFor(ctx, op, key.ARN, d.plaintext, encryption)
	return d, err
}

// errRecipient refuses to encrypt for an enclave, of which there are none.
func errRecipient() error {
	return kms.Errorf(kms.CodeUnsupportedOperation, "Recipient is not supported.")
}

func (s *service) generateDataKey(ctx context.Context, c awsapi.Call, in *api.GenerateDataKeyRequest) (*api.GenerateDataKeyResponse, error) {
	if in.Recipient != nil {
		return nil, errRecipient()
	}
	d, err := s.dataKey(ctx, c, kms.GenerateDataKey, in.KeySpec, in.NumberOfBytes, in.EncryptionContext, in.GrantTokens, in.DryRun)
	return &api.GenerateDataKeyResponse{CiphertextBlob: d.blob, Plaintext: d.plaintext, KeyID: d.keyARN, KeyMaterialID: d.materialID}, err
}

func (s *service) generateDataKeyWithoutPlaintext(ctx context.Context, c awsapi.Call, in *api.GenerateDataKeyWithoutPlaintextRequest) (*api.GenerateDataKeyWithoutPlaintextResponse, error) {
	d, err := s.dataKey(ctx, c, kms.GenerateDataKeyWithoutPlaintext, in.KeySpec, in.NumberOfBytes, in.EncryptionContext, in.GrantTokens, in.DryRun)
	clear(d.plaintext)
	return &api.GenerateDataKeyWithoutPlaintextResponse{CiphertextBlob: d.blob, KeyID: d.keyARN, KeyMaterialID: d.materialID}, err
}

func generateRandom(_ context.Context, _ awsapi.Call, in *api.GenerateRandomRequest) (*api.GenerateRandomResponse, error) {
	switch {
	case in.Recipient != nil:
		return nil, errRecipient()
	case in.CustomKeyStoreID != "":
		return nil, kms.Errorf(kms.CodeUnsupportedOperation, "Custom key stores are not supported.")
	case in.NumberOfBytes == nil:
		return nil, kms.Errorf(kms.CodeValidation, "NumberOfBytes must be specified.")
	}
	b := make([]byte, *in.NumberOfBytes)
	rand.Read(b)
	return &api.GenerateRandomResponse{Plaintext: b}, nil
}
