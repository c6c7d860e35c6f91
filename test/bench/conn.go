package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"strings"
	"time"
)

// requestTimeout bounds one request. It is long because the peer needs tens of seconds to delete an image that many
// tags name.
const requestTimeout = 5 * time.Minute

// keepLimit is the most bytes of one answer that are kept.
const keepLimit = 16 << 20

// target is where requests go and what they carry.
type target struct {
	addr string // host:port
	auth string // the value of the Authorization header; empty for a server without one
}

// request appends a request head. The length of the body is given for methods that have one and -1 for the others.
// The head can be sent many times.
func (t target) request(dst []byte, method, path, contentType string, length int64) []byte {
	dst = append(dst, method...)
	dst = append(dst, ' ')
	dst = append(dst, path...)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, t.addr...)
	dst = append(dst, "\r\nAccept: "+manifestType+"\r\n"...)
	if t.auth != "" {
		dst = append(dst, "Authorization: "...)
		dst = append(dst, t.auth...)
		dst = append(dst, '\r', '\n')
	}
	if contentType != "" {
		dst = append(dst, "Content-Type: "...)
		dst = append(dst, contentType...)
		dst = append(dst, '\r', '\n')
	}
	if length >= 0 {
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, length, 10)
		dst = append(dst, '\r', '\n')
	}
	return append(dst, '\r', '\n')
}

// conn is one keep-alive connection to a server, used by one goroutine. net/http is not used because on two cores its
// share of a request would be larger than the server's.
type conn struct {
	target target
	// sink receives the body of each answer of status 2xx; nil discards it.
	sink io.Writer

	nc   net.Conn
	r    *bufio.Reader
	head []byte
}

// response is what an answer's head said.
type response struct {
	status     int
	location   string
	retryAfter time.Duration
	length     int64  // bytes of the body that were read
	problem    string // the start of the body when the status is 400 or more
}

// dial opens a connection; it is closed with close.
func (t target) dial() (*conn, error) {
	c := &conn{target: t}
	return c, c.redial()
}

func (c *conn) redial() error {
	c.close()
	nc, err := net.Dial("tcp", c.target.addr)
	if err != nil {
		return err
	}
	c.nc = nc
	if c.r == nil {
		c.r = bufio.NewReaderSize(nc, 64<<10)
	} else {
		c.r.Reset(nc)
	}
	return nil
}

// close ends the connection; the next request opens a new one.
func (c *conn) close() {
	if c.nc != nil {
		c.nc.Close()
		c.nc = nil
	}
}

// do sends a request with a body of the given parts, which may be none, and reads the answer.
func (c *conn) do(method, path, contentType string, body ...[]byte) (response, error) {
	length := int64(-1)
	if method != "GET" && method != "HEAD" && method != "DELETE" {
		length = 0
		for _, p := range body {
			length += int64(len(p))
		}
	}
	c.head = c.target.request(c.head[:0], method, path, contentType, length)
	return c.exchange(c.head, body...)
}

// expect is do for the one status that is right.
func (c *conn) expect(status int, method, path, contentType string, body ...[]byte) (response, error) {
	r, err := c.do(method, path, contentType, body...)
	if err == nil && r.status != status {
		err = fmt.Errorf("%s %s: status %d, want %d: %s", method, path, r.status, status, r.problem)
	}
	return r, err
}

// send exchanges a prebuilt request without a body and requires the status.
func (c *conn) send(status int, head []byte) (response, error) {
	r, err := c.exchange(head)
	if err == nil && r.status != status {
		line, _, _ := bytes.Cut(head, []byte("\r\n"))
		err = fmt.Errorf("%s: status %d, want %d: %s", line, r.status, status, r.problem)
	}
	return r, err
}

// exchange sends a request and reads its answer. A server may answer and close before it has read the body, so an
// error in sending is reported only if no answer is there.
func (c *conn) exchange(head []byte, body ...[]byte) (response, error) {
	if c.nc == nil {
		if err := c.redial(); err != nil {
			return response{}, err
		}
	}
	c.nc.SetDeadline(time.Now().Add(requestTimeout))
	var sendErr error
	if len(body) == 0 {
		_, sendErr = c.nc.Write(head)
	} else {
		parts := make(net.Buffers, 0, len(body)+1)
		parts = append(append(parts, head), body...)
		_, sendErr = parts.WriteTo(c.nc)
	}
	r, last, err := c.answer(bytes.HasPrefix(head, []byte("HEAD ")))
	if sendErr != nil || err != nil || last {
		c.close()
	}
	if err != nil && sendErr != nil {
		err = sendErr
	}
	return r, err
}

// answer reads one response. last means that the server closes the connection after it.
func (c *conn) answer(noBody bool) (r response, last bool, err error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return r, true, fmt.Errorf("reading a status line: %w", err)
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return r, true, fmt.Errorf("not a status line: %q", line)
	}
	if r.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return r, true, fmt.Errorf("not a status line: %q", line)
	}
	length, chunked := int64(-1), false
	for {
		line, err = c.r.ReadSlice('\n')
		if err != nil {
			return r, true, fmt.Errorf("reading a header: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return r, true, fmt.Errorf("not a header: %q", line)
		}
		value = bytes.TrimSpace(value)
		switch {
		case is(name, "content-length"):
			if length, err = strconv.ParseInt(string(value), 10, 64); err != nil || length < 0 {
				return r, true, fmt.Errorf("content length %q", value)
			}
		case is(name, "transfer-encoding"):
			chunked = is(value, "chunked")
		case is(name, "connection"):
			last = is(value, "close")
		case is(name, "location"):
			r.location = string(value)
		case is(name, "retry-after"):
			if s, err := strconv.Atoi(string(value)); err == nil {
				r.retryAfter = time.Duration(s) * time.Second
			}
		}
	}
	if noBody || r.status == 204 || r.status == 304 || r.status < 200 {
		return r, last, nil
	}
	err = c.body(&r, length, chunked)
	return r, last, err
}

func is(b []byte, lower string) bool {
	return len(b) == len(lower) && strings.EqualFold(string(b), lower)
}

// body reads the body of an answer, of the given length or chunked.
func (c *conn) body(r *response, length int64, chunked bool) (err error) {
	sink := c.sink
	var problem bytes.Buffer
	if r.status >= 400 {
		sink = &problem
	}
	switch {
	case chunked:
		if sink == nil {
			sink = io.Discard
		}
		if r.length, err = io.Copy(sink, io.LimitReader(httputil.NewChunkedReader(c.r), keepLimit+1)); err == nil {
			err = c.trailer()
		}
		if r.length > keepLimit {
			err = errors.New("an answer in chunks is too long")
		}
	case length < 0:
		err = errors.New("an answer has no length")
	case sink == nil:
		err = c.discard(length)
		r.length = length
	default:
		r.length, err = io.CopyN(sink, c.r, length)
	}
	if err != nil {
		return fmt.Errorf("reading a body: %w", err)
	}
	r.problem = strings.TrimSpace(string(problem.Bytes()[:min(problem.Len(), 500)]))
	return nil
}

// discard skips n bytes, which can be more than an int holds.
func (c *conn) discard(n int64) error {
	for n > 0 {
		d, err := c.r.Discard(int(min(n, 1<<30)))
		if err != nil {
			return err
		}
		n -= int64(d)
	}
	return nil
}

// trailer skips what follows the last chunk, up to and with the empty line.
func (c *conn) trailer() error {
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			return nil
		}
	}
}
