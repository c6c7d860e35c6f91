package iam

import (
	"net/url"
	"testing"

	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/secret"
)

// Apps read an address from the picture, as Google Authenticator defines it.
func TestEnrolment(t *testing.T) {
	text := enrolment(iam.MFADevice{Account: "123456789012", Name: "ann+phone"}, secret.New("JBSWY3DPEHPK3PXP"))
	const want = "otpauth://totp/Amazon%20Web%20Services:ann+phone@123456789012?secret=JBSWY3DPEHPK3PXP&issuer=Amazon%20Web%20Services"
	if text != want {
		t.Errorf("got %s\nwant %s", text, want)
	}
	u, err := url.Parse(text)
	if err != nil || u.Path != "/Amazon Web Services:ann+phone@123456789012" || u.Query().Get("issuer") != "Amazon Web Services" {
		t.Errorf("it reads as %q, error %v", u, err)
	}
}
