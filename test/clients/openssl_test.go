package clients_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/tlsconfig/tlstest"
)

// everything lets openssl offer what it holds to be too weak.
const everything = "@SECLEVEL=0"

// What the server offers, asked for one by one: these versions, suites and groups, and no others.
func TestTLSOffers(t *testing.T) {
	t.Parallel()
	authority := tlstest.NewAuthority(t)
	ecdsa, rsa := certifiedServer(t, authority.Issue(t, tlstest.Wanted{})), certifiedServer(t, authority.Issue(t, tlstest.Wanted{RSA: 2048}))
	versions := offered(t, []string{"-tls1", "-tls1_1", "-tls1_2", "-tls1_3"}, func(version string) bool {
		return ecdsa.shakesHands(t, version, "-cipher", "ALL:"+everything)
	})
	if diff := cmp.Diff([]string{"-tls1_2", "-tls1_3"}, versions); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
	out, err := exec.Command(coffertest.Tool(t, "openssl"), "ciphers", "-tls1_2", "ALL:COMPLEMENTOFALL:"+everything).Output()
	if err != nil {
		t.Fatal(err)
	}
	all := slices.DeleteFunc(strings.Split(strings.TrimSpace(string(out)), ":"), func(suite string) bool {
		// Those of TLS 1.3 come below, and openssl offers these to nobody without a shared secret.
		return strings.HasPrefix(suite, "TLS_") || strings.Contains(suite, "PSK") || strings.Contains(suite, "SRP")
	})
	if len(all) < 40 {
		t.Errorf("openssl knows %d suites only: %v", len(all), all)
	}
	for _, tt := range []struct {
		s    *server
		want []string
	}{
		{ecdsa, []string{"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"}},
		{rsa, []string{"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"}},
	} {
		got := offered(t, all, func(suite string) bool { return tt.s.shakesHands(t, "-tls1_2", "-cipher", suite+":"+everything) })
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("suites of TLS 1.2 (-want +got):\n%s", diff)
		}
	}
	got := offered(t, []string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"},
		func(suite string) bool { return ecdsa.shakesHands(t, "-tls1_3", "-ciphersuites", suite) })
	if diff := cmp.Diff([]string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}, got); diff != "" {
		t.Errorf("suites of TLS 1.3 (-want +got):\n%s", diff)
	}
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		got := offered(t, []string{"X25519", "P-256", "P-384", "P-521", "X448", "brainpoolP256r1", "secp256k1", "P-224"}, func(group string) bool {
			return rsa.shakesHands(t, version, "-groups", group, "-cipher", "ALL:"+everything)
		})
		if diff := cmp.Diff([]string{"P-256", "P-384", "X25519"}, got); diff != "" {
			t.Errorf("groups %s (-want +got):\n%s", version, diff)
		}
	}
	if ecdsa.shakesHands(t, "-tls1_2", "-sigalgs", "ECDSA+SHA1", "-cipher", "ALL:"+everything) {
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

func certifiedServer(t *testing.T, p tlstest.Pair) *server {
	t.Helper()
	certificate, key := p.Write(t, t.TempDir())
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, p.CertificatePEM, 0o600); err != nil {
		t.Fatal(err)
	}
	return serve(t, "--tls-cert", certificate, "--tls-key", key)
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
