package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// setting is a name with a value, as GetAccountSetting and PutAccountSetting answer.
type setting struct{ Name, Value string }

func getSetting(s *coffertest.Server, name string) (out setting) {
	s.MustECR("GetAccountSetting", map[string]any{"name": name}, &out)
	return out
}

func putSetting(s *coffertest.Server, name, value string) (out setting) {
	s.MustECR("PutAccountSetting", map[string]any{"name": name, "value": value}, &out)
	return out
}

func TestAccountSettings(t *testing.T) {
	s := coffertest.Start(t)
	other := addNeighbour(t, s)
	for name, values := range map[string][]string{
		"REGISTRY_POLICY_SCOPE": {"V2", "V1", "V2"}, "BLOB_MOUNTING": {"ENABLED", "DISABLED", "ENABLED"}, "COFFER_REGISTRY_TOKEN_LIFETIME": {"43200", "900", "43200"},
		"COFFER_REGISTRY_TOKENS_NOT_BEFORE": {"1970-01-01T00:00:00Z", "2020-01-02T03:04:05Z"},
	} {
		if got := getSetting(s, name); got != (setting{name, values[0]}) {
			t.Errorf("at first %v", got)
		}
		for _, value := range values[1:] {
			if got := putSetting(s, name, value); got != (setting{name, value}) {
				t.Errorf("put %v", got)
			}
			if got := getSetting(s, name); got != (setting{name, value}) {
				t.Errorf("got %v", got)
			}
			if got := getSetting(other, name); got.Value != values[0] {
				t.Errorf("another account has %v", got)
			}
		}
	}
	const one = "Invalid parameter at '%s' failed to satisfy constraint: '%s'"
	for _, tt := range []struct{ name, value, message string }{
		{"REGISTRY_POLICY_SCOPE", "V3", fmt.Sprintf(one, "value", "Member must satisfy enum value set: [V1, V2]")},
		{"BLOB_MOUNTING", "enabled", fmt.Sprintf(one, "value", "Member must satisfy enum value set: [DISABLED, ENABLED]")},
		{"COFFER_REGISTRY_TOKEN_LIFETIME", "899", fmt.Sprintf(one, "value", "Member must be a number of seconds from 900 to 43200")},
		{"COFFER_REGISTRY_TOKEN_LIFETIME", "43201", fmt.Sprintf(one, "value", "Member must be a number of seconds from 900 to 43200")},
		{"COFFER_REGISTRY_TOKEN_LIFETIME", "1h", fmt.Sprintf(one, "value", "Member must be a number of seconds from 900 to 43200")},
		{"COFFER_REGISTRY_TOKENS_NOT_BEFORE", "never", fmt.Sprintf(one, "value", "Member must be now, or a time that is past, such as 2026-01-02T15:04:05Z")},
		{"COFFER_REGISTRY_TOKENS_NOT_BEFORE", "2999-01-01T00:00:00Z", fmt.Sprintf(one, "value", "Member must be now, or a time that is past, such as 2026-01-02T15:04:05Z")},
		{"BASIC_SCAN_TYPE_VERSION", "AWS_NATIVE", "This feature is disabled: images are not scanned on this server yet"},
		{"OTHER", "x", fmt.Sprintf(one, "name", "Member must satisfy enum value set: [BLOB_MOUNTING, COFFER_REGISTRY_TOKENS_NOT_BEFORE, COFFER_REGISTRY_TOKEN_LIFETIME, REGISTRY_POLICY_SCOPE]")},
	} {
		wantMessage(t, s.ECR("PutAccountSetting", map[string]any{"name": tt.name, "value": tt.value}), http.StatusBadRequest, "ValidationException", tt.message)
	}
	for _, name := range []string{"BASIC_SCAN_TYPE_VERSION", "OTHER"} {
		wantStatus(t, s.ECR("GetAccountSetting", map[string]any{"name": name}), http.StatusBadRequest, "ValidationException")
	}
}

// Where mounting is off, a client is told to send the layer.
func TestMountingIsASetting(t *testing.T) {
	s := coffertest.Start(t)
	s.CreateRepository("from")
	s.CreateRepository("to")
	token := s.Token()
	s.PushImage(token, "from", "1", []byte("one"), []byte("two"))
	mount := func(layer string) int {
		return s.V2(token, http.MethodPost, "/v2/to/blobs/uploads/?from=from&mount="+coffertest.Digest([]byte(layer)), nil).Status
	}
	if status := mount("one"); status != http.StatusCreated {
		t.Errorf("at first: status %d", status)
	}
	putSetting(s, "BLOB_MOUNTING", "DISABLED")
	if status := mount("two"); status != http.StatusAccepted {
		t.Errorf("disabled: status %d", status)
	}
	if r := s.V2(token, http.MethodHead, "/v2/to/blobs/"+coffertest.Digest([]byte("one")), nil); r.Status != http.StatusOK {
		t.Errorf("what was mounted before: status %d", r.Status)
	}
	putSetting(s, "BLOB_MOUNTING", "ENABLED")
	if status := mount("two"); status != http.StatusCreated {
		t.Errorf("enabled: status %d", status)
	}
}

// Registry tokens are good for as long as the account says, from the next one on.
func TestRegistryTokenLifetime(t *testing.T) {
	clock := coffertest.NewClock()
	s := coffertest.Start(t, coffertest.Clock(clock.Now))
	issue := func() (token string, life time.Duration) {
		var out struct {
			AuthorizationData []struct {
				AuthorizationToken string
				ExpiresAt          json.Number
			}
		}
		s.MustECR("GetAuthorizationToken", map[string]any{}, &out)
		at, err := out.AuthorizationData[0].ExpiresAt.Float64()
		if err != nil {
			t.Fatal(err)
		}
		return out.AuthorizationData[0].AuthorizationToken, time.Unix(int64(at), 0).Sub(clock.Now())
	}
	long, life := issue()
	if life != 12*time.Hour {
		t.Errorf("at first %v", life)
	}
	putSetting(s, "COFFER_REGISTRY_TOKEN_LIFETIME", "900")
	short, life := issue()
	if life != 15*time.Minute {
		t.Errorf("then %v", life)
	}
	clock.Advance(16 * time.Minute)
	wantMessage(t, s.V2(short, http.MethodGet, "/v2/", nil), http.StatusForbidden, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
	wantStatus(t, s.V2(long, http.MethodGet, "/v2/", nil), http.StatusOK, "")
}

// Registry tokens that were issued before a moment are void from the next request on, and stay so; access keys are not
// concerned, nor are other accounts.
func TestRegistryTokensNotBefore(t *testing.T) {
	clock := coffertest.NewClock()
	s := coffertest.Start(t, coffertest.Clock(clock.Now))
	other := addNeighbour(t, s)
	ping := func(token string) int { return s.V2(token, http.MethodGet, "/v2/", nil).Status }
	first := s.Token()
	clock.Advance(time.Minute)
	between := clock.Now()
	clock.Advance(time.Minute)
	second, theirs := s.Token(), other.Token()
	session := s.As(s.MustQuery("sts", "GetSessionToken", nil).KeyOf())
	ofSession := session.Token()
	putSetting(s, "COFFER_REGISTRY_TOKENS_NOT_BEFORE", between.UTC().Format(time.RFC3339))
	if ping(first) != http.StatusUnauthorized || ping(second) != http.StatusOK {
		t.Errorf("between the two: status %d and %d", ping(first), ping(second))
	}
	clock.Advance(time.Minute)
	now := putSetting(s, "COFFER_REGISTRY_TOKENS_NOT_BEFORE", "now")
	if want := clock.Now().UTC().Format(time.RFC3339Nano); now.Value != want || getSetting(s, now.Name) != now {
		t.Errorf("it is %s, want %s", now.Value, want)
	}
	putSetting(s, "COFFER_REGISTRY_TOKENS_NOT_BEFORE", "2020-01-02T03:04:05Z")
	if ping(second) != http.StatusUnauthorized || ping(theirs) != http.StatusOK || ping(s.Token()) != http.StatusOK {
		t.Errorf("now: status %d, of the other account %d, a new one %d", ping(second), ping(theirs), ping(s.Token()))
	}
	wantStatus(t, session.ECR("DescribeRegistry", "{}"), http.StatusBadRequest, "UnrecognizedClientException")
	if ping(ofSession) != http.StatusUnauthorized {
		t.Errorf("the token of a session: status %d", ping(ofSession))
	}
	s.MustECR("DescribeRegistry", map[string]any{}, nil)
}
