package crash

import (
	"bytes"
	"encoding/json"
	"strconv"
	"testing"
)

// checkTrail looks for the record of each acknowledged change among the newest records, of which at most so many can have
// come since the oldest of the changes. Each change has exactly one.
func checkTrail(t *testing.T, data string, changed map[string]string, records int64) {
	t.Helper()
	stdout, stderr, status := program.Run("audit", "tail", "--data", data, "-n", strconv.FormatInt(min(records, 100_000), 10))
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
