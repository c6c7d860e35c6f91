package process

import (
	"bytes"
	"encoding/json"
	"strconv"
	"testing"
)

// MostRecords is how many records of the trail can be looked at.
const MostRecords = 100_000

// CheckTrail looks for the record of each acknowledged change among the newest records, of which at most so many can have
// come since the oldest of the changes. Each change has exactly one. flags name the data.
func (p Program) CheckTrail(t *testing.T, changed map[string]string, records int64, flags ...string) {
	t.Helper()
	stdout, stderr, status := p.Run(append([]string{"audit", "tail", "-n", strconv.FormatInt(min(records, MostRecords), 10)}, flags...)...)
	if status != 0 {
		t.Fatalf("audit tail ended with %d: %s", status, stderr)
	}
	found := map[string]int{}
	for line := range bytes.Lines([]byte(stdout)) {
		var record struct{ RequestID, ErrorCode string }
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatalf("a record of the trail: %v: %s", err, line)
		}
		if record.ErrorCode == "" {
			found[record.RequestID]++
		}
	}
	for id, what := range changed {
		if found[id] != 1 {
			t.Errorf("%s, request %s, was acknowledged and has %d records among the newest %d", what, id, found[id], len(found))
		}
	}
}
