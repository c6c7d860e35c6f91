package blob

import (
	"context"
	"slices"
	"sync"
	"time"
)

// budget is the memory that all uploads share, in buffers of one for each.
//
// A buffer begins small and grows. While memory is plenty it grows at once, up to a reserve. Beyond that, an upload waits
// for its turn and then gets all that a part takes, so that it needs no more until the part is sent: those who wait hold
// nothing that those who go first need, and nobody waits for ever. Who doesn't fill a buffer in slowTime while others wait
// loses it.
type budget struct {
	total, reserve int64
	now            func() time.Time

	mu      sync.Mutex
	used    int64
	idle    [][]byte // slabs that are kept for the next who need one
	queue   []*ticket
	holders map[*buffer]bool
	peak    int64 // the most that was used and idle at once
}

// slowTime is how long an upload may hold a buffer without filling it while others wait.
const slowTime = 30 * time.Second

const (
	firstBuffer = 64 << 10
	// largestHeap is the largest buffer of the Go heap. Larger ones are whole parts and lie outside of it, where the
	// collector does not count them twice.
	largestHeap = 1 << 20
)

// ticket is a place in the queue.
type ticket struct {
	size, had int
	slab      []byte
	granted   chan struct{}
}

func (t *ticket) more() int64 { return int64(t.size - t.had) }

// buffer is the memory of an upload. Its fields belong to the upload's lock, but for since and lose, which don't change.
type buffer struct {
	bytes []byte
	n     int // how many are filled
	since time.Time
	// lose takes the buffer from its upload, unless it is being sent or waits to grow.
	lose func()
}

func newBudget(total int64) *budget {
	return &budget{total: total, reserve: max(total/4, int64(partSize(maxParts))), now: time.Now, holders: map[*buffer]bool{}}
}

// first makes an empty buffer, which takes memory when it grows.
func (b *budget) first(lose func()) *buffer { return &buffer{since: b.now(), lose: lose} }

// grown is the size that a buffer should have next to hold need bytes: part if it has more than small buffers hold.
func grown(need, part int) int {
	size := firstBuffer
	for size < need {
		size *= 2
	}
	if size > largestHeap {
		return part
	}
	return size
}

// grow makes a buffer larger, for at least need bytes, up to a part. The error is that of ctx.
func (b *budget) grow(ctx context.Context, f *buffer, need, part int) error {
	size := grown(need, part)
	grown, ok := b.try(size, len(f.bytes))
	if !ok {
		size = part
		var err error
		if grown, err = b.wait(ctx, size, len(f.bytes)); err != nil {
			return err
		}
	}
	if grown == nil {
		grown = allocate(size)
	}
	old := f.bytes
	f.bytes = grown
	copy(f.bytes, old[:f.n])
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keep(old)
	b.holders[f] = true
	return nil
}

// try takes memory if there is plenty, for a buffer of size bytes that has had some. It may come with the memory itself.
func (b *budget) try(size, had int) (slab []byte, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) > 0 || b.used+int64(size-had) > b.total-b.reserve {
		return nil, false
	}
	return b.take(size, had), true
}

func (b *budget) take(size, had int) (slab []byte) {
	if last := len(b.idle) - 1; last >= 0 && size == smallestPart {
		slab, b.idle = b.idle[last], b.idle[:last]
	}
	b.used += int64(size - had)
	for last := len(b.idle) - 1; last >= 0 && b.resident() > b.total; last-- {
		unmap(b.idle[last])
		b.idle = b.idle[:last]
	}
	b.peak = max(b.peak, b.resident())
	return slab
}

// resident is the memory that is in use or kept.
func (b *budget) resident() int64 { return b.used + int64(len(b.idle))*smallestPart }

// wait takes memory when it is this caller's turn.
func (b *budget) wait(ctx context.Context, size, had int) (slab []byte, err error) {
	t := &ticket{size: size, had: had, granted: make(chan struct{})}
	b.mu.Lock()
	b.queue = append(b.queue, t)
	b.serve()
	next := b.nextSlow()
	b.mu.Unlock()
	timer := time.NewTimer(next)
	defer timer.Stop()
	for {
		select {
		case <-t.granted:
			return t.slab, nil
		case <-ctx.Done():
			b.giveUp(t)
			return nil, context.Cause(ctx)
		case <-timer.C:
			timer.Reset(b.takeFromSlow())
		}
	}
}

// serve gives memory to those who wait, in their order.
func (b *budget) serve() {
	for len(b.queue) > 0 && b.used+b.queue[0].more() <= b.total {
		t := b.queue[0]
		t.slab = b.take(t.size, t.had)
		close(t.granted)
		b.queue = b.queue[1:]
	}
}

func (b *budget) giveUp(t *ticket) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.queue, t); i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
	} else {
		b.used -= t.more() // it was granted meanwhile
		b.keep(t.slab)
	}
	b.serve()
}

// nextSlow is how long it takes until someone holds a buffer for too long.
func (b *budget) nextSlow() time.Duration {
	next := slowTime
	for f := range b.holders {
		next = min(next, slowTime-b.now().Sub(f.since))
	}
	return max(next, time.Second)
}

// takeFromSlow takes the buffers from those who hold them for too long, and tells when to look again.
func (b *budget) takeFromSlow() time.Duration {
	b.mu.Lock()
	var slow []*buffer
	for f := range b.holders {
		if b.now().Sub(f.since) >= slowTime {
			slow = append(slow, f)
		}
	}
	b.mu.Unlock()
	for _, f := range slow {
		f.lose()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.nextSlow()
}

// filled says that a buffer is not waiting for more bytes.
func (b *budget) filled(f *buffer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.holders, f)
}

// put gives a buffer's memory back.
func (b *budget) put(f *buffer) {
	if f == nil || f.bytes == nil {
		return
	}
	p := f.bytes
	f.bytes, f.n = nil, 0
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.holders, f)
	b.used -= int64(len(p))
	b.keep(p)
	b.serve()
}

var heapBuffers [5]sync.Pool // of firstBuffer, twice that, and so on to largestHeap

func heapClass(size int) int {
	for class := range heapBuffers {
		if size == firstBuffer<<class {
			return class
		}
	}
	return -1
}

// allocate finds memory for a size that was taken.
func allocate(size int) []byte {
	if class := heapClass(size); class >= 0 {
		if p, ok := heapBuffers[class].Get().(*[]byte); ok {
			return *p
		}
		return make([]byte, size)
	}
	return mapped(size)
}

// keep has memory ready for who needs it next, or gives it back.
func (b *budget) keep(p []byte) {
	class := heapClass(len(p))
	switch {
	case len(p) == 0:
	case class >= 0:
		heapBuffers[class].Put(&p)
	case len(p) == smallestPart && b.resident()+smallestPart <= b.total:
		b.idle = append(b.idle, p)
	default:
		unmap(p)
	}
}

// release unmaps what nobody uses.
func (b *budget) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.idle {
		unmap(p)
	}
	b.idle = nil
}
