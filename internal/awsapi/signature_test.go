package awsapi

import (
	"testing"

	"github.com/coffer-registry/coffer/internal/sigv4"
)

// TestSignatureProblems gives each refusal of a signature the code and status that AWS has for it.
func TestSignatureProblems(t *testing.T) {
	const invalid, mismatch = "InvalidSignatureException", "SignatureDoesNotMatch"
	for _, tt := range []struct {
		kind        sigv4.Kind
		json, query string
		queryStatus int
	}{
		{sigv4.Missing, "MissingAuthenticationTokenException", "MissingAuthenticationToken", 403},
		{sigv4.Incomplete, "IncompleteSignatureException", "IncompleteSignature", 400},
		{sigv4.Unsupported, "IncompleteSignatureException", "IncompleteSignature", 400},
		{sigv4.Ambiguous, "IncompleteSignatureException", "IncompleteSignature", 400},
		{sigv4.Expired, invalid, mismatch, 403},
		{sigv4.NotYetCurrent, invalid, mismatch, 403},
		{sigv4.ScopeRegion, invalid, mismatch, 403},
		{sigv4.ScopeService, invalid, mismatch, 403},
		{sigv4.ScopeTerminator, invalid, mismatch, 403},
		{sigv4.ScopeDate, invalid, mismatch, 403},
		{sigv4.Unsigned, invalid, mismatch, 403},
		{sigv4.Payload, invalid, mismatch, 403},
		{sigv4.Mismatch, invalid, mismatch, 403},
	} {
		t.Run(tt.kind.String(), func(t *testing.T) {
			refusal := &sigv4.Error{Kind: tt.kind, Message: "Missing Authentication Token"}
			if p := (&exchange{}).signatureProblem(refusal); p.Code != tt.json || p.Status != 400 || p.Message != refusal.Message {
				t.Errorf("awsJson: %d %s: %s", p.Status, p.Code, p.Message)
			}
			message := refusal.Message
			if tt.kind == sigv4.Missing {
				message = "Request is missing Authentication Token"
			}
			if p := (&exchange{query: true}).signatureProblem(refusal); p.Code != tt.query || p.Status != tt.queryStatus || p.Message != message {
				t.Errorf("query: %d %s: %s", p.Status, p.Code, p.Message)
			}
		})
	}
}
