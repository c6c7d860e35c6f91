package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

var writeVectors = flag.Bool("write-vectors", false, "make testdata/vectors.json anew")

// vector is an object, or a short text, as docs/format.md has it. Nonces are random, so that a vector is for opening.
type vector struct {
	Name   string `json:"name"`
	Key    string `json:"key"`
	Object string `json:"object,omitempty"` // the id; empty for a short text
	AAD    string `json:"aad,omitempty"`    // of a short text
	// Size of the plaintext, whose n-th byte is n modulo 251.
	Size   int    `json:"size"`
	Sealed string `json:"sealed"`
	// Error is empty, "altered" or "format".
	Error string `json:"error,omitempty"`
}

func pattern(size int) []byte {
	p := make([]byte, size)
	for i := range p {
		p[i] = byte(i % 251)
	}
	return p
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const vectorFile = "testdata/vectors.json"

func TestVectors(t *testing.T) {
	text, err := os.ReadFile(filepath.FromSlash(vectorFile))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	if *writeVectors {
		vectors = addVectors(t, vectors)
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			key, err := KeyFromBytes(unhex(t, v.Key))
			if err != nil {
				t.Fatal(err)
			}
			sealed := unhex(t, v.Sealed)
			var plain []byte
			if v.Object == "" {
				plain, err = OpenBytes(key, unhex(t, v.AAD), sealed)
			} else {
				plain, err = openAll(key, ObjectID(unhex(t, v.Object)), sealed)
			}
			want := map[string]error{"": nil, "altered": ErrAltered, "format": ErrFormat}[v.Error]
			if !errors.Is(err, want) {
				t.Fatalf("error %v, want %v", err, want)
			}
			if want == nil && !bytes.Equal(plain, pattern(v.Size)) {
				t.Errorf("the plaintext is not the one of the vector")
			}
			if want == nil && v.Object != "" {
				// Who opens by the words alone gives the nonce to the cipher, which FIPS 140-3 leaves to none but TLS.
				fips140.WithoutEnforcement(func() { byTheBook(t, unhex(t, v.Key), unhex(t, v.Object), sealed, v.Size) })
			}
		})
	}
}

// byTheBook opens an object by the words of docs/format.md, with nothing of this package.
func byTheBook(t *testing.T, key, id, sealed []byte, size int) {
	t.Helper()
	layers := len(key) / 32
	if string(sealed[:7]) != "coffer\x00" || int(sealed[7]) != layers || !bytes.Equal(sealed[8:24], id) ||
		binary.BigEndian.Uint32(sealed[24:28]) != 65536 || binary.BigEndian.Uint32(sealed[28:32]) != 0 {
		t.Fatalf("header %x", sealed[:32])
	}
	var plain []byte
	rest := sealed[32:]
	for index := uint64(0); len(rest) > 0; index++ {
		chunk := rest[:min(len(rest), 65536+layers*(12+16))]
		rest = rest[len(chunk):]
		aad := binary.BigEndian.AppendUint64(append([]byte(nil), id...), index)
		final := byte(0)
		if len(rest) == 0 {
			final = 1
		}
		for layer := layers; layer > 0; layer-- {
			chunk = openLayer(t, key[32*(layer-1):32*layer], chunk, append(aad, final))
		}
		plain = append(plain, chunk...)
	}
	if !bytes.Equal(plain, pattern(size)) {
		t.Errorf("by the book the plaintext has %d bytes that are not those of the vector", len(plain))
	}
}

// openLayer opens nonce ‖ ciphertext ‖ tag.
func openLayer(t *testing.T, key, sealed, aad []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := gcm.Open(nil, sealed[:12], sealed[12:], aad)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// addVectors adds to the published vectors those that are missing, and writes them. One that is published never changes.
func addVectors(t *testing.T, published []vector) []vector {
	t.Helper()
	for _, v := range wantedVectors(t) {
		if !slices.ContainsFunc(published, func(p vector) bool { return p.Name == v.Name }) {
			published = append(published, v)
		}
	}
	out, err := json.MarshalIndent(published, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.FromSlash(vectorFile), append(out, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	return published
}

func wantedVectors(t *testing.T) []vector {
	t.Helper()
	id, one, two := pattern(16), pattern(KeySize), pattern(PairSize)
	key := func(raw []byte) Key {
		k, err := KeyFromBytes(raw)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	object := func(name string, raw []byte, size int, alter func([]byte) []byte, failure string) vector {
		sealed := sealAll(t, key(raw), ObjectID(id), pattern(size), ChunkSize)
		return vector{Name: name, Key: hex.EncodeToString(raw), Object: hex.EncodeToString(id), Size: size, Sealed: hex.EncodeToString(alter(sealed)), Error: failure}
	}
	aad := []byte("row\x00of a table")
	text := func(name string, raw []byte) vector {
		sealed, err := SealBytes(key(raw), aad, pattern(20))
		if err != nil {
			t.Fatal(err)
		}
		return vector{Name: name, Key: hex.EncodeToString(raw), AAD: hex.EncodeToString(aad), Size: 20, Sealed: hex.EncodeToString(sealed)}
	}
	moved := text("short text of another row", one)
	moved.AAD, moved.Error = hex.EncodeToString([]byte("another row")), "altered"
	same := func(b []byte) []byte { return b }
	flip := func(i int) func([]byte) []byte { return func(b []byte) []byte { b[i] ^= 1; return b } }
	return []vector{
		object("empty object", one, 0, same, ""), object("five bytes", one, 5, same, ""), object("two chunks", one, ChunkSize+1, same, ""),
		object("exactly one chunk", one, ChunkSize, same, ""),
		object("one bit of the ciphertext flipped", one, 5, flip(50), "altered"),
		object("one bit of the object id flipped", one, 5, flip(8), "altered"),
		object("the last byte cut off", one, 5, func(b []byte) []byte { return b[:len(b)-1] }, "altered"),
		object("the last chunk cut off", one, ChunkSize+1, func(b []byte) []byte { return b[:32+12+ChunkSize+16] }, "altered"),
		object("another version", one, 5, func(b []byte) []byte { b[7] = 2; return b }, "format"),
		text("short text", one), moved,
		object("two layers: empty object", two, 0, same, ""), object("two layers: five bytes", two, 5, same, ""),
		object("two layers: two chunks", two, ChunkSize+1, same, ""),
		object("two layers: one bit of the ciphertext flipped", two, 5, flip(60), "altered"),
		object("two layers: the version of one", two, 5, func(b []byte) []byte { b[7] = 1; return b }, "format"),
		text("two layers: short text", two),
	}
}
