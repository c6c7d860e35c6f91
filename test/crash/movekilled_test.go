package crash

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/blob/s3test"
	"github.com/coffer-registry/coffer/internal/store/pgtest"
	"github.com/coffer-registry/coffer/test/client"
	"github.com/coffer-registry/coffer/test/process"
)

// place is where an installation is or may move to.
type place struct {
	name, data string
	// more are the flags of its server beside the data folder, and to those of a move to it.
	more, to []string
}

func (p place) at() []string { return append([]string{"--data", p.data}, p.more...) }

// moving is an installation that moves from place to place.
type moving struct {
	t      *testing.T
	r      *rand.Rand
	images []movedImage
}

type movedImage struct {
	*client.Image
	repository, tag string
}

// TestMoveKilled kills coffer move again and again, from a data folder to PostgreSQL and S3 and back. Whatever is left each time, no two
// places can be served, and the next attempt goes on; in the end everything is there.
func TestMoveKilled(t *testing.T) {
	s3test.Environment(t)
	gateway := s3test.Start(t)
	dir := t.TempDir()
	key := filepath.Join(dir, "one", "root-key")
	database, bucket := pgtest.Start(t).Database(t), gateway.URL(gateway.Bucket(t))
	one := place{name: "the folder", data: filepath.Join(dir, "one")}
	shared := place{"PostgreSQL and S3", filepath.Join(dir, "shared"), []string{"--database", database, "--blobs", bucket, "--root-key", "file:" + key},
		[]string{"--to-data", filepath.Join(dir, "shared"), "--to-database", database, "--to-blobs", bucket}}
	// The root key of the shared place is no file of a data folder, so it is not copied.
	back := place{"another folder", filepath.Join(dir, "back"), []string{"--root-key", "file:" + key}, []string{"--to-data", filepath.Join(dir, "back")}}
	m := &moving{t: t, r: rand.New(rand.NewPCG(process.Seed(t), 0))}
	m.fill(one)
	one.more = []string{"--root-key", "file:" + key}
	m.move(one, shared)
	m.verify(shared)
	m.move(shared, back)
	m.verify(back)
}

// serve runs a server in a place while fn asks it.
func (m *moving) serve(at place, fn func(*client.Client)) {
	m.t.Helper()
	s := program.Start(m.t, at.data, at.more...)
	fn(loggedIn(m.t, s))
	if status := s.Stop(m.t); status != 0 {
		m.t.Errorf("the server in %s ended with %d:\n%s", at.name, status, s.Tail())
	}
}

// fill makes an installation.
func (m *moving) fill(at place) {
	const repositories, each = 4, 8
	layers := client.CommonLayers(m.r, 20)
	m.serve(at, func(c *client.Client) {
		for n := range repositories {
			name := fmt.Sprintf("team/app%d", n)
			client.Must(m.t, http.StatusOK)(c.ECR(m.t.Context(), "CreateRepository", map[string]any{"repositoryName": name}, nil))
			for i := range each {
				image := client.NewImage(fmt.Sprintf("%d of %d", i, n), []client.Blob{layers[m.r.IntN(len(layers))], client.RandomBlob(m.r, 200_000)})
				for _, b := range image.Blobs {
					client.Must(m.t, http.StatusCreated)(c.V2(m.t.Context(), http.MethodPost, name+"/blobs/uploads/?digest="+b.Digest, b.Bytes))
				}
				tag := fmt.Sprint("v", i)
				client.Must(m.t, http.StatusCreated)(c.V2(m.t.Context(), http.MethodPut, name+"/manifests/"+tag, image.Manifest, "Content-Type", image.MediaType))
				m.images = append(m.images, movedImage{image, name, tag})
			}
		}
	})
}

// verify checks that a place holds everything.
func (m *moving) verify(at place) {
	m.t.Helper()
	program.Fsck(m.t, at.at()...)
	m.serve(at, func(c *client.Client) {
		for _, i := range m.images {
			if err := c.PullImage(m.t.Context(), i.repository, i.tag, i.Image, map[string]bool{}); err != nil {
				m.t.Errorf("in %s: %v", at.name, err)
			}
		}
	})
}

// move moves from one place to another, and kills that again and again, later and later, until it has ended before.
func (m *moving) move(from, to place) {
	m.t.Helper()
	args := append(append([]string{"move"}, from.at()...), to.to...)
	const step = 25 * time.Millisecond
	killed := map[string]int{}
	for n := 1; n <= 60 && killed["done"] == 0; n++ {
		p := process.Launch(m.t, program.Command(args...))
		at := time.Duration(m.r.Int64N(int64(n) * int64(step)))
		select {
		case <-p.Ended():
		case <-time.After(at):
		}
		p.Kill()
		state := m.state(from, to)
		killed[state]++
		if state == "between" && m.r.IntN(2) == 0 {
			m.undo(from, to)
		}
	}
	m.t.Logf("from %s to %s: killed and found %v", from.name, to.name, killed)
	if killed["not yet"] < 3 {
		m.t.Errorf("too few moves from %s were killed before their end", from.name)
	}
	if killed["done"] == 0 {
		if stdout, stderr, status := program.Run(args...); status != 0 {
			m.t.Fatalf("the move ended with %d:\n%s%s", status, stdout, stderr)
		}
	}
	if state := m.state(from, to); state != "done" {
		m.t.Fatalf("the move is %s", state)
	}
}

// undo gives a broken off move up, for now: the old place can be used again.
func (m *moving) undo(from, to place) {
	m.t.Helper()
	if stdout, stderr, status := program.Run(append([]string{"move", "--undo"}, from.at()...)...); status != 0 {
		m.t.Fatalf("move --undo ended with %d:\n%s%s", status, stdout, stderr)
	}
	if state := m.state(from, to); state != "not yet" {
		m.t.Errorf("after move --undo, the move is %s", state)
	}
}

// state tells how far a move came: done if the new place is good, and not yet if the old one is or the move must go on. Both must not be.
func (m *moving) state(from, to place) string {
	m.t.Helper()
	before, after := m.usable(from), m.usable(to)
	switch {
	case before && after:
		m.t.Fatalf("both %s and %s can be used", from.name, to.name)
	case after:
		return "done"
	case before:
		return "not yet"
	}
	return "between"
}

// usable reports whether a place can be used for what was moved. If it can't, it must be because of a mark or since nothing is there.
func (m *moving) usable(at place) bool {
	m.t.Helper()
	stdout, stderr, status := program.Run(append([]string{"fsck"}, at.at()...)...)
	if status == 0 && strings.HasSuffix(stdout, "no faults\n") {
		return !strings.Contains(stdout, "checked 0 repositories, 0 images, 0 layers in 0 objects")
	}
	for _, reason := range []string{"was moved to", "is incomplete: coffer move was broken off", "holds no database", "there is no installation", "there is no database"} {
		if strings.Contains(stderr, reason) {
			return false
		}
	}
	m.t.Fatalf("fsck of %s ended with %d:\n%s%s", at.name, status, stdout, stderr)
	return false
}
