// Package identity knows who is calling: accounts, their access keys, and the registry tokens that stand for a
// principal at the docker endpoint.
//
// It authenticates and does not authorise. Secrets leave it only to the signature check. An unknown, an inactive and a
// deleted access key are the same to a caller.
package identity

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

// ErrUnknownKey means that no active access key has that id.
var ErrUnknownKey = errors.New("the access key is unknown or inactive")

// Secret is a secret access key or a token. It never prints: fmt calls no methods on what an unexported field holds, so
// the text lies behind a pointer.
type Secret struct{ text *string }

// NewSecret wraps the text of a secret.
func NewSecret(text string) Secret { return Secret{&text} }

// Reveal returns the secret's text, for the signature check and the credentials file. It is empty for the zero value.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

const redacted = "[secret]"

// String hides the secret.
func (Secret) String() string { return redacted }

// GoString hides the secret.
func (Secret) GoString() string { return redacted }

// Format hides the secret from every verb.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue hides the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Caller is an authenticated principal. The zero value is nobody.
type Caller struct {
	Principal policy.Principal
	// Type is "Root", as userIdentity in CloudTrail has it.
	Type string
	// PrincipalID is the unique id of the principal: for the root of an account, the account's id.
	PrincipalID string
	// AccessKeyID is the key that the caller signed with, or with which its registry token was issued.
	AccessKeyID string
}

// Anonymous reports whether nobody was authenticated.
func (c Caller) Anonymous() bool { return c.Principal.ARN == "" }

// AccessKey is a long-term credential and the principal it belongs to.
type AccessKey struct {
	ID     string
	Secret Secret
	Caller Caller
}

// Directory answers who a credential belongs to. It is safe for concurrent use.
type Directory struct {
	db      *store.DB
	secrets seal.Key

	mu   sync.RWMutex
	keys map[string]AccessKey
	// epoch counts the changes of keys: what was read before one must not be remembered after it.
	epoch uint64
}

// maxCachedKeys bounds the memory of the cache of access keys.
const maxCachedKeys = 10_000

// NewDirectory returns the directory kept in db, whose secrets are sealed under secrets.
func NewDirectory(db *store.DB, secrets seal.Key) *Directory {
	return &Directory{db: db, secrets: secrets, keys: map[string]AccessKey{}}
}

// AccessKey finds an active access key. The error is ErrUnknownKey.
func (d *Directory) AccessKey(ctx context.Context, id string) (AccessKey, error) {
	d.mu.RLock()
	key, ok := d.keys[id]
	epoch := d.epoch
	d.mu.RUnlock()
	if ok {
		return key, nil
	}
	key, err := d.load(ctx, id)
	if err != nil {
		return AccessKey{}, err
	}
	d.remember(key, epoch)
	return key, nil
}

func (d *Directory) load(ctx context.Context, id string) (AccessKey, error) {
	var principal, account string
	var sealed []byte
	err := d.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT principal, account, secret FROM access_key WHERE id = $1 AND active = 1`, id).
			Scan(&principal, &account, &sealed)
	})
	if errors.Is(err, store.ErrNoRows) {
		return AccessKey{}, ErrUnknownKey
	}
	if err != nil {
		return AccessKey{}, fmt.Errorf("look up an access key: %w", err)
	}
	secret, err := seal.OpenBytes(d.secrets, secretContext(id), sealed)
	if err != nil {
		return AccessKey{}, fmt.Errorf("open the secret of access key %s: %w", id, err)
	}
	return AccessKey{ID: id, Secret: NewSecret(string(secret)), Caller: rootCaller(account, principal, id)}, nil
}

// remember caches a key that was read at an epoch.
func (d *Directory) remember(key AccessKey, epoch uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if epoch != d.epoch {
		return
	}
	if len(d.keys) >= maxCachedKeys {
		clear(d.keys)
	}
	d.keys[key.ID] = key
}

// rootCaller makes the caller of a root access key; no other principals exist yet.
func rootCaller(account, principal, keyID string) Caller {
	return Caller{
		Principal:   policy.Principal{ARN: principal, Account: account, Root: principal == arn.Root(account).String()},
		Type:        "Root",
		PrincipalID: account,
		AccessKeyID: keyID,
	}
}

// AccountExists reports whether there is such an account.
func (d *Directory) AccountExists(ctx context.Context, id string) (bool, error) {
	var n int
	err := d.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT count(*) FROM account WHERE id = $1`, id).Scan(&n)
	})
	return n > 0, err
}

// HasRootKey reports whether the account has an active root access key.
func (d *Directory) HasRootKey(ctx context.Context, account string) (bool, error) {
	var n int
	err := d.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT count(*) FROM access_key WHERE account = $1 AND principal = $2 AND active = 1`,
			account, arn.Root(account).String()).Scan(&n)
	})
	return n > 0, err
}

// PutRootKey makes the account, if it is new, and gives it this root access key, which replaces any other.
func (d *Directory) PutRootKey(ctx context.Context, account, id string, secret Secret) error {
	sealed, err := seal.SealBytes(d.secrets, secretContext(id), []byte(secret.Reveal()))
	if err != nil {
		return err
	}
	principal := arn.Root(account).String()
	now := time.Now().UnixMicro()
	err = d.db.Update(ctx, func(tx *store.Tx) error {
		tx.OnCommit(d.forget)
		if _, err := tx.Exec(`INSERT INTO account (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING`, account, "root", now); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM access_key WHERE (account = $1 AND principal = $2) OR id = $3`, account, principal, id); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO access_key (id, account, principal, secret, active, created_at) VALUES ($1, $2, $3, $4, 1, $5)`,
			id, account, principal, sealed, now)
		return err
	})
	if err != nil {
		return fmt.Errorf("store the root access key: %w", err)
	}
	return nil
}

func (d *Directory) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.epoch++
	clear(d.keys)
}

func secretContext(id string) []byte { return append([]byte("access-key\x00"), id...) }

// NewAccessKey makes the id and the secret of an access key, in the form that AWS's have.
func NewAccessKey() (id string, secret Secret) {
	var raw [30]byte
	rand.Read(raw[:])
	// 30 bytes are 40 base64 characters without padding; rand.Text is base32, as the ids of AWS are.
	return "AKIA" + rand.Text()[:16], NewSecret(base64.StdEncoding.EncodeToString(raw[:]))
}

// ValidAccessKeyID reports whether id has the form of a long-term access key id.
func ValidAccessKeyID(id string) bool {
	if len(id) < 16 || len(id) > 128 {
		return false
	}
	return strings.IndexFunc(id, func(r rune) bool {
		return !(r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_')
	}) < 0
}

// Check opens the secret of every access key and returns how many there are. It tells fault of each that doesn't open.
func (d *Directory) Check(ctx context.Context, fault func(string)) (keys int, err error) {
	var ids []string
	err = d.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT id FROM access_key WHERE active = 1 ORDER BY id`)
		if err != nil {
			return err
		}
		ids, err = store.Collect(rows, store.Value[string])
		return err
	})
	for _, id := range ids {
		if _, err := d.AccessKey(ctx, id); err != nil {
			fault(err.Error())
		}
	}
	return len(ids), err
}
