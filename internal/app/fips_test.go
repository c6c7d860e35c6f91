package app_test

import (
	"crypto/fips140"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/fipstest"
)

// get reads a page of the admin port.
func get(t *testing.T, s *coffertest.Server, path string) string {
	t.Helper()
	r, err := s.Client.Get(s.AdminURL() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d, error %v", path, r.StatusCode, err)
	}
	return string(text)
}

// tellsFIPS expects /healthz and /metrics to tell what is so of this process.
func tellsFIPS(t *testing.T, enabled, enforced bool) {
	t.Helper()
	s := coffertest.Start(t, func(c *app.Config, _ *app.Options) { c.AdminListen = "127.0.0.1:0" })
	var health struct {
		Status string
		FIPS   struct {
			Enabled, Enforced *bool
			Module            string
		} `json:"fips140"`
	}
	text := get(t, s, "/healthz")
	if err := json.Unmarshal([]byte(text), &health); err != nil {
		t.Fatal(err)
	}
	f := health.FIPS
	if health.Status != "ok" || f.Module != fips140.Version() || f.Enabled == nil || *f.Enabled != enabled || f.Enforced == nil || *f.Enforced != enforced {
		t.Errorf("/healthz says %s", text)
	}
	want := fmt.Sprintf("\ncoffer_fips140_info{enabled=\"%t\",enforced=\"%t\",module=%q} 1\n", enabled, enforced, fips140.Version())
	if text := get(t, s, "/metrics"); !strings.Contains(text, want) {
		t.Errorf("/metrics says\n%s\nexpected %s", text, want)
	}
}

func TestTellsFIPS(t *testing.T) {
	if !fips140.Enforced() {
		tellsFIPS(t, fips140.Enabled(), false)
	}
	if fipstest.Enforced(t) {
		tellsFIPS(t, true, true)
	}
}

func TestFIPSModes(t *testing.T) {
	for want, f := range map[string]app.FIPS{
		"module latest, off":  {Module: "latest"},
		"module v1.0.0, on":   {Module: "v1.0.0", Enabled: true},
		"module v1.0.0, only": {Module: "v1.0.0", Enabled: true, Enforced: true},
	} {
		if got := f.String(); got != want {
			t.Errorf("%+v is %q, want %q", f, got, want)
		}
	}
}

// Clients are told by the APIs why there are no MFA devices, and those who have one why it does not count.
func TestMFADevicesUnderFIPS(t *testing.T) {
	if !fipstest.Enforced(t) {
		return
	}
	page, err := os.ReadFile("../../docs/fips.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := func(r coffertest.Response) {
		t.Helper()
		if said := r.Text("Message"); !strings.Contains(string(page), said) {
			t.Errorf("docs/fips.md does not have %q", said)
		}
	}
	s := coffertest.Start(t)
	if err := s.AddMFADevice(t.Context(), coffertest.Account, "phone"); err != nil {
		t.Fatal(err)
	}
	const serial = "arn:aws:iam::123456789012:mfa/phone"
	const why = "this server enforces FIPS 140-3, which does not approve HMAC-SHA-1"
	codes := map[string]any{"UserName": coffertest.Account, "SerialNumber": serial, "AuthenticationCode1": "000000", "AuthenticationCode2": "000001"}
	for _, c := range []struct {
		service, operation string
		in                 map[string]any
		status             int
		code               string
	}{
		{"iam", "CreateVirtualMFADevice", map[string]any{"VirtualMFADeviceName": "other"}, http.StatusBadRequest, "InvalidInput"},
		{"iam", "EnableMFADevice", codes, http.StatusForbidden, "InvalidAuthenticationCode"},
	} {
		r := s.Query(c.service, c.operation, c.in)
		if r.Status != c.status || r.Code() != c.code || !strings.Contains(r.Text("Message"), why) {
			t.Errorf("%s: status %d: %s", c.operation, r.Status, r.Body)
		}
		documented(r)
	}
	if err := s.AssignMFADevice(t.Context(), serial, coffertest.Account); err != nil {
		t.Fatal(err)
	}
	r := s.Query("sts", "GetSessionToken", map[string]any{"SerialNumber": serial, "TokenCode": "000000"})
	if r.Status != http.StatusForbidden || r.Code() != "AccessDenied" || !strings.Contains(r.Text("Message"), why) {
		t.Errorf("GetSessionToken: status %d: %s", r.Status, r.Body)
	}
	documented(r)
	for _, operation := range []string{"DeactivateMFADevice", "DeleteVirtualMFADevice"} {
		s.MustQuery("iam", operation, map[string]any{"SerialNumber": serial})
	}
}
