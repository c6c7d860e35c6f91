package awsapi

import (
	"io"
	"net/http"
	"time"
)

// largeBodies bounds the memory that bodies above DefaultMaxBody take, at about 30 MB each, and largeForms that of forms
// above smallForm bytes, at 1 MB each. Hardly any client sends such a form.
const (
	largeBodies = 8
	largeForms  = 64
	smallForm   = 64 << 10
)

// bodyTimeout is how long a client may take to send the body of a call.
const bodyTimeout = 60 * time.Second

func (x *exchange) readBody(limit int64) error {
	if x.r.ContentLength > limit {
		return bodyTooLarge(limit)
	}
	if room, small := x.room(limit); room != nil && (x.r.ContentLength < 0 || x.r.ContentLength > small) {
		select {
		case room <- struct{}{}:
			defer func() { <-room }()
		case <-x.r.Context().Done():
			return x.r.Context().Err()
		}
	}
	// A connection that knows no deadlines, as in tests, has none to set.
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Now().Add(bodyTimeout))
	var err error
	if x.body, err = io.ReadAll(io.LimitReader(x.r.Body, limit+1)); err != nil {
		return &Error{Code: "RequestTimeoutException", Message: "The request's body did not arrive completely.", Status: http.StatusBadRequest}
	}
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Time{})
	if int64(len(x.body)) > limit {
		return bodyTooLarge(limit)
	}
	return nil
}

// room is where a body of more bytes than small, or of nobody knows how many, waits for its turn to be read; nil for none.
func (x *exchange) room(limit int64) (room chan struct{}, small int64) {
	switch {
	case x.query:
		return x.server.forms, smallForm
	case limit > DefaultMaxBody:
		return x.server.large, DefaultMaxBody
	}
	return nil, 0
}

func bodyTooLarge(limit int64) error {
	return &Error{Code: "RequestEntityTooLargeException", Status: http.StatusRequestEntityTooLarge,
		Message: "The request's body is larger than the operation allows."}
}
