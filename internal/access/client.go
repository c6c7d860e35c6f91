package access

import (
	"crypto/tls"

	"github.com/coffer-registry/coffer/internal/x500"
)

// clientSubject is the subject of the certificate that the client proved to have and an authority of clients vouches for, as
// RFC 2253 writes it; empty if there is none.
func clientSubject(state *tls.ConnectionState) string {
	if state == nil || len(state.VerifiedChains) == 0 {
		return ""
	}
	text, err := x500.Text(state.VerifiedChains[0][0].RawSubject)
	if err != nil { // it was parsed by then, so that this can't be
		return ""
	}
	return text
}
