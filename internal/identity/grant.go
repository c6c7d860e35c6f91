package identity

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/secret"
)

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
	useMessage  = "authorization-message"
)

// maxToken bounds the length of a token, in bytes, and maxGrant that of its plain text.
const (
	maxToken = 16 << 10
	maxGrant = 64 << 10
)

func (d *Directory) seal(use string, g grant) (secret.Text, error) {
	text, err := json.Marshal(g)
	if err != nil {
		return secret.Text{}, fmt.Errorf("encode a token: %w", err)
	}
	token, err := d.sealText(use, text)
	if err != nil {
		return secret.Text{}, fmt.Errorf("seal a token: %w", err)
	}
	return secret.New(token), nil
}

// open reads a token. The error is ErrTokenInvalid.
func (d *Directory) open(use, token string) (grant, error) {
	text, err := d.openText(use, token)
	if err != nil {
		return grant{}, err
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

// The first byte of a plain text says whether the rest is compressed.
const (
	plain      = 0
	compressed = 1
)

// compressFrom is how long a text must be to be compressed, in bytes: below it there is not enough to gain.
const compressFrom = 512

// sealText seals a text for one use, as characters that stand in headers and addresses as they are.
func (d *Directory) sealText(use string, text []byte) (string, error) {
	form := append([]byte{plain}, text...)
	if len(text) >= compressFrom {
		form = append([]byte{compressed}, compress(text)...)
	}
	sealed, err := seal.SealBytes(d.key, []byte(use), form)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// openText opens what sealText sealed. The error is ErrTokenInvalid.
func (d *Directory) openText(use, token string) ([]byte, error) {
	// The decoder would skip line breaks, and a token would have many forms.
	if len(token) > maxToken || strings.ContainsAny(token, "\r\n") {
		return nil, ErrTokenInvalid
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return nil, ErrTokenInvalid
	}
	form, err := seal.OpenBytes(d.key, []byte(use), sealed)
	if err != nil || len(form) == 0 {
		return nil, ErrTokenInvalid
	}
	switch form[0] {
	case plain:
		return form[1:], nil
	case compressed:
		if text, err := expand(form[1:]); err == nil {
			return text, nil
		}
	}
	return nil, ErrTokenInvalid
}

// Compressors take much to make, so they are used again.
var compressors = sync.Pool{New: func() any {
	// The level is one that there is.
	w, _ := flate.NewWriter(nil, flate.BestCompression)
	return w
}}

func compress(text []byte) []byte {
	w := compressors.Get().(*flate.Writer)
	defer compressors.Put(w)
	var out bytes.Buffer
	w.Reset(&out)
	// Writing to a buffer doesn't fail.
	_, _ = w.Write(text)
	_ = w.Close()
	return out.Bytes()
}

var errTooLong = errors.New("the text is too long")

func expand(form []byte) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(form)), maxGrant+1))
	if err == nil && len(text) > maxGrant {
		err = errTooLong
	}
	return text, err
}
