package kms

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

// Root is the root of trust: it wraps the installation key and nothing else, and it may be far away. Its methods do I/O,
// so that they are never called inside a transaction.
type Root interface {
	// Wrap encrypts a key, bound to its context.
	Wrap(ctx context.Context, plaintext []byte, c Context) ([]byte, error)
	// Unwrap decrypts what Wrap made with an equal context. The error is ErrWrongRoot when the root answers that this is
	// not its own, ErrRootRefused when it answers that its key is gone, disabled or forbidden, and ErrRootUnavailable
	// when it gives no such answer.
	Unwrap(ctx context.Context, wrapped []byte, c Context) ([]byte, error)
	// String names the root for the operator, as --root-key does, without secrets. What comes before the first colon is
	// the kind of root.
	String() string
}

// Renewer is a root whose own key can be made anew. The new key becomes the root's when finish returns; until then both
// keys open what they wrapped, even after a crash.
type Renewer interface {
	Root
	// Renew makes a new key durably. It is given up by making another.
	Renew(ctx context.Context) (next Root, finish func(context.Context) error, err error)
}

// DirectRoot is a root that wrapped the service keys itself, before there were installation keys.
type DirectRoot interface {
	Root
	// OpenDirect opens a short text that was sealed under the root's own key.
	OpenDirect(ctx context.Context, aad, sealed []byte) ([]byte, error)
}

// Errors of roots.
var (
	// ErrWrongRoot means that the root is that of another installation.
	ErrWrongRoot = errors.New("the root key does not open this data: it belongs to another installation")
	// ErrRootUnavailable means that the root gave no answer, and that what depends on it can't be opened for now.
	ErrRootUnavailable = errors.New("the root of trust can't be reached")
	// ErrRootRefused means that the root answered that its key is gone, disabled or forbidden.
	ErrRootRefused = errors.New("the root of trust refuses its key")
)

// RootKind is the part of a root's name that says what kind it is, such as "file" or "vault".
func RootKind(name string) string {
	kind, _, _ := strings.Cut(name, ":")
	return kind
}

// settingInstallationKey holds the record.
const settingInstallationKey = "installation-key"

// record is the installation key at rest: wrapped, with the name of the root that wrapped it.
type record struct {
	// ID names the installation key, drawn at random.
	ID   string `json:"id"`
	Root string `json:"root"`
	// Wrapped is what the root made of the key.
	Wrapped []byte `json:"wrapped"`
	// Since is when this root came to wrap the installation's key, and Made when this key was made, in microseconds
	// since the Unix epoch.
	Since int64 `json:"since"`
	Made  int64 `json:"made"`
	// Rotations counts the keys before this one.
	Rotations int64 `json:"rotations"`
}

// context binds the wrapped installation key to its installation and id.
func (r record) context(installation string) Context {
	return Context{"coffer:installation": installation, "coffer:key": r.ID}
}

// newRecord makes an installation key and has the root wrap it. What the root made is opened again before anything
// depends on it.
func newRecord(ctx context.Context, root Root, installation string) (record, seal.Key, error) {
	key := seal.NewKey()
	now := time.Now().UnixMicro()
	r := record{ID: hex.EncodeToString(seal.NewKey().Bytes()[:16]), Root: root.String(), Since: now, Made: now}
	var err error
	if r.Wrapped, err = root.Wrap(ctx, key.Bytes(), r.context(installation)); err != nil {
		return record{}, seal.Key{}, fmt.Errorf("wrap the installation key: %w", err)
	}
	opened, err := r.open(ctx, root, installation)
	if err != nil {
		return record{}, seal.Key{}, fmt.Errorf("open the installation key that was just wrapped: %w", err)
	}
	if !opened.Equal(key) {
		return record{}, seal.Key{}, fmt.Errorf("%s opens another key than it wrapped", root)
	}
	return r, key, nil
}

// open has the root unwrap the installation key.
func (r record) open(ctx context.Context, root Root, installation string) (seal.Key, error) {
	raw, err := root.Unwrap(ctx, r.Wrapped, r.context(installation))
	if err != nil {
		return seal.Key{}, err
	}
	key, err := seal.KeyFromBytes(raw)
	if err != nil {
		return seal.Key{}, fmt.Errorf("%w (it answers %d bytes)", ErrWrongRoot, len(raw))
	}
	return key, nil
}

// checkKind refuses a root of another kind than the one that wrapped the key.
func (r record) checkKind(given string) error {
	if RootKind(r.Root) == RootKind(given) {
		return nil
	}
	return fmt.Errorf("the keys of this data are wrapped by %s, not by %s; start with --root-key %s, and to move them run: coffer root-key rotate --to %s",
		r.Root, given, r.Root, given)
}

// getRecord reads the record; it is empty if there is none.
func getRecord(tx *store.Tx) (r record, err error) {
	value, err := setting(tx, settingInstallationKey)
	if err != nil || value == nil {
		return r, err
	}
	if err := json.Unmarshal(value, &r); err != nil || r.ID == "" {
		return record{}, fmt.Errorf("the installation key is stored in an unknown form: %w", ErrWrongRoot)
	}
	return r, nil
}

func putRecord(tx *store.Tx, r record) error {
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
		settingInstallationKey, value)
	return err
}

// CheckRoot refuses a root, by its name, that is of another kind than the one that the database was made with. It says
// also whether the database belongs to an installation already, which then has a root.
func CheckRoot(ctx context.Context, db *store.DB, given string) (initialized bool, err error) {
	err = db.View(ctx, func(tx *store.Tx) error {
		installation, err := setting(tx, settingInstallation)
		if err != nil {
			return err
		}
		r, err := getRecord(tx)
		if initialized = installation != nil; err != nil || !initialized {
			return err
		}
		if r.ID == "" {
			// Before there were installation keys, roots were files.
			r.Root = "file"
			if RootKind(given) != "file" {
				return fmt.Errorf("the keys of this data are wrapped by a file; start with it once, without --root-key or with --root-key file:PATH, and then run: coffer root-key rotate --to %s", given)
			}
		}
		return r.checkKind(given)
	})
	return initialized, err
}
