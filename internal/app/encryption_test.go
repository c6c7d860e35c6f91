package app_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/registry"
)

// createUnder makes a repository, and returns the ARN of the key that the answer names.
func createUnder(s *coffertest.Server, name, kind, key string) string {
	encryption := map[string]any{"encryptionType": kind}
	if key != "" {
		encryption["kmsKey"] = key
	}
	var out struct {
		Repository struct {
			EncryptionConfiguration struct{ EncryptionType, KmsKey string }
		}
	}
	s.MustECR("CreateRepository", map[string]any{"repositoryName": name, "encryptionConfiguration": encryption}, &out)
	return out.Repository.EncryptionConfiguration.KmsKey
}

// grantsOf are the ids of the grants of a key.
func grantsOf(s *coffertest.Server, key string) (ids []string) {
	var out struct {
		Grants []struct {
			GrantId, GranteePrincipal, RetiringPrincipal string
			Operations                                   []string
			Constraints                                  struct{ EncryptionContextSubset map[string]string }
		}
	}
	s.MustKMS("ListGrants", map[string]any{"KeyId": key}, &out)
	for _, g := range out.Grants {
		if g.GranteePrincipal == "ecr.us-east-1.amazonaws.com" && g.RetiringPrincipal == g.GranteePrincipal &&
			slices.Equal(g.Operations, []string{"Decrypt", "GenerateDataKey"}) && strings.HasPrefix(g.Constraints.EncryptionContextSubset["aws:ecr:arn"], "arn:aws:ecr:us-east-1:") {
			ids = append(ids, g.GrantId)
		}
	}
	return ids
}

// A repository is made under a key by its id, ARN or alias, or the one that AWS manages for ECR, and its key is always told as
// an ARN. It has two grants, which go with it.
func TestRepositoriesUnderCustomerKeys(t *testing.T) {
	s := coffertest.Start(t)
	key := s.CreateKMSKey(nil)
	id := key[strings.LastIndexByte(key, '/')+1:]
	s.MustKMS("CreateAlias", map[string]any{"AliasName": "alias/images", "TargetKeyId": id}, nil)
	for i, form := range []string{id, key, "alias/images", "arn:aws:kms:us-east-1:123456789012:alias/images"} {
		kind := []string{"KMS", "KMS_DSSE"}[i%2]
		name := "app" + string(rune('0'+i))
		if told := createUnder(s, name, kind, form); told != key {
			t.Errorf("%s: the key is %s, want %s", form, told, key)
		}
		if grants := grantsOf(s, key); len(grants) != 2*(i+1) {
			t.Errorf("%d grants after %d repositories", len(grants), i+1)
		}
		s.PushImage(s.Token(), name, "1", []byte("a layer"))
		if r := s.V2(s.Token(), http.MethodGet, "/v2/"+name+"/blobs/"+coffertest.Digest([]byte("a layer")), nil); r.Status != http.StatusOK || string(r.Body) != "a layer" {
			t.Errorf("%s: status %d", name, r.Status)
		}
	}
	managed := createUnder(s, "managed", "KMS", "")
	var described struct {
		KeyMetadata struct{ Arn, KeyManager string }
	}
	s.MustKMS("DescribeKey", map[string]any{"KeyId": "alias/aws/ecr"}, &described)
	if managed == "" || described.KeyMetadata.Arn != managed || described.KeyMetadata.KeyManager != "AWS" {
		t.Errorf("the key that AWS manages is %+v, and the repository's %s", described, managed)
	}
	if again := createUnder(s, "managed2", "KMS_DSSE", ""); again != managed {
		t.Errorf("another key that AWS manages: %s", again)
	}
	for i := range 4 {
		s.MustECR("DeleteRepository", map[string]any{"repositoryName": "app" + string(rune('0'+i)), "force": true}, nil)
	}
	if grants := grantsOf(s, key); len(grants) != 0 {
		t.Errorf("%d grants outlive their repositories", len(grants))
	}
	counts := map[string]int{}
	for _, r := range s.Trail() {
		if r.EventSource == "kms.amazonaws.com" && strings.Contains(r.Text, `"invokedBy":"ecr.amazonaws.com"`) {
			counts[r.EventName]++
			if strings.Contains(strings.ToLower(r.Text), "plaintext") || strings.Contains(r.Text, "iphertext") {
				t.Errorf("a record shows what is encrypted: %s", r.Text)
			}
		}
	}
	if counts["CreateGrant"] != 12 || counts["RetireGrant"] != 8 || counts["DescribeKey"] != 6 || counts["GenerateDataKey"] != 6 {
		t.Errorf("the trail has %v of ECR's calls", counts)
	}
}

// closing are ways to take a key from its repositories, each with what gives it back, if anything does.
var closing = map[string]struct {
	close, open func(s *coffertest.Server, key string)
	code        string
}{
	"disabled": {
		func(s *coffertest.Server, key string) { s.MustKMS("DisableKey", map[string]any{"KeyId": key}, nil) },
		func(s *coffertest.Server, key string) { s.MustKMS("EnableKey", map[string]any{"KeyId": key}, nil) }, "DisabledException"},
	"to be deleted": {
		func(s *coffertest.Server, key string) {
			s.MustKMS("ScheduleKeyDeletion", map[string]any{"KeyId": key, "PendingWindowInDays": 7}, nil)
		},
		func(s *coffertest.Server, key string) {
			s.MustKMS("CancelKeyDeletion", map[string]any{"KeyId": key}, nil)
			s.MustKMS("EnableKey", map[string]any{"KeyId": key}, nil)
		}, "KMSInvalidStateException"},
	"forbidden by its policy": {
		func(s *coffertest.Server, key string) {
			s.MustKMS("PutKeyPolicy", map[string]any{"KeyId": key, "Policy": keyPolicy(`,{"Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*"}`)}, nil)
		},
		func(s *coffertest.Server, key string) {
			s.MustKMS("PutKeyPolicy", map[string]any{"KeyId": key, "Policy": keyPolicy("")}, nil)
		}, "AccessDeniedException"},
	"without one of the grants": {
		func(s *coffertest.Server, key string) {
			s.MustKMS("RevokeGrant", map[string]any{"KeyId": key, "GrantId": grantsOf(s, key)[0]}, nil)
		}, nil, "AccessDeniedException"},
}

func keyPolicy(more string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"kms:*","Resource":"*"}` + more + `]}`
}

// Whoever takes a key from a repository closes it on the next request, for pulls and pushes by both interfaces, with what is in
// memory too, and nothing else.
func TestKeyThatCantBeUsedClosesItsRepositories(t *testing.T) {
	for name, way := range closing {
		t.Run(name, func(t *testing.T) {
			s := coffertest.Start(t)
			key := s.CreateKMSKey(nil)
			createUnder(s, "closed", "KMS", key)
			createUnder(s, "other", "KMS", s.CreateKMSKey(nil))
			s.CreateRepository("plain")
			token := s.Token()
			layer := []byte("a layer")
			digest, manifest := s.PushImage(token, "closed", "1", layer)
			for _, name := range []string{"other", "plain"} {
				s.PushImage(token, name, "1", layer)
			}
			var upload struct{ UploadID string }
			s.MustECR("InitiateLayerUpload", map[string]any{"repositoryName": "closed"}, &upload)
			pulls(t, s, token, "closed", layer)

			way.close(s, key)
			for what, r := range map[string]coffertest.Response{
				"a manifest by its tag":   s.V2(token, http.MethodGet, "/v2/closed/manifests/1", nil),
				"a manifest":              s.V2(token, http.MethodGet, "/v2/closed/manifests/"+digest, nil),
				"a layer":                 s.V2(token, http.MethodGet, "/v2/closed/blobs/"+coffertest.Digest(layer), nil),
				"a push of a layer":       s.V2(token, http.MethodPost, "/v2/closed/blobs/uploads/?digest="+coffertest.Digest([]byte("new")), []byte("new")),
				"the start of an upload":  s.V2(token, http.MethodPost, "/v2/closed/blobs/uploads/", nil),
				"a push of a manifest":    s.V2(token, http.MethodPut, "/v2/closed/manifests/2", append(slices.Clone(manifest), ' '), "Content-Type", coffertest.ManifestType),
				"a part of an old upload": s.V2(token, http.MethodPatch, "/v2/closed/blobs/uploads/"+upload.UploadID, []byte("part")),
			} {
				if r.Status != http.StatusForbidden || r.Code() != "DENIED" || !strings.HasPrefix(r.Message(), "The KMS key of the repository can't be used: ") {
					t.Errorf("%s: status %d: %s", what, r.Status, r.Body)
				}
			}
			for operation, in := range map[string]map[string]any{
				"InitiateLayerUpload":    {},
				"UploadLayerPart":        {"uploadId": upload.UploadID, "partFirstByte": 0, "partLastByte": 2, "layerPartBlob": "YWJj"},
				"PutImage":               {"imageManifest": string(manifest) + " ", "imageTag": "3"},
				"GetDownloadUrlForLayer": {"layerDigest": coffertest.Digest(layer)},
			} {
				in["repositoryName"] = "closed"
				if r := s.ECR(operation, in); r.Status != http.StatusBadRequest || r.Code() != "KmsException" || !strings.Contains(string(r.Body), `"kmsError":"`+way.code+`"`) {
					t.Errorf("%s: status %d: %s", operation, r.Status, r.Body)
				}
			}
			if r := s.ECR("BatchGetImage", map[string]any{"repositoryName": "closed", "imageIds": []any{map[string]string{"imageTag": "1"}}}); r.Status != http.StatusOK ||
				!strings.Contains(string(r.Body), `"failureCode":"KmsError"`) || strings.Contains(string(r.Body), "imageManifest") {
				t.Errorf("BatchGetImage: status %d: %s", r.Status, r.Body)
			}
			// What is known about the images is no part of them.
			s.MustECR("DescribeImages", map[string]any{"repositoryName": "closed"}, nil)
			s.MustECR("DescribeRepositories", map[string]any{"repositoryNames": []string{"closed"}}, nil)
			for _, name := range []string{"other", "plain"} {
				pulls(t, s, token, name, layer)
			}
			if way.open == nil {
				return
			}
			way.open(s, key)
			pulls(t, s, token, "closed", layer)
			s.PushImage(token, "closed", "4", []byte("another layer"))
		})
	}
}

func pulls(t *testing.T, s *coffertest.Server, token, name string, layer []byte) {
	t.Helper()
	if r := s.V2(token, http.MethodGet, "/v2/"+name+"/manifests/1", nil); r.Status != http.StatusOK {
		t.Errorf("pull %s: status %d: %s", name, r.Status, r.Body)
	}
	if r := s.V2(token, http.MethodGet, "/v2/"+name+"/blobs/"+coffertest.Digest(layer), nil); r.Status != http.StatusOK || string(r.Body) != string(layer) {
		t.Errorf("pull a layer of %s: status %d: %s", name, r.Status, r.Body)
	}
}

// Keys that a repository can't have are refused before anything is made.
func TestCreationUnderAKeyThatCantBe(t *testing.T) {
	s := coffertest.Start(t)
	disabled, signing, usable := s.CreateKMSKey(nil), s.CreateKMSKey(map[string]any{"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"}), s.CreateKMSKey(nil)
	s.MustKMS("DisableKey", map[string]any{"KeyId": disabled}, nil)
	other := addNeighbour(t, s)
	foreign := other.CreateKMSKey(nil)
	for name, tt := range map[string]struct {
		key, code string
	}{
		"none":              {"arn:aws:kms:us-east-1:123456789012:key/00000000-0000-4000-8000-000000000000", "NotFoundException"},
		"disabled":          {disabled, "DisabledException"},
		"a signing key":     {signing, "InvalidKeyUsageException"},
		"another account's": {foreign, "AccessDeniedException"},
		"no key at all":     {"not a key", "NotFoundException"},
	} {
		r := s.ECR("CreateRepository", map[string]any{"repositoryName": "app", "encryptionConfiguration": map[string]any{"encryptionType": "KMS", "kmsKey": tt.key}})
		if r.Status != http.StatusBadRequest || r.Code() != "KmsException" || !strings.Contains(string(r.Body), `"kmsError":"`+tt.code+`"`) {
			t.Errorf("%s: status %d: %s", name, r.Status, r.Body)
		}
	}
	if r := s.ECR("DescribeRepositories", map[string]any{"repositoryNames": []string{"app"}}); r.Code() != "RepositoryNotFoundException" {
		t.Errorf("a repository was made: %s", r.Body)
	}
	// A user needs the rights on the key, and may use them through ECR only, if the policy says so.
	creator := user(s, "creator", document("Allow", "ecr:*", "*"))
	create := func() coffertest.Response {
		return creator.ECR("CreateRepository", map[string]any{"repositoryName": "app", "encryptionConfiguration": map[string]any{"encryptionType": "KMS", "kmsKey": usable}})
	}
	if r := create(); r.Code() != "KmsException" || !strings.Contains(string(r.Body), `"kmsError":"AccessDeniedException"`) || !strings.Contains(r.Message(), "kms:DescribeKey") {
		t.Errorf("without rights on the key: status %d: %s", r.Status, r.Body)
	}
	s.MustQuery("iam", "PutUserPolicy", map[string]any{"UserName": "creator", "PolicyName": "p0", "PolicyDocument": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr:*","Resource":"*"},
		{"Effect":"Allow","Action":["kms:DescribeKey","kms:CreateGrant","kms:RetireGrant"],"Resource":"*","Condition":{"StringEquals":{"kms:ViaService":"ecr.us-east-1.amazonaws.com"},
		"ForAnyValue:StringEquals":{"aws:CalledVia":"ecr.amazonaws.com"},"Bool":{"aws:ViaAWSService":"true"}}}]}`})
	if r := creator.KMS("DescribeKey", map[string]any{"KeyId": usable}); r.Code() != "AccessDeniedException" {
		t.Errorf("directly: status %d: %s", r.Status, r.Body)
	}
	if r := create(); r.Status != http.StatusOK {
		t.Errorf("through ECR: status %d: %s", r.Status, r.Body)
	}
	// Another account's key, once its policy and the creator's both allow it.
	other.MustKMS("PutKeyPolicy", map[string]any{"KeyId": foreign, "Policy": strings.Replace(keyPolicy(`,{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":["kms:DescribeKey","kms:CreateGrant","kms:RetireGrant"],"Resource":"*"}`), "123456789012:root", neighbour+":root", 1)}, nil)
	createUnder(s, "abroad", "KMS", foreign)
	s.PushImage(s.Token(), "abroad", "1", []byte("a layer"))
	pulls(t, s, s.Token(), "abroad", []byte("a layer"))
	other.MustKMS("DisableKey", map[string]any{"KeyId": foreign}, nil)
	if r := s.V2(s.Token(), http.MethodGet, "/v2/abroad/manifests/1", nil); r.Code() != "DENIED" {
		t.Errorf("under the disabled key of another account: status %d", r.Status)
	}
}

// When a key is destroyed, no copy of the wrap of its material is left in the data folder, and so the bytes of its repositories
// can't be had with the folder, the root key and all.
func TestDestroyedKeyTakesItsImages(t *testing.T) {
	clock := coffertest.NewClock()
	dir := t.TempDir()
	s := coffertest.Start(t, coffertest.Data(dir), coffertest.Clock(clock.Now))
	key := s.CreateKMSKey(nil)
	createUnder(s, "doomed", "KMS", key)
	token := s.Token()
	s.PushImage(token, "doomed", "1", []byte("a layer"))
	s.MustKMS("ScheduleKeyDeletion", map[string]any{"KeyId": key, "PendingWindowInDays": 7}, nil)
	id := key[strings.LastIndexByte(key, '/')+1:]
	wrapped, err := s.WrappedMaterial(t.Context(), id)
	if err != nil || len(wrapped) == 0 || !folderHolds(t, dir, wrapped) {
		t.Fatalf("the wrapped material is not in the folder: %d bytes, %v", len(wrapped), err)
	}
	clock.Advance(7*24*time.Hour - time.Minute)
	destroy := func() {
		t.Helper()
		if err := s.DestroyKeys(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	destroy()
	if !folderHolds(t, dir, wrapped) {
		t.Fatal("it was destroyed before its time")
	}
	clock.Advance(2 * time.Minute)
	destroy()
	if folderHolds(t, dir, wrapped) {
		t.Error("the wrapped material is still in the folder")
	}
	wantStatus(t, s.KMS("DescribeKey", map[string]any{"KeyId": key}), http.StatusBadRequest, "NotFoundException")
	wantStatus(t, s.V2(s.Token(), http.MethodGet, "/v2/doomed/manifests/1", nil), http.StatusForbidden, "DENIED")
	s.Stop()
	if folderHolds(t, dir, wrapped) {
		t.Error("the wrapped material is back in the folder")
	}
	facts := 0
	err = app.CheckKeys(t.Context(), s.Config, func(f registry.KeyFact) {
		facts++
		if f.Err == nil {
			t.Errorf("a key opens: %+v", f)
		}
	})
	if err != nil || facts != 3 {
		t.Errorf("%d keys, error %v", facts, err)
	}
}

// folderHolds reports whether any file of a folder has the bytes.
func folderHolds(t *testing.T, dir string, needle []byte) (found bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil // which was there a moment ago
		}
		text, err := os.ReadFile(path)
		found = found || err == nil && strings.Contains(string(text), string(needle))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
