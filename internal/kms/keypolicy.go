package kms

import (
	"errors"
	"fmt"
	"strings"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// MaxPolicy bounds the text of a key policy, in bytes.
const MaxPolicy = 32 << 10

// PolicyName is the name of the one policy that a key has.
const PolicyName = "default"

// KeyPolicy is a policy of a key that was checked and may be stored.
type KeyPolicy struct {
	// Compiled is for asking what would be if it were stored.
	Compiled *policy.Policy

	// document has unique ids in place of the ARNs of users and roles, so that one who is made anew under an old name has no
	// part in it.
	document string
}

// defaultPolicy leaves it to the policies of an account who may do what with a key.
func defaultPolicy(account, region string) string {
	root := arn.Root(account)
	root.Partition = arn.Key(region, account, "").Partition
	return `{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "` + root.String() + `"
    },
    "Action" : "kms:*",
    "Resource" : "*"
  } ]
}`
}

// NewPolicy checks the text of a key policy. The error is *Error.
func (k *Keys) NewPolicy(tx *store.Tx, text string) (KeyPolicy, error) {
	if len(text) > MaxPolicy {
		return KeyPolicy{}, Errorf(CodeLimitExceeded, "The key policy has %d bytes, of which it may have %d.", len(text), MaxPolicy)
	}
	var failure error
	byARN, byID := k.resolve(tx, &failure), k.principalName(tx, &failure)
	compiled, err := policy.Parse(policy.KindKey, []byte(text), policy.Options{Name: "key policy", Resolve: func(principal string) (string, bool) {
		if id, ok := byARN(principal); ok {
			return id, true
		}
		// A policy that was read while one was gone has the id in place of the ARN.
		_, ok := byID(principal)
		return principal, ok
	}})
	if failure != nil {
		return KeyPolicy{}, fmt.Errorf("look up the principals of a key policy: %w", failure)
	}
	var malformed *policy.MalformedError
	if errors.As(err, &malformed) {
		return KeyPolicy{}, &Error{Code: CodeMalformedPolicy, Message: malformed.Message}
	}
	if err != nil {
		return KeyPolicy{}, err
	}
	document, err := policy.RewritePrincipals([]byte(text), byARN)
	if err = errors.Join(err, failure); err != nil {
		return KeyPolicy{}, fmt.Errorf("read a key policy: %w", err)
	}
	return KeyPolicy{Compiled: compiled, document: string(document)}, nil
}

// PutPolicy gives a key a policy in place of the one that it has. The error is *Error.
func (k *Keys) PutPolicy(tx *store.Tx, key Key, p KeyPolicy) error {
	if _, err := k.allowed(tx, key, PutKeyPolicy); err != nil {
		return err
	}
	return update(tx, key, "put the policy of", `UPDATE kms_key SET policy = $1 WHERE id = $2`, p.document, key.ID)
}

// Policy is the policy of a key as it is shown: with the ARNs of users and roles while they exist, and else their ids. The
// error is *Error if the key is gone.
func (k *Keys) Policy(tx *store.Tx, key Key) (string, error) {
	document, err := policyDocument(tx, key)
	if err != nil {
		return "", err
	}
	var failure error
	text, err := policy.RewritePrincipals([]byte(document), k.principalName(tx, &failure))
	if err = errors.Join(err, failure); err != nil {
		return "", fmt.Errorf("show the policy of key %s: %w", key.ID, err)
	}
	return string(text), nil
}

// policyDocument reads the policy of a key as it is stored.
func policyDocument(tx *store.Tx, key Key) (document string, err error) {
	err = tx.QueryRow(`SELECT policy FROM kms_key WHERE id = $1`, key.ID).Scan(&document)
	if errors.Is(err, store.ErrNoRows) {
		return "", NoSuchKey(key.ARN)
	}
	if err != nil {
		return "", fmt.Errorf("read the policy of key %s: %w", key.ID, err)
	}
	return document, nil
}

// managedPolicy is that of a key which AWS manages for a service: it can be used through the service alone, by those of
// its account.
func managedPolicy(account, region, service string) string {
	return strings.NewReplacer("ACCOUNT", account, "REGION", region, "SERVICE", service).Replace(`{
  "Version" : "2012-10-17",
  "Id" : "auto-SERVICE-1",
  "Statement" : [ {
    "Sid" : "Allow access through Amazon ECR for all principals in the account that are authorized to use Amazon ECR",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "*"
    },
    "Action" : [ "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant", "kms:DescribeKey", "kms:RetireGrant" ],
    "Resource" : "*",
    "Condition" : {
      "StringEquals" : {
        "kms:CallerAccount" : "ACCOUNT",
        "kms:ViaService" : "SERVICE.REGION.amazonaws.com"
      }
    }
  }, {
    "Sid" : "Allow direct access to key metadata to the account",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "arn:aws:iam::ACCOUNT:root"
    },
    "Action" : [ "kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant" ],
    "Resource" : "*"
  } ]
}`)
}
