package app_test

import (
	"net/http"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// What nobody signs and nothing is right with is answered and recorded only so often, however it is wrong.
func TestUnsignedRefusalsAreBounded(t *testing.T) {
	for name, in := range map[string]map[string]any{
		"with a provider of another kind": {"RoleArn": "arn:aws:iam::123456789012:role/ci", "ProviderId": "www.example.com"},
		"without a role":                  {"RoleArn": "arn:aws:iam::123456789012:user/ci"},
		"malformed":                       {"RoleArn": "short"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := coffertest.NewClock()
			s := coffertest.Start(t, coffertest.Clock(clock.Now))
			stranger := s.As(coffertest.Credentials{})
			in["RoleSessionName"], in["WebIdentityToken"] = "run-1", "x.y.z"
			const requests = 130
			answers := make(chan coffertest.Response, requests)
			for range requests {
				go func() { answers <- stranger.Query("sts", "AssumeRoleWithWebIdentity", in) }()
			}
			throttled := 0
			for range requests {
				if r := <-answers; r.Code() == "Throttling" {
					throttled++
				} else if r.Status != http.StatusBadRequest {
					t.Errorf("status %d: %s", r.Status, r.Body)
				}
			}
			if throttled != 30 {
				t.Errorf("%d of %d are throttled", throttled, requests)
			}
			recorded := 0
			for _, r := range s.Trail() {
				if r.EventName == "AssumeRoleWithWebIdentity" {
					recorded++
				}
			}
			if recorded != 101 {
				t.Errorf("%d of %d are in the trail", recorded, requests)
			}
		})
	}
}
