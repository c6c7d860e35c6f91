package app_test

import (
	"net/http"
	"testing"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/policy"
)

// A request whose handling panics ends with an error and with its record, and the server goes on.
func TestPanicEndsItsRequestOnly(t *testing.T) {
	broken := false
	s := coffertest.Start(t, func(_ *app.Config, o *app.Options) {
		o.Evaluate = func(policy.Request) policy.Decision {
			if broken {
				panic("a mistake")
			}
			return policy.Decision{Allowed: true}
		}
	})
	token := s.Token()
	broken = true
	calls := map[string]coffertest.Response{
		"ListImages":      s.ECR("ListImages", map[string]string{"repositoryName": "app"}),
		"BatchGetImage":   s.V2(token, http.MethodGet, "/v2/app/manifests/1", nil),
		"CreateAccessKey": s.Query("iam", "CreateAccessKey", nil),
	}
	broken = false
	records := map[string]coffertest.Record{}
	for _, r := range s.Trail() {
		records[r.EventName] = r
	}
	for name, response := range calls {
		if response.Status != http.StatusInternalServerError || records[name].ErrorCode != "InternalFailure" {
			t.Errorf("%s: status %d, recorded as %s", name, response.Status, records[name].Text)
		}
	}
	s.Token()
}
