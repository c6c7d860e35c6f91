package sts

import (
	"context"
	"errors"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/sts"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/policy"
)

func (s *service) addAuthorizationMessage(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.DecodeAuthorizationMessageRequest, api.DecodeAuthorizationMessageResponse]{
		Action:    "sts:DecodeAuthorizationMessage",
		Resources: func(c awsapi.Call, _ *api.DecodeAuthorizationMessageRequest) []policy.Resource { return onAccount(c) },
		Read:      s.decodeAuthorizationMessage,
		// The message is long, and tells nothing that its own denial did not leave in the trail.
		Parameters: func(*api.DecodeAuthorizationMessageRequest) any { return struct{}{} },
	})
}

func (s *service) decodeAuthorizationMessage(_ context.Context, c awsapi.Call, in *api.DecodeAuthorizationMessageRequest) (*api.DecodeAuthorizationMessageResponse, error) {
	message, err := s.Directory.DecodeMessage(c.Caller.Principal.Account, in.EncodedMessage)
	if errors.Is(err, identity.ErrMessageInvalid) {
		return nil, api.Model.Error("InvalidAuthorizationMessageException", "Message is not valid")
	}
	return &api.DecodeAuthorizationMessageResponse{DecodedMessage: string(message)}, err
}
