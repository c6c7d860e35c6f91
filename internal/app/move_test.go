package app_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
)

// An installation that replicas share moves into a folder while they run, up to when they stop, and back.
func TestMoveShared(t *testing.T) {
	s := newShared(t)
	source := coffertest.Start(t, coffertest.Configure(func(c *app.Config) { c.Database, c.Blobs, c.RootKey = s.database, s.blobs, s.rootKey }))
	source.CreateRepository("app")
	layer := []byte(strings.Repeat("layer ", 1<<20))
	pushed, _ := source.PushImage(source.Token(), "app", "v1", layer)
	config := source.Config
	folder := t.TempDir() + "/data"

	// move waits until the server has stopped, which it does once it is told to.
	move := func(c app.Config, o app.MoveOptions, stop func()) app.Config {
		t.Helper()
		o.Tell = func(app.Transferred) {}
		told := make(chan struct{}, 1)
		o.Say = func(text string) {
			t.Log(text)
			if strings.HasPrefix(text, "stop all servers") {
				told <- struct{}{}
			}
		}
		type result struct {
			to  app.Config
			err error
		}
		done := make(chan result, 1)
		go func() {
			to, err := app.Move(context.Background(), c, o)
			done <- result{to, err}
		}()
		select {
		case <-told:
			stop()
		case r := <-done:
			if r.err == nil {
				t.Fatal("it did not wait for the server")
			}
			t.Fatal(r.err)
		}
		r := <-done
		if r.err != nil {
			t.Fatal(r.err)
		}
		return r.to
	}
	to := move(config, app.MoveOptions{Data: folder, Full: true}, source.Stop)
	check := func(c app.Config) *coffertest.Server {
		t.Helper()
		if _, err := app.Check(t.Context(), c, func(fault string) { t.Error(fault) }, func(app.Checked) {}); err != nil {
			t.Fatal(err)
		}
		server := coffertest.Start(t, coffertest.Configure(func(config *app.Config) { *config = c }))
		if r := server.V2(server.Token(), http.MethodGet, "/v2/app/blobs/"+coffertest.Digest(layer), nil); !bytes.Equal(r.Body, layer) {
			t.Errorf("status %d, %d bytes", r.Status, len(r.Body))
		}
		if r := server.V2(server.Token(), http.MethodHead, "/v2/app/manifests/v1", nil); r.Header.Get("Docker-Content-Digest") != pushed {
			t.Errorf("status %d", r.Status)
		}
		return server
	}
	moved := check(to)
	if _, err := app.Start(t.Context(), config, app.Options{}); err == nil || !strings.Contains(err.Error(), "was moved to "+folder) {
		t.Errorf("the place that was moved from starts: %v", err)
	}
	back := move(to, app.MoveOptions{Database: s.database, Blobs: s.blobs}, moved.Stop)
	check(back)
}
