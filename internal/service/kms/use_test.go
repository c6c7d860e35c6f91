package kms_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// aead is AES-GCM by a data key, as an application has it.
func aead(t *testing.T, key []byte) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}

// An application encrypts data by a data key, keeps that encrypted beside it, and gets it back to decrypt.
func TestEnvelope(t *testing.T) {
	h := start(t)
	type answer struct{ CiphertextBlob, Plaintext []byte }
	made := decode[answer](t, h.KMS("GenerateDataKey", in{"KeyId": h.key, "KeySpec": "AES_256", "EncryptionContext": in{"file": "1"}}))
	sealed := aead(t, made.Plaintext).Seal(nil, nil, []byte("attack at dawn"), nil)
	opened := decode[answer](t, h.KMS("Decrypt", in{"CiphertextBlob": made.CiphertextBlob, "EncryptionContext": in{"file": "1"}}))
	if text, err := aead(t, opened.Plaintext).Open(nil, nil, sealed, nil); err != nil || string(text) != "attack at dawn" {
		t.Errorf("opened %q: %v", text, err)
	}
	expect(t, h.Server, "GenerateDataKey", in{"KeyId": h.key}, "ValidationException: Please specify either number of bytes or key spec.")
}

// No record of the trail shows what was encrypted, ciphertexts or tokens.
func TestTrail(t *testing.T) {
	h := start(t)
	const secretText = "YXR0YWNrIGF0IGRhd24gYW5kIGF0IGR1c2s="
	context := in{"file": "plan"}
	blob := decode[struct{ CiphertextBlob string }](t, h.KMS("Encrypt", in{"KeyId": h.key, "Plaintext": secretText, "EncryptionContext": context})).CiphertextBlob
	grant := decode[struct{ GrantID, GrantToken string }](t, h.KMS("CreateGrant", in{"KeyId": h.key, "GranteePrincipal": annARN, "Operations": []string{"Decrypt"},
		"Constraints": in{"EncryptionContextSubset": in{"a": "b"}}}))
	tokens := []string{grant.GrantToken}
	expect(t, h.Server, "Decrypt", in{"CiphertextBlob": blob, "EncryptionContext": context, "GrantTokens": tokens}, "")
	data := decode[struct{ CiphertextBlob, Plaintext string }](t, h.KMS("GenerateDataKey", in{"KeyId": h.key, "KeySpec": "AES_256", "GrantTokens": tokens}))
	expect(t, h.Server, "GenerateDataKeyWithoutPlaintext", in{"KeyId": h.key, "KeySpec": "AES_256", "GrantTokens": tokens}, "")
	expect(t, h.Server, "ReEncrypt", in{"CiphertextBlob": blob, "SourceEncryptionContext": context, "DestinationKeyId": h.key, "GrantTokens": tokens}, "")
	expect(t, h.Server, "DescribeKey", in{"KeyId": h.key, "GrantTokens": tokens}, "")
	expect(t, h.Server, "CreateGrant", in{"KeyId": h.key, "GranteePrincipal": annARN, "Operations": []string{"Decrypt"}, "GrantTokens": tokens}, "")
	expect(t, h.Server, "GenerateDataKeyPair", in{"KeyId": h.key, "KeyPairSpec": "RSA_2048", "GrantTokens": tokens}, "UnsupportedOperationException: GenerateDataKeyPair is not supported.")
	expect(t, h.Server, "DeriveSharedSecret", in{"KeyId": h.key, "KeyAgreementAlgorithm": "ECDH", "PublicKey": "eA==", "GrantTokens": tokens}, "UnsupportedOperationException: DeriveSharedSecret is not supported.")
	expect(t, h.Server, "RetireGrant", in{"GrantToken": grant.GrantToken}, "")
	seen := map[string]coffertest.Record{}
	for _, r := range h.Trail() {
		for what, text := range map[string]string{"a plaintext": secretText, "a ciphertext": blob, "a token": grant.GrantToken, "a data key": data.Plaintext, "an encrypted data key": data.CiphertextBlob} {
			if strings.Contains(r.Text, text) || strings.Contains(r.Text, strings.TrimRight(text, "=")[8:]) {
				t.Errorf("the record of %s shows %s: %s", r.EventName, what, r.Text)
			}
		}
		if r.EventSource == "kms.amazonaws.com" && r.ErrorCode == "" {
			seen[r.EventName] = r
		}
	}
	for name, want := range map[string]struct {
		readOnly             bool
		parameters, response string
	}{
		"Encrypt":         {true, `{"encryptionContext":{"file":"plan"},"keyId":"KEY"}`, `null`},
		"Decrypt":         {true, `{"encryptionContext":{"file":"plan"}}`, `null`},
		"GenerateDataKey": {true, `{"keyId":"KEY","keySpec":"AES_256"}`, `null`},
		"CreateGrant":     {false, `{"granteePrincipal":"` + annARN + `","keyId":"KEY","operations":["Decrypt"]}`, `{"grantId":"ID"}`},
		"RetireGrant":     {false, `null`, `null`},
	} {
		r, ok := seen[name]
		parameters, _ := json.Marshal(r.RequestParameters)
		if id, ok := r.ResponseElements["grantId"]; ok {
			if len(id.(string)) != 64 {
				t.Errorf("%s: the id of the grant is %v", name, id)
			}
			r.ResponseElements["grantId"] = "ID"
		}
		response, _ := json.Marshal(r.ResponseElements)
		if got := strings.ReplaceAll(string(parameters), h.key, "KEY"); !ok || r.ReadOnly != want.readOnly || got != want.parameters || string(response) != want.response {
			t.Errorf("%s: read only %v, parameters %s, response %s; want %+v (seen %v)", name, r.ReadOnly, got, response, want, slices.Sorted(maps.Keys(seen)))
		}
		if len(r.Resources) != 1 || r.Resources[0].ARN != h.key || !bytes.Contains([]byte(r.Text), []byte(`"type":"AWS::KMS::Key"`)) {
			t.Errorf("%s: resources %+v", name, r.Resources)
		}
	}
	if elements := seen["CreateKey"].ResponseElements["keyMetadata"]; elements == nil {
		t.Errorf("CreateKey shows %v", seen["CreateKey"].Text)
	}
}

// A key is destroyed when its time has come, and leaves a record of that.
func TestDestruction(t *testing.T) {
	clock := coffertest.NewClock()
	h := start(t, coffertest.Clock(clock.Now), coffertest.Limits(map[string]int64{"sweep-seconds": 1}))
	blob := h.encrypt(h.key, nil)
	h.MustKMS("ScheduleKeyDeletion", in{"KeyId": h.key, "PendingWindowInDays": 7}, nil)
	expect(t, h.Server, "Decrypt", in{"CiphertextBlob": blob}, "KMSInvalidStateException: "+h.key+" is pending deletion.")
	clock.Advance(7 * 24 * time.Hour)
	gone := "NotFoundException: Key '" + h.key + "' does not exist"
	deadline := time.Now().Add(20 * time.Second)
	for told(h.KMS("DescribeKey", in{"KeyId": h.key})) != gone {
		if time.Now().After(deadline) {
			t.Fatal("the key is not destroyed")
		}
	}
	expect(t, h.Server, "Decrypt", in{"CiphertextBlob": blob}, gone)
	for _, r := range h.Trail() {
		if r.EventName == "DeleteKey" && strings.Contains(r.Text, h.key) && strings.Contains(r.Text, `"AWS Internal"`) {
			return
		}
	}
	t.Error("the destruction left no record")
}
