package x500

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func oid(t testing.TB, text string) asn1.ObjectIdentifier {
	t.Helper()
	for number, name := range names {
		if name == text {
			text = number
		}
	}
	var out asn1.ObjectIdentifier
	for part := range strings.SplitSeq(text, ".") {
		n := 0
		for _, c := range part {
			n = n*10 + int(c-'0')
		}
		out = append(out, n)
	}
	return out
}

// encoded is a name of pairs of type and value, from the most general on.
func encoded(t testing.TB, pairs ...string) []byte {
	t.Helper()
	var name pkix.RDNSequence
	for i := 0; i < len(pairs); i += 2 {
		name = append(name, []pkix.AttributeTypeAndValue{{Type: oid(t, pairs[i]), Value: pairs[i+1]}})
	}
	der, err := asn1.Marshal(name)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestText(t *testing.T) {
	for _, tt := range []struct {
		der  []byte
		want string
	}{
		{encoded(t), ""},
		{encoded(t, "C", "CH", "O", "Example Bank", "OU", "CI", "CN", "builder"), "CN=builder,OU=CI,O=Example Bank,C=CH"},
		{encoded(t, "DC", "com", "DC", "example", "UID", "ann", "emailAddress", "ann@example.com", "serialNumber", "7"),
			"serialNumber=7,emailAddress=ann@example.com,UID=ann,DC=example,DC=com"},
		// A value that looks like more of a name.
		{encoded(t, "CN", "a,O=Example Bank"), `CN=a\,O=Example Bank`},
		{encoded(t, "CN", `a+OU=b"c\d<e>f;g=h`), `CN=a\+OU=b\"c\\d\<e\>f\;g=h`},
		{encoded(t, "CN", "#0c01"), `CN=\#0c01`},
		{encoded(t, "CN", " a b "), `CN=\ a b\ `},
		{encoded(t, "CN", " "), `CN=\ `},
		{encoded(t, "CN", "a\x00b\nc\x7f"), `CN=a\00b\0Ac\7F`},
		{encoded(t, "CN", "Zoë 東京"), "CN=Zoë 東京"},
		{encoded(t, "CN", ""), "CN="},
		{encoded(t, "1.2.3.4", "x"), "1.2.3.4=#130178"},
	} {
		got, err := Text(tt.der)
		if err != nil || got != tt.want {
			t.Errorf("%x is %q, %v, expected %q", tt.der, got, err, tt.want)
		}
	}
}

func TestTextOfSeveralAtOnce(t *testing.T) {
	der, err := asn1.Marshal(pkix.RDNSequence{{{Type: oid(t, "OU"), Value: "a"}, {Type: oid(t, "CN"), Value: "b"}}, {{Type: oid(t, "CN"), Value: 7}}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Text(der)
	if want := "CN=#020107,"; err != nil || !strings.HasPrefix(got, want) || !strings.Contains(got, "+") {
		t.Errorf("%q, %v", got, err)
	}
}

func TestTextOfNoName(t *testing.T) {
	for _, text := range []string{"", "00", "30", "3003020101", "300231", hex.EncodeToString(encoded(t, "CN", "a")) + "00"} {
		der, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Text(der); err == nil {
			t.Errorf("%s is %q", text, got)
		}
	}
}

// The text is that of OpenSSL, so that people can copy it.
func TestTextIsThatOfOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	const subject = `/C=CH/ST=Zurich/L=a;b/street=Road 1/O=Example, Bank/OU=x+y/DC=example/UID=ann/serialNumber=1/emailAddress=a@b.c/CN=#a <b> "c" \\`
	dir := t.TempDir()
	cert := filepath.Join(dir, "cert.der")
	out, err := exec.Command(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", filepath.Join(dir, "key"),
		"-subj", subject, "-outform", "DER", "-out", cert).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err = exec.Command(openssl, "x509", "-inform", "DER", "-in", cert, "-noout", "-subject", "-nameopt", "RFC2253,-esc_msb").Output()
	if err != nil {
		t.Fatal(err)
	}
	der, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.TrimPrefix(strings.TrimSpace(string(out)), "subject=")
	if got, err := Text(subjectOf(t, der)); err != nil || got != want {
		t.Errorf("%q, %v\nOpenSSL says\n%q", got, err, want)
	}
}

func subjectOf(t *testing.T, der []byte) []byte {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c.RawSubject
}

func FuzzText(f *testing.F) {
	f.Add(encoded(f, "C", "CH", "CN", "a,b"))
	f.Fuzz(func(t *testing.T, der []byte) {
		text, err := Text(der)
		if err == nil && strings.ContainsAny(text, "\x00\n\r") {
			t.Errorf("%q", text)
		}
	})
}
