package app

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// A failed handshake is told in words, and not so often that strangers fill the log.
func TestServerLog(t *testing.T) {
	var out bytes.Buffer
	l := newServerLog(slog.New(slog.NewTextHandler(&out, nil)))
	l.Printf("http: TLS handshake error from 192.0.2.1:4711: EOF")
	l.Printf("http: superfluous response.WriteHeader call")
	if out.Len() > 0 {
		t.Errorf("told %s", &out)
	}
	for range 100 {
		l.Printf("http: TLS handshake error from 192.0.2.1:4711: tls: no ECDHE curve supported by both client and server")
	}
	text := out.String()
	if strings.Count(text, "\n") > 3 || !strings.Contains(text, `msg="TLS handshake failed" client=192.0.2.1:4711 error="tls: no ECDHE curve supported by both client and server"`) {
		t.Errorf("told %s", text)
	}
}
