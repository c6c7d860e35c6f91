package iam

import (
	"errors"

	"github.com/coffer-registry/coffer/internal/awsapi"
	"github.com/coffer-registry/coffer/internal/iam"
)

// problem turns a refusal of IAM's rules into what the client is told; nil for an error that no client can bring about.
func problem(err error) *awsapi.Error {
	var refused *iam.Error
	if !errors.As(err, &refused) {
		return nil
	}
	return &awsapi.Error{Code: string(refused.Code), Message: refused.Message, Status: statuses[string(refused.Code)]}
}
