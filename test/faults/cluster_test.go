package faults

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/blob/s3test"
	"github.com/coffer-registry/coffer/internal/rootkey"
	"github.com/coffer-registry/coffer/internal/store/pgtest"
	"github.com/coffer-registry/coffer/test/client"
	"github.com/coffer-registry/coffer/test/faults/link"
	"github.com/coffer-registry/coffer/test/haproxy"
	"github.com/coffer-registry/coffer/test/process"
)

// cluster is three replicas with all that they need, on loopback.
type cluster struct {
	t        *testing.T
	postgres *pgtest.Server
	s3       *s3test.Server
	replicas []*replica
	proxy    string // its URL
	ballast  string // a file that fills the disk of the object store
	disk     int64  // its size
}

// diskSize is that of the object store's disk.
func diskSize() int64 {
	if process.Long() {
		return 2 << 30
	}
	return 512 << 20
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	s3test.Environment(t)
	c := &cluster{t: t, postgres: pgtest.StartOwn(t, pgtest.Options{}), disk: diskSize()}
	c.s3 = s3test.Start(t)
	c.mountDisk()
	bucket := c.s3.Bucket(t)
	_, s3Address, _ := strings.Cut(c.s3.Endpoint, "://")
	database, err := url.Parse(c.postgres.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "root-key")
	if _, err := rootkey.CreateFile(key); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		r := &replica{name: fmt.Sprintf("replica %d", i), t: t, listen: process.FreeAddress(t), admin: process.FreeAddress(t), ended: make(chan struct{}),
			database: link.New(t, c.postgres.Address()), objects: link.New(t, s3Address)}
		r.http, r.front = link.NewFaulty(t, r.objects.Address()), link.New(t, r.listen)
		r.args = append([]string{"serve", "--listen", r.listen, "--admin-listen", r.admin},
			c.state(filepath.Join(t.TempDir(), "data"), c.postgres.URL(r.database.Address(), strings.Trim(database.Path, "/")),
				s3test.URL("http://"+r.http.Address(), bucket), key)...)
		c.replicas = append(c.replicas, r)
		go r.supervise()
		t.Cleanup(func() {
			r.mu.Lock()
			r.stopping = true
			r.mu.Unlock()
			r.kill()
			<-r.ended
		})
	}
	var servers []haproxy.Server
	for _, r := range c.replicas {
		servers = append(servers, haproxy.Server{Public: r.front.Address(), Admin: r.admin})
	}
	c.proxy = haproxy.Start(t, servers...)
	c.await()
	return c
}

// state are the flags that say where everything is.
func (c *cluster) state(data, database, blobs, key string) []string {
	return []string{"--data", data, "--database", database, "--blobs", blobs, "--root-key", "file:" + key}
}

// stateOf are those of a replica.
func (c *cluster) stateOf(r *replica) []string { return r.args[5:] }

// mountDisk gives the object store a small disk of its own.
func (c *cluster) mountDisk() {
	c.t.Helper()
	c.s3.Stop()
	if err := syscall.Mount("tmpfs", c.s3.Folder, "tmpfs", 0, fmt.Sprintf("size=%d", c.disk)); err != nil {
		c.t.Skipf("the kernel lets the test mount nothing: %v", err)
	}
	c.t.Cleanup(func() {
		c.s3.Stop()
		if err := syscall.Unmount(c.s3.Folder, 0); err != nil {
			c.t.Error(err)
		}
	})
	c.ballast = filepath.Join(c.s3.Folder, "ballast")
	c.s3.Restart()
}

// fill takes all space of the object store's disk but a little, while others take it too.
func (c *cluster) fill() error {
	f, err := os.Create(c.ballast)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		var fs syscall.Statfs_t
		if err := syscall.Statfs(c.s3.Folder, &fs); err != nil {
			return err
		}
		free := int64(fs.Bavail)*fs.Bsize - 100<<10
		if free <= 0 {
			return nil
		}
		if err = syscall.Fallocate(int(f.Fd()), 0, 0, free); !errors.Is(err, syscall.ENOSPC) {
			return err
		}
	}
}

// entries are the ways to the registry: half of the requests go by the proxy.
func (c *cluster) entries() []entry {
	var all []entry
	for range c.replicas {
		all = append(all, entry{name: "the proxy", proxy: true})
	}
	shared := client.New(c.proxy)
	for i := range all {
		all[i].Client = shared
	}
	for _, r := range c.replicas {
		all = append(all, entry{name: r.name, Client: client.New("http://" + r.listen)})
	}
	return all
}

// await waits until every replica says that it is ready, and the proxy has one.
func (c *cluster) await() {
	c.t.Helper()
	began := time.Now()
	for {
		var err error
		for _, r := range c.replicas {
			if err == nil {
				err = r.ready()
			}
		}
		if err == nil {
			// Who isn't signed in is told so by a server, not by the proxy.
			if err = answers200("the proxy", c.proxy+"/v2/"); err != nil && strings.Contains(err.Error(), "status 401") {
				return
			}
		}
		if time.Since(began) > 2*process.Patience {
			for _, r := range c.replicas {
				c.t.Logf("%s:\n%s", r.name, r.server.Tail())
			}
			c.t.Fatalf("not ready after %v: %v", 2*process.Patience, err)
		}
		<-time.After(50 * time.Millisecond)
	}
}
