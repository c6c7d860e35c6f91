package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/pgtest"
)

// scriptCommands are the commands that scripts have beside those of testscript.
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"await":          await,
	"hostport":       hostport,
	"freeport":       freePort,
	"push":           push,
	"damage":         damage,
	"alter-manifest": alterManifest,
	"sql":            sql,
	"orphan":         orphan,
	"lines":          lines,
	"database":       database,
	"says":           says,
	"halfway":        halfway,
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

// patience bounds each wait for a process.
const patience = 30 * time.Second

// wait waits until something is so, and fails with a text if it never is.
func wait(ts *testscript.TestScript, failure string, done func() bool) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for !done() {
		select {
		case <-pause.C:
		case <-ctx.Done():
			ts.Fatalf("%s", failure)
		}
	}
}

// await [folder] waits until the server of a data folder answers, and sets $URL to where.
func await(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 0, 1)
	data := ts.Getenv("COFFER_DATA")
	if len(args) > 0 {
		data = args[0]
	}
	wait(ts, "no server answers for the data folder "+data, func() bool {
		endpoint, err := app.ReadEndpoint(ts.MkAbs(data))
		if err != nil {
			return false
		}
		_, address, _ := strings.Cut(endpoint.URL, "://")
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		ts.Setenv("URL", endpoint.URL)
		return conn.Close() == nil
	})
}

// hostport sets $HOSTPORT to where the server that was awaited last listens.
func hostport(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 0, 0)
	ts.Setenv("HOSTPORT", strings.TrimPrefix(ts.Getenv("URL"), "http://"))
}

// freeport name sets $name to a port of loopback that is free.
func freePort(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	ts.Check(errors.Join(err, l.Close()))
	ts.Setenv(args[0], port)
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
// should: flip a bit of one or of each, remove one, shorten one by a byte, or swap two.
func damage(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, 1)
	objects := largest(ts)
	switch args[0] {
	case "flip":
		flip(ts, objects[0])
	case "flip-all":
		for _, path := range objects {
			flip(ts, path)
		}
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

func flip(ts *testscript.TestScript, path string) {
	b := readFile(ts, path)
	b[len(b)/2] ^= 0x10
	ts.Check(os.WriteFile(path, b, 0o600))
}

func readFile(ts *testscript.TestScript, path string) []byte {
	b, err := os.ReadFile(path)
	ts.Check(err)
	return b
}

// largest lists the objects of the data folder that are layers of push, the largest first.
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
		if err == nil && info.Size() > 100<<10 {
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
	update(ts, func(tx *store.Tx) error {
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
		body[len(body)/2] ^= 1
		_, err := tx.Exec(`UPDATE manifest SET body = $1 WHERE digest = $2`, body, digest)
		return err
	})
}

// sql statement changes the database of the data folder, whose server isn't running. It must change some row.
func sql(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, 1)
	update(ts, func(tx *store.Tx) error {
		n, err := tx.Exec(args[0])
		if err == nil && n == 0 {
			err = errors.New("it changes nothing")
		}
		return err
	})
}

func update(ts *testscript.TestScript, fn func(*store.Tx) error) {
	db, err := store.Open(context.Background(), ts.MkAbs(ts.Getenv("COFFER_DATA")), store.Options{})
	ts.Check(err)
	ts.Check(db.Update(context.Background(), fn))
	ts.Check(db.Close())
}

// orphan puts an object into the data folder that no row refers to.
func orphan(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 0, 0)
	path := filepath.Join(ts.MkAbs(ts.Getenv("COFFER_DATA")), "blobs", blob.NewKey(time.Now()))
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o700))
	ts.Check(os.WriteFile(path, []byte("nobody's"), 0o600))
}

// lines file number waits until a file has so many lines.
func lines(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, 2)
	number, err := strconv.Atoi(args[1])
	ts.Check(err)
	wait(ts, args[0]+" has too few lines", func() bool {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && bytes.Count(text, []byte("\n")) >= number
	})
}

// database name makes an empty PostgreSQL database, and sets a variable to its URL.
func database(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, 1)
	t := ts.Value(inTest).(testing.TB)
	ts.Setenv(args[0], pgtest.Start(t).Database(t))
}

// says file text waits until a file has a text.
func says(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, 2)
	wait(ts, args[0]+" never says "+args[1], func() bool {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && bytes.Contains(text, []byte(args[1]))
	})
}

// halfway leaves the database of $COFFER_DATABASE as a move does that was killed: some rows are there, and it is marked.
func halfway(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 0, 0)
	db, err := store.OpenURL(context.Background(), ts.Getenv("COFFER_DATABASE"), store.Options{})
	ts.Check(err)
	ts.Check(db.Update(context.Background(), func(tx *store.Tx) error {
		var id []byte
		if err := tx.QueryRow(`SELECT value FROM setting WHERE name = 'installation'`).Scan(&id); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM image_layer`); err != nil {
			return err
		}
		return store.PutMark(tx, store.MarkIncomplete, &store.Mark{Installation: string(id), What: "coffer move"})
	}))
	ts.Check(db.Close())
}
