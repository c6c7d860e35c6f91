package registry

import (
	"errors"
	"fmt"
	"slices"

	"github.com/coffer-registry/coffer/internal/store"
)

// Setting names a setting of a registry, as ECR does.
type Setting string

// The settings.
const (
	// PolicyScope says what the registry's policy is about: V1 three actions that others need for replication and
	// pull-through, V2 all.
	PolicyScope Setting = "REGISTRY_POLICY_SCOPE"
	// BlobMounting says whether layers may be taken from one repository into another without being sent again.
	BlobMounting Setting = "BLOB_MOUNTING"
)

const (
	scopeV1, scopeV2  = "V1", "V2"
	enabled, disabled = "ENABLED", "DISABLED"
)

// settingValues are the values that each setting takes, the default first. Of ECR it is not certain that mounting is
// disabled at first; here a mount asks for the right to read the source and moves nothing out of its encryption domain, so
// that there is no reason to have clients send bytes that are there.
var settingValues = map[Setting][]string{
	PolicyScope:  {scopeV2, scopeV1},
	BlobMounting: {enabled, disabled},
}

// SettingError means that a setting does not take a value.
type SettingError struct {
	Setting Setting
	// Values are those that it takes.
	Values []string
}

func (e *SettingError) Error() string {
	return fmt.Sprintf("setting %s takes %v", e.Setting, e.Values)
}

// Setting is the value of a setting, which is the default until another is put.
func (r *Registry) Setting(tx *store.Tx, id ID, name Setting) (value string, err error) {
	err = tx.QueryRow(`SELECT value FROM account_setting WHERE account = $1 AND region = $2 AND name = $3`,
		id.Account, id.Region, string(name)).Scan(&value)
	if errors.Is(err, store.ErrNoRows) {
		return settingValues[name][0], nil
	}
	if err != nil {
		return "", fmt.Errorf("read setting %s: %w", name, err)
	}
	return value, nil
}

// PutSetting gives a setting a value. The error is *SettingError.
func (r *Registry) PutSetting(tx *store.Tx, id ID, name Setting, value string) error {
	if values := settingValues[name]; !slices.Contains(values, value) {
		return &SettingError{name, slices.Sorted(slices.Values(values))}
	}
	if _, err := tx.Exec(`INSERT INTO account_setting (account, region, name, value) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account, region, name) DO UPDATE SET value = excluded.value`, id.Account, id.Region, string(name), value); err != nil {
		return fmt.Errorf("put setting %s: %w", name, err)
	}
	return changed(tx, id.Account)
}
