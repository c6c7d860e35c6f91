package audit

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/coffer-registry/coffer/internal/store"
)

// Check opens every segment of the trail and counts its records. It tells fault of each that is wrong, and read how many
// records a segment holds. The error is that of reading the database.
func (r *Reader) Check(ctx context.Context, fault func(string), read func(records int64)) error {
	for after := int64(0); ; {
		ids, err := r.ids(ctx, after)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			after = id
			n, err := r.checkSegment(ctx, id)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				fault(err.Error())
			}
			read(n)
		}
	}
}

func (r *Reader) ids(ctx context.Context, after int64) (ids []int64, err error) {
	err = r.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT id FROM audit WHERE id > $1 ORDER BY id LIMIT $2`, after, followPage)
		if err != nil {
			return err
		}
		ids, err = store.Collect(rows, store.Value[int64])
		return err
	})
	return ids, err
}

func (r *Reader) checkSegment(ctx context.Context, id int64) (records int64, err error) {
	segments, err := r.list(ctx, `SELECT id, account, region, records, body FROM audit WHERE id = $1`, id)
	if err != nil || len(segments) == 0 {
		return 0, err
	}
	for record := range segments[0].Records() {
		records++
		if !json.Valid(record) {
			return records, fmt.Errorf("segment %d: record %d is not JSON", id, records)
		}
	}
	if records != int64(segments[0].Count) {
		return records, fmt.Errorf("segment %d counts %d records and holds %d", id, segments[0].Count, records)
	}
	return records, nil
}
