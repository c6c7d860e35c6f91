package blob

import (
	"context"
	"crypto/fips140"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// writeToken is the metadata by which a writer knows its own object, when it never got the answer to its request.
const writeToken = "coffer-write"

// tailMark stands between a key and the id of a temporary object.
const tailMark = ".tail-"

func tailName(key, id string) string { return key + tailMark + id }

// putObject writes a whole object, which must not exist.
func (s *S3) putObject(ctx context.Context, key string, p []byte) error {
	token := randomID(16)
	if !s.conditionalPut {
		if _, _, _, err := s.head(ctx, key); !errors.Is(err, fs.ErrNotExist) {
			if err == nil {
				err = fs.ErrExist
			}
			return err
		}
	}
	err := s.put(ctx, key, p, token, s.conditionalPut)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	// An earlier attempt may have been answered to nobody.
	size, _, found, err := s.head(ctx, key)
	if err != nil {
		return err
	}
	if found == token && size == int64(len(p)) {
		return nil
	}
	return fs.ErrExist
}

// put writes a whole object, or fails with fs.ErrExist if it is only to be made.
func (s *S3) put(ctx context.Context, name string, p []byte, token string, only bool) error {
	b := &body{bytes: p}
	defer b.detach()
	in := s.whole(name, b, len(p))
	if token != "" {
		in.Metadata = map[string]string{writeToken: token}
	}
	if s.checks {
		in.ChecksumCRC32C = aws.String(checksum(p))
	}
	if only {
		in.IfNoneMatch = aws.String("*")
	}
	_, err := s.client.PutObject(ctx, in, s.signing(s.checks), within(moving(len(p))))
	if statusOf(err) == http.StatusPreconditionFailed {
		return fs.ErrExist
	}
	return s.s3Error(err)
}

// whole is a request to write an object.
func (s *S3) whole(name string, p io.Reader, size int) *s3.PutObjectInput {
	in := &s3.PutObjectInput{Bucket: s.bucket(), Key: s.name(name), Body: p, ContentLength: aws.Int64(int64(size)),
		ContentType: aws.String("application/octet-stream"), ServerSideEncryption: types.ServerSideEncryption(s.place.encryption)}
	if s.place.kmsKey != "" {
		in.SSEKMSKeyId = &s.place.kmsKey
	}
	return in
}

// head looks for an object. The error is fs.ErrNotExist if there is none.
func (s *S3) head(ctx context.Context, name string) (size int64, etag, token string, err error) {
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: s.bucket(), Key: s.name(name)})
	if err != nil {
		return 0, "", "", s.s3Error(err)
	}
	return aws.ToInt64(out.ContentLength), aws.ToString(out.ETag), out.Metadata[writeToken], nil
}

// startMultipart begins a multipart upload. If it is summed, parts go with their checksums.
func (s *S3) startMultipart(ctx context.Context, name string, summed bool) (id string, err error) {
	in := &s3.CreateMultipartUploadInput{Bucket: s.bucket(), Key: s.name(name),
		ContentType: aws.String("application/octet-stream"), ServerSideEncryption: types.ServerSideEncryption(s.place.encryption)}
	if s.place.kmsKey != "" {
		in.SSEKMSKeyId = &s.place.kmsKey
	}
	if summed {
		in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32c
	}
	out, err := s.client.CreateMultipartUpload(ctx, in)
	if err != nil {
		return "", s.s3Error(err)
	}
	return aws.ToString(out.UploadId), nil
}

var errTooLarge = fmt.Errorf("an object has at most %d parts", maxParts)

func (s *S3) putPart(ctx context.Context, name, id string, number int, p []byte, summed bool) (part s3Part, err error) {
	if number > maxParts {
		return part, errTooLarge
	}
	b := &body{bytes: p}
	defer b.detach()
	in := &s3.UploadPartInput{Bucket: s.bucket(), Key: s.name(name), UploadId: &id,
		PartNumber: aws.Int32(int32(number)), Body: b, ContentLength: aws.Int64(int64(len(p)))}
	if summed {
		part.sum = checksum(p)
		in.ChecksumCRC32C = &part.sum
	}
	out, err := s.client.UploadPart(ctx, in, s.signing(summed), within(moving(len(p))))
	if err != nil {
		return part, s.s3Error(err)
	}
	part.etag = strings.Trim(aws.ToString(out.ETag), `"`)
	return part, nil
}

// partsOf lists the parts that a state counts on. The error is fs.ErrNotExist if they are not those, and
// fs.ErrExist if the object was committed.
func (s *S3) partsOf(ctx context.Context, state *s3State) (parts []s3Part, err error) {
	for marker := ""; ; {
		in := &s3.ListPartsInput{Bucket: s.bucket(), Key: s.name(state.key), UploadId: &state.id}
		if marker != "" {
			in.PartNumberMarker = &marker
		}
		out, err := s.client.ListParts(ctx, in)
		if err := s.s3Error(err); errors.Is(err, fs.ErrNotExist) {
			return nil, s.gone(ctx, state.key)
		} else if err != nil {
			return nil, err
		}
		for _, part := range out.Parts {
			number := int(aws.ToInt32(part.PartNumber))
			if number != len(parts)+1 || len(parts) == state.parts {
				continue
			}
			if aws.ToInt64(part.Size) != int64(partSize(number)) {
				break
			}
			parts = append(parts, partOf(part))
		}
		marker = aws.ToString(out.NextPartNumberMarker)
		if !aws.ToBool(out.IsTruncated) || marker == "" || len(parts) == state.parts {
			break
		}
	}
	if len(parts) != state.parts || chainOf(parts) != state.chain {
		return nil, errReplaced
	}
	return parts, nil
}

func partOf(p types.Part) s3Part {
	return s3Part{etag: strings.Trim(aws.ToString(p.ETag), `"`), sum: aws.ToString(p.ChecksumCRC32C)}
}

// errReplaced means that another writer went on with an upload from the same state, or an older one.
var errReplaced = fmt.Errorf("%w as it was: another writer replaced its parts", fs.ErrNotExist)

// gone is the error for a multipart upload that is no more.
func (s *S3) gone(ctx context.Context, key string) error {
	_, _, _, err := s.head(ctx, key)
	if err == nil {
		return fs.ErrExist
	}
	return err
}

// completion is the request that makes an object of its parts.
func (s *S3) completion(key, id string, parts []s3Part) *s3.CompleteMultipartUploadInput {
	list := make([]types.CompletedPart, len(parts))
	for i := range parts {
		list[i] = types.CompletedPart{ETag: &parts[i].etag, PartNumber: aws.Int32(int32(i + 1))}
		if parts[i].sum != "" {
			list[i].ChecksumCRC32C = &parts[i].sum
		}
	}
	return &s3.CompleteMultipartUploadInput{Bucket: s.bucket(), Key: s.name(key), UploadId: &id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: list}}
}

// complete makes an object of its parts, which must not exist.
func (s *S3) complete(ctx context.Context, key, id string, parts []s3Part, size int64) error {
	in := s.completion(key, id, parts)
	if s.conditionalComplete {
		in.IfNoneMatch = aws.String("*")
	} else if _, _, _, err := s.head(ctx, key); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fs.ErrExist
		}
		return err
	}
	_, err := s.client.CompleteMultipartUpload(ctx, in, within(completeTime))
	switch code := codeOf(err); {
	case err == nil:
		return s.made(ctx, key, size)
	case code == "NoSuchUpload", statusOf(err) == http.StatusPreconditionFailed, code == "InvalidPart", code == "InvalidPartOrder":
		return s.settled(ctx, key, code, parts, size)
	}
	return s.s3Error(err)
}

// A server that says that it has made an object is asked for it after madePause, twice that and so on, up to madePauseMax.
const (
	madePause    = 50 * time.Millisecond
	madePauseMax = 1600 * time.Millisecond
)

// made sees that an object is there which the server says it has made of its parts. versitygw says so too while an earlier request
// to make it goes on, and for ever if it was killed meanwhile.
func (s *S3) made(ctx context.Context, key string, size int64) error {
	wait := waiter(ctx)
	for pause := madePause; ; pause *= 2 {
		found, _, _, err := s.head(ctx, key)
		switch {
		case err == nil && found != size:
			return fs.ErrExist
		case !errors.Is(err, fs.ErrNotExist):
			return err
		case pause > madePauseMax:
			return fmt.Errorf("%w: it says that it has made the object, and doesn't have it", ErrUnreachable)
		}
		if err := wait(pause); err != nil {
			return err
		}
	}
}

// settled finds out what became of an upload that can't be completed: an earlier attempt to do so may have been answered
// to nobody.
func (s *S3) settled(ctx context.Context, key, code string, parts []s3Part, size int64) error {
	found, etag, _, err := s.head(ctx, key)
	switch {
	case errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(code, "InvalidPart"):
		return errReplaced
	case err != nil:
		return err
	case found == size && strings.Trim(etag, `"`) == etagOf(parts):
		return nil
	}
	return fs.ErrExist
}

// etagOf is the etag that most servers give an object of parts, by which it is recognised and nothing is proven; " " where
// servers make etags in another way.
func etagOf(parts []s3Part) string {
	var sums []byte
	for _, part := range parts {
		sum, err := hex.DecodeString(part.etag)
		if err != nil || len(sum) != md5.Size {
			return " "
		}
		sums = append(sums, sum...)
	}
	var sum [md5.Size]byte
	fips140.WithoutEnforcement(func() { sum = md5.Sum(sums) })
	return hex.EncodeToString(sum[:]) + "-" + strconv.Itoa(len(parts))
}

// abortMultipart removes a multipart upload, if it is there.
func (s *S3) abortMultipart(ctx context.Context, name, id string) error {
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: s.bucket(), Key: s.name(name), UploadId: &id})
	if err := s.s3Error(err); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// remove deletes an object, if it is there.
func (s *S3) remove(ctx context.Context, name string) error {
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: s.bucket(), Key: s.name(name)})
	if err := s.s3Error(err); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (s *S3) putTail(ctx context.Context, key, id string, p []byte) error {
	return s.put(ctx, tailName(key, id), p, "", false)
}

// readTail reads the temporary object of a state. The error is fs.ErrNotExist if it is gone.
func (s *S3) readTail(ctx context.Context, state *s3State) ([]byte, error) {
	p := make([]byte, state.tailSize)
	err := s.readAll(ctx, tailName(state.key, state.tailID), p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errReplaced
	}
	return p, err
}

// dropTails deletes temporary objects as well as it can: List finds what is left.
func (s *S3) dropTails(ctx context.Context, key string, ids []string) {
	for _, id := range ids {
		_ = s.remove(ctx, tailName(key, id))
	}
}
