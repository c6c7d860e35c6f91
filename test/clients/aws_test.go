package clients_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// aws runs the AWS CLI for ECR and decodes what it prints.
func (s *server) aws(t *testing.T, v any, args ...string) {
	t.Helper()
	out := s.run(t, "aws", append([]string{"ecr", "--output", "json"}, args...)...)
	if v != nil {
		decode(t, out, v)
	}
}

// refused runs the AWS CLI for ECR, which must fail with an error of that code and text.
func (s *server) refused(t *testing.T, code, message string, args ...string) {
	t.Helper()
	var operation strings.Builder
	for word := range strings.SplitSeq(args[0], "-") {
		operation.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	s.refuse(t, []string{fmt.Sprintf("An error occurred (%s) when calling the %s operation: %s", code, &operation, message)},
		"aws", append([]string{"ecr"}, args...)...)
}

type repository struct {
	RepositoryArn, RegistryID, RepositoryName, RepositoryURI, ImageTagMutability string
	ImageScanningConfiguration                                                   struct{ ScanOnPush bool }
	EncryptionConfiguration                                                      struct{ EncryptionType string }
}

type imageID struct {
	ImageDigest string `json:"imageDigest"`
	ImageTag    string `json:"imageTag"`
}

// The AWS CLI with what "coffer env" gives to a new user.
func TestAWS(t *testing.T) {
	t.Parallel()
	s := serve(t, ownCredentials)
	var caller struct{ Account, Arn string }
	decode(t, s.run(t, "aws", "sts", "get-caller-identity"), &caller)
	if caller.Account != coffertest.Account || caller.Arn != "arn:aws:iam::123456789012:root" {
		t.Errorf("get-caller-identity: %+v", caller)
	}
	s.createsRepositories(t)
	s.tagsResources(t)
	s.pages(t)
	hello := s.pushesWithLogin(t)
	s.retags(t, hello)
	s.keepsTags(t, hello)
	s.downloads(t, hello)
	s.deletesImages(t, hello)
}

func (s *server) createsRepositories(t *testing.T) {
	t.Helper()
	var created struct{ Repository repository }
	s.aws(t, &created, "create-repository", "--repository-name", "team/app", "--image-scanning-configuration", "scanOnPush=true",
		"--image-tag-mutability", "IMMUTABLE", "--tags", "Key=owner,Value=platform", "Key=stage,Value=test")
	want := repository{
		RepositoryArn: "arn:aws:ecr:us-east-1:123456789012:repository/team/app", RegistryID: coffertest.Account, RepositoryName: "team/app",
		RepositoryURI: s.host + "/team/app", ImageTagMutability: "IMMUTABLE",
	}
	want.ImageScanningConfiguration.ScanOnPush = true
	want.EncryptionConfiguration.EncryptionType = "AES256"
	if diff := cmp.Diff(want, created.Repository); diff != "" {
		t.Errorf("create-repository (-want +got):\n%s", diff)
	}
	var described struct{ Repositories []repository }
	s.aws(t, &described, "describe-repositories", "--repository-names", "team/app")
	if diff := cmp.Diff([]repository{want}, described.Repositories); diff != "" {
		t.Errorf("describe-repositories (-want +got):\n%s", diff)
	}

	s.refused(t, "RepositoryAlreadyExistsException", "The repository with name 'team/app' already exists in the registry with id '123456789012'",
		"create-repository", "--repository-name", "team/app")
	s.refused(t, "RepositoryNotFoundException", "The repository with name 'team/none' does not exist in the registry with id '123456789012'",
		"describe-repositories", "--repository-names", "team/none")
	s.refused(t, "InvalidParameterException", "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression "+
		"'(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*''", "create-repository", "--repository-name", "Team/App")
	s.refuse(t, []string{"(InvalidSignatureException)", "The request signature we calculated does not match the signature you provided."},
		"env", "AWS_SECRET_ACCESS_KEY="+coffertest.SecretAccessKey, "aws", "ecr", "describe-repositories")
	s.refuse(t, []string{"(UnrecognizedClientException)", "The security token included in the request is invalid."},
		"env", "AWS_ACCESS_KEY_ID="+coffertest.AccessKeyID, "aws", "ecr", "describe-repositories")
}

func (s *server) tagsResources(t *testing.T) {
	t.Helper()
	const arn = "arn:aws:ecr:us-east-1:123456789012:repository/team/app"
	type tag struct{ Key, Value string }
	expect := func(want ...tag) {
		t.Helper()
		var listed struct{ Tags []tag }
		s.aws(t, &listed, "list-tags-for-resource", "--resource-arn", arn)
		if diff := cmp.Diff(want, listed.Tags, cmpopts.SortSlices(func(a, b tag) bool { return a.Key < b.Key })); diff != "" {
			t.Errorf("list-tags-for-resource (-want +got):\n%s", diff)
		}
	}
	expect(tag{"owner", "platform"}, tag{"stage", "test"})
	s.aws(t, nil, "tag-resource", "--resource-arn", arn, "--tags", "Key=stage,Value=production", "Key=cost center,Value=")
	expect(tag{"cost center", ""}, tag{"owner", "platform"}, tag{"stage", "production"})
	s.aws(t, nil, "untag-resource", "--resource-arn", arn, "--tag-keys", "owner", "stage")
	expect(tag{"cost center", ""})
	s.refused(t, "RepositoryNotFoundException", "The repository with name 'team/none' does not exist in the registry with id '123456789012'",
		"list-tags-for-resource", "--resource-arn", "arn:aws:ecr:us-east-1:123456789012:repository/team/none")
}

// pages lists repositories with the CLI's own paging, by which one call may ask the server more than once.
func (s *server) pages(t *testing.T) {
	t.Helper()
	want := []string{"team/app"}
	for _, name := range []string{"page/a", "page/b", "page/c", "page/d"} {
		s.aws(t, nil, "create-repository", "--repository-name", name)
		want = append(want, name)
	}
	slices.Sort(want)
	list := func(args ...string) (names []string, next string) {
		t.Helper()
		var page struct {
			Repositories []repository
			NextToken    string
		}
		s.aws(t, &page, append([]string{"describe-repositories"}, args...)...)
		for _, r := range page.Repositories {
			names = append(names, r.RepositoryName)
		}
		return names, page.NextToken
	}
	var got []string
	for next, first := "", true; first || next != ""; first = false {
		args := []string{"--max-items", "2", "--page-size", "1"}
		if next != "" {
			args = append(args, "--starting-token", next)
		}
		var names []string
		if names, next = list(args...); len(names) > 2 {
			t.Fatalf("--max-items 2 gave %v", names)
		}
		got = append(got, names...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pages of two (-want +got):\n%s", diff)
	}
	if all, next := list("--page-size", "3"); next != "" || !slices.Equal(all, want) {
		t.Errorf("--page-size 3 gave %v, %q", all, next)
	}
	s.refused(t, "InvalidParameterException", "Invalid parameter at 'nextToken' failed to satisfy constraint: 'Invalid token'",
		"describe-repositories", "--no-paginate", "--next-token", "nonsense")
}

// pushesWithLogin pushes an image with the password that the CLI gets.
func (s *server) pushesWithLogin(t *testing.T) layout {
	t.Helper()
	s.feed(t, s.run(t, "aws", "ecr", "get-login-password"), "crane", "auth", "login", s.host, "--username", "AWS", "--password-stdin")
	hello := helloLayout(t)
	s.run(t, "crane", "push", hello.alone(t).dir, s.host+"/team/app:v1")
	return hello
}

// retags gives an image a second tag in the way of ECR's documentation.
func (s *server) retags(t *testing.T, hello layout) {
	t.Helper()
	s.run(t, "sh", "-ec", `manifest=$(aws ecr batch-get-image --repository-name team/app --image-ids imageTag=v1 --output text --query 'images[].imageManifest')
		aws ecr put-image --repository-name team/app --image-tag stable --image-manifest "$manifest"`)
	var got struct {
		ImageDetails []struct {
			ImageDigest, ImageManifestMediaType, ArtifactMediaType string
			ImageTags                                              []string
			ImageSizeInBytes                                       int64
			ImagePushedAt                                          any
		}
	}
	s.aws(t, &got, "describe-images", "--repository-name", "team/app", "--image-ids", "imageTag=stable")
	if len(got.ImageDetails) != 1 {
		t.Fatalf("describe-images: %+v", got)
	}
	_, blobs := hello.contents(t, hello.root)
	size := int64(0)
	for _, b := range blobs {
		size += b.Size
	}
	d := got.ImageDetails[0]
	slices.Sort(d.ImageTags)
	if d.ImageDigest != hello.root.Digest || !slices.Equal(d.ImageTags, []string{"stable", "v1"}) || d.ImageSizeInBytes != size ||
		d.ImageManifestMediaType != coffertest.ManifestType || d.ArtifactMediaType != coffertest.ConfigType || d.ImagePushedAt == nil {
		t.Errorf("describe-images: %+v, expected %s of %d bytes", d, hello.root.Digest, size)
	}
	var batch struct {
		Images []struct{ ImageManifest string }
	}
	s.aws(t, &batch, "batch-get-image", "--repository-name", "team/app", "--image-ids", "imageTag=stable")
	if len(batch.Images) != 1 || coffertest.Digest([]byte(batch.Images[0].ImageManifest)) != hello.root.Digest {
		t.Errorf("batch-get-image: %+v, expected the manifest %s", batch, hello.root.Digest)
	}
}

// keepsTags tries to move a tag that is immutable, then makes it mutable.
func (s *server) keepsTags(t *testing.T, hello layout) {
	t.Helper()
	manifest := string(hello.blob(t, hello.root.Digest))
	const immutable = "The image tag 'v1' already exists in the 'team/app' repository and cannot be overwritten because the tag is immutable."
	s.refused(t, "ImageTagAlreadyExistsException", immutable, "put-image", "--repository-name", "team/app", "--image-tag", "v1", "--image-manifest", manifest)
	s.refuse(t, []string{"TAG_INVALID: " + immutable}, "crane", "push", zstdLayout(t).dir, s.host+"/team/app:v1")
	var changed struct{ ImageTagMutability string }
	s.aws(t, &changed, "put-image-tag-mutability", "--repository-name", "team/app", "--image-tag-mutability", "MUTABLE")
	if changed.ImageTagMutability != "MUTABLE" {
		t.Errorf("put-image-tag-mutability: %+v", changed)
	}
	s.refused(t, "ImageAlreadyExistsException", "Image with digest '"+hello.root.Digest+"' and tag 'v1' already exists in the repository with name 'team/app' in registry with id '123456789012'",
		"put-image", "--repository-name", "team/app", "--image-tag", "v1", "--image-manifest", manifest)
	s.refused(t, "ImageDigestDoesNotMatchException", "The image with digest '"+coffertest.Digest(nil)+"' in repository 'team/app' and registry ID '123456789012' does not match the image digest that Amazon ECR has calculated.",
		"put-image", "--repository-name", "team/app", "--image-digest", coffertest.Digest(nil), "--image-manifest", manifest)
	s.refused(t, "LayersNotFoundException", "Layers with digests '["+strings.Join(digests(t, hello), ", ")+"]' required for pushing image into repository with name 'page/a' in the registry with id '123456789012' do not exist",
		"put-image", "--repository-name", "page/a", "--image-manifest", manifest)
}

// digests are those of the blobs of an image.
func digests(t *testing.T, l layout) (list []string) {
	t.Helper()
	_, blobs := l.contents(t, l.root)
	for _, b := range blobs {
		list = append(list, b.Digest)
	}
	return list
}

// downloads takes a layer from the address that the API gives, whole and in part, without further credentials.
func (s *server) downloads(t *testing.T, hello layout) {
	t.Helper()
	image, _ := hello.image(t)
	layer := image.Layers[0]
	want := hello.blob(t, layer.Digest)
	var got struct{ DownloadURL, LayerDigest string }
	s.aws(t, &got, "get-download-url-for-layer", "--repository-name", "team/app", "--layer-digest", layer.Digest)
	file := filepath.Join(t.TempDir(), "layer")
	for _, part := range []struct {
		ranges, status string
		from, to       int
	}{
		{"0-", "206", 0, len(want)}, {"1000-1999", "206", 1000, 2000}, {"-10", "206", len(want) - 10, len(want)},
	} {
		status := s.run(t, "curl", "-sS", "-o", file, "-w", "%{http_code}", "-r", part.ranges, got.DownloadURL)
		b, err := os.ReadFile(file)
		if err != nil || status != part.status || string(b) != string(want[part.from:part.to]) {
			t.Errorf("range %s: status %s, %d bytes, %v, expected %d bytes", part.ranges, status, len(b), err, part.to-part.from)
		}
	}
	if status := s.run(t, "curl", "-sS", "-o", file, "-w", "%{http_code}", strings.Replace(got.DownloadURL, layer.Digest, image.Config.Digest, 1)); status != "401" {
		t.Errorf("the address is good for another blob: status %s", status)
	}
	s.refused(t, "LayersNotFoundException", "The layer with digest "+coffertest.Digest(nil)+" does not exist within the repository with name 'team/app' in the registry with id '123456789012'",
		"get-download-url-for-layer", "--repository-name", "team/app", "--layer-digest", coffertest.Digest(nil))
}

func (s *server) deletesImages(t *testing.T, hello layout) {
	t.Helper()
	s.refused(t, "RepositoryNotEmptyException", "The repository with name 'team/app' in registry with id '123456789012' cannot be deleted because it still contains images",
		"delete-repository", "--repository-name", "team/app")
	var deleted struct {
		ImageIDs []imageID
		Failures []struct {
			ImageID                    imageID
			FailureCode, FailureReason string
		}
	}
	s.aws(t, &deleted, "batch-delete-image", "--repository-name", "team/app", "--image-ids", "imageTag=v1", "imageTag=none")
	if diff := cmp.Diff([]imageID{{hello.root.Digest, "v1"}}, deleted.ImageIDs); diff != "" {
		t.Errorf("batch-delete-image (-want +got):\n%s", diff)
	}
	if len(deleted.Failures) != 1 || deleted.Failures[0].FailureCode != "ImageNotFound" || deleted.Failures[0].FailureReason != "Requested image not found" {
		t.Errorf("batch-delete-image of what is not there: %+v", deleted.Failures)
	}
	s.refused(t, "ImageNotFoundException", "The image with imageId {imageDigest:'null', imageTag:'v1'} does not exist within the repository with name 'team/app' in the registry with id '123456789012'",
		"describe-images", "--repository-name", "team/app", "--image-ids", "imageTag=v1")
	var listed struct{ ImageIDs []imageID }
	s.aws(t, &listed, "list-images", "--repository-name", "team/app")
	if diff := cmp.Diff([]imageID{{hello.root.Digest, "stable"}}, listed.ImageIDs); diff != "" {
		t.Errorf("list-images (-want +got):\n%s", diff)
	}
	var gone struct{ Repository repository }
	s.aws(t, &gone, "delete-repository", "--repository-name", "team/app", "--force")
	if gone.Repository.RepositoryName != "team/app" {
		t.Errorf("delete-repository: %+v", gone)
	}
	s.refused(t, "RepositoryNotFoundException", "The repository with name 'team/app' does not exist in the registry with id '123456789012'",
		"list-images", "--repository-name", "team/app")
}

// The CLI decodes the token of a login as docker wants it.
func TestAWSLogin(t *testing.T) {
	t.Parallel()
	s := serve(t)
	var got struct {
		AuthorizationData []struct{ AuthorizationToken, ProxyEndpoint string }
	}
	s.aws(t, &got, "get-authorization-token")
	if len(got.AuthorizationData) != 1 || got.AuthorizationData[0].ProxyEndpoint != "http://"+s.host {
		t.Fatalf("get-authorization-token: %+v", got)
	}
	status := func(args ...string) string {
		t.Helper()
		return s.run(t, "curl", append([]string{"-sS", "-o", os.DevNull, "-w", "%{http_code}"}, args...)...)
	}
	if got := status("-H", "Authorization: Basic "+got.AuthorizationData[0].AuthorizationToken, s.URL+"/v2/"); got != "200" {
		t.Errorf("the token gives status %s", got)
	}
	if got := status("-u", "AWS:"+s.run(t, "aws", "ecr", "get-login-password"), s.URL+"/v2/"); got != "200" {
		t.Errorf("the password gives status %s", got)
	}
	if got := status("-u", "AWS:nonsense", s.URL+"/v2/"); got != "401" {
		t.Errorf("another password gives status %s", got)
	}
	var raw json.RawMessage
	s.aws(t, &raw, "describe-registry")
	if want := `{"registryId":"123456789012","replicationConfiguration":{"rules":[]}}`; strings.Join(strings.Fields(string(raw)), "") != want {
		t.Errorf("describe-registry: %s", raw)
	}
}
