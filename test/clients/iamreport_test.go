package clients_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An auditor's commands of the AWS CLI: who has which credentials, who may do what, and who has what.
func TestAWSReports(t *testing.T) {
	t.Parallel()
	s := serve(t, ownCredentials)
	run := func(v any, args ...string) {
		t.Helper()
		out := s.run(t, "aws", append([]string{"iam", "--output", "json"}, args...)...)
		if v != nil {
			decode(t, out, v)
		}
	}
	const document = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr:*","Resource":"arn:aws:ecr:*:*:repository/team/*"}]}`
	run(nil, "create-user", "--user-name", "ann")
	run(nil, "put-user-policy", "--user-name", "ann", "--policy-name", "team", "--policy-document", document)

	var state struct{ State, Description string }
	if run(&state, "generate-credential-report"); state.State != "STARTED" || state.Description != "No report exists. Starting a new report generation task" {
		t.Errorf("generate-credential-report: %+v", state)
	}
	if run(&state, "generate-credential-report"); state.State != "COMPLETE" {
		t.Errorf("generate-credential-report again: %+v", state)
	}
	var report struct{ Content, ReportFormat, GeneratedTime string }
	run(&report, "get-credential-report")
	content, err := base64.StdEncoding.DecodeString(report.Content)
	if lines := strings.Split(string(content), "\n"); err != nil || len(lines) != 4 || !strings.HasPrefix(lines[1], "<root_account>,arn:aws:iam::123456789012:root,") ||
		!strings.HasPrefix(lines[2], "ann,arn:aws:iam::123456789012:user/ann,") || report.ReportFormat != "text/csv" || report.GeneratedTime == "" {
		t.Errorf("get-credential-report: %v %+v\n%s", err, report, content)
	}

	var simulation struct {
		EvaluationResults []struct {
			EvalActionName, EvalResourceName, EvalDecision string
			MatchedStatements                              []struct {
				SourcePolicyId, SourcePolicyType string
				StartPosition, EndPosition       struct{ Line, Column int }
			}
		}
	}
	run(&simulation, "simulate-principal-policy", "--policy-source-arn", "arn:aws:iam::123456789012:user/ann", "--action-names", "ecr:PutImage", "iam:GetUser",
		"--resource-arns", "arn:aws:ecr:us-east-1:123456789012:repository/team/app")
	var decisions []string
	for _, r := range simulation.EvaluationResults {
		decisions = append(decisions, fmt.Sprint(r.EvalActionName, " ", r.EvalDecision, " ", r.MatchedStatements))
	}
	want := []string{"ecr:PutImage allowed [{user_ann_team IAM Policy {1 38} {1 120}}]", "iam:GetUser implicitDeny []"}
	if diff := cmp.Diff(want, decisions); diff != "" {
		t.Errorf("simulate-principal-policy: -want +got\n%s", diff)
	}

	var details struct {
		UserDetailList []struct {
			UserName       string
			UserPolicyList []struct{ PolicyDocument struct{ Version string } }
		}
	}
	run(&details, "get-account-authorization-details", "--filter", "User")
	if u := details.UserDetailList; len(u) != 1 || u[0].UserName != "ann" || u[0].UserPolicyList[0].PolicyDocument.Version != "2012-10-17" {
		t.Errorf("get-account-authorization-details: %+v", details)
	}
	var job struct{ JobId string }
	run(&job, "generate-service-last-accessed-details", "--arn", "arn:aws:iam::123456789012:user/ann")
	var accessed struct {
		JobStatus            string
		ServicesLastAccessed []struct{ ServiceNamespace string }
	}
	run(&accessed, "get-service-last-accessed-details", "--job-id", job.JobId)
	if accessed.JobStatus != "COMPLETED" || len(accessed.ServicesLastAccessed) != 1 || accessed.ServicesLastAccessed[0].ServiceNamespace != "ecr" {
		t.Errorf("get-service-last-accessed-details: %+v", accessed)
	}
	var summary struct{ SummaryMap map[string]int }
	if run(&summary, "get-account-summary"); summary.SummaryMap["Users"] != 1 || summary.SummaryMap["AccountMFAEnabled"] != 0 {
		t.Errorf("get-account-summary: %+v", summary)
	}
	for _, command := range []string{"list-ssh-public-keys", "list-signing-certificates", "list-service-specific-credentials"} {
		run(nil, command, "--user-name", "ann")
	}
	run(nil, "list-server-certificates")
	run(nil, "list-instance-profiles")
}
