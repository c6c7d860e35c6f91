package job_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/coffer-registry/coffer/internal/job"
	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/pgtest"
	"github.com/coffer-registry/coffer/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Around(m)) }

// servers are runners on one database.
func servers(t *testing.T, count int, c job.Config) []*job.Runner {
	t.Helper()
	dir := t.TempDir()
	var all []*job.Runner
	for range count {
		db := storetest.OpenShared(t, dir, store.Options{})
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		c.DB = db
		all = append(all, job.New(c))
	}
	return all
}

// run has all do a job until enough says so.
func run(t *testing.T, all []*job.Runner, j job.Job, enough <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var running sync.WaitGroup
	for _, r := range all {
		running.Go(func() { r.Run(ctx, j) })
	}
	select {
	case <-enough:
	case <-ctx.Done():
		t.Error("it took too long")
	}
	cancel()
	running.Wait()
}

// Of several servers one at a time does the work.
func TestOneAtATime(t *testing.T) {
	const times = 20
	var now, done atomic.Int64
	enough := make(chan struct{})
	run(t, servers(t, 3, job.Config{}), job.Job{Name: "work", Every: time.Millisecond, Do: func(context.Context) error {
		if now.Add(1) != 1 {
			t.Error("two at a time")
		}
		defer now.Add(-1)
		if done.Add(1) == times {
			close(enough)
		}
		return nil
	}}, enough)
}

// Work is not done again before its time, whichever server asks.
func TestNoMoreOften(t *testing.T) {
	all := servers(t, 2, job.Config{})
	var mu sync.Mutex
	var at []time.Time
	enough := make(chan struct{})
	const every = 300 * time.Millisecond
	run(t, all, job.Job{Name: "work", Every: every, Do: func(context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		if at = append(at, time.Now()); len(at) == 4 {
			close(enough)
		}
		return nil
	}}, enough)
	for i := 1; i < len(at); i++ {
		// What counts is when the work was taken, a moment before it begins.
		if gap := at[i].Sub(at[i-1]); gap < every/2 {
			t.Errorf("run %d came after %v", i, gap)
		}
	}
}

// What a server that is gone held is done by another once its time is over, and what one did that ended is noted.
func TestTakesOver(t *testing.T) {
	all := servers(t, 2, job.Config{Hold: 400 * time.Millisecond, Retry: 10 * time.Millisecond})
	first, second := all[0], all[1]
	db := second.DB
	began := make(chan struct{})
	stuck, release := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { <-stuck.Done(); cancel() }()
		first.Run(ctx, job.Job{Name: "work", Every: time.Millisecond, Do: func(context.Context) error {
			close(began)
			// A server that is gone prolongs nothing.
			if err := first.DB.Close(); err != nil {
				t.Error(err)
			}
			<-stuck.Done()
			return nil
		}})
	}()
	<-began
	enough := make(chan struct{})
	fail := errors.New("broken")
	run(t, []*job.Runner{second}, job.Job{Name: "work", Every: time.Millisecond, Do: func(context.Context) error {
		select {
		case <-enough:
		default:
			close(enough)
		}
		return fail
	}}, enough)
	release()
	<-ended
	var fault string
	err := db.View(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT fault FROM job WHERE name = 'work'`).Scan(&fault)
	})
	if err != nil || fault != "" && fault != fail.Error() {
		t.Errorf("fault %q, error %v", fault, err)
	}
}

// A server whose work another has taken over is told to end it.
func TestLost(t *testing.T) {
	r := servers(t, 1, job.Config{Hold: 400 * time.Millisecond})[0]
	runs := make(chan job.Run, 1)
	r.Observe = func(run job.Run) {
		select {
		case runs <- run:
		default:
		}
	}
	enough := make(chan struct{})
	var once sync.Once
	run(t, []*job.Runner{r}, job.Job{Name: "work", Every: time.Millisecond, Do: func(ctx context.Context) error {
		err := r.DB.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE job SET holder = 'another' WHERE name = 'work'`)
			return err
		})
		if err != nil {
			t.Error(err)
		}
		<-ctx.Done()
		once.Do(func() { close(enough) })
		return ctx.Err()
	}}, enough)
	if got := <-runs; got.Err == nil {
		t.Error("a run that was ended counts as done")
	}
}

// An interval that is shorter than it was counts from when the work was last begun, or first known, also for a server that
// was just started.
func TestIntervalShortened(t *testing.T) {
	var ahead time.Duration
	r := servers(t, 1, job.Config{})[0]
	r.Now = func() time.Time { return r.DB.Now().Add(ahead) }
	err := r.DB.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO job (name, due_at, holder, held_until, started_at, fault) VALUES ('work', $1, '', 0, $2, '')`,
			r.Now().Add(time.Hour), r.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, life := range []struct{ ahead, every time.Duration }{
		{2 * time.Minute, time.Minute},
		{10 * time.Minute, time.Hour},
		{40 * time.Minute, 20 * time.Minute},
	} {
		ahead = life.ahead
		enough := make(chan struct{})
		var once sync.Once
		run(t, []*job.Runner{r}, job.Job{Name: "work", Every: life.every, Do: func(context.Context) error {
			once.Do(func() { close(enough) })
			return nil
		}}, enough)
	}
}
