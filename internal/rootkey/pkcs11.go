//go:build pkcs11

package rootkey

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/secret"
)

// token is an AES key in a PKCS#11 token, such as an HSM. Each use has a session of its own, so that a token that was taken
// away and put back is found again.
type token struct {
	name          string
	module        string
	label, object string
	pinFile       string
	timeout       time.Duration
	// turn is held by who speaks to the module, which can't be told to stop.
	turn chan struct{}
	ctx  *pkcs11.Ctx
	// badPIN was refused, and is not tried again: a token locks itself after a few of these.
	badPIN secret.Text
}

// wrappedByToken begins what a token's key wrapped, and is part of what it is bound to.
const wrappedByToken = "coffer-pkcs11-1\x00"

const (
	ivSize  = 12
	tagBits = 128
)

// newPKCS11 reads a URI as RFC 7512 has it: pkcs11:token=T;object=K?module-path=FILE&pin-source=file:FILE.
func newPKCS11(_ *url.URL, text string, o Options) (kms.Root, error) {
	path, query, _ := strings.Cut(strings.TrimPrefix(text, kindPKCS11+":"), "?")
	attributes, err := uriAttributes(path, ";", "token", "object", "type")
	if err != nil {
		return nil, err
	}
	values, err := uriAttributes(query, "&", "module-path", "pin-source")
	if err != nil {
		return nil, err
	}
	t := &token{label: attributes["token"], object: attributes["object"], module: values["module-path"],
		pinFile: strings.TrimPrefix(strings.TrimPrefix(values["pin-source"], "file://"), "file:"), timeout: o.Timeout, turn: make(chan struct{}, 1)}
	if t.label == "" || t.object == "" || t.module == "" || t.pinFile == "" {
		return nil, errors.New("lacks something: pkcs11:token=LABEL;object=LABEL?module-path=FILE&pin-source=file:FILE")
	}
	if t.timeout == 0 {
		t.timeout = 10 * time.Second
	}
	t.name = kindPKCS11 + ":token=" + url.PathEscape(t.label) + ";object=" + url.PathEscape(t.object)
	return t, nil
}

// uriAttributes reads attributes of a URI, of which only these names are known.
func uriAttributes(text, separator string, known ...string) (map[string]string, error) {
	out := map[string]string{}
	for part := range strings.SplitSeq(text, separator) {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		value, err := url.PathUnescape(value)
		if err != nil || !slices.Contains(known, name) || out[name] != "" {
			return nil, fmt.Errorf("has an attribute that is none of %s, or twice one", strings.Join(known, ", "))
		}
		out[name] = value
	}
	return out, nil
}

// String is the URI of the key, without where the PIN is.
func (t *token) String() string { return t.name }

// Wrap has the token encrypt a key with AES-GCM.
func (t *token) Wrap(ctx context.Context, plaintext []byte, c kms.Context) ([]byte, error) {
	return t.use(ctx, func(s pkcs11.SessionHandle, key pkcs11.ObjectHandle) ([]byte, error) {
		out, err := t.encrypt(s, key, plaintext, c.Encode([]byte(wrappedByToken)))
		if err != nil {
			return nil, unavailable(t.name, err)
		}
		return append([]byte(wrappedByToken), out...), nil
	})
}

// Unwrap has the token decrypt what Wrap made.
func (t *token) Unwrap(ctx context.Context, wrapped []byte, c kms.Context) ([]byte, error) {
	sealed, ok := bytes.CutPrefix(wrapped, []byte(wrappedByToken))
	if !ok || len(sealed) < ivSize+tagBits/8 {
		return nil, kms.ErrWrongRoot
	}
	return t.use(ctx, func(s pkcs11.SessionHandle, key pkcs11.ObjectHandle) ([]byte, error) {
		plaintext, err := t.decrypt(s, key, sealed, c.Encode([]byte(wrappedByToken)))
		if err == nil {
			return plaintext, nil
		}
		// Tokens differ in what they call a text that isn't theirs. If the key opens another one, it was the text.
		probe := []byte("probe")
		sealed, probeErr := t.encrypt(s, key, probe, nil)
		if probeErr == nil {
			plaintext, probeErr = t.decrypt(s, key, sealed, nil)
		}
		if probeErr == nil && subtle.ConstantTimeCompare(plaintext, probe) == 1 {
			return nil, kms.ErrWrongRoot
		}
		return nil, unavailable(t.name, err)
	})
}

func (t *token) encrypt(s pkcs11.SessionHandle, key pkcs11.ObjectHandle, plaintext, aad []byte) ([]byte, error) {
	iv := make([]byte, ivSize)
	rand.Read(iv)
	params := pkcs11.NewGCMParams(iv, aad, tagBits)
	defer params.Free()
	if err := t.ctx.EncryptInit(s, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_GCM, params)}, key); err != nil {
		return nil, err
	}
	sealed, err := t.ctx.Encrypt(s, plaintext)
	if err != nil {
		return nil, err
	}
	// Some tokens draw the nonce themselves and put it there.
	if drawn := params.IV(); len(drawn) == ivSize {
		iv = drawn
	}
	return append(slices.Clone(iv), sealed...), nil
}

func (t *token) decrypt(s pkcs11.SessionHandle, key pkcs11.ObjectHandle, sealed, aad []byte) ([]byte, error) {
	params := pkcs11.NewGCMParams(sealed[:ivSize], aad, tagBits)
	defer params.Free()
	if err := t.ctx.DecryptInit(s, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_GCM, params)}, key); err != nil {
		return nil, err
	}
	return t.ctx.Decrypt(s, sealed[ivSize:])
}

// use calls fn with a session and the key in it. A module that hangs is not waited for, and nobody else speaks to it
// meanwhile.
func (t *token) use(ctx context.Context, fn func(pkcs11.SessionHandle, pkcs11.ObjectHandle) ([]byte, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, unavailable(t.name, errors.New("the module still has an earlier question"))
	}
	type answer struct {
		out []byte
		err error
	}
	answers := make(chan answer, 1)
	go func() {
		defer func() { <-t.turn }()
		out, err := t.session(fn)
		answers <- answer{out, err}
	}()
	select {
	case a := <-answers:
		return a.out, a.err
	case <-ctx.Done():
		return nil, unavailable(t.name, errors.New("the module gave no answer in time"))
	}
}

// session opens a session, signs in and finds the key.
func (t *token) session(fn func(pkcs11.SessionHandle, pkcs11.ObjectHandle) ([]byte, error)) (out []byte, err error) {
	pin, err := readSecret(t.pinFile)
	if err != nil {
		return nil, unavailable(t.name, err)
	}
	if pin.Equal(t.badPIN) {
		return nil, unavailable(t.name, errors.New("the token refused this PIN, which is not tried again"))
	}
	slot, err := t.slot()
	if err != nil {
		return nil, unavailable(t.name, err)
	}
	s, err := t.ctx.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION)
	if err != nil {
		return nil, unavailable(t.name, err)
	}
	defer func() {
		if closeErr := t.ctx.CloseSession(s); closeErr != nil && err == nil {
			out, err = nil, unavailable(t.name, closeErr)
		}
	}()
	err = t.ctx.Login(s, pkcs11.CKU_USER, pin.Reveal())
	if errors.Is(err, pkcs11.Error(pkcs11.CKR_PIN_INCORRECT)) {
		t.badPIN = pin
	}
	if err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_USER_ALREADY_LOGGED_IN)) {
		return nil, unavailable(t.name, err)
	}
	key, err := t.find(s)
	if err != nil {
		return nil, err
	}
	return fn(s, key)
}

// slot loads the module when it is first needed, and finds the token.
func (t *token) slot() (uint, error) {
	if t.ctx == nil {
		ctx := pkcs11.New(t.module)
		if ctx == nil {
			return 0, fmt.Errorf("the module %s can't be loaded", t.module)
		}
		if err := ctx.Initialize(); err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED)) {
			ctx.Destroy()
			return 0, err
		}
		t.ctx = ctx
	}
	slots, err := t.ctx.GetSlotList(true)
	if err != nil {
		return 0, err
	}
	for _, slot := range slots {
		info, err := t.ctx.GetTokenInfo(slot)
		if err == nil && strings.TrimRight(info.Label, " \x00") == t.label {
			return slot, nil
		}
	}
	return 0, errors.New("there is no such token")
}

// find finds the key, of which there must be one.
func (t *token) find(s pkcs11.SessionHandle) (pkcs11.ObjectHandle, error) {
	err := t.ctx.FindObjectsInit(s, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, t.object),
	})
	if err != nil {
		return 0, unavailable(t.name, err)
	}
	found, _, err := t.ctx.FindObjects(s, 2)
	if err = errors.Join(err, t.ctx.FindObjectsFinal(s)); err != nil {
		return 0, unavailable(t.name, err)
	}
	switch len(found) {
	case 0:
		return 0, refusedBy(t.name, errors.New("the token has no such AES key"))
	case 1:
		return found[0], nil
	}
	return 0, unavailable(t.name, errors.New("the token has several such AES keys"))
}
