package ociserver

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func FuzzParseHost(f *testing.F) {
	for _, host := range []string{"123456789012.dkr.ecr.us-east-1.example.com", "123456789012.dkr-ecr-fips.eu-west-1.example.com:5000", "123456789012.dkr.ecr.us-east-1", "123456789012.dkr.ecr..com",
		"12345678901x.dkr.ecr.us-east-1.example.com", "localhost:5000", "[::1]:5000", "", "."} {
		f.Add(host)
	}
	form := regexp.MustCompile(`\A([0-9]{12})\.dkr[.-]ecr(?:-fips)?\.([^.]+)\.`)
	f.Fuzz(func(t *testing.T, host string) {
		account, region, ok := ParseHost(host)
		want := form.FindStringSubmatch(host)
		if ok != (want != nil) || ok && (account != want[1] || region != want[2]) {
			t.Errorf("%q: account %q, region %q, %v", host, account, region, ok)
		}
	})
}

// FuzzNoneMatch gives a request entity tags that may be anything: it has what it asks for exactly if it says so.
func FuzzNoneMatch(f *testing.F) {
	const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for _, known := range []string{"", "*", `"` + digest + `"`, ` W/"x" ,	W/"` + digest + `"`, digest, `"` + digest, ",,,", "W/"} {
		f.Add(known)
	}
	f.Fuzz(func(t *testing.T, known string) {
		r := &http.Request{Header: http.Header{"If-None-Match": {known}}}
		got := noneMatch(r, digest)
		if got && !strings.Contains(known, `"`+digest+`"`) && !strings.Contains(known, "*") {
			t.Errorf("%q is taken for it", known)
		}
		r.Header.Set("If-None-Match", known+`,"`+digest+`"`)
		if !noneMatch(r, digest) {
			t.Errorf("%q is not taken for it", r.Header.Get("If-None-Match"))
		}
		if noneMatch(r, "") {
			t.Error("nothing is taken for it")
		}
	})
}
