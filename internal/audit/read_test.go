package audit

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

func (l *trail) body(id int64) (sealed []byte) {
	l.t.Helper()
	err := l.db.View(context.Background(), func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT body FROM audit WHERE id = $1`, id).Scan(&sealed)
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return sealed
}

// refused wants the trail not to be read, since a segment of it was tampered with.
func (l *trail) refused(what string) {
	l.t.Helper()
	segments, err := l.reader.After(context.Background(), 0, 10)
	if !errors.Is(err, seal.ErrAltered) || segments != nil || !strings.HasPrefix(err.Error(), "read the trail: segment ") {
		l.t.Errorf("%s: %d segments, error %v", what, len(segments), err)
	}
}

// TestSegmentsAreSealed alters rows: what they hold is no longer read.
func TestSegmentsAreSealed(t *testing.T) {
	l := newTrail(t)
	l.append("first", "second")
	segments := l.segments()
	first, second := segments[0].ID, segments[1].ID
	sealed := l.body(first)
	if bytes.Contains(sealed, []byte("eventName")) || bytes.Contains(sealed, []byte("first")) {
		t.Error("the segment is in the clear")
	}
	for i := range sealed {
		altered := bytes.Clone(sealed)
		altered[i] ^= 1 << (i % 8)
		l.exec(`UPDATE audit SET body = $1 WHERE id = $2`, altered, first)
		l.refused(fmt.Sprintf("byte %d altered", i))
	}
	for _, cut := range []int{0, 1, 27, 28, len(sealed) - 1} {
		l.exec(`UPDATE audit SET body = $1 WHERE id = $2`, sealed[:cut], first)
		l.refused(fmt.Sprintf("cut to %d bytes", cut))
	}
	restore := func() {
		l.exec(`UPDATE audit SET body = $1, account = $2, region = $3 WHERE id = $4`, sealed, account, region, first)
	}
	l.exec(`UPDATE audit SET body = $1 WHERE id = $2`, l.body(second), first)
	l.refused("the segment of another row")
	restore()
	l.exec(`UPDATE audit SET id = $1 WHERE id = $2`, first+1, first)
	l.refused("another id")
	l.exec(`UPDATE audit SET id = $1 WHERE id = $2`, first, first+1)
	for column, value := range map[string]string{"account": "999999999999", "region": "eu-central-1"} {
		l.exec(`UPDATE audit SET `+column+` = $1 WHERE id = $2`, value, first)
		l.refused("another " + column)
		restore()
	}
	l.exec(`UPDATE audit SET account = $1, region = $2 WHERE id = $3`, account+region[:2], region[2:], first)
	l.refused("the border of account and region moved")
	restore()
	l.want("first", "second")
	stranger := newReader(t, l.db, seal.NewKey())
	if _, err := stranger.Last(t.Context(), 10); !errors.Is(err, seal.ErrAltered) {
		t.Errorf("under another key: %v", err)
	}
}

// put writes a segment as the trail itself would not.
func (l *trail) put(id int64, records int, body []byte) {
	l.t.Helper()
	if err := l.db.Update(context.Background(), func(tx *store.Tx) error { return l.insertAt(tx, id, records, body) }); err != nil {
		l.t.Fatal(err)
	}
}

func (l *trail) insertAt(tx *store.Tx, id int64, records int, body []byte) error {
	sealed, err := seal.SealBytes(l.key, segmentContext(id, scope{account, region}), body)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO audit (id, account, region, first_time, last_time, records, body) VALUES ($1, $2, $3, 0, 0, $4, $5)`,
		id, account, region, records, sealed)
	return err
}

func TestSegmentsThatDontUnpack(t *testing.T) {
	for want, body := range map[string][]byte{
		"segment 7 is empty":                 {},
		"segment 7 has the unknown encoding": {9, 'x'},
		"unpack segment 7: ":                 {encodingZstd, 'x'},
	} {
		l := newTrail(t)
		l.put(7, 1, body)
		if _, err := l.reader.Last(t.Context(), 1); err == nil || !strings.HasPrefix(err.Error(), "read the trail: "+want) {
			t.Errorf("error is %v, want %s", err, want)
		}
	}
	// One that unpacks to more than fits into memory is refused before it does.
	l := newTrail(t)
	frame := []byte{encodingZstd, 0x28, 0xb5, 0x2f, 0xfd, 0xe0} // a frame whose size follows in 8 bytes
	l.put(8, 1, binary.LittleEndian.AppendUint64(frame, maxSegment+1))
	if _, err := l.reader.Last(t.Context(), 1); !errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		t.Errorf("error is %v", err)
	}
}

func TestPages(t *testing.T) {
	l := newTrail(t)
	for i := range 5 {
		l.append(fmt.Sprint(i))
	}
	all := l.segments()
	page := func(segments []Segment, err error) (names []string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range segments {
			names = append(names, namesOf(s.list())...)
		}
		return names
	}
	for what, got := range map[string][2][]string{
		"after 0":       {page(l.reader.After(t.Context(), 0, 2)), {"0", "1"}},
		"after the 2nd": {page(l.reader.After(t.Context(), all[1].ID, 2)), {"2", "3"}},
		"after the 4th": {page(l.reader.After(t.Context(), all[3].ID, 2)), {"4"}},
		"after all":     {page(l.reader.After(t.Context(), all[4].ID, 2)), nil},
		"last":          {page(l.reader.Last(t.Context(), 2)), {"3", "4"}},
		"last of more":  {page(l.reader.Last(t.Context(), 9)), {"0", "1", "2", "3", "4"}},
		"last 0":        {page(l.reader.Last(t.Context(), 0)), nil},
	} {
		if diff := cmp.Diff(got[1], got[0]); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	for range all[0].Records() {
		break // the iteration can be left
	}
}

func TestCheck(t *testing.T) {
	check := func(l *trail) (faults []string, records int64) {
		t.Helper()
		if err := l.reader.Check(t.Context(), func(text string) { faults = append(faults, text) }, func(n int64) { records += n }); err != nil {
			t.Fatal(err)
		}
		return faults, records
	}
	l := newTrail(t)
	if faults, records := check(l); faults != nil || records != 0 {
		t.Errorf("an empty trail has %d records and the faults %q", records, faults)
	}
	// More segments than a page holds, without a gap between their ids.
	err := l.db.Update(t.Context(), func(tx *store.Tx) error {
		for i := range int64(followPage + 10) {
			if err := l.insertAt(tx, 100+i, 1, append([]byte{encodingPlain}, "{}\n"...)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	l.note("b", "c", "d")
	l.flush()
	if faults, records := check(l); faults != nil || records != followPage+13 {
		t.Errorf("%d records, faults %q", records, faults)
	}
	segments := l.segments()
	l.exec(`UPDATE audit SET records = 2 WHERE id = $1`, segments[2].ID)
	l.exec(`UPDATE audit SET body = x'00' WHERE id = $1`, segments[5].ID)
	l.put(5, 1, append([]byte{encodingPlain}, "{\"a\":1}\n"...))
	l.put(6, 1, append([]byte{encodingPlain}, "{\"a\":1\n"...))
	l.put(7, 1, append([]byte{encodingPlain}, "{}\n{}\n"...))
	l.put(8, 1, []byte{encodingPlain})
	want := []string{
		"segment 6: record 1 is not JSON", "segment 7 counts 1 records and holds 2", "segment 8 counts 1 records and holds 0",
		fmt.Sprintf("segment %d counts 2 records and holds 1", segments[2].ID),
		fmt.Sprintf("read the trail: segment %d was altered: %v", segments[5].ID, seal.ErrAltered),
	}
	faults, _ := check(l)
	if diff := cmp.Diff(want, faults); diff != "" {
		t.Error(diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	err = l.reader.Check(ctx, func(string) {}, func(int64) {
		if n++; n == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || n != 3 {
		t.Errorf("it ended after %d segments, error %v", n, err)
	}
	defer l.breaks()()
	if err := l.reader.Check(t.Context(), func(string) {}, func(int64) {}); err == nil {
		t.Error("no error without a table")
	}
}
