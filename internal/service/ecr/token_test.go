package ecr

import (
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/awsapi"
)

// FuzzParsePage reads tokens that may be anything: only one of the same list is taken, and never one that is beyond the
// bound.
func FuzzParsePage(f *testing.F) {
	const list = "images/123456789012/us-east-1/team/app/"
	for _, token := range []string{"", page{List: list, After: "a"}.token(), page{List: "images", After: "a", Tag: "b"}.token(), "bnVsbA", "e30", "W10", "IiI", strings.Repeat("A", 3000)} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		p, err := parsePage(token, list)
		switch {
		case err != nil && (err != errPageToken || p != page{}):
			t.Errorf("%q: %+v, %v", token, p, err)
		case err == nil && (p.List != list || len(token) > awsapi.MaxPageToken):
			t.Errorf("%q: %+v", token, p)
		case err == nil:
			if again, err := parsePage(p.token(), list); err != nil || again != p {
				t.Errorf("%q: %+v becomes %+v, %v", token, p, again, err)
			}
		}
	})
}
