package iam

import (
	"context"
	"errors"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addCredentialReports(out *awsapi.Service) {
	awsapi.Add(out, onAccount(awsapi.Op[struct{}, api.GenerateCredentialReportResponse]{
		Action: "iam:GenerateCredentialReport",
		Stage:  s.generateReport,
	}))
	awsapi.Add(out, onAccount(awsapi.Op[struct{}, api.GetCredentialReportResponse]{
		Action: "iam:GetCredentialReport",
		Read:   s.getReport,
	}))
}

// reportStarted are the sentences with which a new report begins, by why there is no other. Only the first is AWS's.
var reportStarted = map[iam.Code]string{
	iam.ReportNotPresent: "No report exists. Starting a new report generation task",
	iam.ReportExpired:    "The report has expired. Starting a new report generation task",
}

// generateReport makes a report unless there is one that is still good. It is there at once, but who asks is told first
// that it is begun, as clients expect.
func (s *service) generateReport(ctx context.Context, c awsapi.Call, _ *struct{}) (staged awsapi.Staged[api.GenerateCredentialReportResponse], err error) {
	account := c.Caller.Principal.Account
	out := &api.GenerateCredentialReportResponse{State: api.ReportStateTypeComplete}
	var made iam.Report
	err = s.IAM.View(ctx, func(tx *store.Tx) error {
		_, err := s.IAM.Report(tx, account)
		var refused *iam.Error
		if err == nil || !errors.As(err, &refused) {
			return err
		}
		out.State, out.Description = api.ReportStateTypeStarted, reportStarted[refused.Code]
		made, err = s.IAM.MakeReport(tx, account)
		return err
	})
	staged.Save = func(tx *store.Tx) (*api.GenerateCredentialReportResponse, error) {
		if made.Content == "" {
			return out, nil
		}
		return out, s.IAM.SaveReport(tx, account, made)
	}
	return staged, err
}

func (s *service) getReport(ctx context.Context, c awsapi.Call, _ *struct{}) (out *api.GetCredentialReportResponse, err error) {
	err = s.IAM.View(ctx, func(tx *store.Tx) error {
		r, err := s.IAM.Report(tx, c.Caller.Principal.Account)
		if err != nil {
			return err
		}
		made := awsapi.NewTime(r.MadeAt)
		out = &api.GetCredentialReportResponse{Content: []byte(r.Content), ReportFormat: api.ReportFormatTypeTextCsv, GeneratedTime: &made}
		return nil
	})
	return out, err
}
