package iam

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addSummary(out *awsapi.Service) {
	awsapi.Add(out, onAccount(awsapi.Op[struct{}, api.GetAccountSummaryResponse]{
		Action: "iam:GetAccountSummary",
		Read: func(ctx context.Context, c awsapi.Call, _ *struct{}) (*api.GetAccountSummaryResponse, error) {
			out := &api.GetAccountSummaryResponse{}
			err := s.IAM.View(ctx, func(tx *store.Tx) (err error) {
				out.SummaryMap, err = s.IAM.Summary(tx, c.Caller.Principal.Account)
				return err
			})
			return out, err
		},
	}))
}
