package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/app"
)

// TestHealthTellsWhatIsWrong asks a server that can't serve, which the scripts have no way to make.
func TestHealthTellsWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		status     int
		body, want string
	}{
		"not ready": {http.StatusServiceUnavailable, "database: no answer\n", " can't serve requests (status 503): database: no answer"},
		"not ours":  {http.StatusNotFound, "", " can't serve requests (status 404): "},
		"endless":   {http.StatusInternalServerError, strings.Repeat("x", 1<<20), "(status 500): " + strings.Repeat("x", maxHealthText)},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/readyz" {
					t.Errorf("it asks for %s", r.URL.Path)
				}
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			}))
			defer server.Close()
			h := healthCommand{configured{app.Config{AdminListen: strings.TrimPrefix(server.URL, "http://")}}}
			if err := h.Run(console{io.Discard, io.Discard}); err == nil || !strings.HasSuffix(err.Error(), c.want) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestReachable(t *testing.T) {
	for listen, want := range map[string]string{
		"0.0.0.0:5001": "127.0.0.1:5001", ":5001": "127.0.0.1:5001", "[::]:5001": "[::1]:5001", "[0:0::0]:1": "[::1]:1",
		"127.0.0.2:5001": "127.0.0.2:5001", "10.0.0.1:80": "10.0.0.1:80", "node.example.com:5001": "node.example.com:5001",
	} {
		if got, err := reachable(listen); err != nil || got != want {
			t.Errorf("%s is asked at %s, error %v", listen, got, err)
		}
	}
}
