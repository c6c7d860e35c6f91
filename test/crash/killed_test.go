package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/test/client"
	"github.com/coffer-registry/coffer/test/process"
)

const (
	workerCount = 6
	readerCount = 2
	fsckEvery   = 5
)

// lives is a data folder on which one server after the other is killed.
type lives struct {
	*world
	t       *testing.T
	r       *rand.Rand
	data    string
	config  map[bool]string // the configuration files, by whether everything is swept at once
	workers []*worker
	uploads []*slowUpload
	// changed are the acknowledged changes that the trail was not yet asked for, and records how many records there can be.
	changed map[string]string
	records int64
	trail   int
	sweeps  int
}

// TestKilled kills a server under load again and again. After each restart, everything that was acknowledged is there:
// images pull with the right bytes, what was deleted stays deleted, no tag goes back, immutable tags show one digest, an
// upload goes on where it was, and the trail has a record of each change.
func TestKilled(t *testing.T) {
	l := newLives(t, process.Seed(t))
	rounds := 50
	if process.Long() {
		rounds = 300
	}
	began := time.Now()
	for round := range rounds {
		l.round(round)
		if t.Failed() {
			stdout, _, _ := program.Run("fsck", "--data", l.data)
			t.Fatalf("in round %d, after which fsck says:\n%s", round, stdout)
		}
	}
	l.end()
	resumed := 0
	for _, u := range l.uploads {
		resumed += u.resumed
	}
	t.Logf("%d rounds in %v: %d changes of images and repositories acknowledged, %d requests found in the trail, %d uploads resumed, %d sweeps, which took %d times what was being pushed",
		rounds, time.Since(began).Round(time.Second), l.changes.Load(), l.trail, resumed, l.sweeps, l.vanished.Load())
	if resumed == 0 || l.sweeps == 0 || l.changes.Load() < int64(2*rounds) {
		t.Error("the load was too light to find anything")
	}
}

func newLives(t *testing.T, seed uint64) *lives {
	random := func(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }
	l := &lives{t: t, r: random(1), data: filepath.Join(t.TempDir(), "data"), changed: map[string]string{}}
	l.world = &world{t: t, common: client.CommonLayers(random(2), 12)}
	for i := range workerCount {
		name := fmt.Sprintf("w%d", i)
		l.names = append(l.names, name)
		l.workers = append(l.workers, newWorker(l.world, name, random(uint64(10+i))))
	}
	for i := range 2 {
		l.uploads = append(l.uploads, &slowUpload{world: l.world, r: random(uint64(20 + i)), repository: sharedRepositories[i], byAPI: i == 1})
	}
	l.config = map[bool]string{}
	for sweeping, limits := range map[bool]map[string]int{
		false: {"part-bytes-min": 1},
		true:  {"part-bytes-min": 1, "layer-grace-seconds": 1, "upload-expiry-seconds": 1, "sweep-seconds": 1},
	} {
		// Numbers always encode.
		text, _ := json.Marshal(map[string]any{"limits": limits})
		l.config[sweeping] = filepath.Join(t.TempDir(), "config.json")
		if err := os.WriteFile(l.config[sweeping], text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// round is one life of the server.
func (l *lives) round(round int) {
	t := l.t
	l.sweeping.Store(round%3 == 2)
	s, c := l.restart(round == 0)
	if t.Failed() {
		s.Kill()
		return
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var load sync.WaitGroup
	for _, w := range l.workers {
		load.Go(func() { w.run(ctx) })
	}
	for _, u := range l.uploads {
		load.Go(func() { u.run(ctx, c) })
	}
	for range readerCount {
		r := rand.New(rand.NewPCG(l.r.Uint64(), 0))
		load.Go(func() { readTags(ctx, l.world, c, l.workers, r) })
	}
	at := time.Duration(l.r.Int64N(int64(time.Second)))
	if l.sweeping.Load() {
		at += 700 * time.Millisecond // a sweep comes every second
	}
	<-time.After(at)
	l.killed.Store(true)
	s.Kill()
	load.Wait()
	l.leave(s, c)
	if round%fsckEvery == fsckEvery-1 {
		program.Fsck(t, "--data", l.data)
	}
}

// restart starts the server on what the last one left, and checks that.
func (l *lives) restart(first bool) (*process.Server, *client.Client) {
	t, ctx := l.t, l.t.Context()
	s := program.Start(t, l.data, "--config", l.config[l.sweeping.Load()])
	l.killed.Store(false)
	c := client.New(s.URL)
	if err := c.Login(ctx); err != nil {
		t.Fatal(err)
	}
	if first {
		l.furnish(c)
	}
	program.CheckTrail(t, l.changed, l.records+c.Requests(), "--data", l.data)
	l.trail += len(l.changed)
	clear(l.changed)
	l.records = 0
	verify(ctx, t, c, l.world, l.workers)
	for _, u := range l.uploads {
		if err := u.resume(ctx, c); err != nil {
			t.Errorf("resume an upload: %v", err)
		}
	}
	return s, c
}

// furnish makes the repositories that all share.
func (l *lives) furnish(c *client.Client) {
	for _, name := range append([]string{fixedRepository}, sharedRepositories...) {
		mutability := "MUTABLE"
		if name == fixedRepository {
			mutability = "IMMUTABLE"
		}
		a, err := c.ECR(l.t.Context(), "CreateRepository", map[string]any{"repositoryName": name, "imageTagMutability": mutability}, nil)
		if err != nil || a.Status != 200 {
			l.t.Fatalf("create %s: %v, %v", name, a, err)
		}
	}
}

// leave keeps of a dead server what is to be asked of the next.
func (l *lives) leave(s *process.Server, c *client.Client) {
	for id, what := range c.Acknowledged() {
		l.changed[id] = what
	}
	l.records += c.Requests()
	c.Close()
	l.sweeps += s.Count("swept")
	for _, u := range l.uploads {
		u.swept = l.sweeping.Load()
	}
	for _, line := range s.Errors() {
		l.t.Errorf("the server's log: %s", line)
	}
}

// end checks what the last server left, and then that another sweeps the objects that the killed ones left, once they are
// old, and no others.
func (l *lives) end() {
	t := l.t
	l.sweeping.Store(false)
	s, c := l.restart(false)
	l.leave(s, c)
	if status := s.Stop(t); status != 0 {
		t.Errorf("the server ended with %d", status)
	}
	program.CheckTrail(t, l.changed, l.records, "--data", l.data)
	l.changed = map[string]string{}
	found := program.Fsck(t, "--data", l.data)
	t.Logf("%s", found)
	makeOld(t, filepath.Join(l.data, "blobs"))
	s, c = l.restart(false)
	if strings.Contains(found, "to nothing") {
		s.Await(t, "swept orphans")
	}
	verify(t.Context(), t, c, l.world, l.workers)
	l.leave(s, c)
	if status := s.Stop(t); status != 0 {
		t.Errorf("the server ended with %d", status)
	}
	if left := program.Fsck(t, "--data", l.data); strings.Contains(left, "to nothing") {
		t.Errorf("orphans are left: %s", left)
	}
}

// makeOld lets all files of a folder look as if nobody had written to them for a week.
func makeOld(t *testing.T, dir string) {
	t.Helper()
	old := time.Now().Add(-7 * 24 * time.Hour)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Chtimes(path, old, old)
	})
	if err != nil {
		t.Fatal(err)
	}
}
