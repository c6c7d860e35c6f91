package rootkey

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/seal"
)

// subject is a root that is tested, and what surrounds it.
type subject struct {
	open  func() kms.Root // opens the root again
	other func() kms.Root // is another key of the same kind
	// secrets are what must never be in an error or a name.
	secrets []string
	// away takes the root away and back puts it back; gone takes the key for good.
	away, back, gone func()
	// instead has a handler answer in place of the service; nil for roots that aren't servers.
	instead func(http.HandlerFunc)
}

// conforms is what every root keeps to.
func conforms(t *testing.T, s subject) {
	ctx, c := t.Context(), kms.Context{"coffer:installation": "I", "coffer:key": "K"}
	key := seal.NewKey().Bytes()
	root := s.open()
	wrapped, err := root.Wrap(ctx, key, c)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(wrapped, key[:8]) {
		t.Error("the key is in the clear")
	}
	again, err := root.Wrap(ctx, key, c)
	if err != nil || bytes.Equal(again, wrapped) {
		t.Errorf("it wraps the same way twice, error %v", err)
	}
	opens := func(what string) {
		t.Helper()
		for _, r := range []kms.Root{root, s.open()} {
			if got, err := r.Unwrap(ctx, wrapped, kms.Context{"coffer:key": "K", "coffer:installation": "I"}); err != nil || !bytes.Equal(got, key) {
				t.Errorf("%s: error %v", what, err)
			}
		}
	}
	refuses := func(what string, r kms.Root, wrapped []byte, c kms.Context, want error) {
		t.Helper()
		got, err := r.Unwrap(ctx, wrapped, c)
		if !errors.Is(err, want) || len(got) != 0 {
			t.Errorf("%s: error is %v", what, err)
		}
		s.clean(t, err, key)
	}
	opens("as it was wrapped")
	for what, c := range map[string]kms.Context{"no context": nil, "less": {"coffer:key": "K"}, "more": {"coffer:installation": "I", "coffer:key": "K", "x": "y"},
		"another value": {"coffer:installation": "I", "coffer:key": "k"}, "exchanged": {"coffer:installation": "K", "coffer:key": "I"}} {
		refuses(what, root, wrapped, c, kms.ErrWrongRoot)
	}
	for i := 0; i < len(wrapped); i++ {
		altered := bytes.Clone(wrapped)
		altered[i] ^= 1
		got, err := root.Unwrap(ctx, altered, c)
		if err == nil || len(got) != 0 {
			t.Errorf("it opens with byte %d altered", i)
		}
		s.clean(t, err, key)
	}
	for _, short := range [][]byte{nil, wrapped[:1], wrapped[:len(wrapped)/2], wrapped[:len(wrapped)-1]} {
		if got, err := root.Unwrap(ctx, short, c); err == nil || len(got) != 0 {
			t.Errorf("it opens when cut to %d bytes", len(short))
		}
	}
	refuses("another key", s.other(), wrapped, c, kms.ErrWrongRoot)

	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := root.Unwrap(ended, wrapped, c); s.instead != nil && err == nil {
		t.Error("it goes on when nobody waits any more")
	}
	s.away()
	refuses("away", root, wrapped, c, kms.ErrRootUnavailable)
	if got, err := root.Wrap(ctx, key, c); !errors.Is(err, kms.ErrRootUnavailable) || got != nil {
		t.Errorf("it wraps when it is away: %v", err)
	}
	s.back()
	opens("back again")
	if s.instead != nil {
		hostile(t, s, root, wrapped, c)
		s.instead(nil)
		opens("after a hostile answer")
	}
	if s.gone != nil {
		s.gone()
		refuses("gone", root, wrapped, c, kms.ErrRootRefused)
	}
}

// hostile has a server answer what it should not.
func hostile(t *testing.T, s subject, root kms.Root, wrapped []byte, c kms.Context) {
	text := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(text))
		}
	}
	echo := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			token := r.Header["X-Vault-Token"]
			text(status, `{"__type":"`+strings.Join(s.secrets, " ")+`","message":"`+strings.Join(s.secrets, " ")+`","errors":["`+strings.Join(append(token, s.secrets...), " ")+`"]}`)(w, r)
		}
	}
	for name, h := range map[string]http.HandlerFunc{
		"no JSON":                text(200, "<html>"),
		"half of JSON":           text(200, `{"data":{"plaintext":"`),
		"another type":           text(200, `{"data":[1],"Plaintext":7}`),
		"nothing":                text(200, ""),
		"an empty object":        text(200, "{}"),
		"null":                   text(200, "null"),
		"no base64":              text(200, `{"data":{"plaintext":"%%%"},"Plaintext":"%%%"}`),
		"deep JSON":              text(200, strings.Repeat("[", 30000)),
		"a huge body":            text(200, `{"data":{"plaintext":"`+strings.Repeat("A", 4<<20)),
		"a huge error":           text(400, `{"errors":["`+strings.Repeat("A", 4<<20)),
		"an error without words": text(500, ""),
		"secrets in 400":         echo(400),
		"secrets in 500":         echo(500),
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/"+strings.Join(s.secrets, ""), http.StatusTemporaryRedirect)
		},
		"a huge header": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-A", strings.Repeat("A", 1<<20)) },
		"broken off":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"never": func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		},
		"a body that never ends": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("{"))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			// Only when the request is read whole, the handler learns that the client went away.
			s.instead(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				h(w, r)
			})
			for _, ask := range []func() ([]byte, error){
				func() ([]byte, error) { return root.Unwrap(t.Context(), wrapped, c) },
				func() ([]byte, error) { return root.Wrap(t.Context(), make([]byte, 32), c) },
			} {
				got, err := ask()
				if !errors.Is(err, kms.ErrRootUnavailable) || errors.Is(err, kms.ErrRootRefused) || len(got) != 0 {
					t.Errorf("error is %v", err)
				}
				s.clean(t, err, nil)
			}
		})
	}
}

// clean looks for secrets in an error, which is one line and not long.
func (s subject) clean(t *testing.T, err error, key []byte) {
	t.Helper()
	if err == nil {
		return
	}
	text := err.Error()
	if strings.ContainsAny(text, "\r\n") || len(text) > 600 {
		t.Errorf("error is not one line: %.1000q", text)
	}
	for _, secret := range append(s.secrets, encode64(key)) {
		if secret != "" && strings.Contains(text, secret) {
			t.Errorf("error shows a secret: %q", text)
		}
	}
}

// patience is how long a server of a test may take to answer.
const patience = 300 * time.Millisecond

// surroundings are an environment of these variables.
func surroundings(variables map[string]string) Options {
	return Options{Getenv: func(name string) string { return variables[name] }, Timeout: patience}
}

// opener opens a root of a test.
func opener(t *testing.T, url string, o Options) func() kms.Root {
	return func() kms.Root {
		root, err := Open(url, o)
		if err != nil {
			t.Fatal(err)
		}
		return root
	}
}
