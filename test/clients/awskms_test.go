package clients_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"
)

// The AWS CLI makes a key, encrypts a file by it, and lets the key be destroyed.
func TestAWSKeys(t *testing.T) {
	t.Parallel()
	s := serve(t)
	kms := func(v any, args ...string) {
		t.Helper()
		out := s.run(t, "aws", append([]string{"kms", "--output", "json"}, args...)...)
		if v != nil {
			decode(t, out, v)
		}
	}
	var made struct{ KeyMetadata struct{ KeyID, Arn string } }
	kms(&made, "create-key", "--description", "of files", "--tags", "TagKey=team,TagValue=pay")
	key := made.KeyMetadata
	kms(nil, "create-alias", "--alias-name", "alias/files", "--target-key-id", key.KeyID)
	plain, sealed := filepath.Join(t.TempDir(), "plain"), filepath.Join(t.TempDir(), "sealed")
	if err := os.WriteFile(plain, []byte("attack at dawn"), 0o600); err != nil {
		t.Fatal(err)
	}
	var encrypted struct{ CiphertextBlob []byte }
	kms(&encrypted, "encrypt", "--key-id", "alias/files", "--plaintext", "fileb://"+plain, "--encryption-context", "file=plan")
	if err := os.WriteFile(sealed, encrypted.CiphertextBlob, 0o600); err != nil {
		t.Fatal(err)
	}
	var opened struct{ KeyID, Plaintext string }
	kms(&opened, "decrypt", "--ciphertext-blob", "fileb://"+sealed, "--encryption-context", "file=plan")
	if text, err := base64.StdEncoding.DecodeString(opened.Plaintext); string(text) != "attack at dawn" || opened.KeyID != key.Arn {
		t.Errorf("decrypt: %+v: %v", opened, err)
	}
	s.refuse(t, []string{"(InvalidCiphertextException)"}, "aws", "kms", "decrypt", "--ciphertext-blob", "fileb://"+sealed, "--encryption-context", "file=Plan")
	var grant struct{ GrantID string }
	kms(&grant, "create-grant", "--key-id", key.KeyID, "--grantee-principal", "arn:aws:iam::123456789012:root", "--operations", "Decrypt", "DescribeKey")
	kms(nil, "revoke-grant", "--key-id", key.KeyID, "--grant-id", grant.GrantID)
	s.refuse(t, []string{"(NotFoundException)", "Grant ID " + grant.GrantID + " not found"}, "aws", "kms", "revoke-grant", "--key-id", key.KeyID, "--grant-id", grant.GrantID)
	s.refuse(t, []string{"(NotFoundException)", "Alias arn:aws:kms:us-east-1:123456789012:alias/none is not found."}, "aws", "kms", "describe-key", "--key-id", "alias/none")
	kms(nil, "schedule-key-deletion", "--key-id", key.KeyID, "--pending-window-in-days", "7")
	s.refuse(t, []string{"(KMSInvalidStateException)", key.Arn + " is pending deletion."}, "aws", "kms", "decrypt", "--ciphertext-blob", "fileb://"+sealed, "--encryption-context", "file=plan")
	kms(nil, "cancel-key-deletion", "--key-id", key.KeyID)
	kms(nil, "enable-key", "--key-id", key.KeyID)
	kms(nil, "decrypt", "--ciphertext-blob", "fileb://"+sealed, "--encryption-context", "file=plan")
}
