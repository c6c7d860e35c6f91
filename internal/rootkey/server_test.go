package rootkey

import (
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/rootkey/roottest"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/sigv4"
)

const vaultToken = "s.VerySecretToken"

// unavailableHandler answers as a sealed Vault, or a KMS that is down, does.
func unavailableHandler(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, `{"errors":["Vault is sealed"]}`, http.StatusServiceUnavailable)
}

func writeTemp(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFileConforms(t *testing.T) {
	root, path := newFile(t)
	_, otherPath := newFile(t)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	conforms(t, subject{
		open:    opener(t, root.String(), Options{}),
		other:   opener(t, otherPath, Options{}),
		secrets: []string{strings.TrimSpace(strings.TrimPrefix(string(text), filePrefix))},
		away: func() {
			if err := os.Rename(path, path+".away"); err != nil {
				t.Fatal(err)
			}
		},
		back: func() {
			if err := os.Rename(path+".away", path); err != nil {
				t.Fatal(err)
			}
		},
	})
}

func TestVaultConforms(t *testing.T) {
	for name, query := range map[string]string{"plain": "?tls=off", "derived": "?tls=off&derived=true"} {
		t.Run(name, func(t *testing.T) {
			v := roottest.NewVault(t, false)
			v.Allow(vaultToken, true)
			v.Put("coffer")
			v.Put("other")
			o := surroundings(map[string]string{"VAULT_TOKEN": vaultToken})
			conforms(t, subject{
				open:    opener(t, "vault://"+v.Host()+"/transit/coffer"+query, o),
				other:   opener(t, "vault://"+v.Host()+"/transit/other"+query, o),
				secrets: []string{vaultToken},
				away:    func() { v.Instead(unavailableHandler) },
				back:    func() { v.Instead(nil) },
				gone:    func() { v.Delete("coffer") },
				instead: v.Instead,
			})
		})
	}
}

func awsTestCredentials() sigv4.Credentials {
	return sigv4.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", Secret: secret.New("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")}
}

func TestAWSKMSConforms(t *testing.T) {
	c := awsTestCredentials()
	k := roottest.NewKMS(t, false, c)
	k.Put("alias/coffer")
	k.Put("alias/other")
	o := surroundings(map[string]string{"AWS_ACCESS_KEY_ID": c.AccessKeyID, "AWS_SECRET_ACCESS_KEY": c.Secret.Reveal()})
	conforms(t, subject{
		open:    opener(t, "awskms://"+k.Host()+"/alias/coffer?region=eu-central-1&tls=off", o),
		other:   opener(t, "awskms://"+k.Host()+"/alias/other?region=eu-central-1&tls=off", o),
		secrets: []string{c.Secret.Reveal()},
		away:    func() { k.Instead(unavailableHandler) },
		back:    func() { k.Instead(nil) },
		gone:    func() { k.Disable("alias/coffer", true) },
		instead: k.Instead,
	})
}

// wraps says whether a root wraps and opens, and with which error not.
func wraps(t testing.TB, root kms.Root) error {
	t.Helper()
	wrapped, err := root.Wrap(t.Context(), make([]byte, 32), nil)
	if err != nil {
		return err
	}
	_, err = root.Unwrap(t.Context(), wrapped, nil)
	return err
}

// A server that is closed, and a certificate that nobody vouches for, are an outage; with the authority it is none.
func TestTransport(t *testing.T) {
	v := roottest.NewVault(t, true)
	v.Allow(vaultToken, true)
	v.Put("coffer")
	ca := writeTemp(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: v.Certificate().Raw})))
	o := surroundings(map[string]string{"VAULT_TOKEN": vaultToken})
	o.Timeout = 0
	url := "vault://" + v.Host() + "/transit/coffer"
	if err := wraps(t, opener(t, url, o)()); !errors.Is(err, kms.ErrRootUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without the authority: %v", err)
	}
	if err := wraps(t, opener(t, url+"?tls=off", o)()); !errors.Is(err, kms.ErrRootUnavailable) {
		t.Errorf("without TLS: %v", err)
	}
	withCA := opener(t, url+"?ca="+ca, o)()
	if err := wraps(t, withCA); err != nil {
		t.Errorf("with the authority: %v", err)
	}
	v.Close()
	err := wraps(t, withCA)
	if !errors.Is(err, kms.ErrRootUnavailable) || !strings.Contains(err.Error(), "the root of trust can't be reached: vault://"+v.Host()+"/transit/coffer: ") {
		t.Errorf("with a closed server: %v", err)
	}
}

// A token that is no longer good is an outage; a good one that may not use the key is a refusal.
func TestVaultTokens(t *testing.T) {
	v := roottest.NewVault(t, false)
	v.Namespace = "team/a"
	v.Put("coffer")
	file := writeTemp(t, "s.one\n")
	url := "vault://" + v.Host() + "/transit/coffer?tls=off&namespace=team/a&token-file=" + file
	root := opener(t, url, surroundings(nil))()
	if err := wraps(t, root); !errors.Is(err, kms.ErrRootUnavailable) || !strings.Contains(err.Error(), "no longer good") {
		t.Errorf("error is %v", err)
	}
	v.Allow("s.one", false)
	if err := wraps(t, root); !errors.Is(err, kms.ErrRootRefused) {
		t.Errorf("error is %v", err)
	}
	v.Revoke("s.one")
	v.Allow("s.two", true)
	if err := os.WriteFile(file, []byte("s.two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := wraps(t, root); err != nil {
		t.Errorf("with the new token: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := wraps(t, root); !errors.Is(err, kms.ErrRootUnavailable) {
		t.Errorf("without a file: %v", err)
	}
	if err := wraps(t, opener(t, "vault://"+v.Host()+"/transit/coffer?tls=off", surroundings(nil))()); !errors.Is(err, kms.ErrRootUnavailable) || !strings.Contains(err.Error(), "set VAULT_TOKEN") {
		t.Errorf("without a token: %v", err)
	}
	elsewhere := opener(t, "vault://"+v.Host()+"/transit/coffer?tls=off", surroundings(map[string]string{"VAULT_TOKEN": "s.two"}))()
	if err := wraps(t, elsewhere); !errors.Is(err, kms.ErrRootRefused) {
		t.Errorf("in another namespace: %v", err)
	}
}

// A pod logs in with the token of its service account, once, and anew when its token was revoked.
func TestVaultKubernetes(t *testing.T) {
	v := roottest.NewVault(t, false)
	v.Put("coffer")
	v.Role("coffer", "jwt.of.pod")
	jwt := writeTemp(t, "jwt.of.pod")
	root := opener(t, "vault://"+v.Host()+"/transit/coffer?tls=off&auth=kubernetes&role=coffer&jwt-file="+jwt, surroundings(nil))()
	for range 3 {
		if err := wraps(t, root); err != nil {
			t.Fatal(err)
		}
	}
	if n := v.Logins(); n != 1 {
		t.Errorf("it logged in %d times", n)
	}
	v.Revoke("s.login-coffer")
	if err := wraps(t, root); err != nil || v.Logins() != 2 {
		t.Errorf("error is %v after %d logins", err, v.Logins())
	}
	v.Revoke("s.login-coffer")
	v.Role("coffer", "another")
	if err := wraps(t, root); !errors.Is(err, kms.ErrRootUnavailable) || strings.Contains(err.Error(), "jwt.of") {
		t.Errorf("error is %v", err)
	}
}

// Credentials of AWS come from the environment, a web identity and the shared file.
func TestAWSCredentials(t *testing.T) {
	c := awsTestCredentials()
	c.SessionToken = secret.New("the-session")
	k := roottest.NewKMS(t, false, c)
	k.Put("1234abcd-12ab-34cd-56ef-1234567890ab")
	k.WebIdentity = "jwt.of.pod"
	file := writeTemp(t, "[default]\naws_access_key_id = AKIAWRONG\naws_secret_access_key = wrong, and long enough\n[short]\naws_access_key_id = AKIAWRONG\naws_secret_access_key = wrong\n[coffer]\naws_access_key_id="+c.AccessKeyID+
		"\naws_secret_access_key = "+c.Secret.Reveal()+"\naws_session_token=the-session\n")
	url := "awskms://" + k.Host() + "/1234abcd-12ab-34cd-56ef-1234567890ab?region=eu-central-1&tls=off"
	environment := map[string]string{"AWS_ACCESS_KEY_ID": c.AccessKeyID, "AWS_SECRET_ACCESS_KEY": c.Secret.Reveal(), "AWS_SESSION_TOKEN": "the-session"}
	web := map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": writeTemp(t, "jwt.of.pod\n"), "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/coffer", "AWS_ENDPOINT_URL_STS": k.URL}
	wrongWeb := map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": writeTemp(t, "other"), "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/coffer", "AWS_ENDPOINT_URL_STS": k.URL}
	for name, tt := range map[string]struct {
		environment map[string]string
		query       string
		want        string // empty if it works
	}{
		"environment":        {environment, "", ""},
		"web identity":       {web, "", ""},
		"wrong web identity": {wrongWeb, "", "STS answers the web identity with status 400"},
		"profile":            {map[string]string{"AWS_SHARED_CREDENTIALS_FILE": file, "AWS_PROFILE": "coffer"}, "", ""},
		"profile of the URL": {map[string]string{"AWS_SHARED_CREDENTIALS_FILE": file}, "&profile=coffer", ""},
		"wrong profile":      {map[string]string{"AWS_SHARED_CREDENTIALS_FILE": file}, "", "it answers InvalidSignatureException"},
		"short secret":       {map[string]string{"AWS_SHARED_CREDENTIALS_FILE": file}, "&profile=short", "the secret access key is too short to be one"},
		"no profile":         {map[string]string{"AWS_SHARED_CREDENTIALS_FILE": file}, "&profile=x", "has no access key for the profile x"},
		"nothing":            {map[string]string{"HOME": t.TempDir()}, "", "there are no credentials in the environment, and none in a file"},
	} {
		t.Run(name, func(t *testing.T) {
			err := wraps(t, opener(t, url+tt.query, surroundings(tt.environment))())
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, kms.ErrRootUnavailable) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// TestURLs has what is wrong with each URL, and the name of a good one.
func TestURLs(t *testing.T) {
	for url, want := range map[string]string{
		"file:/etc/key":        "file:/etc/key",
		"/etc/key":             "file:/etc/key",
		"keys/root":            "file:keys/root",
		"vault://h:8200/a/b/k": "vault://h:8200/a/b/k",
		"vault://h/transit/k?tls=off&namespace=n":                   "vault://h/transit/k",
		"awskms:///alias/coffer?region=eu-central-1":                "awskms:///alias/coffer?region=eu-central-1",
		"awskms:///arn:aws:kms:eu-west-1:123456789012:key/1234abcd": "awskms:///arn:aws:kms:eu-west-1:123456789012:key/1234abcd?region=eu-west-1",
		"awskms://localhost:5000/1234abcd?region=us-east-1&tls=off": "awskms://localhost:5000/1234abcd?region=us-east-1",
		"":                              "error",
		"file:":                         "error file: needs a path",
		"gcpkms://x":                    "error gcpkms is no kind of root; there are ",
		"se_cret:x":                     "error it is no kind of root; there are ",
		"vault://h/k":                   "error vault:… names no server, mount and key",
		"vault:///m/k":                  "error vault:… names no server, mount and key",
		"vault://h/m/../k":              "error vault:… names no server, mount and key",
		"vault://token@h/m/k":           "error vault:… has a user or a fragment",
		"vault://h/m/k?token=secret":    "error vault:… has a parameter that is none of tls, ca,",
		"vault://h/m/k?tls=on":          "error vault:… has a tls that is not off",
		"vault://h/m/k?tls=off&tls=off": "error vault:… has no value, or several, for tls",
		"vault://h/m/k?auth=ldap":       "error vault:… has an auth that is neither",
		"vault://h/m/k?auth=kubernetes": "error vault:… has auth=kubernetes without a role",
		"vault://h/m/k?role=r":          "error vault:… has a role, which needs auth=kubernetes",
		"vault://h/m/k?derived=no":      "error vault:… has a derived that is not true",
		"vault://h/m/k?ca=/missing":     "error vault:… needs a file of authorities: ",
		"vault://h/m/k?ca=/dev/null":    "error vault:… needs a file of authorities, and ",
		"vault://h\n/m/k":               "error vault:… is not a URL",
		"awskms://h/":                   "error awskms:… names no key",
		"awskms://h/k":                  "error awskms:… names no region",
		"awskms://h/k?region=a/b":       "error awskms:… names no region",
	} {
		root, err := parse(url, surroundings(nil))
		got := "error"
		if err == nil {
			got = root.String()
		} else if want != "error" {
			got += " " + err.Error()
		}
		if got != want && (!strings.HasPrefix(want, "error ") || !strings.HasPrefix(got, want)) {
			t.Errorf("%q is %s", url, got)
		}
		if strings.Contains(got, "secret") || strings.Contains(got, "token@") || strings.Contains(got, "\n") {
			t.Errorf("%q shows a secret: %s", url, got)
		}
	}
}
