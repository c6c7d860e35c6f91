package awsapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Only so many large forms are read at once, since they are read before it is known whose they are. Small ones never wait.
func TestLargeFormsWait(t *testing.T) {
	s := NewServer(Config{})
	for range largeForms {
		s.forms <- struct{}{}
	}
	read := func(ctx context.Context, size int, known bool) error {
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(strings.Repeat("x", size)))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if !known {
			r.ContentLength = -1
		}
		x := &exchange{server: s, w: httptest.NewRecorder(), r: r, query: true}
		_, err := x.readForm()
		return err
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := read(gone, smallForm, true); err != nil {
		t.Errorf("a small form: %v", err)
	}
	if err := read(gone, smallForm+1, true); !errors.Is(err, context.Canceled) {
		t.Errorf("a large form: %v", err)
	}
	if err := read(gone, 1, false); !errors.Is(err, context.Canceled) {
		t.Errorf("a form of nobody knows what size: %v", err)
	}
	<-s.forms
	for range 2 { // each gives its place back
		if err := read(t.Context(), smallForm+1, true); err != nil {
			t.Errorf("a large form with a place: %v", err)
		}
	}
}
