package app_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/secret"
)

// neighbour is another account on the server of a test; homeHost and neighbourHost are those of the two registries.
const (
	neighbour     = "111122223333"
	homeHost      = "123456789012.dkr.ecr.us-east-1.example.com"
	neighbourHost = "111122223333.dkr.ecr.us-east-1.example.com"
	// The second example of the AWS documentation.
	neighbourKey, neighbourSecret = "AKIAI44QH8DHBEXAMPLE", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY"
)

// addNeighbour makes the other account, and returns a client that signs as its root.
func addNeighbour(t *testing.T, s *coffertest.Server) *coffertest.Server {
	t.Helper()
	if err := s.AddAccount(t.Context(), neighbour, neighbourKey, secret.New(neighbourSecret)); err != nil {
		t.Fatal(err)
	}
	return s.As(coffertest.Credentials{AccessKeyID: neighbourKey, SecretAccessKey: neighbourSecret})
}

// v2At sends a request under /v2/ to a registry by its host.
func v2At(s *coffertest.Server, host, token, method, path string, body []byte, headers ...string) coffertest.Response {
	r := s.Request(method, path, bytes.NewReader(body), headers...)
	r.Host = host
	if token != "" {
		r.Header.Set("Authorization", "Basic "+token)
	}
	return s.Do(r)
}

const (
	pullActions = `"ecr:BatchGetImage","ecr:GetDownloadUrlForLayer","ecr:BatchCheckLayerAvailability"`
	pushActions = `"ecr:BatchCheckLayerAvailability","ecr:InitiateLayerUpload","ecr:UploadLayerPart","ecr:CompleteLayerUpload","ecr:PutImage"`
)

// share lets the principals of a policy use a repository.
func share(s *coffertest.Server, name, principal, actions string) {
	s.MustECR("SetRepositoryPolicy", map[string]any{"repositoryName": name, "policyText": `{"Version":"2012-10-17","Statement":[
		{"Sid":"shared with others","Effect":"Allow","Principal":` + principal + `,"Action":[` + actions + `]}]}`}, nil)
}

func deniedTo(arn, action, account, repository, why string) string {
	return "User: " + arn + " is not authorized to perform: " + action + " on resource: arn:aws:ecr:us-east-1:" + account + ":repository/" + repository +
		" because no " + why + " policy allows the " + action + " action"
}

// Another account pulls and pushes with the token of its own, at the host of the registry and through the API, once the
// repository's policy lets it, and as soon as it does not, no more.
func TestPullAndPushAcrossAccounts(t *testing.T) {
	home := coffertest.Start(t)
	other := addNeighbour(t, home)
	home.CreateRepository("team/app")
	layer := []byte("a layer")
	digest, manifest := home.PushImage(home.Token(), "team/app", "1", layer)
	token := other.Token()
	const root = "arn:aws:iam::" + neighbour + ":root"
	pull := func() (api, v2 coffertest.Response) {
		return other.ECR("BatchGetImage", map[string]any{"registryId": coffertest.Account, "repositoryName": "team/app", "imageIds": []any{map[string]string{"imageTag": "1"}}}),
			v2At(other, homeHost, token, http.MethodGet, "/v2/team/app/manifests/1", nil)
	}
	refused := func(when string) {
		t.Helper()
		message := deniedTo(root, "ecr:BatchGetImage", coffertest.Account, "team/app", "resource-based")
		api, v2 := pull()
		t.Log(when)
		wantMessage(t, api, http.StatusBadRequest, "AccessDeniedException", message)
		wantMessage(t, v2, http.StatusForbidden, "DENIED", message)
	}
	refused("without a policy")
	share(home, "team/app", `{"AWS":"`+neighbour+`"}`, pullActions)
	api, v2 := pull()
	wantStatus(t, api, http.StatusOK, "")
	if v2.Status != http.StatusOK || !bytes.Equal(v2.Body, manifest) {
		t.Errorf("status %d: %s", v2.Status, v2.Body)
	}
	if r := v2At(other, homeHost, token, http.MethodGet, "/v2/team/app/blobs/"+coffertest.Digest(layer), nil); r.Status != http.StatusOK || !bytes.Equal(r.Body, layer) {
		t.Errorf("the layer: status %d", r.Status)
	}
	var url struct{ DownloadURL string }
	other.MustECR("GetDownloadUrlForLayer", map[string]any{"registryId": coffertest.Account, "repositoryName": "team/app", "layerDigest": coffertest.Digest(layer)}, &url)
	download := func() coffertest.Response {
		r, err := http.NewRequest(http.MethodGet, url.DownloadURL, nil)
		if err != nil {
			t.Fatal(err)
		}
		return other.Do(r)
	}
	if r := download(); r.Status != http.StatusOK || !bytes.Equal(r.Body, layer) {
		t.Errorf("the layer by its address: status %d", r.Status)
	}
	wantMessage(t, v2At(other, homeHost, token, http.MethodPut, "/v2/team/app/manifests/2", manifest, "Content-Type", coffertest.ManifestType), http.StatusForbidden, "DENIED",
		deniedTo(root, "ecr:PutImage", coffertest.Account, "team/app", "resource-based"))

	share(home, "team/app", `{"AWS":"arn:aws:iam::`+neighbour+`:root"}`, pushActions)
	blob := []byte("another layer")
	for _, b := range [][]byte{blob, []byte("{}")} {
		if r := v2At(other, homeHost, token, http.MethodPost, "/v2/team/app/blobs/uploads/?digest="+coffertest.Digest(b), b); r.Status != http.StatusCreated {
			t.Errorf("push a layer: status %d: %s", r.Status, r.Body)
		}
	}
	pushed := coffertest.Manifest([]byte("{}"), nil, blob)
	if r := v2At(other, homeHost, token, http.MethodPut, "/v2/team/app/manifests/2", pushed, "Content-Type", coffertest.ManifestType); r.Status != http.StatusCreated {
		t.Errorf("push an image: status %d: %s", r.Status, r.Body)
	}
	other.MustECR("PutImage", map[string]any{"registryId": coffertest.Account, "repositoryName": "team/app", "imageManifest": string(pushed), "imageTag": "3"}, nil)
	refused("with a policy that only lets it push")
	home.MustECR("DeleteRepositoryPolicy", map[string]any{"repositoryName": "team/app"}, nil)
	refused("without a policy again")
	if r := download(); r.Status != http.StatusForbidden {
		t.Errorf("the layer by its address, when the policy is gone: status %d", r.Status)
	}
	var images struct {
		ImageDetails []struct{ ImageTags []string }
	}
	home.MustECR("DescribeImages", map[string]any{"repositoryName": "team/app"}, &images)
	if len(images.ImageDetails) != 2 {
		t.Errorf("the images are %v, of which %s was there before", images, digest)
	}
}

// Both accounts have to agree: the one by the policies of its user, the other by that of its repository, whoever it is that
// its policy names.
func TestAcrossAccountsTakesBoth(t *testing.T) {
	home := coffertest.Start(t)
	other := addNeighbour(t, home)
	home.CreateRepository("team/app")
	bob := user(other, "bob", document("Allow", "ecr:GetAuthorizationToken", "*"))
	const arn = "arn:aws:iam::" + neighbour + ":user/bob"
	token := bob.Token()
	list := func() (api, v2 coffertest.Response) {
		return bob.ECR("ListImages", map[string]any{"registryId": coffertest.Account, "repositoryName": "team/app"}), v2At(bob, homeHost, token, http.MethodGet, "/v2/team/app/tags/list", nil)
	}
	for _, tt := range []struct {
		name, principal, identity string
		why                       string // empty if it is let in
	}{
		{"neither", "", "", "identity-based"},
		{"the account, not the user", `{"AWS":"` + neighbour + `"}`, "", "identity-based"},
		{"the user by name, not the user's policies", `{"AWS":"` + arn + `"}`, "", "identity-based"},
		{"everyone, not the user's policies", `"*"`, "", "identity-based"},
		{"the user's policies alone", "", "ecr:*", "resource-based"},
		{"another account", `{"AWS":"444455556666"}`, "ecr:*", "resource-based"},
		{"the account and the user's policies", `{"AWS":"` + neighbour + `"}`, "ecr:*", ""},
		{"the user and its policies", `{"AWS":"` + arn + `"}`, "ecr:ListImages", ""},
		{"everyone and the user's policies", `"*"`, "ecr:List*", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			home.ECR("DeleteRepositoryPolicy", map[string]any{"repositoryName": "team/app"})
			if tt.principal != "" {
				share(home, "team/app", tt.principal, `"ecr:ListImages"`)
			}
			action := tt.identity
			if action == "" {
				action = "ecr:DescribeRegistry"
			}
			other.MustQuery("iam", "PutUserPolicy", map[string]any{"UserName": "bob", "PolicyName": "p1", "PolicyDocument": document("Allow", action, "*")})
			api, v2 := list()
			if tt.why == "" {
				wantStatus(t, api, http.StatusOK, "")
				wantStatus(t, v2, http.StatusOK, "")
				return
			}
			message := deniedTo(arn, "ecr:ListImages", coffertest.Account, "team/app", tt.why)
			wantMessage(t, api, http.StatusBadRequest, "AccessDeniedException", message)
			wantMessage(t, v2, http.StatusForbidden, "DENIED", message)
		})
	}
	home.MustECR("SetRepositoryPolicy", map[string]any{"repositoryName": "team/app", "policyText": resourcePolicy("Deny", `{"AWS":"`+arn+`"}`, "ecr:*")}, nil)
	_, v2 := list()
	wantMessage(t, v2, http.StatusForbidden, "DENIED", deniedTo(arn, "ecr:ListImages", coffertest.Account, "team/app", "resource-based"))
}

// It goes the other way round too: the first account has no more rights in others than they have in it.
func TestTheFirstAccountIsOneOfMany(t *testing.T) {
	home := coffertest.Start(t)
	other := addNeighbour(t, home)
	other.CreateRepository("theirs")
	token := home.Token()
	list := func() coffertest.Response {
		return v2At(home, neighbourHost, token, http.MethodGet, "/v2/theirs/tags/list", nil)
	}
	message := deniedTo("arn:aws:iam::"+coffertest.Account+":root", "ecr:ListImages", neighbour, "theirs", "resource-based")
	wantMessage(t, list(), http.StatusForbidden, "DENIED", message)
	share(other, "theirs", `{"AWS":"`+coffertest.Account+`"}`, `"ecr:ListImages"`)
	wantStatus(t, list(), http.StatusOK, "")
	var own struct {
		Repositories []struct{ RepositoryARN string }
	}
	other.MustECR("DescribeRepositories", map[string]any{}, &own)
	if len(own.Repositories) != 1 || own.Repositories[0].RepositoryARN != "arn:aws:ecr:us-east-1:"+neighbour+":repository/theirs" {
		t.Errorf("%+v", own)
	}
}

// Whoever may not read a repository of another account is not told whether it exists.
func TestWhatExistsElsewhereIsNotTold(t *testing.T) {
	home := coffertest.Start(t)
	other := addNeighbour(t, home)
	home.CreateRepository("team/app")
	home.CreateRepository("team/denied")
	home.MustECR("SetRepositoryPolicy", map[string]any{"repositoryName": "team/denied", "policyText": resourcePolicy("Deny", `{"AWS":"`+neighbour+`"}`, "ecr:*")}, nil)
	token := other.Token()
	const root = "arn:aws:iam::" + neighbour + ":root"
	for _, name := range []string{"team/app", "team/denied", "no/such"} {
		message := func(action string) string {
			return deniedTo(root, action, coffertest.Account, name, "resource-based")
		}
		arn := "arn:aws:ecr:us-east-1:" + coffertest.Account + ":repository/" + name
		for operation, in := range map[string]map[string]any{
			"ListImages": {"repositoryName": name}, "DescribeRepositories": {"repositoryNames": []string{name}}, "DeleteRepository": {"repositoryName": name},
			"GetRepositoryPolicy": {"repositoryName": name}, "CreateRepository": {"repositoryName": name},
			"SetRepositoryPolicy": {"repositoryName": name, "policyText": resourcePolicy("Allow", `"*"`, "ecr:*")},
			"BatchDeleteImage":    {"repositoryName": name, "imageIds": []any{map[string]string{"imageDigest": coffertest.Digest(nil)}}},
		} {
			in["registryId"] = coffertest.Account
			wantMessage(t, other.ECR(operation, in), http.StatusBadRequest, "AccessDeniedException", message("ecr:"+operation))
		}
		wantMessage(t, other.ECR("ListTagsForResource", map[string]any{"resourceArn": arn}), http.StatusBadRequest, "AccessDeniedException", message("ecr:ListTagsForResource"))
		wantMessage(t, v2At(other, homeHost, token, http.MethodGet, "/v2/"+name+"/manifests/1", nil), http.StatusForbidden, "DENIED", message("ecr:BatchGetImage"))
		wantMessage(t, v2At(other, homeHost, token, http.MethodPost, "/v2/"+name+"/blobs/uploads/", nil), http.StatusForbidden, "DENIED", message("ecr:InitiateLayerUpload"))
		wantMessage(t, v2At(other, homeHost, token, http.MethodDelete, "/v2/"+name+"/manifests/"+coffertest.Digest(nil), nil), http.StatusForbidden, "DENIED", message("ecr:BatchDeleteImage"))
	}
	wantMessage(t, v2At(other, homeHost, token, http.MethodGet, "/v2/_catalog", nil), http.StatusForbidden, "DENIED",
		deniedTo(root, "ecr:DescribeRepositories", coffertest.Account, "*", "resource-based"))
}

// A repository's policy means the user whom it names, and not another one who is made under the name later.
func TestPolicyMeansWhomItNamed(t *testing.T) {
	home := coffertest.Start(t)
	home.CreateRepository("team/app")
	ann := user(home, "ann")
	share(home, "team/app", `{"AWS":"arn:aws:iam::123456789012:user/ann"}`, `"ecr:ListImages"`)
	ann.MustECR("ListImages", map[string]any{"repositoryName": "team/app"}, nil)
	home.MustQuery("iam", "DeleteAccessKey", map[string]any{"UserName": "ann", "AccessKeyId": ann.Credentials.AccessKeyID})
	home.MustQuery("iam", "DeleteUser", map[string]any{"UserName": "ann"})
	other := user(home, "ann")
	wantMessage(t, other.ECR("ListImages", map[string]any{"repositoryName": "team/app"}), http.StatusBadRequest, "AccessDeniedException",
		deniedTo("arn:aws:iam::123456789012:user/ann", "ecr:ListImages", coffertest.Account, "team/app", "identity-based"))
	var shown struct{ PolicyText string }
	home.MustECR("GetRepositoryPolicy", map[string]any{"repositoryName": "team/app"}, &shown)
	if !bytes.Contains([]byte(shown.PolicyText), []byte(`"AWS" : "AIDA`)) {
		t.Errorf("the policy is shown as %s", shown.PolicyText)
	}
}

// A policy that names a role means its sessions, whichever account they come from and by whichever policy they are named.
func TestPolicyNamesARole(t *testing.T) {
	home := coffertest.Start(t)
	other := addNeighbour(t, home)
	home.CreateRepository("team/app")
	home.PushImage(home.Token(), "team/app", "1", []byte("layer"))
	const trust = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + neighbour + `"},"Action":"sts:AssumeRole"}}`
	other.MustQuery("iam", "CreateRole", map[string]any{"RoleName": "nodes", "Path": "/ci/", "AssumeRolePolicyDocument": trust})
	other.MustQuery("iam", "PutRolePolicy", map[string]any{"RoleName": "nodes", "PolicyName": "p", "PolicyDocument": document("Allow", "ecr:*", "*")})
	admin := user(other, "admin", document("Allow", "sts:AssumeRole", "*"))
	const role, session = "arn:aws:iam::" + neighbour + ":role/ci/nodes", "arn:aws:sts::" + neighbour + ":assumed-role/nodes/node-1"
	node := home.As(admin.MustQuery("sts", "AssumeRole", map[string]any{"RoleArn": role, "RoleSessionName": "node-1"}).KeyOf())
	token := node.Token()
	pull := func() coffertest.Response {
		return v2At(node, homeHost, token, http.MethodGet, "/v2/team/app/manifests/1", nil)
	}
	denied := deniedTo(session, "ecr:BatchGetImage", coffertest.Account, "team/app", "resource-based")
	wantMessage(t, pull(), http.StatusForbidden, "DENIED", denied)
	for name, principal := range map[string]string{"the role": role, "the session": session, "the account": "arn:aws:iam::" + neighbour + ":root"} {
		share(home, "team/app", `{"AWS":"`+principal+`"}`, pullActions)
		if r := pull(); r.Status != http.StatusOK {
			t.Errorf("%s: status %d: %s", name, r.Status, r.Body)
		}
	}
	share(home, "team/app", `{"AWS":"arn:aws:sts::`+neighbour+`:assumed-role/nodes/node-2"}`, pullActions)
	wantMessage(t, pull(), http.StatusForbidden, "DENIED", denied)
	set := func(condition string) {
		home.MustECR("SetRepositoryPolicy", map[string]any{"repositoryName": "team/app", "policyText": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*",
			"Action":"ecr:BatchGetImage","Condition":{"ArnEquals":{"aws:PrincipalArn":"` + condition + `"}}}}`}, nil)
	}
	set(role)
	wantStatus(t, pull(), http.StatusOK, "")
	set(session)
	wantMessage(t, pull(), http.StatusForbidden, "DENIED", denied)
}

// Both accounts have the record of what one does with a repository of the other, under one id, and only when it was done.
func TestBothAccountsHaveTheRecord(t *testing.T) {
	home := coffertest.Start(t)
	other := addNeighbour(t, home)
	home.CreateRepository("app")
	home.PushImage(home.Token(), "app", "1", []byte("layer"))
	in := map[string]any{"registryId": coffertest.Account, "repositoryName": "app", "imageIds": []any{map[string]string{"imageTag": "1"}}}
	wantStatus(t, other.ECR("BatchGetImage", in), http.StatusBadRequest, "AccessDeniedException")
	share(home, "app", `{"AWS":"`+neighbour+`"}`, pullActions+","+pushActions)
	other.MustECR("BatchGetImage", in, nil)
	token := other.Token()
	wantStatus(t, v2At(home, homeHost, token, http.MethodPut, "/v2/app/manifests/2", []byte(`{"schemaVersion":2}`), "Content-Type", coffertest.ManifestType), http.StatusMethodNotAllowed, "UNSUPPORTED")
	wantStatus(t, v2At(home, homeHost, token, http.MethodPost, "/v2/app/blobs/uploads/", nil), http.StatusAccepted, "")
	got := map[string][]string{} // by event and id that they share
	for _, r := range home.Trail() {
		var record struct {
			SharedEventID string
			UserIdentity  struct{ Type, AccountID, ARN string }
		}
		if err := json.Unmarshal([]byte(r.Text), &record); err != nil {
			t.Fatal(err)
		}
		if record.UserIdentity.AccountID == neighbour && (r.EventName == "BatchGetImage" || r.EventName == "PutImage" || r.EventName == "InitiateLayerUpload") {
			key := r.EventName + " " + r.ErrorCode
			if (record.SharedEventID != "") != (r.ErrorCode == "") {
				t.Errorf("the record: %s", r.Text)
			}
			got[key] = append(got[key], r.RecipientAccountID+" "+record.UserIdentity.Type)
		}
	}
	for _, list := range got {
		slices.Sort(list)
	}
	want := map[string][]string{
		"BatchGetImage AccessDeniedException": {neighbour + " Root"},
		"BatchGetImage ":                      {neighbour + " Root", coffertest.Account + " AWSAccount"},
		"PutImage InvalidParameterException":  {coffertest.Account + " Root"},
		"InitiateLayerUpload ":                {neighbour + " Root", coffertest.Account + " Root"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
