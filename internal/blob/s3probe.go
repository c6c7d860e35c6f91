package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	probePrefix = "coffer-probe-"
	// probeAge is how old a probe must be to be left over from a process that was killed.
	probeAge = time.Hour
	// cleanupTime is how long cleaning up may take after the context of the work has ended.
	cleanupTime = 10 * time.Second
)

// probe tries all that the store needs on an object of its own, and finds out which requests the server takes conditions
// with. It removes the object.
func (s *S3) probe(ctx context.Context) (err error) {
	if err := s.probeList(ctx); err != nil {
		return err
	}
	name := probePrefix + randomID(8)
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
		defer cancel()
		if removed := s.remove(clean, name); err == nil && removed != nil {
			err = fmt.Errorf("delete an object, which takes s3:DeleteObject: %w", removed)
		}
	}()
	if err := s.put(ctx, name, []byte(name), "", false); err != nil {
		return fmt.Errorf("write an object, which takes s3:PutObject: %w", err)
	}
	read := make([]byte, len(name))
	if err := s.readAll(ctx, name, read); err != nil || string(read) != name {
		return fmt.Errorf("read an object, which takes s3:GetObject: %w", errors.Join(err, differs(string(read) != name && err == nil)))
	}
	s.conditionalPut = errors.Is(s.put(ctx, name, []byte(name), "", true), fs.ErrExist)
	s.checks = s.refusesWrongSum(ctx, name)
	err = s.probeMultipart(ctx, name)
	if err != nil && s.checks {
		s.checks = false
		err = s.probeMultipart(ctx, name)
	}
	return err
}

// refusesWrongSum reports whether the server compares the bytes of an object with the checksum that they come with.
func (s *S3) refusesWrongSum(ctx context.Context, name string) bool {
	in := s.whole(name, strings.NewReader(name), len(name))
	in.ChecksumCRC32C = aws.String(checksum(nil))
	_, err := s.client.PutObject(ctx, in, func(o *s3.Options) { o.RetryMaxAttempts = 1 })
	return statusOf(err) == http.StatusBadRequest
}

func differs(yes bool) error {
	if yes {
		return errors.New("it holds other bytes than were written")
	}
	return nil
}

// probeList looks into the bucket, which finds most that is wrong, and removes old probes.
func (s *S3) probeList(ctx context.Context) error {
	out, err := s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: s.bucket(), Prefix: s.name(probePrefix), MaxKeys: aws.Int32(100)})
	if code := codeOf(err); statusOf(err) == http.StatusNotFound && (code == "" || code == "NotFound" || code == "NoSuchKey") {
		err = &types.NoSuchBucket{}
	}
	if err != nil {
		return fmt.Errorf("list the objects, which takes s3:ListBucket: %w", s.s3Error(err))
	}
	for _, o := range out.Contents {
		if time.Since(aws.ToTime(o.LastModified)) > probeAge {
			_ = s.remove(ctx, (*o.Key)[len(s.place.prefix):])
		}
	}
	if _, err := s.client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: s.bucket(), Prefix: s.name(probePrefix)}); err != nil {
		return fmt.Errorf("list the uploads, which takes s3:ListBucketMultipartUploads: %w", s.s3Error(err))
	}
	return nil
}

// probeMultipart completes an upload over an object that exists, which the server should refuse for that reason.
func (s *S3) probeMultipart(ctx context.Context, name string) error {
	id, err := s.startMultipart(ctx, name, s.checks)
	if err != nil {
		return fmt.Errorf("begin an upload, which takes s3:PutObject: %w", err)
	}
	part, err := s.putPart(ctx, name, id, 1, []byte(name), s.checks)
	if err == nil && s.checks {
		err = s.listsSum(ctx, name, id, part)
	}
	if err == nil {
		in := s.completion(name, id, []s3Part{part})
		in.IfNoneMatch = aws.String("*")
		_, err = s.client.CompleteMultipartUpload(ctx, in)
		s.conditionalComplete = statusOf(err) == http.StatusPreconditionFailed
		if s.conditionalComplete || !s.checks {
			err = nil
		}
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if aborted := s.abortMultipart(clean, name, id); aborted != nil {
		err = errors.Join(err, fmt.Errorf("abort an upload, which takes s3:AbortMultipartUpload: %w", aborted))
	}
	return err
}

// listsSum sees that the server tells the checksum of a part, without which an upload can't be resumed elsewhere.
func (s *S3) listsSum(ctx context.Context, name, id string, part s3Part) error {
	out, err := s.client.ListParts(ctx, &s3.ListPartsInput{Bucket: s.bucket(), Key: s.name(name), UploadId: &id})
	if err != nil {
		return s.s3Error(err)
	}
	if len(out.Parts) != 1 || partOf(out.Parts[0]) != part {
		return errors.New("the server doesn't tell the checksums of parts")
	}
	return nil
}

var _ io.Closer = (*S3)(nil)
