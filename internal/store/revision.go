package store

import (
	"context"
	"fmt"
	"sync"
)

// subscribers are told of topics that changed. The zero value has none.
type subscribers struct {
	mu   sync.RWMutex
	list []func(topic string)
	// seen is the number of the last change that was told of by Poll.
	seen int64
}

func (s *subscribers) tell(topic string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, fn := range s.list {
		fn(topic)
	}
}

// Subscribe has fn called with the topic of each change that a transaction touches: after its commit and before Update
// returns when it is of this process, and by Poll when it is of another. fn must be quick, use no database and bear to be
// called more often than there are changes; caches drop what they hold.
func (db *DB) Subscribe(fn func(topic string)) {
	db.subscribers.mu.Lock()
	defer db.subscribers.mu.Unlock()
	db.subscribers.list = append(db.subscribers.list, fn)
}

// Touch notes in the transaction that what a topic stands for changes with it.
func (tx *Tx) Touch(topic string) error {
	_, err := tx.Exec(`INSERT INTO revision (topic, number) SELECT $1, coalesce(max(number), 0) + 1 FROM revision WHERE true
		ON CONFLICT (topic) DO UPDATE SET number = excluded.number`, topic)
	if err != nil {
		return fmt.Errorf("note a change of %s: %w", topic, err)
	}
	if tx.batch != nil {
		s := tx.batch.subscribers
		tx.OnCommit(func() { s.tell(topic) })
	}
	return nil
}

// Poll tells the subscribers what other processes changed since the last call. Calling it each half second makes a change
// known to all within one.
func (db *DB) Poll(ctx context.Context) error {
	db.subscribers.mu.RLock()
	seen := db.subscribers.seen
	db.subscribers.mu.RUnlock()
	var topics []string
	last := seen
	err := db.View(ctx, func(tx *Tx) error {
		topics, last = nil, seen
		rows, err := tx.Query(`SELECT topic, number FROM revision WHERE number > $1 ORDER BY number`, seen)
		if err != nil {
			return err
		}
		topics, err = Collect(rows, func(row Scanner) (topic string, err error) { return topic, row.Scan(&topic, &last) })
		return err
	})
	if err != nil {
		return fmt.Errorf("look for changes: %w", err)
	}
	for _, topic := range topics {
		db.subscribers.tell(topic)
	}
	db.subscribers.mu.Lock()
	defer db.subscribers.mu.Unlock()
	db.subscribers.seen = max(db.subscribers.seen, last)
	return nil
}
