package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/test/client"
	"github.com/coffer-registry/coffer/test/faults/history"
)

// Repositories of the load. In the last one tags are immutable.
var (
	repositories    = []string{"load/a", "load/b", "load/fixed"}
	fixedRepository = repositories[len(repositories)-1]
)

// entry is a way to the registry: a proxy, or one of the servers.
type entry struct {
	name  string
	proxy bool
	*client.Client
}

// load is what asks the registry for things, and notes what it answers.
type load struct {
	t       *testing.T
	log     *history.Log
	entries []entry
	known   *directory
	answers answers
	common  []client.Blob // layers that many images have
	// patience bounds each request. Requests that are given up may still have their effect.
	patience []time.Duration
	// forgotten is how many requests were sent before the changes that the clients remember.
	forgotten int64
}

func newLoad(t *testing.T, seed uint64, entries ...entry) *load {
	l := &load{t: t, log: history.NewLog(), entries: entries, known: newDirectory(),
		common:   client.CommonLayers(rand.New(rand.NewPCG(seed, 2)), 8),
		patience: []time.Duration{3 * time.Second, 15 * time.Second, 45 * time.Second}}
	for _, e := range entries {
		t.Cleanup(e.Close)
	}
	return l
}

// prepare signs in by all ways and makes the repositories. Nothing fails yet.
func (l *load) prepare() {
	l.t.Helper()
	for _, e := range l.entries {
		if err := e.Login(l.t.Context()); err != nil {
			l.t.Fatalf("sign in by %s: %v", e.name, err)
		}
	}
	for _, name := range repositories {
		mutability := "MUTABLE"
		if name == fixedRepository {
			mutability = "IMMUTABLE"
		}
		client.Must(l.t, http.StatusOK)(l.entries[0].ECR(l.t.Context(), "CreateRepository", map[string]any{"repositoryName": name, "imageTagMutability": mutability}, nil))
	}
}

// run runs workers until the context ends, and lets them finish what they began.
func (l *load) run(ctx context.Context, seed uint64, workers int) {
	var all sync.WaitGroup
	for i := range workers {
		w := &worker{load: l, name: fmt.Sprintf("w%d", i), r: rand.New(rand.NewPCG(seed, uint64(100+i)))}
		all.Go(func() {
			for ctx.Err() == nil {
				w.step()
			}
		})
	}
	all.Wait()
}

// check fails the test for each violation of the history, and for each answer that must not be given.
func (l *load) check() {
	l.t.Helper()
	ops := l.log.Ops()
	l.t.Logf("%d requests: %s", len(ops), history.Counts(ops))
	l.answers.report(l.t)
	violations := history.Check(ops, map[string]bool{fixedRepository: true})
	for i, v := range violations {
		if i == mostViolations {
			l.t.Errorf("and %d more", len(violations)-i)
			break
		}
		l.t.Errorf("%v", v)
	}
}

// mostViolations bounds what is printed.
const mostViolations = 10

// worker does one thing after the other.
type worker struct {
	*load
	name  string
	r     *rand.Rand
	count int
}

// step does one thing.
func (w *worker) step() {
	repository := repositories[w.r.IntN(len(repositories))]
	fixed := repository == fixedRepository
	switch n := w.r.IntN(100); {
	case n < 22:
		w.pushNew(repository)
	case n < 27:
		w.retag(repository)
	case n < 30:
		w.pushAgain(repository)
	case n < 50:
		w.readTag(repository, w.known.tag(w.r, repository))
	case n < 62:
		w.readImage(repository, w.known.digest(w.r, repository))
	case n < 75:
		w.readLayer(repository, w.known.layer(w.r, repository))
	case n < 80:
		w.list(repository)
	case n < 83:
		w.names(repository)
	case n < 87 && !fixed:
		w.deleteTag(repository, w.known.tag(w.r, repository))
	default:
		if !fixed {
			w.deleteImage(repository, w.known.digest(w.r, repository))
		}
	}
}

// sent is a request with its answer, as far as it came.
type sent struct {
	op       *history.Op
	answer   client.Answer
	answered bool // there is an answer that says what happened
	via      string
	begin    time.Duration
}

// request asks one of the clients of the registry for something.
type request func(context.Context, *client.Client) (client.Answer, error)

// ask sends a request by a way that is drawn. What it is to be noted as is nil if it isn't.
func (w *worker) ask(op *history.Op, send request) sent {
	return w.askBy(w.entries[w.r.IntN(len(w.entries))], op, send)
}

func (w *worker) askBy(e entry, op *history.Op, send request) sent {
	s := sent{via: w.name + " by " + e.name}
	if op != nil {
		op.By = s.via
		s.op = w.log.Begin(*op)
	}
	s.begin = w.log.Now()
	ctx, cancel := context.WithTimeout(context.Background(), w.patience[w.r.IntN(len(w.patience))])
	defer cancel()
	var err error
	s.answer, err = send(ctx, e.Client)
	w.answers.note(w.log.Now(), s.via, e, s.answer, err)
	s.answered = err == nil && s.answer.Status < http.StatusInternalServerError
	if s.answered {
		return s
	}
	if op != nil {
		w.unanswered(s.op, s.answer, err)
	}
	if err != nil {
		<-time.After(time.Duration(w.r.IntN(int(100 * time.Millisecond)))) // Nobody asks a server that is gone all the time.
	}
	return s
}

// unanswered notes that a request may or may not have had an effect. One that never reached anybody had none.
func (l *load) unanswered(op *history.Op, a client.Answer, err error) {
	var network *net.OpError
	if errors.As(err, &network) && network.Op == "dial" {
		l.log.End(op, func(op *history.Op) { op.Outcome, op.Answer = history.Refused, "nobody listens" })
		return
	}
	l.log.Note(op, brief(a, err))
}

// end notes the answer to a request.
func (s sent) end(l *load, outcome history.Outcome) {
	l.log.End(s.op, func(op *history.Op) { op.Outcome, op.Answer = outcome, brief(s.answer, nil) })
}

// saw notes what the answer to a request tells besides.
func (s sent) saw(l *load, op history.Op) {
	op.Begin, op.By, op.Outcome = s.begin, s.via, history.Done
	if op.Answer == "" {
		op.Answer = brief(s.answer, nil)
	}
	l.log.Add(op)
}

// brief is an answer in a few words.
func brief(a client.Answer, err error) string {
	if err != nil {
		text := err.Error()
		return text[max(0, len(text)-80):]
	}
	return fmt.Sprintf("%d %s", a.Status, a.Code())
}
