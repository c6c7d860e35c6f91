package app_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// conditional is an identity policy that allows everything of ECR under a condition, and to log in to /v2/ without.
func conditional(condition string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr:GetAuthorizationToken","Resource":"*"},
		{"Effect":"Allow","Action":"ecr:*","Resource":"*","Condition":` + condition + `}]}`
}

// A condition says the same on the API and on /v2/, and a policy that is changed counts from the next request on.
func TestConditionsOnBothWays(t *testing.T) {
	root := coffertest.Start(t)
	root.MustECR("CreateRepository", map[string]any{"repositoryName": "team/app", "tags": []any{map[string]string{"Key": "Team", "Value": "payments"}}}, nil)
	root.PushImage(root.Token(), "team/app", "1", []byte("layer"))
	root.MustQuery("iam", "CreateUser", map[string]any{"UserName": "ann", "Tags": []any{map[string]string{"Key": "Team", "Value": "payments"}}})
	put := func(text string) {
		root.MustQuery("iam", "PutUserPolicy", map[string]any{"UserName": "ann", "PolicyName": "p", "PolicyDocument": text})
	}
	put(conditional(`{"Null":{"aws:nothing":"true"}}`))
	ann := root.As(root.MustQuery("iam", "CreateAccessKey", map[string]any{"UserName": "ann"}).KeyOf())
	token := ann.Token()
	for _, tt := range []struct {
		name, condition string
		allowed         bool
	}{
		{"the tag of the repository", `{"StringEquals":{"aws:ResourceTag/team":"payments"}}`, true},
		{"another tag of the repository", `{"StringEquals":{"aws:ResourceTag/team":"other"}}`, false},
		{"a tag that the repository lacks", `{"StringEquals":{"aws:ResourceTag/stage":"payments"}}`, false},
		{"the tag by ECR's key", `{"StringEquals":{"ecr:ResourceTag/Team":"payments"}}`, true},
		{"another tag by ECR's key", `{"StringNotEquals":{"ecr:ResourceTag/Team":"payments"}}`, false},
		{"the tag of the principal", `{"StringEquals":{"aws:PrincipalTag/team":"payments"}}`, true},
		{"another tag of the principal", `{"StringEquals":{"aws:PrincipalTag/team":"other"}}`, false},
		{"the same tag of both", `{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/team}"}}`, true},
		{"not the same tag of both", `{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/stage}"}}`, false},
		{"the address", `{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}`, true},
		{"another address", `{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, false},
		{"no TLS", `{"Bool":{"aws:SecureTransport":"false"}}`, true},
		{"TLS", `{"Bool":{"aws:SecureTransport":"true"}}`, false},
		{"since years", `{"DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}}`, true},
		{"until long ago", `{"DateLessThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}}`, false},
		{"seconds since 1970", `{"NumericGreaterThan":{"aws:EpochTime":"1577836800"}}`, true},
		{"the principal", `{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::123456789012:user/ann"}}`, true},
		{"another principal", `{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/bob"}}`, false},
		{"the name", `{"StringEquals":{"aws:username":"ann"}}`, true},
		{"the user agent", `{"StringLike":{"aws:UserAgent":"Go-http-client/*"}}`, true},
		{"another user agent", `{"StringLike":{"aws:UserAgent":"aws-cli/*"}}`, false},
		{"the region", `{"StringEquals":{"aws:RequestedRegion":"us-east-1"}}`, true},
		{"another region", `{"StringEquals":{"aws:RequestedRegion":"eu-west-1"}}`, false},
		{"the accounts", `{"StringEquals":{"aws:PrincipalAccount":"123456789012","aws:ResourceAccount":"${aws:PrincipalAccount}"}}`, true},
		{"another account", `{"StringNotEquals":{"aws:ResourceAccount":"123456789012"}}`, false},
		{"no second factor", `{"Null":{"aws:MultiFactorAuthPresent":"true"}}`, true},
		{"a second factor", `{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			put(conditional(tt.condition))
			api := ann.ECR("BatchGetImage", map[string]any{"repositoryName": "team/app", "imageIds": []any{map[string]string{"imageTag": "1"}}})
			v2 := ann.V2(token, http.MethodGet, "/v2/team/app/manifests/1", nil)
			if tt.allowed {
				wantStatus(t, api, http.StatusOK, "")
				wantStatus(t, v2, http.StatusOK, "")
				return
			}
			const message = "User: arn:aws:iam::123456789012:user/ann is not authorized to perform: ecr:BatchGetImage on resource: " +
				"arn:aws:ecr:us-east-1:123456789012:repository/team/app because no identity-based policy allows the ecr:BatchGetImage action"
			wantMessage(t, api, http.StatusBadRequest, "AccessDeniedException", message)
			wantMessage(t, v2, http.StatusForbidden, "DENIED", message)
		})
	}
}

// The tags of a repository decide from the request on that follows their change.
func TestTagsDecideAtOnce(t *testing.T) {
	root := coffertest.Start(t)
	root.CreateRepository("team/app")
	ann := user(root, "ann", conditional(`{"StringEquals":{"aws:ResourceTag/team":"payments"}}`))
	token := ann.Token()
	const arn = "arn:aws:ecr:us-east-1:123456789012:repository/team/app"
	want := func(when string, allowed bool) {
		t.Helper()
		api, v2 := ann.ECR("ListImages", map[string]any{"repositoryName": "team/app"}), ann.V2(token, http.MethodGet, "/v2/team/app/tags/list", nil)
		if (api.Status == http.StatusOK) != allowed || (v2.Status == http.StatusOK) != allowed {
			t.Errorf("%s: status %d and %d", when, api.Status, v2.Status)
		}
	}
	want("untagged", false)
	root.MustECR("TagResource", map[string]any{"resourceArn": arn, "tags": []any{map[string]string{"Key": "Team", "Value": "payments"}}}, nil)
	want("tagged", true)
	root.MustECR("TagResource", map[string]any{"resourceArn": arn, "tags": []any{map[string]string{"Key": "Team", "Value": "other"}}}, nil)
	want("tagged otherwise", false)
	root.MustECR("TagResource", map[string]any{"resourceArn": arn, "tags": []map[string]string{{"Key": "Team", "Value": "payments"}, {"Key": "team", "Value": "other"}}}, nil)
	want("tagged twice", false)
	root.MustECR("UntagResource", map[string]any{"resourceArn": arn, "tagKeys": []string{"team"}}, nil)
	want("tagged once", true)
	root.MustECR("DeleteRepository", map[string]any{"repositoryName": "team/app"}, nil)
	root.CreateRepository("team/app")
	want("made anew", false)
}

// Who may make and tag repositories may be held to the right tags.
func TestTagsOfRequests(t *testing.T) {
	root := coffertest.Start(t)
	ann := user(root, "ann", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":["ecr:CreateRepository","ecr:TagResource","ecr:UntagResource"],"Resource":"*"},
		{"Effect":"Deny","Action":["ecr:CreateRepository","ecr:TagResource"],"Resource":"*","Condition":{"StringNotEquals":{"aws:RequestTag/Team":"payments"}}},
		{"Effect":"Deny","Action":"ecr:*","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"aws:TagKeys":["Owner","owner"]}}},
		{"Effect":"Deny","Action":"ecr:UntagResource","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"aws:TagKeys":"Team"}}},
		{"Effect":"Deny","Action":"ecr:UntagResource","Resource":"*","Condition":{"StringNotEquals":{"aws:ResourceTag/Team":"payments"}}}]}`)
	type tag struct{ Key, Value string }
	n := 0
	for _, tt := range []struct {
		name    string
		tags    []tag
		allowed bool
	}{
		{"none", nil, false},
		{"the right one", []tag{{"Team", "payments"}}, true},
		{"another value", []tag{{"Team", "other"}}, false},
		{"further ones", []tag{{"Stage", "test"}, {"Team", "payments"}}, true},
		{"a forbidden one", []tag{{"Team", "payments"}, {"Owner", "ann"}}, false},
		{"in two cases", []tag{{"Team", "other"}, {"team", "payments"}}, false},
		{"in two cases the other way round", []tag{{"team", "payments"}, {"Team", "other"}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n++
			name := "app-" + string(rune('a'+n))
			r := ann.ECR("CreateRepository", map[string]any{"repositoryName": name, "tags": tt.tags})
			status, code := http.StatusOK, ""
			if !tt.allowed {
				status, code = http.StatusBadRequest, "AccessDeniedException"
				root.CreateRepository(name)
			}
			wantStatus(t, r, status, code)
			if tt.tags == nil {
				return
			}
			wantStatus(t, ann.ECR("TagResource", map[string]any{"resourceArn": "arn:aws:ecr:us-east-1:123456789012:repository/" + name, "tags": tt.tags}), status, code)
		})
	}
	const arn = "arn:aws:ecr:us-east-1:123456789012:repository/app"
	root.MustECR("CreateRepository", map[string]any{"repositoryName": "app", "tags": []tag{{"Team", "payments"}, {"Stage", "test"}}}, nil)
	wantStatus(t, ann.ECR("UntagResource", map[string]any{"resourceArn": arn, "tagKeys": []string{"Stage", "Team"}}), http.StatusBadRequest, "AccessDeniedException")
	wantStatus(t, ann.ECR("UntagResource", map[string]any{"resourceArn": arn, "tagKeys": []string{"Stage"}}), http.StatusOK, "")
	root.MustECR("UntagResource", map[string]any{"resourceArn": arn, "tagKeys": []string{"Team"}}, nil)
	wantStatus(t, ann.ECR("UntagResource", map[string]any{"resourceArn": arn, "tagKeys": []string{"Stage"}}), http.StatusBadRequest, "AccessDeniedException")
}

// Whoever may only make repositories with their own tag may do so: at its making a repository has the tags that it is made
// with. Tags need a right of their own.
func TestTagsOfNewRepositories(t *testing.T) {
	root := coffertest.Start(t)
	ann := user(root, "ann", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["ecr:CreateRepository","ecr:TagResource"],"Resource":"*",
		"Condition":{"StringEquals":{"aws:ResourceTag/Team":"payments","ecr:ResourceTag/Team":"payments"}}}}`)
	bob := user(root, "bob", document("Allow", "ecr:CreateRepository", "*"))
	tagged := func(name, value string) map[string]any {
		return map[string]any{"repositoryName": name, "tags": []any{map[string]string{"Key": "Team", "Value": value}}}
	}
	wantStatus(t, ann.ECR("CreateRepository", tagged("app-a", "payments")), http.StatusOK, "")
	wantStatus(t, ann.ECR("CreateRepository", tagged("app-b", "other")), http.StatusBadRequest, "AccessDeniedException")
	wantStatus(t, bob.ECR("CreateRepository", map[string]any{"repositoryName": "app-c"}), http.StatusOK, "")
	wantMessage(t, bob.ECR("CreateRepository", tagged("app-d", "payments")), http.StatusBadRequest, "AccessDeniedException",
		"User: arn:aws:iam::123456789012:user/bob is not authorized to perform: ecr:TagResource on resource: arn:aws:ecr:us-east-1:123456789012:repository/app-d "+
			"because no identity-based policy allows the ecr:TagResource action")
}

// The name of a setting is a condition key.
func TestSettingsByName(t *testing.T) {
	root := coffertest.Start(t)
	ann := user(root, "ann", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["ecr:GetAccountSetting","ecr:PutAccountSetting"],"Resource":"*",
		"Condition":{"StringEquals":{"ecr:AccountSetting":"BLOB_MOUNTING"}}}}`)
	for name, status := range map[string]int{"BLOB_MOUNTING": http.StatusOK, "REGISTRY_POLICY_SCOPE": http.StatusBadRequest} {
		if r := ann.ECR("GetAccountSetting", map[string]any{"name": name}); r.Status != status {
			t.Errorf("get %s: status %d: %s", name, r.Status, r.Body)
		}
		var value struct{ Value string }
		root.MustECR("GetAccountSetting", map[string]any{"name": name}, &value)
		if r := ann.ECR("PutAccountSetting", map[string]any{"name": name, "value": value.Value}); r.Status != status {
			t.Errorf("put %s: status %d: %s", name, r.Status, r.Body)
		}
	}
}

// Whoever may not do something is not told whether that is there; whoever may, is.
func TestDeniedBeforeNotFound(t *testing.T) {
	root := coffertest.Start(t)
	ann := user(root, "ann", document("Allow", "ecr:GetAuthorizationToken", "*"), document("Allow", "ecr:*", "arn:aws:ecr:us-east-1:123456789012:repository/team/*"))
	token := ann.Token()
	list := func(name string) (api, v2 coffertest.Response) {
		return ann.ECR("ListImages", map[string]any{"repositoryName": name}), ann.V2(token, http.MethodGet, "/v2/"+name+"/tags/list", nil)
	}
	api, v2 := list("no/such")
	message := deniedTo("arn:aws:iam::123456789012:user/ann", "ecr:ListImages", coffertest.Account, "no/such", "identity-based")
	wantMessage(t, api, http.StatusBadRequest, "AccessDeniedException", message)
	wantMessage(t, v2, http.StatusForbidden, "DENIED", message)
	api, v2 = list("team/none")
	const none = "The repository with name 'team/none' does not exist in the registry with id '123456789012'"
	wantMessage(t, api, http.StatusBadRequest, "RepositoryNotFoundException", none)
	wantMessage(t, v2, http.StatusNotFound, "NAME_UNKNOWN", none)
}

// resourcePolicy is a policy of one statement for the repository that has it.
func resourcePolicy(effect, principal string, actions ...string) string {
	text, _ := json.Marshal(actions)
	return `{"Version":"2012-10-17","Statement":{"Effect":"` + effect + `","Principal":` + principal + `,"Action":` + string(text) + `}}`
}
