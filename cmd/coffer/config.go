package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/secret"
)

// configured is what the commands have in common that work on a server's state: the server's own flags. A flag counts
// before the environment, and both before the configuration file.
type configured struct {
	app.Config
}

// BeforeResolve reads the configuration file, if one is named.
func (c *configured) BeforeResolve(ctx *kong.Context) error {
	flags := map[string]*kong.Flag{}
	for _, f := range ctx.Flags() {
		flags[f.Name] = f
	}
	path, _ := ctx.FlagValue(flags["config"]).(string)
	if path == "" {
		return nil
	}
	values, limits, err := app.ReadFile(path)
	if err != nil {
		return &fileError{err}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := checkEntry(name, flags[name], values[name]); err != nil {
			return &fileError{fmt.Errorf("configuration file %s: %w", path, err)}
		}
	}
	c.Limits = limits
	ctx.AddResolver(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, f *kong.Flag) (any, error) {
		if slices.ContainsFunc(f.Envs, func(name string) bool { _, set := os.LookupEnv(name); return set }) {
			return nil, nil
		}
		return values[f.Name], nil
	}))
	return nil
}

// fileError is what is wrong with the configuration file, for which the help of the command line is no help.
type fileError struct{ error }

// checkEntry checks that an entry of a configuration file is a flag's, and of its type.
func checkEntry(name string, flag *kong.Flag, value any) error {
	switch {
	case name == "config":
		return errors.New(`"config" belongs on the command line or into the environment`)
	case flag == nil || name == "help":
		return fmt.Errorf("there is no flag named %q", name)
	}
	_, text := value.(string)
	switch flag.Target.Kind() {
	case reflect.String:
		if !text {
			return fmt.Errorf("%q must be a text", name)
		}
	case reflect.Bool:
		if _, ok := value.(bool); !ok {
			return fmt.Errorf("%q must be true or false", name)
		}
	case reflect.Slice:
		list, ok := value.([]any)
		if !text && (!ok || slices.ContainsFunc(list, func(v any) bool { _, ok := v.(string); return !ok })) {
			return fmt.Errorf("%q must be a list of texts", name)
		}
	}
	return nil
}

// AfterApply takes in what is only in the environment: secrets are no flags, which other users of the machine can see.
func (c *configured) AfterApply() error {
	c.RootAccessKeyID = os.Getenv("COFFER_ROOT_ACCESS_KEY_ID")
	c.RootSecretAccessKey = secret.New(os.Getenv("COFFER_ROOT_SECRET_ACCESS_KEY"))
	return nil
}

// registryHost is the host of a server in the names of images.
func registryHost(url string) string {
	_, host, _ := strings.Cut(url, "://")
	if port, ok := strings.CutPrefix(host, "127.0.0.1:"); ok {
		return "localhost:" + port
	}
	return host
}
