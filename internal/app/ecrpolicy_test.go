package app_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// policyText is what an operation answers with a policy.
type policyText struct{ RegistryID, RepositoryName, PolicyText string }

const onTeamApp = `{"repositoryName":"team/app"}`

func TestRepositoryPolicy(t *testing.T) {
	s := coffertest.Start(t)
	s.CreateRepository("team/app")
	const (
		none = "Repository policy does not exist for the repository with name 'team/app' in the registry with id '123456789012'"
		gone = "The repository with name 'no/such' does not exist in the registry with id '123456789012'"
	)
	wantMessage(t, s.ECR("GetRepositoryPolicy", onTeamApp), http.StatusBadRequest, "RepositoryPolicyNotFoundException", none)
	wantMessage(t, s.ECR("DeleteRepositoryPolicy", onTeamApp), http.StatusBadRequest, "RepositoryPolicyNotFoundException", none)
	s.MustQuery("iam", "CreateUser", map[string]any{"UserName": "ann", "Path": "/team/"})
	const text = `{"Statement":[{"Principal":{"AWS":["arn:aws:iam::123456789012:user/team/ann","444455556666"]},"Sid":"may pull","Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"],"Effect":"Allow"}],"Version":"2008-10-17"}`
	const shown = `{
  "Statement" : [ {
    "Principal" : {
      "AWS" : [ "arn:aws:iam::123456789012:user/team/ann", "444455556666" ]
    },
    "Sid" : "may pull",
    "Action" : [ "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer" ],
    "Effect" : "Allow"
  } ],
  "Version" : "2008-10-17"
}`
	want := policyText{coffertest.Account, "team/app", shown}
	for _, operation := range []string{"SetRepositoryPolicy", "SetRepositoryPolicy", "GetRepositoryPolicy", "DeleteRepositoryPolicy"} {
		in := map[string]any{"repositoryName": "team/app"}
		if operation == "SetRepositoryPolicy" {
			in["policyText"] = text
		}
		var got policyText
		if s.MustECR(operation, in, &got); got != want {
			t.Errorf("%s answers %+v", operation, got)
		}
	}
	wantMessage(t, s.ECR("DeleteRepositoryPolicy", onTeamApp), http.StatusBadRequest, "RepositoryPolicyNotFoundException", none)
	for _, operation := range []string{"GetRepositoryPolicy", "DeleteRepositoryPolicy"} {
		wantMessage(t, s.ECR(operation, `{"repositoryName":"no/such"}`), http.StatusBadRequest, "RepositoryNotFoundException", gone)
	}
	wantMessage(t, s.ECR("SetRepositoryPolicy", map[string]any{"repositoryName": "no/such", "policyText": text}), http.StatusBadRequest, "RepositoryNotFoundException", gone)
	var record coffertest.Record
	for _, r := range s.Trail() {
		if r.EventName == "SetRepositoryPolicy" && r.ErrorCode == "" {
			record = r
		}
	}
	if record.RequestParameters["policyText"] != text || record.ResponseElements["policyText"] != shown {
		t.Errorf("the record: %s", record.Text)
	}
}

func TestRepositoryPolicyIsRefused(t *testing.T) {
	s := coffertest.Start(t)
	s.CreateRepository("team/app")
	set := func(text string) coffertest.Response {
		return s.ECR("SetRepositoryPolicy", map[string]any{"repositoryName": "team/app", "policyText": text})
	}
	for name, text := range map[string]string{
		"nothing":               "",
		"no JSON":               "{",
		"no actions of its own": resourcePolicy("Allow", `"*"`, "ecr:GetAuthorizationToken"),
		"another service":       resourcePolicy("Allow", `"*"`, "s3:GetObject"),
		"no principal":          document("Allow", "ecr:*", "*"),
		"another repository":    `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"ecr:*","Resource":"arn:aws:ecr:us-east-1:123456789012:repository/other"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			wantMessage(t, set(text), http.StatusBadRequest, "InvalidParameterException", "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'")
		})
	}
	wantMessage(t, set(resourcePolicy("Allow", `{"AWS":"arn:aws:iam::123456789012:role/no-such"}`, "ecr:*")), http.StatusBadRequest, "InvalidParameterException",
		"Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Principal not found'")
	wantMessage(t, set(strings.Repeat(" ", 10_241)), http.StatusBadRequest, "InvalidParameterException",
		"Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Member must have length less than or equal to 10240'")
	wantStatus(t, s.ECR("GetRepositoryPolicy", onTeamApp), http.StatusBadRequest, "RepositoryPolicyNotFoundException")
	wantStatus(t, set(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"ecr:*","Resource":"arn:aws:ecr:us-east-1:123456789012:repository/team/app"}}`), http.StatusOK, "")
}

// A policy after which the caller could set no other is refused unless it is meant. Whether it could is asked with all
// that the request has.
func TestRepositoryPolicyThatLocksOut(t *testing.T) {
	root := coffertest.Start(t)
	root.CreateRepository("team/app")
	const refused = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'The policy would prevent you from setting another policy in the future; set it with force if that is meant'"
	set := func(s *coffertest.Server, text string, force bool) coffertest.Response {
		return s.ECR("SetRepositoryPolicy", map[string]any{"repositoryName": "team/app", "policyText": text, "force": force})
	}
	conditioned := func(condition string) string {
		return `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"ecr:Set*","Condition":` + condition + `}}`
	}
	for name, text := range map[string]string{
		"everyone":          resourcePolicy("Deny", `"*"`, "ecr:*"),
		"the account":       resourcePolicy("Deny", `{"AWS":"123456789012"}`, "ecr:SetRepositoryPolicy"),
		"by a condition":    conditioned(`{"IpAddress":{"aws:SourceIp":"127.0.0.1"}}`),
		"all but one other": `{"Version":"2012-10-17","Statement":{"Effect":"Deny","NotPrincipal":{"AWS":"444455556666"},"NotAction":"ecr:ListImages"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			wantMessage(t, set(root, text, false), http.StatusBadRequest, "InvalidParameterException", refused)
		})
	}
	wantStatus(t, root.ECR("GetRepositoryPolicy", onTeamApp), http.StatusBadRequest, "RepositoryPolicyNotFoundException")
	for name, text := range map[string]string{
		"other actions":     resourcePolicy("Deny", `"*"`, "ecr:DeleteRepository"),
		"another account":   resourcePolicy("Deny", `{"AWS":"444455556666"}`, "ecr:*"),
		"another condition": conditioned(`{"NotIpAddress":{"aws:SourceIp":"127.0.0.1"}}`),
	} {
		t.Run(name, func(t *testing.T) { wantStatus(t, set(root, text, false), http.StatusOK, "") })
	}
	// A user whose rights come from the policy alone.
	ann := user(root, "ann")
	own := func(actions ...string) string {
		return resourcePolicy("Allow", `{"AWS":"arn:aws:iam::123456789012:user/ann"}`, actions...)
	}
	wantStatus(t, set(root, own("ecr:SetRepositoryPolicy"), false), http.StatusOK, "")
	wantMessage(t, set(ann, own("ecr:ListImages"), false), http.StatusBadRequest, "InvalidParameterException", refused)
	wantStatus(t, set(ann, own("ecr:ListImages", "ecr:SetRepositoryPolicy"), false), http.StatusOK, "")
	wantStatus(t, set(ann, own("ecr:ListImages"), true), http.StatusOK, "")
	wantStatus(t, set(ann, own("ecr:SetRepositoryPolicy"), true), http.StatusBadRequest, "AccessDeniedException")

	wantStatus(t, set(root, resourcePolicy("Deny", `"*"`, "ecr:SetRepositoryPolicy"), true), http.StatusOK, "")
	wantMessage(t, set(root, own("ecr:*"), true), http.StatusBadRequest, "AccessDeniedException",
		"User: arn:aws:iam::123456789012:root is not authorized to perform: ecr:SetRepositoryPolicy on resource: arn:aws:ecr:us-east-1:123456789012:repository/team/app with an explicit deny in a resource-based policy")
	root.MustECR("DeleteRepositoryPolicy", map[string]any{"repositoryName": "team/app"}, nil)
	wantStatus(t, set(root, own("ecr:*"), false), http.StatusOK, "")
}

// An explicit denial of a repository's policy wins, on both ways in, and is named.
func TestRepositoryPolicyDenies(t *testing.T) {
	root := coffertest.Start(t)
	root.CreateRepository("team/app")
	token := root.Token()
	root.PushImage(token, "team/app", "1", []byte("layer"))
	root.MustECR("SetRepositoryPolicy", map[string]any{"repositoryName": "team/app", "policyText": resourcePolicy("Deny", `"*"`, "ecr:BatchGetImage")}, nil)
	const message = "User: arn:aws:iam::123456789012:root is not authorized to perform: ecr:BatchGetImage on resource: " +
		"arn:aws:ecr:us-east-1:123456789012:repository/team/app with an explicit deny in a resource-based policy"
	wantMessage(t, root.ECR("BatchGetImage", map[string]any{"repositoryName": "team/app", "imageIds": []any{map[string]string{"imageTag": "1"}}}), http.StatusBadRequest, "AccessDeniedException", message)
	wantMessage(t, root.V2(token, http.MethodGet, "/v2/team/app/manifests/1", nil), http.StatusForbidden, "DENIED", message)
	wantMessage(t, root.V2(token, http.MethodGet, "/v2/team/app/referrers/"+coffertest.Digest(nil), nil), http.StatusForbidden, "DENIED", message)
}

// onRegistry is a policy of the registry of tests.
func onRegistry(effect, principal, action, resource string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"` + effect + `","Principal":` + principal + `,"Action":"` + action + `","Resource":"` + resource + `"}]}`
}

func TestRegistryPolicy(t *testing.T) {
	s := coffertest.Start(t)
	const none = "Registry policy does not exist in the registry with id '123456789012'"
	for _, operation := range []string{"GetRegistryPolicy", "DeleteRegistryPolicy"} {
		wantMessage(t, s.ECR(operation, "{}"), http.StatusBadRequest, "RegistryPolicyNotFoundException", none)
	}
	text := onRegistry("Allow", `{"AWS":"444455556666"}`, "ecr:*", "arn:aws:ecr:us-east-1:123456789012:repository/team/*")
	const shown = `{
  "Version" : "2012-10-17",
  "Statement" : [ {
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "444455556666"
    },
    "Action" : "ecr:*",
    "Resource" : "arn:aws:ecr:us-east-1:123456789012:repository/team/*"
  } ]
}`
	want := policyText{RegistryID: coffertest.Account, PolicyText: shown}
	for _, operation := range []string{"PutRegistryPolicy", "PutRegistryPolicy", "GetRegistryPolicy", "DeleteRegistryPolicy"} {
		in := map[string]any{}
		if operation == "PutRegistryPolicy" {
			in["policyText"] = text
		}
		var got policyText
		if s.MustECR(operation, in, &got); got != want {
			t.Errorf("%s answers %+v", operation, got)
		}
	}
	wantMessage(t, s.ECR("DeleteRegistryPolicy", "{}"), http.StatusBadRequest, "RegistryPolicyNotFoundException", none)
	for name, text := range map[string]string{
		"no resource": resourcePolicy("Allow", `"*"`, "ecr:*"), "another service": onRegistry("Allow", `"*"`, "s3:*", "*"),
		"another region":  onRegistry("Allow", `"*"`, "ecr:*", "arn:aws:ecr:eu-west-1:123456789012:repository/*"),
		"another account": onRegistry("Allow", `"*"`, "ecr:*", "arn:aws:ecr:us-east-1:444455556666:repository/*"),
	} {
		t.Run(name, func(t *testing.T) {
			wantMessage(t, s.ECR("PutRegistryPolicy", map[string]any{"policyText": text}), http.StatusBadRequest, "InvalidParameterException",
				"Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid registry policy provided'")
		})
	}
	wantMessage(t, s.ECR("PutRegistryPolicy", map[string]any{"policyText": onRegistry("Deny", `"*"`, "ecr:*", "*")}), http.StatusBadRequest, "InvalidParameterException",
		"Invalid parameter at 'PolicyText' failed to satisfy constraint: 'The policy would prevent you from putting another policy in the future'")
}

// A registry's policy is about all actions in scope V2, for all of its repositories that it names and beside their own
// policies, and about three in scope V1.
func TestScopeOfRegistryPolicy(t *testing.T) {
	home := coffertest.Start(t)
	other := addNeighbour(t, home)
	home.CreateRepository("team/app")
	home.CreateRepository("other")
	token := other.Token()
	list := func(name string) coffertest.Response {
		return v2At(other, homeHost, token, http.MethodGet, "/v2/"+name+"/tags/list", nil)
	}
	scope := func(value string) {
		home.MustECR("PutAccountSetting", map[string]any{"name": "REGISTRY_POLICY_SCOPE", "value": value}, nil)
	}
	create := func(name string) coffertest.Response {
		return other.ECR("CreateRepository", map[string]any{"registryId": coffertest.Account, "repositoryName": name})
	}
	denied := deniedTo("arn:aws:iam::"+neighbour+":root", "ecr:ListImages", coffertest.Account, "team/app", "resource-based")
	wantMessage(t, list("team/app"), http.StatusForbidden, "DENIED", denied)
	home.MustECR("PutRegistryPolicy", map[string]any{"policyText": onRegistry("Allow", `{"AWS":"`+neighbour+`"}`, "ecr:*", "arn:aws:ecr:us-east-1:123456789012:repository/team/*")}, nil)
	wantStatus(t, list("team/app"), http.StatusOK, "")
	wantStatus(t, list("team/none"), http.StatusNotFound, "NAME_UNKNOWN")
	wantStatus(t, list("other"), http.StatusForbidden, "DENIED")
	wantStatus(t, create("team/new"), http.StatusOK, "")
	wantStatus(t, create("new"), http.StatusBadRequest, "AccessDeniedException")
	scope("V1")
	wantMessage(t, list("team/app"), http.StatusForbidden, "DENIED", denied)
	wantStatus(t, create("team/newer"), http.StatusOK, "")
	scope("V2")
	wantStatus(t, list("team/app"), http.StatusOK, "")

	home.MustECR("PutRegistryPolicy", map[string]any{"policyText": onRegistry("Deny", `"*"`, "ecr:ListImages", "*")}, nil)
	share(home, "team/app", `{"AWS":"`+neighbour+`"}`, `"ecr:ListImages"`)
	wantMessage(t, list("team/app"), http.StatusForbidden, "DENIED", denied)
	wantMessage(t, home.ECR("ListImages", onTeamApp), http.StatusBadRequest, "AccessDeniedException",
		"User: arn:aws:iam::123456789012:root is not authorized to perform: ecr:ListImages on resource: arn:aws:ecr:us-east-1:123456789012:repository/team/app with an explicit deny in a resource-based policy")
	scope("V1")
	wantStatus(t, list("team/app"), http.StatusOK, "")
	wantStatus(t, home.ECR("ListImages", onTeamApp), http.StatusOK, "")
	wantMessage(t, home.ECR("PutRegistryPolicy", map[string]any{"policyText": onRegistry("Deny", `"*"`, "ecr:ListImages", "*")}), http.StatusBadRequest, "InvalidParameterException",
		"Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid registry policy provided'")
}

// Actions on the registry as a whole are the account's own business; but its policy may deny them.
func TestRegistryPolicyAboutTheRegistry(t *testing.T) {
	home := coffertest.Start(t)
	ann := user(home, "ann", document("Allow", "ecr:GetAuthorizationToken", "*"))
	home.MustECR("PutRegistryPolicy", map[string]any{"policyText": onRegistry("Allow", `"*"`, "ecr:*", "*")}, nil)
	wantStatus(t, ann.ECR("DescribeRegistry", "{}"), http.StatusBadRequest, "AccessDeniedException")
	ann.MustECR("DescribeRepositories", map[string]any{}, nil)
	home.MustECR("PutRegistryPolicy", map[string]any{"policyText": onRegistry("Deny", `"*"`, "ecr:*Registry", "*")}, nil)
	wantMessage(t, home.ECR("DescribeRegistry", "{}"), http.StatusBadRequest, "AccessDeniedException",
		"User: arn:aws:iam::123456789012:root is not authorized to perform: ecr:DescribeRegistry on resource: * with an explicit deny in a resource-based policy")
	ann.Token()
}
