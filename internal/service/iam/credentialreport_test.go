package iam_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

func TestCredentialReport(t *testing.T) {
	clock := coffertest.NewClock()
	options := []coffertest.Option{coffertest.Data(t.TempDir() + "/data"), coffertest.Clock(clock.Now)}
	s := coffertest.Start(t, options...)
	started := clock.Now().UTC()
	at := func(d time.Duration) string { return started.Add(d).Format("2006-01-02T15:04:05+00:00") }
	clock.Advance(time.Minute)
	s.MustQuery("iam", "CreateUser", in{"UserName": "zoe,1", "Path": "/team/"})
	newUser(s, "ann", allowAll)
	clock.Advance(time.Minute)
	second := s.MustQuery("iam", "CreateAccessKey", in{"UserName": "ann"}).Text("AccessKeyId")
	s.MustQuery("iam", "UpdateAccessKey", in{"UserName": "ann", "AccessKeyId": second, "Status": "Inactive"})
	s.Stop() // after which it is on disk which keys were used
	s = coffertest.Start(t, options...)
	run(t, s, []call{
		{"GetCredentialReport", nil, "ReportNotPresent: There is no credential report. GenerateCredentialReport makes one."},
		{"GenerateCredentialReport", nil, "State: STARTED\nDescription: No report exists. Starting a new report generation task"},
		{"GenerateCredentialReport", nil, "State: COMPLETE\nDescription:"},
		{"CreateUser", in{"UserName": "bob"}, ""},
		{"GenerateCredentialReport", nil, "State: COMPLETE\nDescription:"},
	})
	report := func() []string {
		t.Helper()
		r := s.MustQuery("iam", "GetCredentialReport", nil)
		content, err := base64.StdEncoding.DecodeString(r.Text("Content"))
		if err != nil || r.Text("ReportFormat") != "text/csv" {
			t.Fatalf("%v: %s", err, r.Body)
		}
		return strings.Split(string(content), "\n")
	}
	const none = ",false,N/A,N/A,N/A,N/A"
	want := []string{
		"user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,mfa_active," +
			"access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service," +
			"access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service," +
			"cert_1_active,cert_1_last_rotated,cert_2_active,cert_2_last_rotated",
		"<root_account>,arn:aws:iam::123456789012:root," + at(0) + ",not_supported,no_information,not_supported,not_supported,false" +
			",true," + at(0) + "," + at(2*time.Minute) + ",us-east-1,iam" + none + ",false,N/A,false,N/A",
		"ann,arn:aws:iam::123456789012:user/ann," + at(time.Minute) + ",false,N/A,N/A,N/A,false" +
			",true," + at(time.Minute) + ",N/A,N/A,N/A,false," + at(2*time.Minute) + ",N/A,N/A,N/A,false,N/A,false,N/A",
		`"zoe,1","arn:aws:iam::123456789012:user/team/zoe,1",` + at(time.Minute) + ",false,N/A,N/A,N/A,false" + none + none + ",false,N/A,false,N/A",
		"",
	}
	if diff := cmp.Diff(want, report()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	clock.Advance(4*time.Hour + time.Second)
	run(t, s, []call{
		{"GetCredentialReport", nil, "ReportExpired: The credential report has expired. GenerateCredentialReport makes a new one."},
		{"GenerateCredentialReport", nil, "State: STARTED"},
	})
	if lines := report(); len(lines) != 6 || !strings.HasPrefix(lines[3], "bob,") {
		t.Errorf("the new report: %q", lines)
	}
}
