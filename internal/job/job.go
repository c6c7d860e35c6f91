// Package job does background work once, however many servers share the database: for each kind of work one server at a time, and
// no more often than its interval.
//
// A server that is to do a piece of work writes into the job's row that it holds it until some time, and prolongs that while it works;
// one that is killed loses it when that time comes, and another goes on. There is no leader. Times are those of the database's clock.
//
// A server that is cut off from the database stops its work before its time is over, but what it had begun may still end after another
// began: work bears to be done twice at once. It is not the package's job to know what the work is, nor to keep a queue of things to do:
// what is to be done is found in the tables.
package job

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/coffer-registry/coffer/internal/store"
)

// Job is a kind of work.
type Job struct {
	// Name is its key in the database, of words with hyphens.
	Name string
	// Every is how long after one run begins the next may, and how long after it is known the first.
	Every time.Duration
	// Due reports whether there may be something to do, without asking the database; nil is always.
	Due func() bool
	// Do does the work, until there is nothing more to do or ctx ends.
	Do func(ctx context.Context) error
}

// Config is what a Runner works with.
type Config struct {
	DB *store.DB
	// Now is the clock, which is to be that of the database for all servers; nil is DB.Now.
	Now func() time.Time
	Log *slog.Logger
	// Holder is the name of this server among those that share the database; empty is one of its own. Who has the name of a server
	// that was killed goes on with its work at once.
	Holder string
	// Hold is for how long work is held without news of whoever does it; 0 is 30 seconds.
	Hold time.Duration
	// Retry is how long after an error of the database it is tried again; 0 is a second.
	Retry time.Duration
	// Observe is told of each run; nil is nobody.
	Observe func(Run)
}

// Run is a run that ended.
type Run struct {
	Job  string
	Took time.Duration
	// Err is what it failed by, nil if it didn't.
	Err error
}

// Runner does jobs beside those of other servers.
type Runner struct{ Config }

// New returns a runner with a name of its own.
func New(c Config) *Runner {
	if c.Now == nil {
		c.Now = c.DB.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Holder == "" {
		c.Holder = rand.Text()
	}
	if c.Hold == 0 {
		c.Hold = 30 * time.Second
	}
	if c.Retry == 0 {
		c.Retry = time.Second
	}
	if c.Observe == nil {
		c.Observe = func(Run) {}
	}
	return &Runner{c}
}

// Run does a job whenever it is due, until ctx ends.
func (r *Runner) Run(ctx context.Context, j Job) {
	// The first time comes at random, so that servers that start together don't all ask at once.
	wait := mathrand.N(max(min(j.Every, time.Second), 1))
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if j.Due != nil && !j.Due() {
			wait = j.Every
			continue
		}
		var err error
		if wait, err = r.try(ctx, j); err != nil && ctx.Err() == nil {
			r.Log.Error("do background work", "job", j.Name, "error", err)
		}
	}
}

// try does a job if it is due and nobody else does it, and returns how long to wait before it is tried again.
func (r *Runner) try(ctx context.Context, j Job) (wait time.Duration, err error) {
	wait, err = r.take(ctx, j)
	if err != nil {
		return r.Retry, err
	}
	if wait > 0 {
		return wait, nil
	}
	begun := time.Now()
	err = r.hold(ctx, j)
	r.Observe(Run{Job: j.Name, Took: time.Since(begun), Err: err})
	if left := r.leave(ctx, j, err); left != nil {
		return r.Retry, errors.Join(err, left)
	}
	return j.Every, err
}

// take takes a job if it is due and nobody holds it. Otherwise it returns how long to wait.
func (r *Runner) take(ctx context.Context, j Job) (wait time.Duration, err error) {
	err = r.DB.Update(ctx, func(tx *store.Tx) error {
		now := r.Now()
		var due, begun, until time.Time
		var holder string
		err := tx.QueryRow(`SELECT due_at, coalesce(started_at, due_at), holder, held_until FROM job WHERE name = $1`, j.Name).
			Scan(&due, &begun, &holder, &until)
		if errors.Is(err, store.ErrNoRows) {
			// What was never begun counts from when it was first known.
			begun, due = now, now.Add(j.Every)
			_, err = tx.Exec(`INSERT INTO job (name, due_at, holder, held_until, started_at, fault) VALUES ($1, $2, '', 0, $3, '')`,
				j.Name, due, begun)
		}
		if err != nil {
			return err
		}
		if holder != "" && holder != r.Holder && until.After(now) {
			wait = min(until.Sub(now), max(j.Every, r.Retry))
			return nil
		}
		// An interval that was longer, or a clock that was ahead, is not waited for.
		if wait = min(due.Sub(now), begun.Add(j.Every).Sub(now), j.Every); wait > 0 {
			return nil
		}
		wait = 0
		_, err = tx.Exec(`UPDATE job SET holder = $1, held_until = $2, started_at = $3, due_at = $4 WHERE name = $5`,
			r.Holder, now.Add(r.Hold), now, now.Add(j.Every), j.Name)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("take job %s: %w", j.Name, err)
	}
	return wait, nil
}

// errLost means that another server does the work by now.
var errLost = errors.New("the work was not prolonged in time")

// hold does the work and prolongs the time that it is held for. It ends the work if it can't before that time comes.
func (r *Runner) hold(ctx context.Context, j Job) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	var prolonging sync.WaitGroup
	prolonging.Go(func() {
		last := time.Now()
		tick := time.NewTicker(r.Hold / 4)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			if err := r.prolong(ctx, j); err == nil {
				last = time.Now()
			} else if errors.Is(err, errLost) || time.Since(last) > r.Hold/2 {
				cancel(errLost)
				return
			}
		}
	})
	err := j.Do(ctx)
	close(done)
	prolonging.Wait()
	if errors.Is(context.Cause(ctx), errLost) {
		err = errors.Join(err, errLost)
	}
	return err
}

func (r *Runner) prolong(ctx context.Context, j Job) error {
	ctx, cancel := context.WithTimeout(ctx, r.Hold/4)
	defer cancel()
	return r.DB.Update(ctx, func(tx *store.Tx) error {
		n, err := tx.Exec(`UPDATE job SET held_until = $1 WHERE name = $2 AND holder = $3`, r.Now().Add(r.Hold), j.Name, r.Holder)
		if err == nil && n == 0 {
			return errLost
		}
		return err
	})
}

// leave gives the job up, with what came of it, also when the server is stopping.
func (r *Runner) leave(ctx context.Context, j Job, result error) error {
	fault := ""
	if result != nil && ctx.Err() == nil {
		fault = result.Error()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.Hold/4)
	defer cancel()
	err := r.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE job SET holder = '', held_until = 0, finished_at = $1, fault = $2 WHERE name = $3 AND holder = $4`,
			r.Now(), fault, j.Name, r.Holder)
		return err
	})
	if err != nil {
		return fmt.Errorf("leave job %s: %w", j.Name, err)
	}
	return nil
}
