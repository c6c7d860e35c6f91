package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
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
	if *writeVectors {
		makeVectors(t)
	}
	text, err := os.ReadFile(filepath.FromSlash(vectorFile))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
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
				byTheBook(t, unhex(t, v.Key), unhex(t, v.Object), sealed, v.Size)
			}
		})
	}
}

// byTheBook opens an object by the words of docs/format.md, with nothing of this package.
func byTheBook(t *testing.T, key, id, sealed []byte, size int) {
	t.Helper()
	if string(sealed[:8]) != "coffer\x00\x01" || !bytes.Equal(sealed[8:24], id) ||
		binary.BigEndian.Uint32(sealed[24:28]) != 65536 || binary.BigEndian.Uint32(sealed[28:32]) != 0 {
		t.Fatalf("header %x", sealed[:32])
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	var plain []byte
	rest := sealed[32:]
	for index := uint64(0); len(rest) > 0; index++ {
		chunk := rest[:min(len(rest), 12+65536+16)]
		rest = rest[len(chunk):]
		aad := binary.BigEndian.AppendUint64(append([]byte(nil), id...), index)
		final := byte(0)
		if len(rest) == 0 {
			final = 1
		}
		opened, err := gcm.Open(nil, chunk[:12], chunk[12:], append(aad, final))
		if err != nil {
			t.Fatalf("chunk %d: %v", index, err)
		}
		plain = append(plain, opened...)
	}
	if !bytes.Equal(plain, pattern(size)) {
		t.Errorf("by the book the plaintext has %d bytes that are not those of the vector", len(plain))
	}
}

// makeVectors writes the vectors. A vector that is published never changes: this is for new ones.
func makeVectors(t *testing.T) {
	t.Helper()
	rawKey, id := pattern(KeySize), pattern(16)
	key, err := KeyFromBytes(rawKey)
	if err != nil {
		t.Fatal(err)
	}
	object := func(name string, size int, alter func([]byte) []byte, failure string) vector {
		sealed := sealAll(t, key, ObjectID(id), pattern(size), ChunkSize)
		return vector{Name: name, Key: hex.EncodeToString(rawKey), Object: hex.EncodeToString(id), Size: size, Sealed: hex.EncodeToString(alter(sealed)), Error: failure}
	}
	same := func(b []byte) []byte { return b }
	vectors := []vector{
		object("empty object", 0, same, ""), object("five bytes", 5, same, ""), object("two chunks", ChunkSize+1, same, ""),
		object("exactly one chunk", ChunkSize, same, ""),
		object("one bit of the ciphertext flipped", 5, func(b []byte) []byte { b[50] ^= 1; return b }, "altered"),
		object("one bit of the object id flipped", 5, func(b []byte) []byte { b[8] ^= 1; return b }, "altered"),
		object("the last byte cut off", 5, func(b []byte) []byte { return b[:len(b)-1] }, "altered"),
		object("the last chunk cut off", ChunkSize+1, func(b []byte) []byte { return b[:32+12+ChunkSize+16] }, "altered"),
		object("another version", 5, func(b []byte) []byte { b[7] = 2; return b }, "format"),
	}
	aad := []byte("row\x00of a table")
	text, err := SealBytes(key, aad, pattern(20))
	if err != nil {
		t.Fatal(err)
	}
	short := vector{Name: "short text", Key: hex.EncodeToString(rawKey), AAD: hex.EncodeToString(aad), Size: 20, Sealed: hex.EncodeToString(text)}
	moved := short
	moved.Name, moved.AAD, moved.Error = "short text of another row", hex.EncodeToString([]byte("another row")), "altered"
	out, err := json.MarshalIndent(append(vectors, short, moved), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.FromSlash(vectorFile), append(out, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	fmt.Println("wrote", vectorFile)
}
