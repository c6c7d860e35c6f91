package kms

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/store"
)

// MaxAliases is how many aliases a key may have.
const MaxAliases = 50

// aliasPrefix begins the names of aliases.
const aliasPrefix = "alias/"

// managedPrefix begins the names of the aliases of keys that AWS manages, without the alias/ before it.
const managedPrefix = "aws/"

// aliasName is the name of an alias, without the alias/ before it.
var aliasName = regexp.MustCompile(`^[a-zA-Z0-9/_-]{1,250}$`)

// AliasARN is the ARN of an alias, whose name is without the alias/ before it.
func AliasARN(account, region, name string) string { return arn.Alias(region, account, name).String() }

// Alias is a name of a key.
type Alias struct {
	// Name is without the alias/ before it.
	Name, ARN string
	KeyID     string
	Created   time.Time
	Updated   time.Time
}

// CheckAliasName reads the name of an alias, which must be one that a customer may use, and returns it without the alias/
// before it. The error is *Error.
func CheckAliasName(text string) (string, error) {
	name, ok := strings.CutPrefix(text, aliasPrefix)
	switch {
	case !ok:
		return "", Errorf(CodeValidation, "Invalid identifier")
	case strings.Contains(name, ":"):
		return "", Errorf(CodeValidation, "%s contains invalid characters for an alias", text)
	case !aliasName.MatchString(name):
		return "", Errorf(CodeValidation, "Invalid identifier")
	case strings.HasPrefix(name, managedPrefix):
		return "", &Error{Code: CodeNotAuthorized}
	}
	return name, nil
}

const aliasColumns = `name, key, created_at, updated_at`

func scanAlias(account, region string) func(store.Scanner) (Alias, error) {
	return func(row store.Scanner) (a Alias, err error) {
		err = row.Scan(&a.Name, &a.KeyID, &a.Created, &a.Updated)
		a.ARN = AliasARN(account, region, a.Name)
		return a, err
	}
}

// Alias reads an alias. The error is *Error if there is none.
func (k *Keys) Alias(tx *store.Tx, account, region, name string) (Alias, error) {
	a, err := scanAlias(account, region)(tx.QueryRow(`SELECT `+aliasColumns+` FROM kms_alias WHERE account = $1 AND region = $2 AND name = $3`, account, region, name))
	if errors.Is(err, store.ErrNoRows) {
		return Alias{}, Errorf(CodeNotFound, "Alias %s is not found.", AliasARN(account, region, name))
	}
	if err != nil {
		return Alias{}, fmt.Errorf("read alias %s: %w", name, err)
	}
	return a, nil
}

// CreateAlias gives a key a name, which CheckAliasName has read. The error is *Error.
func (k *Keys) CreateAlias(tx *store.Tx, key Key, name string) error {
	if _, err := k.allowed(tx, key, CreateAlias); err != nil {
		return err
	}
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM kms_alias WHERE key = $1`, key.ID).Scan(&n); err != nil {
		return fmt.Errorf("count the aliases of key %s: %w", key.ID, err)
	}
	if n >= MaxAliases {
		return Errorf(CodeLimitExceeded, "The key %s has %d aliases, which is as many as it may have.", key.ARN, n)
	}
	return k.insertAlias(tx, key, name)
}

func (k *Keys) insertAlias(tx *store.Tx, key Key, name string) error {
	now := k.now()
	made, err := tx.Exec(`INSERT INTO kms_alias (account, region, name, key, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (account, region, name) DO NOTHING`, key.Account, key.Region, name, key.ID, now, now)
	if err != nil {
		return fmt.Errorf("make alias %s: %w", name, err)
	}
	if made == 0 {
		return Errorf(CodeAlreadyExists, "An alias with the name %s already exists", AliasARN(key.Account, key.Region, name))
	}
	return touchAlias(tx, key.Account, key.Region, name, key.ID)
}

// touchAlias notes in the transaction that an alias of some keys changes.
func touchAlias(tx *store.Tx, account, region, name string, keys ...string) error {
	if err := tx.Touch(topicAlias + account + "/" + region + "/" + name); err != nil {
		return err
	}
	for _, id := range keys {
		if err := touchKey(tx, id); err != nil {
			return err
		}
	}
	return nil
}

// UpdateAlias lets an alias stand for another key, of the same kind and for the same use. The error is *Error.
func (k *Keys) UpdateAlias(tx *store.Tx, key Key, name string) error {
	a, err := k.Alias(tx, key.Account, key.Region, name)
	if err != nil {
		return err
	}
	target, err := k.allowed(tx, key, UpdateAlias)
	if err != nil {
		return err
	}
	before, err := k.Key(tx, a.KeyID)
	if err != nil {
		return err
	}
	if before.Usage != target.Usage || before.Symmetric() != target.Symmetric() {
		return Errorf(CodeValidation, "Alias %s cannot be changed from a key of type %s to a key of type %s", a.ARN, kindOf(before), kindOf(target))
	}
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM kms_alias WHERE key = $1`, key.ID).Scan(&n); err != nil {
		return fmt.Errorf("count the aliases of key %s: %w", key.ID, err)
	}
	if n >= MaxAliases && before.ID != target.ID {
		return Errorf(CodeLimitExceeded, "The key %s has %d aliases, which is as many as it may have.", key.ARN, n)
	}
	if _, err := tx.Exec(`UPDATE kms_alias SET key = $1, updated_at = $2 WHERE account = $3 AND region = $4 AND name = $5`,
		key.ID, k.now(), key.Account, key.Region, name); err != nil {
		return fmt.Errorf("update alias %s: %w", name, err)
	}
	return touchAlias(tx, key.Account, key.Region, name, a.KeyID, key.ID)
}

// kindOf is what keys must have alike for an alias to change from one to the other.
func kindOf(k Key) string {
	if k.Symmetric() {
		return "Symmetric/" + k.Usage
	}
	return "Asymmetric/" + k.Usage
}

// DeleteAlias takes a name from the key that it stands for. The error is *Error.
func (k *Keys) DeleteAlias(tx *store.Tx, account, region, name string) error {
	a, err := k.Alias(tx, account, region, name)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM kms_alias WHERE account = $1 AND region = $2 AND name = $3`, account, region, name); err != nil {
		return fmt.Errorf("delete alias %s: %w", name, err)
	}
	return touchAlias(tx, account, region, name, a.KeyID)
}

// Aliases returns the aliases of an account in a region, in the order of their names after one of them, and at most limit.
func (k *Keys) Aliases(tx *store.Tx, account, region, after string, limit int) ([]Alias, error) {
	rows, err := tx.Query(`SELECT `+aliasColumns+` FROM kms_alias WHERE account = $1 AND region = $2 AND name > $3 ORDER BY name LIMIT $4`, account, region, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list aliases: %w", err)
	}
	return store.Collect(rows, scanAlias(account, region))
}

// AliasesOf returns the aliases of a key, in the order of their names after one of them, and at most limit.
func (k *Keys) AliasesOf(tx *store.Tx, key Key, after string, limit int) ([]Alias, error) {
	rows, err := tx.Query(`SELECT `+aliasColumns+` FROM kms_alias WHERE key = $1 AND name > $2 ORDER BY name LIMIT $3`, key.ID, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list the aliases of key %s: %w", key.ID, err)
	}
	return store.Collect(rows, scanAlias(key.Account, key.Region))
}
