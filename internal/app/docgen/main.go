// Docgen writes the pages of the documentation that are lists of what the code has: docs/operations.md and docs/limits.md.
package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coffer-registry/coffer/internal/awsapi"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/service/ecr"
	"github.com/coffer-registry/coffer/internal/service/iam"
	"github.com/coffer-registry/coffer/internal/service/kms"
	"github.com/coffer-registry/coffer/internal/service/organizations"
	"github.com/coffer-registry/coffer/internal/service/sts"
)

func main() {
	dir := os.Args[1]
	for name, text := range map[string]string{"operations.md": operations(), "limits.md": limits()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "docgen:", err)
			os.Exit(1)
		}
	}
}

// services are those that are served, as the page shows them.
func services() []*awsapi.Service {
	return []*awsapi.Service{ecr.New(ecr.Config{}), iam.New(iam.Config{}), sts.New(sts.Config{}), organizations.New(organizations.Config{}),
		kms.New(kms.Config{})}
}

func operations() string {
	var b strings.Builder
	b.WriteString("# Operations\n\nEvery operation of the services that Coffer serves. What isn't served answers `UnknownOperationException`\n" +
		"(`InvalidAction` in the query protocol). This page is generated.\n")
	for _, s := range services() {
		served := s.Served()
		fmt.Fprintf(&b, "\n## %s %s: %d of %d\n\n| operation | served |\n|---|---|\n", s.Model.Name, s.Model.Version, len(served), len(s.Model.Operations))
		for _, name := range slices.Sorted(maps.Keys(s.Model.Operations)) {
			mark := "–"
			if slices.Contains(served, name) {
				mark = "yes"
			} else if why := whyOmitted(s.Model.Name, name); why != "" {
				mark = "– " + why
			}
			fmt.Fprintf(&b, "| %s | %s |\n", name, mark)
		}
	}
	return b.String()
}

func limits() string {
	var b strings.Builder
	b.WriteString("# Limits\n\nAll quotas, with Amazon ECR's values and Coffer's. Set others under `\"limits\"` in the configuration file. A rate of 0 is\n" +
		"no limit; ECR's rates protect a shared service, so they are off unless you set them. This page is generated.\n\n" +
		"| limit | ECR | default | at most | of what |\n|---|--:|--:|--:|---|\n")
	for _, d := range registry.Definitions() {
		fmt.Fprintf(&b, "| `%s` | %s | %d | %s | %s |\n", d.Limit, number(d.ECR), d.Default, number(d.Max), d.Unit)
	}
	return b.String()
}

// number shows an amount, or a dash for none.
func number(n int64) string {
	if n == 0 {
		return "–"
	}
	return fmt.Sprint(n)
}
