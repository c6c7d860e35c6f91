package kms

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/kms"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addPolicies(out *awsapi.Service) {
	awsapi.Add(out, onKey(s, about[api.GetKeyPolicyRequest]{key: func(in *api.GetKeyPolicyRequest) string { return in.KeyID }},
		awsapi.Op[api.GetKeyPolicyRequest, api.GetKeyPolicyResponse]{Action: "kms:GetKeyPolicy", Read: s.getKeyPolicy}))
	awsapi.Add(out, onKey(s, about[api.ListKeyPoliciesRequest]{key: func(in *api.ListKeyPoliciesRequest) string { return in.KeyID }},
		awsapi.Op[api.ListKeyPoliciesRequest, api.ListKeyPoliciesResponse]{
			Action: "kms:ListKeyPolicies",
			Read: func(_ context.Context, c awsapi.Call, _ *api.ListKeyPoliciesRequest) (*api.ListKeyPoliciesResponse, error) {
				no := false
				_, err := keyOf(c)
				return &api.ListKeyPoliciesResponse{PolicyNames: []string{kms.PolicyName}, Truncated: &no}, err
			},
		}))
	awsapi.Add(out, onKey(s, about[api.PutKeyPolicyRequest]{
		key: func(in *api.PutKeyPolicyRequest) string { return in.KeyID },
		context: func(in *api.PutKeyPolicyRequest, c policy.Context) {
			c.Put("kms:BypassPolicyLockoutSafetyCheck", boolean(isSet(in.BypassPolicyLockoutSafetyCheck)))
		},
	}, awsapi.Op[api.PutKeyPolicyRequest, struct{}]{Action: "kms:PutKeyPolicy", Stage: s.putKeyPolicy}))
}

// checkPolicyName refuses a name that no policy of a key has.
func checkPolicyName(name string) error {
	if name == "" || name == kms.PolicyName {
		return nil
	}
	return kms.Errorf(kms.CodeNotFound, "No such policy exists")
}

func (s *service) getKeyPolicy(ctx context.Context, c awsapi.Call, in *api.GetKeyPolicyRequest) (*api.GetKeyPolicyResponse, error) {
	return view(ctx, s, c, func(tx *store.Tx, key kms.Key) (*api.GetKeyPolicyResponse, error) {
		if err := checkPolicyName(in.PolicyName); err != nil {
			return nil, err
		}
		text, err := s.Keys.Policy(tx, key)
		return &api.GetKeyPolicyResponse{Policy: text, PolicyName: kms.PolicyName}, err
	})
}

func (s *service) putKeyPolicy(ctx context.Context, c awsapi.Call, in *api.PutKeyPolicyRequest) (staged awsapi.Staged[struct{}], err error) {
	key, err := keyOf(c)
	if err != nil {
		return staged, err
	}
	if err := checkPolicyName(in.PolicyName); err != nil {
		return staged, err
	}
	var p kms.KeyPolicy
	err = s.Keys.View(ctx, func(tx *store.Tx) error {
		p, err = s.Keys.NewPolicy(tx, in.Policy)
		return err
	})
	if err != nil {
		return staged, err
	}
	if !isSet(in.BypassPolicyLockoutSafetyCheck) && !c.MayAgain(ctx, p.Compiled) {
		return staged, errLockOut()
	}
	staged.Save = func(tx *store.Tx) (*struct{}, error) { return nil, s.Keys.PutPolicy(tx, key, p) }
	return staged, nil
}
