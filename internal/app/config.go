// Package app makes a running server of a configuration. It is the only package that knows all others, and it knows
// nothing else: what it puts together is tested where it is written.
package app

//go:generate go run ./docgen ../../docs

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/coffer-registry/coffer/internal/access"
	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/rootkey"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/strictjson"
)

// DefaultData is where the state is kept unless the configuration says otherwise.
const DefaultData = "./coffer-data"

// Config is the configuration of a server: the flags of coffer serve, with the same names in the environment, after
// COFFER_, and in a file.
type Config struct {
	Data           string        `help:"Folder that holds the state." default:"./coffer-data" env:"COFFER_DATA" placeholder:"DIR"`
	Listen         string        `help:"Address of the one public port." default:"127.0.0.1:5000" env:"COFFER_LISTEN" placeholder:"ADDR"`
	AdminListen    string        `help:"Address of /healthz, /readyz and /metrics; empty turns them off." default:"127.0.0.1:5001" env:"COFFER_ADMIN_LISTEN" placeholder:"ADDR"`
	Domain         string        `help:"Suffix of registry hosts: <account>.dkr.ecr.<region>.HOST. Empty: images are named after the address." env:"COFFER_DOMAIN" placeholder:"HOST"`
	Account        string        `help:"The first account, 12 digits." default:"123456789012" env:"COFFER_ACCOUNT" placeholder:"ID"`
	Region         []string      `help:"A region to serve; may be given again. The first is the default." default:"us-east-1" env:"COFFER_REGION" placeholder:"NAME"`
	Database       string        `help:"postgres://USER:PASSWORD@HOST/DATABASE, with the parameters of libpq and pool_max_conns. Default: SQLite in the data folder." env:"COFFER_DATABASE" placeholder:"URL"`
	Blobs          string        `help:"s3://BUCKET/PREFIX?endpoint=URL&region=NAME, as in docs/blobs.md. Default: a folder in the data folder." env:"COFFER_BLOBS" placeholder:"URL"`
	DrainDelay     time.Duration `help:"How long a server that is told to stop goes on serving while /readyz says so, until load balancers send it nothing more." default:"0s" env:"COFFER_DRAIN_DELAY" placeholder:"DURATION"`
	RootKey        string        `help:"What wraps all keys: file:PATH, vault://HOST/MOUNT/KEY, awskms://HOST/KEY?region=NAME or pkcs11:…, as in docs/keys.md. Default: a file in the data folder, made at the first start." env:"COFFER_ROOT_KEY" placeholder:"URL"`
	RootKeyGrace   time.Duration `help:"How long images are served on while the root key can't be reached." default:"5m" env:"COFFER_ROOT_KEY_GRACE" placeholder:"DURATION"`
	TLSCert        string        `name:"tls-cert" help:"Certificate, a PEM file that its issuers' certificates may follow in; read again when it changes." env:"COFFER_TLS_CERT" placeholder:"FILE"`
	TLSKey         string        `name:"tls-key" help:"Key of the certificate, a PEM file." env:"COFFER_TLS_KEY" placeholder:"FILE"`
	TLSDev         bool          `name:"tls-dev" help:"Make a certificate authority and a certificate in the data folder, for development." env:"COFFER_TLS_DEV"`
	TLSClientCA    string        `name:"tls-client-ca" help:"Authorities of client certificates, a PEM file; read again when it changes." env:"COFFER_TLS_CLIENT_CA" placeholder:"FILE"`
	TLSClientAuth  string        `name:"tls-client-auth" help:"Whether clients must have a certificate: optional, which is the default with --tls-client-ca, or required." env:"COFFER_TLS_CLIENT_AUTH" placeholder:"WHICH"`
	ACMEDirectory  string        `name:"acme-directory" help:"Get certificates from the ACME server with this directory, whose terms you agree to." env:"COFFER_ACME_DIRECTORY" placeholder:"URL"`
	ACMEDomain     []string      `name:"acme-domain" help:"A host name to get a certificate for; may be given again." env:"COFFER_ACME_DOMAIN" placeholder:"HOST"`
	ACMEEmail      string        `name:"acme-email" help:"Where the ACME server writes to." env:"COFFER_ACME_EMAIL" placeholder:"ADDRESS"`
	ACMECA         string        `name:"acme-ca" help:"Authorities of the ACME server itself, a PEM file. Default: those of the system." env:"COFFER_ACME_CA" placeholder:"FILE"`
	ACMEHTTPListen string        `name:"acme-http-listen" help:"Address that answers ACME challenges over HTTP, such as 0.0.0.0:80. Default: none, the public port answers them." env:"COFFER_ACME_HTTP_LISTEN" placeholder:"ADDR"`
	AllowAnonymous bool          `help:"Let whoever has no credentials pull from repositories whose policy allows it to everyone." env:"COFFER_ALLOW_ANONYMOUS"`
	TrustedProxy   []string      `help:"Address or range of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed; may be given again. Default: nobody's." env:"COFFER_TRUSTED_PROXY" placeholder:"CIDR"`
	File           string        `name:"config" help:"File with the same names as JSON, and the limits." env:"COFFER_CONFIG" placeholder:"FILE"`

	// RootAccessKeyID and RootSecretAccessKey are the root credentials, where they aren't to be made.
	RootAccessKeyID     string      `kong:"-"`
	RootSecretAccessKey secret.Text `kong:"-"`
	// Limits are those of the configuration file.
	Limits map[string]int64 `kong:"-"`
}

var (
	accountPattern = regexp.MustCompile(`^[0-9]{12}$`)
	regionPattern  = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]{1,2}$`)
	domainPattern  = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]+)?$`)
)

// maxDrainDelay bounds how long a stop may take by itself.
const maxDrainDelay = 10 * time.Minute

// Check finds what is wrong with a configuration, in one line for the operator.
func (c *Config) Check() error {
	switch {
	case c.DrainDelay < 0 || c.DrainDelay > maxDrainDelay:
		return fmt.Errorf("--drain-delay must be from 0s to %v", maxDrainDelay)
	case c.RootKeyGrace < 0:
		return errors.New("--root-key-grace can't be negative")
	case c.Data == "":
		return errors.New("--data must name a folder")
	case !accountPattern.MatchString(c.Account):
		return fmt.Errorf("--account %q is not 12 digits", c.Account)
	case len(c.Region) == 0:
		return errors.New("--region: at least one region is needed")
	case c.Domain != "" && !domainPattern.MatchString(c.Domain):
		return fmt.Errorf("--domain %q is not a host name", c.Domain)
	case (c.RootAccessKeyID == "") != c.RootSecretAccessKey.Empty():
		return errors.New("COFFER_ROOT_ACCESS_KEY_ID and COFFER_ROOT_SECRET_ACCESS_KEY go together: set both or none")
	}
	for i, region := range c.Region {
		if !regionPattern.MatchString(region) {
			return fmt.Errorf("--region %q is not of the form us-east-1", region)
		}
		if slices.Contains(c.Region[:i], region) {
			return fmt.Errorf("--region %s is given twice", region)
		}
	}
	for _, a := range []struct{ flag, address string }{{"--listen", c.Listen}, {"--admin-listen", c.AdminListen}} {
		if _, _, err := net.SplitHostPort(a.address); err != nil && (a.address != "" || a.flag == "--listen") {
			return fmt.Errorf("%s %q is not an address such as 127.0.0.1:5000", a.flag, a.address)
		}
	}
	if _, err := access.ParseProxies(c.TrustedProxy); err != nil {
		return fmt.Errorf("--trusted-proxy %w", err)
	}
	if c.Database != "" {
		if err := store.CheckURL(c.Database); err != nil {
			return fmt.Errorf("--database %w", err)
		}
	}
	if c.Blobs != "" {
		if err := blob.CheckS3URL(c.Blobs); err != nil {
			return fmt.Errorf("--blobs %w", err)
		}
	}
	if c.RootKey != "" {
		if err := rootkey.Check(c.RootKey); err != nil {
			return fmt.Errorf("--root-key %w", err)
		}
	}
	if err := c.checkTLS(); err != nil {
		return err
	}
	_, err := registry.NewLimits(c.Limits)
	return err
}

// rootKey is the URL of the root of trust.
func (c *Config) rootKey() string {
	if path, ok := rootkey.FilePath(c.RootKey); ok {
		return "file:" + path
	}
	return cmp.Or(c.RootKey, "file:"+filepath.Join(c.Data, "root-key"))
}

// ReadFile reads a configuration file: a JSON object with the names of the flags, and "limits" with those of the limits.
// The error says which entry is wrong.
func ReadFile(path string) (map[string]any, map[string]int64, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("configuration file %s does not exist", path)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the configuration file: %w", err)
	}
	entries, err := strictjson.Parse(text, maxFileDepth)
	if err == nil && entries.Kind() != strictjson.Object {
		err = fmt.Errorf("it is of type %s", entries.Kind())
	}
	if err != nil {
		return nil, nil, fmt.Errorf("configuration file %s is not a JSON object: %w", path, err)
	}
	var limits map[string]int64
	values := map[string]any{}
	for name, entry := range entries.Members() {
		if name == "limits" {
			limits, err = readLimits(entry)
		} else {
			var value any
			err = json.Unmarshal(entry.Raw(), &value)
			values[name] = value
		}
		if err != nil {
			return nil, nil, fmt.Errorf("configuration file %s: %q %w", path, name, err)
		}
	}
	return values, limits, nil
}

// maxFileDepth is how deep the entries of a configuration file may be nested.
const maxFileDepth = 8

func readLimits(entry strictjson.Value) (map[string]int64, error) {
	limits := map[string]int64{}
	for name, limit := range entry.Members() {
		n, err := strconv.ParseInt(limit.Number(), 10, 64)
		if err != nil {
			return nil, errLimits
		}
		limits[name] = n
	}
	if entry.Kind() != strictjson.Object {
		return nil, errLimits
	}
	return limits, nil
}

var errLimits = errors.New("must be an object of whole numbers")
