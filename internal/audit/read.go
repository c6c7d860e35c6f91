package audit

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"github.com/klauspost/compress/zstd"

	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

// maxSegment bounds what a segment may unpack to, in bytes.
const maxSegment = 256 << 20

// Reader reads the trail back.
type Reader struct {
	db  *store.DB
	key seal.Key
	dec *zstd.Decoder
}

// NewReader returns a reader of the trail that was sealed under key. Close it.
func NewReader(db *store.DB, key seal.Key) (*Reader, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxSegment))
	if err != nil {
		return nil, fmt.Errorf("start the decompression of the trail: %w", err)
	}
	return &Reader{db: db, key: key, dec: dec}, nil
}

// Close releases the reader's memory.
func (r *Reader) Close() { r.dec.Close() }

// Segment is a row of the trail: one record or several, oldest first.
type Segment struct {
	ID      int64
	Account string
	Region  string
	// Count is how many records the row claims to hold.
	Count int
	body  []byte
}

// Records yields each record as a JSON object.
func (s Segment) Records() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for line := range bytes.Lines(s.body) {
			if !yield(bytes.TrimSuffix(line, []byte("\n"))) {
				return
			}
		}
	}
}

// After returns up to limit segments with ids above after, in order of ids. Ids follow time to within a few
// milliseconds, not exactly: who follows the trail reads the last moments again.
func (r *Reader) After(ctx context.Context, after int64, limit int) ([]Segment, error) {
	return r.list(ctx, `SELECT id, account, region, records, body FROM audit WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
}

// Last returns the newest segments, oldest first.
func (r *Reader) Last(ctx context.Context, limit int) ([]Segment, error) {
	return r.list(ctx, `SELECT id, account, region, records, body FROM
		(SELECT id, account, region, records, body FROM audit ORDER BY id DESC LIMIT $1) AS newest ORDER BY id`, limit)
}

func (r *Reader) list(ctx context.Context, query string, args ...any) ([]Segment, error) {
	var segments []Segment
	err := r.db.View(ctx, func(tx *store.Tx) error {
		segments = nil
		rows, err := tx.Query(query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var s Segment
			var sealed []byte
			if err := rows.Scan(&s.ID, &s.Account, &s.Region, &s.Count, &sealed); err != nil {
				return err
			}
			if s.body, err = r.open(s, sealed); err != nil {
				return err
			}
			segments = append(segments, s)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("read the trail: %w", err)
	}
	return segments, nil
}

func (r *Reader) open(s Segment, sealed []byte) ([]byte, error) {
	body, err := seal.OpenBytes(r.key, segmentContext(s.ID, scope{s.Account, s.Region}), sealed)
	if err != nil {
		return nil, fmt.Errorf("segment %d was altered: %w", s.ID, err)
	}
	if len(body) == 0 {
		return nil, fmt.Errorf("segment %d is empty", s.ID)
	}
	switch body[0] {
	case encodingPlain:
		return body[1:], nil
	case encodingZstd:
		plain, err := r.dec.DecodeAll(body[1:], nil)
		if err != nil {
			return nil, fmt.Errorf("unpack segment %d: %w", s.ID, err)
		}
		return plain, nil
	}
	return nil, fmt.Errorf("segment %d has the unknown encoding %d", s.ID, body[0])
}
