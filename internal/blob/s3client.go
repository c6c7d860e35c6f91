package blob

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
)

const (
	// attempts and backoff outlast a restart of the server of some ten seconds.
	attempts     = 10
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 5 * time.Second
	// attemptTime is how long an attempt may take whatever it moves: longer than servers stall now and then.
	attemptTime = 15 * time.Second
	// slowestRate is what an attempt must move beyond that, in bytes per second.
	slowestRate = 256 << 10
	// completeTime is for servers that put the parts of an upload together by copying them.
	completeTime = 5 * time.Minute
	// idleConnections is how many stay open for the next requests.
	idleConnections = 128
	copySize        = 64 << 10
)

// newClient makes the client of a place. It reads the configuration of the environment, and asks for no credentials yet.
func newClient(ctx context.Context, p s3Place, o S3Options) (*s3.Client, *http.Transport, error) {
	// Credentials are fetched seldom, by connections that don't stay.
	fetching := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.DisableKeepAlives = true })
	load := []func(*config.LoadOptions) error{config.WithHTTPClient(fetching)}
	if p.region != "" {
		load = append(load, config.WithRegion(p.region))
	}
	if p.profile != "" {
		load = append(load, config.WithSharedConfigProfile(p.profile))
	}
	c, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: the AWS configuration of the environment can't be read: %s", ErrCredentials, brief(err))
	}
	if c.Region == "" && p.endpoint != "" {
		c.Region = defaultRegion
	}
	if c.Region == "" {
		return nil, nil, fmt.Errorf("%w: no region is known: add region= to the URL of the object store, or set AWS_REGION", ErrRegion)
	}
	transport := transportOf(c.HTTPClient, o)
	client := s3.NewFromConfig(c, func(opts *s3.Options) {
		opts.HTTPClient = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		opts.UsePathStyle = p.pathStyle
		if p.endpoint != "" {
			opts.BaseEndpoint = aws.String(p.endpoint)
		}
		// Servers other than AWS's refuse checksums in trailers.
		opts.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		opts.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		opts.DisableLogOutputChecksumValidationSkipped = true
		opts.Retryer = retry.NewStandard(patience)
		opts.APIOptions = append(opts.APIOptions, limitAttempts)
		if o.Observe != nil {
			opts.APIOptions = append(opts.APIOptions, observeWith(o.Observe))
		}
	}, remembering)
	return client, transport, nil
}

// transportOf makes the transport of the connections to the store. It keeps the authorities that the configuration names.
func transportOf(c aws.HTTPClient, o S3Options) *http.Transport {
	transport := awshttp.NewBuildableClient().GetTransport()
	if configured, ok := c.(*awshttp.BuildableClient); ok {
		transport = configured.GetTransport()
	}
	transport.DisableKeepAlives = false
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = idleConnections, idleConnections
	transport.IdleConnTimeout = 30 * time.Second // before servers close them
	transport.ReadBufferSize, transport.WriteBufferSize = copySize, copySize
	transport.DisableCompression = true
	// Many connections are faster than many streams of one.
	transport.ForceAttemptHTTP2 = false
	transport.TLSNextProto = nil
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetHTTP1(true)
	if o.Dial != nil {
		transport.DialContext = o.Dial
	}
	return transport
}

// patience says what is tried again and how often.
func patience(o *retry.StandardOptions) {
	o.MaxAttempts = attempts
	o.RateLimiter = ratelimit.None // which would end retries when many uploads meet an outage together
	o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) { return backoff(attempt), nil })
	// The first that knows an error decides.
	o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
		var late *attemptError
		if errors.As(err, &late) || errors.Is(err, io.ErrUnexpectedEOF) {
			return aws.TrueTernary
		}
		if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); untrusted {
			return aws.FalseTernary
		}
		switch codeOf(err) {
		case "ConditionalRequestConflict", "BadDigest", "XAmzContentSHA256Mismatch": // the last two: bytes changed on the way
			return aws.TrueTernary
		}
		return aws.UnknownTernary
	})}, o.Retryables...)
}

// backoff is how long to wait before the next attempt: exponential, with full jitter.
func backoff(attempt int) time.Duration {
	limit := min(lastBackoff, firstBackoff<<min(attempt, 10))
	return rand.N(limit) + time.Millisecond
}

// attemptError means that an attempt took too long. Another may be made.
type attemptError struct{ limit time.Duration }

func (e *attemptError) Error() string { return fmt.Sprintf("no answer within %v", e.limit) }

// Timeout is true.
func (e *attemptError) Timeout() bool { return true }

// limitAttempts bounds the time of each attempt. For an object that is read it counts until the answer begins.
func limitAttempts(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("AttemptTime", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		limit, ok := middleware.GetStackValue(ctx, timeKey{}).(time.Duration)
		if !ok {
			limit = attemptTime
		}
		attempt, cancel := context.WithCancel(ctx)
		timer := time.AfterFunc(limit, cancel)
		out, metadata, err := next.HandleFinalize(attempt, in)
		late := !timer.Stop() && ctx.Err() == nil
		if err != nil {
			cancel()
			if late {
				err = &attemptError{limit}
			}
			return out, metadata, err
		}
		if get, ok := out.Result.(*s3.GetObjectOutput); ok {
			// Its body is read until it is closed.
			get.Body = &cancellingBody{get.Body, cancel}
			return out, metadata, nil
		}
		cancel()
		return out, metadata, nil
	}), "Retry", middleware.After)
}

type cancellingBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close ends the request too.
func (b *cancellingBody) Close() error {
	err := b.ReadCloser.Close()
	b.cancel()
	return err
}

type timeKey struct{}

// within sets how long an attempt of a call may take.
func within(limit time.Duration) func(*s3.Options) {
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("SetAttemptTime", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				return next.HandleInitialize(middleware.WithStackValue(ctx, timeKey{}, limit), in)
			}), middleware.Before)
		})
	}
}

// moving is how long an attempt may take that moves n bytes.
func moving(n int) time.Duration { return attemptTime + time.Duration(n)*time.Second/slowestRate }

// unsigned leaves the bytes of a request out of its signature.
func unsigned(o *s3.Options) {
	o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
}

// observeWith tells of each call, with all its attempts.
func observeWith(observe func(S3Operation)) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Observe", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			start := time.Now()
			out, metadata, err := next.HandleInitialize(ctx, in)
			op := S3Operation{Name: middleware.GetOperationName(ctx), Duration: time.Since(start), Class: classOf(err), Attempts: 1}
			if results, ok := retry.GetAttemptResults(metadata); ok {
				op.Attempts = len(results.Results)
			}
			switch p := in.Parameters.(type) {
			case *s3.PutObjectInput:
				op.Bytes = aws.ToInt64(p.ContentLength)
			case *s3.UploadPartInput:
				op.Bytes = aws.ToInt64(p.ContentLength)
			}
			if get, ok := out.Result.(*s3.GetObjectOutput); ok && err == nil {
				op.Bytes = aws.ToInt64(get.ContentLength)
			}
			observe(op)
			return out, metadata, err
		}), middleware.Before)
	}
}

// body gives the bytes of a request to its connection. The connection may still read after the call is over, when the
// bytes may be another's: detach ends that.
type body struct {
	mu    sync.Mutex
	bytes []byte
	at    int64
	over  bool
}

var errDetached = errors.New("the request is over")

// Read copies what comes next.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.over:
		return 0, errDetached
	case b.at >= int64(len(b.bytes)):
		return 0, io.EOF
	}
	n := copy(p, b.bytes[b.at:])
	b.at += int64(n)
	return n, nil
}

// Seek moves the place to read on from, as another attempt does.
func (b *body) Seek(offset int64, whence int) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += b.at
	case io.SeekEnd:
		offset += int64(len(b.bytes))
	}
	if offset < 0 {
		return 0, errors.New("seek before the start")
	}
	b.at = offset
	return offset, nil
}

func (b *body) detach() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes, b.over = nil, true
}

// Dialer opens connections, as net.Dialer.DialContext does.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)
