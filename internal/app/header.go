package app

import (
	"net"
	"net/http"
	"strings"
)

// Values of headers that are the same in every answer.
var (
	nosniff = []string{"nosniff"}
	// noStore keeps the answers of the AWS services, in some of which there are secrets, out of caches.
	noStore = []string{"no-store"}
	// strict keeps browsers from speaking to this host without TLS for a year.
	strict = []string{"max-age=31536000"}
)

// setHeaders sets what every answer has, whatever it answers.
func setHeaders(h http.Header, r *http.Request) {
	h["X-Content-Type-Options"] = nosniff
	if r.TLS != nil && !isLocalhost(r.Host) {
		h["Strict-Transport-Security"] = strict
	}
}

// isLocalhost reports whether a host is this machine by its name. Browsers remember for a host, not for a port, that it is to
// be spoken to over TLS, so that all other programs there would be out of their reach.
func isLocalhost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// sniffless sets what every answer of a port beside the public one has.
func sniffless(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Content-Type-Options"] = nosniff
		h.ServeHTTP(w, r)
	})
}
