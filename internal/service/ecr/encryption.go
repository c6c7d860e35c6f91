package ecr

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/ecr"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/store"
)

const (
	eventSource    = "ecr.amazonaws.com"
	kmsEventSource = "kms.amazonaws.com"
)

// grantsPerRepository is how many grants ECR makes for a repository. All are needed, so that taking back one is enough.
const grantsPerRepository = 2

// chosenKey is the customer key that a repository is to be encrypted under, which its creator may use for that.
type chosenKey struct {
	kms.Key
	repository string // ARN
}

// encryption finds out how a repository is to be encrypted, and whether the caller may have it so. key is nil for a service
// key. What KMS refuses is a *registry.KeyError.
func (s *service) encryption(ctx context.Context, c awsapi.Call, id registry.ID, name string, wanted *api.EncryptionConfiguration) (e registry.Encryption, key *chosenKey, err error) {
	if wanted == nil || wanted.EncryptionType == registry.EncryptionAES256 {
		if wanted != nil && wanted.KmsKey != "" {
			return e, nil, invalid("encryptionConfiguration", "A KMS key can't be given for the encryption type AES256")
		}
		return registry.Encryption{Type: registry.EncryptionAES256}, nil, nil
	}
	key = &chosenKey{repository: policy.Repository(id.Region, id.Account, name).ARN}
	if wanted.KmsKey == "" {
		key.Key, err = s.Keys.Managed(ctx, id.Account, id.Region, "ecr")
	} else {
		key.Key, err = s.Keys.Find(ctx, c.Caller.Principal.Account, id.Region, wanted.KmsKey)
	}
	if err == nil {
		err = s.mayUse(ctx, c, key)
	}
	if err == nil {
		err = usable(key.Key)
	}
	return registry.Encryption{Type: wanted.EncryptionType, Key: key.ARN}, key, keyProblem(err)
}

// usable refuses a key that repositories can't be encrypted under.
func usable(key kms.Key) error {
	if err := key.Usable(kms.GenerateDataKey, kms.UsageEncrypt); err != nil {
		return err
	}
	if !key.Symmetric() {
		return kms.Errorf(kms.CodeInvalidKeyUsage, "%s key spec is %s which is not valid for the encryption of repositories.", key.ARN, key.Spec)
	}
	return nil
}

// mayUse asks whether the caller may do with the key what the creation of a repository takes.
func (s *service) mayUse(ctx context.Context, c awsapi.Call, key *chosenKey) error {
	calls := []awsapi.Forwarded{key.describe(), key.createGrant("")}
	if key.mayRetire(c) {
		calls = append(calls, key.retireGrant(""))
	}
	for _, call := range calls {
		if err := c.Forward(ctx, call); err != nil {
			return err
		}
	}
	return nil
}

// mayRetire reports whether the policies of the caller decide about retiring the grants of the key: those of a key that AWS manages, and those
// of another account's, end with their repository in any case.
func (k *chosenKey) mayRetire(c awsapi.Call) bool {
	return k.Manager == kms.ManagerCustomer && k.Account == c.Caller.Principal.Account
}

// call is a call of KMS about the key, with the rights of who called ECR.
func (k *chosenKey) call(name string, readOnly bool, context policy.Context, parameters, response any) awsapi.Forwarded {
	f := awsapi.Forwarded{
		Via: eventSource, Source: kmsEventSource, Name: name, Account: k.Account, ReadOnly: readOnly, Context: context,
		Questions: []policy.Question{{Action: "kms:" + name, Resource: policy.Resource{ARN: k.ARN, Account: k.Account}}},
	}
	// Maps of texts always encode.
	f.Parameters, _ = json.Marshal(parameters)
	if response != nil {
		f.Response, _ = json.Marshal(response)
	}
	return f
}

func (k *chosenKey) describe() awsapi.Forwarded {
	return k.call("DescribeKey", true, nil, map[string]string{"keyId": k.ARN}, nil)
}

func (k *chosenKey) service() string { return "ecr." + k.Region + ".amazonaws.com" }

// grant is what ECR asks for, for a repository.
func (k *chosenKey) grant(issuer string) kms.NewGrant {
	return kms.NewGrant{Grantee: k.service(), Retiring: k.service(), Internal: true, Issuer: issuer,
		Operations: []string{"GenerateDataKey", "Decrypt"}, Constraints: kms.Constraints{Subset: map[string]string{"aws:ecr:arn": k.repository}}}
}

func (k *chosenKey) createGrant(id string) awsapi.Forwarded {
	g := k.grant("")
	keys := policy.Context{}
	g.PutKeys(keys)
	kms.Context(g.Constraints.Subset).PutKeys(keys)
	call := k.call("CreateGrant", false, keys, map[string]any{
		"keyId": k.ARN, "granteePrincipal": g.Grantee, "retiringPrincipal": g.Retiring, "operations": g.Operations,
		"constraints": map[string]any{"encryptionContextSubset": g.Constraints.Subset},
	}, map[string]string{"grantId": id, "keyId": k.ARN})
	call.EncryptionContext = g.Constraints.Subset
	return call
}

func (k *chosenKey) retireGrant(id string) awsapi.Forwarded {
	parameters := map[string]string{"keyId": k.ARN}
	if id != "" {
		parameters["grantId"] = id
	}
	return k.call("RetireGrant", false, nil, parameters, nil)
}

// makeGrants makes the grants for a repository in the transaction that creates it, and records them.
func (s *service) makeGrants(tx *store.Tx, c awsapi.Call, key *chosenKey) (ids []string, err error) {
	if err := c.RecordForwarded(tx, key.describe()); err != nil {
		return nil, err
	}
	for range grantsPerRepository {
		g, err := s.Keys.CreateGrant(tx, key.Key, key.grant(c.Caller.Principal.Account))
		if err != nil {
			return nil, keyProblem(err)
		}
		if err := c.RecordForwarded(tx, key.createGrant(g.ID)); err != nil {
			return nil, err
		}
		ids = append(ids, g.ID)
	}
	return ids, nil
}

// retirable finds the key of a repository that is to be deleted, if the caller may retire its grants. It is nil if not: then the
// repository is deleted all the same, and its grants stay.
func (s *service) retirable(ctx context.Context, c awsapi.Call, repo registry.Repository) (*chosenKey, error) {
	if repo.Encryption.Key == "" {
		return nil, nil
	}
	var refused *kms.Error
	key, err := s.Keys.Find(ctx, repo.Registry.Account, repo.Registry.Region, repo.Encryption.Key)
	if errors.As(err, &refused) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	chosen := &chosenKey{Key: key, repository: repo.ARN()}
	if chosen.mayRetire(c) && c.Forward(ctx, chosen.retireGrant("")) != nil {
		return nil, nil
	}
	return chosen, nil
}

// retireGrants ends the grants of a repository in the transaction that deletes it. Grants that were ended before are nothing
// to fail for.
func (s *service) retireGrants(tx *store.Tx, c awsapi.Call, key *chosenKey, repo registry.Repository) error {
	if key == nil || key.ARN != repo.Encryption.Key {
		return nil
	}
	for _, id := range repo.Encryption.Grants {
		var refused *kms.Error
		if err := s.Keys.RetireGrant(tx, key.Key, id); errors.As(err, &refused) {
			continue
		} else if err != nil {
			return err
		}
		if err := c.RecordForwarded(tx, key.retireGrant(id)); err != nil {
			return err
		}
	}
	return nil
}

// keyProblem turns what KMS or the policies refuse about a key into the error of a repository's key.
func keyProblem(err error) error {
	var refused *kms.Error
	var denied *awsapi.DeniedError
	switch {
	case errors.As(err, &refused):
		return &registry.KeyError{Code: refused.Code, Message: refused.Message}
	case errors.As(err, &denied):
		return &registry.KeyError{Code: "AccessDeniedException", Message: denied.Error()}
	}
	return err
}
