package iam

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addDetails(out *awsapi.Service) {
	awsapi.Add(out, onAccount(awsapi.Op[api.GetAccountAuthorizationDetailsRequest, api.GetAccountAuthorizationDetailsResponse]{
		Action: "iam:GetAccountAuthorizationDetails",
		Read:   s.getAccountDetails,
	}))
}

// details is a page of all that an account has, which is built up part by part.
type details struct {
	iam     *iam.Store
	tx      *store.Tx
	account string
	out     api.GetAccountAuthorizationDetailsResponse
	// room is for how many entries, and bytes of documents, there still is room.
	room, bytes int
}

const (
	// maxDetailBytes is about how many bytes the documents of a page have together, before they are encoded.
	maxDetailBytes = 4 << 20
	// detailBatch is how many entries are read at once, between which the page may end.
	detailBatch = 20
)

// detailParts are the parts of a page in their order, by what a filter calls them. Each reads at most n entries after a
// place, and returns the place of the last one it read, and whether there are more.
var detailParts = []struct {
	filter string
	read   func(d *details, after iam.Place, n int) (last iam.Place, more bool, err error)
}{
	{api.EntityTypeUser, (*details).users}, {api.EntityTypeGroup, (*details).groups}, {api.EntityTypeRole, (*details).roles},
	{api.EntityTypeLocalManagedPolicy, (*details).localPolicies}, {api.EntityTypeAWSManagedPolicy, (*details).awsPolicies},
}

func (s *service) getAccountDetails(ctx context.Context, c awsapi.Call, in *api.GetAccountAuthorizationDetailsRequest) (*api.GetAccountAuthorizationDetailsResponse, error) {
	filter := slices.Sorted(slices.Values(in.Filter))
	name := "details of " + strings.Join(slices.Compact(filter), " ")
	after, n, err := paging(name, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	if after == nil {
		after = []string{"", "", ""}
	}
	if len(after) != 3 {
		return nil, iam.Errorf(iam.ValidationError, "Invalid Marker.")
	}
	d := &details{iam: s.IAM, account: c.Caller.Principal.Account, room: n, bytes: maxDetailBytes, out: api.GetAccountAuthorizationDetailsResponse{
		UserDetailList: []api.UserDetail{}, GroupDetailList: []api.GroupDetail{}, RoleDetailList: []api.RoleDetail{},
		Policies: []api.ManagedPolicyDetail{}, IsTruncated: new(bool)}}
	err = s.IAM.View(ctx, func(tx *store.Tx) error {
		d.tx = tx
		begun := after[0] == ""
		for _, part := range detailParts {
			place := iam.Place{}
			if !begun && part.filter == after[0] {
				begun, place = true, iam.Place{Path: after[1], Name: after[2]}
			}
			if !begun || len(filter) > 0 && !slices.Contains(filter, part.filter) {
				continue
			}
			for more := true; more; {
				if d.room <= 0 || d.bytes <= 0 {
					*d.out.IsTruncated, d.out.Marker = true, nextMarker(name, part.filter, place.Path, place.Name)
					return nil
				}
				if place, more, err = part.read(d, place, min(d.room, detailBatch)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return &d.out, err
}

func (d *details) users(after iam.Place, n int) (last iam.Place, more bool, err error) {
	page, more, err := d.iam.UserPage(d.tx, d.account, "", after, n)
	for _, u := range page {
		created := awsapi.NewTime(u.CreatedAt)
		shown := api.UserDetail{Path: u.Path, UserName: u.Name, UserID: u.ID, Arn: u.ARN(), CreateDate: &created, PermissionsBoundary: boundaryOf(u.Boundary)}
		if shown.UserPolicyList, shown.AttachedManagedPolicies, err = d.policiesOf(u.ID); err != nil {
			return last, false, err
		}
		if shown.GroupList, err = d.iam.GroupNames(d.tx, u.ID); err != nil {
			return last, false, err
		}
		tags, err := d.iam.Tags(d.tx, u.ID)
		if err != nil {
			return last, false, err
		}
		shown.Tags = tagsTo(tags)
		d.out.UserDetailList = append(d.out.UserDetailList, shown)
		last = iam.Place{Path: u.Path, Name: u.Name}
	}
	d.room -= len(page)
	return last, more, err
}

func (d *details) groups(after iam.Place, n int) (last iam.Place, more bool, err error) {
	page, more, err := d.iam.GroupPage(d.tx, d.account, "", after, n)
	for _, g := range page {
		created := awsapi.NewTime(g.CreatedAt)
		shown := api.GroupDetail{Path: g.Path, GroupName: g.Name, GroupID: g.ID, Arn: g.ARN(), CreateDate: &created}
		if shown.GroupPolicyList, shown.AttachedManagedPolicies, err = d.policiesOf(g.ID); err != nil {
			return last, false, err
		}
		d.out.GroupDetailList = append(d.out.GroupDetailList, shown)
		last = iam.Place{Path: g.Path, Name: g.Name}
	}
	d.room -= len(page)
	return last, more, err
}

func (d *details) roles(after iam.Place, n int) (last iam.Place, more bool, err error) {
	page, more, err := d.iam.RolePage(d.tx, d.account, "", after, n)
	for _, r := range page {
		created := awsapi.NewTime(r.CreatedAt)
		shown := api.RoleDetail{Path: r.Path, RoleName: r.Name, RoleID: r.ID, Arn: r.ARN(), CreateDate: &created, PermissionsBoundary: boundaryOf(r.Boundary),
			InstanceProfileList: []api.InstanceProfile{}, RoleLastUsed: &api.RoleLastUsed{LastUsedDate: timeOf(r.UsedAt), Region: r.UsedRegion}}
		if shown.RolePolicyList, shown.AttachedManagedPolicies, err = d.policiesOf(r.ID); err != nil {
			return last, false, err
		}
		trust, err := d.iam.ShownTrust(d.tx, r)
		if err != nil {
			return last, false, err
		}
		tags, err := d.iam.Tags(d.tx, r.ID)
		if err != nil {
			return last, false, err
		}
		shown.AssumeRolePolicyDocument, shown.Tags = d.document(trust), tagsTo(tags)
		d.out.RoleDetailList = append(d.out.RoleDetailList, shown)
		last = iam.Place{Path: r.Path, Name: r.Name}
	}
	d.room -= len(page)
	return last, more, err
}

func (d *details) localPolicies(after iam.Place, n int) (last iam.Place, more bool, err error) {
	return d.policies(iam.PolicyFilter{Local: true}, d.account, after, n)
}

// awsPolicies shows those of AWS's policies that somebody of the account has.
func (d *details) awsPolicies(after iam.Place, n int) (last iam.Place, more bool, err error) {
	return d.policies(iam.PolicyFilter{AWS: true}, "aws", after, n)
}

func (d *details) policies(f iam.PolicyFilter, owner string, after iam.Place, n int) (last iam.Place, more bool, err error) {
	if after == (iam.Place{}) {
		owner = ""
	}
	page, more, err := d.iam.PolicyPage(d.tx, d.account, f, []string{owner, after.Path, after.Name}, n)
	for _, p := range page {
		last = iam.Place{Path: p.Path, Name: p.Name}
		attached, boundaries, err := d.iam.PolicyUse(d.tx, d.account, p.ARN())
		if err != nil {
			return last, false, err
		}
		if f.AWS && attached+boundaries == 0 {
			continue
		}
		shown, err := d.policy(p, attached, boundaries)
		if err != nil {
			return last, false, err
		}
		d.out.Policies = append(d.out.Policies, shown)
		d.room--
	}
	return last, more, err
}

func (d *details) policy(p iam.Policy, attached, boundaries int64) (api.ManagedPolicyDetail, error) {
	attachable, created, updated := true, awsapi.NewTime(p.CreatedAt), awsapi.NewTime(p.UpdatedAt)
	shown := api.ManagedPolicyDetail{PolicyName: p.Name, PolicyID: p.ID, Arn: p.ARN(), Path: p.Path, DefaultVersionID: iam.VersionID(p.DefaultVersion),
		AttachmentCount: &attached, PermissionsBoundaryUsageCount: &boundaries, IsAttachable: &attachable, Description: p.Description,
		CreateDate: &created, UpdateDate: &updated, PolicyVersionList: []api.PolicyVersion{}}
	versions, err := d.iam.PolicyVersions(d.tx, p)
	for _, v := range versions {
		isDefault := v.Number == p.DefaultVersion
		shown.PolicyVersionList = append(shown.PolicyVersionList, api.PolicyVersion{Document: d.document(v.Document), VersionID: v.ID(),
			IsDefaultVersion: &isDefault, CreateDate: timeOf(v.CreatedAt)})
	}
	return shown, err
}

// policiesOf shows the inline and the attached policies of a user, group or role.
func (d *details) policiesOf(owner string) (inline []api.PolicyDetail, attached []api.AttachedPolicy, err error) {
	inline, attached = []api.PolicyDetail{}, []api.AttachedPolicy{}
	policies, err := d.iam.InlinePolicies(d.tx, owner)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range policies {
		inline = append(inline, api.PolicyDetail{PolicyName: p.Name, PolicyDocument: d.document(p.Document)})
	}
	arns, err := d.iam.Attached(d.tx, owner)
	for _, arn := range arns {
		attached = append(attached, api.AttachedPolicy{PolicyName: iam.PolicyName(arn), PolicyARN: arn})
	}
	return inline, attached, err
}

// document is a document as IAM shows it: encoded as in addresses, by RFC 3986.
func (d *details) document(text string) string {
	d.bytes -= len(text)
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}
