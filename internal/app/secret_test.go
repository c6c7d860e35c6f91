package app_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/sigv4"
)

const plainConfig = `{"os":"linux","secret":"plain text of a config"}`

// pushPlain pushes an image of which every part can be recognised, and leaves uploads that are not finished.
func pushPlain(t *testing.T, s *coffertest.Server, token string) (layer []byte) {
	t.Helper()
	layer = []byte(strings.Repeat("plain text of a layer, ", 10_000))
	manifest := coffertest.Manifest([]byte(plainConfig), map[string]any{
		"annotations": map[string]string{"org.example.note": "plain text of an annotation"}}, layer)
	s.PushBlob(token, "team/app", layer)
	s.PushBlob(token, "team/app", []byte(plainConfig))
	s.PushManifest(token, "team/app", "1", manifest)
	// A part that stays in the row of its upload, and one that reaches a file.
	for _, part := range [][]byte{[]byte("plain text of a short part"), bytes.Repeat([]byte("plain text of a long part "), 20_000)} {
		r := s.V2(token, http.MethodPost, "/v2/team/app/blobs/uploads/", nil)
		if r = s.V2(token, http.MethodPatch, r.Header.Get("Location"), part); r.Status != http.StatusAccepted {
			t.Fatalf("PATCH: status %d: %s", r.Status, r.Body)
		}
	}
	return layer
}

// password is what is in a token.
func password(t *testing.T, token string) string {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(token)
	_, secret, ok := strings.Cut(string(text), ":")
	if err != nil || !ok {
		t.Fatalf("the token is no user and password: %v", err)
	}
	return secret
}

// Nothing of what clients send and nothing secret can be read on the disk, while the server runs and afterwards.
func TestNothingReadableOnDisk(t *testing.T) {
	s := coffertest.Start(t)
	s.CreateRepository("team/app")
	token := s.Token()
	pushPlain(t, s, token)
	secrets := []string{"plain text", coffertest.SecretAccessKey, token, password(t, token), "linux", "schemaVersion", "org.example.note", "PutImage"}
	grep := func(when string) {
		t.Helper()
		files := 0
		err := filepath.WalkDir(s.Config.Data, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			files++
			for _, secret := range secrets {
				if bytes.Contains(text, []byte(secret)) || bytes.Contains(text, []byte(base64.StdEncoding.EncodeToString([]byte(secret)))) {
					t.Errorf("%s: %s holds %q", when, filepath.Base(path), secret[:min(12, len(secret))])
				}
			}
			return nil
		})
		if err != nil || files < 5 {
			t.Fatalf("%d files: %v", files, err)
		}
	}
	s.Trail() // what waits in memory is written
	grep("while the server runs")
	s.Stop()
	grep("afterwards")
}

// No record holds a token, a signature, a secret or a byte of a layer, whatever the request was.
func TestTrailHoldsNoSecret(t *testing.T) {
	s := coffertest.Start(t)
	s.CreateRepository("team/app")
	token := s.Token()
	layer := pushPlain(t, s, token)
	secrets := map[string]string{
		"the secret key": coffertest.SecretAccessKey, "the token": token, "the token's password": password(t, token), "a layer": "plain text of a layer",
		"a config": "plain text of a config", "a part": "plain text of a short", "a part in base64": base64.StdEncoding.EncodeToString([]byte("a part by the API")),
	}
	var upload struct{ UploadID string }
	s.MustECR("InitiateLayerUpload", map[string]string{"repositoryName": "team/app"}, &upload)
	for range 2 { // the second is refused
		s.ECR("UploadLayerPart", map[string]any{"repositoryName": "team/app", "uploadId": upload.UploadID, "partFirstByte": 0, "partLastByte": 16, "layerPartBlob": []byte("a part by the API")})
	}
	var url struct{ DownloadURL string }
	s.MustECR("GetDownloadUrlForLayer", map[string]string{"repositoryName": "team/app", "layerDigest": coffertest.Digest(layer)}, &url)
	_, secrets["a download address"], _ = strings.Cut(url.DownloadURL, "X-Coffer-Token=")
	path := strings.TrimPrefix(url.DownloadURL, s.URL)
	for _, target := range []string{path, path + "A", strings.Replace(path, "team/app", "team/other", 1)} {
		s.V2("", http.MethodGet, target, nil)
	}
	wrong := base64.StdEncoding.EncodeToString([]byte("AWS:a password that is none"))
	secrets["a wrong password"], secrets["a wrong token"] = "a password that is none", wrong
	s.V2(wrong, http.MethodGet, "/v2/team/app/tags/list", nil)
	for what, sign := range map[string]func(*http.Request) error{
		"a signature": func(r *http.Request) error { s.Sign(r, nil, "sts"); return nil },
		"a presigned signature": func(r *http.Request) error {
			return sigv4.Presign(r, sigv4.Credentials{AccessKeyID: coffertest.AccessKeyID, Secret: secret.New(coffertest.SecretAccessKey), SessionToken: secret.New("a session token")},
				sigv4.Scope{Region: coffertest.Region, Service: "sts"}, time.Now(), time.Minute)
		},
	} {
		r := s.Request(http.MethodGet, "/?Action=GetCallerIdentity&Version=2011-06-15", nil)
		if err := sign(r); err != nil {
			t.Fatal(err)
		}
		_, signature, _ := strings.Cut(r.Header.Get("Authorization")+r.URL.RawQuery, "Signature=")
		secrets[what] = signature[:64]
		s.Do(r)
	}
	secrets["a session token"] = "a session token"
	s.ECR("CreateRepository", `{"repositoryName":"team/app","secret":"an unknown member"}`)
	secrets["a member that the operation lacks"] = "an unknown member"
	records := s.Trail()
	names := map[string]bool{}
	for _, r := range records {
		names[r.EventName] = true
		for what, secret := range secrets {
			if quoted, _ := json.Marshal(secret); strings.Contains(r.Text, secret) || strings.Contains(r.Text, string(quoted)) {
				t.Errorf("%s is in a record of %s", what, r.EventName)
			}
		}
	}
	for _, name := range []string{"GetAuthorizationToken", "UploadLayerPart", "GetDownloadUrlForLayer", "GetCallerIdentity", "PutImage", "ListImages"} {
		if !names[name] {
			t.Errorf("there is no record of %s among %d", name, len(records))
		}
	}
}
