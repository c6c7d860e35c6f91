package rootkey

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/secret"
)

// vault is a key of the Transit engine of Vault or OpenBao.
type vault struct {
	name       string
	base       string // such as https://vault.example.com:8200/v1/
	mount, key string
	namespace  string
	derived    bool
	login      vaultLogin
	client     *http.Client
	now        func() time.Time

	mu    sync.Mutex
	token secret.Text // of a login, good until expires
	until time.Time
}

// vaultLogin is where tokens come from.
type vaultLogin struct {
	// token is that of the environment, unless a file or a role is named.
	token     secret.Text
	tokenFile string
	role      string
	mount     string
	jwtFile   string
}

// serviceAccountToken is where Kubernetes puts the token of a pod.
const serviceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

func newVault(u *url.URL, o Options) (*vault, error) {
	q, err := parameters(u, "tls", "ca", "namespace", "derived", "token-file", "auth", "role", "auth-mount", "jwt-file")
	if err != nil {
		return nil, err
	}
	getenv := o.getenv()
	full := strings.Trim(u.Path, "/")
	mount, key := path.Split(full)
	mount = strings.Trim(mount, "/")
	if u.Host == "" || mount == "" || key == "" || path.Clean(full) != full {
		return nil, errors.New("names no server, mount and key: vault://HOST:PORT/MOUNT/KEY")
	}
	v := &vault{name: kindVault + "://" + u.Host + "/" + mount + "/" + key, mount: mount, key: key, now: o.now(),
		namespace: cmp.Or(q["namespace"], getenv("VAULT_NAMESPACE")), derived: q["derived"] == "true"}
	if d := q["derived"]; d != "" && d != "true" {
		return nil, errors.New("has a derived that is not true")
	}
	v.login = vaultLogin{tokenFile: q["token-file"], role: q["role"], mount: cmp.Or(q["auth-mount"], "kubernetes"), jwtFile: cmp.Or(q["jwt-file"], serviceAccountToken)}
	switch q["auth"] {
	case "", "token":
		if v.login.role != "" {
			return nil, errors.New("has a role, which needs auth=kubernetes")
		}
		v.login.token = secret.New(getenv("VAULT_TOKEN"))
	case "kubernetes":
		if v.login.role == "" {
			return nil, errors.New("has auth=kubernetes without a role")
		}
	default:
		return nil, errors.New("has an auth that is neither token nor kubernetes")
	}
	base, transport, err := endpoint(u.Host, q["tls"], cmp.Or(q["ca"], getenv("VAULT_CACERT")))
	if err != nil {
		return nil, err
	}
	v.base, v.client = base+"/v1/", newClient(transport, o.Timeout)
	return v, nil
}

// endpoint is how a server is spoken to: by TLS unless it is off, and with the authorities of a file if there is one.
func endpoint(host, tlsMode, caFile string) (base string, transport *http.Transport, err error) {
	// A root is asked twice a minute, for which no connection is kept.
	transport = &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true,
		TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: maxAnswer}
	switch tlsMode {
	case "off":
		return "http://" + host, transport, nil
	case "":
	default:
		return "", nil, errors.New("has a tls that is not off")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return "", nil, fmt.Errorf("needs a file of authorities: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return "", nil, fmt.Errorf("needs a file of authorities, and %s has none in PEM", caFile)
		}
	}
	transport.TLSClientConfig, transport.ForceAttemptHTTP2 = config, true
	return "https://" + host, transport, nil
}

// String is the URL of the key.
func (v *vault) String() string { return v.name }

// bound puts the hash of the context before the key, so that it is bound even by a server that ignores additional data.
func bound(plaintext, context []byte) []byte {
	hash := sha256.Sum256(context)
	return append(hash[:], plaintext...)
}

// unbound undoes bound. The error is ErrWrongRoot.
func unbound(plaintext, context []byte) ([]byte, error) {
	hash := sha256.Sum256(context)
	if len(plaintext) < len(hash) || subtle.ConstantTimeCompare(plaintext[:len(hash)], hash[:]) != 1 {
		return nil, kms.ErrWrongRoot
	}
	return plaintext[len(hash):], nil
}

// Wrap has the server encrypt a key.
func (v *vault) Wrap(ctx context.Context, plaintext []byte, c kms.Context) ([]byte, error) {
	context := c.Encode(nil)
	var out struct{ Data struct{ Ciphertext string } }
	if err := v.transit(ctx, "encrypt", map[string]string{"plaintext": encode64(bound(plaintext, context))}, context, &out); err != nil {
		return nil, err
	}
	if out.Data.Ciphertext == "" {
		return nil, unavailable(v.name, errMeaningless)
	}
	return []byte(out.Data.Ciphertext), nil
}

// Unwrap has the server decrypt what Wrap made.
func (v *vault) Unwrap(ctx context.Context, wrapped []byte, c kms.Context) ([]byte, error) {
	// The engine takes base64 with stray bits at its end too, which is none that it made.
	if _, err := base64.StdEncoding.Strict().DecodeString(string(wrapped[bytes.LastIndexByte(wrapped, ':')+1:])); err != nil {
		return nil, kms.ErrWrongRoot
	}
	context := c.Encode(nil)
	var out struct{ Data struct{ Plaintext string } }
	if err := v.transit(ctx, "decrypt", map[string]string{"ciphertext": string(wrapped)}, context, &out); err != nil {
		return nil, err
	}
	plaintext, err := base64.StdEncoding.DecodeString(out.Data.Plaintext)
	if err != nil || len(plaintext) == 0 {
		return nil, unavailable(v.name, errMeaningless)
	}
	return unbound(plaintext, context)
}

// errMeaningless stands for whatever a server wrote in place of an answer, which is not repeated.
var errMeaningless = errors.New("its answer makes no sense")

func encode64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// transit calls an operation of the engine. A token that is refused is got anew once.
func (v *vault) transit(ctx context.Context, operation string, in map[string]string, context []byte, out any) error {
	in["associated_data"] = encode64(context)
	if v.derived {
		in["context"] = encode64(context)
	}
	for fresh := false; ; fresh = true {
		token, err := v.authenticate(ctx, fresh)
		if err != nil {
			return err
		}
		status, body, err := v.call(ctx, http.MethodPost, v.mount+"/"+operation+"/"+url.PathEscape(v.key), token, in)
		switch {
		case err != nil:
			return err
		case status == http.StatusForbidden && !fresh:
			continue
		case status == http.StatusForbidden:
			return v.forbidden(ctx, token)
		case status == http.StatusOK:
			if json.Unmarshal(body, out) != nil {
				return unavailable(v.name, errMeaningless)
			}
			return nil
		}
		return v.problem(status, body)
	}
}

// forbidden tells a token that is no longer good, which somebody will renew, from a good one that may not use the key.
func (v *vault) forbidden(ctx context.Context, token secret.Text) error {
	status, _, err := v.call(ctx, http.MethodGet, "auth/token/lookup-self", token, nil)
	if err != nil {
		return err
	}
	if status == http.StatusOK {
		return refusedBy(v.name, errors.New("the token may not use the key"))
	}
	return unavailable(v.name, errors.New("the token is not or no longer good"))
}

// problem reads what the engine answers in place of a result. Its texts are recognised and never repeated.
func (v *vault) problem(status int, body []byte) error {
	var answer struct{ Errors []string }
	if status != http.StatusBadRequest && status != http.StatusNotFound || json.Unmarshal(body, &answer) != nil {
		return unavailable(v.name, fmt.Errorf("it answers with status %d", status))
	}
	text := strings.ToLower(strings.Join(answer.Errors, " "))
	switch {
	case status == http.StatusNotFound:
		return refusedBy(v.name, errors.New("there is no such engine or key"))
	case strings.Contains(text, "key not found"):
		return refusedBy(v.name, errors.New("there is no such key"))
	case strings.Contains(text, "disallowed by policy"):
		return refusedBy(v.name, errors.New("the version of the key is no longer allowed"))
	case strings.Contains(text, "message authentication failed"), strings.Contains(text, "invalid ciphertext"), strings.Contains(text, "no prefix"):
		return kms.ErrWrongRoot
	}
	return unavailable(v.name, fmt.Errorf("it answers with status %d", status))
}

// authenticate returns a token. One that was got by a login is kept for two thirds of its life.
func (v *vault) authenticate(ctx context.Context, fresh bool) (secret.Text, error) {
	l := v.login
	if l.role != "" {
		return v.kubernetes(ctx, fresh)
	}
	if l.tokenFile != "" {
		text, err := readSecret(l.tokenFile)
		if err != nil {
			return secret.Text{}, unavailable(v.name, err)
		}
		return text, nil
	}
	if l.token.Empty() {
		return secret.Text{}, unavailable(v.name, errors.New("there is no token; set VAULT_TOKEN, or token-file or auth=kubernetes in the URL"))
	}
	return l.token, nil
}

// readSecret reads a short file that holds a secret.
func readSecret(path string) (secret.Text, error) {
	info, err := os.Stat(path)
	if err != nil {
		return secret.Text{}, err
	}
	if info.Size() > maxAnswer {
		return secret.Text{}, fmt.Errorf("%s is too long for a token", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return secret.Text{}, err
	}
	if trimmed := strings.TrimSpace(string(text)); trimmed != "" && !strings.ContainsAny(trimmed, "\r\n") {
		return secret.New(trimmed), nil
	}
	return secret.Text{}, fmt.Errorf("%s holds no token", path)
}

// kubernetes logs in with the token of the pod's service account.
func (v *vault) kubernetes(ctx context.Context, fresh bool) (secret.Text, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !fresh && v.now().Before(v.until) {
		return v.token, nil
	}
	jwt, err := readSecret(v.login.jwtFile)
	if err != nil {
		return secret.Text{}, unavailable(v.name, err)
	}
	status, body, err := v.call(ctx, http.MethodPost, "auth/"+v.login.mount+"/login", secret.Text{},
		map[string]string{"role": v.login.role, "jwt": jwt.Reveal()})
	if err != nil {
		return secret.Text{}, err
	}
	var out struct {
		Auth struct {
			ClientToken   string `json:"client_token"`
			LeaseDuration int64  `json:"lease_duration"`
		}
	}
	if status != http.StatusOK {
		return secret.Text{}, unavailable(v.name, fmt.Errorf("the login of role %s is answered with status %d", v.login.role, status))
	}
	if json.Unmarshal(body, &out) != nil || out.Auth.ClientToken == "" {
		return secret.Text{}, unavailable(v.name, errMeaningless)
	}
	lease := min(max(out.Auth.LeaseDuration, 0), 24*3600)
	v.token, v.until = secret.New(out.Auth.ClientToken), v.now().Add(time.Duration(lease)*time.Second*2/3)
	return v.token, nil
}

// call sends one request.
func (v *vault) call(ctx context.Context, method, path string, token secret.Text, in map[string]string) (int, []byte, error) {
	var body []byte
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return 0, nil, err
		}
		body = text
	}
	r, err := http.NewRequestWithContext(ctx, method, v.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, unavailable(v.name, errors.New("the URL makes no request"))
	}
	r.Header.Set("X-Vault-Request", "true")
	r.Header.Set("Content-Type", "application/json")
	if !token.Empty() {
		r.Header.Set("X-Vault-Token", token.Reveal())
	}
	if v.namespace != "" {
		r.Header.Set("X-Vault-Namespace", v.namespace)
	}
	return exchange(v.client, v.name, r)
}
