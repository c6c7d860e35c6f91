// Package arn parses, prints and matches Amazon Resource Names.
//
// An ARN is a value: two ARNs are the same resource exactly if they are equal. Text that Parse accepts prints as it was.
// The package knows the shape that all ARNs share and the few names that others build; what a service allows within its
// own part is that service's matter, and policy variables are the policy's.
package arn

import (
	"errors"
	"fmt"
	"strings"
)

// MaxLength is the greatest length of an ARN in bytes, which IAM bounds to 2,048 characters.
const MaxLength = 2048

// ErrMalformed means that a text is not an ARN.
var ErrMalformed = errors.New("not an ARN")

// ARN is arn:partition:service:region:account:resource. The zero value is no ARN.
type ARN struct {
	// Partition is a group of regions, such as "aws".
	Partition string
	// Service is the name space of the service, such as "ecr".
	Service string
	// Region is empty for services that have none, such as IAM.
	Region string
	// Account is a 12-digit account id; it is empty for resources that no account owns, and "aws" for policies that AWS
	// manages.
	Account string
	// Resource is the service's own part. It may hold colons and slashes.
	Resource string
}

// Parse splits an ARN at its first five colons. Partition, service and resource are never empty. The error is
// ErrMalformed.
func Parse(s string) (ARN, error) {
	if len(s) > MaxLength {
		return ARN{}, fmt.Errorf("%w: it has %d bytes", ErrMalformed, len(s))
	}
	parts := strings.SplitN(s, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return ARN{}, fmt.Errorf("%w: it does not have the form arn:partition:service:region:account:resource", ErrMalformed)
	}
	a := ARN{Partition: parts[1], Service: parts[2], Region: parts[3], Account: parts[4], Resource: parts[5]}
	if a.Partition == "" || a.Service == "" || a.Resource == "" {
		return ARN{}, fmt.Errorf("%w: partition, service or resource is empty", ErrMalformed)
	}
	if strings.ContainsFunc(s, isControl) {
		return ARN{}, fmt.Errorf("%w: it holds a control character", ErrMalformed)
	}
	return a, nil
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// String prints the ARN; the zero value prints as nothing.
func (a ARN) String() string {
	if a == (ARN{}) {
		return ""
	}
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// Repository names a private repository of Amazon ECR.
func Repository(region, account, name string) ARN {
	return ARN{Partition: partition(region), Service: "ecr", Region: region, Account: account, Resource: "repository/" + name}
}

// Key names a key of KMS.
func Key(region, account, id string) ARN {
	return ARN{Partition: partition(region), Service: "kms", Region: region, Account: account, Resource: "key/" + id}
}

// Alias names an alias of KMS, whose name is without the alias/ before it.
func Alias(region, account, name string) ARN {
	return ARN{Partition: partition(region), Service: "kms", Region: region, Account: account, Resource: "alias/" + name}
}

// Root names the principal that stands for an account itself.
func Root(account string) ARN {
	return ARN{Partition: "aws", Service: "iam", Account: account, Resource: "root"}
}

// partition is the one that AWS puts the region in; names that AWS does not use belong to "aws".
func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}
