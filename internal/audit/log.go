// Package audit is the trail: each request leaves one record in CloudTrail's record format.
//
// A change's record is appended in the change's own transaction, so neither exists without the other. Records of reads
// and of refusals are gathered for a moment and written together; when they can't be written, at most a bounded number
// waits, and then requests are refused rather than left unrecorded. Records are sealed at rest, since they name who did
// what, and carry manifests. The package doesn't know what an operation means: edges fill the record.
package audit

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

// ErrBacklog means that the trail can't be written at the moment and no more records may wait: refuse the request.
var ErrBacklog = errors.New("the audit trail can't be written, and too many records wait")

const (
	flushEvery = time.Second
	flushBytes = 1 << 20  // a segment is written as soon as it is this large
	maxPending = 16 << 20 // bytes of records that may wait in memory

	encodingPlain = 0
	encodingZstd  = 1
	// compressAbove is the size from which a segment is compressed: below, it costs more than it saves.
	compressAbove = 2 << 10
)

// Log appends records to the trail. It is safe for concurrent use.
type Log struct {
	db  *store.DB
	key seal.Key
	enc *zstd.Encoder

	mu      sync.Mutex
	pending map[scope]*segment
	waiting int // bytes pending or being written
	wake    chan struct{}
	// flushing is held by the one who writes noted records.
	flushing chan struct{}
}

type scope struct{ account, region string }

// segment is a row of the trail in the making: records as JSON, each followed by a line break.
type segment struct {
	scope
	first, last time.Time
	records     int
	body        []byte
}

// New returns the trail of db, sealed under key.
func New(db *store.DB, key seal.Key) (*Log, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("start the compression of the trail: %w", err)
	}
	return &Log{db: db, key: key, enc: enc, pending: map[scope]*segment{}, wake: make(chan struct{}, 1),
		flushing: make(chan struct{}, 1)}, nil
}

// Append writes the record of a change in the change's transaction.
func (l *Log) Append(tx *store.Tx, r *Record) error {
	s := segment{scope: scope{r.Account, r.Region}}
	s.add(r)
	return l.insert(tx, &s)
}

// Note takes the record of a request that changed nothing; it is on disk about a second later. The error is ErrBacklog.
func (l *Log) Note(r *Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting > maxPending {
		return ErrBacklog
	}
	key := scope{r.Account, r.Region}
	s := l.pending[key]
	if s == nil {
		s = &segment{scope: key}
		l.pending[key] = s
	}
	before := len(s.body)
	s.add(r)
	l.waiting += len(s.body) - before
	if len(s.body) >= flushBytes {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// Run writes noted records until ctx ends, and then what is left. It returns the error of that last write; earlier
// errors go to report, and the records are kept for the next try.
func (l *Log) Run(ctx context.Context, report func(error)) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return l.Flush(context.WithoutCancel(ctx))
		case <-tick.C:
		case <-l.wake:
		}
		if err := l.Flush(ctx); err != nil && ctx.Err() == nil {
			report(err)
		}
	}
}

// Flush writes all noted records, those included that another Flush is about to write. On an error they stay noted.
func (l *Log) Flush(ctx context.Context) error {
	select {
	case l.flushing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-l.flushing }()
	l.mu.Lock()
	taken := l.pending
	l.pending = map[scope]*segment{}
	l.mu.Unlock()
	var errs []error
	for _, s := range taken {
		err := l.db.Update(ctx, func(tx *store.Tx) error { return l.insert(tx, s) })
		l.mu.Lock()
		if err != nil {
			errs = append(errs, fmt.Errorf("write %d records of the trail: %w", s.records, err))
			l.putBack(s)
		} else {
			l.waiting -= len(s.body)
		}
		l.mu.Unlock()
	}
	return errors.Join(errs...)
}

func (l *Log) putBack(s *segment) {
	if newer := l.pending[s.scope]; newer != nil {
		s.body = append(s.body, newer.body...)
		s.records += newer.records
		s.last = newer.last
	}
	l.pending[s.scope] = s
}

func (s *segment) add(r *Record) {
	if s.records == 0 {
		s.first = r.Time
		if s.body == nil {
			s.body = make([]byte, 0, 1536)
		}
	}
	s.last = r.Time
	s.records++
	s.body = append(r.appendJSON(s.body), '\n')
}

func (l *Log) insert(tx *store.Tx, s *segment) error {
	id := l.db.NewID()
	sealed, err := seal.SealBytes(l.key, segmentContext(id, s.scope), l.encode(s.body))
	if err != nil {
		return err
	}
	return tx.Send(`INSERT INTO audit (id, account, region, first_time, last_time, records, body) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		id, s.account, s.region, s.first.UnixMicro(), s.last.UnixMicro(), s.records, sealed)
}

func (l *Log) encode(body []byte) []byte {
	if len(body) < compressAbove {
		return append([]byte{encodingPlain}, body...)
	}
	return l.enc.EncodeAll(body, []byte{encodingZstd})
}

// segmentContext binds a sealed segment to its row.
func segmentContext(id int64, s scope) []byte {
	b := binary.BigEndian.AppendUint64([]byte("trail\x00"), uint64(id))
	b = append(b, s.account...)
	b = append(b, 0)
	return append(b, s.region...)
}
