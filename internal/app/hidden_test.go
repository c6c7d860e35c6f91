package app_test

import (
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/awsapi"
)

// What is secret in inputs, as the models have it, and one-time codes. Both values are such as the models allow.
const (
	hush     = "Hush-hush-hush-1"
	hushCode = "918273"
)

// secrets puts a secret into each member of an input that is one, and says how many there are.
func secrets(s *awsapi.Shape, in map[string]any) (n int) {
	for _, m := range s.Members {
		switch {
		case strings.HasSuffix(m.Name, "Code") || strings.HasPrefix(m.Name, "AuthenticationCode"):
			in[m.Name] = hushCode
		case m.Shape.Kind == awsapi.String && m.Shape.Sensitive:
			in[m.Name] = hush
		default:
			continue
		}
		n++
	}
	return n
}

// Nothing secret that clients send gets into the trail, whichever operation they call, and whether or not they may.
func TestSecretsOfInputsAreNotInTheTrail(t *testing.T) {
	h := build(t)
	found := 0
	for _, open := range []bool{true, false} {
		if !open {
			h.gate.close()
		}
		for _, s := range h.Services {
			for _, name := range s.Served() {
				shape := s.Model.Operations[name].Input
				if shape == nil {
					continue
				}
				in := h.input(s, name, nil)
				if n := secrets(shape, in); n > 0 {
					found += n
					h.call(s, name, in, !s.Model.Operations[name].Unsigned)
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("%d secrets in all inputs", found)
	}
	for _, r := range h.Trail() {
		if strings.Contains(r.Text, hush) || strings.Contains(r.Text, hushCode) {
			t.Errorf("a secret is in the trail: %s", r.Text)
		}
	}
}
