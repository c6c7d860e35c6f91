package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// pool is the connections that read. The one used last is given out first, since its page cache is warm.
type pool struct {
	connect func() (*conn, error)
	// places has room for each connection that may be in use; closed is closed with the pool.
	places chan struct{}
	closed chan struct{}

	mu   sync.Mutex
	idle []*conn
}

func (p *pool) init(size int, connect func() (*conn, error)) {
	p.connect, p.places, p.closed = connect, make(chan struct{}, size), make(chan struct{})
}

func (p *pool) take(ctx context.Context) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case p.places <- struct{}{}:
	default:
		select {
		case p.places <- struct{}{}:
		case <-p.closed:
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	c, err := p.pop()
	if err != nil {
		<-p.places
		return nil, err
	}
	return c, nil
}

func (p *pool) pop() (*conn, error) {
	select {
	case <-p.closed:
		return nil, ErrClosed
	default:
	}
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	c, err := p.connect()
	if err != nil {
		return nil, fmt.Errorf("open the database to read: %w", err)
	}
	return c, nil
}

func (p *pool) put(c *conn) {
	p.mu.Lock()
	p.idle = append(p.idle, c)
	p.mu.Unlock()
	<-p.places
}

// close waits until no connection is in use and closes them all.
func (p *pool) close() error {
	close(p.closed)
	for range cap(p.places) {
		p.places <- struct{}{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, c := range p.idle {
		errs = append(errs, c.close())
	}
	p.idle = nil
	return errors.Join(errs...)
}
