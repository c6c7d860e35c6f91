package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// interrupted is the context of child processes, which end by being killed.
var interrupted = context.Background()

const crashTable = `CREATE TABLE IF NOT EXISTS ack (id BIGINT NOT NULL PRIMARY KEY, body BYTEA NOT NULL)`

// childInsert inserts rows from several goroutines, prints the id of each once it is acknowledged, and never ends. Each
// transaction inserts a row and its twin, whose id is negative.
func childInsert() {
	db, err := Open(interrupted, os.Getenv(childFolder), Options{})
	if err != nil {
		os.Stdout.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	var first int64
	err = db.Update(interrupted, func(tx *Tx) error {
		if _, err := tx.Exec(crashTable); err != nil {
			return err
		}
		return tx.QueryRow(`SELECT coalesce(max(id), 0) FROM ack`).Scan(&first)
	})
	if err != nil {
		os.Stdout.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for g := range int64(8) {
		wg.Go(func() {
			body := make([]byte, 700)
			for id := first + 1 + g; ; id += 8 {
				err := db.Update(interrupted, func(tx *Tx) error {
					if _, err := tx.Exec(`INSERT INTO ack (id, body) VALUES ($1, $2)`, id, body); err != nil {
						return err
					}
					_, err := tx.Exec(`INSERT INTO ack (id, body) VALUES ($1, $2)`, -id, body)
					if err == nil && id%7 == 0 {
						return errors.New("every seventh fails")
					}
					return err
				})
				if err == nil {
					os.Stdout.WriteString(strconv.FormatInt(id, 10) + "\n")
				}
			}
		})
	}
	wg.Wait()
}

// TestKilled kills a process in the middle of its Updates, again and again: what it acknowledged is there, and nothing
// is there by half.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[int64]bool{}
	for round := range 20 {
		for _, id := range killedInserts(t, dir) {
			acknowledged[id] = true
		}
		present := map[int64]bool{}
		db, err := Open(t.Context(), dir, Options{})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		err = db.View(t.Context(), func(tx *Tx) error {
			var verdict string
			if err := tx.QueryRow(`SELECT integrity_check FROM pragma_integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
				return fmt.Errorf("integrity: %s, %w", verdict, err)
			}
			rows, err := tx.Query(`SELECT id FROM ack`)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var id int64
				if err := rows.Scan(&id); err != nil {
					return err
				}
				present[id] = true
			}
			return rows.Err()
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		for id := range acknowledged {
			if !present[id] {
				t.Errorf("round %d: %d was acknowledged and is lost", round, id)
			}
		}
		for id := range present {
			if !present[-id] || id%7 == 0 {
				t.Errorf("round %d: %d is there alone, or failed", round, id)
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d rows acknowledged", len(acknowledged))
}

// killedInserts runs a child that inserts, kills it at a random instant after its first acknowledgements, and returns
// all that it acknowledged.
func killedInserts(t *testing.T, dir string) []int64 {
	cmd := child(t, "insert", dir)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var list []int64
	killAt := rand.IntN(2000)
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		id, err := strconv.ParseInt(strings.TrimSpace(lines.Text()), 10, 64)
		if err != nil {
			cmd.Process.Kill()
			t.Fatalf("the child says %q", lines.Text())
		}
		list = append(list, id)
		if len(list) == killAt+1 {
			time.AfterFunc(time.Duration(rand.IntN(2000))*time.Microsecond, func() { cmd.Process.Signal(syscall.SIGKILL) })
		}
	}
	cmd.Wait()
	return list
}
