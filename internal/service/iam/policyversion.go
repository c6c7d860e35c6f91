package iam

import (
	"context"
	"slices"
	"strconv"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addPolicyVersions(out *awsapi.Service) {
	awsapi.Add(out, onARN(awsapi.Op[api.CreatePolicyVersionRequest, api.CreatePolicyVersionResponse]{
		Action: "iam:CreatePolicyVersion",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.CreatePolicyVersionRequest) (out *api.CreatePolicyVersionResponse, err error) {
			isDefault := in.SetAsDefault != nil && *in.SetAsDefault
			_, err = s.withPolicy(tx, c, in.PolicyARN, func(p iam.Policy) error {
				v, err := s.IAM.CreateVersion(tx, p, in.PolicyDocument, isDefault)
				shown := versionOf(v, isDefault)
				shown.Document = ""
				out = &api.CreatePolicyVersionResponse{PolicyVersion: &shown}
				return err
			})
			return out, err
		},
	}, func(in *api.CreatePolicyVersionRequest) string { return in.PolicyARN }))
	awsapi.Add(out, onARN(awsapi.Op[api.GetPolicyVersionRequest, api.GetPolicyVersionResponse]{
		Action: "iam:GetPolicyVersion",
		Read: func(ctx context.Context, c awsapi.Call, in *api.GetPolicyVersionRequest) (out *api.GetPolicyVersionResponse, err error) {
			err = s.IAM.View(ctx, func(tx *store.Tx) error {
				p, err := s.IAM.Policy(tx, c.Caller.Principal.Account, in.PolicyARN)
				if err != nil {
					return err
				}
				v, err := s.IAM.PolicyVersion(tx, p, in.VersionID)
				shown := versionOf(v, v.Number == p.DefaultVersion)
				out = &api.GetPolicyVersionResponse{PolicyVersion: &shown}
				return err
			})
			return out, err
		},
	}, func(in *api.GetPolicyVersionRequest) string { return in.PolicyARN }))
	awsapi.Add(out, onARN(awsapi.Op[api.ListPolicyVersionsRequest, api.ListPolicyVersionsResponse]{
		Action: "iam:ListPolicyVersions",
		Read:   s.listPolicyVersions,
	}, func(in *api.ListPolicyVersionsRequest) string { return in.PolicyARN }))
	awsapi.Add(out, onARN(awsapi.Op[api.SetDefaultPolicyVersionRequest, nothing]{
		Action: "iam:SetDefaultPolicyVersion",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.SetDefaultPolicyVersionRequest) (*nothing, error) {
			return s.withPolicy(tx, c, in.PolicyARN, func(p iam.Policy) error { return s.IAM.SetDefaultVersion(tx, p, in.VersionID) })
		},
	}, func(in *api.SetDefaultPolicyVersionRequest) string { return in.PolicyARN }))
	awsapi.Add(out, onARN(awsapi.Op[api.DeletePolicyVersionRequest, nothing]{
		Action: "iam:DeletePolicyVersion",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.DeletePolicyVersionRequest) (*nothing, error) {
			return s.withPolicy(tx, c, in.PolicyARN, func(p iam.Policy) error { return s.IAM.DeleteVersion(tx, p, in.VersionID) })
		},
	}, func(in *api.DeletePolicyVersionRequest) string { return in.PolicyARN }))
}

func versionOf(v iam.Version, isDefault bool) api.PolicyVersion {
	created := awsapi.NewTime(v.CreatedAt)
	return api.PolicyVersion{Document: documentOf(v.Document), VersionID: v.ID(), IsDefaultVersion: &isDefault, CreateDate: &created}
}

func (s *service) listPolicyVersions(ctx context.Context, c awsapi.Call, in *api.ListPolicyVersionsRequest) (*api.ListPolicyVersionsResponse, error) {
	var standing int64
	p, err := list[iam.Version, api.PolicyVersion]{
		name: "versions of " + in.PolicyARN, keys: 1,
		keysOf: func(v iam.Version) []string { return []string{strconv.FormatInt(v.Number, 10)} },
		read: func(tx *store.Tx, after []string, n int) ([]iam.Version, bool, error) {
			p, err := s.IAM.Policy(tx, c.Caller.Principal.Account, in.PolicyARN)
			if err != nil {
				return nil, false, err
			}
			standing = p.DefaultVersion
			all, err := s.IAM.PolicyVersions(tx, p)
			if err != nil {
				return nil, false, err
			}
			// The one before may be gone since.
			if number, err := strconv.ParseInt(after[0], 10, 64); err == nil {
				all = slices.DeleteFunc(all, func(v iam.Version) bool { return v.Number >= number })
			}
			return all[:min(n, len(all))], len(all) > n, nil
		},
		show: func(v iam.Version) api.PolicyVersion {
			shown := versionOf(v, v.Number == standing)
			shown.Document = ""
			return shown
		},
	}.page(ctx, s.IAM, in.Marker, in.MaxItems)
	return &api.ListPolicyVersionsResponse{Versions: p.items, IsTruncated: p.more, Marker: p.marker}, err
}
