package iam_test

import (
	"fmt"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

func TestGroups(t *testing.T) {
	s := coffertest.Start(t)
	run(t, s, []call{
		{"CreateGroup", in{"GroupName": "devs", "Path": "/team/"}, "Path: /team/\nGroupName: devs\nArn: arn:aws:iam::123456789012:group/team/devs"},
		{"CreateGroup", in{"GroupName": "Devs"}, "EntityAlreadyExists: Group with name Devs already exists."},
		{"CreateGroup", in{"GroupName": "ops"}, "Path: /"},
		{"GetGroup", in{"GroupName": "none"}, "NoSuchEntity: The group with name none cannot be found."},
		{"GetGroup", in{"GroupName": "DEVS"}, "GroupName: devs\nUserName:\nIsTruncated: false"},
		{"UpdateGroup", in{"GroupName": "none"}, "NoSuchEntity: The group with name none cannot be found."},
		{"UpdateGroup", in{"GroupName": "ops", "NewGroupName": "DEVS"}, "EntityAlreadyExists: Group with name DEVS already exists."},
		{"UpdateGroup", in{"GroupName": "ops", "NewGroupName": "Ops", "NewPath": "/x/"}, ""},
		{"ListGroups", nil, "Arn: arn:aws:iam::123456789012:group/team/devs, arn:aws:iam::123456789012:group/x/Ops\nIsTruncated: false"},
		{"ListGroups", in{"PathPrefix": "/x/"}, "GroupName: Ops"},
		{"DeleteGroup", in{"GroupName": "none"}, "NoSuchEntity: The group with name none cannot be found."},
		{"DeleteGroup", in{"GroupName": "ops"}, ""},
		{"ListGroups", nil, "GroupName: devs"},
	})
}

func TestMemberships(t *testing.T) {
	s := coffertest.Start(t)
	for _, name := range []string{"ann", "bob"} {
		s.MustQuery("iam", "CreateUser", in{"UserName": name})
	}
	for i := range 11 {
		s.MustQuery("iam", "CreateGroup", in{"GroupName": fmt.Sprintf("g%02d", i)})
	}
	run(t, s, []call{
		{"AddUserToGroup", in{"GroupName": "none", "UserName": "ann"}, "NoSuchEntity: The group with name none cannot be found."},
		{"AddUserToGroup", in{"GroupName": "g00", "UserName": "none"}, "NoSuchEntity: The user with name none cannot be found."},
		{"ListGroupsForUser", in{"UserName": "none"}, "NoSuchEntity: The user with name none cannot be found."},
		{"ListGroupsForUser", in{"UserName": "ann"}, "GroupName:\nIsTruncated: false"},
	})
	for i := range 10 {
		s.MustQuery("iam", "AddUserToGroup", in{"GroupName": fmt.Sprintf("g%02d", i), "UserName": "ann"})
	}
	run(t, s, []call{
		{"AddUserToGroup", in{"GroupName": "g10", "UserName": "ann"}, "LimitExceeded: Cannot exceed quota for GroupsPerUser: 10"},
		{"AddUserToGroup", in{"GroupName": "g00", "UserName": "ann"}, ""}, // once more
		{"DeleteGroup", in{"GroupName": "g00"}, "DeleteConflict: Cannot delete entity, must remove users from group first."},
		{"RemoveUserFromGroup", in{"GroupName": "g10", "UserName": "ann"}, ""}, // where she isn't
		{"GetGroup", in{"GroupName": "g00"}, "UserName: ann"},
		{"GetGroup", in{"GroupName": "g10"}, "UserName:"},
		{"RemoveUserFromGroup", in{"GroupName": "g00", "UserName": "ann"}, ""},
		{"DeleteGroup", in{"GroupName": "g00"}, ""},
		{"AddUserToGroup", in{"GroupName": "g01", "UserName": "bob"}, ""},
	})
	for _, l := range []struct {
		operation, element string
		in                 in
		want               int
	}{
		{"ListGroupsForUser", "GroupName", in{"UserName": "ann"}, 9},
		{"GetGroup", "UserName", in{"GroupName": "g01"}, 2},
	} {
		seen := map[string]bool{}
		for marker := ""; ; {
			l.in["MaxItems"] = 1
			if marker != "" {
				l.in["Marker"] = marker
			}
			r := s.MustQuery("iam", l.operation, l.in)
			if names := r.Texts(l.element); len(names) == 1 {
				seen[names[0]] = true
			}
			if marker = r.Text("Marker"); marker == "" {
				break
			}
		}
		if len(seen) != l.want {
			t.Errorf("%s one by one: %v", l.operation, seen)
		}
	}
}

// Who is in a group has its policies from the next request on, and no longer than that.
func TestMembershipCounts(t *testing.T) {
	s := coffertest.Start(t)
	s.MustQuery("iam", "CreateUser", in{"UserName": "ann"})
	s.MustQuery("iam", "CreateGroup", in{"GroupName": "devs"})
	s.MustQuery("iam", "PutGroupPolicy", in{"GroupName": "devs", "PolicyName": "p", "PolicyDocument": allowAll})
	ann := as(s, "ann")
	for range 2 {
		if r := ann.Query("iam", "ListUsers", nil); r.Code() != "AccessDenied" {
			t.Errorf("outside of the group: %s", r.Body)
		}
		s.MustQuery("iam", "AddUserToGroup", in{"GroupName": "devs", "UserName": "ann"})
		ann.MustQuery("iam", "ListUsers", nil)
		s.MustQuery("iam", "RemoveUserFromGroup", in{"GroupName": "devs", "UserName": "ann"})
	}
}
