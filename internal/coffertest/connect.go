package coffertest

import (
	"net/http"
	"testing"
	"time"
)

// Connect returns a client of a server that runs elsewhere and takes the root access key of tests.
func Connect(t testing.TB, url string) *Server {
	s := &Server{URL: url, Credentials: rootCredentials, t: t, now: time.Now, Client: &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	t.Cleanup(s.Client.CloseIdleConnections)
	return s
}
