package iam

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addPasswordPolicy(out *awsapi.Service) {
	awsapi.Add(out, onAccount(awsapi.Op[api.UpdateAccountPasswordPolicyRequest, nothing]{
		Action: "iam:UpdateAccountPasswordPolicy",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.UpdateAccountPasswordPolicyRequest) (*nothing, error) {
			return &nothing{}, s.IAM.PutPasswordPolicy(tx, c.Caller.Principal.Account, passwordPolicyFrom(in))
		},
	}))
	awsapi.Add(out, onAccount(awsapi.Op[struct{}, api.GetAccountPasswordPolicyResponse]{
		Action: "iam:GetAccountPasswordPolicy",
		Read: func(ctx context.Context, c awsapi.Call, _ *struct{}) (out *api.GetAccountPasswordPolicyResponse, err error) {
			err = s.IAM.View(ctx, func(tx *store.Tx) error {
				p, err := s.IAM.PasswordPolicy(tx, c.Caller.Principal.Account)
				out = &api.GetAccountPasswordPolicyResponse{PasswordPolicy: passwordPolicyOf(p)}
				return err
			})
			return out, err
		},
	}))
	awsapi.Add(out, onAccount(awsapi.Op[struct{}, nothing]{
		Action: "iam:DeleteAccountPasswordPolicy",
		Write: func(tx *store.Tx, c awsapi.Call, _ *struct{}) (*nothing, error) {
			return &nothing{}, s.IAM.DeletePasswordPolicy(tx, c.Caller.Principal.Account)
		},
	}))
}

// passwordPolicyFrom is a password policy as IAM keeps it. What a request leaves out is as in a new policy.
func passwordPolicyFrom(in *api.UpdateAccountPasswordPolicyRequest) iam.PasswordPolicy {
	return iam.PasswordPolicy{
		MinimumLength:  or(in.MinimumPasswordLength, iam.DefaultMinimumLength),
		RequireSymbols: or(in.RequireSymbols, false), RequireNumbers: or(in.RequireNumbers, false),
		RequireUppercase: or(in.RequireUppercaseCharacters, false), RequireLowercase: or(in.RequireLowercaseCharacters, false),
		AllowUsersToChangePassword: or(in.AllowUsersToChangePassword, false),
		MaxPasswordAge:             or(in.MaxPasswordAge, 0), HardExpiry: or(in.HardExpiry, false), ReusePrevention: or(in.PasswordReusePrevention, 0),
	}
}

// passwordPolicyOf is a password policy as the API has it.
func passwordPolicyOf(p iam.PasswordPolicy) api.PasswordPolicy {
	expires := p.MaxPasswordAge > 0
	out := api.PasswordPolicy{
		MinimumPasswordLength: &p.MinimumLength, RequireSymbols: &p.RequireSymbols, RequireNumbers: &p.RequireNumbers,
		RequireUppercaseCharacters: &p.RequireUppercase, RequireLowercaseCharacters: &p.RequireLowercase,
		AllowUsersToChangePassword: &p.AllowUsersToChangePassword, ExpirePasswords: &expires, HardExpiry: &p.HardExpiry,
	}
	if expires {
		out.MaxPasswordAge = &p.MaxPasswordAge
	}
	if p.ReusePrevention > 0 {
		out.PasswordReusePrevention = &p.ReusePrevention
	}
	return out
}

// or is what a member of a request says, or what holds without it.
func or[T any](given *T, otherwise T) T {
	if given == nil {
		return otherwise
	}
	return *given
}
