package app_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// A client that goes away in the middle of a chunk finds what it had sent before, and goes on from there.
func TestClientGoesAway(t *testing.T) {
	s := coffertest.Start(t)
	s.CreateRepository("team/app")
	token := s.Token()
	layer := []byte(strings.Repeat("0123456789abcdef", 40_000))
	digest := coffertest.Digest(layer)
	const first, broken = 150_000, 400_000
	location := s.V2(token, http.MethodPost, "/v2/team/app/blobs/uploads/", nil).Header.Get("Location")
	if r := s.V2(token, http.MethodPatch, location, layer[:first]); r.Status != http.StatusAccepted {
		t.Fatalf("the first chunk: status %d: %s", r.Status, r.Body)
	}
	suddenly := func(c *net.TCPConn) error { return c.SetLinger(0) } // its Close resets the connection
	for i, leave := range []func(*net.TCPConn) error{(*net.TCPConn).CloseWrite, suddenly} {
		conn := dial(t, s)
		write(t, conn, fmt.Sprintf("PATCH %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic %s\r\nContent-Length: %d\r\nContent-Range: %d-%d\r\n\r\n",
			location, token, len(layer)-first, first, len(layer)-1))
		write(t, conn, string(layer[first:broken]))
		if err := leave(conn); err != nil {
			t.Fatal(err)
		}
		if i == 0 { // a client that still listens is told
			if status, _, body := answer(t, conn); status != http.StatusBadRequest || !strings.Contains(body, "The request's body did not arrive completely") {
				t.Errorf("status %d: %s", status, body)
			}
		}
		conn.Close()
		waitForFailure(t, s, i+1)
		if r := s.V2(token, http.MethodGet, location, nil); r.Status != http.StatusNoContent || r.Header.Get("Range") != fmt.Sprintf("0-%d", first-1) {
			t.Errorf("way %d: status %d, range %s", i, r.Status, r.Header.Get("Range"))
		}
	}
	r := s.V2(token, http.MethodPatch, location, layer[first:], "Content-Range", fmt.Sprintf("%d-%d", first, len(layer)-1))
	if r.Status != http.StatusAccepted {
		t.Fatalf("the rest: status %d: %s", r.Status, r.Body)
	}
	if r := s.V2(token, http.MethodPut, location+"?digest="+digest, nil); r.Status != http.StatusCreated {
		t.Fatalf("the end: status %d: %s", r.Status, r.Body)
	}
	if r := s.V2(token, http.MethodGet, "/v2/team/app/blobs/"+digest, nil); string(r.Body) != string(layer) {
		t.Errorf("status %d, %d bytes of %d", r.Status, len(r.Body), len(layer))
	}
}

// waitForFailure looks into the trail until n parts have failed there, which is after the server let go of their upload.
func waitForFailure(t *testing.T, s *coffertest.Server, n int) {
	t.Helper()
	for range 1000 {
		failed := 0
		for _, r := range s.Trail() {
			if r.EventName == "UploadLayerPart" && r.ErrorCode != "" {
				failed++
			}
		}
		if failed == n {
			return
		}
	}
	t.Fatalf("%d parts have not failed", n)
}

// holdUpload begins to write to an upload, and returns when the server waits for the bytes.
func holdUpload(t *testing.T, s *coffertest.Server, token, location string, length int) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	conn := dial(t, s)
	write(t, conn, fmt.Sprintf("PATCH %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", location, token, length))
	in := bufio.NewReader(conn)
	for _, want := range []string{"HTTP/1.1 100 Continue\r\n", "\r\n"} {
		if line, err := in.ReadString('\n'); err != nil || line != want {
			t.Fatalf("%q, %v", line, err)
		}
	}
	return conn, in
}

// While one client writes to an upload no other can, in either protocol, and the one is not disturbed.
func TestTwoWriters(t *testing.T) {
	s := coffertest.Start(t)
	s.CreateRepository("team/app")
	token := s.Token()
	start := s.V2(token, http.MethodPost, "/v2/team/app/blobs/uploads/", nil)
	location, upload := start.Header.Get("Location"), start.Header.Get("Docker-Upload-Uuid")
	conn, in := holdUpload(t, s, token, location, 5)
	const busy = "Another request is writing to the upload"
	for name, r := range map[string]coffertest.Response{
		"PATCH": s.V2(token, http.MethodPatch, location, "other"), "PUT": s.V2(token, http.MethodPut, location+"?digest="+zeroDigest, "other"),
	} {
		if r.Status != http.StatusRequestedRangeNotSatisfiable || r.Code() != "BLOB_UPLOAD_INVALID" || r.Message() != busy {
			t.Errorf("%s: status %d: %s", name, r.Status, r.Body)
		}
	}
	part := map[string]any{"repositoryName": "team/app", "uploadId": upload, "partFirstByte": 0, "partLastByte": 4, "layerPartBlob": []byte("other")}
	if r := s.ECR("UploadLayerPart", part); r.Status != http.StatusBadRequest || r.Code() != "InvalidLayerPartException" || r.Message() != busy {
		t.Errorf("UploadLayerPart: status %d: %s", r.Status, r.Body)
	}
	write(t, conn, "first")
	if status, header, body := answer(t, in); status != http.StatusAccepted || header.Get("Range") != "0-4" {
		t.Errorf("the first: status %d, range %q: %s", status, header.Get("Range"), body)
	}
	digest := coffertest.Digest([]byte("first"))
	if r := s.V2(token, http.MethodPut, location+"?digest="+digest, nil); r.Status != http.StatusCreated {
		t.Errorf("the end: status %d: %s", r.Status, r.Body)
	}
}

// Of many that write the same chunk at once, one wins.
func TestManyWriters(t *testing.T) {
	s := coffertest.Start(t)
	s.CreateRepository("team/app")
	token := s.Token()
	location := s.V2(token, http.MethodPost, "/v2/team/app/blobs/uploads/", nil).Header.Get("Location")
	var all sync.WaitGroup
	statuses := make([]int, 16)
	for i := range statuses {
		all.Go(func() {
			statuses[i] = s.V2(token, http.MethodPatch, location, fmt.Sprintf("chunk %02d", i), "Content-Range", "0-7").Status
		})
	}
	all.Wait()
	winner := -1
	for i, status := range statuses {
		switch {
		case status == http.StatusAccepted && winner < 0:
			winner = i
		case status != http.StatusRequestedRangeNotSatisfiable:
			t.Errorf("writer %d: status %d", i, status)
		}
	}
	digest := coffertest.Digest(fmt.Appendf(nil, "chunk %02d", winner))
	if r := s.V2(token, http.MethodPut, location+"?digest="+digest, nil); r.Status != http.StatusCreated {
		t.Errorf("what the winner %d wrote is not there: status %d: %s", winner, r.Status, r.Body)
	}
}
