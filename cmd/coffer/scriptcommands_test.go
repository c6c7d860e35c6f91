package main

import (
	"bytes"
	"cmp"
	"context"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/store"
)

// scriptCommands are the commands that scripts have beside those of testscript.
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"await":          await,
	"hostport":       hostport,
	"push":           push,
	"damage":         damage,
	"alter-manifest": alterManifest,
}

// contextKey is the type of keys of a script's values.
type contextKey int

// inTest is the key of the test that a script runs in.
const inTest contextKey = iota

func arguments(ts *testscript.TestScript, neg bool, args []string, least, most int) {
	if neg || len(args) < least || len(args) > most {
		ts.Fatalf("this command takes %d to %d arguments and no !", least, most)
	}
}

// startTimeout bounds how long a server of a script takes to answer.
const startTimeout = 30 * time.Second

// await [folder] waits until the server of a data folder answers, and sets $URL to where.
func await(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 0, 1)
	data := ts.Getenv("COFFER_DATA")
	if len(args) > 0 {
		data = args[0]
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for pause := time.NewTicker(5 * time.Millisecond); ; {
		if endpoint, err := app.ReadEndpoint(ts.MkAbs(data)); err == nil {
			conn, err := net.Dial("tcp", strings.TrimPrefix(endpoint.URL, "http://"))
			if err == nil {
				ts.Check(conn.Close())
				ts.Setenv("URL", endpoint.URL)
				return
			}
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			ts.Fatalf("no server answers for the data folder %s", data)
		}
	}
}

// hostport sets $HOSTPORT to where the server that was awaited last listens.
func hostport(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 0, 0)
	ts.Setenv("HOSTPORT", strings.TrimPrefix(ts.Getenv("URL"), "http://"))
}

// push repository tag text pushes an image with one layer of 200 KiB that repeats a text, and sets $IMAGE and $LAYER to
// the digests. It makes the repository if it is missing. With !, the image must be refused.
func push(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, false, args, 3, 3)
	s := coffertest.At(ts.Value(inTest).(testing.TB), ts.Getenv("URL"))
	if r := s.ECR("CreateRepository", map[string]any{"repositoryName": args[0]}); r.Status != http.StatusOK && r.Code() != "RepositoryAlreadyExistsException" {
		ts.Fatalf("create %s: %s", args[0], r.Body)
	}
	token, config, layer := s.Token(), []byte("{}"), bytes.Repeat([]byte(args[2]), 200<<10/len(args[2]))
	s.PushBlob(token, args[0], config)
	s.PushBlob(token, args[0], layer)
	manifest := coffertest.Manifest(config, nil, layer)
	r := s.V2(token, http.MethodPut, "/v2/"+args[0]+"/manifests/"+args[1], manifest, "Content-Type", coffertest.ManifestType)
	if refused := r.Status != http.StatusCreated; refused != neg {
		ts.Fatalf("push %s:%s: status %d: %s", args[0], args[1], r.Status, r.Body)
	}
	ts.Setenv("IMAGE", coffertest.Digest(manifest))
	ts.Setenv("LAYER", coffertest.Digest(layer))
}

// damage what does to the largest objects of the data folder, which are layers, what neither a disk nor an intruder
// should: flip a bit of one, remove one, shorten one by a byte, or swap two.
func damage(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, 1)
	objects := largest(ts)
	switch args[0] {
	case "flip":
		b := readFile(ts, objects[0])
		b[len(b)/2] ^= 0x10
		ts.Check(os.WriteFile(objects[0], b, 0o600))
	case "shorten":
		b := readFile(ts, objects[0])
		ts.Check(os.WriteFile(objects[0], b[:len(b)-1], 0o600))
	case "remove":
		ts.Check(os.Remove(objects[0]))
	case "swap":
		a, b := readFile(ts, objects[0]), readFile(ts, objects[1])
		ts.Check(os.WriteFile(objects[0], b, 0o600))
		ts.Check(os.WriteFile(objects[1], a, 0o600))
	default:
		ts.Fatalf("unknown damage %s", args[0])
	}
}

func readFile(ts *testscript.TestScript, path string) []byte {
	b, err := os.ReadFile(path)
	ts.Check(err)
	return b
}

// largest lists the objects of the data folder, the largest first.
func largest(ts *testscript.TestScript) []string {
	type object struct {
		path string
		size int64
	}
	var objects []object
	blobs := filepath.Join(ts.MkAbs(ts.Getenv("COFFER_DATA")), "blobs")
	ts.Check(filepath.WalkDir(blobs, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			objects = append(objects, object{path, info.Size()})
		}
		return err
	}))
	slices.SortFunc(objects, func(a, b object) int { return cmp.Compare(b.size, a.size) })
	paths := make([]string, len(objects))
	for i, o := range objects {
		paths[i] = o.path
	}
	return paths
}

// alter-manifest flip|remove|move digest changes what the database holds as the manifest of an image: it flips a bit,
// removes the row, or puts it where that of another image was.
func alterManifest(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, 2)
	digest := args[1]
	db, err := store.Open(context.Background(), ts.MkAbs(ts.Getenv("COFFER_DATA")), store.Options{})
	ts.Check(err)
	err = db.Update(context.Background(), func(tx *store.Tx) error {
		switch args[0] {
		case "remove":
			_, err := tx.Exec(`DELETE FROM manifest WHERE digest = $1`, digest)
			return err
		case "move":
			_, err := tx.Exec(`UPDATE manifest SET body = (SELECT body FROM manifest WHERE digest = $1) WHERE digest <> $1`, digest)
			return err
		}
		var body []byte
		if err := tx.QueryRow(`SELECT body FROM manifest WHERE digest = $1`, digest).Scan(&body); err != nil {
			return err
		}
		body = bytes.Clone(body)
		body[len(body)/2] ^= 1
		_, err := tx.Exec(`UPDATE manifest SET body = $1 WHERE digest = $2`, body, digest)
		return err
	})
	ts.Check(err)
	ts.Check(db.Close())
}
