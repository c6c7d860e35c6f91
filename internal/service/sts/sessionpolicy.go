package sts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/coffer-registry/coffer/internal/arn"
	api "github.com/coffer-registry/coffer/internal/awsapi/sts"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// Bounds of session policies: how many may be named, and how many characters a document and the names have together.
const (
	maxPolicyARNs       = 10
	maxPolicyCharacters = 2048
)

// limit gives a session the policies that are passed, which must be those of the account that it belongs to.
func (s *service) limit(ctx context.Context, session *identity.Session, account, document string, named []api.PolicyDescriptorType) error {
	if len(named) > maxPolicyARNs {
		return invalid(fmt.Sprintf("1 validation error detected: Value at 'policyArns' failed to satisfy constraint: Member must have length less than or equal to %d", maxPolicyARNs))
	}
	characters := utf8.RuneCountInString(document)
	for _, p := range named {
		if !isPolicyOf(account, p.Arn) {
			return invalid(p.Arn + " is invalid")
		}
		characters += utf8.RuneCountInString(p.Arn)
		session.PolicyARNs = append(session.PolicyARNs, p.Arn)
	}
	if characters > maxPolicyCharacters {
		return &identity.PackedError{Percent: (characters*100 + maxPolicyCharacters - 1) / maxPolicyCharacters}
	}
	if document != "" {
		if _, err := policy.Parse(policy.KindSession, []byte(document), policy.Options{}); err != nil {
			return malformed(err)
		}
		session.Policies = []string{document}
	}
	return s.IAM.View(ctx, func(tx *store.Tx) error {
		for _, name := range session.PolicyARNs {
			if err := s.IAM.CheckManaged(tx, name); err != nil {
				return err
			}
		}
		return nil
	})
}

func malformed(err error) error {
	var m *policy.MalformedError
	if errors.As(err, &m) {
		return api.Model.Error("MalformedPolicyDocumentException", m.Message)
	}
	return err
}

// isPolicyOf reports whether a text is the ARN of a managed policy of an account, or of AWS.
func isPolicyOf(account, text string) bool {
	a, err := arn.Parse(text)
	return err == nil && a.Partition == "aws" && a.Service == "iam" && a.Region == "" && (a.Account == account || a.Account == "aws") &&
		strings.HasPrefix(a.Resource, "policy/")
}
