package access

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/audit"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/store"
)

// ecrService is ECR as the trail and condition keys name it.
const ecrService = "ecr.amazonaws.com"

// ServiceKeys uses the customer keys of repositories as ECR itself: by the grants that were made for a repository, as far as
// the policy of the key does not forbid it. Each use that is not from memory is recorded. It is a registry.CustomerKeys.
type ServiceKeys struct {
	keys  *kms.Keys
	trail *audit.Log
	now   func() time.Time
}

// NewServiceKeys uses keys, and leaves its records in the trail, unless that is nil. now is the clock; nil is time.Now.
func NewServiceKeys(keys *kms.Keys, trail *audit.Log, now func() time.Time) *ServiceKeys {
	if now == nil {
		now = time.Now
	}
	return &ServiceKeys{keys, trail, now}
}

// Wrap is as in registry.CustomerKeys.
func (s *ServiceKeys) Wrap(ctx context.Context, use registry.KeyUse, key []byte) (wrapped []byte, material string, err error) {
	wrapped, material, err = s.keys.EncryptFor(ctx, kms.GenerateDataKey, use.Key, key, use.Context)
	return wrapped, material, s.used(use, "GenerateDataKey", err)
}

// Unwrap is as in registry.CustomerKeys.
func (s *ServiceKeys) Unwrap(ctx context.Context, use registry.KeyUse, wrapped []byte) ([]byte, error) {
	key, err := s.unwrap(ctx, use, wrapped)
	if err := s.used(use, "Decrypt", err); err != nil {
		return nil, err
	}
	return key, nil
}

func (s *ServiceKeys) unwrap(ctx context.Context, use registry.KeyUse, wrapped []byte) ([]byte, error) {
	if err := s.granted(ctx, use); err != nil {
		return nil, err
	}
	plaintext, key, _, err := s.keys.DecryptFor(ctx, kms.Decrypt, wrapped, use.Context)
	if err == nil && key.ARN != use.Key {
		clear(plaintext)
		return nil, &kms.Error{Code: kms.CodeInvalidCiphertext}
	}
	return plaintext, err
}

// Material is as in registry.CustomerKeys.
func (s *ServiceKeys) Material(ctx context.Context, keyARN string) (string, error) {
	account, region := place(keyARN)
	key, err := s.keys.Find(ctx, account, region, keyARN)
	return key.Current, keyError(err)
}

// granted asks the grants of the repository and the policy of the key whether ECR may decrypt. The error is *kms.Error.
func (s *ServiceKeys) granted(ctx context.Context, use registry.KeyUse) error {
	account, region := place(use.Key)
	key, err := s.keys.Find(ctx, account, region, use.Key)
	if err != nil {
		return err
	}
	resource := policy.Resource{ARN: use.Key, Account: account}
	// A key may have tens of thousands of grants; those of the repository are known.
	set, err := s.keys.PolicyOf(ctx, resource)
	if err != nil {
		return err
	}
	if set.Grants, err = s.grants(ctx, key, use.Grants); err != nil {
		return err
	}
	request := policy.Request{
		Principal:         policy.Principal{ARN: "ecr." + use.Registry.Region + ".amazonaws.com", Service: true},
		Questions:         []policy.Question{{Action: "kms:Decrypt", Resource: resource}},
		Context:           s.conditionKeys(use),
		EncryptionContext: use.Context,
	}
	// All grants of the repository are needed, so that whoever takes one back is obeyed.
	if len(set.Grants) == len(use.Grants) && policy.Evaluate(request, policy.PolicySet{Resources: map[policy.Resource]policy.ResourceSet{resource: set}}).Allowed {
		return nil
	}
	return &kms.Error{Code: "AccessDeniedException", Message: "The grants by which Amazon ECR may use the key " + use.Key +
		" for this repository were revoked, or the policy of the key denies it."}
}

// grants finds the grants of a repository that still exist.
func (s *ServiceKeys) grants(ctx context.Context, key kms.Key, ids []string) (found []policy.Grant, err error) {
	err = s.keys.View(ctx, func(tx *store.Tx) error {
		found = nil
		for _, id := range ids {
			g, err := s.keys.Grant(tx, key, id)
			var refused *kms.Error
			if errors.As(err, &refused) {
				continue
			}
			if err != nil {
				return err
			}
			found = append(found, g.Policy())
		}
		return nil
	})
	return found, err
}

func (s *ServiceKeys) conditionKeys(use registry.KeyUse) policy.Context {
	c := policy.Context{}
	c.Put("aws:EpochTime", strconv.FormatInt(s.now().Unix(), 10))
	c.Put("aws:CurrentTime", s.now().UTC().Format(time.RFC3339))
	c.Put("aws:RequestedRegion", use.Registry.Region)
	c.Put("aws:PrincipalIsAWSService", "true")
	c.Put("aws:PrincipalServiceName", ecrService)
	c.Put("aws:SourceAccount", use.Registry.Account)
	c.Put("aws:SourceArn", use.Context["aws:ecr:arn"])
	c.Put("aws:SecureTransport", "true")
	c.Put("kms:ViaService", "ecr."+use.Registry.Region+".amazonaws.com")
	c.Put("kms:CallerAccount", use.Registry.Account)
	use.Context.PutKeys(c)
	return c
}

// used records a use of a key, and turns what KMS refuses into what the registry knows.
func (s *ServiceKeys) used(use registry.KeyUse, operation string, err error) error {
	err = keyError(err)
	if s.trail == nil {
		return err
	}
	account, _ := place(use.Key)
	parameters, encoding := json.Marshal(map[string]any{"encryptionAlgorithm": "SYMMETRIC_DEFAULT", "encryptionContext": use.Context, "keyId": use.Key})
	if encoding != nil {
		return encoding
	}
	record := &audit.Record{
		Identity: audit.Identity{Type: "AWSService", InvokedBy: ecrService}, Time: s.now(), Source: "kms.amazonaws.com", Name: operation,
		Region: use.Registry.Region, SourceIP: ecrService, UserAgent: ecrService, Parameters: parameters, RequestID: audit.NewUUID(),
		ReadOnly: true, Account: account, Resources: []audit.Resource{{ARN: use.Key, Account: account, Type: "AWS::KMS::Key"}},
	}
	var refused *registry.KeyError
	if errors.As(err, &refused) {
		record.ErrorCode, record.ErrorMessage = refused.Code, refused.Message
	}
	return firstError(s.trail.Note(record), err)
}

// keyError turns an error of KMS into that of the registry.
func keyError(err error) error {
	var refused *kms.Error
	if errors.As(err, &refused) {
		return &registry.KeyError{Code: refused.Code, Message: refused.Message}
	}
	return err
}

// place is the account and the region that an ARN names.
func place(text string) (account, region string) {
	a, err := arn.Parse(text)
	if err != nil {
		return "", ""
	}
	return a.Account, a.Region
}
