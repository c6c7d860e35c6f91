package faults

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/coffer-registry/coffer/test/faults/link"
)

// fault is one thing that goes wrong and is mended after a time.
type fault struct {
	name string
	// part is what fails, of which no two faults happen at once.
	part       string
	begin, end func() // end may be nil
	lasts      time.Duration
}

// kinds draw a fault each.
func (c *cluster) kinds() []func(*rand.Rand) fault {
	kinds := []func(*rand.Rand) fault{c.killReplica, c.killReplica, c.stopPostgres, c.stopPostgresAtOnce, c.killPostgres, c.stallS3, c.killS3, c.failS3, c.failS3, c.slowS3, c.fillDisk}
	for range 3 {
		kinds = append(kinds, c.cut, c.stall, c.delay)
	}
	return kinds
}

// between draws a time.
func between(r *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(r.Int64N(int64(to-from)))
}

func (c *cluster) draw(r *rand.Rand) *replica { return c.replicas[r.IntN(len(c.replicas))] }

func (c *cluster) killReplica(r *rand.Rand) fault {
	victim := c.draw(r)
	return fault{name: "kill " + victim.name, part: victim.name, begin: victim.kill, lasts: time.Second}
}

func (c *cluster) restartPostgres() { c.postgres.Restart(c.t) }

func (c *cluster) stopPostgres(r *rand.Rand) fault {
	return fault{"stop PostgreSQL", "postgres", func() { c.postgres.Stop(c.t) }, c.restartPostgres, between(r, 0, 3*time.Second)}
}

func (c *cluster) stopPostgresAtOnce(r *rand.Rand) fault {
	return fault{"stop PostgreSQL at once", "postgres", func() { c.postgres.StopAtOnce(c.t) }, c.restartPostgres, between(r, 0, 3*time.Second)}
}

func (c *cluster) killPostgres(r *rand.Rand) fault {
	return fault{"kill PostgreSQL", "postgres", func() { c.postgres.Kill(c.t) }, c.restartPostgres, between(r, 0, 3*time.Second)}
}

func (c *cluster) stallS3(*rand.Rand) fault {
	return fault{"stop the S3 server's process for a while", "s3", func() { c.s3.Signal(syscall.SIGSTOP) }, func() { c.s3.Signal(syscall.SIGCONT) }, 5 * time.Second}
}

func (c *cluster) killS3(r *rand.Rand) fault {
	return fault{"kill the S3 server", "s3", c.s3.Stop, c.s3.Restart, between(r, 0, 3*time.Second)}
}

// failS3 lets many requests of one replica to the object store fail, some of them after they had their effect.
func (c *cluster) failS3(r *rand.Rand) fault {
	victim, random := c.draw(r), rand.New(rand.NewPCG(r.Uint64(), 0))
	plan := func(*http.Request) link.Fault {
		if random.IntN(3) > 0 {
			return link.Fault{}
		}
		return link.Fault{Status: []int{http.StatusInternalServerError, http.StatusServiceUnavailable}[random.IntN(2)], After: random.IntN(2) == 0}
	}
	return fault{"S3 errors for " + victim.name, "http " + victim.name, func() { victim.http.Set(plan) }, func() { victim.http.Set(nil) }, between(r, time.Second, 5*time.Second)}
}

// slowS3 holds some requests of one replica to the object store back for 5 seconds.
func (c *cluster) slowS3(r *rand.Rand) fault {
	victim, random := c.draw(r), rand.New(rand.NewPCG(r.Uint64(), 0))
	plan := func(*http.Request) link.Fault {
		if random.IntN(4) > 0 {
			return link.Fault{}
		}
		return link.Fault{Stall: 5 * time.Second}
	}
	return fault{"S3 stalls for " + victim.name, "http " + victim.name, func() { victim.http.Set(plan) }, func() { victim.http.Set(nil) }, between(r, time.Second, 5*time.Second)}
}

func (c *cluster) fillDisk(r *rand.Rand) fault {
	return fault{"fill the disk of the object store", "disk", func() {
		if err := c.fill(); err != nil {
			c.t.Errorf("fill the disk: %v", err)
		}
	}, func() {
		if err := os.Remove(c.ballast); err != nil {
			c.t.Error(err)
		}
	}, between(r, time.Second, 4*time.Second)}
}

// link draws one of the links of a replica.
func (c *cluster) link(r *rand.Rand) (name string, l *link.Link) {
	victim := c.draw(r)
	switch r.IntN(3) {
	case 0:
		return victim.name + " and PostgreSQL", victim.database
	case 1:
		return victim.name + " and the object store", victim.objects
	}
	return "the proxy and " + victim.name, victim.front
}

func (c *cluster) cut(r *rand.Rand) fault {
	name, l := c.link(r)
	return fault{"cut between " + name, name, l.Cut, l.Heal, between(r, 0, 6*time.Second)}
}

func (c *cluster) stall(r *rand.Rand) fault {
	name, l := c.link(r)
	// Half of the stalled connections are lost in the end.
	end := l.Heal
	if r.IntN(2) == 0 {
		end = func() {
			l.Cut()
			l.Heal()
		}
	}
	return fault{"stall between " + name, name, l.Stall, end, between(r, time.Second, 12*time.Second)}
}

func (c *cluster) delay(r *rand.Rand) fault {
	name, l := c.link(r)
	by := between(r, 10*time.Millisecond, 300*time.Millisecond)
	return fault{fmt.Sprintf("delay by %v between %s", by.Round(time.Millisecond), name), name, func() { l.Delay(by) }, l.Heal, between(r, time.Second, 6*time.Second)}
}

// mostFaults is how many things are wrong at once at most.
const mostFaults = 3

// torment lets things go wrong until a time has passed, and mends all in the end. Each kind comes once before any comes
// again. It returns how many faults there were, and when.
func (c *cluster) torment(r *rand.Rand, l *load, duration time.Duration) (count int, log []string) {
	type active struct {
		fault
		until time.Time
	}
	var wrong []active
	var deck []func(*rand.Rand) fault
	note := func(text string) { log = append(log, fmt.Sprintf("%.3f %s", l.log.Now().Seconds(), text)) }
	mend := func(all bool) {
		wrong = slices.DeleteFunc(wrong, func(a active) bool {
			if !all && time.Now().Before(a.until) {
				return false
			}
			if a.end != nil {
				a.end()
				note("end: " + a.name)
			}
			return true
		})
	}
	began, next := time.Now(), time.Now()
	for time.Since(began) < duration && !c.t.Failed() {
		mend(false)
		l.forget()
		if time.Now().After(next) && len(wrong) < mostFaults {
			if len(deck) == 0 {
				deck = c.kinds()
				r.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
			}
			f := deck[0](r)
			deck = deck[1:]
			if !slices.ContainsFunc(wrong, func(a active) bool { return a.part == f.part }) {
				note(fmt.Sprintf("%s, for %v", f.name, f.lasts.Round(time.Millisecond)))
				f.begin()
				count++
				wrong = append(wrong, active{f, time.Now().Add(f.lasts)})
			}
			next = time.Now().Add(between(r, 100*time.Millisecond, 3*time.Second))
		}
		<-time.After(20 * time.Millisecond)
	}
	mend(true)
	return count, log
}

// lines are the lines of a log, for one message.
func lines(log []string) string { return strings.Join(log, "\n") }
