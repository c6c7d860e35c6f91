package federation

import (
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/coffer-registry/coffer/internal/federation/federationtest"
	"github.com/coffer-registry/coffer/internal/fipstest"
	"github.com/coffer-registry/coffer/internal/secret"
)

// underFIPS runs a test in this process and in one that enforces FIPS 140-3.
func underFIPS(t *testing.T, test func(*testing.T)) {
	t.Helper()
	if !fips140.Enforced() {
		test(t)
	}
	if fipstest.Enforced(t) {
		test(t)
	}
}

// certified is a key as a key set has it, with a certificate and its SHA-1 thumbprint, as many providers publish.
func certified(t *testing.T, k *federationtest.Key) jose.JSONWebKey {
	t.Helper()
	public := k.Public()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public.Key, k.Private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	public.Certificates = []*x509.Certificate{certificate}
	return public
}

func TestKeysWithCertificates(t *testing.T) {
	underFIPS(t, func(t *testing.T) {
		h := newHouse(t)
		var set []byte
		fips140.WithoutEnforcement(func() { // the library writes the thumbprint too
			set, _ = json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{certified(t, h.issuer.Key())}})
		})
		if !strings.Contains(string(set), `"x5c"`) {
			t.Fatalf("the key set has no certificate: %s", set)
		}
		h.issuer.Handle(federationtest.KeysPath, func(w http.ResponseWriter, _ *http.Request) { w.Write(set) })
		h.accepts("a key with a certificate", h.issuer.Mint(nil))
	})
}

// Anybody can send a token with any header.
func TestTokensWithCertificates(t *testing.T) {
	underFIPS(t, func(t *testing.T) {
		h := newHouse(t)
		var text string
		fips140.WithoutEnforcement(func() {
			k := h.issuer.Key()
			embedded := certified(t, k)
			options := (&jose.SignerOptions{}).WithHeader("jwk", embedded).WithHeader("kid", k.ID)
			signer, err := jose.NewSigner(jose.SigningKey{Algorithm: k.Algorithm, Key: k.Private}, options)
			if err != nil {
				t.Fatal(err)
			}
			payload, _ := json.Marshal(map[string]any{"iss": h.issuer.URL, "sub": "alice", "aud": "coffer", "iat": h.clock.now().Unix(), "exp": h.clock.now().Add(time.Hour).Unix()})
			signed, err := signer.Sign(payload)
			if err != nil {
				t.Fatal(err)
			}
			if text, err = signed.CompactSerialize(); err != nil {
				t.Fatal(err)
			}
		})
		// Whatever key the token brings, it is the provider's that counts.
		h.accepts("a token with a certificate", secret.New(text))
	})
}

// Keys that the library of FIPS 140-3 does not take are named.
func TestKeysUnderFIPS(t *testing.T) {
	key := func(bits, exponent int) *rsa.PublicKey {
		return &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), bits-1, 1), E: exponent}
	}
	if !fips140.Enforced() {
		for _, k := range []*rsa.PublicKey{key(2048, 65537), key(2049, 65537), key(3072, 3), key(8192, 65537)} {
			if err := checkRSA(k); err != nil {
				t.Errorf("%d bits, exponent %d: %v", k.N.BitLen(), k.E, err)
			}
		}
	}
	if !fipstest.Enforced(t) {
		return
	}
	const odd = "an RSA key of an odd number of bits, or with an exponent that is even or below 65537, is not accepted while FIPS 140-3 is enforced"
	for k, want := range map[*rsa.PublicKey]string{
		key(2048, 65537): "", key(8192, 65537): "", key(2049, 65537): odd, key(3072, 3): odd, key(3072, 65538): odd,
		key(1024, 65537): "an RSA key of 1024 bits is not accepted; it must have 2048 to 8192",
	} {
		if err := checkRSA(k); (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%d bits, exponent %d: %v", k.N.BitLen(), k.E, err)
		}
	}
}

// Names by SHA-1 prove nothing, and stay what they are.
func TestThumbprintsUnderFIPS(t *testing.T) {
	underFIPS(t, func(t *testing.T) {
		a := federationtest.NewAuthority(t)
		if got, want := Thumbprint(a.Certificate), a.Thumbprint(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if got := nameQualifier("https://example.com/saml", "123456789012", "MySAMLIdP"); got != "1uAJanUnBc2XeUkHURMht+xam2c=" {
			t.Errorf("the name qualifier is %s", got)
		}
	})
}
