package identity

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/secret"
)

// Errors of credentials.
var (
	// ErrUnknownKey means that there is no such credential, or none any more.
	ErrUnknownKey = iam.ErrUnknownKey
	// ErrTokenInvalid means that a token was not issued here, was altered, or is void.
	ErrTokenInvalid = errors.New("the token was not issued here, was altered or is void")
	// ErrTokenExpired means that a token is no longer good.
	ErrTokenExpired = errors.New("the token has expired")
)

// Directory answers who a credential belongs to. It is safe for concurrent use.
type Directory struct {
	iam *iam.Store
	key seal.Key
	now func() time.Time

	mu      sync.RWMutex
	callers map[credentialKey]remembered
	bytes   int // of the tokens in callers
}

// credentialKey names a credential in memory: an access key, the hash of a session token with it, or that of another token,
// by its use.
type credentialKey struct {
	use, id string
	sum     [sha256.Size]byte
}

func newCredentialKey(use, id, token string) credentialKey {
	return credentialKey{use, id, sha256.Sum256([]byte(token[:min(len(token), maxToken+1)]))}
}

// remembered is a credential that was checked, good while the identities are as they were then.
type remembered struct {
	credential Credential
	grant      grant
	epoch      uint64
}

// How many credentials are remembered, and how many bytes of their tokens, on which it depends how much each takes.
const (
	maxRemembered      = 10_000
	maxRememberedBytes = 8 << 20
)

// Credential is what a signature is checked with, and who made it if it is good.
type Credential struct {
	Secret secret.Text
	Caller Caller
}

// NewDirectory returns the directory of the identities in s, which seals sessions and tokens under key. A nil now is
// time.Now.
func NewDirectory(s *iam.Store, key seal.Key, now func() time.Time) *Directory {
	if now == nil {
		now = time.Now
	}
	return &Directory{iam: s, key: key, now: now, callers: map[credentialKey]remembered{}}
}

// Authenticate finds an access key and, if the request carries one, its session token. The error is ErrUnknownKey or
// ErrTokenExpired.
func (d *Directory) Authenticate(ctx context.Context, keyID string, token secret.Text) (Credential, error) {
	key := newCredentialKey(useSession, keyID, token.Reveal())
	r, err := d.recall(ctx, key, len(token.Reveal()), func() (remembered, error) { return d.load(keyID, token) })
	if errors.Is(err, ErrTokenInvalid) || errors.Is(err, iam.ErrGone) || errors.Is(err, iam.ErrNoAccount) {
		err = ErrUnknownKey
	}
	if err == nil && r.credential.Secret.Empty() {
		return Credential{}, ErrUnknownKey // which anybody could sign with
	}
	return r.credential, err
}

// load reads what a credential says of itself, which holds whatever happens to the identities.
func (d *Directory) load(keyID string, token secret.Text) (remembered, error) {
	if token.Empty() {
		return remembered{grant: grant{Key: keyID}}, nil
	}
	g, err := d.open(useSession, token.Reveal())
	if err != nil {
		return remembered{}, err
	}
	if g.Session == nil || g.Key != keyID {
		return remembered{}, ErrTokenInvalid
	}
	return remembered{grant: g, credential: Credential{Secret: secret.New(g.Secret)}}, nil
}

// recall returns a checked credential from memory, or loads and checks it.
func (d *Directory) recall(ctx context.Context, key credentialKey, size int, load func() (remembered, error)) (remembered, error) {
	epoch := d.iam.Epoch()
	d.mu.RLock()
	r, ok := d.callers[key]
	d.mu.RUnlock()
	if ok && r.epoch == epoch && !d.ended(r.grant) {
		return r, nil
	}
	if !ok {
		var err error
		if r, err = load(); err != nil {
			return remembered{}, err
		}
	}
	if d.ended(r.grant) {
		return remembered{}, ErrTokenExpired
	}
	text, caller, err := d.current(ctx, r.grant)
	if err != nil {
		return remembered{}, err
	}
	r.epoch, r.credential.Caller = epoch, caller
	if !text.Empty() {
		r.credential.Secret = text
	}
	d.remember(key, r, size)
	return r, nil
}

// remember keeps a credential whose token has so many bytes.
func (d *Directory) remember(key credentialKey, r remembered, size int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, again := d.callers[key]; !again {
		if len(d.callers) >= maxRemembered || d.bytes+size > maxRememberedBytes {
			clear(d.callers)
			d.bytes = 0
		}
		d.bytes += size
	}
	d.callers[key] = r
}

func (d *Directory) ended(g grant) bool {
	return g.Expires != 0 && !d.now().Before(time.UnixMicro(g.Expires))
}

// current finds out who a grant is for at this moment, and the secret of a long-term access key. The error is
// ErrUnknownKey, ErrTokenInvalid, iam.ErrGone or iam.ErrNoAccount.
func (d *Directory) current(ctx context.Context, g grant) (text secret.Text, c Caller, err error) {
	owner, account := g.Owner, g.Account
	parent := g.Key
	if g.Session != nil {
		parent = g.Session.Parent
	}
	if parent != "" {
		key, err := d.iam.AccessKey(ctx, parent)
		if err != nil {
			return text, c, err
		}
		if owner != "" && (key.Owner != owner || key.Account != account) {
			return text, c, ErrTokenInvalid
		}
		owner, account = key.Owner, key.Account
		if g.Session == nil {
			text = key.Secret
		}
	}
	a, err := d.iam.Account(ctx, account)
	if err != nil {
		return text, c, err
	}
	if !a.Active || g.Issued != 0 && time.UnixMicro(g.Issued).Before(a.TokensAfter) {
		return text, c, ErrTokenInvalid
	}
	if owner == account {
		c = rootCaller(account)
		c.Session = g.Session
		if g.Session != nil && g.Session.Kind == FederationSession {
			c.Type, c.PrincipalID = TypeFederated, account+":"+g.Session.Name
			c.Principal = federatedRoot(account, g.Session.Name)
		}
	} else {
		st, err := d.iam.Standing(ctx, account, owner)
		if err != nil {
			return text, c, err
		}
		c = callerOf(st, g.Session)
	}
	c.AccessKeyID = g.Key
	c.Keys = keysOf(c)
	return text, c, nil
}
