package seal

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func sealAll(t testing.TB, key Key, id ObjectID, plain []byte, piece int) []byte {
	t.Helper()
	var sealed bytes.Buffer
	sink := func(p []byte) error { sealed.Write(p); return nil }
	w := NewWriter(key, id, sink)
	defer w.Close()
	for rest := plain; len(rest) > 0; {
		n := min(piece, len(rest))
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if w.Offset() != int64(len(plain)) {
		t.Fatalf("offset %d, want %d", w.Offset(), len(plain))
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	return sealed.Bytes()
}

func openAll(key Key, id ObjectID, sealed []byte) ([]byte, error) {
	r, err := Open(bytes.NewReader(sealed), int64(len(sealed)), key, id)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r.NewReadSeeker())
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// keyKinds are the kinds of keys, all of which keep all promises.
var keyKinds = []struct {
	name   string
	new    func() Key
	layers int
}{{"one layer", NewKey, 1}, {"two layers", NewPair, 2}}

var sizes = []int{0, 1, 100, ChunkSize - 1, ChunkSize, ChunkSize + 1, 2 * ChunkSize, 2*ChunkSize + 1, 5*ChunkSize - 3, 9 * ChunkSize}

func TestRoundTrip(t *testing.T) {
	for _, kind := range keyKinds {
		for _, size := range sizes {
			for _, piece := range []int{1000, ChunkSize, 3*ChunkSize + 7, 1 << 20} {
				t.Run(fmt.Sprintf("%s, %d by %d", kind.name, size, piece), func(t *testing.T) {
					key, id, plain := kind.new(), ObjectID(random(16)), random(size)
					sealed := sealAll(t, key, id, plain, piece)
					chunks := max(1, (size+ChunkSize-1)/ChunkSize)
					if want := 32 + size + chunks*kind.layers*(12+16); len(sealed) != want || int(sealed[7]) != kind.layers {
						t.Fatalf("%d sealed bytes of version %d, want %d", len(sealed), sealed[7], want)
					}
					if got, err := openAll(key, id, sealed); err != nil || !bytes.Equal(got, plain) {
						t.Fatalf("%d bytes, error %v", len(got), err)
					}
				})
			}
		}
	}
}

func TestResume(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key, id := keyKinds[rapid.IntRange(0, 1).Draw(t, "kind")].new(), ObjectID(random(16))
		plain := random(rapid.IntRange(0, 6*ChunkSize).Draw(t, "size"))
		var sealed bytes.Buffer
		sink := func(p []byte) error { sealed.Write(p); return nil }
		w := NewWriter(key, id, sink)
		for at := 0; at < len(plain); {
			n := rapid.IntRange(1, len(plain)-at).Draw(t, "part")
			if _, err := w.Write(plain[at : at+n]); err != nil {
				t.Fatal(err)
			}
			at += n
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			state, err := w.State()
			if err != nil {
				t.Fatal(err)
			}
			w.Close()
			if w, err = ResumeWriter(key, id, state, sink); err != nil {
				t.Fatal(err)
			}
			if w.Offset() != int64(at) {
				t.Fatalf("offset %d after %d bytes", w.Offset(), at)
			}
		}
		if err := w.Finish(); err != nil {
			t.Fatal(err)
		}
		w.Close()
		if got, err := openAll(key, id, sealed.Bytes()); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%d of %d bytes, error %v", len(got), len(plain), err)
		}
	})
}

func TestStateIsChecked(t *testing.T) {
	good := append([]byte{stateVersion, 0, 0, 0, 0, 0, 0, 0, 1}, 'x')
	for name, state := range map[string][]byte{
		"empty": {}, "short": good[:5], "other version": append([]byte{9}, good[1:]...), "too long": append(good, make([]byte, ChunkSize)...),
		"nothing kept": good[:9], "absurd index": append([]byte{stateVersion, 0xff}, good[2:]...),
	} {
		if _, err := ResumeWriter(NewKey(), ObjectID{}, state, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := ResumeWriter(NewKey(), ObjectID{}, good, nil); err != nil {
		t.Error(err)
	}
}

func TestRanges(t *testing.T) {
	for _, kind := range keyKinds {
		t.Run(kind.name, func(t *testing.T) { testRanges(t, kind.new()) })
	}
}

func testRanges(t *testing.T, key Key) {
	id, plain := ObjectID(random(16)), random(11*ChunkSize+17)
	sealed := sealAll(t, key, id, plain, 1<<20)
	r, err := Open(bytes.NewReader(sealed), int64(len(sealed)), key, id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.Int64Range(0, r.Size()).Draw(t, "from")
		n := rapid.Int64Range(0, r.Size()-from).Draw(t, "n")
		p := make([]byte, n)
		if m, err := r.ReadAt(p, from); int64(m) != n || err != nil && !(err == io.EOF && from == r.Size()) || !bytes.Equal(p, plain[from:from+n]) {
			t.Fatalf("ReadAt: %d bytes, error %v", m, err)
		}
		s := r.NewReadSeeker()
		if _, err := s.Seek(from-r.Size(), io.SeekEnd); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if m, err := s.WriteRangeTo(&b, n); m != n || err != nil || !bytes.Equal(b.Bytes(), plain[from:from+n]) {
			t.Fatalf("WriteRangeTo: %d bytes, error %v", m, err)
		}
		if at, _ := s.Seek(0, io.SeekCurrent); at != from+n {
			t.Fatalf("stream at %d, want %d", at, from+n)
		}
	})
	if n, err := r.ReadAt(make([]byte, 10), r.Size()-4); n != 4 || err != io.EOF {
		t.Errorf("across the end: %d, %v", n, err)
	}
	if _, err := r.NewReadSeeker().WriteRangeTo(io.Discard, r.Size()+1); err != io.ErrUnexpectedEOF {
		t.Errorf("beyond the end: %v", err)
	}
}

// Whatever is done to a sealed object, reading gives the original bytes or an error, and never others.
func TestTampering(t *testing.T) {
	for _, kind := range keyKinds {
		t.Run(kind.name, func(t *testing.T) { testTampering(t, kind.new(), kind.new()) })
	}
}

func testTampering(t *testing.T, key, otherKey Key) {
	id, plain, sealedChunk := ObjectID(random(16)), random(4*ChunkSize+100), ChunkSize+key.Layers()*chunkOverhead
	sealed := sealAll(t, key, id, plain, 1<<20)
	chunk := func(b []byte, i int) []byte { return b[headerSize+i*sealedChunk : headerSize+(i+1)*sealedChunk] }
	refused := func(t interface{ Errorf(string, ...any) }, what string, altered []byte) {
		if got, err := openAll(key, id, altered); err == nil || !bytes.HasPrefix(plain, got) {
			t.Errorf("%s: read %d bytes, error %v", what, len(got), err)
		} else if !errors.Is(err, ErrAltered) && !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", what, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		b := bytes.Clone(sealed)
		b[rapid.IntRange(0, len(b)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		refused(t, "flip", b)
		refused(t, "cut", sealed[:rapid.IntRange(0, len(sealed)-1).Draw(t, "length")])
		refused(t, "append", append(bytes.Clone(sealed), random(rapid.IntRange(1, sealedChunk).Draw(t, "more"))...))
	})
	swapped := bytes.Clone(sealed)
	copy(chunk(swapped, 0), chunk(sealed, 1))
	copy(chunk(swapped, 1), chunk(sealed, 0))
	refused(t, "swapped chunks", swapped)
	twice := bytes.Clone(sealed)
	copy(chunk(twice, 1), chunk(sealed, 0))
	refused(t, "a chunk twice", twice)
	for n := 1; n < 4; n++ {
		refused(t, "cut at a chunk's end", sealed[:headerSize+n*sealedChunk])
	}
	refused(t, "without its last chunk but one", append(bytes.Clone(sealed[:headerSize+3*sealedChunk]), sealed[headerSize+4*sealedChunk:]...))

	other := sealAll(t, key, ObjectID(random(16)), plain, 1<<20)
	copy(other[8:24], id[:])
	refused(t, "another object of the same key", other)
	if _, err := openAll(otherKey, id, sealed); !errors.Is(err, ErrAltered) {
		t.Errorf("another key: %v", err)
	}
	if _, err := openAll(Key{}, id, sealed); err == nil {
		t.Error("no key: opened")
	}
}

func TestNothingReadable(t *testing.T) {
	plain := bytes.Repeat([]byte("a known sentence "), 20_000)
	if sealed := sealAll(t, NewKey(), ObjectID{1}, plain, 1<<20); bytes.Contains(sealed, []byte("known")) {
		t.Error("the sealed object holds plaintext")
	}
}

func TestSinkError(t *testing.T) {
	full := errors.New("full")
	w := NewWriter(NewKey(), ObjectID{}, func([]byte) error { return full })
	defer w.Close()
	if _, err := w.Write(make([]byte, 2<<20)); err != full {
		t.Errorf("Write: %v", err)
	}
	if err := w.Finish(); err != full {
		t.Errorf("Finish: %v", err)
	}
	if _, err := w.State(); err != full {
		t.Errorf("State: %v", err)
	}
}

func TestUseAfterEnd(t *testing.T) {
	w := NewWriter(NewKey(), ObjectID{}, func([]byte) error { return nil })
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("wrote to a finished writer")
	}
	w.Close()
	w.Close()
	if err := w.Finish(); err == nil {
		t.Error("finished twice")
	}
	key := NewKey()
	sealed := sealAll(t, key, ObjectID{}, []byte("text"), 10)
	r, err := Open(bytes.NewReader(sealed), int64(len(sealed)), key, ObjectID{})
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if _, err := r.ReadAt(make([]byte, 1), 0); err == nil {
		t.Error("read from a closed reader")
	}
}

// Each layer of a key of two is needed, in its place, and none is enough.
func TestLayersAreIndependent(t *testing.T) {
	inner, outer, id, plain := NewKey(), NewKey(), ObjectID(random(16)), random(ChunkSize+9)
	pair, err := Pair(inner, outer)
	if err != nil {
		t.Fatal(err)
	}
	sealed := sealAll(t, pair, id, plain, 1<<20)
	for name, keys := range map[string][2]Key{"inner alone": {inner, NewKey()}, "outer alone": {NewKey(), outer}, "in the other order": {outer, inner}} {
		wrong, err := Pair(keys[0], keys[1])
		if err != nil {
			t.Fatal(err)
		}
		if got, err := openAll(wrong, id, sealed); !errors.Is(err, ErrAltered) || len(got) > 0 {
			t.Errorf("%s: %d bytes, error %v", name, len(got), err)
		}
	}
	// By the book: the outer layer opens to the inner one, which opens to the text.
	text, err := SealBytes(pair, []byte("what"), plain)
	if err != nil {
		t.Fatal(err)
	}
	once, err := OpenBytes(outer, []byte("what"), text)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenBytes(inner, []byte("what"), once); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("%d bytes, error %v", len(got), err)
	}
	for _, one := range []Key{inner, outer} {
		if _, err := openAll(one, id, sealed); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrAltered) {
			t.Errorf("one layer: %v", err)
		}
	}
	for _, keys := range [][2]Key{{pair, outer}, {inner, pair}, {inner, {}}, {{}, outer}} {
		if _, err := Pair(keys[0], keys[1]); err == nil {
			t.Error("made a key of something else than two keys")
		}
	}
}

func TestBytes(t *testing.T) {
	for _, kind := range keyKinds {
		t.Run(kind.name, func(t *testing.T) { testBytes(t, kind.new()) })
	}
}

func testBytes(t *testing.T, key Key) {
	sealed, err := SealBytes(key, []byte("what"), []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenBytes(key, []byte("what"), sealed); err != nil || string(got) != "text" {
		t.Errorf("%q, %v", got, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"other aad": func() ([]byte, error) { return OpenBytes(key, []byte("else"), sealed) },
		"other key": func() ([]byte, error) { return OpenBytes(NewKey(), []byte("what"), sealed) },
		"cut":       func() ([]byte, error) { return OpenBytes(key, []byte("what"), sealed[:10]) },
		"flipped": func() ([]byte, error) {
			return OpenBytes(key, []byte("what"), append([]byte{sealed[0] ^ 1}, sealed[1:]...))
		},
	} {
		if _, err := open(); !errors.Is(err, ErrAltered) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeyNeverPrints(t *testing.T) {
	raw := []byte(strings.Repeat("k", KeySize))
	key, err := KeyFromBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		if got := fmt.Sprintf(form, key) + fmt.Sprintf(form, struct{ K Key }{key}); strings.Contains(got, "kkk") || strings.Contains(got, "6b6b") || strings.Contains(got, "107 107") {
			t.Errorf("%s prints %s", form, got)
		}
	}
	if !bytes.Equal(key.Bytes(), raw) || key.Equal(NewKey()) || (Key{}).Equal(Key{}) {
		t.Error("Bytes or Equal is wrong")
	}
	if _, err := KeyFromBytes(raw[1:]); err == nil {
		t.Error("took a short key")
	}
}

func FuzzOpen(f *testing.F) {
	key, id := NewKey(), ObjectID{}
	for _, size := range []int{0, 10, ChunkSize + 1} {
		f.Add(sealAll(f, key, id, make([]byte, size), 1<<20))
	}
	f.Fuzz(func(t *testing.T, sealed []byte) { openAll(key, id, sealed) })
}

func BenchmarkSeal(b *testing.B) {
	plain := random(512 << 10)
	for _, kind := range keyKinds {
		b.Run(kind.name, func(b *testing.B) {
			w := NewWriter(kind.new(), ObjectID{}, func([]byte) error { return nil })
			defer w.Close()
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			for b.Loop() {
				w.Write(plain)
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, kind := range keyKinds {
		b.Run(kind.name, func(b *testing.B) {
			key := kind.new()
			sealed := sealAll(b, key, ObjectID{}, random(16<<20), 1<<20)
			r, err := Open(bytes.NewReader(sealed), int64(len(sealed)), key, ObjectID{})
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			b.SetBytes(16 << 20)
			b.ReportAllocs()
			for b.Loop() {
				r.NewReadSeeker().WriteRangeTo(io.Discard, r.Size())
			}
		})
	}
}

func BenchmarkRandomRead(b *testing.B) {
	key := NewKey()
	sealed := sealAll(b, key, ObjectID{}, random(16<<20), 1<<20)
	r, err := Open(bytes.NewReader(sealed), int64(len(sealed)), key, ObjectID{})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	p := make([]byte, 4096)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		r.ReadAt(p, mathrand.Int64N(r.Size()-4096))
	}
}
