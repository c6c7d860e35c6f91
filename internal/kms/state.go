package kms

import (
	"slices"

	"github.com/coffer-registry/coffer/internal/store"
)

// State is the state of a key.
type State string

// The states of keys.
const (
	Enabled         State = "Enabled"
	Disabled        State = "Disabled"
	PendingDeletion State = "PendingDeletion"
	PendingImport   State = "PendingImport"
	Unavailable     State = "Unavailable"
	Creating        State = "Creating"
	Updating        State = "Updating"
)

// Operation is an operation of the API that the state of a key has a say in.
type Operation string

// The operations, by their names in the API.
const (
	CancelKeyDeletion               Operation = "CancelKeyDeletion"
	CreateAlias                     Operation = "CreateAlias"
	CreateGrant                     Operation = "CreateGrant"
	Decrypt                         Operation = "Decrypt"
	DeleteAlias                     Operation = "DeleteAlias"
	DeleteImportedKeyMaterial       Operation = "DeleteImportedKeyMaterial"
	DescribeKey                     Operation = "DescribeKey"
	DisableKey                      Operation = "DisableKey"
	DisableKeyRotation              Operation = "DisableKeyRotation"
	EnableKey                       Operation = "EnableKey"
	EnableKeyRotation               Operation = "EnableKeyRotation"
	Encrypt                         Operation = "Encrypt"
	GenerateDataKey                 Operation = "GenerateDataKey"
	GenerateDataKeyWithoutPlaintext Operation = "GenerateDataKeyWithoutPlaintext"
	GenerateMac                     Operation = "GenerateMac"
	GetKeyPolicy                    Operation = "GetKeyPolicy"
	GetKeyRotationStatus            Operation = "GetKeyRotationStatus"
	GetParametersForImport          Operation = "GetParametersForImport"
	GetPublicKey                    Operation = "GetPublicKey"
	ImportKeyMaterial               Operation = "ImportKeyMaterial"
	ListAliases                     Operation = "ListAliases"
	ListGrants                      Operation = "ListGrants"
	ListKeyPolicies                 Operation = "ListKeyPolicies"
	ListKeyRotations                Operation = "ListKeyRotations"
	ListResourceTags                Operation = "ListResourceTags"
	PutKeyPolicy                    Operation = "PutKeyPolicy"
	ReEncrypt                       Operation = "ReEncrypt"
	RetireGrant                     Operation = "RetireGrant"
	RevokeGrant                     Operation = "RevokeGrant"
	RotateKeyOnDemand               Operation = "RotateKeyOnDemand"
	ScheduleKeyDeletion             Operation = "ScheduleKeyDeletion"
	Sign                            Operation = "Sign"
	TagResource                     Operation = "TagResource"
	UntagResource                   Operation = "UntagResource"
	UpdateAlias                     Operation = "UpdateAlias"
	UpdateKeyDescription            Operation = "UpdateKeyDescription"
	Verify                          Operation = "Verify"
	VerifyMac                       Operation = "VerifyMac"
)

// objection is what a state has against an operation.
type objection uint8

const (
	yes objection = iota
	isDisabled
	isPendingDeletion
	isNotPendingDeletion
	isPendingImport
	isUnavailable
	isCreating
	isUpdating
	isExternal    // the origin, which is that of all keys that wait for an import
	isNotExternal // likewise, of all others
)

// error is the refusal that an objection makes.
func (o objection) error(key Key) error {
	switch o {
	case isDisabled:
		return Errorf(CodeDisabled, "%s is disabled.", key.ARN)
	case isPendingDeletion:
		return Errorf(CodeInvalidState, "%s is pending deletion.", key.ARN)
	case isNotPendingDeletion:
		return Errorf(CodeInvalidState, "%s is not pending deletion.", key.ARN)
	case isPendingImport:
		return Errorf(CodeInvalidState, "%s is pending import.", key.ARN)
	case isUnavailable:
		return Errorf(CodeInvalidState, "%s is unavailable.", key.ARN)
	case isCreating:
		return Errorf(CodeInvalidState, "%s is creating.", key.ARN)
	case isUpdating:
		return Errorf(CodeInvalidState, "%s is updating.", key.ARN)
	case isExternal, isNotExternal:
		return Errorf(CodeUnsupportedOperation, "%s origin is %s which is not valid for this operation.", key.ARN, key.Origin)
	}
	return nil
}

// stateRule is what the states have against operations.
type stateRule struct {
	operations []Operation
	// origin is the only one that the operations are for; empty is for any.
	origin string
	// The states, in the order of the documentation.
	enabled, disabled, pendingDeletion, pendingImport, unavailable, creating, updating objection
}

// stateRules say what can be done with keys in each state: everything that is not said is allowed.
var stateRules = []stateRule{
	{operations: []Operation{CancelKeyDeletion},
		enabled: isNotPendingDeletion, disabled: isNotPendingDeletion, pendingImport: isNotPendingDeletion, unavailable: isNotPendingDeletion,
		creating: isNotPendingDeletion, updating: isNotPendingDeletion},
	{operations: []Operation{CreateAlias, UpdateAlias, TagResource, UntagResource, UpdateKeyDescription}, pendingDeletion: isPendingDeletion},
	{operations: []Operation{CreateGrant}, disabled: isDisabled, pendingDeletion: isPendingDeletion, pendingImport: isPendingImport, creating: isCreating},
	{operations: []Operation{Encrypt, Decrypt, ReEncrypt, GenerateDataKey, GenerateDataKeyWithoutPlaintext},
		disabled: isDisabled, pendingDeletion: isPendingDeletion, pendingImport: isPendingImport, unavailable: isUnavailable, creating: isCreating},
	{operations: []Operation{GenerateMac, VerifyMac, Sign, Verify, GetPublicKey},
		disabled: isDisabled, pendingDeletion: isPendingDeletion, pendingImport: isPendingImport, unavailable: isUnavailable, creating: isCreating},
	{operations: []Operation{DeleteAlias, DescribeKey, GetKeyPolicy, ListAliases, ListGrants, ListKeyPolicies, ListKeyRotations, ListResourceTags,
		PutKeyPolicy, RetireGrant, RevokeGrant}},
	{operations: []Operation{DeleteImportedKeyMaterial}, origin: OriginExternal, creating: isCreating, updating: isUpdating},
	{operations: []Operation{DisableKey, EnableKey}, pendingDeletion: isPendingDeletion, pendingImport: isPendingImport, creating: isCreating,
		updating: isUpdating},
	{operations: []Operation{EnableKeyRotation, DisableKeyRotation}, origin: OriginKMS, disabled: isDisabled, pendingDeletion: isPendingDeletion,
		pendingImport: isExternal, creating: isCreating},
	{operations: []Operation{GetKeyRotationStatus}, pendingImport: isExternal},
	{operations: []Operation{RotateKeyOnDemand}, disabled: isDisabled, pendingDeletion: isPendingDeletion, pendingImport: isPendingImport,
		unavailable: isUnavailable, creating: isCreating, updating: isUpdating},
	{operations: []Operation{GetParametersForImport}, origin: OriginExternal, pendingDeletion: isPendingDeletion, unavailable: isNotExternal,
		creating: isCreating, updating: isUpdating},
	{operations: []Operation{ImportKeyMaterial}, origin: OriginExternal, pendingDeletion: isPendingDeletion, unavailable: isNotExternal,
		creating: isCreating},
	{operations: []Operation{ScheduleKeyDeletion}, pendingDeletion: isPendingDeletion, updating: isUpdating},
}

// Check refuses an operation that the origin or the state of the key does not allow. The error is *Error.
func (k Key) Check(op Operation) error {
	i := slices.IndexFunc(stateRules, func(r stateRule) bool { return slices.Contains(r.operations, op) })
	if i < 0 {
		return Errorf(CodeUnsupportedOperation, "%s is not an operation on a key.", op)
	}
	r := stateRules[i]
	if r.origin != "" && r.origin != k.Origin {
		return isNotExternal.error(k)
	}
	against, known := map[State]objection{Enabled: r.enabled, Disabled: r.disabled, PendingDeletion: r.pendingDeletion,
		PendingImport: r.pendingImport, Unavailable: r.unavailable, Creating: r.creating, Updating: r.updating}[k.State]
	if !known {
		return Errorf(CodeInvalidState, "%s is in an unknown state.", k.ARN)
	}
	return against.error(k)
}

// changing are the operations by which customers change a key, which they can't with one that AWS manages.
var changing = []Operation{CreateAlias, DeleteAlias, UpdateAlias, DisableKey, EnableKey, ScheduleKeyDeletion, CancelKeyDeletion, PutKeyPolicy, TagResource,
	UntagResource, UpdateKeyDescription, EnableKeyRotation, DisableKeyRotation, RotateKeyOnDemand}

// allowed reads a key anew in the transaction and refuses an operation that it does not allow as it stands. The error is
// *Error.
func (k *Keys) allowed(tx *store.Tx, key Key, op Operation) (Key, error) {
	now, err := k.again(tx, key)
	if err != nil {
		return Key{}, err
	}
	if now.Manager == ManagerAWS && slices.Contains(changing, op) {
		return Key{}, Errorf(CodeUnsupportedOperation, "%s is managed by AWS and can't be changed.", now.ARN)
	}
	return now, now.Check(op)
}

// Usable refuses to use a key for a cryptographic operation that its state or its usage does not allow. The error is *Error.
func (k Key) Usable(op Operation, usage string) error {
	if err := k.Check(op); err != nil {
		return err
	}
	if k.Usage != usage {
		return Errorf(CodeInvalidKeyUsage, "%s key usage is %s which is not valid for %s.", k.ARN, k.Usage, op)
	}
	return nil
}

// SetEnabled enables or disables a key. The error is *Error.
func (k *Keys) SetEnabled(tx *store.Tx, key Key, enabled bool) error {
	op, state := DisableKey, Disabled
	if enabled {
		op, state = EnableKey, Enabled
	}
	now, err := k.allowed(tx, key, op)
	if err != nil || now.State == state {
		return err
	}
	return update(tx, key, "enable or disable", `UPDATE kms_key SET state = $1 WHERE id = $2`, state, key.ID)
}
