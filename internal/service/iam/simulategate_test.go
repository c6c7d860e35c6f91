package iam_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// gated are real requests, by what the gate asks of them.
var gated = []struct {
	action, resource string
	call             func(*coffertest.Server) coffertest.Response
}{
	{"ecr:ListImages", "repository/team/app", onRepository("ListImages", "team/app", nil)},
	{"ecr:ListImages", "repository/team/other", onRepository("ListImages", "team/other", nil)},
	{"ecr:BatchGetImage", "repository/team/app", onRepository("BatchGetImage", "team/app", in{"imageIds": []in{{"imageTag": "1"}}})},
	{"ecr:BatchGetImage", "repository/team/other", onRepository("BatchGetImage", "team/other", in{"imageIds": []in{{"imageTag": "1"}}})},
	{"ecr:GetRepositoryPolicy", "repository/team/app", onRepository("GetRepositoryPolicy", "team/app", nil)},
	{"ecr:DescribeRegistry", "*", func(s *coffertest.Server) coffertest.Response { return s.ECR("DescribeRegistry", in{}) }},
	{"iam:GetUser", "user/ann", onUser("ann")},
	{"iam:GetUser", "user/team/bob", onUser("bob")},
	{"iam:ListUsers", "*", func(s *coffertest.Server) coffertest.Response { return s.Query("iam", "ListUsers", nil) }},
}

func onRepository(operation, name string, more in) func(*coffertest.Server) coffertest.Response {
	return func(s *coffertest.Server) coffertest.Response {
		input := in{"repositoryName": name}
		for key, value := range more {
			input[key] = value
		}
		return s.ECR(operation, input)
	}
}

func onUser(name string) func(*coffertest.Server) coffertest.Response {
	return func(s *coffertest.Server) coffertest.Response { return s.Query("iam", "GetUser", in{"UserName": name}) }
}

// agree wants the simulator to answer for a user or role what the gate answers to it.
func agree(t *testing.T, admin, user *coffertest.Server, account, source string) (allowed int) {
	t.Helper()
	for _, g := range gated {
		resource := g.resource
		switch service, _, _ := strings.Cut(g.action, ":"); {
		case resource == "*":
		case service == "ecr":
			resource = "arn:aws:ecr:us-east-1:" + account + ":" + resource
		default:
			resource = "arn:aws:iam::" + account + ":" + resource
		}
		// What only a real request has.
		entries := []in{{"ContextKeyName": "aws:SourceIp", "ContextKeyType": "ip", "ContextKeyValues": []string{"127.0.0.1"}},
			{"ContextKeyName": "aws:SecureTransport", "ContextKeyType": "boolean", "ContextKeyValues": []string{"false"}}}
		out := simulate(t, admin, "SimulatePrincipalPolicy", in{"PolicySourceArn": "arn:aws:iam::" + account + ":" + source,
			"ActionNames": []string{g.action}, "ResourceArns": []string{resource}, "ContextEntries": entries})
		r := g.call(user)
		entered := !strings.HasPrefix(r.Code(), "AccessDenied")
		if decision := out.Results[0].Decision; (decision == "allowed") != entered {
			t.Errorf("%s on %s: the simulator says %s, the gate: %d %s", g.action, resource, decision, r.Status, r.Message())
		} else if explicit := strings.Contains(r.Message(), "explicit deny"); explicit != (decision == "explicitDeny") {
			t.Errorf("%s on %s: the simulator says %s, the gate: %s", g.action, resource, decision, r.Message())
		}
		if entered {
			allowed++
		}
	}
	return allowed
}

// The simulator answers what the gate does, whatever decides.
func TestSimulatorAgreesWithTheGate(t *testing.T) {
	s := coffertest.Start(t)
	for _, name := range []string{"team/app", "team/other"} {
		s.CreateRepository(name)
	}
	s.MustECR("TagResource", in{"resourceArn": appARN, "tags": []in{{"Key": "team", "Value": "blue"}}}, nil)
	s.MustQuery("iam", "CreateUser", in{"UserName": "bob", "Path": "/team/"})
	ann := newUser(s, "ann", statement("Allow", "ecr:DescribeRegistry", "*", ""))
	s.MustQuery("iam", "TagUser", in{"UserName": "ann", "Tags": tags("team", "blue")})
	for _, test := range []struct {
		name, document string
		allowed        int
	}{
		{"nothing", statement("Allow", "s3:*", "*", ""), 0},
		{"everything", statement("Allow", "*", "*", ""), len(gated)},
		{"one repository", statement("Allow", "ecr:*", appARN, ""), 3},
		{"repositories with one's own tag", statement("Allow", "ecr:*", "*", `,"Condition":{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/team}"}}`), 3},
		{"oneself", statement("Allow", "iam:*", "arn:aws:iam::*:user/${aws:username}", ""), 1},
		{"by name", statement("Allow", "iam:*", "arn:aws:iam::*:user/team/*", `,"Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/an?"}}`), 1},
		{"from here", statement("Allow", "ecr:*", "*", `,"Condition":{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}`), 6},
		{"from elsewhere", statement("Allow", "ecr:*", "*", `,"Condition":{"NotIpAddress":{"aws:SourceIp":"127.0.0.0/8"}}`), 0},
		{"in this region, now and for long", statement("Allow", "*", "*", `,"Condition":{"StringEquals":{"aws:RequestedRegion":"us-east-1"},"DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}}`), len(gated)},
		{"who has a second factor", statement("Allow", "*", "*", `,"Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`), 0},
		{"whose resource", statement("Allow", "*", "*", `,"Condition":{"StringEquals":{"aws:ResourceAccount":"${aws:PrincipalAccount}"}}`), len(gated)},
		{"all but a denial", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":["ecr:Batch*","iam:List*"],"Resource":"*"}]}`, len(gated) - 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.MustQuery("iam", "PutUserPolicy", in{"UserName": "ann", "PolicyName": "own", "PolicyDocument": test.document})
			if n := agree(t, s, ann, coffertest.Account, "user/ann"); n != test.allowed {
				t.Errorf("%d requests were let in, want %d", n, test.allowed)
			}
		})
	}
	t.Run("a repository's policy", func(t *testing.T) {
		s.MustQuery("iam", "PutUserPolicy", in{"UserName": "ann", "PolicyName": "own", "PolicyDocument": statement("Allow", "ecr:*", "arn:aws:ecr:*:*:repository/team/other", "")})
		s.MustECR("SetRepositoryPolicy", in{"repositoryName": "team/app", "policyText": `{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Principal":{"AWS":"` + iamARN + `user/ann"},"Action":"ecr:ListImages"}]}`}, nil)
		s.MustECR("SetRepositoryPolicy", in{"repositoryName": "team/other", "policyText": `{"Version":"2012-10-17","Statement":[
			{"Effect":"Deny","Principal":"*","Action":"ecr:BatchGetImage"}]}`}, nil)
		if n := agree(t, s, ann, coffertest.Account, "user/ann"); n != 2 {
			t.Errorf("%d requests were let in", n)
		}
	})
	t.Run("a group", func(t *testing.T) {
		s.MustQuery("iam", "CreateGroup", in{"GroupName": "readers"})
		s.MustQuery("iam", "AddUserToGroup", in{"GroupName": "readers", "UserName": "ann"})
		s.MustQuery("iam", "PutGroupPolicy", in{"GroupName": "readers", "PolicyName": "reading", "PolicyDocument": statement("Allow", "iam:*", "*", "")})
		if n := agree(t, s, ann, coffertest.Account, "user/ann"); n != 5 {
			t.Errorf("%d requests were let in", n)
		}
	})
	t.Run("a boundary", func(t *testing.T) {
		arn := s.MustQuery("iam", "CreatePolicy", in{"PolicyName": "limit", "PolicyDocument": statement("Allow", "iam:List*", "*", "")}).Text("Arn")
		s.MustQuery("iam", "PutUserPermissionsBoundary", in{"UserName": "ann", "PermissionsBoundary": arn})
		// The repository's policy names her, which a boundary doesn't limit.
		if n := agree(t, s, ann, coffertest.Account, "user/ann"); n != 2 {
			t.Errorf("%d requests were let in", n)
		}
	})
	t.Run("a role", func(t *testing.T) {
		trust := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + iamARN + `user/team/bob"},"Action":"sts:AssumeRole"}}`
		role := s.MustQuery("iam", "CreateRole", in{"RoleName": "builder", "Path": "/team/", "AssumeRolePolicyDocument": trust, "Tags": tags("team", "blue")}).Text("Arn")
		s.MustQuery("iam", "PutRolePolicy", in{"RoleName": "builder", "PolicyName": "own", "PolicyDocument": `{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Action":"ecr:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/team}"}}},
			{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*","Condition":{"ArnEquals":{"aws:PrincipalArn":"` + role + `"},"DateGreaterThan":{"aws:TokenIssueTime":"2020-01-01T00:00:00Z"}}},
			{"Effect":"Allow","Action":"iam:GetUser","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}]}`})
		session := s.As(as(s, "bob").MustQuery("sts", "AssumeRole", in{"RoleArn": role, "RoleSessionName": "run"}).KeyOf())
		if n := agree(t, s, session, coffertest.Account, "role/team/builder"); n != 4 {
			t.Errorf("%d requests were let in", n)
		}
	})
}

// What other accounts say of their resources isn't told.
func TestSimulatorKeepsToTheAccount(t *testing.T) {
	s := coffertest.Start(t)
	manager := member(s)
	id := manager.MustQuery("sts", "GetCallerIdentity", nil).Text("Account")
	manager.CreateRepository("team/app")
	manager.MustECR("SetRepositoryPolicy", in{"repositoryName": "team/app", "policyText": `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":"` + coffertest.Account + `"},"Action":"ecr:ListImages"},
		{"Effect":"Deny","Principal":{"AWS":"` + coffertest.Account + `"},"Action":"ecr:PutImage"}]}`}, nil)
	ann := newUser(s, "ann", statement("Allow", "ecr:*", "*", ""))
	if r := ann.ECR("ListImages", in{"registryId": id, "repositoryName": "team/app"}); r.Status != http.StatusOK {
		t.Errorf("status %d: %s", r.Status, r.Body)
	}
	resource := "arn:aws:ecr:us-east-1:" + id + ":repository/team/app"
	wantDecisions(t, simulate(t, s, "SimulatePrincipalPolicy", in{"PolicySourceArn": iamARN + "user/ann", "ActionNames": []string{"ecr:ListImages", "ecr:PutImage"}, "ResourceArns": []string{resource}}),
		"ecr:ListImages on "+resource+" implicitDeny", "ecr:PutImage on "+resource+" implicitDeny")
}

// The policies of the organization limit whoever is asked about.
func TestSimulatorKnowsTheOrganization(t *testing.T) {
	s := coffertest.Start(t)
	manager := member(s)
	member := manager.MustQuery("sts", "GetCallerIdentity", nil).Text("Account")
	for _, name := range []string{"team/app", "team/other"} {
		manager.CreateRepository(name)
	}
	manager.MustQuery("iam", "CreateUser", in{"UserName": "bob", "Path": "/team/"})
	ann := newUser(manager, "ann", statement("Allow", "*", "*", ""))
	if n := agree(t, manager, ann, member, "user/ann"); n != len(gated) {
		t.Errorf("%d requests were let in before", n)
	}
	var made struct {
		Policy struct{ PolicySummary struct{ ID string } }
	}
	s.MustOrganizations("CreatePolicy", in{"Name": "guard", "Description": "", "Type": "SERVICE_CONTROL_POLICY",
		"Content": statement("Deny", "ecr:*", "*", `,"Condition":{"StringEquals":{"aws:PrincipalAccount":"`+member+`","aws:RequestedRegion":"us-east-1"}}`)}, &made)
	s.MustOrganizations("AttachPolicy", in{"PolicyId": made.Policy.PolicySummary.ID, "TargetId": member}, nil)
	if n := agree(t, manager, ann, member, "user/ann"); n != 3 {
		t.Errorf("%d requests were let in under the guard", n)
	}
	out := simulate(t, manager, "SimulatePrincipalPolicy", in{"PolicySourceArn": "arn:aws:iam::" + member + ":user/ann", "ActionNames": []string{"ecr:PutImage", "iam:GetUser"}})
	wantDecisions(t, out, "ecr:PutImage on * explicitDeny", "iam:GetUser on * allowed user_ann_own")
	if a, b := out.Results[0].Organizations, out.Results[1].Organizations; a != "false" || b != "true" {
		t.Errorf("allowed by the organization: %s, %s", a, b)
	}
}

// Whose policies are simulated and who calls may be two.
func TestCallerOfSimulation(t *testing.T) {
	s := coffertest.Start(t)
	s.CreateRepository("team/app")
	s.MustECR("TagResource", in{"resourceArn": appARN, "tags": []in{{"Key": "team", "Value": "blue"}}}, nil)
	newUser(s, "ann", statement("Allow", "ecr:*", "*", ""))
	newUser(s, "bob", statement("Allow", "iam:*", "*", ""))
	s.MustQuery("iam", "CreateGroup", in{"GroupName": "readers"})
	s.MustECR("SetRepositoryPolicy", in{"repositoryName": "team/app", "policyText": `{"Version":"2012-10-17","Statement":[
		{"Effect":"Deny","Principal":{"AWS":"` + iamARN + `user/bob"},"Action":"ecr:ListImages"}]}`}, nil)
	for _, test := range []struct {
		name string
		more in
		want string
	}{
		{"a user", in{"PolicySourceArn": iamARN + "user/ann"}, "allowed user_ann_own"},
		{"as another", in{"PolicySourceArn": iamARN + "user/ann", "CallerArn": iamARN + "user/bob"}, "explicitDeny repository policy"},
		{"another policy of the resource", in{"PolicySourceArn": iamARN + "user/ann", "CallerArn": iamARN + "user/bob",
			"ResourcePolicy": `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"ecr:PutImage"}}`}, "allowed user_ann_own"},
		{"a group", in{"PolicySourceArn": iamARN + "group/readers"}, "implicitDeny"},
		{"a group with more", in{"PolicySourceArn": iamARN + "group/readers", "PolicyInputList": []string{statement("Allow", "ecr:*", "*", "")}}, "allowed PolicyInputList.1"},
		{"with another tag of the resource", in{"PolicySourceArn": iamARN + "group/readers",
			"PolicyInputList": []string{statement("Allow", "ecr:*", "*", `,"Condition":{"StringEquals":{"aws:ResourceTag/team":"red","aws:PrincipalAccount":"red"}}`)},
			"ContextEntries": []in{{"ContextKeyName": "aws:ResourceTag/team", "ContextKeyType": "string", "ContextKeyValues": []string{"red"}},
				{"ContextKeyName": "AWS:PrincipalAccount", "ContextKeyType": "string", "ContextKeyValues": []string{"red"}}}}, "allowed PolicyInputList.1"},
		{"within a boundary", in{"PolicySourceArn": iamARN + "user/ann", "PermissionsBoundaryPolicyInputList": []string{statement("Allow", "iam:*", "*", "")}}, "implicitDeny"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.more["ActionNames"], test.more["ResourceArns"] = []string{"ecr:ListImages"}, []string{appARN}
			wantDecisions(t, simulate(t, s, "SimulatePrincipalPolicy", test.more), "ecr:ListImages on "+appARN+" "+test.want)
		})
	}
	r := s.Query("iam", "SimulatePrincipalPolicy", in{"PolicySourceArn": iamARN + "group/readers", "ActionNames": []string{"ecr:ListImages"}, "ResourcePolicy": "{}"})
	if r.Code() != "" && r.Text("Message") != "Invalid caller - Caller must be an IAM user in this context." {
		t.Errorf("status %d: %s", r.Status, r.Body)
	}
}
