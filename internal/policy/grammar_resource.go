package policy

import (
	"fmt"
	"slices"
	"strings"
)

const (
	textNotARN    = `Resource %s must be in ARN format or "*".`
	textPartition = `Partition "%s" is not valid for resource "arn:%s:%s:%s:%s:%s".`
	textService   = "Resource vendor must be fully qualified and cannot contain regexes."
	textIAMRegion = "IAM resource %s cannot contain region information."
	textS3Region  = "Resource %s can not contain region information."
	textIAMPath   = `IAM resource path must either be "*" or start with %s.`
)

// iamPaths begin the resources of IAM.
var iamPaths = []string{
	"user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/", "server-certificate/", "policy/",
	"sms-mfa/", "saml-provider/", "oidc-provider/", "report/", "access-report/",
}

func checkResources(g *grammar, s *rawStatement, _ Options) string {
	for _, e := range []elements{s.resources, s.notResources} {
		for _, text := range e.values {
			if problem := checkResource(g, text); problem != "" {
				return problem
			}
		}
	}
	return ""
}

func checkResource(g *grammar, text string) string {
	if text == "*" {
		return ""
	}
	head, rest, found := strings.Cut(text, ":")
	if !found {
		return fmt.Sprintf(textNotARN, text)
	}
	partition, rest, found := strings.Cut(rest, ":")
	if !isPartition(partition) {
		return wrongPartition(partition, rest, found)
	}
	if head != "arn" {
		return fmt.Sprintf(textNotARN, text)
	}
	parts, n := splitARN(text)
	switch {
	case n < 3, strings.ContainsAny(parts[2], "*?"), n < len(parts) && !g.shortARNs:
		return textService
	case parts[2] == "iam" && parts[3] != "":
		return fmt.Sprintf(textIAMRegion, text)
	case parts[2] == "s3" && parts[3] != "" && n > 3:
		return fmt.Sprintf(textS3Region, text)
	case parts[2] == "iam" && n == len(parts) && !isIAMPath(parts[5]):
		return fmt.Sprintf(textIAMPath, strings.Join(iamPaths, ", "))
	}
	return checkVariables(parts)
}

// wrongPartition fills what the text lacks by "*", as IAM's sentence does.
func wrongPartition(partition, rest string, found bool) string {
	parts := []string{"*", "*", "*", "*"}
	if found {
		copy(parts, strings.SplitN(rest, ":", len(parts)))
	}
	return fmt.Sprintf(textPartition, partition, partition, parts[0], parts[1], parts[2], parts[3])
}

// isIAMPath reports whether IAM has such resources.
func isIAMPath(resource string) bool {
	return resource == "*" || slices.ContainsFunc(iamPaths, func(path string) bool { return strings.HasPrefix(resource, path) })
}

// checkVariables refuses variables that are malformed or stand before the last segment.
func checkVariables(parts segments) string {
	for _, s := range parts[:5] {
		if strings.Contains(s, "${") {
			return textSyntax
		}
	}
	if _, sound := newTemplate(parts[5]); !sound {
		return textSyntax
	}
	return ""
}
