package iam

import (
	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addAccessKeys(out *awsapi.Service) {
	awsapi.Add(out, onEntity(s, iam.KindUser, awsapi.Op[api.CreateAccessKeyRequest, api.CreateAccessKeyResponse]{
		Action: "iam:CreateAccessKey",
		Write:  s.createAccessKey,
		Response: func(out *api.CreateAccessKeyResponse) any {
			shown := *out
			shown.AccessKey.SecretAccessKey = ""
			return withoutSecret(shown.AccessKey)
		},
	}, func(in *api.CreateAccessKeyRequest) string { return in.UserName }, nil))
}

// withoutSecret is what the trail shows of a new access key.
func withoutSecret(k api.AccessKey) any {
	return map[string]any{"accessKey": map[string]any{"userName": k.UserName, "accessKeyId": k.AccessKeyID, "status": k.Status, "createDate": k.CreateDate}}
}

func (s *service) createAccessKey(tx *store.Tx, c awsapi.Call, in *api.CreateAccessKeyRequest) (*api.CreateAccessKeyResponse, error) {
	user, err := s.userOrRoot(tx, c, in.UserName)
	if err != nil {
		return nil, err
	}
	id, text, err := s.IAM.CreateAccessKey(tx, c.Caller.Principal.Account, user)
	if err != nil {
		return nil, err
	}
	out := api.AccessKey{AccessKeyID: id, SecretAccessKey: text.Reveal(), Status: "Active"}
	if user != nil {
		out.UserName = user.Name
	}
	return &api.CreateAccessKeyResponse{AccessKey: out}, nil
}

// userOrRoot finds a user by name, an empty one standing for the caller; nil is the account's root.
func (s *service) userOrRoot(tx *store.Tx, c awsapi.Call, name string) (*iam.User, error) {
	if name == "" && c.Caller.Principal.Root {
		return nil, nil
	}
	if name == "" {
		name = c.Caller.Name
	}
	if name == "" {
		return nil, iam.Errorf(iam.ValidationError, "Must specify userName when calling with non-User credentials")
	}
	u, err := s.IAM.User(tx, c.Caller.Principal.Account, name)
	return &u, err
}
