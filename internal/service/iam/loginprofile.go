package iam

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/store"
)

// Passwords are judged and hashed before the transactions that save them, which would hold up all others meanwhile.
func (s *service) addLoginProfiles(out *awsapi.Service) {
	awsapi.Add(out, onEntity(s, iam.KindUser, awsapi.Op[api.CreateLoginProfileRequest, api.CreateLoginProfileResponse]{
		Action: "iam:CreateLoginProfile",
		Stage:  s.createLoginProfile,
		Parameters: func(in *api.CreateLoginProfileRequest) any {
			return api.CreateLoginProfileRequest{UserName: in.UserName, PasswordResetRequired: in.PasswordResetRequired}
		},
	}, func(in *api.CreateLoginProfileRequest) string { return in.UserName }, nil))
	awsapi.Add(out, onEntity(s, iam.KindUser, awsapi.Op[api.GetLoginProfileRequest, api.GetLoginProfileResponse]{
		Action: "iam:GetLoginProfile",
		Read:   s.getLoginProfile,
	}, func(in *api.GetLoginProfileRequest) string { return in.UserName }, nil))
	awsapi.Add(out, onEntity(s, iam.KindUser, awsapi.Op[api.UpdateLoginProfileRequest, nothing]{
		Action: "iam:UpdateLoginProfile",
		Stage:  s.updateLoginProfile,
		Parameters: func(in *api.UpdateLoginProfileRequest) any {
			return api.UpdateLoginProfileRequest{UserName: in.UserName, PasswordResetRequired: in.PasswordResetRequired}
		},
	}, func(in *api.UpdateLoginProfileRequest) string { return in.UserName }, nil))
	awsapi.Add(out, onEntity(s, iam.KindUser, awsapi.Op[api.DeleteLoginProfileRequest, nothing]{
		Action: "iam:DeleteLoginProfile",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.DeleteLoginProfileRequest) (*nothing, error) {
			u, err := s.userOrSelf(tx, c, in.UserName)
			if err != nil {
				return nil, err
			}
			return &nothing{}, s.IAM.DeleteLoginProfile(tx, u)
		},
	}, func(in *api.DeleteLoginProfileRequest) string { return in.UserName }, nil))
	awsapi.Add(out, onEntity(s, iam.KindUser, awsapi.Op[api.ChangePasswordRequest, nothing]{
		Action:     "iam:ChangePassword",
		Stage:      s.changePassword,
		Parameters: func(*api.ChangePasswordRequest) any { return nothing{} },
	}, func(*api.ChangePasswordRequest) string { return "" }, nil))
}

// userOrSelf finds a user by name, an empty one standing for the caller.
func (s *service) userOrSelf(tx *store.Tx, c awsapi.Call, name string) (iam.User, error) {
	u, err := s.userOrRoot(tx, c, name)
	if err != nil {
		return iam.User{}, err
	}
	if u == nil {
		return iam.User{}, errNoUser
	}
	return *u, nil
}

// findUser is userOrSelf in a snapshot of its own.
func (s *service) findUser(ctx context.Context, c awsapi.Call, name string) (u iam.User, err error) {
	err = s.IAM.View(ctx, func(tx *store.Tx) (err error) { u, err = s.userOrSelf(tx, c, name); return err })
	return u, err
}

func loginProfileOf(u iam.User, p iam.LoginProfile) api.LoginProfile {
	return api.LoginProfile{UserName: u.Name, CreateDate: awsapi.NewTime(p.CreatedAt), PasswordResetRequired: &p.ResetRequired}
}

func (s *service) createLoginProfile(ctx context.Context, c awsapi.Call, in *api.CreateLoginProfileRequest) (change awsapi.Staged[api.CreateLoginProfileResponse], err error) {
	if in.Password == "" {
		return change, iam.Errorf(iam.ValidationError, "1 validation error detected: Value at 'password' failed to satisfy constraint: Member must not be null")
	}
	u, err := s.findUser(ctx, c, in.UserName)
	if err != nil {
		return change, err
	}
	password, err := s.IAM.PreparePassword(ctx, u, true, secret.New(in.Password))
	change.Save = func(tx *store.Tx) (*api.CreateLoginProfileResponse, error) {
		p, err := s.IAM.SavePassword(tx, password, or(in.PasswordResetRequired, false))
		return &api.CreateLoginProfileResponse{LoginProfile: loginProfileOf(u, p)}, err
	}
	return change, err
}

func (s *service) getLoginProfile(ctx context.Context, c awsapi.Call, in *api.GetLoginProfileRequest) (out *api.GetLoginProfileResponse, err error) {
	err = s.IAM.View(ctx, func(tx *store.Tx) error {
		u, err := s.userOrSelf(tx, c, in.UserName)
		if err != nil {
			return err
		}
		p, err := s.IAM.LoginProfile(tx, u)
		out = &api.GetLoginProfileResponse{LoginProfile: loginProfileOf(u, p)}
		return err
	})
	return out, err
}

func (s *service) updateLoginProfile(ctx context.Context, c awsapi.Call, in *api.UpdateLoginProfileRequest) (change awsapi.Staged[nothing], err error) {
	u, err := s.findUser(ctx, c, in.UserName)
	if err != nil {
		return change, err
	}
	var password iam.NewPassword
	if in.Password != "" {
		if password, err = s.IAM.PreparePassword(ctx, u, false, secret.New(in.Password)); err != nil {
			return change, err
		}
	}
	change.Save = func(tx *store.Tx) (*nothing, error) {
		p, err := s.IAM.LoginProfile(tx, u)
		if err != nil {
			return nil, err
		}
		reset := or(in.PasswordResetRequired, p.ResetRequired)
		if in.Password == "" {
			return &nothing{}, s.IAM.RequireReset(tx, u, reset)
		}
		_, err = s.IAM.SavePassword(tx, password, reset)
		return &nothing{}, err
	}
	return change, nil
}

// changePassword changes the password of the caller, who has to know the old one.
func (s *service) changePassword(ctx context.Context, c awsapi.Call, in *api.ChangePasswordRequest) (change awsapi.Staged[nothing], err error) {
	if c.Caller.Type != identity.TypeUser {
		// IAM's sentence is not known.
		return change, iam.Errorf(iam.InvalidUserType, "Only an IAM user can change its own password.")
	}
	u, err := s.findUser(ctx, c, "")
	if err != nil {
		return change, err
	}
	if err := s.IAM.CheckOwnPassword(ctx, u, secret.New(in.OldPassword)); err != nil {
		return change, err
	}
	password, err := s.IAM.PreparePassword(ctx, u, false, secret.New(in.NewPassword))
	change.Save = func(tx *store.Tx) (*nothing, error) {
		_, err := s.IAM.SavePassword(tx, password, false)
		return &nothing{}, err
	}
	return change, err
}
