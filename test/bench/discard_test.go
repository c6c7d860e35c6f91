package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// discard stands before an S3 server and lets the bytes of multipart uploads vanish, so that a measurement of many large pushes takes no disk.
// It says that such an object is there, but nothing can read it. Small objects, and those by which a store tries its server, are
// the server's. bucket is the URL of a bucket, and the result that of the same one behind this.
func discard(t *testing.T, bucket string) string {
	t.Helper()
	u, err := url.Parse(bucket)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	endpoint, err := url.Parse(query.Get("endpoint"))
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(endpoint)
	var mu sync.Mutex
	sizes, made := map[string]int64{}, map[string]int64{} // by upload, and by the path of the object
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		mu.Lock()
		size := made[r.URL.Path]
		mu.Unlock()
		multipart := query.Has("uploadId") && !strings.Contains(r.URL.Path, "coffer-probe-")
		switch {
		case multipart && r.Method == http.MethodPut:
			n, err := io.Copy(io.Discard, r.Body)
			if err != nil || n != r.ContentLength {
				http.Error(w, "the part was cut", http.StatusBadRequest)
				return
			}
			mu.Lock()
			sizes[query.Get("uploadId")] += n
			mu.Unlock()
			w.Header().Set("ETag", fmt.Sprintf(`"part-%s"`, query.Get("partNumber")))
		case multipart && r.Method == http.MethodPost:
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
			mu.Lock()
			made[r.URL.Path] = sizes[query.Get("uploadId")]
			mu.Unlock()
			w.Header().Set("Content-Type", "application/xml")
			fmt.Fprint(w, `<?xml version="1.0" encoding="UTF-8"?><CompleteMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><ETag>"whole"</ETag></CompleteMultipartUploadResult>`)
		case r.Method == http.MethodHead && size > 0:
			w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		default:
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	query.Set("endpoint", s.URL)
	u.RawQuery = query.Encode()
	return u.String()
}
