package iam

import (
	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/store"
)

// nothing is the output of operations that answer nothing.
type nothing struct{}

func (s *service) addInlinePolicies(out *awsapi.Service) {
	awsapi.Add(out, onEntity(s, iam.KindUser, awsapi.Op[api.PutUserPolicyRequest, nothing]{
		Action: "iam:PutUserPolicy",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.PutUserPolicyRequest) (*nothing, error) {
			u, err := s.IAM.User(tx, c.Caller.Principal.Account, in.UserName)
			if err != nil {
				return nil, err
			}
			return &nothing{}, s.IAM.PutInline(tx, c.Caller.Principal.Account, u.ID, in.PolicyName, in.PolicyDocument)
		},
	}, func(in *api.PutUserPolicyRequest) string { return in.UserName }, nil))
}
