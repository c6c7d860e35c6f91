package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"

	"github.com/coffer-registry/coffer/test/client"
)

// slowUpload is a layer that comes in parts over several lives of the server.
type slowUpload struct {
	*world
	r          *rand.Rand
	repository string
	byAPI      bool // with UploadLayerPart instead of PATCH

	id   string // empty before it has begun
	blob client.Blob
	// acked is how many bytes were acknowledged, and sent how many there may be.
	acked, sent int
	ending      bool // the request that completes it was sent
	// swept is set when the server that took the last part swept at once, which may have come before its end.
	swept   bool
	resumed int
}

// run goes on with the upload, and begins another when it is complete, until the server is gone.
func (u *slowUpload) run(ctx context.Context, c *client.Client) {
	for {
		again, err := u.step(ctx, c)
		if err != nil && !u.killed.Load() {
			u.t.Errorf("slow upload: %v", err)
		}
		if err != nil || !again {
			return
		}
	}
}

// vanishedError means that the upload isn't there any more.
type vanishedError struct{ answer client.Answer }

func (e *vanishedError) Error() string { return "the upload is gone: " + e.answer.String() }

// step does the next thing, and reports whether to go on. An answer that may not come is reported as an error.
func (u *slowUpload) step(ctx context.Context, c *client.Client) (bool, error) {
	var err error
	switch {
	case u.id == "":
		err = u.begin(ctx, c)
	case u.acked == len(u.blob.Bytes):
		err = u.complete(ctx, c)
	default:
		err = u.part(ctx, c)
	}
	if gone, ok := err.(*vanishedError); ok && u.mayVanish(gone.answer) {
		u.id = ""
		return true, nil
	}
	return true, err
}

// mayVanish reports whether an answer says that the upload was swept, and may have been.
func (u *slowUpload) mayVanish(a client.Answer) bool {
	return (u.swept || u.sweeping.Load()) && (a.Code() == "BLOB_UPLOAD_UNKNOWN" || a.Code() == "UploadNotFoundException")
}

func unexpected(what string, a client.Answer) error {
	if a.Code() == "BLOB_UPLOAD_UNKNOWN" || a.Code() == "UploadNotFoundException" {
		return &vanishedError{a}
	}
	return fmt.Errorf("%s: %v", what, a)
}

func (u *slowUpload) begin(ctx context.Context, c *client.Client) error {
	u.blob, u.acked, u.sent, u.ending = client.RandomBlob(u.r, 2000+u.r.IntN(600<<10)), 0, 0, false
	if u.byAPI {
		var out struct{ UploadID string }
		a, err := c.ECR(ctx, "InitiateLayerUpload", map[string]any{"repositoryName": u.repository}, &out)
		if err == nil && a.Status != http.StatusOK {
			err = unexpected("begin", a)
		}
		u.id = out.UploadID
		return err
	}
	a, err := c.V2(ctx, http.MethodPost, u.repository+"/blobs/uploads/", nil)
	if err == nil && a.Status != http.StatusAccepted {
		err = unexpected("begin", a)
	}
	if err == nil {
		u.id = a.Header.Get("Docker-Upload-Uuid")
	}
	return err
}

// part sends the next part, of two bytes at least: of an upload with one byte, the protocol can't tell how many it has.
func (u *slowUpload) part(ctx context.Context, c *client.Client) error {
	rest := len(u.blob.Bytes) - u.acked
	n := min(rest, 2+u.r.IntN(100<<10))
	u.sent = u.acked + n
	part := u.blob.Bytes[u.acked:u.sent]
	var a client.Answer
	var err error
	if u.byAPI {
		a, err = c.ECR(ctx, "UploadLayerPart", map[string]any{"repositoryName": u.repository, "uploadId": u.id,
			"partFirstByte": u.acked, "partLastByte": u.sent - 1, "layerPartBlob": part}, nil)
	} else {
		a, err = c.V2(ctx, http.MethodPatch, u.path(), part, "Content-Range", fmt.Sprintf("%d-%d", u.acked, u.sent-1))
	}
	if err != nil {
		return err
	}
	if a.Status >= 300 {
		return unexpected("send a part", a)
	}
	u.acked = u.sent
	return nil
}

func (u *slowUpload) path() string { return u.repository + "/blobs/uploads/" + u.id }

func (u *slowUpload) complete(ctx context.Context, c *client.Client) error {
	u.ending = true
	var a client.Answer
	var err error
	if u.byAPI {
		a, err = c.ECR(ctx, "CompleteLayerUpload", map[string]any{"repositoryName": u.repository, "uploadId": u.id, "layerDigests": []string{u.blob.Digest}}, nil)
	} else {
		a, err = c.V2(ctx, http.MethodPut, u.path()+"?digest="+u.blob.Digest, nil)
	}
	if err != nil {
		return err
	}
	if a.Status >= 300 {
		return unexpected("complete", a)
	}
	u.id = ""
	return nil
}

// resume finds out after a restart how far the upload is: at what was acknowledged, or at what the request under way
// would have made of it. Then it sends the rest and pulls the layer.
func (u *slowUpload) resume(ctx context.Context, c *client.Client) error {
	if u.id == "" {
		return nil
	}
	at, err := u.offset(ctx, c)
	if gone, ok := err.(*vanishedError); ok && (u.ending || u.mayVanish(gone.answer)) {
		u.id = ""
		return u.pull(ctx, c)
	}
	if err != nil {
		return err
	}
	if at != u.acked && at != u.sent {
		return fmt.Errorf("the upload has %d bytes; %d were acknowledged and %d were sent", at, u.acked, u.sent)
	}
	// What is there now stays there, unless this server sweeps at once too.
	ending := u.ending
	u.acked, u.swept = at, false
	u.resumed++
	for u.id != "" {
		if _, err := u.step(ctx, c); err != nil {
			return fmt.Errorf("%d of %d bytes acknowledged, offset %d, to be completed before: %v: %w", u.acked, len(u.blob.Bytes), at, ending, err)
		}
	}
	return u.pull(ctx, c)
}

// pull pulls the complete layer, unless it may be swept, since no image refers to it.
func (u *slowUpload) pull(ctx context.Context, c *client.Client) error {
	if u.swept || u.sweeping.Load() {
		return nil
	}
	return c.PullBlob(ctx, u.repository, u.blob)
}

// offset asks how many bytes the upload has.
func (u *slowUpload) offset(ctx context.Context, c *client.Client) (int, error) {
	if !u.byAPI {
		a, err := c.V2(ctx, http.MethodGet, u.path(), nil)
		if err != nil {
			return 0, err
		}
		if a.Status != http.StatusNoContent {
			return 0, unexpected("ask for the offset", a)
		}
		last, err := strconv.Atoi(strings.TrimPrefix(a.Header.Get("Range"), "0-"))
		if last == 0 {
			last = -1
		}
		return last + 1, err
	}
	// The API has no question for it: a part in the wrong place is told what the right one is.
	a, err := c.ECR(ctx, "UploadLayerPart", map[string]any{"repositoryName": u.repository, "uploadId": u.id,
		"partFirstByte": 1 << 30, "partLastByte": 1 << 30, "layerPartBlob": []byte{0}}, nil)
	if err != nil {
		return 0, err
	}
	var problem struct{ LastValidByteReceived *int }
	if a.Code() != "InvalidLayerPartException" {
		return 0, unexpected("ask for the offset", a)
	}
	if err := json.Unmarshal(a.Body, &problem); err != nil {
		return 0, err
	}
	if problem.LastValidByteReceived == nil {
		return 0, nil
	}
	return *problem.LastValidByteReceived + 1, nil
}
