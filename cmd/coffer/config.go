package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/coffer-registry/coffer/internal/app"
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
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if flags[name] == nil || name == "config" || name == "help" {
			return fmt.Errorf("configuration file %s: there is no flag named %q", path, name)
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

// AfterApply takes in what is only in the environment: secrets are no flags, which other users of the machine can see.
func (c *configured) AfterApply() error {
	c.RootAccessKeyID = os.Getenv("COFFER_ROOT_ACCESS_KEY_ID")
	c.RootSecretAccessKey = os.Getenv("COFFER_ROOT_SECRET_ACCESS_KEY")
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
