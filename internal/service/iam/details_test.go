package iam_test

import (
	"encoding/xml"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// detailed is what a client reads of GetAccountAuthorizationDetails.
type detailed struct {
	Users []struct {
		Name     string         `xml:"UserName"`
		Inline   []inlineDetail `xml:"UserPolicyList>member"`
		Groups   []string       `xml:"GroupList>member"`
		Attached []string       `xml:"AttachedManagedPolicies>member>PolicyArn"`
		Boundary string         `xml:"PermissionsBoundary>PermissionsBoundaryArn"`
		Tags     []string       `xml:"Tags>member>Key"`
	} `xml:"UserDetailList>member"`
	Groups []struct {
		Name     string         `xml:"GroupName"`
		Inline   []inlineDetail `xml:"GroupPolicyList>member"`
		Attached []string       `xml:"AttachedManagedPolicies>member>PolicyName"`
	} `xml:"GroupDetailList>member"`
	Roles []struct {
		Name   string         `xml:"RoleName"`
		Trust  string         `xml:"AssumeRolePolicyDocument"`
		Inline []inlineDetail `xml:"RolePolicyList>member"`
		Tags   []string       `xml:"Tags>member>Key"`
	} `xml:"RoleDetailList>member"`
	Policies []struct {
		ARN        string `xml:"Arn"`
		Default    string `xml:"DefaultVersionId"`
		Attached   int    `xml:"AttachmentCount"`
		Boundaries int    `xml:"PermissionsBoundaryUsageCount"`
		Versions   []struct {
			ID       string `xml:"VersionId"`
			Document string `xml:"Document"`
			Default  bool   `xml:"IsDefaultVersion"`
		} `xml:"PolicyVersionList>member"`
	} `xml:"Policies>member"`
	Truncated bool   `xml:"IsTruncated"`
	Marker    string `xml:"Marker"`
}

type inlineDetail struct {
	Name     string `xml:"PolicyName"`
	Document string `xml:"PolicyDocument"`
}

func readDetails(t *testing.T, s *coffertest.Server, input in) detailed {
	t.Helper()
	var out struct {
		Result detailed `xml:"GetAccountAuthorizationDetailsResult"`
	}
	r := s.MustQuery("iam", "GetAccountAuthorizationDetails", input)
	if strings.Contains(string(r.Body), "+") {
		t.Errorf("a space isn't encoded as RFC 3986 has it: %s", r.Body)
	}
	if err := xml.Unmarshal(r.Body, &out); err != nil {
		t.Fatal(err)
	}
	return out.Result
}

// names are what a page has, in its order.
func (d detailed) names() (all []string) {
	for _, u := range d.Users {
		all = append(all, "user "+u.Name)
	}
	for _, g := range d.Groups {
		all = append(all, "group "+g.Name)
	}
	for _, r := range d.Roles {
		all = append(all, "role "+r.Name)
	}
	for _, p := range d.Policies {
		all = append(all, fmt.Sprintf("policy %s %s, %d, %d", p.ARN, p.Default, p.Attached, p.Boundaries))
	}
	return all
}

func TestAccountAuthorizationDetails(t *testing.T) {
	s := coffertest.Start(t)
	own := statement("Allow", "ecr:*", "*", `,"Condition":{"StringLike":{"aws:UserAgent":"a b*"}}`)
	const readOnly, full = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly", "arn:aws:iam::aws:policy/AdministratorAccess"
	newUser(s, "ann", own)
	s.MustQuery("iam", "CreateUser", in{"UserName": "bob", "Path": "/team/", "PermissionsBoundary": full, "Tags": tags("team", "blue")})
	s.MustQuery("iam", "CreateGroup", in{"GroupName": "readers"})
	s.MustQuery("iam", "PutGroupPolicy", in{"GroupName": "readers", "PolicyName": "reading", "PolicyDocument": own})
	s.MustQuery("iam", "AddUserToGroup", in{"GroupName": "readers", "UserName": "bob"})
	s.MustQuery("iam", "AttachGroupPolicy", in{"GroupName": "readers", "PolicyArn": readOnly})
	trust := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + iamARN + `user/ann"},"Action":"sts:AssumeRole"}}`
	s.MustQuery("iam", "CreateRole", in{"RoleName": "builder", "AssumeRolePolicyDocument": trust, "Tags": tags("stage", "test")})
	s.MustQuery("iam", "PutRolePolicy", in{"RoleName": "builder", "PolicyName": "building", "PolicyDocument": own})
	shared := s.MustQuery("iam", "CreatePolicy", in{"PolicyName": "shared", "PolicyDocument": own}).Text("Arn")
	s.MustQuery("iam", "CreatePolicyVersion", in{"PolicyArn": shared, "PolicyDocument": allowAll, "SetAsDefault": true})
	for _, arn := range []string{shared, readOnly} {
		s.MustQuery("iam", "AttachUserPolicy", in{"UserName": "ann", "PolicyArn": arn})
	}

	all := readDetails(t, s, nil)
	want := []string{"user ann", "user bob", "group readers", "role builder",
		"policy " + shared + " v2, 1, 0", "policy " + full + " v1, 0, 1", "policy " + readOnly + " v1, 2, 0"}
	if diff := cmp.Diff(want, all.names()); diff != "" || all.Truncated {
		t.Errorf("-want +got\n%s", diff)
	}
	plain := func(encoded string) string {
		text, err := url.PathUnescape(encoded)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if u := all.Users[0]; plain(u.Inline[0].Document) != own || u.Inline[0].Name != "own" || !slices.Equal(u.Attached, []string{shared, readOnly}) && !slices.Equal(u.Attached, []string{readOnly, shared}) {
		t.Errorf("ann: %+v", u)
	}
	if u := all.Users[1]; !slices.Equal(u.Groups, []string{"readers"}) || u.Boundary != full || !slices.Equal(u.Tags, []string{"team"}) {
		t.Errorf("bob: %+v", u)
	}
	if g := all.Groups[0]; plain(g.Inline[0].Document) != own || !slices.Equal(g.Attached, []string{"AmazonEC2ContainerRegistryReadOnly"}) {
		t.Errorf("the group: %+v", g)
	}
	if r := all.Roles[0]; plain(r.Trust) != trust || r.Inline[0].Name != "building" || !slices.Equal(r.Tags, []string{"stage"}) {
		t.Errorf("the role: %+v", r)
	}
	if v := all.Policies[0].Versions; len(v) != 2 || plain(v[0].Document) == plain(v[1].Document) || v[0].Default == v[1].Default {
		t.Errorf("the versions: %+v", v)
	}

	for _, n := range []int{1, 2, 3} {
		var got []string
		input := in{"MaxItems": n}
		for {
			page := readDetails(t, s, input)
			if len(page.names()) > n {
				t.Errorf("a page of %d has %q", n, page.names())
			}
			got = append(got, page.names()...)
			if input["Marker"] = page.Marker; !page.Truncated {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d at a time: -want +got\n%s", n, diff)
		}
	}
	for filter, want := range map[string][]string{
		"User": want[:2], "Group": want[2:3], "Role": want[3:4], "LocalManagedPolicy": want[4:5], "AWSManagedPolicy": want[5:], "Role User": {"user ann", "user bob", "role builder"},
	} {
		if diff := cmp.Diff(want, readDetails(t, s, in{"Filter": strings.Fields(filter)}).names()); diff != "" {
			t.Errorf("%s: -want +got\n%s", filter, diff)
		}
	}
	first := readDetails(t, s, in{"Filter": []string{"User"}, "MaxItems": 1})
	run(t, s, []call{{"GetAccountAuthorizationDetails", in{"Marker": first.Marker}, "ValidationError: Invalid Marker."}})
}
