package organizations

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/organizations"
	"github.com/coffer-registry/coffer/internal/organization"
	"github.com/coffer-registry/coffer/internal/store"
)

type none = struct{}

func (s *service) addOrganization(out *awsapi.Service) {
	awsapi.Add(out, asked(s, awsapi.Op[none, api.DescribeOrganizationResponse]{
		Action: "organizations:DescribeOrganization",
		Read:   s.describeOrganization,
	}, func(*none) about { return about{} }))
	awsapi.Add(out, managed(s, awsapi.Op[api.ListRootsRequest, api.ListRootsResponse]{
		Action: "organizations:ListRoots",
		Read:   s.listRoots,
	}, func(*api.ListRootsRequest) about { return about{} }))
	awsapi.Add(out, managed(s, awsapi.Op[api.ListAWSServiceAccessForOrganizationRequest, api.ListAWSServiceAccessForOrganizationResponse]{
		Action: "organizations:ListAWSServiceAccessForOrganization",
		Read:   listServiceAccess,
	}, func(*api.ListAWSServiceAccessForOrganizationRequest) about { return about{} }))
	awsapi.Add(out, managed(s, awsapi.Op[api.ListDelegatedAdministratorsRequest, api.ListDelegatedAdministratorsResponse]{
		Action: "organizations:ListDelegatedAdministrators",
		Read:   listDelegatedAdministrators,
	}, func(*api.ListDelegatedAdministratorsRequest) about { return about{} }))
}

// describeOrganization is for members too.
func (s *service) describeOrganization(ctx context.Context, c awsapi.Call, _ *none) (*api.DescribeOrganizationResponse, error) {
	return view(ctx, s, func(tx *store.Tx) (*api.DescribeOrganizationResponse, error) {
		info := infoOf(c)
		management, err := s.Organization.Account(tx, info.Management)
		if err != nil {
			return nil, err
		}
		types, err := s.enabledTypes(tx)
		if err != nil {
			return nil, err
		}
		return &api.DescribeOrganizationResponse{Organization: &api.Organization{
			Id: info.ID, Arn: info.ARN(), FeatureSet: api.OrganizationFeatureSetAll, AvailablePolicyTypes: types,
			MasterAccountID: info.Management, MasterAccountARN: info.ARNOf(info.Management), MasterAccountEmail: management.Email,
		}}, nil
	})
}

// enabledTypes are the types of policies that count, as the API shows them.
func (s *service) enabledTypes(tx *store.Tx) ([]api.PolicyTypeSummary, error) {
	types, err := s.Organization.EnabledTypes(tx)
	return each(types, func(t organization.PolicyType) api.PolicyTypeSummary {
		return api.PolicyTypeSummary{Type: string(t), Status: api.PolicyTypeStatusEnabled}
	}), err
}

func (s *service) listRoots(ctx context.Context, c awsapi.Call, _ *api.ListRootsRequest) (*api.ListRootsResponse, error) {
	return view(ctx, s, func(tx *store.Tx) (*api.ListRootsResponse, error) {
		root, err := s.root(tx, infoOf(c))
		if err != nil {
			return nil, err
		}
		return &api.ListRootsResponse{Roots: []api.Root{*root}}, nil
	})
}

// root is the organization's root, as the API shows it.
func (s *service) root(tx *store.Tx, info organization.Info) (*api.Root, error) {
	types, err := s.enabledTypes(tx)
	if err != nil {
		return nil, err
	}
	return &api.Root{Id: info.Root, Arn: info.ARNOf(info.Root), Name: "Root", PolicyTypes: types}, nil
}

// listServiceAccess answers that no service of AWS has access, since there is none here. Terraform asks.
func listServiceAccess(context.Context, awsapi.Call, *api.ListAWSServiceAccessForOrganizationRequest) (*api.ListAWSServiceAccessForOrganizationResponse, error) {
	return &api.ListAWSServiceAccessForOrganizationResponse{EnabledServicePrincipals: []api.EnabledServicePrincipal{}}, nil
}

// listDelegatedAdministrators answers that no member manages the organization beside the management account.
func listDelegatedAdministrators(context.Context, awsapi.Call, *api.ListDelegatedAdministratorsRequest) (*api.ListDelegatedAdministratorsResponse, error) {
	return &api.ListDelegatedAdministratorsResponse{DelegatedAdministrators: []api.DelegatedAdministrator{}}, nil
}
