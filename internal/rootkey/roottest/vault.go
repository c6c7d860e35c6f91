package roottest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/seal"
)

// Vault is a server with a Transit engine at the mount transit, with keys of type aes256-gcm96.
type Vault struct {
	server
	// Namespace is where the engine is; empty is the root.
	Namespace string
	// tokens are those that are good, and say whether they may use the engine.
	tokens map[string]bool
	roles  map[string]string // tokens of service accounts by roles
	logins int
}

// NewVault starts a server.
func NewVault(t testing.TB, tls bool) *Vault {
	v := &Vault{tokens: map[string]bool{}, roles: map[string]string{}}
	v.start(t, tls, v.serve)
	return v
}

// Allow makes a token good, with or without the right to use the engine.
func (v *Vault) Allow(token string, mayUse bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tokens[token] = mayUse
}

// Revoke makes a token void.
func (v *Vault) Revoke(token string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.tokens, token)
}

// Role lets the token of a service account log in.
func (v *Vault) Role(name, jwt string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.roles[name] = jwt
}

// Logins counts the logins so far.
func (v *Vault) Logins() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.logins
}

func problem(w http.ResponseWriter, status int, text string) {
	answer(w, status, map[string][]string{"errors": {text}})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // Who went away gets no answer.
}

func (v *Vault) serve(w http.ResponseWriter, r *http.Request) {
	var in map[string]string
	if r.Method == http.MethodPost && json.NewDecoder(r.Body).Decode(&in) != nil {
		problem(w, http.StatusBadRequest, "error parsing JSON")
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	if path == "auth/kubernetes/login" {
		v.login(w, in)
		return
	}
	v.mu.Lock()
	mayUse, good := v.tokens[r.Header.Get("X-Vault-Token")]
	v.mu.Unlock()
	parts := strings.Split(path, "/")
	switch {
	case r.Header.Get("X-Vault-Request") != "true":
		problem(w, http.StatusPreconditionFailed, "required header 'X-Vault-Request' missing")
	case !good:
		problem(w, http.StatusForbidden, "permission denied")
	case path == "auth/token/lookup-self":
		answer(w, http.StatusOK, map[string]any{"data": map[string]any{"ttl": 3600}})
	case !mayUse:
		problem(w, http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n")
	case len(parts) != 3 || parts[0] != "transit" || r.Header.Get("X-Vault-Namespace") != v.Namespace || r.Method != http.MethodPost:
		problem(w, http.StatusNotFound, `no handler for route "`+path+`". route entry not found.`)
	default:
		v.transit(w, parts[1], parts[2], in)
	}
}

func (v *Vault) login(w http.ResponseWriter, in map[string]string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.logins++
	if jwt := v.roles[in["role"]]; jwt == "" || jwt != in["jwt"] {
		problem(w, http.StatusForbidden, "permission denied")
		return
	}
	token := "s.login-" + in["role"]
	v.tokens[token] = true
	answer(w, http.StatusOK, map[string]any{"auth": map[string]any{"client_token": token, "lease_duration": 300}})
}

func (v *Vault) transit(w http.ResponseWriter, operation, name string, in map[string]string) {
	key := v.key(name)
	if key == nil {
		problem(w, http.StatusBadRequest, "encryption key not found")
		return
	}
	aad, err := base64.StdEncoding.DecodeString(in["associated_data"])
	if err != nil {
		problem(w, http.StatusBadRequest, "failed to base64-decode associated_data")
		return
	}
	aad = append([]byte(in["context"]+"\x00"), aad...)
	const prefix = "vault:v1:"
	switch operation {
	case "encrypt":
		plaintext, err := base64.StdEncoding.DecodeString(in["plaintext"])
		if err != nil {
			problem(w, http.StatusBadRequest, "failed to base64-decode plaintext")
			return
		}
		sealed, err := seal.SealBytes(key.Key, aad, plaintext)
		if err != nil {
			problem(w, http.StatusInternalServerError, "internal error")
			return
		}
		answer(w, http.StatusOK, map[string]any{"data": map[string]any{"ciphertext": prefix + base64.StdEncoding.EncodeToString(sealed), "key_version": 1}})
	case "decrypt":
		text, ok := strings.CutPrefix(in["ciphertext"], prefix)
		if !ok {
			problem(w, http.StatusBadRequest, "invalid ciphertext: no prefix")
			return
		}
		sealed, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			problem(w, http.StatusBadRequest, "invalid ciphertext: could not decode base64")
			return
		}
		plaintext, err := seal.OpenBytes(key.Key, aad, sealed)
		if err != nil {
			problem(w, http.StatusBadRequest, "cipher: message authentication failed")
			return
		}
		answer(w, http.StatusOK, map[string]any{"data": map[string]any{"plaintext": base64.StdEncoding.EncodeToString(plaintext)}})
	default:
		problem(w, http.StatusNotFound, "unsupported path")
	}
}
