package coffertest

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/coffer-registry/coffer/internal/app"
)

// Record is what tests look at of a record of the trail.
type Record struct {
	EventName, EventSource, AWSRegion, ErrorCode, ErrorMessage, RequestID, RecipientAccountID string

	UserIdentity struct{ Type, ARN, AccessKeyID string }
	ReadOnly     bool
	Resources    []struct{ ARN string }

	RequestParameters, ResponseElements map[string]any

	// Text is the whole record as it was written.
	Text string `json:"-"`
}

// Trail returns all records of the trail, those of changes and those of everything else each in their order.
func (s *Server) Trail() []Record {
	s.t.Helper()
	var text bytes.Buffer
	if err := app.Tail(context.Background(), s.Config, app.TailOptions{Lines: 100_000}, &text); err != nil {
		s.t.Fatal(err)
	}
	records := []Record{}
	for line := range bytes.Lines(text.Bytes()) {
		r := Record{Text: string(bytes.TrimSpace(line))}
		if err := json.Unmarshal(line, &r); err != nil {
			s.t.Fatalf("a record of the trail: %v: %s", err, line)
		}
		records = append(records, r)
	}
	return records
}
