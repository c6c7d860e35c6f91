// Command bench measures Coffer against the CNCF distribution registry, both on this machine and in the same run, and against
// the least that a server on net/http can do, which tells what the machine allows.
//
// Each server is a process of its own on loopback with its data on a disk. A measure prepares them, then takes turns
// between them for some rounds and reports medians, the ratio of Coffer to the peer, and whether Coffer's goal is met.
// The load generator shares the machine with the server, so what counts is the server's processor time for a unit of
// work and the ratio; rates are what is left beside the generator.
//
// Numbers of another run or another machine are not compared here, and a goal that is missed is reported and not an
// error. It exits with 1 only if a server didn't do what was asked of it. It needs Linux's /proc.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	run      string
	short    bool
	out      string
	rounds   int
	dir      string
	coffer   string
	registry string
	only     string
	bare     string
}

func main() {
	var o options
	flag.StringVar(&o.run, "run", "", "measure only what matches this regular `expression`: "+names())
	flag.BoolVar(&o.short, "short", false, "do a twentieth of the work; the values are rough")
	flag.StringVar(&o.out, "out", "", "write the report to this `file` too")
	flag.IntVar(&o.rounds, "rounds", 3, "measure each server `n` times, in turns")
	flag.StringVar(&o.dir, "dir", "", "keep the servers' data in this `folder`, on a disk (default: the folder for temporary files)")
	flag.StringVar(&o.coffer, "coffer", "", "the coffer `binary` (default: built from this module)")
	flag.StringVar(&o.registry, "registry", "", "the distribution `binary` (default: "+distributionVersion+", installed into the user's cache)")
	flag.StringVar(&o.only, "only", "", "measure one `server` only: coffer, distribution or bare")
	flag.StringVar(&o.bare, "serve-bare", "", "be the bare server on this `address`, with its files in -dir; for this program's own use")
	flag.Parse()
	if o.bare != "" {
		fmt.Fprintln(os.Stderr, "bench:", serveBare(o.bare, o.dir))
		os.Exit(1)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func names() string {
	var s []string
	for _, m := range measures(scale{}) {
		s = append(s, m.name)
	}
	return strings.Join(s, ", ")
}

// run measures and writes the report to stdout and the file asked for; progress goes to stderr.
func run(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	match, err := regexp.Compile(o.run)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	chosen := slices.DeleteFunc(measures(scale{short: o.short}), func(m measure) bool { return !match.MatchString(m.name) })
	if len(chosen) == 0 {
		return fmt.Errorf("-run: no measure matches %q", o.run)
	}
	if o.rounds < 1 {
		return errors.New("-rounds must be at least 1")
	}
	before, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return fmt.Errorf("this needs Linux: %w", err)
	}
	load, err := loadAverage(string(before))
	if err != nil {
		return err
	}
	root, kind, err := dataFolder(o.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	servers, about, err := findServers(ctx, o, root)
	if err != nil {
		return err
	}

	b := &bench{scale: scale{short: o.short}}
	rep := report{title: title(o), results: newResults(), coffer: coffer{}.name(), peer: distribution{}.name(), bare: bare{}.name()}
	started := time.Now()
	for _, m := range chosen {
		rep.rows = append(rep.rows, m.rows...)
		if err := compare(ctx, b, m, servers, root, o.rounds, rep.results, stderr); err != nil {
			return err
		}
	}
	rep.environment = append(environment(kind, load, b.others.percent(runtime.NumCPU()), o.rounds, time.Since(started)), about...)
	rep.environment = append(rep.environment, b.notes...)
	if err := rep.write(stdout); err != nil {
		return err
	}
	if o.out != "" {
		if err := writeFile(o.out, rep); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	if n := len(rep.results.failed); n > 0 {
		return fmt.Errorf("%d measures went wrong, see the report", n)
	}
	return nil
}

func title(o options) string {
	switch {
	case o.short:
		return "Performance, short run: a twentieth of the work, rough values"
	case o.run != "":
		return "Performance, part of the measures"
	}
	return "Performance"
}

// compare takes one measure of all servers, in turns. What a server fails at is recorded and not tried again; the error
// is of the harness itself or the end of ctx.
func compare(ctx context.Context, b *bench, m measure, servers []server, root string, rounds int, res *results, progress io.Writer) error {
	type turn struct {
		host  *host
		round round
		left  int
	}
	var turns []*turn
	folder := filepath.Join(root, m.name)
	defer func() {
		for _, t := range turns {
			if err := t.host.stop(); err != nil {
				fmt.Fprintln(progress, "bench:", err)
			}
		}
		if err := os.RemoveAll(folder); err != nil {
			fmt.Fprintln(progress, "bench:", err)
		}
	}()
	failed := func(t *turn, err error) {
		t.left = 0
		res.failed = append(res.failed, failure{m.name, t.host.server.name(), err})
		fmt.Fprintf(progress, "%s, %s: %v\n", m.name, t.host.server.name(), err)
	}
	for _, s := range servers {
		_, own := s.(coffer)
		_, ceiling := s.(bare)
		if m.cofferOnly && !own || ceiling && !m.bare {
			continue
		}
		t := &turn{host: &host{bench: b, server: s, dir: filepath.Join(folder, s.name())}, left: rounds}
		if !own && m.peerRounds > 0 {
			t.left = min(rounds, m.peerRounds)
		}
		turns = append(turns, t)
		if _, err := t.host.start(ctx); err != nil {
			failed(t, err)
			continue
		}
		var err error
		if t.round, err = m.setup(ctx, t.host); err != nil {
			failed(t, fmt.Errorf("preparing: %w", err))
		}
	}
	for n := range rounds {
		for _, t := range turns {
			if t.left == 0 {
				continue
			}
			t.left--
			readings, err := t.round(ctx)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				failed(t, fmt.Errorf("round %d: %w", n+1, err))
				continue
			}
			res.add(t.host.server.name(), readings)
			for _, x := range readings {
				fmt.Fprintf(progress, "round %d  %-12s  %-26s %s\n", n+1, t.host.server.name(), x.row, formatNumber(x.value))
			}
		}
	}
	return ctx.Err()
}

func writeFile(name string, r report) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return r.write(f)
}
