package iam_test

import (
	"encoding/base64"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

const allowAll = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`

func TestUsers(t *testing.T) {
	s := coffertest.Start(t)
	run(t, s, []call{
		{"CreateUser", in{"UserName": "ann", "Path": "/team/", "Tags": tags("Team", "a b", "empty", "")},
			"Path: /team/\nUserName: ann\nArn: arn:aws:iam::123456789012:user/team/ann\nKey: Team, empty\nPermissionsBoundaryType:"},
		{"CreateUser", in{"UserName": "ANN"}, "EntityAlreadyExists: User with name ANN already exists."},
		{"CreateUser", in{"UserName": "bob", "Tags": tags("a", "1", "A", "2")},
			"InvalidInput: Duplicate tag keys found. Please note that Tag keys are case insensitive."},
		{"CreateUser", in{"UserName": "bob", "PermissionsBoundary": "arn:aws:iam::123456789012:policy/none"},
			"NoSuchEntity: Scope ARN: arn:aws:iam::123456789012:policy/none does not exist or is not attachable."},
		{"GetUser", in{"UserName": "bob"}, "NoSuchEntity: The user with name bob cannot be found."},
		{"GetUser", in{"UserName": "Ann"}, "UserName: ann\nKey: empty, Team\nValue: , a b\nPasswordLastUsed:"},
		{"GetUser", nil, "UserName:\nPath:\nUserId: 123456789012\nArn: arn:aws:iam::123456789012:root"},
		{"CreateUser", in{"UserName": "bob"}, "Arn: arn:aws:iam::123456789012:user/bob\nPath: /"},
		{"UpdateUser", in{"UserName": "bob", "NewUserName": "ann"}, "EntityAlreadyExists: User with name ann already exists."},
		{"UpdateUser", in{"UserName": "none", "NewUserName": "x"}, "NoSuchEntity: The user with name none cannot be found."},
		{"UpdateUser", in{"UserName": "bob", "NewUserName": "Bob", "NewPath": "/a/"}, ""},
		{"GetUser", in{"UserName": "bob"}, "Arn: arn:aws:iam::123456789012:user/a/Bob"},
		{"UpdateUser", in{"UserName": "bob", "NewPath": "/b/"}, ""},
		{"GetUser", in{"UserName": "bob"}, "Arn: arn:aws:iam::123456789012:user/b/Bob"},
		{"DeleteUser", in{"UserName": "none"}, "NoSuchEntity: The user with name none cannot be found."},
		{"DeleteUser", in{"UserName": "BOB"}, ""},
		{"GetUser", in{"UserName": "Bob"}, "NoSuchEntity: The user with name Bob cannot be found."},
	})
	for _, r := range s.Trail() {
		if r.EventName == "CreateUser" && r.ErrorCode == "" && r.RequestParameters["userName"] == "ann" {
			if r.ResponseElements["user"].(map[string]any)["userName"] != "ann" {
				t.Errorf("the record of a creation: %s", r.Text)
			}
			return
		}
	}
	t.Error("there is no record of the creation")
}

func TestListUsers(t *testing.T) {
	s := coffertest.Start(t)
	for _, u := range []in{
		{"UserName": "d"}, {"UserName": "B"}, {"UserName": "a"}, {"UserName": "c", "Path": "/x/"}, {"UserName": "e", "Path": "/x/y/"}, {"UserName": "f", "Path": "/z/"},
	} {
		s.MustQuery("iam", "CreateUser", u)
	}
	run(t, s, []call{
		{"ListUsers", nil, "UserName: a, B, d, c, e, f\nIsTruncated: false\nMarker:\nKey:"},
		{"ListUsers", in{"PathPrefix": "/x"}, "UserName: c, e"},
		{"ListUsers", in{"PathPrefix": "/x/y/"}, "UserName: e"},
		{"ListUsers", in{"PathPrefix": "/none/"}, "UserName:"},
		{"ListUsers", in{"Marker": "made-up"}, "ValidationError: Invalid Marker."},
	})
	for _, prefix := range []string{"", "/x"} {
		want := s.MustQuery("iam", "ListUsers", in{"PathPrefix": prefixOr(prefix)}).Texts("UserName")
		var got []string
		for marker := ""; ; {
			page := in{"MaxItems": 1, "PathPrefix": prefixOr(prefix)}
			if marker != "" {
				page["Marker"] = marker
			}
			r := s.MustQuery("iam", "ListUsers", page)
			got = append(got, r.Texts("UserName")...)
			if marker = r.Text("Marker"); marker == "" {
				break
			}
			if r.Text("IsTruncated") != "true" {
				t.Errorf("it goes on, and says %s", r.Body)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of one: %q, want %q", got, want)
		}
	}
	marker := s.MustQuery("iam", "ListUsers", in{"MaxItems": 1}).Text("Marker")
	for _, forged := range []string{`{"l":"users /","a":["/"]}`, `{"l":"users /","a":["/","a","b"]}`, `{"l":"users /","a":[]}`, `{`} {
		forged = base64.RawURLEncoding.EncodeToString([]byte(forged))
		run(t, s, []call{{"ListUsers", in{"Marker": forged}, "ValidationError: Invalid Marker."}})
	}
	run(t, s, []call{{"ListUsers", in{"Marker": marker, "PathPrefix": "/x"}, "ValidationError: Invalid Marker."}, {"ListGroups", in{"Marker": marker}, "ValidationError: Invalid Marker."}})
}

func prefixOr(prefix string) string {
	if prefix == "" {
		return "/"
	}
	return prefix
}

// A user that was renamed is the same one: who has its unique id in a policy, and what its own policies say of it.
func TestRenamedUserKeepsItsRights(t *testing.T) {
	s := coffertest.Start(t)
	id := s.MustQuery("iam", "CreateUser", in{"UserName": "ann"}).Text("UserId")
	if !regexp.MustCompile(`^AIDA[A-Z2-7]{17}$`).MatchString(id) {
		t.Errorf("the unique id is %s", id)
	}
	s.MustQuery("iam", "PutUserPolicy", in{"UserName": "ann", "PolicyName": "p", "PolicyDocument": allowAll})
	ann := as(s, "ann")
	token := ann.Token()
	s.MustQuery("iam", "UpdateUser", in{"UserName": "ann", "NewUserName": "anna", "NewPath": "/x/"})
	r := ann.MustQuery("sts", "GetCallerIdentity", nil)
	if r.Text("Arn") != "arn:aws:iam::123456789012:user/x/anna" || r.Text("UserId") != id {
		t.Errorf("she is %s", r.Body)
	}
	if got := ann.MustQuery("iam", "GetUser", nil).Text("UserName"); got != "anna" {
		t.Errorf("her own user is %s", got)
	}
	if r := ann.V2(token, http.MethodGet, "/v2/_catalog", nil); r.Status != http.StatusOK {
		t.Errorf("with the token from before: status %d: %s", r.Status, r.Body)
	}
}

func TestDeleteUserConflicts(t *testing.T) {
	s := coffertest.Start(t)
	user := in{"UserName": "ann"}
	s.MustQuery("iam", "CreateUser", user)
	s.MustQuery("iam", "TagUser", in{"UserName": "ann", "Tags": tags("k", "v")})
	s.MustQuery("iam", "CreateGroup", in{"GroupName": "devs"})
	s.MustQuery("iam", "AddUserToGroup", in{"GroupName": "devs", "UserName": "ann"})
	key := s.MustQuery("iam", "CreateAccessKey", user).KeyOf().AccessKeyID
	run(t, s, []call{
		{"DeleteUser", user, "DeleteConflict: Cannot delete entity, must delete access keys first."},
		{"DeleteAccessKey", in{"UserName": "ann", "AccessKeyId": key}, ""},
		{"DeleteUser", user, "DeleteConflict: Cannot delete entity, must remove users from group first."},
		{"RemoveUserFromGroup", in{"UserName": "ann", "GroupName": "devs"}, ""},
		{"DeleteUser", user, ""},
		{"CreateUser", user, ""},
		{"ListUserTags", user, "Key:"},
	})
}

// Who is deleted or whose key is gone has no valid credential left, from the next request on.
func TestCredentialsEndWithTheKey(t *testing.T) {
	for name, end := range map[string]func(s *coffertest.Server, key string){
		"deleted": func(s *coffertest.Server, key string) {
			s.MustQuery("iam", "DeleteAccessKey", in{"UserName": "ann", "AccessKeyId": key})
		},
		"inactive": func(s *coffertest.Server, key string) {
			s.MustQuery("iam", "UpdateAccessKey", in{"UserName": "ann", "AccessKeyId": key, "Status": "Inactive"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := coffertest.Start(t)
			s.MustQuery("iam", "CreateUser", in{"UserName": "ann"})
			s.MustQuery("iam", "PutUserPolicy", in{"UserName": "ann", "PolicyName": "p", "PolicyDocument": allowAll})
			ann := as(s, "ann")
			session := ann.As(ann.MustQuery("sts", "GetSessionToken", nil).KeyOf())
			tokens := []string{ann.Token(), session.Token()}
			for _, token := range tokens {
				if r := s.V2(token, http.MethodGet, "/v2/_catalog", nil); r.Status != http.StatusOK {
					t.Fatalf("status %d: %s", r.Status, r.Body)
				}
			}
			end(s, ann.Credentials.AccessKeyID)
			wantUnknown(t, ann, session)
			for _, token := range tokens {
				if r := s.V2(token, http.MethodGet, "/v2/_catalog", nil); r.Status != http.StatusUnauthorized {
					t.Errorf("a registry token: status %d: %s", r.Status, r.Body)
				}
			}
		})
	}
}

// wantUnknown wants credentials that are good for nothing.
func wantUnknown(t *testing.T, all ...*coffertest.Server) {
	t.Helper()
	for _, c := range all {
		if r := c.Query("sts", "GetCallerIdentity", nil); r.Status != http.StatusForbidden || r.Code() != "InvalidClientTokenId" {
			t.Errorf("a query: status %d: %s", r.Status, r.Body)
		}
		if r := c.ECR("DescribeRepositories", in{}); r.Code() != "UnrecognizedClientException" {
			t.Errorf("ECR: status %d: %s", r.Status, r.Body)
		}
	}
}

// Another user of the same name has none of the credentials of the one before.
func TestCredentialsEndWithTheUser(t *testing.T) {
	s := coffertest.Start(t)
	s.MustQuery("iam", "CreateUser", in{"UserName": "ann"})
	ann := as(s, "ann")
	session := ann.As(ann.MustQuery("sts", "GetSessionToken", nil).KeyOf())
	session.MustQuery("sts", "GetCallerIdentity", nil)
	s.MustQuery("iam", "DeleteAccessKey", in{"UserName": "ann", "AccessKeyId": ann.Credentials.AccessKeyID})
	s.MustQuery("iam", "DeleteUser", in{"UserName": "ann"})
	s.MustQuery("iam", "CreateUser", in{"UserName": "ann"})
	as(s, "ann").MustQuery("sts", "GetCallerIdentity", nil)
	wantUnknown(t, ann, session)
}

func TestUserTags(t *testing.T) {
	s := coffertest.Start(t)
	s.MustQuery("iam", "CreateUser", in{"UserName": "ann"})
	run(t, s, []call{
		{"TagUser", in{"UserName": "ann", "Tags": tags("b", "1", "A", "2", "c", "3")}, ""},
		{"ListUserTags", in{"UserName": "ann"}, "Key: A, b, c\nValue: 2, 1, 3\nIsTruncated: false"},
		{"TagUser", in{"UserName": "ann", "Tags": tags("a", "4")}, ""},
		{"TagUser", in{"UserName": "ann", "Tags": tags("aws:x", "4")}, "InvalidInput: Tag keys that begin with aws: are reserved for the system."},
		{"TagUser", in{"UserName": "none", "Tags": tags("a", "4")}, "NoSuchEntity: The user with name none cannot be found."},
		{"UntagUser", in{"UserName": "ann", "TagKeys": []string{"B", "none"}}, ""},
		{"ListUserTags", in{"UserName": "ann"}, "Key: a, c\nValue: 4, 3"},
		{"ListUserTags", in{"UserName": "none"}, "NoSuchEntity: The user with name none cannot be found."},
	})
	r := s.MustQuery("iam", "ListUserTags", in{"UserName": "ann", "MaxItems": 1})
	run(t, s, []call{{"ListUserTags", in{"UserName": "ann", "Marker": r.Text("Marker")}, "Key: c"}})
}

// What the tags in a request say is for the policies too.
func TestTagsDecide(t *testing.T) {
	s := coffertest.Start(t)
	s.MustQuery("iam", "CreateUser", in{"UserName": "ann"})
	s.MustQuery("iam", "PutUserPolicy", in{"UserName": "ann", "PolicyName": "p", "PolicyDocument": `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"iam:*","Resource":"*"},
		{"Effect":"Deny","Action":"iam:*","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"aws:TagKeys":"forbidden"}}}]}`})
	ann := as(s, "ann")
	for _, c := range []call{
		{"TagUser", in{"UserName": "ann", "Tags": tags("forbidden", "1")}, "AccessDenied"},
		{"TagUser", in{"UserName": "ann", "Tags": tags("fine", "1")}, ""},
		{"UntagUser", in{"UserName": "ann", "TagKeys": []string{"forbidden"}}, "AccessDenied"},
		{"CreateUser", in{"UserName": "bob", "Tags": tags("forbidden", "1")}, "AccessDenied"},
	} {
		if r := ann.Query("iam", c.operation, c.in); r.Code() != c.want {
			t.Errorf("%s: %s", c.operation, r.Body)
		}
	}
}

func TestNamesOfUsersAreChecked(t *testing.T) {
	s := coffertest.Start(t)
	for _, name := range []string{"a/b", "a b", strings.Repeat("a", 65)} {
		if r := s.Query("iam", "CreateUser", in{"UserName": name}); r.Status != http.StatusBadRequest || r.Code() != "ValidationError" {
			t.Errorf("%q: status %d: %s", name, r.Status, r.Body)
		}
	}
	s.MustQuery("iam", "CreateUser", in{"UserName": strings.Repeat("a", 58) + "+=,.@-"})
}
