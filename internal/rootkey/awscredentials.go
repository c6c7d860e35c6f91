package rootkey

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/sigv4"
)

// awsCredentials finds credentials as AWS's own tools do, in this order: the environment, a web identity, as Kubernetes
// gives one to a pod, and the shared credentials file.
type awsCredentials struct {
	getenv          func(string) string
	region, profile string
	client          *http.Client
	now             func() time.Time
	name            string

	mu    sync.Mutex
	kept  sigv4.Credentials // of a web identity, good until until
	until time.Time
}

func (a *awsCredentials) get(ctx context.Context) (sigv4.Credentials, error) {
	if id, text := a.getenv("AWS_ACCESS_KEY_ID"), a.getenv("AWS_SECRET_ACCESS_KEY"); id != "" && text != "" {
		return sigv4.Credentials{AccessKeyID: id, Secret: secret.New(text), SessionToken: secret.New(a.getenv("AWS_SESSION_TOKEN"))}, nil
	}
	if a.getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "" && a.getenv("AWS_ROLE_ARN") != "" {
		return a.webIdentity(ctx)
	}
	c, err := a.sharedFile()
	if err != nil {
		return c, unavailable(a.name, err)
	}
	return c, nil
}

// webIdentity has STS give credentials for the token of a file. They are kept until a minute before they expire.
func (a *awsCredentials) webIdentity(ctx context.Context) (sigv4.Credentials, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.now().Before(a.until) {
		return a.kept, nil
	}
	token, err := readSecret(a.getenv("AWS_WEB_IDENTITY_TOKEN_FILE"))
	if err != nil {
		return sigv4.Credentials{}, unavailable(a.name, err)
	}
	form := url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {a.getenv("AWS_ROLE_ARN")},
		"RoleSessionName": {cmp.Or(a.getenv("AWS_ROLE_SESSION_NAME"), "coffer")}, "WebIdentityToken": {token.Reveal()}}
	address := cmp.Or(a.getenv("AWS_ENDPOINT_URL_STS"), "https://"+awsHost("sts", a.region))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(address, "/")+"/", strings.NewReader(form.Encode()))
	if err != nil {
		return sigv4.Credentials{}, unavailable(a.name, errors.New("AWS_ENDPOINT_URL_STS is not a URL"))
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, body, err := exchange(a.client, a.name, r)
	if err != nil {
		return sigv4.Credentials{}, err
	}
	if status != http.StatusOK {
		return sigv4.Credentials{}, unavailable(a.name, fmt.Errorf("STS answers the web identity with status %d", status))
	}
	var out struct {
		Credentials struct {
			ID         string    `xml:"AccessKeyId"`
			Secret     string    `xml:"SecretAccessKey"`
			Token      string    `xml:"SessionToken"`
			Expiration time.Time `xml:"Expiration"`
		} `xml:"AssumeRoleWithWebIdentityResult>Credentials"`
	}
	c := &out.Credentials
	if xml.Unmarshal(body, &out) != nil || c.ID == "" || c.Secret == "" {
		return sigv4.Credentials{}, unavailable(a.name, errMeaningless)
	}
	a.kept = sigv4.Credentials{AccessKeyID: c.ID, Secret: secret.New(c.Secret), SessionToken: secret.New(c.Token)}
	a.until = c.Expiration.Add(-time.Minute)
	return a.kept, nil
}

// sharedFile reads the profile of the shared credentials file.
func (a *awsCredentials) sharedFile() (sigv4.Credentials, error) {
	path := cmp.Or(a.getenv("AWS_SHARED_CREDENTIALS_FILE"), filepath.Join(a.getenv("HOME"), ".aws", "credentials"))
	text, err := os.ReadFile(path)
	if err != nil {
		return sigv4.Credentials{}, fmt.Errorf("there are no credentials in the environment, and none in a file: %w", err)
	}
	values, section := map[string]string{}, ""
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
			section = strings.TrimSpace(line[1 : len(line)-1])
			continue
		}
		if name, value, ok := strings.Cut(line, "="); ok && section == a.profile {
			values[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	c := sigv4.Credentials{AccessKeyID: values["aws_access_key_id"], Secret: secret.New(values["aws_secret_access_key"]), SessionToken: secret.New(values["aws_session_token"])}
	if c.AccessKeyID == "" || c.Secret.Empty() {
		return c, fmt.Errorf("the file %s has no access key for the profile %s", path, a.profile)
	}
	return c, nil
}
