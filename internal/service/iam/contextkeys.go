package iam

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/policy"
)

func (s *service) addContextKeys(out *awsapi.Service) {
	awsapi.Add(out, onAccount(awsapi.Op[api.GetContextKeysForCustomPolicyRequest, api.GetContextKeysForPolicyResponse]{
		Action: "iam:GetContextKeysForCustomPolicy",
		Read: func(_ context.Context, _ awsapi.Call, in *api.GetContextKeysForCustomPolicyRequest) (*api.GetContextKeysForPolicyResponse, error) {
			policies, err := inputPolicies("PolicyInputList", in.PolicyInputList)
			return &api.GetContextKeysForPolicyResponse{ContextKeyNames: policy.ContextKeys(policies...)}, err
		},
	}))
	awsapi.Add(out, onARN(awsapi.Op[api.GetContextKeysForPrincipalPolicyRequest, api.GetContextKeysForPolicyResponse]{
		Action: "iam:GetContextKeysForPrincipalPolicy",
		Read: func(ctx context.Context, c awsapi.Call, in *api.GetContextKeysForPrincipalPolicyRequest) (*api.GetContextKeysForPolicyResponse, error) {
			source, err := s.policySource(ctx, c.Caller.Principal.Account, in.PolicySourceARN)
			if err != nil {
				return nil, err
			}
			policies, err := inputPolicies("PolicyInputList", in.PolicyInputList)
			return &api.GetContextKeysForPolicyResponse{ContextKeyNames: policy.ContextKeys(slices.Concat(source.Policies, policies)...)}, err
		},
	}, func(in *api.GetContextKeysForPrincipalPolicyRequest) string { return in.PolicySourceARN }))
}

// givenKeys are the condition keys that a client gives for a simulation. The error is of code InvalidInput.
func givenKeys(entries []api.ContextEntry) (policy.Context, error) {
	keys := policy.Context{}
	for _, e := range entries {
		_, twice := keys[strings.ToLower(e.ContextKeyName)]
		switch {
		case e.ContextKeyName == "", twice:
			return nil, iam.Errorf(iam.InvalidInput, "Invalid Input - Each context entry must have a key of its own.")
		case !strings.HasSuffix(e.ContextKeyType, "List") && len(e.ContextKeyValues) != 1:
			return nil, iam.Errorf(iam.InvalidInput, "Invalid Input - The context key %s must have one value.", e.ContextKeyName)
		}
		fits := keyForms[strings.TrimSuffix(e.ContextKeyType, "List")]
		for _, value := range e.ContextKeyValues {
			if fits != nil && !fits(value) {
				return nil, iam.Errorf(iam.InvalidInput, "Invalid Input - The context key %s has a value that is not of type %s.", e.ContextKeyName, e.ContextKeyType)
			}
		}
		keys.Put(e.ContextKeyName, e.ContextKeyValues...)
	}
	return keys, nil
}

// keyForms judge the values of condition keys by their type; what has none is any text.
var keyForms = map[string]func(string) bool{
	api.ContextKeyTypeEnumNumeric: func(s string) bool {
		_, err := strconv.ParseFloat(s, 64)
		return err == nil
	},
	api.ContextKeyTypeEnumBoolean: func(s string) bool { return strings.EqualFold(s, "true") || strings.EqualFold(s, "false") },
	api.ContextKeyTypeEnumIp: func(s string) bool {
		_, err := netip.ParseAddr(s)
		if err != nil {
			_, err = netip.ParsePrefix(s)
		}
		return err == nil
	},
	api.ContextKeyTypeEnumDate: isDate,
}

// isDate accepts what conditions compare as dates: ISO 8601, and seconds since 1970.
func isDate(s string) bool {
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return true
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", time.DateOnly, "2006-01"} {
		if _, err := time.Parse(layout, s); err == nil {
			return true
		}
	}
	return false
}
