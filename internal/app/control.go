package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/coffer-registry/coffer/internal/audit"
)

// The control socket lies in the data folder. Whoever may open it may read all of the data folder anyway, root key and
// root credentials included; it exists since only one process can have the database open.
const controlName = "control"

// withSocketPath calls fn with a path of the control socket that is short enough for the kernel, which takes 107 bytes.
func withSocketPath(data string, fn func(path string) error) error {
	path := filepath.Join(data, controlName)
	if len(path) <= 100 {
		return fn(path)
	}
	dir, err := os.Open(data)
	if err != nil {
		return err
	}
	defer dir.Close()
	return fn(fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), controlName))
}

// serveControl answers the operator's own commands beside a running server.
func (s *Server) serveControl() error {
	return withSocketPath(s.config.Data, func(path string) error {
		// The data folder is locked, so that whoever left a socket is gone.
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("control socket: %w", err)
		}
		l, err := net.Listen("unix", path)
		if err != nil {
			return fmt.Errorf("control socket: %w", err)
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		if err := os.Chmod(path, 0o600); err != nil {
			return errors.Join(fmt.Errorf("control socket: %w", err), l.Close())
		}
		mux := http.NewServeMux()
		mux.HandleFunc("GET /audit", s.tail)
		s.serveAccounts(mux)
		s.serveRootKey(mux)
		s.serveMove(mux)
		s.serveBackup(mux)
		s.control = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return s.ending }}
		s.running.Go(func() {
			if err := s.control.Serve(l); err != http.ErrServerClosed {
				s.failed <- fmt.Errorf("serve the control socket: %w", err)
			}
		})
		return nil
	})
}

// tail writes the trail as lines of JSON, and goes on with "follow".
func (s *Server) tail(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	lines, err := strconv.Atoi(q.Get("lines"))
	if err != nil || lines < 0 {
		http.Error(w, "lines is not a number", http.StatusBadRequest)
		return
	}
	// What was noted and waits to be written belongs to what is asked for.
	if err := s.trail.Flush(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	// A reader of its own, since a server that stops doesn't wait for this.
	reader, err := s.state.trailReader()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer reader.Close()
	if err := writeTail(r.Context(), w, reader, lines, q.Get("follow") != ""); err != nil && r.Context().Err() == nil {
		s.log.Error("print the trail", "error", err)
		// The client must not take half of the trail for all of it.
		panic(http.ErrAbortHandler)
	}
}

// writeTail writes records as lines.
func writeTail(ctx context.Context, w io.Writer, reader *audit.Reader, lines int, follow bool) error {
	return reader.Tail(ctx, lines, follow, func(records [][]byte) error {
		for _, record := range records {
			if _, err := fmt.Fprintf(w, "%s\n", record); err != nil {
				return err
			}
		}
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		return nil
	})
}

// TailOptions say what of the trail is wanted.
type TailOptions struct {
	// Lines is how many of the newest records come first.
	Lines int
	// Follow goes on with each new record until ctx ends.
	Follow bool
}

// Tail writes records of the trail, each a line of JSON: through the running server if there is one, and from the data
// folder otherwise, which can't be followed.
func Tail(ctx context.Context, c Config, o TailOptions, w io.Writer) error {
	err := tailServer(ctx, c.Data, o, w)
	if !errors.Is(err, errNotRunning) {
		return err
	}
	if o.Follow {
		return fmt.Errorf("no server runs on the data folder %s, so that nothing new comes; leave --follow out", c.Data)
	}
	return withState(ctx, c, func(st *state) error {
		reader, err := st.trailReader()
		if err != nil {
			return err
		}
		defer reader.Close()
		return writeTail(ctx, w, reader, o.Lines, false)
	})
}

var errNotRunning = errors.New("no server runs on the data folder")

// Running reports whether a server runs on the data folder: only then does somebody listen on the control socket.
func Running(data string) bool {
	conn, err := dialControl(context.Background(), data)
	return err == nil && conn.Close() == nil
}

func dialControl(ctx context.Context, data string) (conn net.Conn, err error) {
	err = withSocketPath(data, func(path string) error {
		conn, err = new(net.Dialer).DialContext(ctx, "unix", path)
		return err
	})
	return conn, err
}

// refusedStatus is that of an answer whose text says for the operator why something can't be done.
const refusedStatus = http.StatusUnprocessableEntity

// callControl sends a request to the control socket. The error is errNotRunning if nobody listens there, or the text that
// the server refuses it with. Call done when the answer is read.
func callControl(ctx context.Context, data, method, path string, body io.Reader) (r *http.Response, done func(), err error) {
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialControl(ctx, data)
	}}}
	request, err := http.NewRequestWithContext(ctx, method, "http://control"+path, body)
	if err != nil {
		return nil, nil, err
	}
	r, err = client.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		return nil, nil, fmt.Errorf("%w %s: %w", errNotRunning, data, err)
	}
	done = func() {
		r.Body.Close()
		client.CloseIdleConnections()
	}
	if r.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(r.Body, 4<<10))
		done()
		if r.StatusCode == refusedStatus {
			return nil, nil, errors.New(string(bytes.TrimSpace(text)))
		}
		return nil, nil, fmt.Errorf("the server answers %s: %s", r.Status, bytes.TrimSpace(text))
	}
	return r, done, nil
}

func tailServer(ctx context.Context, data string, o TailOptions, w io.Writer) error {
	path := "/audit?lines=" + strconv.Itoa(o.Lines)
	if o.Follow {
		path += "&follow=1"
	}
	response, done, err := callControl(ctx, data, http.MethodGet, path, nil)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer done()
	out := &output{Writer: w}
	_, err = io.Copy(out, response.Body)
	switch {
	case ctx.Err() != nil:
		return nil
	case out.err != nil:
		return out.err
	case err != nil:
		return fmt.Errorf("the server broke off: %w", err)
	case o.Follow:
		return errors.New("the server has stopped")
	}
	return nil
}

// output tells the errors of writing from those of reading.
type output struct {
	io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	o.err = err
	return n, err
}
