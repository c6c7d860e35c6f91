package iam

import (
	"cmp"
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addAccessKeys(out *awsapi.Service) {
	awsapi.Add(out, onEntity(s, iam.KindUser, awsapi.Op[api.CreateAccessKeyRequest, api.CreateAccessKeyResponse]{
		Action:   "iam:CreateAccessKey",
		Write:    s.createAccessKey,
		Response: withoutSecret,
	}, func(in *api.CreateAccessKeyRequest) string { return in.UserName }, nil))
	awsapi.Add(out, onEntity(s, iam.KindUser, awsapi.Op[api.UpdateAccessKeyRequest, nothing]{
		Action: "iam:UpdateAccessKey",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.UpdateAccessKeyRequest) (*nothing, error) {
			if in.Status == "Expired" { // which the model has for keys of other kinds
				return nil, iam.Errorf(iam.InvalidInput, "The status of an access key must be Active or Inactive.")
			}
			user, err := s.userOrRoot(tx, c, in.UserName)
			if err != nil {
				return nil, err
			}
			return &nothing{}, s.IAM.UpdateAccessKey(tx, c.Caller.Principal.Account, user, in.AccessKeyID, in.Status == statusActive)
		},
	}, func(in *api.UpdateAccessKeyRequest) string { return in.UserName }, nil))
	awsapi.Add(out, onEntity(s, iam.KindUser, awsapi.Op[api.DeleteAccessKeyRequest, nothing]{
		Action: "iam:DeleteAccessKey",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.DeleteAccessKeyRequest) (*nothing, error) {
			user, err := s.userOrRoot(tx, c, in.UserName)
			if err != nil {
				return nil, err
			}
			return &nothing{}, s.IAM.DeleteAccessKey(tx, c.Caller.Principal.Account, user, in.AccessKeyID)
		},
	}, func(in *api.DeleteAccessKeyRequest) string { return in.UserName }, nil))
	awsapi.Add(out, onEntity(s, iam.KindUser, awsapi.Op[api.ListAccessKeysRequest, api.ListAccessKeysResponse]{
		Action: "iam:ListAccessKeys",
		Read:   s.listAccessKeys,
	}, func(in *api.ListAccessKeysRequest) string { return in.UserName }, nil))
	awsapi.Add(out, awsapi.Op[api.GetAccessKeyLastUsedRequest, api.GetAccessKeyLastUsedResponse]{
		Action: "iam:GetAccessKeyLastUsed",
		Ask:    s.askKeyOwner,
		Read:   s.getAccessKeyLastUsed,
	})
}

// The statuses of access keys.
const statusActive, statusInactive = "Active", "Inactive"

func statusOf(active bool) string {
	if active {
		return statusActive
	}
	return statusInactive
}

// withoutSecret is what the trail shows of a new access key.
func withoutSecret(out *api.CreateAccessKeyResponse) any {
	k := out.AccessKey
	return struct{ AccessKey api.AccessKeyMetadata }{api.AccessKeyMetadata{UserName: k.UserName, AccessKeyID: k.AccessKeyID, Status: k.Status, CreateDate: k.CreateDate}}
}

func (s *service) createAccessKey(tx *store.Tx, c awsapi.Call, in *api.CreateAccessKeyRequest) (*api.CreateAccessKeyResponse, error) {
	account := c.Caller.Principal.Account
	user, err := s.userOrRoot(tx, c, in.UserName)
	if err != nil {
		return nil, err
	}
	id, text, err := s.IAM.CreateAccessKey(tx, account, user)
	if err != nil {
		return nil, err
	}
	key, err := s.IAM.Key(tx, account, user, id)
	return &api.CreateAccessKeyResponse{AccessKey: api.AccessKey{UserName: nameOf(user), AccessKeyID: id, SecretAccessKey: text.Reveal(),
		Status: statusOf(key.Active), CreateDate: timeOf(key.CreatedAt)}}, err
}

// nameOf is the name of a user; empty for the account's root, which is nil.
func nameOf(user *iam.User) string {
	if user == nil {
		return ""
	}
	return user.Name
}

// userOrRoot finds a user by name, an empty one standing for the caller; nil is the account's root.
func (s *service) userOrRoot(tx *store.Tx, c awsapi.Call, name string) (*iam.User, error) {
	account := c.Caller.Principal.Account
	switch {
	case name != "":
		u, err := s.IAM.User(tx, account, name)
		return &u, err
	case c.Caller.Type == identity.TypeRoot:
		return nil, nil
	case c.Caller.Type == identity.TypeUser:
		u, err := s.IAM.UserByID(tx, account, c.Caller.Principal.ID)
		return &u, err
	}
	return nil, errNoUser
}

var errNoUser = iam.Errorf(iam.ValidationError, "Must specify userName when calling with non-User credentials")

func (s *service) listAccessKeys(ctx context.Context, c awsapi.Call, in *api.ListAccessKeysRequest) (*api.ListAccessKeysResponse, error) {
	var user *iam.User
	p, err := list[iam.KeyInfo, api.AccessKeyMetadata]{
		name: "access keys of " + cmp.Or(in.UserName, c.Caller.PrincipalID), keys: 1,
		keysOf: func(k iam.KeyInfo) []string { return []string{k.ID} },
		read: func(tx *store.Tx, after []string, n int) (_ []iam.KeyInfo, _ bool, err error) {
			if user, err = s.userOrRoot(tx, c, in.UserName); err != nil {
				return nil, false, err
			}
			return s.IAM.KeyPage(tx, c.Caller.Principal.Account, user, after[0], n)
		},
		show: func(k iam.KeyInfo) api.AccessKeyMetadata {
			return api.AccessKeyMetadata{UserName: nameOf(user), AccessKeyID: k.ID, Status: statusOf(k.Active), CreateDate: timeOf(k.CreatedAt)}
		},
	}.page(ctx, s.IAM, in.Marker, in.MaxItems)
	return &api.ListAccessKeysResponse{AccessKeyMetadata: p.items, IsTruncated: p.more, Marker: p.marker}, err
}

// askKeyOwner makes the question about the user that a key belongs to. A key that the account doesn't have is nobody's.
func (s *service) askKeyOwner(ctx context.Context, c awsapi.Call, in *api.GetAccessKeyLastUsedRequest) (a awsapi.Asked, err error) {
	account := c.Caller.Principal.Account
	arn := "*"
	err = s.IAM.View(ctx, func(tx *store.Tx) error {
		user, err := s.IAM.KeyOwner(tx, account, in.AccessKeyID)
		switch {
		case iam.IsMissing(err):
			return nil
		case err != nil:
			return err
		case user == nil:
			arn = iam.RootOf(account)
		default:
			arn = user.ARN()
		}
		return nil
	})
	a.Questions = policy.Ask([]string{"iam:GetAccessKeyLastUsed"}, policy.Resource{ARN: arn, Account: account})
	return a, err
}

// never stands in place of service and region of a key that was never used.
const never = "N/A"

func (s *service) getAccessKeyLastUsed(ctx context.Context, c awsapi.Call, in *api.GetAccessKeyLastUsedRequest) (out *api.GetAccessKeyLastUsedResponse, err error) {
	account := c.Caller.Principal.Account
	err = s.IAM.View(ctx, func(tx *store.Tx) error {
		user, err := s.IAM.KeyOwner(tx, account, in.AccessKeyID)
		if err != nil {
			return err
		}
		key, err := s.IAM.Key(tx, account, user, in.AccessKeyID)
		out = &api.GetAccessKeyLastUsedResponse{UserName: nameOf(user), AccessKeyLastUsed: &api.AccessKeyLastUsed{
			LastUsedDate: timeOf(key.UsedAt), ServiceName: cmp.Or(key.Service, never), Region: cmp.Or(key.Region, never)}}
		return err
	})
	return out, err
}
