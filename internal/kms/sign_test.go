package kms

import (
	"crypto/sha256"
	"crypto/x509"
	"testing"

	"github.com/coffer-registry/coffer/internal/keymaterial"
	"github.com/coffer-registry/coffer/internal/store"
)

func TestPairsSignAndVerify(t *testing.T) {
	e := newKeysEnv(t)
	ctx := t.Context()
	for spec, algorithm := range map[string]string{"RSA_2048": "RSASSA_PSS_SHA_256", "ECC_NIST_P256": "ECDSA_SHA_256"} {
		key := e.create(NewKey{Spec: spec, Usage: UsageSign})
		message := Message{Algorithm: algorithm, Type: "RAW", Text: []byte("a message")}
		signature, err := e.Sign(ctx, key.ARN, message)
		e.must(err)
		e.must(e.Verify(ctx, key.ARN, message, signature))
		digest := sha256.Sum256(message.Text)
		e.must(e.Verify(ctx, key.ARN, Message{Algorithm: algorithm, Type: "DIGEST", Text: digest[:]}, signature))
		message.Text = []byte("another")
		refused(t, e.Verify(ctx, key.ARN, message, signature), CodeInvalidSignature, "")
		message.Type = "DIGEST"
		_, err = e.Sign(ctx, key.ARN, message)
		refused(t, err, CodeValidation, "invalid length")
		_, err = e.Sign(ctx, key.ARN, Message{Algorithm: "ECDSA_SHA_512", Text: []byte("a")})
		refused(t, err, CodeInvalidKeyUsage, "incompatible")
		der, err := e.PublicKey(ctx, key.ARN)
		e.must(err)
		if _, err := x509.ParsePKIXPublicKey(der); err != nil {
			t.Error(err)
		}
		_, err = e.GenerateMac(ctx, key.ARN, "HMAC_SHA_256", []byte("a"))
		refused(t, err, CodeInvalidKeyUsage, "key usage is SIGN_VERIFY which is not valid for GenerateMac.")
		_, err = e.EncryptAsymmetric(ctx, Encrypt, key.ARN, keymaterial.OAEPSHA256, []byte("a"))
		refused(t, err, CodeInvalidKeyUsage, "key usage is SIGN_VERIFY which is not valid for Encrypt.")
		e.must(e.change(func(tx *store.Tx) error { return e.SetEnabled(tx, key, false) }))
		_, err = e.Sign(ctx, key.ARN, message)
		refused(t, err, CodeDisabled, "is disabled")
		_, err = e.PublicKey(ctx, key.ARN)
		refused(t, err, CodeDisabled, "is disabled")
	}
	symmetric := e.create(NewKey{})
	_, err := e.PublicKey(ctx, symmetric.ARN)
	refused(t, err, CodeUnsupportedOperation, "GetPublicKey")
	_, err = e.Sign(ctx, symmetric.ARN, Message{Algorithm: "ECDSA_SHA_256", Text: []byte("a")})
	refused(t, err, CodeInvalidKeyUsage, "key usage is ENCRYPT_DECRYPT")
	_, err = e.Sign(ctx, KeyARN(account, region, "00000000-0000-4000-8000-000000000000"), Message{})
	refused(t, err, CodeNotFound, "does not exist")
}

func TestMacs(t *testing.T) {
	e := newKeysEnv(t)
	ctx := t.Context()
	key := e.create(NewKey{Spec: "HMAC_384", Usage: UsageMac})
	mac, err := e.GenerateMac(ctx, key.ARN, "HMAC_SHA_384", []byte("a"))
	e.must(err)
	e.must(e.VerifyMac(ctx, key.ARN, "HMAC_SHA_384", []byte("a"), mac))
	refused(t, e.VerifyMac(ctx, key.ARN, "HMAC_SHA_384", []byte("b"), mac), CodeInvalidMac, "")
	refused(t, e.VerifyMac(ctx, key.ARN, "HMAC_SHA_256", []byte("a"), mac), CodeInvalidKeyUsage, "incompatible")
	_, err = e.PublicKey(ctx, key.ARN)
	refused(t, err, CodeUnsupportedOperation, "GetPublicKey")
	_, err = e.Encrypt(ctx, key.ARN, []byte("a"), nil)
	refused(t, err, CodeInvalidKeyUsage, "which is not valid for Encrypt")
	var use Use
	e.must(e.View(ctx, func(tx *store.Tx) (err error) { use, err = e.LastUse(tx, key); return err }))
	if use.Operation != VerifyMac || !use.At.Equal(e.at) {
		t.Errorf("the last use is %+v", use)
	}
}

func TestAsymmetricEncryption(t *testing.T) {
	e := newKeysEnv(t)
	ctx := t.Context()
	key := e.create(NewKey{Spec: "RSA_2048", Usage: UsageEncrypt})
	ciphertext, err := e.EncryptAsymmetric(ctx, Encrypt, key.ARN, keymaterial.OAEPSHA256, []byte("text"))
	e.must(err)
	plaintext, err := e.DecryptAsymmetric(ctx, Decrypt, key.ARN, keymaterial.OAEPSHA256, ciphertext)
	if err != nil || string(plaintext) != "text" {
		t.Errorf("%q, %v", plaintext, err)
	}
	ciphertext[7] ^= 1
	_, err = e.DecryptAsymmetric(ctx, Decrypt, key.ARN, keymaterial.OAEPSHA256, ciphertext)
	refused(t, err, CodeInvalidCiphertext, "")
	_, err = e.EncryptAsymmetric(ctx, Encrypt, key.ARN, keymaterial.OAEPSHA256, make([]byte, 191))
	refused(t, err, CodeValidation, "at most 190 bytes")
	_, err = e.EncryptAsymmetric(ctx, Encrypt, key.ARN, keymaterial.Symmetric, []byte("a"))
	refused(t, err, CodeInvalidKeyUsage, "incompatible")
	_, err = e.Encrypt(ctx, key.ARN, []byte("a"), nil)
	refused(t, err, CodeInvalidKeyUsage, "RSA_2048")
}
