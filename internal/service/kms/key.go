package kms

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/kms"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addKeys(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.CreateKeyRequest, api.CreateKeyResponse]{Action: "kms:CreateKey", Ask: s.askCreateKey, Stage: s.createKey})
	awsapi.Add(out, onKey(s, about[api.DescribeKeyRequest]{key: func(in *api.DescribeKeyRequest) string { return in.KeyID }, aliases: true},
		awsapi.Op[api.DescribeKeyRequest, api.DescribeKeyResponse]{
			Action: "kms:DescribeKey",
			Parameters: func(in *api.DescribeKeyRequest) any {
				shown := *in
				shown.GrantTokens = nil
				return &shown
			},
			Read: s.describeKey,
		}))
	awsapi.Add(out, awsapi.Op[api.ListKeysRequest, api.ListKeysResponse]{
		Action:    "kms:ListKeys",
		Resources: func(c awsapi.Call, _ *api.ListKeysRequest) []policy.Resource { return []policy.Resource{anyKey(c)} },
		Read:      s.listKeys,
	})
	awsapi.Add(out, onKey(s, about[api.UpdateKeyDescriptionRequest]{key: func(in *api.UpdateKeyDescriptionRequest) string { return in.KeyID }},
		awsapi.Op[api.UpdateKeyDescriptionRequest, struct{}]{
			Action: "kms:UpdateKeyDescription",
			Write: func(tx *store.Tx, c awsapi.Call, in *api.UpdateKeyDescriptionRequest) (*struct{}, error) {
				return nil, change(c, func(key kms.Key) error { return s.Keys.SetDescription(tx, key, in.Description) })
			},
		}))
	awsapi.Add(out, onKey(s, about[api.GetKeyLastUsageRequest]{key: func(in *api.GetKeyLastUsageRequest) string { return in.KeyID }},
		awsapi.Op[api.GetKeyLastUsageRequest, api.GetKeyLastUsageResponse]{Action: "kms:GetKeyLastUsage", Read: s.getKeyLastUsage}))
}

// askCreateKey asks whether the caller may make keys, and tag them if it has tags.
func (s *service) askCreateKey(_ context.Context, c awsapi.Call, in *api.CreateKeyRequest) (awsapi.Asked, error) {
	if in.KeySpec != "" && in.CustomerMasterKeySpec != "" && in.KeySpec != in.CustomerMasterKeySpec {
		return awsapi.Asked{}, kms.Errorf(kms.CodeValidation, "KeySpec and CustomerMasterKeySpec differ; give KeySpec alone")
	}
	a := awsapi.Asked{Questions: policy.Ask([]string{"kms:CreateKey"}, anyKey(c)), Context: policy.Context{"kms:calleraccount": {c.Caller.Principal.Account}}}
	put := a.Context.Put
	n := newKey(c, in)
	put("kms:BypassPolicyLockoutSafetyCheck", boolean(isSet(in.BypassPolicyLockoutSafetyCheck)))
	put("kms:MultiRegion", boolean(isSet(in.MultiRegion)))
	put("kms:KeySpec", n.Spec)
	put("kms:KeyUsage", n.Usage)
	put("kms:KeyOrigin", n.Origin)
	requestTags(a.Context, in.Tags)
	if len(in.Tags) > 0 {
		any := policy.Resource{ARN: kms.KeyARN(c.Caller.Principal.Account, c.Region, "*"), Account: c.Caller.Principal.Account}
		a.Questions = append(a.Questions, policy.Ask([]string{"kms:TagResource"}, any)...)
	}
	return a, nil
}

func boolean(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// newKey is what a key is made from, with the defaults of the API.
func newKey(c awsapi.Call, in *api.CreateKeyRequest) kms.NewKey {
	n := kms.NewKey{Account: c.Caller.Principal.Account, Region: c.Region, Description: in.Description, Spec: in.KeySpec, Usage: in.KeyUsage,
		Origin: in.Origin, Policy: in.Policy, Tags: tags(in.Tags)}
	if n.Spec == "" {
		n.Spec = in.CustomerMasterKeySpec
	}
	if n.Spec == "" {
		n.Spec = kms.SpecSymmetric
	}
	if n.Usage == "" && n.Spec == kms.SpecSymmetric {
		n.Usage = kms.UsageEncrypt
	}
	if n.Origin == "" {
		n.Origin = kms.OriginKMS
	}
	return n
}

// errLockOut refuses a policy that would keep the caller from putting another one.
func errLockOut() error {
	return kms.Errorf(kms.CodeMalformedPolicy, "The new key policy will not allow you to update the key policy in the future.")
}

func (s *service) createKey(ctx context.Context, c awsapi.Call, in *api.CreateKeyRequest) (staged awsapi.Staged[api.CreateKeyResponse], err error) {
	if isSet(in.MultiRegion) {
		return staged, kms.Errorf(kms.CodeUnsupportedOperation, "Multi-Region keys are not supported.")
	}
	if in.CustomKeyStoreID != "" || in.XksKeyID != "" {
		return staged, kms.Errorf(kms.CodeUnsupportedOperation, "Custom key stores are not supported.")
	}
	d, err := s.Keys.Draft(ctx, newKey(c, in))
	if err != nil {
		return staged, err
	}
	again := policy.Ask([]string{"kms:PutKeyPolicy"}, policy.Resource{ARN: d.Key.ARN, Account: d.Key.Account})
	if in.Policy != "" && !isSet(in.BypassPolicyLockoutSafetyCheck) && !c.MayAgain(ctx, d.Policy, again...) {
		return staged, errLockOut()
	}
	staged.Save = func(tx *store.Tx) (*api.CreateKeyResponse, error) {
		key, err := s.Keys.Create(tx, d)
		return &api.CreateKeyResponse{KeyMetadata: metadata(key)}, err
	}
	return staged, nil
}

func (s *service) describeKey(ctx context.Context, c awsapi.Call, in *api.DescribeKeyRequest) (*api.DescribeKeyResponse, error) {
	key, err := keyOf(c)
	if err != nil {
		return nil, err
	}
	if err := s.checkTokens(in.GrantTokens); err != nil {
		return nil, err
	}
	return &api.DescribeKeyResponse{KeyMetadata: metadata(key)}, key.Check(kms.DescribeKey)
}

// metadata is how the API shows a key.
func metadata(k kms.Key) *api.KeyMetadata {
	created, enabled, no := awsapi.NewTime(k.Created), k.State == kms.Enabled, false
	m := &api.KeyMetadata{AWSAccountID: k.Account, KeyID: k.ID, Arn: k.ARN, CreationDate: &created, Enabled: &enabled, Description: k.Description,
		KeyUsage: k.Usage, KeyState: string(k.State), Origin: k.Origin, KeyManager: k.Manager, CustomerMasterKeySpec: k.Spec, KeySpec: k.Spec, MultiRegion: &no}
	if !k.DeletionDate.IsZero() {
		at := awsapi.NewTime(k.DeletionDate)
		m.DeletionDate = &at
	}
	if k.Origin == kms.OriginExternal && k.State != kms.PendingImport {
		m.ExpirationModel = "KEY_MATERIAL_DOES_NOT_EXPIRE"
		if !k.ValidTo.IsZero() {
			at := awsapi.NewTime(k.ValidTo)
			m.ExpirationModel, m.ValidTo = "KEY_MATERIAL_EXPIRES", &at
		}
	}
	switch algorithms := k.Algorithms(); k.Usage {
	case kms.UsageEncrypt:
		m.EncryptionAlgorithms = algorithms
	case kms.UsageSign:
		m.SigningAlgorithms = algorithms
	case kms.UsageMac:
		m.MacAlgorithms = algorithms
	}
	if k.Symmetric() {
		m.CurrentKeyMaterialID = k.Current
	}
	return m
}

func (s *service) listKeys(ctx context.Context, c awsapi.Call, in *api.ListKeysRequest) (*api.ListKeysResponse, error) {
	p, err := readPage(in.Marker, "keys")
	if err != nil {
		return nil, err
	}
	account, most, out := c.Caller.Principal.Account, size(in.Limit, 100, 1000), &api.ListKeysResponse{}
	err = s.Keys.View(ctx, func(tx *store.Tx) error {
		ids, err := s.Keys.List(tx, account, c.Region, p.After, most+1)
		ids, out.NextMarker, out.Truncated = paged(ids, most, func(last string) page { return page{List: p.List, After: last} })
		out.Keys = []api.KeyListEntry{}
		for _, id := range ids {
			out.Keys = append(out.Keys, api.KeyListEntry{KeyID: id, KeyARN: kms.KeyARN(account, c.Region, id)})
		}
		return err
	})
	return out, err
}

func (s *service) getKeyLastUsage(ctx context.Context, c awsapi.Call, _ *api.GetKeyLastUsageRequest) (*api.GetKeyLastUsageResponse, error) {
	return view(ctx, s, c, func(tx *store.Tx, key kms.Key) (*api.GetKeyLastUsageResponse, error) {
		created := awsapi.NewTime(key.Created)
		out := &api.GetKeyLastUsageResponse{KeyID: key.ARN, KeyCreationDate: &created, TrackingStartDate: &created}
		use, err := s.Keys.LastUse(tx, key)
		if err == nil && !use.At.IsZero() {
			at := awsapi.NewTime(use.At)
			out.KeyLastUsage = &api.KeyLastUsageData{Operation: string(use.Operation), Timestamp: &at}
		}
		return out, err
	})
}
