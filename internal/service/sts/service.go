// Package sts is the API of the AWS Security Token Service: temporary credentials of roles, users and federated users, and
// questions about credentials.
//
// It says what the policies are asked and what goes into a session; sessions are made by package identity, and kept nowhere.
package sts

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/sts"
	"github.com/coffer-registry/coffer/internal/federation"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/identity"
)

// Config is what the service works with.
type Config struct {
	IAM       *iam.Store
	Directory *identity.Directory
	// Federation judges what identity providers say.
	Federation *federation.Verifier
	Log        *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// service holds the operations' dependencies.
type service struct {
	Config
	told told
}

// New returns the service.
func New(c Config) *awsapi.Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &service{Config: c}
	out := &awsapi.Service{Model: api.Model, EventSource: "sts.amazonaws.com", Problem: problem, Admit: admit}
	for _, add := range []func(*awsapi.Service){
		s.addCallerIdentity, s.addAssumeRole, s.addSessionToken, s.addFederationToken, s.addWebIdentity, s.addSAML, s.addAccessKeyInfo, s.addAuthorizationMessage,
	} {
		add(out)
	}
	return out
}

// admit refuses what the holders of some sessions may not call, whatever their policies say.
func admit(c identity.Caller, operation string) *awsapi.Error {
	if c.Session == nil || operation == "GetCallerIdentity" {
		return nil
	}
	switch {
	case operation == "GetSessionToken", operation == "GetFederationToken":
	case c.Session.Kind == identity.UserSession && operation != "AssumeRole":
	case c.Session.Kind == identity.FederationSession:
	default:
		return nil
	}
	return denied("Cannot call " + operation + " with session credentials")
}

// denied is a refusal that no policy has a say in.
func denied(message string) *awsapi.Error {
	return &awsapi.Error{Code: "AccessDenied", Message: message, Status: http.StatusForbidden}
}

// invalid says that the input breaks a rule that the model does not have.
func invalid(message string) *awsapi.Error {
	return &awsapi.Error{Code: "ValidationError", Message: message, Status: http.StatusBadRequest}
}

// invalidParameter says that parts of the input do not go together.
func invalidParameter(message string) *awsapi.Error {
	return &awsapi.Error{Code: "InvalidParameterValue", Message: message, Status: http.StatusBadRequest}
}

// modeled are the names that the model has for the errors of identity providers.
var modeled = map[federation.Code]string{
	federation.InvalidIdentityToken: "InvalidIdentityTokenException", federation.ExpiredToken: "ExpiredTokenException",
	federation.IDPRejectedClaim: "IDPRejectedClaimException", federation.IDPCommunicationError: "IDPCommunicationErrorException",
}

// problem turns what the domain refuses into what the client is told; nil for an error that no client can bring about.
func problem(err error) *awsapi.Error {
	var refused *iam.Error
	var packed *identity.PackedError
	var vouch *federation.Error
	switch {
	case errors.As(err, &vouch):
		return api.Model.Error(modeled[vouch.Code], vouch.Message)
	case errors.As(err, &packed):
		return api.Model.Error("PackedPolicyTooLargeException", packed.Error())
	case errors.As(err, &refused) && refused.Code == iam.AccessDenied:
		return denied(refused.Message)
	case errors.As(err, &refused):
		return &awsapi.Error{Code: string(refused.Code), Message: refused.Message, Status: http.StatusBadRequest}
	}
	return nil
}
