package kms_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// imported is an input that imports material into a key, whose first byte is that of all.
func (h *house) imported(key string, first byte, more in) in {
	h.t.Helper()
	p := decode[struct{ ImportToken, PublicKey []byte }](h.t, h.KMS("GetParametersForImport",
		in{"KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}))
	public, err := x509.ParsePKIXPublicKey(p.PublicKey)
	if err != nil {
		h.t.Fatal(err)
	}
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), bytes.Repeat([]byte{first}, 32), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	out := in{"KeyId": key, "ImportToken": base64.StdEncoding.EncodeToString(p.ImportToken), "EncryptedKeyMaterial": base64.StdEncoding.EncodeToString(wrapped)}
	maps.Copy(out, more)
	return out
}

// until repeats a question until the answer is as it should be.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

// event finds the records of what the service did of itself.
func (h *house) event(name string) (found []coffertest.Record) {
	h.t.Helper()
	for _, r := range h.Trail() {
		if r.EventName == name && strings.Contains(r.Text, `"eventType":"AwsServiceEvent"`) {
			found = append(found, r)
		}
	}
	return found
}

func (h *house) current(key string) string {
	h.t.Helper()
	return decode[struct {
		KeyMetadata struct{ CurrentKeyMaterialID string }
	}](h.t, h.KMS("DescribeKey", in{"KeyId": key})).KeyMetadata.CurrentKeyMaterialID
}

// A key rotates when its time has come and not before, once, and leaves a record of that.
func TestRotationByItself(t *testing.T) {
	clock := coffertest.NewClock()
	h := start(t, coffertest.Clock(clock.Now), coffertest.Limits(map[string]int64{"sweep-seconds": 1}))
	other := h.CreateKMSKey(nil)
	for _, key := range []string{h.key, other} {
		h.MustKMS("EnableKeyRotation", in{"KeyId": key, "RotationPeriodInDays": 90}, nil)
	}
	h.MustKMS("DisableKey", in{"KeyId": other}, nil)
	blob, first, second := h.encrypt(h.key, nil), h.current(h.key), h.current(other)
	clock.Advance(91 * 24 * time.Hour)
	until(t, "the key does not rotate", func() bool { return h.current(h.key) != first })
	expect(t, h.Server, "Decrypt", in{"CiphertextBlob": blob}, "")
	if h.current(other) != second {
		t.Error("a disabled key rotates")
	}
	h.MustKMS("EnableKey", in{"KeyId": other}, nil)
	until(t, "an overdue key that was enabled does not rotate", func() bool { return h.current(other) != second })
	id := h.key[strings.LastIndex(h.key, "/")+1:]
	for _, want := range []string{`"keyId":"` + id + `"`, `"rotationType":"AUTOMATIC"`, `"keyOrigin":"AWS_KMS"`,
		`"previousKeyMaterialId":"` + first + `"`, `"currentKeyMaterialId":"` + h.current(h.key) + `"`, `"invokedBy":"AWS Internal"`} {
		if events := h.event("RotateKey"); len(events) != 2 || !strings.Contains(events[0].Text, want) {
			t.Errorf("the records of rotations lack %s: %+v", want, events)
		}
	}
	h.MustKMS("RotateKeyOnDemand", in{"KeyId": h.key}, nil)
	if events := h.event("RotateKey"); len(events) != 3 || !strings.Contains(events[2].Text, `"rotationType":"ON_DEMAND"`) {
		t.Errorf("the record of a rotation on demand is not there: %+v", events)
	}
}

// Imported material is destroyed when it expires, which leaves a record; what was sent to import it is in none.
func TestImportedMaterialExpires(t *testing.T) {
	clock := coffertest.NewClock()
	h := start(t, coffertest.Clock(clock.Now), coffertest.Limits(map[string]int64{"sweep-seconds": 1}))
	key := h.CreateKMSKey(map[string]any{"Origin": "EXTERNAL"})
	input := h.imported(key, 1, in{"ValidTo": clock.Now().Add(24 * time.Hour).Unix()})
	h.MustKMS("ImportKeyMaterial", input, nil)
	blob, material := h.encrypt(key, nil), h.current(key)
	clock.Advance(24 * time.Hour)
	expect(t, h.Server, "Decrypt", in{"CiphertextBlob": blob}, "KMSInvalidStateException: "+key+" is pending import.")
	until(t, "the material is not destroyed", func() bool { return len(h.event("DeleteExpiredKeyMaterial")) > 0 })
	state := decode[struct{ KeyMetadata struct{ KeyState string } }](t, h.KMS("DescribeKey", in{"KeyId": key})).KeyMetadata.KeyState
	if events := h.event("DeleteExpiredKeyMaterial"); state != "PendingImport" || len(events) != 1 || !strings.Contains(events[0].Text, `"keyMaterialId":"`+material+`"`) {
		t.Errorf("the key is %s, the records are %+v", state, events)
	}
	input["ValidTo"] = clock.Now().Add(time.Hour).Unix()
	expect(t, h.Server, "ImportKeyMaterial", input, "ExpiredImportTokenException: The import token is expired.")
	h.MustKMS("ImportKeyMaterial", h.imported(key, 1, in{"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}), nil)
	expect(t, h.Server, "Decrypt", in{"CiphertextBlob": blob}, "")
	for _, r := range h.Trail() {
		for _, member := range []string{"ImportToken", "EncryptedKeyMaterial"} {
			if strings.Contains(r.Text, input[member].(string)[40:80]) {
				t.Errorf("the record of %s shows %s", r.EventName, member)
			}
		}
	}
}

// What is signed and authenticated is in no record.
func TestMessagesAreInNoRecord(t *testing.T) {
	h := start(t)
	pair, mac := h.CreateKMSKey(in{"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"}), h.CreateKMSKey(in{"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"})
	message := base64.StdEncoding.EncodeToString([]byte("a message that nobody else should know"))
	signed := decode[struct{ Signature string }](t, h.KMS("Sign", in{"KeyId": pair, "Message": message, "SigningAlgorithm": "ECDSA_SHA_256"}))
	h.MustKMS("Verify", in{"KeyId": pair, "Message": message, "Signature": signed.Signature, "SigningAlgorithm": "ECDSA_SHA_256"}, nil)
	made := decode[struct{ Mac string }](t, h.KMS("GenerateMac", in{"KeyId": mac, "Message": message, "MacAlgorithm": "HMAC_SHA_256"}))
	h.MustKMS("VerifyMac", in{"KeyId": mac, "Message": message, "Mac": made.Mac, "MacAlgorithm": "HMAC_SHA_256"}, nil)
	seen := 0
	for _, r := range h.Trail() {
		if strings.Contains(r.Text, message[:20]) || strings.Contains(r.Text, signed.Signature[:20]) || strings.Contains(r.Text, made.Mac[:20]) {
			t.Errorf("the record of %s shows too much: %s", r.EventName, r.Text)
		}
		switch r.EventName {
		case "Sign", "Verify", "GenerateMac", "VerifyMac":
			seen++
			if !r.ReadOnly || r.RequestParameters["keyId"] == nil || r.ResponseElements != nil {
				t.Errorf("the record is %s", r.Text)
			}
		}
	}
	if seen != 4 {
		t.Errorf("%d records", seen)
	}
}

func TestConditionKeysOfMaterial(t *testing.T) {
	h := start(t)
	pair, mac := h.CreateKMSKey(in{"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"}), h.CreateKMSKey(in{"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"})
	external := h.CreateKMSKey(in{"Origin": "EXTERNAL"})
	soon, later := time.Now().Add(24*time.Hour), time.Now().Add(48*time.Hour)
	digest := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, tt := range []struct {
		key, operation, condition string
		yes, no                   in
	}{
		{h.key, "EnableKeyRotation", `{"NumericLessThanEquals":{"kms:RotationPeriodInDays":"180"}}`, in{"RotationPeriodInDays": 180}, in{"RotationPeriodInDays": 181}},
		{h.key, "EnableKeyRotation", `{"NumericEquals":{"kms:RotationPeriodInDays":"365"}}`, in{}, in{"RotationPeriodInDays": 364}},
		{pair, "Sign", `{"StringEquals":{"kms:SigningAlgorithm":"ECDSA_SHA_256","kms:MessageType":"DIGEST"}}`,
			in{"Message": digest, "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256"}, in{"Message": digest, "SigningAlgorithm": "ECDSA_SHA_256"}},
		{pair, "Sign", `{"StringEquals":{"kms:MessageType":"RAW"}}`, in{"Message": digest, "SigningAlgorithm": "ECDSA_SHA_256"}, in{"Message": digest, "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256"}},
		{mac, "GenerateMac", `{"StringEquals":{"kms:MacAlgorithm":"HMAC_SHA_256"}}`, in{"Message": digest, "MacAlgorithm": "HMAC_SHA_256"}, in{"Message": digest, "MacAlgorithm": "HMAC_SHA_512"}},
		{external, "GetParametersForImport", `{"StringEquals":{"kms:WrappingAlgorithm":"RSAES_OAEP_SHA_256","kms:WrappingKeySpec":"RSA_2048"}}`,
			in{"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}, in{"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_3072"}},
		{external, "ImportKeyMaterial", `{"StringEquals":{"kms:ExpirationModel":"KEY_MATERIAL_EXPIRES"},"DateLessThan":{"kms:ValidTo":"` + later.Add(-time.Hour).UTC().Format(time.RFC3339) + `"}}`,
			h.imported(external, 1, in{"ValidTo": soon.Unix()}), h.imported(external, 1, in{"ValidTo": later.Unix()})},
		{external, "ImportKeyMaterial", `{"StringEquals":{"kms:ExpirationModel":"KEY_MATERIAL_EXPIRES"}}`, nil, h.imported(external, 1, in{"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"})},
	} {
		h.MustKMS("PutKeyPolicy", in{"KeyId": tt.key, "Policy": policyOf(accountStatement(), statement("Allow", annARN, "kms:"+tt.operation, "*", tt.condition))}, nil)
		for input, allowed := range map[*in]bool{&tt.yes: true, &tt.no: false} {
			if *input == nil {
				continue
			}
			(*input)["KeyId"] = tt.key
			r := h.ann.KMS(tt.operation, *input)
			if denied := r.Code() == "AccessDeniedException"; allowed && told(r) != "" || !allowed && !denied {
				t.Errorf("%s of %v under %s: %s", tt.operation, (*input)["KeyId"], tt.condition, r.Body)
			}
		}
	}
}
