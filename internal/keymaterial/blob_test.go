package keymaterial

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var writeVectors = flag.Bool("write-vectors", false, "make testdata/vectors.json anew")

// vector is a ciphertext as docs/format.md has it. Salt and nonce are random, so that a vector is for opening.
type vector struct {
	Name       string            `json:"name"`
	Material   string            `json:"material"`
	KeyID      string            `json:"keyId"`
	MaterialID string            `json:"materialId"`
	Context    map[string]string `json:"context"`
	// Size of the message, whose n-th byte is n modulo 251.
	Size int    `json:"size"`
	Blob string `json:"blob"`
	// Opens is false where the ciphertext was altered.
	Opens bool `json:"opens"`
}

func pattern(size int) []byte {
	p := make([]byte, size)
	for i := range p {
		p[i] = byte(i % 251)
	}
	return p
}

var vectorFile = filepath.Join("testdata", "vectors.json")

func TestVectors(t *testing.T) {
	if *writeVectors {
		makeVectors(t)
	}
	text, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		m, err := FromBytes(SymmetricDefault, unhex(t, v.Material))
		if err != nil {
			t.Fatal(err)
		}
		blob := unhex(t, v.Blob)
		h, err := ParseBlob(blob)
		if err != nil || hex.EncodeToString(h.KeyID[:]) != v.KeyID || hex.EncodeToString(h.MaterialID[:]) != v.MaterialID {
			t.Errorf("%s: header %x: %v", v.Name, h, err)
		}
		plaintext, err := Decrypt(m, blob, v.Context)
		if v.Opens && (err != nil || !bytes.Equal(plaintext, pattern(v.Size))) || !v.Opens && !errors.Is(err, ErrCiphertext) {
			t.Errorf("%s: %d bytes: %v", v.Name, len(plaintext), err)
		}
	}
	if len(vectors) < 4 {
		t.Errorf("%d vectors", len(vectors))
	}
}

func makeVectors(t *testing.T) {
	header := Header{KeyID: [16]byte(pattern(16)), MaterialID: [32]byte(pattern(32))}
	var vectors []vector
	for _, v := range []vector{
		{Name: "no message, no context"},
		{Name: "data key", Size: 32, Context: map[string]string{"aws:ecr:arn": "arn:aws:ecr:us-east-1:123456789012:repository/a", "aws:s3:arn": "b"}},
		{Name: "longest message", Size: MaxPlaintext, Context: map[string]string{"": "", "é": "ü", "a": ""}},
		{Name: "a bit of the material's id flipped", Size: 32},
	} {
		m, err := Generate(SymmetricDefault)
		if err != nil {
			t.Fatal(err)
		}
		blob, err := Encrypt(m, header, pattern(v.Size), v.Context)
		if err != nil {
			t.Fatal(err)
		}
		if v.Opens = len(vectors) < 3; !v.Opens {
			blob[17] ^= 1
		}
		v.Material, v.Blob = hex.EncodeToString(m.Bytes()), hex.EncodeToString(blob)
		v.KeyID, v.MaterialID = hex.EncodeToString(blob[1:17]), hex.EncodeToString(blob[17:49])
		vectors = append(vectors, v)
	}
	text, err := json.MarshalIndent(vectors, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(vectorFile, append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestBlobsOpen(t *testing.T) {
	m, h := made()[SymmetricDefault], Header{KeyID: [16]byte{1, 2}, MaterialID: [32]byte{3}}
	for _, size := range []int{0, 1, 32, MaxPlaintext} {
		blob, err := Encrypt(m, h, pattern(size), map[string]string{"a": "b", "c": "d"})
		if err != nil || len(blob) != size+Overhead || len(blob) > MaxBlob {
			t.Fatalf("%d bytes make %d: %v", size, len(blob), err)
		}
		if got, err := ParseBlob(blob); err != nil || got != h {
			t.Errorf("header %x: %v", got, err)
		}
		if got, err := Decrypt(m, blob, map[string]string{"c": "d", "a": "b"}); err != nil || !bytes.Equal(got, pattern(size)) {
			t.Errorf("%d bytes come back as %d: %v", size, len(got), err)
		}
		again, err := Encrypt(m, h, pattern(size), map[string]string{"a": "b", "c": "d"})
		if err != nil || bytes.Equal(blob[headerSize-saltSize:headerSize], again[headerSize-saltSize:headerSize]) {
			t.Errorf("a salt came twice: %v", err)
		}
	}
	if _, err := Encrypt(m, h, make([]byte, MaxPlaintext+1), nil); !errors.Is(err, ErrMessage) {
		t.Errorf("too long a message: %v", err)
	}
	if _, err := Encrypt(made()[HMAC256], h, nil, nil); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a key of HMAC encrypts: %v", err)
	}
}

// A ciphertext of which one bit is flipped, or that is cut or appended to, does not open, wherever that is.
func TestAlteredBlobsAreRefused(t *testing.T) {
	m := made()[SymmetricDefault]
	c := map[string]string{"a": "b"}
	blob, err := Encrypt(m, Header{KeyID: [16]byte{1}}, pattern(20), c)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, m Material, blob []byte, c map[string]string) {
		t.Helper()
		if got, err := Decrypt(m, blob, c); !errors.Is(err, ErrCiphertext) || got != nil {
			t.Errorf("%s: %x, %v", what, got, err)
		}
	}
	for bit := range 8 * len(blob) {
		altered := bytes.Clone(blob)
		altered[bit/8] ^= 1 << (bit % 8)
		refused("one bit flipped", m, altered, c)
	}
	for n := range len(blob) {
		refused("cut at the end", m, blob[:n], c)
		refused("cut at the start", m, blob[n+1:], c)
	}
	refused("appended", m, append(bytes.Clone(blob), 0), c)
	refused("far too long", m, append(bytes.Clone(blob), make([]byte, 1<<20)...), c)
	for _, other := range []map[string]string{nil, {}, {"a": "B"}, {"A": "b"}, {"a": "b", "": ""}, {"ab": ""}, {"": "ab"}, {"b": "a"}} {
		refused("another context", m, blob, other)
	}
	other, err := Generate(SymmetricDefault)
	if err != nil {
		t.Fatal(err)
	}
	refused("another key", other, blob, c)
}

// No two contexts and headers are bound as the same bytes.
func TestContextsAreBoundApart(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range []map[string]string{{}, {"": ""}, {"a": ""}, {"": "a"}, {"a": "b"}, {"ab": ""}, {"a": "", "b": ""}, {"a": "b", "": ""}} {
		data := string(additionalData([]byte{1}, c))
		if seen[data] {
			t.Errorf("%v is bound as another", c)
		}
		seen[data] = true
	}
}

func FuzzDecrypt(f *testing.F) {
	m := made()[SymmetricDefault]
	c := map[string]string{"a": "b"}
	genuine, err := Encrypt(m, Header{}, []byte("text"), c)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(genuine[:Overhead])
	f.Add([]byte{})
	f.Add(append([]byte{blobVersion}, make([]byte, 200)...))
	f.Fuzz(func(t *testing.T, blob []byte) {
		got, err := Decrypt(m, blob, c)
		if err == nil && !bytes.Equal(blob, genuine) {
			t.Errorf("%x opens as %x", blob, got)
		}
		if err != nil && !errors.Is(err, ErrCiphertext) {
			t.Error(err)
		}
	})
}

func BenchmarkEncrypt(b *testing.B) {
	m := made()[SymmetricDefault]
	c := map[string]string{"aws:ecr:arn": "arn:aws:ecr:us-east-1:123456789012:repository/a", "aws:s3:arn": "arn:aws:s3:::bucket/object"}
	for b.Loop() {
		if _, err := Encrypt(m, Header{}, make([]byte, 32), c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecrypt(b *testing.B) {
	m := made()[SymmetricDefault]
	c := map[string]string{"aws:ecr:arn": "arn:aws:ecr:us-east-1:123456789012:repository/a", "aws:s3:arn": "arn:aws:s3:::bucket/object"}
	blob, err := Encrypt(m, Header{}, make([]byte, 32), c)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Decrypt(m, blob, c); err != nil {
			b.Fatal(err)
		}
	}
}
