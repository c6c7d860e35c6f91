package registry

import (
	"errors"
	"net/url"
	"strings"
	"sync"

	"modernc.org/sqlite"
)

// connections are the open connections of databases by their paths, so that a test can make statements fail that the
// store, as in production, runs without asking anybody.
var connections = struct {
	mu sync.Mutex
	of map[string][]sqlite.AuthorizerRegisterer
}{of: map[string][]sqlite.AuthorizerRegisterer{}}

// watchConnections has the driver tell of each connection that is opened from now on.
func watchConnections() {
	sqlite.RegisterConnectionHook(func(c sqlite.ExecQuerierContext, dsn string) error {
		location, err := url.Parse(dsn)
		if err != nil {
			return err
		}
		authorizing, ok := c.(sqlite.AuthorizerRegisterer)
		if !ok {
			return errors.New("the driver knows no authorizer")
		}
		connections.mu.Lock()
		defer connections.mu.Unlock()
		connections.of[location.Path] = append(connections.of[location.Path], authorizing)
		return nil
	})
}

// forgetConnections lets go of those of a database that was closed.
func forgetConnections(path string) {
	connections.mu.Lock()
	defer connections.mu.Unlock()
	delete(connections.of, path)
}

// checkpointer is which of a database's connections copies its log, on a goroutine of its own: the second that is opened.
const checkpointer = 1

// sqlFaults makes one statement or commit of a database fail. A statement is counted when it is compiled, which use has
// every connection do again for all statements; so one that runs many times counts once.
type sqlFaults struct {
	path    string
	commits *int // counts the commits that failed

	mu    sync.Mutex
	nth   int
	calls int
	hit   bool
}

// use is for when nothing uses the database.
func (f *sqlFaults) use(nth int) error {
	f.mu.Lock()
	f.nth, f.calls, f.hit = nth, 0, false
	f.mu.Unlock()
	connections.mu.Lock()
	defer connections.mu.Unlock()
	for i, c := range connections.of[f.path] {
		if i == checkpointer {
			continue
		}
		if err := c.RegisterAuthorizer(f.authorize); err != nil {
			return err
		}
	}
	return nil
}

func (f *sqlFaults) hits() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hit
}

// authorize counts what begins a statement: the rest of what SQLite asks concerns its columns.
func (f *sqlFaults) authorize(action sqlite.AuthorizerActionCode, what, _, _, _ string) sqlite.AuthorizerReturnCode {
	commit := action == sqlite.AuthTransaction && strings.EqualFold(what, "COMMIT")
	switch {
	case commit:
	case action == sqlite.AuthTransaction && strings.EqualFold(what, "BEGIN"):
	case action == sqlite.AuthSelect, action == sqlite.AuthInsert, action == sqlite.AuthUpdate, action == sqlite.AuthDelete:
	default:
		return sqlite.AuthorizerOK
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls++; f.calls != f.nth {
		return sqlite.AuthorizerOK
	}
	if f.hit = true; commit {
		*f.commits++
	}
	return sqlite.AuthorizerDeny
}
