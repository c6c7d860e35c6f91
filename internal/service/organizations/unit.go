package organizations

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/organizations"
	"github.com/coffer-registry/coffer/internal/organization"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addUnits(out *awsapi.Service) {
	awsapi.Add(out, managed(s, awsapi.Op[api.CreateOrganizationalUnitRequest, api.CreateOrganizationalUnitResponse]{
		Action: "organizations:CreateOrganizationalUnit",
		Write:  s.createUnit,
	}, func(in *api.CreateOrganizationalUnitRequest) about {
		return about{ids: []string{in.ParentID}, tags: in.Tags}
	}))
	awsapi.Add(out, managed(s, awsapi.Op[api.DescribeOrganizationalUnitRequest, api.DescribeOrganizationalUnitResponse]{
		Action: "organizations:DescribeOrganizationalUnit",
		Read:   s.describeUnit,
	}, func(in *api.DescribeOrganizationalUnitRequest) about { return ids(in.OrganizationalUnitID) }))
	awsapi.Add(out, managed(s, awsapi.Op[api.UpdateOrganizationalUnitRequest, api.UpdateOrganizationalUnitResponse]{
		Action: "organizations:UpdateOrganizationalUnit",
		Write:  s.updateUnit,
	}, func(in *api.UpdateOrganizationalUnitRequest) about { return ids(in.OrganizationalUnitID) }))
	awsapi.Add(out, managed(s, awsapi.Op[api.DeleteOrganizationalUnitRequest, none]{
		Action: "organizations:DeleteOrganizationalUnit",
		Write:  s.deleteUnit,
	}, func(in *api.DeleteOrganizationalUnitRequest) about { return ids(in.OrganizationalUnitID) }))
	awsapi.Add(out, managed(s, awsapi.Op[api.ListOrganizationalUnitsForParentRequest, api.ListOrganizationalUnitsForParentResponse]{
		Action: "organizations:ListOrganizationalUnitsForParent",
		Read:   s.listUnits,
	}, func(in *api.ListOrganizationalUnitsForParentRequest) about { return ids(in.ParentID) }))
	awsapi.Add(out, managed(s, awsapi.Op[api.ListChildrenRequest, api.ListChildrenResponse]{
		Action: "organizations:ListChildren",
		Read:   s.listChildren,
	}, func(in *api.ListChildrenRequest) about { return ids(in.ParentID) }))
	awsapi.Add(out, managed(s, awsapi.Op[api.ListParentsRequest, api.ListParentsResponse]{
		Action: "organizations:ListParents",
		Read:   s.listParents,
	}, func(in *api.ListParentsRequest) about { return ids(in.ChildID) }))
}

func (s *service) createUnit(tx *store.Tx, c awsapi.Call, in *api.CreateOrganizationalUnitRequest) (*api.CreateOrganizationalUnitResponse, error) {
	u, err := s.Organization.CreateUnit(tx, in.ParentID, in.Name)
	if err == nil {
		err = s.Organization.Tag(tx, u.ID, tagsOf(in.Tags))
	}
	if err != nil {
		return nil, err
	}
	unit, err := s.unitOf(tx, infoOf(c), u)
	return &api.CreateOrganizationalUnitResponse{OrganizationalUnit: unit}, err
}

// unitOf is a unit as the API shows it.
func (s *service) unitOf(tx *store.Tx, info organization.Info, u organization.Unit) (*api.OrganizationalUnit, error) {
	path, err := s.Organization.Path(tx, info, u.ID)
	return &api.OrganizationalUnit{Id: u.ID, Arn: info.ARNOf(u.ID), Name: u.Name, Path: path}, err
}

func (s *service) describeUnit(ctx context.Context, c awsapi.Call, in *api.DescribeOrganizationalUnitRequest) (*api.DescribeOrganizationalUnitResponse, error) {
	return view(ctx, s, func(tx *store.Tx) (*api.DescribeOrganizationalUnitResponse, error) {
		u, err := s.Organization.Unit(tx, in.OrganizationalUnitID)
		if err != nil {
			return nil, err
		}
		unit, err := s.unitOf(tx, infoOf(c), u)
		return &api.DescribeOrganizationalUnitResponse{OrganizationalUnit: unit}, err
	})
}

func (s *service) updateUnit(tx *store.Tx, c awsapi.Call, in *api.UpdateOrganizationalUnitRequest) (*api.UpdateOrganizationalUnitResponse, error) {
	u, err := s.Organization.Unit(tx, in.OrganizationalUnitID)
	if err == nil && in.Name != "" {
		u, err = s.Organization.RenameUnit(tx, u.ID, in.Name)
	}
	if err != nil {
		return nil, err
	}
	unit, err := s.unitOf(tx, infoOf(c), u)
	return &api.UpdateOrganizationalUnitResponse{OrganizationalUnit: unit}, err
}

func (s *service) deleteUnit(tx *store.Tx, _ awsapi.Call, in *api.DeleteOrganizationalUnitRequest) (*none, error) {
	return &none{}, s.Organization.DeleteUnit(tx, in.OrganizationalUnitID)
}

func (s *service) listUnits(ctx context.Context, c awsapi.Call, in *api.ListOrganizationalUnitsForParentRequest) (*api.ListOrganizationalUnitsForParentResponse, error) {
	return view(ctx, s, func(tx *store.Tx) (*api.ListOrganizationalUnitsForParentResponse, error) {
		units, next, err := s.units(tx, "units/"+in.ParentID, in.ParentID, in.NextToken, in.MaxResults)
		if err != nil || len(units) == 0 {
			return &api.ListOrganizationalUnitsForParentResponse{OrganizationalUnits: []api.OrganizationalUnit{}}, err
		}
		path, err := s.Organization.Path(tx, infoOf(c), in.ParentID)
		return &api.ListOrganizationalUnitsForParentResponse{NextToken: next, OrganizationalUnits: each(units, func(u organization.Unit) api.OrganizationalUnit {
			return api.OrganizationalUnit{Id: u.ID, Arn: infoOf(c).ARNOf(u.ID), Name: u.Name, Path: path + u.ID + "/"}
		})}, err
	})
}

// units reads a page of the units in a parent.
func (s *service) units(tx *store.Tx, list, parent, next string, maxResults *int64) ([]organization.Unit, string, error) {
	return paged(list, next, maxResults, func(u organization.Unit) string { return u.Name }, func(after string, n int) ([]organization.Unit, error) {
		return s.Organization.Units(tx, parent, after, n)
	})
}

func (s *service) listChildren(ctx context.Context, _ awsapi.Call, in *api.ListChildrenRequest) (*api.ListChildrenResponse, error) {
	return view(ctx, s, func(tx *store.Tx) (*api.ListChildrenResponse, error) {
		list := "children/" + in.ChildType + "/" + in.ParentID
		if in.ChildType == api.ChildTypeOrganizationalUnit {
			units, next, err := s.units(tx, list, in.ParentID, in.NextToken, in.MaxResults)
			return &api.ListChildrenResponse{NextToken: next, Children: each(units, func(u organization.Unit) api.Child {
				return api.Child{Id: u.ID, Type: in.ChildType}
			})}, err
		}
		accounts, next, err := s.accountsOf(tx, list, in.ParentID, in.NextToken, in.MaxResults)
		return &api.ListChildrenResponse{NextToken: next, Children: each(accounts, func(a organization.Account) api.Child {
			return api.Child{Id: a.ID, Type: in.ChildType}
		})}, err
	})
}

// listParents answers the one parent that everything has.
func (s *service) listParents(ctx context.Context, _ awsapi.Call, in *api.ListParentsRequest) (*api.ListParentsResponse, error) {
	return view(ctx, s, func(tx *store.Tx) (*api.ListParentsResponse, error) {
		parent, err := s.Organization.Parent(tx, in.ChildID)
		if err != nil {
			return nil, err
		}
		return &api.ListParentsResponse{Parents: []api.Parent{{Id: parent, Type: string(organization.KindOf(parent))}}}, nil
	})
}
