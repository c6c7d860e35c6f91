package clients_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/tlsconfig/tlstest"
)

// everything lets openssl offer what it holds to be too weak.
const everything = "@SECLEVEL=0"

// offer is what a server is to offer.
type offer struct {
	suites12, suites13, groups []string
}

// What the server offers, asked for one by one: these versions, suites and groups, and no others.
func TestTLSOffers(t *testing.T) {
	t.Parallel()
	authority := tlstest.NewAuthority(t)
	ecdsa, rsa := authority.Issue(t, tlstest.Wanted{}), authority.Issue(t, tlstest.Wanted{RSA: 2048})
	out, err := exec.Command(coffertest.Tool(t, "openssl"), "ciphers", "-tls1_2", "ALL:COMPLEMENTOFALL:"+everything).Output()
	if err != nil {
		t.Fatal(err)
	}
	all := slices.DeleteFunc(strings.Split(strings.TrimSpace(string(out)), ":"), func(suite string) bool {
		// Those of TLS 1.3 come apart, and openssl offers these to nobody without a shared secret.
		return strings.HasPrefix(suite, "TLS_") || strings.Contains(suite, "PSK") || strings.Contains(suite, "SRP")
	})
	if len(all) < 40 {
		t.Errorf("openssl knows %d suites only: %v", len(all), all)
	}
	tls13, groups := []string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}, []string{"P-256", "P-384", "X25519"}
	for _, tt := range []struct {
		name, debug string
		certificate tlstest.Pair
		want        offer
	}{
		{"ECDSA", "", ecdsa, offer{[]string{"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"}, tls13, groups}},
		{"RSA", "", rsa, offer{[]string{"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"}, tls13, groups}},
		{"FIPS", "fips140=only", rsa, offer{[]string{"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"}, tls13[:2], groups[:2]}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			certificate, key := tt.certificate.Write(t, t.TempDir())
			s := serveWith(t, []string{"GODEBUG=" + tt.debug}, "--tls-cert", certificate, "--tls-key", key)
			s.offers(t, tt.want, all)
		})
	}
}

func (s *server) offers(t *testing.T, want offer, all []string) {
	t.Helper()
	expect := func(what string, want, all []string, try func(string) bool) {
		t.Helper()
		if diff := cmp.Diff(want, offered(t, all, try)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	expect("versions", []string{"-tls1_2", "-tls1_3"}, []string{"-tls1", "-tls1_1", "-tls1_2", "-tls1_3"}, func(version string) bool {
		return s.shakesHands(t, version, "-cipher", "ALL:"+everything)
	})
	expect("suites of TLS 1.2", want.suites12, all, func(suite string) bool { return s.shakesHands(t, "-tls1_2", "-cipher", suite+":"+everything) })
	expect("suites of TLS 1.3", want.suites13, []string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
		"TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"}, func(suite string) bool { return s.shakesHands(t, "-tls1_3", "-ciphersuites", suite) })
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		// On a certificate of the curve P-256, openssl itself insists on that curve in TLS 1.2.
		groups, certificate := want.groups, want.suites12[0]
		if version == "-tls1_2" && strings.Contains(certificate, "ECDSA") {
			groups = groups[:1]
		}
		expect("groups "+version, groups, []string{"X25519", "P-256", "P-384", "P-521", "X448", "brainpoolP256r1", "secp256k1", "P-224"}, func(group string) bool {
			return s.shakesHands(t, version, "-groups", group, "-cipher", "ALL:"+everything)
		})
	}
	if s.shakesHands(t, "-tls1_2", "-sigalgs", "ECDSA+SHA1:RSA+SHA1", "-cipher", "ALL:"+everything) {
		t.Error("a signature with SHA-1 is offered")
	}
}

func offered(t *testing.T, all []string, try func(string) bool) []string {
	t.Helper()
	var out []string
	for _, one := range all {
		if try(one) {
			out = append(out, one)
		}
	}
	slices.Sort(out)
	return out
}

// shakesHands reports whether a handshake comes about. If not, it must be the server who refuses it.
func (s *server) shakesHands(t *testing.T, flags ...string) bool {
	t.Helper()
	cmd, out, problems := s.command(t, "", "openssl", append([]string{"s_client", "-connect", strings.TrimPrefix(s.URL, "https://"), "-brief"}, flags...)...)
	err := cmd.Run()
	if err == nil {
		return strings.Contains(out.String()+problems.String(), "CONNECTION ESTABLISHED")
	}
	if said := problems.String(); !strings.Contains(said, "alert") {
		t.Logf("openssl %v did not ask: %s", flags, said)
	}
	return false
}
