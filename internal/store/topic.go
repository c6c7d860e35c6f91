package store

import "sync"

// Everything is the topic that stands for all: whoever hears of it forgets all that it remembers. It is told when changes of
// other processes may have been missed, such as after the connection to the database was lost.
const Everything = ""

// subscribers are told of topics that changed. The zero value has none.
type subscribers struct {
	mu   sync.RWMutex
	list []func(topic string)
}

func (s *subscribers) tell(topics ...string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, topic := range topics {
		for _, fn := range s.list {
			fn(topic)
		}
	}
}

// Subscribe has fn called with the topic of each change that a transaction touches: after its commit and before Update
// returns when it is of this process, and before Fresh returns whichever process it is of. fn must be quick, use no database and
// bear to be called more often than there are changes; caches drop what they hold. It must know Everything.
func (db *DB) Subscribe(fn func(topic string)) {
	db.subscribers.mu.Lock()
	defer db.subscribers.mu.Unlock()
	db.subscribers.list = append(db.subscribers.list, fn)
}

// Touch notes in the transaction that what a topic stands for changes with it. A topic is a text without line breaks and not
// Everything.
func (tx *Tx) Touch(topic string) error {
	if tx.subscribers == nil {
		return tx.fail("touch", topic, ErrReadOnly)
	}
	tx.topics = append(tx.topics, topic)
	return nil
}
