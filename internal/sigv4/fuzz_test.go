package sigv4

import (
	"crypto/sha256"
	"net/http"
	"testing"
	"time"
)

// FuzzParse changes requests that were signed. What is accepted must mean what one of them meant.
func FuzzParse(f *testing.F) {
	sts := Scope{Region: "us-east-1", Service: "sts"}
	meanings := map[string]bool{}
	for _, text := range []string{
		signed(f, "POST", "http://localhost:5000/", []byte(`{"a":1}`), ecr, "Content-Type", "application/x-amz-json-1.1", "X-Amz-Target", "T.Op"),
		signed(f, "GET", "http://h/tags/arn%3Aaws%2Fp1?a=b&c=%20d&a=a", nil, ecr, "X-Amz-Security-Token", "token"),
		signed(f, "PUT", "http://h/bucket/a//b/../c%2Fd", []byte("x"), s3, "X-Amz-Content-Sha256", "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"),
		presign(f, "http://h/?Action=GetCallerIdentity&Version=2011-06-15", sts, time.Minute, "token"),
		presign(f, "http://h/key", s3, time.Minute, ""),
	} {
		r, body := mustRead(f, text)
		if err := verify(r, body, nil); err != nil {
			f.Fatal(err)
		}
		meanings[meaning(f, r, body)] = true
		f.Add(text)
	}
	f.Add(withAuthorization(authorization(scopeText, "host;x-amz-date", anySig)))
	f.Add(presigned())
	f.Fuzz(func(t *testing.T, text string) {
		r, body, err := read(text)
		if err != nil {
			return
		}
		s, err := Parse(r)
		if err != nil {
			if e, ok := err.(*Error); !ok || e.Message == "" {
				t.Errorf("error %#v", err)
			}
			return
		}
		if s.AccessKeyID != exampleID {
			return // It would have another secret.
		}
		err = verify(r, body, func(c *Check) {
			if s.Presigned && isS3(s.Service) {
				// Whatever the body is, it is not signed; so it can't be held against what was meant.
				body, c.BodySHA256 = nil, sha256.Sum256(nil)
			}
		})
		if err == nil && !meanings[meaning(t, r, body)] {
			t.Errorf("%q was accepted; it means\n%s", text, meaning(t, r, body))
		}
	})
}

// TestMutants is a short fuzzing of its own, of a request that has everything.
func TestMutants(t *testing.T) {
	text := signed(t, "POST", "http://localhost:5000/a/b?x=1&y=%20", []byte(`{"a":1}`), ecr, "Content-Type", "application/x-amz-json-1.1",
		"X-Amz-Target", "T.Op", "X-Amz-Security-Token", "token")
	r, body := mustRead(t, text)
	want := meaning(t, r, body)
	for mutant := range mutants(text) {
		r, body, err := read(mutant)
		if err != nil {
			continue
		}
		if s, err := Parse(r); err != nil || s.AccessKeyID != exampleID || verify(r, body, nil) != nil {
			continue
		}
		if got := meaning(t, r, body); got != want {
			t.Errorf("%q was accepted; it means\n%s\nand not\n%s", mutant, got, want)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	text := signed(b, "POST", "http://localhost:5000/", []byte(`{"repositoryName":"team/app"}`), ecr, "Content-Type", "application/x-amz-json-1.1",
		"X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.BatchGetImage")
	for name, keys := range map[string]*KeyCache{"derived key cached": NewKeyCache(), "derived key made": nil} {
		b.Run(name, func(b *testing.B) {
			r, body := mustRead(b, text)
			check := Check{Secret: exampleSecret, Now: signedAt, Service: "ecr", Regions: []string{"us-east-1"}, BodySHA256: sha256.Sum256(body), Keys: keys}
			for b.Loop() {
				s, err := Parse(r)
				if err == nil {
					err = s.Verify(r, check)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("anonymous", func(b *testing.B) {
		r := &http.Request{Method: "POST", RequestURI: "/", Header: http.Header{}}
		for b.Loop() {
			if _, err := Parse(r); err == nil {
				b.Fatal("parsed")
			}
		}
	})
}
