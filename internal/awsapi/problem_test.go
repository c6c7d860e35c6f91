package awsapi

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/sigv4"
)

// Whoever is turned away before the gate is told why, and not that the server broke.
func TestProblemOfARefusal(t *testing.T) {
	x := &exchange{server: &Server{Config: Config{Log: slog.New(slog.DiscardHandler)}}, r: &http.Request{}}
	for name, test := range map[string]struct {
		err  error
		code string
	}{
		"invalid parameter": {UnknownOperation("Fly"), "UnknownOperationException"},
		"signature":         {&sigv4.Error{Kind: sigv4.Missing}, "MissingAuthenticationTokenException"},
		"access key":        {identity.ErrUnknownKey, "UnrecognizedClientException"},
	} {
		if got := x.problem(refusal{test.err}); got.Code != test.code || got.Status != http.StatusBadRequest {
			t.Errorf("%s: %s, status %d, expected %s, status 400", name, got.Code, got.Status, test.code)
		}
	}
}
