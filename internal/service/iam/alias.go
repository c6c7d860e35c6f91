package iam

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addAliases(out *awsapi.Service) {
	awsapi.Add(out, onAccount(awsapi.Op[api.CreateAccountAliasRequest, nothing]{
		Action: "iam:CreateAccountAlias",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.CreateAccountAliasRequest) (*nothing, error) {
			return &nothing{}, s.IAM.SetAlias(tx, c.Caller.Principal.Account, in.AccountAlias)
		},
	}))
	awsapi.Add(out, onAccount(awsapi.Op[api.DeleteAccountAliasRequest, nothing]{
		Action: "iam:DeleteAccountAlias",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.DeleteAccountAliasRequest) (*nothing, error) {
			return &nothing{}, s.IAM.DeleteAlias(tx, c.Caller.Principal.Account, in.AccountAlias)
		},
	}))
	awsapi.Add(out, onAccount(awsapi.Op[api.ListAccountAliasesRequest, api.ListAccountAliasesResponse]{
		Action: "iam:ListAccountAliases",
		Read:   s.listAliases,
	}))
}

// listAliases lists the one alias that an account may have.
func (s *service) listAliases(ctx context.Context, c awsapi.Call, _ *api.ListAccountAliasesRequest) (*api.ListAccountAliasesResponse, error) {
	out := &api.ListAccountAliasesResponse{AccountAliases: []string{}, IsTruncated: new(bool)}
	err := s.IAM.View(ctx, func(tx *store.Tx) error {
		alias, err := s.IAM.Alias(tx, c.Caller.Principal.Account)
		if err == nil && alias != "" {
			out.AccountAliases = []string{alias}
		}
		return err
	})
	return out, err
}
