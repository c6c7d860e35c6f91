package blob

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// TestParts holds the sizes of parts against what S3 takes, and what they hold against the largest layer.
func TestParts(t *testing.T) {
	var sum int64
	for n := 1; n <= maxParts; n++ {
		size := partSize(n)
		if size < 5<<20 || size > 5<<30 {
			t.Fatalf("part %d has %d bytes", n, size)
		}
		if sum += int64(size); partsSize(n) != sum {
			t.Fatalf("%d parts hold %d bytes, and partsSize says %d", n, sum, partsSize(n))
		}
	}
	const layer = 52_000 << 20
	if sealed := int64(layer + layer/1000); partsSize(maxParts) < sealed {
		t.Errorf("all parts hold %d bytes", partsSize(maxParts))
	}
	if partsSize(0) != 0 {
		t.Errorf("no parts hold %d bytes", partsSize(0))
	}
}

// TestStates encodes and decodes states, and refuses what is no state.
func TestStates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := s3State{key: NewKey(time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "time"), 0)), summed: rapid.Bool().Draw(t, "summed"), parts: rapid.IntRange(0, maxParts).Draw(t, "parts"),
			id: rapid.StringN(1, 200, 400).Draw(t, "id"), chain: etagChain{1}.add("a")}
		if rapid.Bool().Draw(t, "long") {
			s.tailID, s.tailSize = randomID(tailIDSize), rapid.IntRange(embeddedTail+1, partSize(min(s.parts+1, maxParts))).Draw(t, "size")
		} else {
			s.tail = bytes.Repeat([]byte{7}, rapid.IntRange(0, embeddedTail).Draw(t, "tail"))
		}
		for range rapid.IntRange(0, maxOldTails).Draw(t, "old") {
			s.old = append(s.old, randomID(tailIDSize))
		}
		encoded := s.encode()
		back, err := decodeState(encoded)
		if err != nil || !bytes.Equal(back.encode(), encoded) || back.size() != s.size() {
			t.Fatalf("decoded %+v, error %v", back, err)
		}
		cut := rapid.IntRange(0, len(encoded)-1).Draw(t, "cut")
		for _, bad := range [][]byte{encoded[:cut], append(encoded, 0)} {
			if _, err := decodeState(bad); !errors.Is(err, ErrState) {
				t.Fatalf("%d of %d bytes: %v", len(bad), len(encoded), err)
			}
		}
	})
}

func FuzzState(f *testing.F) {
	f.Add((&s3State{key: NewKey(time.Unix(0, 0)), id: "id", tail: []byte("tail"), old: []string{randomID(tailIDSize)}}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeState(b)
		if err != nil {
			return
		}
		if back, err := decodeState(s.encode()); err != nil || back.size() != s.size() {
			t.Errorf("%x comes back as %+v, error %v", b, back, err)
		}
	})
}

func TestURLs(t *testing.T) {
	for _, good := range []string{
		"s3://bucket", "s3://bucket/", "s3://my.bucket/a/b/", "s3://bucket/p?endpoint=https://s3.example.com:9000&region=eu-1&path-style=auto",
		"s3://bucket?endpoint=http://127.0.0.1:7070&path-style=false", "s3://bucket?encryption=aws:kms&kms-key=alias/a", "s3://bucket?profile=coffer",
	} {
		if err := CheckS3URL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "bucket", "http://bucket", "s3://", "s3:bucket", "s3:///prefix", "s3://Bucket", "s3://a..b", "s3://b/../c", "s3://bucket/a b", "s3://bucket/a//b",
		"s3://key:hunter2@bucket", "s3://bucket?endpoint=https://key:hunter2@host", "s3://bucket?endpoint=host:9000", "s3://bucket?endpoint=ftp://host",
		"s3://bucket?endpoint=https://host/path", "s3://bucket?region=EU%20WEST", "s3://bucket?path-style=maybe", "s3://bucket?unknown=1", "s3://bucket?region=",
		"s3://bucket?region=a&region=b", "s3://bucket?encryption=rot13", "s3://bucket?kms-key=a", "s3://bucket#f", "s3://bucket/%zz", "s3://key:hunter2@bucket/%zz",
		"s3://bucket/" + strings.Repeat("a", 600),
	} {
		err := CheckS3URL(bad)
		if err == nil || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// fillUp takes memory for a part, and fills it.
func fillUp(ctx context.Context, b *budget, f *buffer) error {
	for size := 60_000; ; size *= 2 {
		size = min(size, smallestPart)
		if size > len(f.bytes) {
			if err := b.grow(ctx, f, size, smallestPart); err != nil {
				return err
			}
		}
		if f.n = size; size == smallestPart {
			return nil
		}
	}
}

// TestBudgetServesAll has many more uploads than there is memory for fill parts: all get their turn, and the bound holds.
func TestBudgetServesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(64 << 20)
		done := make(chan error)
		for range 300 {
			go func() {
				var err error
				for range 5 {
					f := b.first(func() {})
					if err = errors.Join(err, fillUp(t.Context(), b, f)); err == nil {
						time.Sleep(time.Second) // as sending does
					}
					b.put(f)
				}
				done <- err
			}()
		}
		for range 300 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if b.peak > b.total || b.peak < b.total/2 || b.used != 0 || len(b.holders) != 0 {
			t.Errorf("peak %d of %d, %d are used by %d in the end", b.peak, b.total, b.used, len(b.holders))
		}
		b.release()
	})
}

// TestBudgetTakesFromSlow lets uploads that sit on all memory wait, while another needs some: those lose theirs after 30
// seconds, but not before, and not while nobody waits.
func TestBudgetTakesFromSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(64 << 20)
		s := &S3{memory: b, writing: map[string]bool{}}
		var slow []*s3Upload
		for i := range 12 { // of 5 MiB each
			u := &s3Upload{s: s, key: NewKey(time.Now().Add(time.Duration(i) * time.Hour)), slots: make(chan struct{}, 1)}
			if err := u.WritePart(t.Context(), make([]byte, 2<<20)); err != nil {
				t.Fatal(err)
			}
			slow = append(slow, u)
		}
		time.Sleep(20 * time.Second)
		for _, u := range slow {
			if u.failure() != nil {
				t.Fatal("lost its memory while nobody waited")
			}
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		u := &s3Upload{s: s, key: NewKey(time.Now()), slots: make(chan struct{}, 1)}
		if err := u.WritePart(ctx, make([]byte, 2<<20)); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("waited beyond its context: %v after %v", err, time.Since(start))
		}
		cancel()
		u.Close()
		u = &s3Upload{s: s, key: NewKey(time.Now()), slots: make(chan struct{}, 1)}
		if err := u.WritePart(t.Context(), make([]byte, 2<<20)); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(start); waited < 9*time.Second || waited > 12*time.Second {
			t.Errorf("waited for %v", waited)
		}
		for _, u := range slow {
			if err := u.WritePart(t.Context(), []byte("a")); !errors.Is(err, ErrSlow) {
				t.Errorf("the slow one: %v", err)
			}
			u.Close()
		}
		u.Close()
		if b.used != 0 {
			t.Errorf("%d bytes are in use", b.used)
		}
		b.release()
	})
}

// TestBodyIsLetGo reads a request's body after the request is over, as connections do.
func TestBodyIsLetGo(t *testing.T) {
	b := &body{bytes: []byte("secret")}
	b.detach()
	if n, err := b.Read(make([]byte, 10)); n > 0 || err == nil {
		t.Errorf("read %d bytes, error %v", n, err)
	}
}
