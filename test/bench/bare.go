package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// bare is the least that a registry on net/http can do: it hashes, writes files without making them durable, and keeps
// manifests in memory. It knows no users, encrypts nothing, records nothing and forgets its manifests when it ends. What
// it costs is what net/http, the network and the file system cost on this machine, which no registry in Go gets below.
type bare struct{ binary string }

func (bare) name() string { return "bare net/http" }

func (s bare) command(dir, addr string) (*exec.Cmd, error) {
	return exec.Command(s.binary, "-serve-bare", addr, "-dir", dir), nil
}

func (bare) login(context.Context, string) (string, error) { return "", nil }

func (bare) createRepository(context.Context, string, string) error { return nil }

func (bare) seedTags(ctx context.Context, h *host, repository string, image []byte, tags []string) error {
	return coffer{}.seedTags(ctx, h, repository, image, tags)
}

// serveBare runs the server until it is killed.
func serveBare(addr, dir string) error {
	s := &bareServer{dir: dir, manifests: map[string][]byte{}}
	return http.ListenAndServe(addr, s)
}

type bareServer struct {
	dir     string
	uploads atomic.Int64

	mu        sync.RWMutex
	manifests map[string][]byte // by path
}

func (s *bareServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	err := errors.ErrUnsupported
	switch {
	case path == "/v2/":
		return
	case strings.Contains(path, "/manifests/"):
		err = s.manifest(w, r)
	case r.Method == http.MethodPost && r.URL.Query().Has("mount"):
		w.WriteHeader(http.StatusCreated)
		return
	case r.Method == http.MethodPost:
		w.Header().Set("Location", path+strconv.FormatInt(s.uploads.Add(1), 10))
		w.WriteHeader(http.StatusAccepted)
		return
	case r.Method == http.MethodPut:
		err = s.put(w, r)
	case r.Method == http.MethodGet && strings.Contains(path, "/blobs/"):
		http.ServeFile(w, r, s.file(path[strings.LastIndexByte(path, '/')+1:]))
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (s *bareServer) file(digest string) string {
	return filepath.Join(s.dir, strings.TrimPrefix(digest, "sha256:"))
}

func (s *bareServer) manifest(w http.ResponseWriter, r *http.Request) error {
	switch r.Method {
	case http.MethodPut:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		digest := digestOf(body)
		s.mu.Lock()
		s.manifests[r.URL.Path] = body
		s.manifests[r.URL.Path[:strings.LastIndexByte(r.URL.Path, '/')+1]+digest] = body
		s.mu.Unlock()
		w.Header().Set("Docker-Content-Digest", digest)
		w.WriteHeader(http.StatusCreated)
		return nil
	case http.MethodGet, http.MethodHead:
		s.mu.RLock()
		body, ok := s.manifests[r.URL.Path]
		s.mu.RUnlock()
		if !ok {
			http.NotFound(w, r)
			return nil
		}
		w.Header().Set("Content-Type", manifestType)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, err := w.Write(body)
		if errors.Is(err, http.ErrBodyNotAllowed) {
			return nil
		}
		return err
	}
	return errors.ErrUnsupported
}

func (s *bareServer) put(w http.ResponseWriter, r *http.Request) (err error) {
	digest := r.URL.Query().Get("digest")
	f, err := os.CreateTemp(s.dir, "upload-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := sha256.New()
	if _, err := io.CopyBuffer(io.MultiWriter(f, sum), struct{ io.Reader }{r.Body}, make([]byte, 256*kib)); err != nil {
		return err
	}
	if computed := "sha256:" + hex.EncodeToString(sum.Sum(nil)); computed != digest {
		return fmt.Errorf("the digest is %s", computed)
	}
	if err := os.Rename(f.Name(), s.file(digest)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}
