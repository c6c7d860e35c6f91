package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/app"
)

type moveCommand struct {
	configured
	ToDatabase string `help:"PostgreSQL database to move to, as --database names it." placeholder:"URL"`
	ToBlobs    string `help:"Object store to move to, as --blobs names it." placeholder:"URL"`
	ToData     string `help:"Data folder to move to, for whatever of database and objects has no other place." placeholder:"DIR"`
	Verify     string `help:"Compare the sizes of objects, or in full all their bytes." enum:"sizes,full" default:"sizes" placeholder:"HOW"`
	Undo       bool   `help:"Let a server start again where the installation was moved from."`
}

// Run moves, and tells how to start the server in the new place.
func (m *moveCommand) Run(c console) error {
	ctx, cancel := untilInterrupted()
	defer cancel()
	r := newReporter(c.err)
	to, err := app.Move(ctx, m.Config, app.MoveOptions{Database: m.ToDatabase, Blobs: m.ToBlobs, Data: m.ToData, Full: m.Verify == "full", Undo: m.Undo,
		Say: func(text string) { r.say(c.out, text) }, Tell: r.tell})
	r.clear()
	if err != nil {
		return explainLock(err)
	}
	if m.Undo {
		fmt.Fprintln(c.out, "done: a server may start here again; what happened where it was moved to is not here, so start none there")
		return nil
	}
	fmt.Fprintf(c.out, "done: start the server with%s\n", m.flags(to))
	m.explainRootKey(c, to)
	return nil
}

// flags are those that the moved installation is started with.
func (m *moveCommand) flags(to app.Config) string {
	var b strings.Builder
	b.WriteString(" --data " + shellWord(to.Data))
	for _, f := range []struct{ flag, value string }{{"--database", to.Database}, {"--blobs", to.Blobs}, {"--root-key", to.RootKey}} {
		if f.value != "" {
			if f.flag != "--blobs" { // which never holds a secret, and says nothing without its parameters
				f.value = app.PublicPlace(f.value)
			}
			b.WriteString(" " + f.flag + " " + shellWord(f.value))
		}
	}
	return b.String()
}

// explainRootKey says what else the moved installation needs.
func (m *moveCommand) explainRootKey(c console, to app.Config) {
	switch {
	case to.RootKey != "":
		fmt.Fprintln(c.out, "the root key is the same as before: "+app.PublicPlace(to.RootKey))
	case to.Data == m.Data:
		fmt.Fprintf(c.out, "the root key is still %s; servers on other machines need a copy of it, by --root-key file:PATH\n", shellWord(to.Data+"/root-key"))
	default:
		fmt.Fprintf(c.out, "the root key was copied; the root credentials were not, if there are any: %s\n", shellWord(m.Data+"/root-credentials"))
	}
}

// reporter shows how far a long command is: on a terminal a line that is written over, and else a line now and then.
type reporter struct {
	progress
	step  string
	begun time.Time
	line  time.Time
}

// reportPause is how often a line is written where there is no terminal.
const reportPause = 5 * time.Second

func newReporter(w interface{ Write([]byte) (int, error) }) *reporter {
	return &reporter{progress: progress{w: w, shown: isTerminal(w)}, line: time.Now()}
}

// say prints a step that is done.
func (r *reporter) say(w interface{ Write([]byte) (int, error) }, text string) {
	r.clear()
	fmt.Fprintln(w, text)
}

func (r *reporter) tell(t app.Transferred) {
	if t.Step != r.step {
		r.step, r.begun = t.Step, time.Now()
	}
	if r.shown {
		r.show(r.text(t))
	} else if time.Since(r.line) >= reportPause {
		r.line = time.Now()
		fmt.Fprintln(r.w, r.text(t))
	}
}

func (r *reporter) text(t app.Transferred) string {
	elapsed := time.Since(r.begun)
	if t.Table != "" {
		return fmt.Sprintf("%s: %d rows, table %s, %.0f a second", t.Step, t.Rows, t.Table, float64(t.Rows)/max(elapsed.Seconds(), 0.001))
	}
	rate := float64(t.Bytes) / max(elapsed.Seconds(), 0.001)
	text := fmt.Sprintf("%s: %d of %d objects, %.1f of %.1f MiB, %.1f MiB a second", t.Step, t.Objects, t.AllObjects,
		float64(t.Bytes)/(1<<20), float64(t.AllBytes)/(1<<20), rate/(1<<20))
	if rate > 0 && t.AllBytes > t.Bytes {
		text += ", about " + time.Duration(float64(t.AllBytes-t.Bytes)/rate*float64(time.Second)).Round(time.Second).String() + " left"
	}
	return text
}
