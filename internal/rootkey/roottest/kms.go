package roottest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/sigv4"
)

// KMS is a server that encrypts and decrypts as KMS does, and AssumeRoleWithWebIdentity of STS.
type KMS struct {
	server
	// Credentials are those that requests must be signed with.
	Credentials sigv4.Credentials
	// WebIdentity is the token for which STS gives the credentials; empty is none.
	WebIdentity string
}

// NewKMS starts a server.
func NewKMS(t testing.TB, tls bool, c sigv4.Credentials) *KMS {
	k := &KMS{Credentials: c}
	k.start(t, tls, k.serve)
	return k
}

// Disable disables a key, or enables it again.
func (k *KMS) Disable(name string, disabled bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[name].disabled = disabled
}

func fail(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, map[string]string{"__type": code, "message": message})
}

func (k *KMS) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		k.sts(w, r, body)
		return
	}
	if !k.signed(r, body) {
		fail(w, http.StatusBadRequest, "InvalidSignatureException", "The request signature we calculated does not match the signature you provided.")
		return
	}
	var in struct {
		KeyID                     string `json:"KeyId"`
		Plaintext, CiphertextBlob []byte
		EncryptionContext         kms.Context
	}
	if json.Unmarshal(body, &in) != nil {
		fail(w, http.StatusBadRequest, "SerializationException", "")
		return
	}
	key := k.key(in.KeyID)
	switch {
	case key == nil:
		fail(w, http.StatusBadRequest, "NotFoundException", "Key '"+in.KeyID+"' does not exist")
		return
	case key.disabled:
		fail(w, http.StatusBadRequest, "DisabledException", in.KeyID+" is disabled.")
		return
	}
	switch r.Header.Get("X-Amz-Target") {
	case "TrentService.Encrypt":
		sealed, err := seal.SealBytes(key.Key, in.EncryptionContext.Encode(nil), in.Plaintext)
		if err != nil {
			fail(w, http.StatusInternalServerError, "KMSInternalException", "")
			return
		}
		answer(w, http.StatusOK, map[string]any{"CiphertextBlob": sealed, "KeyId": in.KeyID})
	case "TrentService.Decrypt":
		plaintext, err := seal.OpenBytes(key.Key, in.EncryptionContext.Encode(nil), in.CiphertextBlob)
		if err != nil {
			fail(w, http.StatusBadRequest, "InvalidCiphertextException", "")
			return
		}
		answer(w, http.StatusOK, map[string]any{"Plaintext": plaintext, "KeyId": in.KeyID})
	default:
		fail(w, http.StatusBadRequest, "UnknownOperationException", "")
	}
}

// signed signs the request again and compares.
func (k *KMS) signed(r *http.Request, body []byte) bool {
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return false
	}
	again, err := http.NewRequest(r.Method, "http://"+r.Host+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		return false
	}
	for _, name := range []string{"Content-Type", "X-Amz-Target"} {
		again.Header.Set(name, r.Header.Get(name))
	}
	err = sigv4.Sign(again, body, k.Credentials, sigv4.Scope{Region: "eu-central-1", Service: "kms"}, at)
	return err == nil && again.Header.Get("Authorization") == r.Header.Get("Authorization")
}

func (k *KMS) sts(w http.ResponseWriter, r *http.Request, body []byte) {
	r.Body = io.NopCloser(bytes.NewReader(body))
	if k.WebIdentity == "" || r.FormValue("WebIdentityToken") != k.WebIdentity || r.FormValue("Action") != "AssumeRoleWithWebIdentity" || r.FormValue("RoleArn") == "" {
		http.Error(w, "<ErrorResponse/>", http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>
<AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration>
</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
		k.Credentials.AccessKeyID, k.Credentials.Secret.Reveal(), k.Credentials.SessionToken.Reveal(), time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
}
