package identity

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
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
}

// credentialKey names a credential in memory: an access key alone, or the hash of a session token or registry token.
type credentialKey struct {
	id  string
	sum [sha256.Size]byte
}

// remembered is a credential that was checked, good while the identities are as they were then.
type remembered struct {
	credential Credential
	grant      grant
	epoch      uint64
}

// maxRemembered bounds the memory.
const maxRemembered = 10_000

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
	key := credentialKey{id: keyID}
	if !token.Empty() {
		key.sum = sha256.Sum256([]byte(token.Reveal()))
	}
	r, err := d.recall(ctx, key, func() (remembered, error) { return d.load(keyID, token) })
	if errors.Is(err, ErrTokenInvalid) || errors.Is(err, iam.ErrGone) || errors.Is(err, iam.ErrNoAccount) {
		err = ErrUnknownKey
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
func (d *Directory) recall(ctx context.Context, key credentialKey, load func() (remembered, error)) (remembered, error) {
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
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.callers) >= maxRemembered {
		clear(d.callers)
	}
	d.callers[key] = r
	return r, nil
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

// grant is the plain text of sessions and tokens: whom they stand for, and how long.
type grant struct {
	// Owner is the unique id of the user or role, or the account's id for its root; empty where Key says it.
	Owner   string `json:"o,omitempty"`
	Account string `json:"c,omitempty"`
	// Key is the access key that the holder signs with, or signed with when the token was issued.
	Key string `json:"k"`
	// Secret is the secret of temporary credentials.
	Secret  string   `json:"s,omitempty"`
	Session *Session `json:"t,omitempty"`
	// Region and Subject are what a token is good for.
	Region  string `json:"g,omitempty"`
	Subject string `json:"u,omitempty"`
	// Issued and Expires are in microseconds since 1970; 0 for never.
	Issued  int64 `json:"i,omitempty"`
	Expires int64 `json:"e,omitempty"`
}

// grantOf makes the grant of a token for a caller, which ends with the caller's session.
func (d *Directory) grantOf(c Caller, life time.Duration) grant {
	now := d.now()
	g := grant{Owner: c.Principal.ID, Account: c.Principal.Account, Key: c.AccessKeyID, Session: c.Session,
		Issued: now.UnixMicro(), Expires: now.Add(life).UnixMicro()}
	if g.Owner == "" {
		g.Owner = c.Principal.Account
	}
	if c.Session != nil {
		g.Issued = c.Session.Issued
		g.Expires = min(g.Expires, c.Session.Expires)
	}
	return g
}

// Uses of tokens; a token of one use is none of another.
const (
	useSession  = "session"
	useRegistry = "registry-token"
	useDownload = "download"
)

// maxToken bounds the length of a token, in bytes.
const maxToken = 16 << 10

func (d *Directory) seal(use string, g grant) (secret.Text, error) {
	text, err := json.Marshal(g)
	if err != nil {
		return secret.Text{}, fmt.Errorf("encode a token: %w", err)
	}
	sealed, err := seal.SealBytes(d.key, []byte(use), text)
	if err != nil {
		return secret.Text{}, fmt.Errorf("seal a token: %w", err)
	}
	return secret.New(base64.RawURLEncoding.EncodeToString(sealed)), nil
}

// open reads a token. The error is ErrTokenInvalid.
func (d *Directory) open(use, token string) (grant, error) {
	// The decoder would skip line breaks, and a token would have many forms.
	if len(token) > maxToken || strings.ContainsAny(token, "\r\n") {
		return grant{}, ErrTokenInvalid
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return grant{}, ErrTokenInvalid
	}
	text, err := seal.OpenBytes(d.key, []byte(use), sealed)
	if err != nil {
		return grant{}, ErrTokenInvalid
	}
	var g grant
	if err := json.Unmarshal(text, &g); err != nil {
		return grant{}, ErrTokenInvalid
	}
	if g.Session != nil {
		g.Session.compile()
	}
	return g, nil
}
