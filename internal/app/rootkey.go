package app

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/coffer-registry/coffer/internal/audit"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/rootkey"
	"github.com/coffer-registry/coffer/internal/store"
)

// RootKeyStatus is what the operator sees of the root of trust.
type RootKeyStatus struct {
	Root string `json:"root"`
	// Since is when this root came to wrap the keys.
	Since time.Time `json:"since"`
	// Rotated is when the installation key was made anew last; nil if it never was.
	Rotated     *time.Time `json:"rotated,omitempty"`
	Rotations   int64      `json:"rotations"`
	ServiceKeys int        `json:"serviceKeys"`
	// Available says whether the root gave the key when it was asked last, and Problem what it did else.
	Available bool   `json:"available"`
	Problem   string `json:"problem,omitempty"`
}

// RootKeyState tells of the root of trust: through the running server if there is one, and from the data folder otherwise.
func RootKeyState(ctx context.Context, c Config) (s RootKeyStatus, err error) {
	err = askServer(ctx, c.Data, http.MethodGet, "/root-key", nil, &s)
	if !errors.Is(err, errNotRunning) {
		return s, err
	}
	err = withState(ctx, c, func(st *state) error {
		s, err = st.rootKeyStatus(ctx)
		return err
	})
	return s, err
}

func (st *state) rootKeyStatus(ctx context.Context) (RootKeyStatus, error) {
	s, err := st.keys.Status(ctx)
	out := RootKeyStatus{Root: s.Root, Since: s.Since.UTC(), Rotations: s.Rotations, ServiceKeys: s.ServiceKeys, Available: s.Outage.Err == nil}
	if s.Rotations > 0 {
		rotated := s.Rotated.UTC()
		out.Rotated = &rotated
	}
	if s.Outage.Err != nil {
		out.Problem = s.Outage.String()
	}
	return out, err
}

// rotation is what is asked for over the control socket.
type rotation struct {
	To string `json:"to,omitempty"`
}

// rotationLine is a line of the answer: a step that is done, and the last says how it ended.
type rotationLine struct {
	Step  string `json:"step,omitempty"`
	Error string `json:"error,omitempty"`
	Done  bool   `json:"done,omitempty"`
}

// RotateRootKey makes a new installation key and wraps all keys with it, by the root that there is or, if to is not empty,
// by that of this URL: through the running server if there is one, and in the data folder otherwise. say is told of each
// step that is done.
func RotateRootKey(ctx context.Context, c Config, to string, say func(string)) error {
	if to != "" {
		if err := rootkey.Check(to); err != nil {
			return fmt.Errorf("--to %w", err)
		}
		// The server may run in another folder.
		if path, ok := rootkey.FilePath(to); ok {
			path, err := filepath.Abs(path)
			if err != nil {
				return err
			}
			to = "file:" + path
		}
	}
	err := rotateServer(ctx, c.Data, to, say)
	if !errors.Is(err, errNotRunning) {
		return err
	}
	return withAccounts(ctx, c, func(st *state) error {
		key, err := st.trailKey()
		if err != nil {
			return err
		}
		trail, err := audit.New(st.db, key)
		if err != nil {
			return err
		}
		return st.rotateRootKey(ctx, c, trail, to, say)
	})
}

// rotateServer has the running server do it. How long a root takes is the server's to bound.
func rotateServer(ctx context.Context, data, to string, say func(string)) error {
	body, err := json.Marshal(rotation{To: to})
	if err != nil {
		return err
	}
	response, done, err := callControl(ctx, data, http.MethodPost, "/root-key/rotate", strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	defer done()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		var line rotationLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return fmt.Errorf("the server answers what makes no sense: %w", err)
		}
		switch {
		case line.Error != "":
			return errors.New(line.Error)
		case line.Done:
			return nil
		}
		say(line.Step)
	}
	return fmt.Errorf("the server broke off; coffer root-key status tells how it ended: %w", cmp.Or(lines.Err(), io.ErrUnexpectedEOF))
}

func (st *state) rotateRootKey(ctx context.Context, c Config, trail *audit.Log, to string, say func(string)) error {
	r := kms.Rotation{Say: say, Record: func(tx *store.Tx) error { return st.recordRotation(tx, c, trail, to) }}
	if to == "" {
		return st.keys.Rotate(ctx, r)
	}
	named, err := rootkey.Name(to)
	if err != nil {
		return fmt.Errorf("--to %w", err)
	}
	if sameRoot(named, st.keys.Outage().Root) {
		return errSameRoot
	}
	if r.To, err = openOrMakeRoot(to); err != nil {
		return err
	}
	if err := st.keys.Rotate(ctx, r); err != nil {
		return err
	}
	say("from now on start with --root-key " + to)
	return nil
}

// errSameRoot means that the keys are to be moved to the root that they have.
var errSameRoot = errors.New("--to: the keys are wrapped by this root already; to make a new key of it, leave --to out")

// sameRoot compares names, and files by what they are.
func sameRoot(a, b string) bool {
	fileA, okA := rootkey.FilePath(a)
	fileB, okB := rootkey.FilePath(b)
	if okA && okB {
		infoA, errA := os.Stat(fileA)
		infoB, errB := os.Stat(fileB)
		return errA == nil && errB == nil && os.SameFile(infoA, infoB)
	}
	return a == b
}

// recordRotation leaves a record in the trail of the management account, as that of an account that is made.
func (st *state) recordRotation(tx *store.Tx, c Config, trail *audit.Log, to string) error {
	info, err := st.organization.Info(tx)
	if err != nil {
		return err
	}
	parameters := []byte("{}")
	if to != "" {
		named, err := rootkey.Name(to)
		if err != nil {
			return err
		}
		parameters = append(audit.AppendString([]byte(`{"to":`), named), '}')
	}
	return trail.Append(tx, &audit.Record{
		Identity: audit.Identity{Type: "Root", PrincipalID: info.Management, ARN: iam.RootOf(info.Management), AccountID: info.Management},
		Time:     time.Now(), Source: "kms.amazonaws.com", Name: "RotateRootKey", Region: c.Region[0], SourceIP: "127.0.0.1",
		UserAgent: "coffer root-key rotate", Parameters: parameters, RequestID: audit.NewUUID(), Account: info.Management,
	})
}

// openOrMakeRoot opens the root of a URL, or makes it if it is a file that isn't there.
func openOrMakeRoot(url string) (kms.Root, error) {
	if path, ok := rootkey.FilePath(url); ok {
		if _, err := os.Stat(path); err != nil {
			return rootkey.CreateFile(path)
		}
	}
	return rootkey.Open(url, rootkey.Options{})
}

// serveRootKey are the handlers of the control socket.
func (s *Server) serveRootKey(mux *http.ServeMux) {
	mux.HandleFunc("GET /root-key", func(w http.ResponseWriter, r *http.Request) {
		status, err := s.state.rootKeyStatus(r.Context())
		reply(w, status, err)
	})
	mux.HandleFunc("POST /root-key/rotate", func(w http.ResponseWriter, r *http.Request) {
		var asked rotation
		if err := json.NewDecoder(io.LimitReader(r.Body, maxAsked)).Decode(&asked); err != nil {
			reply(w, nil, err)
			return
		}
		tell := func(line rotationLine) {
			// Who went away doesn't stop a rotation.
			_ = json.NewEncoder(w).Encode(line)
			_ = http.NewResponseController(w).Flush()
		}
		// It goes on when whoever asked goes away, and ends with the server.
		err := s.state.rotateRootKey(s.ending, s.config, s.trail, asked.To, func(step string) {
			s.log.Info("rotate the root key", "step", step)
			tell(rotationLine{Step: step})
		})
		if err != nil {
			s.log.Error("rotate the root key", "error", err)
			tell(rotationLine{Error: err.Error()})
			return
		}
		tell(rotationLine{Done: true})
	})
}

// watchRoot asks the root of trust again and again, and logs when it goes away and comes back.
func (s *Server) watchRoot(ctx context.Context) {
	w := s.watch
	w.Grace = s.config.RootKeyGrace
	w.Report = func(o kms.Outage) {
		if o.Err == nil {
			s.log.Info("the root of trust is back", "root", o.Root)
			return
		}
		s.log.Error("the root of trust is away", "root", o.Root, "error", o.Err, "closes", o.Closes.UTC().Format(time.RFC3339))
	}
	s.state.keys.Watch(ctx, w)
}

// registerRoot adds the metrics of the root of trust.
func (s *Server) registerRoot(metrics *prometheus.Registry) {
	gauge := func(name, help string, value func(kms.Outage) float64) {
		metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
			func() float64 { return value(s.state.keys.Outage()) }))
	}
	gauge("coffer_root_key_available", "1 if the root of trust gave the installation key when it was asked last, else 0.", func(o kms.Outage) float64 {
		return flag(o.Err == nil)
	})
	gauge("coffer_root_key_unavailable_since_seconds", "When the root of trust went away, in seconds since the Unix epoch; 0 if it is there.", func(o kms.Outage) float64 {
		if o.Err == nil {
			return 0
		}
		return float64(o.Since.UnixMilli()) / 1000
	})
	gauge("coffer_root_key_closed", "1 if data keys don't open because the root of trust is away or refuses, else 0.", func(o kms.Outage) float64 {
		return flag(o.Closed)
	})
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
