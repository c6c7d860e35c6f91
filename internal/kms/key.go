package kms

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/keymaterial"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// Who manages a key.
const (
	ManagerCustomer = "CUSTOMER"
	ManagerAWS      = "AWS"
)

// Where the material of a key comes from.
const (
	OriginKMS      = "AWS_KMS"
	OriginExternal = "EXTERNAL"
)

// What a key is for.
const (
	UsageEncrypt = keymaterial.EncryptDecrypt
	UsageSign    = keymaterial.SignVerify
	UsageMac     = keymaterial.GenerateVerifyMac
)

// SpecSymmetric is the spec of the keys that encrypt data and data keys.
const SpecSymmetric = string(keymaterial.SymmetricDefault)

// MaxKeys is how many keys of its own an account may have in a region.
const MaxKeys = 100_000

// Key is a key as it stands, without its material.
type Key struct {
	ID, ARN, Account, Region string
	State                    State
	// Spec, Usage and Origin are those of the API; Manager is ManagerCustomer or ManagerAWS.
	Spec, Usage, Origin, Manager string
	Description                  string
	Created                      time.Time
	// DeletionDate is when the key will be destroyed, DeletionDays after that was asked for; zero if it isn't to be.
	DeletionDate time.Time
	DeletionDays int64
	// Current is the id of the material that encrypts, in hexadecimal digits; empty for keys that have no such id.
	Current string
	// ValidTo is when imported material expires first; zero for never.
	ValidTo time.Time
	// RotationDays is how often the key rotates by itself, next at RotationDate; 0 for never.
	RotationDays int64
	RotationDate time.Time
}

// Symmetric reports whether the key encrypts data by material that never leaves.
func (k Key) Symmetric() bool { return k.Spec == SpecSymmetric }

// KeyARN is the ARN of a key.
func KeyARN(account, region, id string) string {
	return arn.Key(region, account, id).String()
}

// NewKey is what a key is made from. The zero value of a field is the default of the API.
type NewKey struct {
	Account, Region, Description, Spec, Usage, Origin string
	// Policy is the text of the key policy; empty is that which leaves all to the account.
	Policy string
	Tags   []Tag
}

// Draft is a key that was checked and can be made.
type Draft struct {
	Key Key
	// Policy is that of the key, for asking who could do what with it.
	Policy *policy.Policy

	document string
	tags     []Tag
	material *draftMaterial
}

// Draft checks what a key is to be made from, and makes its material. The error is *Error.
func (k *Keys) Draft(ctx context.Context, n NewKey) (Draft, error) {
	key := Key{ID: newKeyID(), Account: n.Account, Region: n.Region, Description: n.Description, Spec: n.Spec, Usage: n.Usage,
		Origin: n.Origin, Manager: ManagerCustomer, State: Enabled}
	if err := complete(&key); err != nil {
		return Draft{}, err
	}
	key.ARN = KeyARN(key.Account, key.Region, key.ID)
	if err := checkTags(n.Tags); err != nil {
		return Draft{}, err
	}
	if n.Policy == "" {
		n.Policy = defaultPolicy(n.Account, n.Region)
	}
	d := Draft{Key: key, tags: n.Tags}
	err := k.View(ctx, func(tx *store.Tx) error {
		p, err := k.NewPolicy(tx, n.Policy)
		d.Policy, d.document = p.Compiled, p.document
		return err
	})
	if err != nil || key.State == PendingImport {
		return d, err
	}
	d.material, err = k.newMaterial(ctx, &d.Key)
	return d, err
}

// complete fills in the defaults of a key, and refuses what doesn't go together.
func complete(key *Key) error {
	if key.Spec == "" {
		key.Spec = SpecSymmetric
	}
	usages := keymaterial.Spec(key.Spec).Usages()
	if usages == nil {
		return Errorf(CodeUnsupportedOperation, "KeySpec %s is not supported", key.Spec)
	}
	if key.Usage == "" {
		key.Usage = keymaterial.Spec(key.Spec).DefaultUsage()
	}
	if key.Usage == "" {
		return Errorf(CodeValidation, "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.")
	}
	if !slices.Contains(usages, key.Usage) {
		return Errorf(CodeValidation, "KeyUsage %s is not compatible with KeySpec %s", key.Usage, key.Spec)
	}
	switch key.Origin {
	case "", OriginKMS:
		key.Origin = OriginKMS
	case OriginExternal:
		key.State = PendingImport
	default:
		return Errorf(CodeUnsupportedOperation, "Origin %s is not supported", key.Origin)
	}
	return nil
}

// Create makes a key of a draft. The error is *Error when the account has as many as it may.
func (k *Keys) Create(tx *store.Tx, d Draft) (Key, error) {
	var n int
	err := tx.QueryRow(`SELECT count(*) FROM (SELECT 1 FROM kms_key WHERE account = $1 AND region = $2 LIMIT $3) AS found`, d.Key.Account, d.Key.Region, MaxKeys).Scan(&n)
	if err != nil {
		return Key{}, fmt.Errorf("count the keys: %w", err)
	}
	if n >= MaxKeys {
		return Key{}, Errorf(CodeLimitExceeded, "The account has %d keys in this Region, which is as many as it may have.", n)
	}
	return k.insert(tx, d, "")
}

// insert makes the rows of a key. service is that of a key that AWS manages.
func (k *Keys) insert(tx *store.Tx, d Draft, service string) (Key, error) {
	key := d.Key
	key.Created = k.now()
	_, err := tx.Exec(`INSERT INTO kms_key (id, account, region, created_at, description, spec, key_usage, origin, service, state, policy, current_material)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`, key.ID, key.Account, key.Region, key.Created, key.Description, key.Spec,
		key.Usage, key.Origin, service, key.State, d.document, nullText(key.Current))
	if err != nil {
		return Key{}, fmt.Errorf("make a key: %w", err)
	}
	if d.material != nil {
		if err := k.insertMaterial(tx, key, d.material); err != nil {
			return Key{}, err
		}
	}
	if err := putTags(tx, key, d.tags); err != nil {
		return Key{}, err
	}
	return key, touchKey(tx, key.ID)
}

// nullText is NULL for an empty text.
func nullText(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

const keyColumns = `id, account, region, created_at, description, spec, key_usage, origin, service, state, deletion_at, deletion_days, current_material, rotation_days, rotation_at`

func scanKey(row store.Scanner) (k Key, err error) {
	var service string
	var deletion, rotation *time.Time
	var days, rotationDays *int64
	var current *string
	err = row.Scan(&k.ID, &k.Account, &k.Region, &k.Created, &k.Description, &k.Spec, &k.Usage, &k.Origin, &service, &k.State, &deletion,
		&days, &current, &rotationDays, &rotation)
	if err != nil {
		return Key{}, err
	}
	k.ARN, k.Manager = KeyARN(k.Account, k.Region, k.ID), ManagerCustomer
	if service != "" {
		k.Manager = ManagerAWS
	}
	k.DeletionDate, k.DeletionDays, k.Current = value(deletion), value(days), value(current)
	k.RotationDays, k.RotationDate = value(rotationDays), value(rotation)
	return k, nil
}

// value is what p points to, or the zero value.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// Key reads a key by its id as it stands in the transaction. The error is *Error if there is none.
func (k *Keys) Key(tx *store.Tx, id string) (Key, error) {
	key, err := scanKey(tx.QueryRow(`SELECT `+keyColumns+` FROM kms_key WHERE id = $1`, id))
	if errors.Is(err, store.ErrNoRows) {
		return Key{}, Errorf(CodeNotFound, "Key '%s' does not exist", id)
	}
	if err != nil {
		return Key{}, fmt.Errorf("read key %s: %w", id, err)
	}
	if key.Origin == OriginExternal {
		var validTo *time.Time
		if err := tx.QueryRow(`SELECT min(valid_to) FROM kms_material WHERE key = $1 AND wrapped IS NOT NULL`, id).Scan(&validTo); err != nil {
			return Key{}, fmt.Errorf("read when the material of key %s expires: %w", id, err)
		}
		key.ValidTo = value(validTo)
	}
	return key, nil
}

// again reads a key anew, which may have changed or gone since it was found.
func (k *Keys) again(tx *store.Tx, key Key) (Key, error) {
	now, err := k.Key(tx, key.ID)
	var refused *Error
	if errors.As(err, &refused) {
		return Key{}, NoSuchKey(key.ARN)
	}
	return now, err
}

// List returns the ids of the keys of an account in a region, in their order after one of them, and at most limit.
func (k *Keys) List(tx *store.Tx, account, region, after string, limit int) ([]string, error) {
	rows, err := tx.Query(`SELECT id FROM kms_key WHERE account = $1 AND region = $2 AND id > $3 ORDER BY id LIMIT $4`, account, region, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	return store.Collect(rows, store.Value[string])
}

// SetDescription changes what a key says of itself.
func (k *Keys) SetDescription(tx *store.Tx, key Key, text string) error {
	if _, err := k.allowed(tx, key, UpdateKeyDescription); err != nil {
		return err
	}
	return update(tx, key, "describe", `UPDATE kms_key SET description = $1 WHERE id = $2`, text, key.ID)
}

// newKeyID makes the id of a key: a random UUID.
func newKeyID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
