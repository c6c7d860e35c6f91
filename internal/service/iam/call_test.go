package iam_test

import (
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/coffer-registry/coffer/internal/store/pgtest"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Around(m)) }

type in = map[string]any

// call is a call of an operation of IAM and its answer: for an error its code, a colon and its message, and else a line of
// each XML element that is looked at, such as "UserName: ann, bob" for all elements of that name.
type call struct {
	operation string
	in        in
	want      string
}

// run makes calls in their order.
func run(t *testing.T, s *coffertest.Server, calls []call) {
	t.Helper()
	for i, c := range calls {
		r := s.Query("iam", c.operation, c.in)
		if r.Status != http.StatusOK {
			if got := r.Code() + ": " + r.Message(); got != c.want {
				t.Errorf("call %d, %s: status %d, got %s\nwant %s", i, c.operation, r.Status, got, c.want)
			}
			continue
		}
		for line := range strings.Lines(c.want) {
			element, want, _ := strings.Cut(strings.TrimSpace(line), ":")
			if got := strings.Join(r.Texts(element), ", "); got != strings.TrimSpace(want) {
				t.Errorf("call %d, %s: %s is %q, want %q: %s", i, c.operation, element, got, want, r.Body)
			}
		}
	}
}

// as makes an access key of a user and returns a client that signs with it.
func as(s *coffertest.Server, user string) *coffertest.Server {
	return s.As(s.MustQuery("iam", "CreateAccessKey", in{"UserName": user}).KeyOf())
}

func tags(pairs ...string) []any {
	var all []any
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, map[string]string{"Key": pairs[i], "Value": pairs[i+1]})
	}
	return all
}
