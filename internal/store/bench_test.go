package store

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// benchFolder is a folder in memory where there is one, so that the program is measured and not the disk; the
// environment's COFFER_BENCH_DIR is another place.
func benchFolder(b *testing.B) string {
	parent := os.Getenv("COFFER_BENCH_DIR")
	if parent == "" {
		parent = "/dev/shm"
	}
	if _, err := os.Stat(parent); err != nil {
		return b.TempDir()
	}
	dir, err := os.MkdirTemp(parent, "coffer-bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func processorTime() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func benchDB(b *testing.B) *DB {
	db, err := Open(b.Context(), benchFolder(b), Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	err = db.Update(b.Context(), func(tx *Tx) error {
		_, err := tx.Exec(`CREATE TABLE bench (id BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, body BYTEA NOT NULL, n BIGINT NOT NULL)`)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return db
}

// parallel runs op from so many goroutines and reports processor time and latencies.
func parallel(b *testing.B, goroutines int, op func(i int64) error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	took := make([][]time.Duration, goroutines)
	b.ReportAllocs()
	b.ResetTimer()
	cpu := processorTime()
	for g := range goroutines {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				begun := time.Now()
				if err := op(i); err != nil {
					b.Error(err)
					return
				}
				took[g] = append(took[g], time.Since(begun))
			}
		})
	}
	wg.Wait()
	cpu = processorTime() - cpu
	b.StopTimer()
	all := slices.Concat(took...)
	slices.SortFunc(all, cmp.Compare[time.Duration])
	b.ReportMetric(float64(cpu.Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(all[len(all)-1].Microseconds()), "max-µs")
}

var benchBody = make([]byte, 300)

func insertBench(db *DB, b *testing.B) func(i int64) error {
	return func(i int64) error {
		return db.Update(b.Context(), func(tx *Tx) error {
			_, err := tx.Exec(`INSERT INTO bench (id, name, body, n) VALUES ($1, $2, $3, $4)`, i, fmt.Sprintf("name-%d", i), benchBody, i)
			return err
		})
	}
}

func BenchmarkUpdate(b *testing.B) {
	for _, goroutines := range []int{1, 4, 64} {
		b.Run(fmt.Sprintf("callers=%d", goroutines), func(b *testing.B) {
			db := benchDB(b)
			parallel(b, goroutines, insertBench(db, b))
		})
	}
}

func BenchmarkView(b *testing.B) {
	db := benchDB(b)
	const rows = 100_000
	err := db.Update(b.Context(), func(tx *Tx) error {
		for i := range int64(rows) {
			if _, err := tx.Exec(`INSERT INTO bench (id, name, body, n) VALUES ($1, $2, $3, $4)`, i, fmt.Sprintf("name-%d", i), benchBody, i); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	read := func(i int64) error {
		return db.View(b.Context(), func(tx *Tx) error {
			var name string
			var body []byte
			var n int64
			return tx.QueryRow(`SELECT name, body, n FROM bench WHERE id = $1`, i*7919%rows).Scan(&name, &body, &n)
		})
	}
	for _, goroutines := range []int{1, 16} {
		b.Run(fmt.Sprintf("callers=%d", goroutines), func(b *testing.B) { parallel(b, goroutines, read) })
	}
	b.Run("page of 100", func(b *testing.B) {
		parallel(b, 4, func(i int64) error {
			return db.View(b.Context(), func(tx *Tx) error {
				rows, err := tx.Query(`SELECT id, name FROM bench WHERE id > $1 ORDER BY id LIMIT 100`, i*7919%rows)
				if err != nil {
					return err
				}
				defer rows.Close()
				var id int64
				var name string
				for rows.Next() {
					if err := rows.Scan(&id, &name); err != nil {
						return err
					}
				}
				return rows.Err()
			})
		})
	})
	b.Run("beside updates", func(b *testing.B) {
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := int64(rows); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := insertBench(db, b)(i + time.Now().UnixNano()); err != nil {
					b.Error(err)
					return
				}
			}
		})
		parallel(b, 4, read)
		close(stop)
		wg.Wait()
	})
}
