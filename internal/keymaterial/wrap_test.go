package keymaterial

import (
	"bytes"
	"crypto/aes"
	"crypto/fips140"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"testing"
)

func hexOf(b []byte) string { return hex.EncodeToString(b) }

// RFC 5649, section 6.
func TestPaddedKeyWrapVectors(t *testing.T) {
	key := unhex(t, "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8")
	for text, wrapped := range map[string]string{
		"c37b7e6492584340bed12207808941155068f738": "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
		"466f7250617369": "afbeb0f07dfbf5419200f2ccb50bb24f",
	} {
		if got, err := unwrapPadded(key, unhex(t, wrapped)); err != nil || hexOf(got) != text {
			t.Errorf("%s: %x, %v", text, got, err)
		}
		if got := wrapPadded(t, key, unhex(t, text)); hexOf(got) != wrapped {
			t.Errorf("%s: the tests wrap it as %x", text, got)
		}
	}
}

// wrapPadded is the inverse of unwrapPadded.
func wrapPadded(t testing.TB, key, text []byte) []byte {
	t.Helper()
	header := binary.BigEndian.AppendUint32([]byte{0xa6, 0x59, 0x59, 0xa6}, uint32(len(text)))
	return wrapUnits(t, key, header, append(bytes.Clone(text), make([]byte, (unit-len(text)%unit)%unit)...))
}

// wrapUnits wraps a text of whole units with an initial value, be it right or wrong.
func wrapUnits(t testing.TB, key, initial, text []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	out := append(bytes.Clone(initial), text...)
	n := len(text) / unit
	if n == 1 {
		block.Encrypt(out, out)
		return out
	}
	for step := 1; step <= 6*n; step++ {
		place := out[unit*((step-1)%n+1):][:unit]
		b := append(bytes.Clone(out[:unit]), place...)
		block.Encrypt(b, b)
		binary.BigEndian.PutUint64(out, binary.BigEndian.Uint64(b)^uint64(step))
		copy(place, b[unit:])
	}
	return out
}

func TestPaddedKeyWrap(t *testing.T) {
	key := pattern(32)
	for n := 1; n <= 70; n++ {
		wrapped := wrapPadded(t, key, pattern(n))
		if got, err := unwrapPadded(key, wrapped); err != nil || !bytes.Equal(got, pattern(n)) {
			t.Fatalf("%d bytes: %x, %v", n, got, err)
		}
		for bit := 0; bit < 8*len(wrapped); bit += 7 {
			wrapped[bit/8] ^= 1 << (bit % 8)
			if _, err := unwrapPadded(key, wrapped); !errors.Is(err, ErrCiphertext) {
				t.Fatalf("%d bytes, bit %d flipped: %v", n, bit, err)
			}
			wrapped[bit/8] ^= 1 << (bit % 8)
		}
	}
	for _, n := range []int{0, 8, 15, 17, 31, maxWrapped + 8} {
		if _, err := unwrapPadded(key, make([]byte, n)); !errors.Is(err, ErrCiphertext) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// A wrapping whose initial value, length or padding is not as the RFC has it is refused, though the key is right.
func TestPaddingIsChecked(t *testing.T) {
	key := pattern(16)
	for name, tt := range map[string]struct {
		initial string
		text    string
		good    bool
	}{
		"as it should be":            {"a65959a600000009", "01020304050607080900000000000000", true},
		"a text of whole units":      {"a65959a600000010", "01020304050607080910111213141516", true},
		"no text":                    {"a65959a600000000", "0000000000000000", false},
		"a whole unit of padding":    {"a65959a600000008", "01020304050607080000000000000000", false},
		"longer than it is":          {"a65959a600000011", "01020304050607080910111213141516", false},
		"far longer than it is":      {"a65959a6ffffffff", "01020304050607080910111213141516", false},
		"longer by half of all":      {"a65959a680000009", "01020304050607080900000000000000", false},
		"padding that is not zero":   {"a65959a600000009", "01020304050607080900000000000001", false},
		"padding begins not zero":    {"a65959a600000009", "01020304050607080901000000000000", false},
		"the value of RFC 3394":      {"a6a6a6a6a6a6a6a6", "01020304050607080910111213141516", false},
		"a lowest bit flipped":       {"a65959a700000009", "01020304050607080900000000000000", false},
		"a highest bit flipped":      {"265959a600000009", "01020304050607080900000000000000", false},
		"one unit as it should be":   {"a65959a600000007", "0102030405060700", true},
		"one unit, padding not zero": {"a65959a600000007", "0102030405060708", false},
	} {
		_, err := unwrapPadded(key, wrapUnits(t, key, unhex(t, tt.initial), unhex(t, tt.text)))
		if (err == nil) != tt.good || err != nil && !errors.Is(err, ErrCiphertext) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Customers wrap what they import with OpenSSL.
func TestUnwrapWhatOpenSSLWrapped(t *testing.T) {
	openssl(t)
	dir := t.TempDir()
	for _, wrapping := range []Spec{RSA2048, RSA3072, RSA4096} {
		key := made()[wrapping]
		public := write(t, dir, "public", publicPEM(t, key))
		for spec, m := range made() {
			text := write(t, dir, "text", m.Bytes())
			for _, algorithm := range []string{OAEPSHA1, OAEPSHA256, WrapAESSHA1, WrapAESSHA256} {
				if CheckWrapping(spec, wrapping, algorithm) != nil {
					continue
				}
				var wrapped []byte
				encrypt := append([]string{"pkeyutl", "-encrypt", "-pubin", "-inkey", public}, oaepOptions(algorithm)...)
				if algorithm == OAEPSHA1 || algorithm == OAEPSHA256 {
					wrapped = run(t, append(encrypt, "-in", text)...)
				} else {
					aesKey := pattern(32)
					wrapped = run(t, append(encrypt, "-in", write(t, dir, "aes", aesKey))...)
					wrapped = append(wrapped, run(t, "enc", "-id-aes256-wrap-pad", "-K", hexOf(aesKey), "-iv", "A65959A6", "-in", text)...)
				}
				raw, err := key.Unwrap(algorithm, wrapped)
				if err != nil {
					t.Errorf("%s by %s with %s: %v", spec, algorithm, wrapping, err)
					continue
				}
				if got, err := FromBytes(spec, raw); err != nil || !got.Equal(m) {
					t.Errorf("%s by %s with %s: %v", spec, algorithm, wrapping, err)
				}
				for _, i := range []int{0, len(wrapped) / 2, len(wrapped) - 1} {
					wrapped[i] ^= 1
					if _, err := key.Unwrap(algorithm, wrapped); !errors.Is(err, ErrCiphertext) {
						t.Errorf("%s by %s with %s, byte %d flipped: %v", spec, algorithm, wrapping, i, err)
					}
					wrapped[i] ^= 1
				}
			}
		}
	}
}

func TestWhatCanBeWrapped(t *testing.T) {
	for _, tt := range []struct {
		spec, wrapping Spec
		algorithm      string
		expected       error
	}{
		{SymmetricDefault, RSA2048, OAEPSHA256, nil},
		{SymmetricDefault, RSA2048, WrapAESSHA256, nil},
		{HMAC512, RSA2048, OAEPSHA256, nil},
		{P521, RSA3072, OAEPSHA256, nil},
		{P521, RSA2048, OAEPSHA256, ErrUnsupported},
		{P521, RSA2048, WrapAESSHA256, nil},
		{RSA2048, RSA4096, OAEPSHA256, ErrUnsupported},
		{RSA4096, RSA2048, WrapAESSHA256, nil},
		{SymmetricDefault, RSA2048, "RSAES_PKCS1_V1_5", ErrUnsupported},
		{SymmetricDefault, RSA2048, "SM2PKE", ErrUnsupported},
		{SymmetricDefault, RSA2048, "", ErrUnsupported},
		{SymmetricDefault, "SM2", OAEPSHA256, ErrUnsupported},
		{SymmetricDefault, P256, OAEPSHA256, ErrUnsupported},
		{SymmetricDefault, "", OAEPSHA256, ErrUnsupported},
		{"SM2", RSA2048, WrapAESSHA256, ErrUnsupported},
	} {
		if err := CheckWrapping(tt.spec, tt.wrapping, tt.algorithm); !errors.Is(err, tt.expected) {
			t.Errorf("%s by %s with %s: %v", tt.spec, tt.algorithm, tt.wrapping, err)
		}
	}
	for _, algorithm := range []string{OAEPSHA1, WrapAESSHA1} {
		err := CheckWrapping(SymmetricDefault, RSA2048, algorithm)
		if fips140.Enforced() != errors.Is(err, ErrEnforced) || !fips140.Enforced() && err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
	if _, err := made()[P256].Unwrap(OAEPSHA256, nil); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a key of a curve unwraps: %v", err)
	}
	// An AES key of another length, though wrapped as it should be.
	short, err := made()[RSA2048].EncryptAsymmetric(OAEPSHA256, pattern(16))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := made()[RSA2048].Unwrap(WrapAESSHA256, append(short, wrapPadded(t, pattern(16), pattern(32))...)); !errors.Is(err, ErrCiphertext) {
		t.Errorf("an AES key of 128 bits: %v", err)
	}
}

func FuzzUnwrap(f *testing.F) {
	key := pattern(32)
	f.Add(wrapPadded(f, key, pattern(32)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, wrapped []byte) {
		text, err := unwrapPadded(key, wrapped)
		if err == nil && !bytes.Equal(wrapPadded(t, key, text), wrapped) {
			t.Errorf("%x opens as %x, which is wrapped otherwise", wrapped, text)
		}
		if err != nil && !errors.Is(err, ErrCiphertext) {
			t.Error(err)
		}
	})
}
