package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReport(t *testing.T) {
	res := newResults()
	job := result{clients: 8, ops: 1000, asked: 2000, elapsed: time.Second, cpu: 2 * time.Second,
		p50: 1500 * time.Microsecond, p99: 20 * time.Millisecond}
	res.add("Coffer", []reading{{"push", 900, &job}, {"cpu", 1.2, nil}, {"few", 2, nil}, {"many", 2.6, nil}})
	res.add("Coffer", []reading{{"push", 1300, nil}, {"cpu", 2, nil}})
	res.add("Coffer", []reading{{"push", 1000, nil}, {"cpu", 1.6, nil}})
	res.add("peer", []reading{{"push", 250, nil}, {"cpu", 6.4, nil}, {"only", 5, nil}})
	res.add("bare", []reading{{"push", 3000, nil}})
	res.failed = append(res.failed, failure{"mounts", "peer", errors.New("status 500:\nno")})
	var b strings.Builder
	err := report{
		title: "Performance", environment: []string{"Here."}, results: res, coffer: "Coffer", peer: "peer", bare: "bare",
		rows: []row{
			{id: "push", title: "push", unit: "/s", more: true, goal: atLeast(800)},
			{id: "cpu", title: "— CPU", unit: "ms", goal: atMost(1.5)},
			{id: "few", title: "few", unit: "ms"},
			{id: "many", title: "many", unit: "ms", goal: flat("few", 1.25)},
			{id: "only", title: "only", unit: "ms", goal: flat("none", 2)},
			{id: "none", title: "none", goal: atMost(3)},
		},
	}.write(&b)
	if err != nil {
		t.Fatal(err)
	}
	const want = `# Performance

- Here.

| measure | Coffer | peer | ratio | goal | met | bare |
|---|--:|--:|--:|--:|---|--:|
| push | 1,000/s | 250/s | 4 | ≥ 800/s | yes | 3,000/s |
| — CPU | 1.60 ms | 6.40 ms | 0.25 | ≤ 1.50 ms | no | – |
| few | 2 ms | – | – | – | – | – |
| many | 2.60 ms | – | – | flat (≤ 2.50 ms) | no | – |
| only | – | 5 ms | – | flat | – | – |
| none | – | – | – | ≤ 3 | – | – |

## Details

Medians over the rounds; the spread is the least and the greatest value of the measure in any round.

| measure | server | clients | operations | /s | p50 | p99 | server CPU each | rounds | spread |
|---|---|--:|--:|--:|--:|--:|--:|--:|---|
| push | Coffer | 8 | 1,000 of 2,000 in time | 1,000 | 1.50 ms | 20 ms | 2 ms | 3 | 900 to 1,300/s |
| push | peer | – | – | – | – | – | – | 1 | 250 to 250/s |
| push | bare | – | – | – | – | – | – | 1 | 3,000 to 3,000/s |
| few | Coffer | – | – | – | – | – | – | 1 | 2 to 2 ms |
| many | Coffer | – | – | – | – | – | – | 1 | 2.60 to 2.60 ms |
| only | peer | – | – | – | – | – | – | 1 | 5 to 5 ms |

## What went wrong

- mounts, peer: status 500: no
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestFormatNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 3: "3", 0.25: "0.25", 0.0123: "0.012", 1.005e-5: "1e-05", 9.994: "9.99", 12.34: "12.3", 99.96: "100.0",
		123.4: "123", 999.6: "1,000", 1234567: "1,234,567", -1234: "-1,234", -0.5: "-0.50",
	} {
		if got := formatNumber(v); got != want {
			t.Errorf("formatNumber(%v) = %s, want %s", v, got, want)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 µs", 134 * time.Microsecond: "134 µs", 4300 * time.Microsecond: "4.30 ms", 23500 * time.Millisecond: "23.5 s",
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("formatDuration(%d) = %s, want %s", d, got, want)
		}
	}
}

func TestFormatSize(t *testing.T) {
	full, short := scale{}, scale{short: true}
	for size, want := range map[int64]string{
		full.size(gib): "1 GiB", short.size(gib): "51.2 MiB", full.size(64 * mib): "64 MiB", short.size(64 * mib): "3.2 MiB", 64 * kib: "64 KiB",
	} {
		if got := formatSize(size); got != want {
			t.Errorf("formatSize(%d) = %s, want %s", size, got, want)
		}
	}
}

// TestRows checks that no reading can land in another measure's row and that goals refer to rows that exist.
func TestRows(t *testing.T) {
	for _, short := range []bool{false, true} {
		seen := make(map[string]bool)
		for _, m := range measures(scale{short: short}) {
			if m.setup == nil || len(m.rows) == 0 {
				t.Errorf("measure %q measures nothing", m.name)
			}
			for _, r := range m.rows {
				if r.id == "" || r.title == "" || seen[r.id] {
					t.Errorf("measure %s: row %q is nameless or not the only one", m.name, r.id)
				}
				if r.goal.of != "" && !seen[r.goal.of] {
					t.Errorf("row %s: its goal refers to %q, which is not above it", r.id, r.goal.of)
				}
				seen[r.id] = true
			}
		}
	}
}
