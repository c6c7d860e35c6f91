package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/secret"
)

// good is a configuration that nothing is wrong with.
func good() Config {
	return Config{Data: "data", Listen: "127.0.0.1:5000", AdminListen: "127.0.0.1:5001", Account: "123456789012", Region: []string{"us-east-1"}}
}

func TestCheckConfig(t *testing.T) {
	const oneSource = "--tls-cert, --tls-dev and --acme-directory exclude each other: the certificate comes from one of them"
	const wholeName = " is not a whole host name such as registry.example.com; one with * can't be had this way"
	acme := func(change func(*Config)) func(*Config) {
		return func(c *Config) {
			c.ACMEDirectory, c.ACMEDomain = "https://acme.example.com/directory", []string{"registry.example.com"}
			change(c)
		}
	}
	const pairMessage = "COFFER_ROOT_ACCESS_KEY_ID and COFFER_ROOT_SECRET_ACCESS_KEY go together: set both or none"
	for name, tt := range map[string]struct {
		change func(*Config)
		want   string // empty if nothing is wrong
	}{
		"as it is":          {func(*Config) {}, ""},
		"no admin port":     {func(c *Config) { c.AdminListen = "" }, ""},
		"any interface":     {func(c *Config) { c.Listen, c.AdminListen = ":5000", "0.0.0.0:0" }, ""},
		"IPv6":              {func(c *Config) { c.Listen = "[::1]:5000" }, ""},
		"domain":            {func(c *Config) { c.Domain = "registry.example.com" }, ""},
		"domain and port":   {func(c *Config) { c.Domain = "registry.example.com:8443" }, ""},
		"one label":         {func(c *Config) { c.Domain = "localhost" }, ""},
		"more regions":      {func(c *Config) { c.Region = []string{"eu-central-1", "us-gov-west-1", "ap-southeast-2"} }, ""},
		"root key":          {func(c *Config) { c.RootKey = "file:/etc/coffer/root-key" }, ""},
		"root credentials":  {func(c *Config) { c.RootAccessKeyID, c.RootSecretAccessKey = "a", secret.New("b") }, ""},
		"a limit":           {func(c *Config) { c.Limits = map[string]int64{"repositories-per-registry": 1} }, ""},
		"database":          {func(c *Config) { c.Database = "postgres://u:p@h/d?sslmode=require" }, ""},
		"database's file":   {func(c *Config) { c.Database = "coffer.db" }, "--database is not of the form postgres://USER@HOST/DATABASE; for SQLite in the data folder, leave it out"},
		"database's scheme": {func(c *Config) { c.Database = "mysql://h/d" }, "--database is not of the form postgres://USER@HOST/DATABASE; for SQLite in the data folder, leave it out"},
		"no database":       {func(c *Config) { c.Database = "postgres://u:token@h" }, "--database names no database: postgres://USER@HOST/DATABASE"},
		"connections":       {func(c *Config) { c.Database = "postgres://h/d?pool_max_conns=1" }, `--database has pool_max_conns="1", which is not a number of 2 to 1000`},
		"database's port":   {func(c *Config) { c.Database = "postgres://u:token@h:99999/d" }, "--database can't be used: "},
		"blobs":             {func(c *Config) { c.Blobs = "s3://bucket/prefix?region=eu-west-1" }, ""},
		"blobs' folder":     {func(c *Config) { c.Blobs = "/var/blobs" }, "--blobs "},
		"certificate":       {func(c *Config) { c.TLSCert, c.TLSKey = "cert.pem", "key.pem" }, ""},
		"certificate alone": {func(c *Config) { c.TLSCert = "cert.pem" }, "--tls-cert needs --tls-key: the file with the key of the certificate"},
		"key alone":         {func(c *Config) { c.TLSKey = "key.pem" }, "--tls-key needs --tls-cert: the file with the certificate of the key"},
		"own authority":     {func(c *Config) { c.TLSDev = true }, ""},
		"two certificates":  {func(c *Config) { c.TLSCert, c.TLSKey, c.TLSDev = "cert.pem", "key.pem", true }, oneSource},
		"clients":           {func(c *Config) { c.TLSDev, c.TLSClientCA, c.TLSClientAuth = true, "ca.pem", "required" }, ""},
		"clients optional":  {func(c *Config) { c.TLSDev, c.TLSClientCA = true, "ca.pem" }, ""},
		"clients, no TLS":   {func(c *Config) { c.TLSClientCA = "ca.pem" }, "--tls-client-ca needs TLS: --tls-cert and --tls-key, --tls-dev or --acme-directory"},
		"clients, no CA":    {func(c *Config) { c.TLSDev, c.TLSClientAuth = true, "optional" }, "--tls-client-auth needs --tls-client-ca: the file with the authorities of clients"},
		"clients somehow":   {func(c *Config) { c.TLSDev, c.TLSClientCA, c.TLSClientAuth = true, "ca.pem", "maybe" }, `--tls-client-auth "maybe" is neither optional nor required`},
		"ACME":              {acme(func(c *Config) { c.ACMEEmail, c.ACMECA, c.ACMEHTTPListen = "a@example.com", "ca.pem", ":80" }), ""},
		"ACME and files":    {acme(func(c *Config) { c.TLSCert, c.TLSKey = "cert.pem", "key.pem" }), oneSource},
		"ACME, no URL":      {acme(func(c *Config) { c.ACMEDirectory = "" }), "--acme-directory is missing: the URL of the ACME server's directory, such as https://acme-v02.api.letsencrypt.org/directory"},
		"ACME, no TLS":      {acme(func(c *Config) { c.ACMEDirectory = "http://acme.example.com" }), `--acme-directory "http://acme.example.com" must begin with https://`},
		"ACME, no domain":   {acme(func(c *Config) { c.ACMEDomain = nil }), "--acme-directory needs --acme-domain: a host name to get a certificate for"},
		"ACME, wildcard":    {acme(func(c *Config) { c.ACMEDomain = []string{"*.example.com"} }), `--acme-domain "*.example.com"` + wholeName},
		"ACME, address":     {acme(func(c *Config) { c.ACMEDomain = []string{"192.0.2.1"} }), `--acme-domain "192.0.2.1"` + wholeName},
		"ACME, port alone":  {acme(func(c *Config) { c.ACMEHTTPListen = "80" }), `--acme-http-listen "80" is not an address such as 0.0.0.0:80`},
		"root key URL":      {func(c *Config) { c.RootKey = "vault://token@h/key" }, "--root-key vault:… has a user or a fragment, which belong to no root; credentials come from the environment"},
		"root key a path":   {func(c *Config) { c.RootKey = "/etc/root-key" }, ""},
		"root key no kind":  {func(c *Config) { c.RootKey = "token@:x" }, "--root-key it is no kind of root; there are file:PATH, vault://HOST/MOUNT/KEY, awskms://HOST/KEY?region=NAME and pkcs11:URI"},
		"root key no path":  {func(c *Config) { c.RootKey = "file:" }, "--root-key file: needs a path"},
		"no data":           {func(c *Config) { c.Data = "" }, "--data must name a folder"},
		"no account":        {func(c *Config) { c.Account = "" }, `--account "" is not 12 digits`},
		"short account":     {func(c *Config) { c.Account = "12345678901" }, `--account "12345678901" is not 12 digits`},
		"account of others": {func(c *Config) { c.Account = "12345678901x" }, `--account "12345678901x" is not 12 digits`},
		"account and line":  {func(c *Config) { c.Account = "123456789012\n" }, `--account "123456789012\n" is not 12 digits`},
		"no region":         {func(c *Config) { c.Region = nil }, "--region: at least one region is needed"},
		"empty region":      {func(c *Config) { c.Region = []string{""} }, `--region "" is not of the form us-east-1`},
		"bad region":        {func(c *Config) { c.Region = []string{"us-east-1", "US-EAST-1"} }, `--region "US-EAST-1" is not of the form us-east-1`},
		"regions as one":    {func(c *Config) { c.Region = []string{"us-east-1 us-west-2"} }, `--region "us-east-1 us-west-2" is not of the form us-east-1`},
		"region twice":      {func(c *Config) { c.Region = []string{"us-east-1", "us-west-2", "us-east-1"} }, "--region us-east-1 is given twice"},
		"URL for domain":    {func(c *Config) { c.Domain = "https://registry.example.com" }, `--domain "https://registry.example.com" is not a host name`},
		"domain with a dot": {func(c *Config) { c.Domain = ".example.com" }, `--domain ".example.com" is not a host name`},
		"domain and path":   {func(c *Config) { c.Domain = "example.com/x" }, `--domain "example.com/x" is not a host name`},
		"no listen":         {func(c *Config) { c.Listen = "" }, `--listen "" is not an address such as 127.0.0.1:5000`},
		"port alone":        {func(c *Config) { c.Listen = "5000" }, `--listen "5000" is not an address such as 127.0.0.1:5000`},
		"host alone":        {func(c *Config) { c.Listen = "localhost" }, `--listen "localhost" is not an address such as 127.0.0.1:5000`},
		"admin port alone":  {func(c *Config) { c.AdminListen = "5001" }, `--admin-listen "5001" is not an address such as 127.0.0.1:5000`},
		"proxy":             {func(c *Config) { c.TrustedProxy = []string{"10.0.0.0/24", "192.0.2.1"} }, ""},
		"proxy by name":     {func(c *Config) { c.TrustedProxy = []string{"proxy"} }, `--trusted-proxy "proxy" is neither an address nor a range such as 10.0.0.0/24`},
		"any proxy":         {func(c *Config) { c.TrustedProxy = []string{"0.0.0.0/0"} }, `--trusted-proxy "0.0.0.0/0" is everybody; name the proxies alone`},
		"id alone":          {func(c *Config) { c.RootAccessKeyID = "AKIAIOSFODNN7EXAMPLE" }, pairMessage},
		"secret alone":      {func(c *Config) { c.RootSecretAccessKey = secret.New("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY") }, pairMessage},
		"no such limit":     {func(c *Config) { c.Limits = map[string]int64{"x": 1} }, `there is no limit named "x"; the limits are `},
		"negative limit":    {func(c *Config) { c.Limits = map[string]int64{"repositories-per-registry": -1} }, "limit repositories-per-registry can't be -1"},
	} {
		t.Run(name, func(t *testing.T) {
			c := good()
			tt.change(&c)
			err := c.Check()
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || tt.want[len(tt.want)-1] != ' ' && err.Error() != tt.want {
				t.Fatalf("error is %v\nwant %s", err, tt.want)
			}
			oneLine(t, err)
		})
	}
}

func oneLine(t testing.TB, err error) {
	t.Helper()
	if text := err.Error(); strings.ContainsAny(text, "\n\r") || strings.Contains(text, "bPxRfiCY") || strings.Contains(text, "token@") {
		t.Errorf("error is not one line, or shows a secret: %q", text)
	}
}

func TestRootKeyURL(t *testing.T) {
	c := good()
	for given, want := range map[string]string{"": "file:data/root-key", "file:/etc/coffer/key": "file:/etc/coffer/key", "keys/root": "file:keys/root",
		"vault://vault.example.com/transit/coffer": "vault://vault.example.com/transit/coffer"} {
		c.RootKey = given
		if got := c.rootKey(); got != want {
			t.Errorf("%s is %s", given, got)
		}
	}
}

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "coffer.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"data": "/srv/coffer", "region": ["us-east-1", "eu-central-1"], "tls-dev": false, "limits": {"repositories": 10, "tags-per-image": 20}}`)
	values, limits, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"data": "/srv/coffer", "region": []any{"us-east-1", "eu-central-1"}, "tls-dev": false}, values); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int64{"repositories": 10, "tags-per-image": 20}, limits); diff != "" {
		t.Error(diff)
	}
	for _, empty := range []string{"{}", ` { } `, `{"limits": {}}`} {
		write(empty)
		if values, limits, err := ReadFile(path); err != nil || len(values) != 0 || len(limits) != 0 {
			t.Errorf("%s: %v %v, error %v", empty, values, limits, err)
		}
	}
	for text, want := range map[string]string{
		"":                              " is not a JSON object: ",
		"data = /srv":                   " is not a JSON object: ",
		`{"data": "a"`:                  " is not a JSON object: ",
		`{"data": "a",}`:                " is not a JSON object: ",
		`{"data": "a"} x`:               " is not a JSON object: ",
		`["data"]`:                      " is not a JSON object: ",
		`"data"`:                        " is not a JSON object: ",
		`null`:                          " is not a JSON object: ",
		`{"data": "a", "data": "b"}`:    " is not a JSON object: ",
		`{"limits": []}`:                `: "limits" must be an object of whole numbers`,
		`{"limits": 1}`:                 `: "limits" must be an object of whole numbers`,
		`{"limits": null}`:              `: "limits" must be an object of whole numbers`,
		`{"limits": {"a": 1.5}}`:        `: "limits" must be an object of whole numbers`,
		`{"limits": {"a": "1"}}`:        `: "limits" must be an object of whole numbers`,
		`{"limits": {"a": null}}`:       `: "limits" must be an object of whole numbers`,
		`{"limits": {"a": 1, "a": 2}}`:  " is not a JSON object: ",
		`{"limits": {"a": 1e400}}`:      `: "limits" must be an object of whole numbers`,
		"{\n\"data\": \"a\"\n\"b\": 1}": " is not a JSON object: ",
	} {
		write(text)
		_, _, err := ReadFile(path)
		if err == nil || !strings.HasPrefix(err.Error(), "configuration file "+path+want) {
			t.Errorf("%s: error is %v", text, err)
			continue
		}
		oneLine(t, err)
	}
	missing := filepath.Join(t.TempDir(), "missing")
	if _, _, err := ReadFile(missing); err == nil || err.Error() != "configuration file "+missing+" does not exist" {
		t.Errorf("error is %v", err)
	}
	if _, _, err := ReadFile(t.TempDir()); err == nil || !strings.HasPrefix(err.Error(), "read the configuration file: ") {
		t.Errorf("error is %v", err)
	}
}
