// Package rootkey has the roots of trust: a file, Vault or OpenBao, a KMS that speaks as that of AWS, and a PKCS#11 token.
// Each wraps one short key for package kms, bound to a context, and none keeps anything of what it wrapped. Errors name the
// root and what it answered, never a secret. Which installation a root belongs to is not decided here.
package rootkey

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/kms"
)

// Options are what roots take of their surroundings. The zero value has the process's own.
type Options struct {
	// Getenv reads the environment; nil is os.Getenv.
	Getenv func(string) string
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Timeout bounds one request; 0 is 10 seconds.
	Timeout time.Duration
}

// Kinds are the schemes of URLs.
const (
	kindFile   = "file"
	kindVault  = "vault"
	kindAWSKMS = "awskms"
	kindPKCS11 = "pkcs11"
)

// Check finds what is wrong with the URL of a root, in one line that doesn't repeat what may be a secret.
func Check(text string) error {
	_, err := parse(text, Options{})
	return err
}

// Open opens the root of a URL. Only a file is read by that; the others are asked when something is to be wrapped.
func Open(text string, o Options) (kms.Root, error) {
	if path, ok := FilePath(text); ok {
		return OpenFile(path)
	}
	return parse(text, o)
}

// Name is what the root of a URL calls itself, before anything is opened.
func Name(text string) (string, error) {
	root, err := parse(text, Options{})
	if err != nil {
		return "", err
	}
	return root.String(), nil
}

// FilePath is the path that a URL of a file names: file:PATH, or just the path.
func FilePath(text string) (path string, ok bool) {
	if path, ok := strings.CutPrefix(text, kindFile+":"); ok {
		return path, path != ""
	}
	return text, text != "" && !hasScheme(text)
}

// hasScheme tells a URL from a path.
func hasScheme(text string) bool {
	scheme, _, ok := strings.Cut(text, ":")
	return ok && !strings.ContainsAny(scheme, "/.\\")
}

func parse(text string, o Options) (kms.Root, error) {
	if path, ok := FilePath(text); ok {
		return &File{path: path}, nil
	}
	kind, _, _ := strings.Cut(text, ":")
	switch kind {
	case kindFile:
		return nil, errors.New("file: needs a path")
	case kindVault, kindAWSKMS, kindPKCS11:
	default:
		if !plainName(kind) {
			kind = "it"
		}
		return nil, fmt.Errorf("%s is no kind of root; there are file:PATH, vault://HOST/MOUNT/KEY, awskms://HOST/KEY?region=NAME and pkcs11:URI", kind)
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s:… is not a URL", kind)
	}
	if u.User != nil || u.Fragment != "" {
		return nil, fmt.Errorf("%s:… has a user or a fragment, which belong to no root; credentials come from the environment", kind)
	}
	var root kms.Root
	switch kind {
	case kindVault:
		root, err = newVault(u, o)
	case kindAWSKMS:
		root, err = newAWSKMS(u, o)
	default:
		root, err = newPKCS11(u, text, o)
	}
	if err != nil {
		return nil, fmt.Errorf("%s:… %w", kind, err)
	}
	return root, nil
}

// parameters reads the query of a URL, of which only these names are known.
func parameters(u *url.URL, known ...string) (map[string]string, error) {
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("has a query that can't be read")
	}
	out := map[string]string{}
	for name, all := range values {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("has a parameter that is none of %s", strings.Join(known, ", "))
		}
		if len(all) != 1 || all[0] == "" {
			return nil, fmt.Errorf("has no value, or several, for %s", name)
		}
		out[name] = all[0]
	}
	return out, nil
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 10

// exchange sends a request and reads the answer, bounded in size and time. The error is ErrRootUnavailable.
func exchange(client *http.Client, name string, r *http.Request) (status int, body []byte, err error) {
	response, err := client.Do(r)
	if err != nil {
		return 0, nil, unavailable(name, cause(err))
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return 0, nil, unavailable(name, cause(err))
	}
	if len(body) > maxAnswer {
		return 0, nil, unavailable(name, errors.New("its answer is longer than any should be"))
	}
	return response.StatusCode, body, nil
}

// cause leaves out the URL of a request, which says nothing new.
func cause(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		if e.Timeout() {
			return errors.New("it gave no answer in time")
		}
		return e.Err
	}
	return err
}

func unavailable(name string, err error) error {
	return fmt.Errorf("%w: %s: %w", kms.ErrRootUnavailable, name, err)
}

func refusedBy(name string, err error) error {
	return fmt.Errorf("%w: %s: %w", kms.ErrRootRefused, name, err)
}

// newClient makes a client that follows no redirects, which would take credentials elsewhere.
func newClient(transport *http.Transport, timeout time.Duration) *http.Client {
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	return &http.Client{Transport: transport, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (o Options) getenv() func(string) string {
	if o.Getenv == nil {
		return os.Getenv
	}
	return o.Getenv
}

func (o Options) now() func() time.Time {
	if o.Now == nil {
		return time.Now
	}
	return o.Now
}
