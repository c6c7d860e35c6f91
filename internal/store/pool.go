package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// pool is connections that are taken and put back. The one used last is given out first, since its caches are warm.
type pool[C interface{ close() error }] struct {
	connect func(context.Context) (C, error)
	// places has room for each connection that may be in use; closed is closed with the pool.
	places chan struct{}
	closed chan struct{}

	mu   sync.Mutex
	idle []C
}

func (p *pool[C]) init(size int, connect func(context.Context) (C, error)) {
	p.connect, p.places, p.closed = connect, make(chan struct{}, size), make(chan struct{})
}

func (p *pool[C]) take(ctx context.Context) (c C, err error) {
	var none C
	if err := ctx.Err(); err != nil {
		return none, err
	}
	select {
	case p.places <- struct{}{}:
	default:
		select {
		case p.places <- struct{}{}:
		case <-p.closed:
			return none, ErrClosed
		case <-ctx.Done():
			return none, ctx.Err()
		}
	}
	c, err = p.pop(ctx)
	if err != nil {
		<-p.places
		return none, err
	}
	return c, nil
}

func (p *pool[C]) pop(ctx context.Context) (C, error) {
	var none C
	select {
	case <-p.closed:
		return none, ErrClosed
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
	c, err := p.connect(ctx)
	if err != nil {
		return none, fmt.Errorf("open a connection to the database: %w", err)
	}
	return c, nil
}

// claim takes the idle connection that was put back first of those that match, if there is one. It opens none and never waits.
func (p *pool[C]) claim(match func(C) bool) (c C, ok bool) {
	select {
	case p.places <- struct{}{}:
	default: // All are in use.
		return c, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.idle, match)
	if i < 0 {
		<-p.places
		return c, false
	}
	c = p.idle[i]
	p.idle = slices.Delete(p.idle, i, i+1)
	return c, true
}

// has reports whether an idle connection matches.
func (p *pool[C]) has(match func(C) bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.idle, match)
}

func (p *pool[C]) put(c C) {
	p.mu.Lock()
	p.idle = append(p.idle, c)
	p.mu.Unlock()
	<-p.places
}

// close waits until no connection is in use and closes them all.
func (p *pool[C]) close() error {
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

// discard gives up a connection that is no longer good, in place of putting it back, and all that are idle with it: what
// ended one has likely ended the others.
func (p *pool[C]) discard(c C) {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	c.close()
	for _, other := range idle {
		other.close()
	}
	<-p.places
}

// inUse is how many connections are used at the moment.
func (p *pool[C]) inUse() int { return len(p.places) }

// open is how many connections there are.
func (p *pool[C]) open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle) + len(p.places)
}
