package iam

import (
	"net/http"

	"github.com/coffer-registry/coffer/internal/awsapi"
	"github.com/coffer-registry/coffer/internal/identity"
)

// admit refuses sessions that no operation of IAM takes: those of federated users, and those of users and roots who proved
// no second factor. To them their credentials are none, as AWS has it.
func admit(c identity.Caller, _ string) *awsapi.Error {
	if c.Session == nil || c.Session.Kind == identity.RoleSession {
		return nil
	}
	if _, proved := c.Session.SecondFactor(); proved {
		return nil
	}
	return &awsapi.Error{Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid.", Status: http.StatusForbidden}
}
