package iam

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/store"
)

// ErrUnknownKey means that no active access key has that id.
var ErrUnknownKey = errors.New("the access key is unknown or inactive")

// AccessKey is a long-term credential.
type AccessKey struct {
	ID      string
	Secret  secret.Text
	Account string
	// Owner is the unique id of the user, or the account's id for its root.
	Owner string
}

type accessKeyKey struct{ id string }

// unowned is the account under which keys are kept in memory that are known by their id alone.
const unowned = ""

// AccessKey finds an active access key, from memory if it can. The error is ErrUnknownKey.
func (s *Store) AccessKey(ctx context.Context, id string) (AccessKey, error) {
	account, err := s.AccountOfKey(ctx, id)
	if err != nil {
		return AccessKey{}, err
	}
	return cached(&s.cache, account, accessKeyKey{id}, func() (AccessKey, error) { return s.loadAccessKey(ctx, id) })
}

// AccountOfKey finds the account of a key, active or not, which never changes while the key exists. The error is
// ErrUnknownKey.
func (s *Store) AccountOfKey(ctx context.Context, id string) (string, error) {
	return cached(&s.cache, unowned, accessKeyKey{id}, func() (account string, err error) {
		err = s.db.View(ctx, func(tx *store.Tx) error {
			return tx.QueryRow(`SELECT account FROM access_key WHERE id = $1`, id).Scan(&account)
		})
		if errors.Is(err, store.ErrNoRows) {
			return "", ErrUnknownKey
		}
		return account, err
	})
}

func (s *Store) loadAccessKey(ctx context.Context, id string) (AccessKey, error) {
	key := AccessKey{ID: id}
	var sealed []byte
	err := s.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT principal, account, secret FROM access_key WHERE id = $1 AND active = 1`, id).
			Scan(&key.Owner, &key.Account, &sealed)
	})
	if errors.Is(err, store.ErrNoRows) {
		return AccessKey{}, ErrUnknownKey
	}
	if err != nil {
		return AccessKey{}, fmt.Errorf("look up an access key: %w", err)
	}
	text, err := seal.OpenBytes(s.secrets, secretContext(id), sealed)
	if err != nil {
		return AccessKey{}, fmt.Errorf("open the secret of access key %s: %w", id, err)
	}
	key.Secret = secret.New(string(text))
	if key.Owner == RootOf(key.Account) {
		key.Owner = key.Account
	}
	return key, nil
}

func secretContext(id string) []byte { return append([]byte("access-key\x00"), id...) }

// HasRootKey reports whether the account has an active root access key.
func (s *Store) HasRootKey(ctx context.Context, account string) (bool, error) {
	var n int
	err := s.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT count(*) FROM access_key WHERE account = $1 AND principal = $2 AND active = 1`,
			account, RootOf(account)).Scan(&n)
	})
	return n > 0, err
}

// PutRootKey makes the account, if it is new, and gives its root this access key, which replaces any other.
func (s *Store) PutRootKey(ctx context.Context, account, id string, text secret.Text) error {
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		if err := s.forgetKey(tx, account); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO account (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING`,
			account, "root", s.now().UnixMicro()); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM access_key WHERE account = $1 AND principal = $2`, account, RootOf(account)); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM access_key WHERE id = $1`, id); err != nil {
			return err
		}
		return s.insertKey(tx, account, RootOf(account), id, text)
	})
	if err != nil {
		return fmt.Errorf("store the root access key: %w", err)
	}
	return nil
}

// forgetKey notes that keys of an account come or go.
func (s *Store) forgetKey(tx *store.Tx, account string) error {
	return errors.Join(s.changed(tx, account), s.changed(tx, unowned))
}

func (s *Store) insertKey(tx *store.Tx, account, principal, id string, text secret.Text) error {
	sealed, err := seal.SealBytes(s.secrets, secretContext(id), []byte(text.Reveal()))
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO access_key (id, account, principal, secret, active, created_at) VALUES ($1, $2, $3, $4, 1, $5)`,
		id, account, principal, sealed, s.now().UnixMicro())
	return err
}

// NewAccessKey makes the id and the secret of a long-term access key, in the form that AWS's have.
func NewAccessKey() (id string, text secret.Text) { return newKey("AKIA") }

func newKey(prefix string) (id string, text secret.Text) {
	var raw [30]byte
	rand.Read(raw[:])
	// 30 bytes are 40 base64 characters without padding; rand.Text is base32, as the ids of AWS are.
	return prefix + rand.Text()[:16], secret.New(base64.StdEncoding.EncodeToString(raw[:]))
}

// ValidAccessKeyID reports whether id has the form of an access key id.
func ValidAccessKeyID(id string) bool {
	if len(id) < 16 || len(id) > 128 {
		return false
	}
	return strings.IndexFunc(id, func(r rune) bool {
		return !(r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_')
	}) < 0
}

// accessKeysPerUser is IAM's quota, for root too.
const accessKeysPerUser = 2

// KeyInfo is what may be shown of an access key.
type KeyInfo struct {
	ID        string
	Active    bool
	CreatedAt time.Time
	// UsedAt is zero, and Service and Region are empty, for a key that was never used.
	UsedAt          time.Time
	Service, Region string
}

// CreateAccessKey makes an access key of a user, or of the account's root if user is nil. The error is of code
// LimitExceeded.
func (s *Store) CreateAccessKey(tx *store.Tx, account string, user *User) (id string, text secret.Text, err error) {
	principal := principalOf(account, user)
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM access_key WHERE principal = $1`, principal).Scan(&n); err != nil {
		return "", secret.Text{}, err
	}
	if n >= accessKeysPerUser {
		return "", secret.Text{}, Errorf(LimitExceeded, "Cannot exceed quota for AccessKeysPerUser: %d", accessKeysPerUser)
	}
	if err := s.changed(tx, account); err != nil {
		return "", secret.Text{}, err
	}
	id, text = NewAccessKey()
	return id, text, s.insertKey(tx, account, principal, id, text)
}

// principalOf is whom the access keys of a user, or of the account's root if user is nil, belong to.
func principalOf(account string, user *User) string {
	if user == nil {
		return RootOf(account)
	}
	return user.ID
}

const keyInfoColumns = `id, active, created_at, used_at, used_service, used_region`

func scanKeyInfo(row store.Scanner) (KeyInfo, error) {
	var k KeyInfo
	var active, created int64
	var used *int64
	if err := row.Scan(&k.ID, &active, &created, &used, &k.Service, &k.Region); err != nil {
		return KeyInfo{}, err
	}
	k.Active, k.CreatedAt, k.UsedAt = active == 1, time.UnixMicro(created), moment(used)
	return k, nil
}

// KeyPage lists the access keys of a user, or of the account's root if user is nil, by id, after one; an empty one is the
// beginning.
func (s *Store) KeyPage(tx *store.Tx, account string, user *User, after string, n int) (keys []KeyInfo, more bool, err error) {
	rows, err := tx.Query(`SELECT `+keyInfoColumns+` FROM access_key WHERE principal = $1 AND id > $2 ORDER BY id LIMIT $3`,
		principalOf(account, user), after, n+1)
	if err != nil {
		return nil, false, err
	}
	return cut(rows, n, scanKeyInfo)
}

// Key finds an access key of a user, or of the account's root if user is nil. The error is of code NoSuchEntity.
func (s *Store) Key(tx *store.Tx, account string, user *User, id string) (KeyInfo, error) {
	k, err := scanKeyInfo(tx.QueryRow(`SELECT `+keyInfoColumns+` FROM access_key WHERE id = $1 AND principal = $2`, id, principalOf(account, user)))
	if errors.Is(err, store.ErrNoRows) {
		return KeyInfo{}, noKey(id)
	}
	return k, err
}

func noKey(id string) error {
	return Errorf(NoSuchEntity, "The Access Key with id %s cannot be found.", id)
}

// UpdateAccessKey makes an access key of a user, or of the account's root if user is nil, active or inactive. What was made
// with a key that is inactive, such as sessions and registry tokens, is void meanwhile. The error is of code NoSuchEntity.
func (s *Store) UpdateAccessKey(tx *store.Tx, account string, user *User, id string, active bool) error {
	if err := s.changed(tx, account); err != nil {
		return err
	}
	n, err := tx.Exec(`UPDATE access_key SET active = $1 WHERE id = $2 AND principal = $3`, active, id, principalOf(account, user))
	if err == nil && n == 0 {
		return noKey(id)
	}
	return err
}

// DeleteAccessKey deletes an access key of a user, or of the account's root if user is nil, and with it all that was made
// with it. The error is of code NoSuchEntity.
func (s *Store) DeleteAccessKey(tx *store.Tx, account string, user *User, id string) error {
	if err := s.forgetKey(tx, account); err != nil {
		return err
	}
	n, err := tx.Exec(`DELETE FROM access_key WHERE id = $1 AND principal = $2`, id, principalOf(account, user))
	if err == nil && n == 0 {
		return noKey(id)
	}
	return err
}

// KeyOwner finds who an access key of an account belongs to; nil is the account's root. The error is of code NoSuchEntity.
func (s *Store) KeyOwner(tx *store.Tx, account, id string) (*User, error) {
	var principal string
	err := tx.QueryRow(`SELECT principal FROM access_key WHERE id = $1 AND account = $2`, id, account).Scan(&principal)
	if errors.Is(err, store.ErrNoRows) {
		return nil, noKey(id)
	}
	if err != nil || principal == RootOf(account) {
		return nil, err
	}
	u, err := s.UserByID(tx, account, principal)
	return &u, err
}
