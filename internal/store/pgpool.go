package store

import (
	"sync"
	"time"
)

// pgPool is connections to PostgreSQL, some of which still have the transaction open of a View that has ended. Most often such a
// connection is used again at once, and the transaction ends in the round trip that begins the next; else it is ended after a moment.
type pgPool struct {
	pool[*pgConn]
	mu    sync.Mutex
	timer *time.Timer // nil unless endViews is to be called
}

// linger is for how long the transaction of a View may stay open after its end.
const linger = 20 * time.Millisecond

// leave ends a View, for which its caller needn't wait.
func (p *pgPool) leave(s *pgTx) {
	if s.begin != "" || s.c.c.IsClosed() || s.c.c.TxStatus() != 'T' {
		s.rollback()
		s.giveBack(p)
		return
	}
	s.c.lingers = time.Now()
	p.put(s.c)
	p.later()
}

// later sees to it that transactions that linger are ended in time.
func (p *pgPool) later() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer == nil {
		p.timer = time.AfterFunc(linger, p.endViews)
	}
}

// endViews ends the transactions that have lingered for long enough.
func (p *pgPool) endViews() {
	p.mu.Lock()
	p.timer = nil
	p.mu.Unlock()
	now := time.Now()
	for {
		c, ok := p.claim(func(c *pgConn) bool { return !c.lingers.IsZero() && now.Sub(c.lingers) >= linger })
		if !ok {
			break
		}
		if err := c.endView(); err != nil {
			p.discard(c)
			continue
		}
		p.put(c)
	}
	if p.has(func(c *pgConn) bool { return !c.lingers.IsZero() }) {
		p.later()
	}
}
