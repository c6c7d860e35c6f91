package kms

import (
	"context"
	"errors"
	"slices"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/kms"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/policy"
)

func (s *service) addEncryption(out *awsapi.Service) {
	awsapi.Add(out, onKey(s, about[api.EncryptRequest]{
		key: func(in *api.EncryptRequest) string { return in.KeyID }, aliases: true,
		encryption: func(in *api.EncryptRequest) map[string]string { return in.EncryptionContext },
		context:    func(in *api.EncryptRequest, c policy.Context) { putAlgorithm(c, in.EncryptionAlgorithm) },
	}, awsapi.Op[api.EncryptRequest, api.EncryptResponse]{
		Action: "kms:Encrypt",
		Parameters: func(in *api.EncryptRequest) any {
			shown := *in
			shown.Plaintext, shown.GrantTokens = nil, nil
			return &shown
		},
		Read: s.encrypt,
	}))
	awsapi.Add(out, awsapi.Op[api.DecryptRequest, api.DecryptResponse]{
		Action: "kms:Decrypt",
		Ask:    s.askDecrypt,
		Parameters: func(in *api.DecryptRequest) any {
			shown := *in
			shown.CiphertextBlob, shown.GrantTokens, shown.Recipient = nil, nil, nil
			return &shown
		},
		Read: s.decrypt,
	})
	awsapi.Add(out, awsapi.Op[api.ReEncryptRequest, api.ReEncryptResponse]{
		Action: "kms:ReEncrypt",
		Ask:    s.askReEncrypt,
		Parameters: func(in *api.ReEncryptRequest) any {
			shown := *in
			shown.CiphertextBlob, shown.GrantTokens = nil, nil
			return &shown
		},
		Read: s.reEncrypt,
	})
}

// putAlgorithm adds the condition key of an algorithm, which is the symmetric one unless another is named.
func putAlgorithm(c policy.Context, algorithm string) {
	if algorithm == "" {
		algorithm = kms.AlgorithmSymmetric
	}
	c.Put("kms:EncryptionAlgorithm", algorithm)
}

// checkAlgorithm refuses an algorithm that a key can't be used with.
func checkAlgorithm(key kms.Key, op kms.Operation, algorithm string) error {
	if err := key.Usable(op, kms.UsageEncrypt); err != nil {
		return err
	}
	if algorithm == "" {
		algorithm = kms.AlgorithmSymmetric
	}
	if !slices.Contains(key.Algorithms(), algorithm) {
		return kms.Errorf(kms.CodeInvalidKeyUsage, "Algorithm %s is incompatible with key spec %s.", algorithm, key.Spec)
	}
	return nil
}

// checkEncryptionContext refuses an encryption context with a key that has none.
func checkEncryptionContext(key kms.Key, encryption map[string]string) error {
	if len(encryption) > 0 && !key.Symmetric() {
		return kms.Errorf(kms.CodeValidation, "EncryptionContext is not valid for the key %s, which is asymmetric.", key.ARN)
	}
	return nil
}

// checkUse refuses to use a key as a request wants to.
func (s *service) checkUse(key kms.Key, op kms.Operation, algorithm string, encryption map[string]string, tokens []string) error {
	if err := s.checkTokens(tokens); err != nil {
		return err
	}
	if err := checkAlgorithm(key, op, algorithm); err != nil {
		return err
	}
	return checkEncryptionContext(key, encryption)
}

func orSymmetric(algorithm string) string {
	if algorithm == "" {
		return kms.AlgorithmSymmetric
	}
	return algorithm
}

func (s *service) encrypt(ctx context.Context, c awsapi.Call, in *api.EncryptRequest) (*api.EncryptResponse, error) {
	key, err := keyOf(c)
	if err != nil {
		return nil, err
	}
	if err := s.checkUse(key, kms.Encrypt, in.EncryptionAlgorithm, in.EncryptionContext, in.GrantTokens); err != nil {
		return nil, err
	}
	if err := rehearse(in.DryRun); err != nil {
		return nil, err
	}
	blob, _, err := s.seal(ctx, kms.Encrypt, key, in.EncryptionAlgorithm, in.Plaintext, in.EncryptionContext)
	return &api.EncryptResponse{CiphertextBlob: blob, KeyID: key.ARN, EncryptionAlgorithm: orSymmetric(in.EncryptionAlgorithm)}, err
}

// seal encrypts by a key of either kind, and returns the id of the material if the ciphertext says it.
func (s *service) seal(ctx context.Context, op kms.Operation, key kms.Key, algorithm string, plaintext []byte, encryption map[string]string) (blob []byte, materialID string, err error) {
	if key.Symmetric() {
		return s.Keys.EncryptFor(ctx, op, key.ARN, plaintext, encryption)
	}
	blob, err = s.Keys.EncryptAsymmetric(ctx, op, key.ARN, algorithm, plaintext)
	return blob, "", err
}

// open is the inverse of seal.
func (s *service) open(ctx context.Context, op kms.Operation, key kms.Key, algorithm string, blob []byte, encryption map[string]string) (plaintext []byte, materialID string, err error) {
	if key.Symmetric() {
		plaintext, _, materialID, err = s.Keys.DecryptFor(ctx, op, blob, encryption)
		return plaintext, materialID, err
	}
	plaintext, err = s.Keys.DecryptAsymmetric(ctx, op, key.ARN, algorithm, blob)
	return plaintext, "", err
}

// opened is what a request decrypts: the key that made it, and what the request says of that.
type opened struct {
	found
	// named is set if the request names a key.
	named bool
	// by is the id of the key that the ciphertext says it was made by; empty for one that doesn't say.
	by string
}

// findOpened finds the key of a ciphertext: the one that the request names, or else the one that it says itself.
func (s *service) findOpened(ctx context.Context, c awsapi.Call, keyID, algorithm string, blob []byte) (o opened, err error) {
	if len(blob) == 0 {
		return o, kms.Errorf(kms.CodeValidation, "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: Member must not be null")
	}
	symmetric := algorithm == "" || algorithm == kms.AlgorithmSymmetric
	if symmetric {
		if o.by, _, err = kms.ParseBlob(blob); err != nil {
			return o, err
		}
	} else if keyID == "" {
		return o, kms.Errorf(kms.CodeValidation, "KeyId must be given to decrypt with an asymmetric key")
	}
	if keyID != "" {
		o.named = true
		o.found, err = s.find(ctx, c, keyID, true)
		return o, err
	}
	// Keys have an id of their own in all accounts, so the ciphertext of another account's key finds that.
	key, err := s.Keys.ByID(ctx, o.by)
	if err == nil && key.Region == c.Region {
		o.found, err = s.find(ctx, c, key.ARN, false)
		return o, err
	}
	var refused *kms.Error
	if err != nil && !errors.As(err, &refused) {
		return o, err
	}
	o.found, err = s.find(ctx, c, o.by, false)
	return o, err
}

// check refuses to open a ciphertext by a key that didn't make it.
func (o opened) check() error {
	switch {
	case o.err != nil:
		return o.err
	case o.named && o.by != "" && o.by != o.key.ID:
		return kms.Errorf(kms.CodeIncorrectKey, "The key ID in the request does not identify a CMK that can perform this operation.")
	}
	return nil
}

func (s *service) askDecrypt(ctx context.Context, c awsapi.Call, in *api.DecryptRequest) (awsapi.Asked, error) {
	o, err := s.findOpened(ctx, c, in.KeyID, in.EncryptionAlgorithm, in.CiphertextBlob)
	if err != nil {
		return awsapi.Asked{}, err
	}
	a := awsapi.Asked{Questions: policy.Ask([]string{"kms:Decrypt"}, o.resource), Context: requestContext(c, o.found),
		EncryptionContext: in.EncryptionContext, Found: o}
	kms.Context(in.EncryptionContext).PutKeys(a.Context)
	putAlgorithm(a.Context, in.EncryptionAlgorithm)
	return a, nil
}

func (s *service) decrypt(ctx context.Context, c awsapi.Call, in *api.DecryptRequest) (*api.DecryptResponse, error) {
	o := c.Found.(opened)
	if in.Recipient != nil || len(in.DryRunModifiers) > 0 {
		return nil, kms.Errorf(kms.CodeUnsupportedOperation, "Recipient and DryRunModifiers are not supported.")
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := s.checkUse(o.key, kms.Decrypt, in.EncryptionAlgorithm, in.EncryptionContext, in.GrantTokens); err != nil {
		return nil, err
	}
	plaintext, material, err := s.open(ctx, kms.Decrypt, o.key, in.EncryptionAlgorithm, in.CiphertextBlob, in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	if err := rehearse(in.DryRun); err != nil {
		clear(plaintext)
		return nil, err
	}
	return &api.DecryptResponse{KeyID: o.key.ARN, Plaintext: plaintext, EncryptionAlgorithm: orSymmetric(in.EncryptionAlgorithm), KeyMaterialID: material}, nil
}

// reEncrypted is what ReEncrypt is about.
type reEncrypted struct {
	from opened
	to   found
}

// askReEncrypt asks for both keys, each with its own encryption context.
func (s *service) askReEncrypt(ctx context.Context, c awsapi.Call, in *api.ReEncryptRequest) (a awsapi.Asked, err error) {
	var f reEncrypted
	if f.from, err = s.findOpened(ctx, c, in.SourceKeyID, in.SourceEncryptionAlgorithm, in.CiphertextBlob); err != nil {
		return a, err
	}
	if f.to, err = s.find(ctx, c, in.DestinationKeyID, true); err != nil {
		return a, err
	}
	same := boolean(f.from.resource == f.to.resource)
	question := func(action string, f found, encryption map[string]string, algorithm string) policy.Question {
		context := requestContext(c, f)
		context.Put("kms:ReEncryptOnSameKey", same)
		kms.Context(encryption).PutKeys(context)
		putAlgorithm(context, algorithm)
		if encryption == nil {
			encryption = map[string]string{}
		}
		return policy.Question{Action: action, Resource: f.resource, Own: &policy.Own{Context: context, EncryptionContext: encryption}}
	}
	a.Questions = []policy.Question{
		question("kms:ReEncryptFrom", f.from.found, in.SourceEncryptionContext, in.SourceEncryptionAlgorithm),
		question("kms:ReEncryptTo", f.to, in.DestinationEncryptionContext, in.DestinationEncryptionAlgorithm),
	}
	a.Found = f
	return a, nil
}

func (s *service) reEncrypt(ctx context.Context, c awsapi.Call, in *api.ReEncryptRequest) (*api.ReEncryptResponse, error) {
	f := c.Found.(reEncrypted)
	if len(in.DryRunModifiers) > 0 {
		return nil, kms.Errorf(kms.CodeUnsupportedOperation, "DryRunModifiers are not supported.")
	}
	if err := f.from.check(); err != nil {
		return nil, err
	}
	if f.to.err != nil {
		return nil, f.to.err
	}
	if err := s.checkUse(f.from.key, kms.ReEncrypt, in.SourceEncryptionAlgorithm, in.SourceEncryptionContext, in.GrantTokens); err != nil {
		return nil, err
	}
	if err := s.checkUse(f.to.key, kms.ReEncrypt, in.DestinationEncryptionAlgorithm, in.DestinationEncryptionContext, nil); err != nil {
		return nil, err
	}
	plaintext, source, err := s.open(ctx, kms.ReEncrypt, f.from.key, in.SourceEncryptionAlgorithm, in.CiphertextBlob, in.SourceEncryptionContext)
	if err != nil {
		return nil, err
	}
	defer clear(plaintext)
	if err := rehearse(in.DryRun); err != nil {
		return nil, err
	}
	blob, destination, err := s.seal(ctx, kms.ReEncrypt, f.to.key, in.DestinationEncryptionAlgorithm, plaintext, in.DestinationEncryptionContext)
	return &api.ReEncryptResponse{CiphertextBlob: blob, SourceKeyID: f.from.key.ARN, KeyID: f.to.key.ARN, SourceKeyMaterialID: source,
		SourceEncryptionAlgorithm: orSymmetric(in.SourceEncryptionAlgorithm), DestinationEncryptionAlgorithm: orSymmetric(in.DestinationEncryptionAlgorithm),
		DestinationKeyMaterialID: destination}, err
}
