package identity

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/seal"
)

// TokenLifetime is how long a registry token is good for.
const TokenLifetime = 12 * time.Hour

// Errors of tokens.
var (
	ErrTokenInvalid = errors.New("the token was not issued here or was altered")
	ErrTokenExpired = errors.New("the token has expired")
)

// Tokens issues and checks the tokens that stand for a principal where requests can't be signed. A token is sealed, so
// it says nothing to who holds it; checking one needs no I/O. It is safe for concurrent use.
type Tokens struct {
	key seal.Key
	now func() time.Time

	mu       sync.RWMutex
	verdicts map[[sha256.Size]byte]verdict
}

// RegistryToken is what a token of the docker endpoint carries.
type RegistryToken struct {
	Caller Caller
	// Region is where the token was issued and the only one it is good for.
	Region  string
	Expires time.Time
}

type verdict struct {
	token RegistryToken
	until time.Time
}

const (
	// verdictLife is how long a checked token is taken as checked without opening it again.
	verdictLife = 5 * time.Second
	maxVerdicts = 10_000
	// maxToken bounds the length of a token, in bytes.
	maxToken = 4 << 10
)

// Uses of tokens; a token of one use is none of another.
const (
	useRegistry = "registry-token"
	useDownload = "download"
)

// NewTokens returns the tokens sealed under key. A nil now is time.Now.
func NewTokens(key seal.Key, now func() time.Time) *Tokens {
	if now == nil {
		now = time.Now
	}
	return &Tokens{key: key, now: now, verdicts: map[[sha256.Size]byte]verdict{}}
}

// claims is the plain text of a token.
type claims struct {
	ARN       string `json:"a"`
	Account   string `json:"c"`
	Root      bool   `json:"r,omitempty"`
	Type      string `json:"t"`
	Principal string `json:"p"`
	KeyID     string `json:"k"`
	Region    string `json:"g,omitempty"`
	Subject   string `json:"s,omitempty"`
	Expires   int64  `json:"e"` // microseconds since the epoch
}

func claimsOf(c Caller, expires time.Time) claims {
	return claims{ARN: c.Principal.ARN, Account: c.Principal.Account, Root: c.Principal.Root, Type: c.Type,
		Principal: c.PrincipalID, KeyID: c.AccessKeyID, Expires: expires.UnixMicro()}
}

func (c claims) caller() Caller {
	return Caller{Principal: policy.Principal{ARN: c.ARN, Account: c.Account, Root: c.Root}, Type: c.Type,
		PrincipalID: c.Principal, AccessKeyID: c.KeyID}
}

// Issue makes a registry token for the caller, and says when it expires. It holds no colon, since clients split user and
// password there.
func (t *Tokens) Issue(c Caller, region string) (token Secret, expires time.Time, err error) {
	expires = t.now().Add(TokenLifetime)
	cl := claimsOf(c, expires)
	cl.Region = region
	token, err = t.seal(useRegistry, cl)
	return token, expires, err
}

// Check opens a registry token. The error is ErrTokenInvalid or ErrTokenExpired.
func (t *Tokens) Check(token string) (RegistryToken, error) {
	if len(token) > maxToken {
		return RegistryToken{}, ErrTokenInvalid
	}
	now := t.now()
	sum := sha256.Sum256([]byte(token))
	t.mu.RLock()
	v, ok := t.verdicts[sum]
	t.mu.RUnlock()
	if ok && now.Before(v.until) && now.Before(v.token.Expires) {
		return v.token, nil
	}
	cl, err := t.open(useRegistry, token)
	if err != nil {
		return RegistryToken{}, err
	}
	checked := RegistryToken{Caller: cl.caller(), Region: cl.Region, Expires: time.UnixMicro(cl.Expires)}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.verdicts) >= maxVerdicts {
		clear(t.verdicts)
	}
	t.verdicts[sum] = verdict{token: checked, until: now.Add(verdictLife)}
	return checked, nil
}

// IssueDownload makes a token with which the caller may be taken for itself once more, for one subject, such as a layer
// of a repository, until it expires.
func (t *Tokens) IssueDownload(c Caller, subject string, life time.Duration) (Secret, error) {
	cl := claimsOf(c, t.now().Add(life))
	cl.Subject = subject
	return t.seal(useDownload, cl)
}

// CheckDownload opens a download token and returns who it was issued to and for what. The error is ErrTokenInvalid or
// ErrTokenExpired.
func (t *Tokens) CheckDownload(token string) (c Caller, subject string, err error) {
	cl, err := t.open(useDownload, token)
	if err != nil {
		return Caller{}, "", err
	}
	return cl.caller(), cl.Subject, nil
}

func (t *Tokens) seal(use string, c claims) (Secret, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return Secret{}, fmt.Errorf("encode a token: %w", err)
	}
	sealed, err := seal.SealBytes(t.key, []byte(use), text)
	if err != nil {
		return Secret{}, fmt.Errorf("seal a token: %w", err)
	}
	return NewSecret(base64.RawURLEncoding.EncodeToString(sealed)), nil
}

func (t *Tokens) open(use, token string) (claims, error) {
	// The decoder would skip line breaks, and a token would have many forms.
	if len(token) > maxToken || strings.ContainsAny(token, "\r\n") {
		return claims{}, ErrTokenInvalid
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return claims{}, ErrTokenInvalid
	}
	text, err := seal.OpenBytes(t.key, []byte(use), sealed)
	if err != nil {
		return claims{}, ErrTokenInvalid
	}
	var c claims
	if err := json.Unmarshal(text, &c); err != nil {
		return claims{}, ErrTokenInvalid
	}
	if !t.now().Before(time.UnixMicro(c.Expires)) {
		return claims{}, ErrTokenExpired
	}
	return c, nil
}
