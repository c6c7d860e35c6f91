package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/blob/s3test"
	"github.com/coffer-registry/coffer/internal/rootkey"
	"github.com/coffer-registry/coffer/internal/store/pgtest"
)

// cluster is an installation: one server with its data in a folder, or replicas that share PostgreSQL and an S3 server.
type cluster struct {
	name  string
	hosts []*host
	bench *bench
}

// installation starts replicas; none is the embedded default.
func installation(t *testing.T, binary string, replicas int) *cluster {
	t.Helper()
	return installationOn(t, binary, replicas, func() string { return newBucket(t) })
}

// newBucket is the URL of a bucket on a server of its own.
func newBucket(t *testing.T) string {
	s3test.Environment(t)
	server := s3test.Start(t)
	return server.URL(server.Bucket(t))
}

// installationByTLS is a replica that reaches its bucket by TLS.
func installationByTLS(t *testing.T, binary string) *cluster {
	t.Helper()
	c := installationOn(t, binary, 1, func() string {
		server := s3test.StartTLS(t)
		return server.URL(server.Bucket(t))
	})
	c.name = "1 replica, S3 by TLS"
	return c
}

// installationOn is an installation whose replicas share the bucket of a URL.
func installationOn(t *testing.T, binary string, replicas int, bucket func() string) *cluster {
	t.Helper()
	c := &cluster{name: "embedded", bench: &bench{}}
	var more []string
	if replicas > 0 {
		c.name = fmt.Sprintf("%d replicas", replicas)
		if replicas == 1 {
			c.name = "1 replica"
		}
		key := filepath.Join(t.TempDir(), "root-key")
		if _, err := rootkey.CreateFile(key); err != nil {
			t.Fatal(err)
		}
		database := pgtest.StartOwn(t, pgtest.Options{Disk: true}).Database(t)
		more = []string{"--database", database, "--blobs", bucket(), "--root-key", "file:" + key}
	}
	for range max(replicas, 1) {
		admin, err := freeAddress()
		if err != nil {
			t.Fatal(err)
		}
		h := &host{bench: c.bench, server: coffer{binary: binary, more: more, admin: admin}, dir: t.TempDir()}
		if _, err := h.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := h.stop(); err != nil {
				t.Error(err)
			}
		})
		c.hosts = append(c.hosts, h)
	}
	return c
}

// cost is what one operation takes: of the replicas, of all else on the machine but the load generator, and of the database.
type cost struct {
	result
	retries, trips float64 // for each operation
	// ratio is its processor time to that of the embedded default.
	ratio float64
}

// run does a job by way of all replicas in turns.
func (c *cluster) run(t *testing.T, j job) cost {
	t.Helper()
	conns := make([]*conn, j.clients)
	for i := range conns {
		var err error
		if conns[i], err = c.hosts[i%len(c.hosts)].target.dial(); err != nil {
			t.Fatal(err)
		}
		defer conns[i].close()
	}
	cpu, retries, trips := c.read(t)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	r, err := spread(ctx, conns, j)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(1200 * time.Millisecond) // what is put off and batched is work all the same
	cpu2, retries2, trips2 := c.read(t)
	r.cpu = cpu2 - cpu
	n := float64(max(r.ops, 1))
	return cost{result: r, retries: (retries2 - retries) / n, trips: (trips2 - trips) / n}
}

// read is the processor time of all replicas, and their counts of transactions that ran again and of round trips to the database.
func (c *cluster) read(t *testing.T) (cpu time.Duration, retries, trips float64) {
	t.Helper()
	for _, h := range c.hosts {
		at, err := readClocks(h.process.pid())
		if err != nil {
			t.Fatal(err)
		}
		cpu += at.server
		response, err := http.Get("http://" + h.server.(coffer).admin + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		retries += metric(string(body), "coffer_database_retries_total")
		trips += metric(string(body), "coffer_database_round_trips_total")
	}
	return cpu, retries, trips
}

// metric is the value of a counter in Prometheus's text format, 0 if it isn't there.
func metric(text, name string) float64 {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, name+"{") || strings.HasPrefix(line, name+" ") {
			value, _ := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64) // what is no number counts nothing
			return value
		}
	}
	return 0
}

// scaleMeasure is a job of the comparison.
type scaleMeasure struct {
	name string
	size int64 // bytes that an operation moves, if it is large
	job  func(c *cluster) (job, error)
}

func scaleMeasures(s scale) []scaleMeasure {
	big := s.size(256 * mib)
	pushes := func(clients, ops int, repositories ...string) func(*cluster) (job, error) {
		return func(c *cluster) (job, error) {
			jobs := make([]job, len(repositories))
			for i, name := range repositories {
				var err error
				if jobs[i], err = pushJob(c.hosts[0], name, clients, ops); err != nil {
					return job{}, err
				}
			}
			return job{clients: clients, ops: ops, do: func(conn *conn, i int) error { return jobs[i%len(jobs)].do(conn, i) }}, nil
		}
	}
	large := func(c *cluster) (blob, error) {
		src, err := newSource(big)
		if err != nil {
			return blob{}, err
		}
		return src.blob(c.bench.reserve(1))
	}
	reads := func(method string) func(*cluster) (job, error) {
		return func(c *cluster) (job, error) { return readJob(c, method, s.n(20000)) }
	}
	pulls := func(c *cluster) (job, error) {
		src, err := newSource(smallLayer)
		if err != nil {
			return job{}, err
		}
		b, err := src.blob(c.bench.reserve(1))
		if err != nil {
			return job{}, err
		}
		if err := pushAndCheck(c.hosts[0], "bench/r0", b); err != nil {
			return job{}, err
		}
		get := c.hosts[0].target.request(nil, "GET", "/v2/bench/r0/blobs/"+b.digest, "", -1)
		return job{clients: 16, ops: s.n(6000), do: func(conn *conn, _ int) error { return fetch(conn, get, smallLayer) }}, nil
	}
	return []scaleMeasure{
		{"64 KiB image pushed, 8 clients, one repository", 0, pushes(8, s.n(800), "bench/r0")},
		{"— 32 clients, one repository", 0, pushes(32, s.n(800), "bench/r0")},
		{"— 8 clients, 8 repositories", 0, pushes(8, s.n(800), repositories...)},
		{"— 32 clients, 8 repositories", 0, pushes(32, s.n(800), repositories...)},
		{"manifest HEAD by tag, 16 clients", 0, reads(http.MethodHead)},
		{"— 16 clients for each server", 0, forEach(reads(http.MethodHead))},
		{"manifest GET by tag, 16 clients", 0, reads(http.MethodGet)},
		{"— 16 clients for each server", 0, forEach(reads(http.MethodGet))},
		{"64 KiB layer pulled, 16 clients", 0, pulls},
		{"— 16 clients for each server", 0, forEach(pulls)},
		{formatSize(big) + " push, one client", big, func(c *cluster) (job, error) {
			b, err := large(c)
			return job{clients: 1, ops: 1, do: func(conn *conn, _ int) error { return conn.pushBlob("bench/r0", b) }}, err
		}},
		{formatSize(big) + " pull, one client", big, func(c *cluster) (job, error) {
			b, err := large(c)
			if err != nil {
				return job{}, err
			}
			if err := pushAndCheck(c.hosts[0], "bench/r0", b); err != nil {
				return job{}, err
			}
			get := c.hosts[0].target.request(nil, "GET", "/v2/bench/r0/blobs/"+b.digest, "", -1)
			return job{clients: 1, ops: 2, do: func(conn *conn, _ int) error { return fetch(conn, get, big) }}, nil
		}},
	}
}

var repositories = []string{"bench/r0", "bench/r1", "bench/r2", "bench/r3", "bench/r4", "bench/r5", "bench/r6", "bench/r7"}

// forEach gives each server of an installation the clients of a job, so that more servers have more to do.
func forEach(jobOf func(*cluster) (job, error)) func(*cluster) (job, error) {
	return func(c *cluster) (job, error) {
		j, err := jobOf(c)
		j.clients *= len(c.hosts)
		j.ops *= len(c.hosts)
		return j, err
	}
}

// readJob reads a manifest by its tag.
func readJob(c *cluster, method string, ops int) (job, error) {
	push, err := pushJob(c.hosts[0], "bench/r0", 1, 1)
	if err != nil {
		return job{}, err
	}
	one, err := c.hosts[0].target.dial()
	if err != nil {
		return job{}, err
	}
	defer one.close()
	if err := push.do(one, 0); err != nil {
		return job{}, err
	}
	tag := fmt.Sprintf("i%d", c.bench.reserve(1)-1)
	request := c.hosts[0].target.request(nil, method, "/v2/bench/r0/manifests/"+tag, "", -1)
	return job{clients: 16, ops: ops, do: func(conn *conn, _ int) error {
		_, err := conn.send(http.StatusOK, request)
		return err
	}}, nil
}

// scaleRounds is how often each measure is taken. Installations take turns, since what the machine gives changes from one second to the next.
const scaleRounds = 5

// measure takes a measure of each installation. Of the rounds it is the one whose processor time is in the middle, as a part of that of
// the first installation in the same round.
func (m scaleMeasure) measure(t *testing.T, clusters []*cluster) []cost {
	t.Helper()
	rounds := make([][]cost, len(clusters))
	for round := range scaleRounds {
		for i, c := range clusters {
			j, err := m.job(c)
			if err != nil {
				t.Fatal(err)
			}
			got := c.run(t, j)
			got.ratio = 1
			if i > 0 {
				got.ratio = float64(got.cpuPerOp()) / float64(max(rounds[0][round].cpuPerOp(), 1))
			}
			rounds[i] = append(rounds[i], got)
		}
	}
	middle := make([]cost, len(clusters))
	for i, all := range rounds {
		slices.SortFunc(all, func(a, b cost) int {
			return cmp.Or(cmp.Compare(a.ratio, b.ratio), cmp.Compare(a.cpuPerOp(), b.cpuPerOp()))
		})
		middle[i] = all[len(all)/2]
	}
	return middle
}

// pushesAtOnce is how many clients push while memory is measured.
const pushesAtOnce = 64

// memory is the most that a fresh replica has had resident, in bytes, after it took so many pushes at once.
func (c *cluster) memory(t *testing.T, size int64) int64 {
	t.Helper()
	src, err := newSource(size)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.hosts[0].restart(t.Context(), false); err != nil { // so that nothing before counts
		t.Fatal(err)
	}
	first := c.bench.reserve(pushesAtOnce)
	conns := make([]*conn, pushesAtOnce)
	for i := range conns {
		if conns[i], err = c.hosts[0].target.dial(); err != nil {
			t.Fatal(err)
		}
		defer conns[i].close()
	}
	_, err = spread(t.Context(), conns, job{clients: pushesAtOnce, ops: pushesAtOnce, do: func(conn *conn, i int) error {
		b, err := src.blob(first + uint64(i))
		if err != nil {
			return err
		}
		return conn.pushBlob("bench/r0", b)
	}})
	if err != nil {
		t.Fatal(err)
	}
	peak, err := peakMemory(c.hosts[0].process.pid())
	if err != nil {
		t.Fatal(err)
	}
	return peak
}

const scaleMark = "<!-- bench-scale -->"

// TestScale compares replicas on PostgreSQL and S3 with the embedded default. It takes minutes, so it runs only where the environment names
// the binary: make bench-scale. COFFER_BENCH_OUT is the document whose section it writes anew, and COFFER_BENCH_RUN a regular expression for
// the measures to take.
func TestScale(t *testing.T) {
	binary := os.Getenv("COFFER_BENCH_SCALE")
	if binary == "" {
		t.Skip("make bench-scale runs it")
	}
	s := scale{short: testing.Short()}
	measures := scaleMeasures(s)
	var clusters []*cluster
	for replicas := range 4 {
		clusters = append(clusters, installation(t, binary, replicas))
	}
	withTLS := append(slices.Clone(clusters), installationByTLS(t, binary))
	for _, c := range withTLS {
		for _, name := range repositories {
			if err := c.hosts[0].repository(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
	}
	before, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		t.Fatal(err)
	}
	load, err := loadAverage(string(before))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "## Replicas on PostgreSQL and S3\n\n`make bench-scale` on %d processors, which the replicas, PostgreSQL, the S3 server (versitygw) and the load share; load before: %.1f. "+
		"Rates are bound by that and say little; server CPU is that of all replicas, and the ratio is to the embedded default of the same run (goal: ≤ 1.5). "+
		"Retries and round trips are those of PostgreSQL, for one operation. Installations took turns in %d rounds; of each the one counts whose ratio is in the middle.\n\n", runtime.NumCPU(), load, scaleRounds)
	out.WriteString("| measure | installation | /s | p99 | server CPU each | ratio | retries | round trips |\n|---|---|--:|--:|--:|--:|--:|--:|\n")
	only := regexp.MustCompile(os.Getenv("COFFER_BENCH_RUN"))
	for _, m := range measures {
		if !only.MatchString(m.name) {
			continue
		}
		of := clusters
		if m.size > 0 {
			of = withTLS
		}
		costs := m.measure(t, of)
		for i, c := range of {
			got := costs[i]
			line := fmt.Sprintf("| %s | %s | %.1f | %v | %v | %.2f | %.2f | %.1f |\n", m.name, c.name, got.rate(), got.p99.Round(10*time.Microsecond),
				got.cpuPerOp().Round(time.Microsecond), got.ratio, got.retries, got.trips)
			out.WriteString(line)
			t.Log(line)
		}
	}
	size := s.size(1024 * mib)
	one := installationOn(t, binary, 1, func() string { return discard(t, newBucket(t)) })
	if err := one.hosts[0].repository(t.Context(), repositories[0]); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&out, "\nPeak memory of a fresh replica after %d concurrent pushes of %s, to an S3 server behind which the bytes vanish: %.0f MiB (goal: ≤ 200 MiB).\n",
		pushesAtOnce, formatSize(size), float64(one.memory(t, size))/mib)
	t.Log(out.String())
	if name := os.Getenv("COFFER_BENCH_OUT"); name != "" {
		if err := writeSection(name, out.String()); err != nil {
			t.Fatal(err)
		}
	}
}

// writeSection writes the text between the two marks of a document, which get to its end if they aren't there.
func writeSection(name, text string) error {
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(old), scaleMark+"\n")
	after := ""
	if found {
		_, after, _ = strings.Cut(rest, scaleMark+"\n")
	} else {
		before = strings.TrimRight(before, "\n") + "\n\n"
	}
	return os.WriteFile(name, []byte(before+scaleMark+"\n"+text+scaleMark+"\n"+after), 0o644)
}

func TestWriteSection(t *testing.T) {
	name := filepath.Join(t.TempDir(), "document.md")
	if err := os.WriteFile(name, []byte("# Title\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one\n", "two\n"} {
		if err := writeSection(name, text); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if want := "# Title\n\n" + scaleMark + "\ntwo\n" + scaleMark + "\n"; err != nil || string(got) != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}
