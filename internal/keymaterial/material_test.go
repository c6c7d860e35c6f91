package keymaterial

import (
	"bytes"
	"crypto/fips140"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
)

// made has one material of each spec, since RSA keys are slow to make.
var made = sync.OnceValue(func() map[Spec]Material {
	all := map[Spec]Material{}
	for _, spec := range Specs() {
		m, err := Generate(spec)
		if err != nil {
			panic(err)
		}
		all[spec] = m
	}
	return all
})

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMaterialIsThatOfItsBytes(t *testing.T) {
	ids := map[[32]byte]bool{}
	for spec, m := range made() {
		if m.Spec() != spec || ids[m.ID()] {
			t.Errorf("%s: its spec is %s, or it has the id of another", spec, m.Spec())
		}
		ids[m.ID()] = true
		same, err := FromBytes(spec, m.Bytes())
		if err != nil || !same.Equal(m) || same.ID() != m.ID() || !bytes.Equal(same.Bytes(), m.Bytes()) {
			t.Errorf("%s: not the same from its bytes: %v", spec, err)
		}
		for _, other := range Specs() {
			if _, err := FromBytes(other, m.Bytes()); other != spec && len(m.Bytes()) != len(made()[other].Bytes()) && !errors.Is(err, ErrMaterial) {
				t.Errorf("material of %s is taken for %s: %v", spec, other, err)
			}
		}
		for _, raw := range [][]byte{nil, {}, m.Bytes()[1:], append(m.Bytes(), 0)} {
			if _, err := FromBytes(spec, raw); !errors.Is(err, ErrMaterial) {
				t.Errorf("%s of %d bytes: %v", spec, len(raw), err)
			}
		}
	}
}

// Private keys that look right in every byte count but are not of the spec are refused too.
func TestPrivateKeysMustBeOfTheSpec(t *testing.T) {
	for _, spec := range []Spec{RSA2048, RSA3072, RSA4096, P256, P384, P521, Edwards25519} {
		for _, other := range []Spec{RSA2048, RSA3072, RSA4096, P256, P384, P521, Edwards25519} {
			_, err := FromBytes(spec, made()[other].Bytes())
			if got := err == nil; got != (spec == other) {
				t.Errorf("%s from a key of %s: %v", spec, other, err)
			}
		}
	}
}

func TestUnsupportedSpecs(t *testing.T) {
	for _, spec := range []Spec{"", "ECC_SECG_P256K1", "SM2", "ML_DSA_44", "ML_DSA_65", "ML_DSA_87", "symmetric_default", "RSA_1024"} {
		_, generated := Generate(spec)
		_, read := FromBytes(spec, make([]byte, 32))
		for _, err := range []error{generated, read, spec.Check()} {
			if !errors.Is(err, ErrUnsupported) {
				t.Errorf("%q: %v", spec, err)
			}
		}
		if spec.Usages() != nil || spec.Algorithms(EncryptDecrypt) != nil || spec.DefaultUsage() != "" || spec.HasPublicKey() {
			t.Errorf("%q can do something", spec)
		}
	}
}

func TestWhatSpecsCanDo(t *testing.T) {
	oaep := "RSAES_OAEP_SHA_1 RSAES_OAEP_SHA_256"
	if fips140.Enforced() {
		oaep = "RSAES_OAEP_SHA_256"
	}
	rsaSign := "RSASSA_PKCS1_V1_5_SHA_256 RSASSA_PKCS1_V1_5_SHA_384 RSASSA_PKCS1_V1_5_SHA_512 RSASSA_PSS_SHA_256 RSASSA_PSS_SHA_384 RSASSA_PSS_SHA_512"
	for _, tt := range []struct {
		spec            Spec
		usage, expected string
	}{
		{SymmetricDefault, EncryptDecrypt, "SYMMETRIC_DEFAULT"}, {SymmetricDefault, SignVerify, ""}, {SymmetricDefault, GenerateVerifyMac, ""},
		{RSA2048, EncryptDecrypt, oaep}, {RSA3072, EncryptDecrypt, oaep}, {RSA4096, EncryptDecrypt, oaep},
		{RSA2048, SignVerify, rsaSign}, {RSA3072, SignVerify, rsaSign}, {RSA4096, SignVerify, rsaSign}, {RSA4096, GenerateVerifyMac, ""},
		{P256, SignVerify, "ECDSA_SHA_256"}, {P384, SignVerify, "ECDSA_SHA_384"}, {P521, SignVerify, "ECDSA_SHA_512"}, {P256, EncryptDecrypt, ""},
		{Edwards25519, SignVerify, "ED25519_PH_SHA_512 ED25519_SHA_512"},
		{HMAC224, GenerateVerifyMac, "HMAC_SHA_224"}, {HMAC256, GenerateVerifyMac, "HMAC_SHA_256"}, {HMAC384, GenerateVerifyMac, "HMAC_SHA_384"},
		{HMAC512, GenerateVerifyMac, "HMAC_SHA_512"}, {HMAC512, SignVerify, ""},
	} {
		if got := strings.Join(tt.spec.Algorithms(tt.usage), " "); got != tt.expected {
			t.Errorf("%s for %s: %s", tt.spec, tt.usage, got)
		}
		if slices.Contains(tt.spec.Usages(), tt.usage) != (tt.expected != "") {
			t.Errorf("%s is for %s", tt.spec, tt.spec.Usages())
		}
	}
	// What a caller does with a list stays with it.
	RSA2048.Algorithms(SignVerify)[0] = "changed"
	if RSA2048.Algorithms(SignVerify)[0] == "changed" {
		t.Error("the table can be changed")
	}
}

func TestImportedID(t *testing.T) {
	m := made()[SymmetricDefault]
	id, err := m.ImportedID(bytes.Repeat([]byte{1}, 32))
	again, _ := m.ImportedID(bytes.Repeat([]byte{1}, 32))
	other, _ := m.ImportedID(bytes.Repeat([]byte{2}, 32))
	unlike, _ := made()[HMAC256].ImportedID(bytes.Repeat([]byte{1}, 32))
	if err != nil || id != again || id == other || id == unlike || id == m.ID() || id == [32]byte{} {
		t.Error("an id is not that of its material and key:", err)
	}
	if _, err := m.ImportedID(make([]byte, 15)); err == nil {
		t.Error("a short key makes an id")
	}
}

func TestNoMaterialDoesNothing(t *testing.T) {
	var none Material
	if none.Bytes() != nil || none.Equal(none) || none.Spec() != "" || none.ID() != [32]byte{} {
		t.Error("no material is some")
	}
	_, encrypted := Encrypt(none, Header{}, nil, nil)
	_, signed := none.Sign(ECDSASHA256, Raw, nil)
	_, mac := none.GenerateMac(HMACSHA256, nil)
	_, public := none.PublicKeyDER()
	_, asymmetric := none.EncryptAsymmetric(OAEPSHA256, nil)
	_, unwrapped := none.Unwrap(OAEPSHA256, nil)
	_, id := none.ImportedID(make([]byte, 32))
	for i, err := range []error{encrypted, signed, mac, public, asymmetric, unwrapped, id} {
		if err == nil {
			t.Error("no material did", i)
		}
	}
}

// Material stays hidden wherever it is printed, even in a field of another package's struct, where fmt calls no methods.
func TestMaterialHidesWhereverItIs(t *testing.T) {
	for _, m := range []Material{made()[SymmetricDefault], made()[P256]} {
		raw := m.Bytes()
		end := raw[len(raw)-4:]
		secrets := []string{fmt.Sprintf("%x", end), fmt.Sprintf("%X", end), strings.Trim(fmt.Sprint(end), "[]"), fmt.Sprintf("%q", end)}
		for name, v := range map[string]any{
			"material": m, "pointer": &m, "list": []Material{m}, "map": map[string]Material{"a": m}, "zero": Material{},
			"field": struct{ M Material }{m}, "unexported field": struct{ m Material }{m}, "pointer to one": &struct{ m Material }{m},
		} {
			var log strings.Builder
			slog.New(slog.NewTextHandler(&log, nil)).Info("a", "v", v)
			slog.New(slog.NewJSONHandler(&log, nil)).Info("a", "v", v)
			text, err := json.Marshal(v)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			texts := map[string]string{"slog": log.String(), "JSON": string(text)}
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%c", "%p", "%40s"} {
				texts[verb] = fmt.Sprintf(verb, v)
			}
			for how, text := range texts {
				for _, secret := range secrets {
					if strings.Contains(text, secret) {
						t.Errorf("%s by %s: %s", name, how, text)
					}
				}
			}
		}
	}
}

// Errors about bytes that are no material tell nothing of them.
func TestErrorsTellNothing(t *testing.T) {
	bad := append([]byte("secret-that-was-typed-wrong"), made()[P256].Bytes()...)
	for _, spec := range Specs() {
		_, err := FromBytes(spec, bad)
		if err == nil || strings.Contains(err.Error(), "secret-that") || strings.Contains(err.Error(), "asn1") {
			t.Errorf("%s: %v", spec, err)
		}
	}
}

func publicPEM(t testing.TB, m Material) []byte {
	t.Helper()
	der, err := m.PublicKeyDER()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x509.ParsePKIXPublicKey(der); err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}
