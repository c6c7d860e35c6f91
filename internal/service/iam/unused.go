package iam

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// Some things of IAM there are none of, since nobody gets into a registry with them: certificates, SSH keys, passwords of
// other services, instance profiles. Scripts of auditors and tools that delete users and roles ask for them all the same,
// and are told so.

func (s *service) addUnused(out *awsapi.Service) {
	no := false
	awsapi.Add(out, none(s, "iam:ListSSHPublicKeys", api.ListSSHPublicKeysResponse{SSHPublicKeys: []api.SSHPublicKeyMetadata{}, IsTruncated: &no},
		func(in *api.ListSSHPublicKeysRequest) string { return in.UserName }))
	awsapi.Add(out, none(s, "iam:ListSigningCertificates", api.ListSigningCertificatesResponse{Certificates: []api.SigningCertificate{}, IsTruncated: &no},
		func(in *api.ListSigningCertificatesRequest) string { return in.UserName }))
	awsapi.Add(out, allUsers(none(s, "iam:ListServiceSpecificCredentials",
		api.ListServiceSpecificCredentialsResponse{ServiceSpecificCredentials: []api.ServiceSpecificCredentialMetadata{}, IsTruncated: &no},
		func(in *api.ListServiceSpecificCredentialsRequest) string { return in.UserName })))
	awsapi.Add(out, onEntity(s, iam.KindRole, awsapi.Op[api.ListInstanceProfilesForRoleRequest, api.ListInstanceProfilesForRoleResponse]{
		Action: "iam:ListInstanceProfilesForRole",
		Read: func(ctx context.Context, c awsapi.Call, in *api.ListInstanceProfilesForRoleRequest) (*api.ListInstanceProfilesForRoleResponse, error) {
			err := s.IAM.View(ctx, func(tx *store.Tx) error {
				_, err := s.IAM.Role(tx, c.Caller.Principal.Account, in.RoleName)
				return err
			})
			return &api.ListInstanceProfilesForRoleResponse{InstanceProfiles: []api.InstanceProfile{}, IsTruncated: &no}, err
		},
	}, func(in *api.ListInstanceProfilesForRoleRequest) string { return in.RoleName }, nil))

	awsapi.Add(out, noneAtAll[api.ListServerCertificatesRequest]("iam:ListServerCertificates",
		api.ListServerCertificatesResponse{ServerCertificateMetadataList: []api.ServerCertificateMetadata{}, IsTruncated: &no}))
	awsapi.Add(out, noneAtAll[api.ListInstanceProfilesRequest]("iam:ListInstanceProfiles",
		api.ListInstanceProfilesResponse{InstanceProfiles: []api.InstanceProfile{}, IsTruncated: &no}))
	awsapi.Add(out, noneAtAll[api.ListOrganizationsFeaturesRequest]("iam:ListOrganizationsFeatures", api.ListOrganizationsFeaturesResponse{EnabledFeatures: []string{}}))
	awsapi.Add(out, noneAtAll[api.ListDelegationRequestsRequest]("iam:ListDelegationRequests",
		api.ListDelegationRequestsResponse{DelegationRequests: []api.DelegationRequest{}, IsTruncated: &no}))
	s.addMissing(out)
}

// addMissing adds what asks for one of the things that there are none of.
func (s *service) addMissing(out *awsapi.Service) {
	awsapi.Add(out, onEntity(s, iam.KindUser, awsapi.Op[api.GetSSHPublicKeyRequest, api.GetSSHPublicKeyResponse]{
		Action: "iam:GetSSHPublicKey",
		Read: func(_ context.Context, _ awsapi.Call, in *api.GetSSHPublicKeyRequest) (*api.GetSSHPublicKeyResponse, error) {
			return nil, iam.Errorf(iam.NoSuchEntity, "The Public Key with id %s cannot be found.", in.SSHPublicKeyID)
		},
	}, func(in *api.GetSSHPublicKeyRequest) string { return in.UserName }, nil))
	awsapi.Add(out, missing[api.GetServerCertificateRequest, api.GetServerCertificateResponse]("iam:GetServerCertificate", "server-certificate/", "The Server Certificate with name %s cannot be found.",
		func(in *api.GetServerCertificateRequest) string { return in.ServerCertificateName }))
	awsapi.Add(out, missing[api.ListServerCertificateTagsRequest, api.ListServerCertificateTagsResponse]("iam:ListServerCertificateTags", "server-certificate/", "The Server Certificate with name %s cannot be found.",
		func(in *api.ListServerCertificateTagsRequest) string { return in.ServerCertificateName }))
	awsapi.Add(out, missing[api.GetInstanceProfileRequest, api.GetInstanceProfileResponse]("iam:GetInstanceProfile", "instance-profile/", "Instance Profile %s cannot be found.",
		func(in *api.GetInstanceProfileRequest) string { return in.InstanceProfileName }))
	awsapi.Add(out, missing[api.ListInstanceProfileTagsRequest, api.ListInstanceProfileTagsResponse]("iam:ListInstanceProfileTags", "instance-profile/", "Instance Profile %s cannot be found.",
		func(in *api.ListInstanceProfileTagsRequest) string { return in.InstanceProfileName }))
	awsapi.Add(out, onAccount(awsapi.Op[struct{}, api.GetOutboundWebIdentityFederationInfoResponse]{
		Action: "iam:GetOutboundWebIdentityFederationInfo",
		Read: func(context.Context, awsapi.Call, *struct{}) (*api.GetOutboundWebIdentityFederationInfoResponse, error) {
			return nil, iam.Errorf("FeatureDisabled", "Outbound web identity federation is not enabled for this account.")
		},
	}))
}

// none answers the same to every question about a user, who must exist; an empty name stands for the caller.
func none[I, O any](s *service, action string, answer O, name func(*I) string) awsapi.Op[I, O] {
	return onEntity(s, iam.KindUser, awsapi.Op[I, O]{
		Action: action,
		Read: func(ctx context.Context, c awsapi.Call, in *I) (*O, error) {
			err := s.IAM.View(ctx, func(tx *store.Tx) error {
				named := name(in)
				if named == "" {
					return nil
				}
				_, err := s.IAM.User(tx, c.Caller.Principal.Account, named)
				return err
			})
			return &answer, err
		},
	}, name, nil)
}

// allUsers makes the question about all users where the input wants that.
func allUsers[O any](op awsapi.Op[api.ListServiceSpecificCredentialsRequest, O]) awsapi.Op[api.ListServiceSpecificCredentialsRequest, O] {
	ask := op.Ask
	op.Ask = func(ctx context.Context, c awsapi.Call, in *api.ListServiceSpecificCredentialsRequest) (awsapi.Asked, error) {
		if in.AllUsers == nil || !*in.AllUsers {
			return ask(ctx, c, in)
		}
		account := c.Caller.Principal.Account
		return awsapi.Asked{Questions: policy.Ask([]string{op.Action}, policy.Resource{ARN: iam.KindUser.ARN(account, "/", "*"), Account: account})}, nil
	}
	return op
}

// noneAtAll answers the same to every question about the account.
func noneAtAll[I, O any](action string, answer O) awsapi.Op[I, O] {
	return onAccount(awsapi.Op[I, O]{
		Action: action,
		Read:   func(context.Context, awsapi.Call, *I) (*O, error) { return &answer, nil },
	})
}

// missing refuses whatever is asked about something of a kind that there is none of, by its name.
func missing[I, O any](action, kind, sentence string, name func(*I) string) awsapi.Op[I, O] {
	return awsapi.Op[I, O]{
		Action: action,
		Resources: func(c awsapi.Call, in *I) []policy.Resource {
			account := c.Caller.Principal.Account
			return []policy.Resource{{ARN: "arn:aws:iam::" + account + ":" + kind + name(in), Account: account}}
		},
		Read: func(_ context.Context, _ awsapi.Call, in *I) (*O, error) {
			return nil, iam.Errorf(iam.NoSuchEntity, sentence, name(in))
		},
	}
}
