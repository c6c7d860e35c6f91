package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/secret"
)

// envCommand needs the data folder alone, and takes all flags of the server, so that both can share a configuration file.
type envCommand struct {
	configured
}

// Run prints export lines for a POSIX shell. On any error it prints none, so that eval changes nothing.
func (e *envCommand) Run(c console) error {
	endpoint, err := app.ReadEndpoint(e.Data)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no server runs on the data folder %s; start one with: coffer serve --data %s", e.Data, shellWord(e.Data))
	}
	if err != nil {
		return err
	}
	if !app.Running(e.Data) {
		return fmt.Errorf("the server of the data folder %s, which answered at %s, was killed; start it again with: coffer serve --data %s",
			e.Data, endpoint.URL, shellWord(e.Data))
	}
	credentials, err := rootCredentials(e.Data)
	if err != nil {
		return err
	}
	for _, v := range [...]struct{ name, value string }{
		{"AWS_ENDPOINT_URL", endpoint.URL},
		{"AWS_ACCESS_KEY_ID", credentials.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", credentials.SecretAccessKey.Reveal()},
		{"AWS_DEFAULT_REGION", endpoint.Region},
	} {
		fmt.Fprintf(c.out, "export %s=%s\n", v.name, shellQuote(v.value))
	}
	if endpoint.CA != "" {
		fmt.Fprintf(c.out, "export AWS_CA_BUNDLE=%s\n", shellQuote(endpoint.CA))
	}
	fmt.Fprintln(c.out, "unset "+strings.Join(overriding, " "))
	return nil
}

// overriding are the variables that would count before those that are set, or spoil them.
var overriding = []string{"AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL_STS",
	"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"}

// rootCredentials are those of the environment, which the server was given too, or those that its first start made.
func rootCredentials(data string) (app.Credentials, error) {
	id, text := os.Getenv("COFFER_ROOT_ACCESS_KEY_ID"), os.Getenv("COFFER_ROOT_SECRET_ACCESS_KEY")
	if id != "" && text != "" {
		return app.Credentials{AccessKeyID: id, SecretAccessKey: secret.New(text)}, nil
	}
	credentials, err := app.ReadCredentials(data)
	if errors.Is(err, fs.ErrNotExist) {
		return credentials, fmt.Errorf("the data folder %s holds no root credentials: set COFFER_ROOT_ACCESS_KEY_ID and "+
			"COFFER_ROOT_SECRET_ACCESS_KEY as for the server", data)
	}
	return credentials, err
}

// shellWord is s as one word of a POSIX shell, quoted only if it must be.
func shellWord(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:@%,"
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return shellQuote(s)
}

// shellQuote makes one word of a POSIX shell of s.
func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
