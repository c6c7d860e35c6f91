package blob

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// found is something in the bucket that belongs to a key: the object, a multipart upload, or the temporary object of one.
type found struct {
	key      string
	upload   string // id of a multipart upload
	tail     string // id of a temporary object
	size     int64
	modified time.Time
}

func (f *found) committed() bool { return f.upload == "" && f.tail == "" }

// Delete removes the object of a key, its unfinished uploads, and their temporary objects.
func (s *S3) Delete(ctx context.Context, key string) error {
	if !ValidKey(key) {
		return ErrKey
	}
	s.tails.drop(key)
	if s.cache != nil {
		defer s.cache.drop(key)
	}
	// Uploads go first: what can't be completed any more can't come to be an object behind this.
	for _, all := range []iter.Seq2[found, error]{s.uploads(ctx, key, ""), s.objects(ctx, key, "")} {
		for f, err := range all {
			if err == nil && f.key == key {
				err = s.drop(ctx, f)
			}
			if err != nil {
				return fmt.Errorf("delete object %s: %w", key, err)
			}
		}
	}
	return nil
}

// drop removes what was found.
func (s *S3) drop(ctx context.Context, f found) error {
	switch {
	case f.upload != "":
		return s.abortMultipart(ctx, f.key, f.upload)
	case f.tail != "":
		return s.remove(ctx, tailName(f.key, f.tail))
	}
	return s.remove(ctx, f.key)
}

// List merges the objects and the unfinished uploads. The size of an upload is not known. What earlier uploads left of a
// key that was committed since is removed on the way: it can't come to be an object any more. Names in the bucket that are
// not of this store are passed over.
func (s *S3) List(ctx context.Context, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		// Uploads are asked for before objects: one that is committed in between is seen twice rather than not at all.
		uploads, stopUploads := iter.Pull2(s.uploads(ctx, "", after))
		defer stopUploads()
		objects, stopObjects := iter.Pull2(s.objects(ctx, "", after))
		defer stopObjects()
		m := merger{next: [2]func() (found, error, bool){uploads, objects}}
		for {
			group, err := m.group()
			if err != nil {
				yield(Info{}, fmt.Errorf("list the objects: %w", err))
				return
			}
			if len(group) == 0 {
				return
			}
			if !yield(s.info(ctx, group), nil) {
				return
			}
		}
	}
}

// info is what is told of a key.
func (s *S3) info(ctx context.Context, group []found) Info {
	info := Info{Key: group[0].key, Size: -1, Partial: true}
	for _, f := range group {
		if f.committed() {
			info = Info{Key: f.key, Size: f.size, Modified: f.modified}
			break
		}
		if f.modified.After(info.Modified) {
			info.Modified = f.modified
		}
	}
	for _, f := range group {
		if !info.Partial && !f.committed() {
			_ = s.drop(ctx, f) // the next listing finds it again
		}
	}
	return info
}

// merger merges two sequences in the order of their keys.
type merger struct {
	next  [2]func() (found, error, bool)
	ahead [2]*found
	over  [2]bool
}

// group is all that was found of the next key, and empty at the end.
func (m *merger) group() (group []found, err error) {
	for i := range m.next {
		if m.ahead[i] == nil && !m.over[i] {
			if err := m.pull(i); err != nil {
				return nil, err
			}
		}
	}
	key := ""
	for _, f := range m.ahead {
		if f != nil && (key == "" || f.key < key) {
			key = f.key
		}
	}
	for i := range m.next {
		for m.ahead[i] != nil && m.ahead[i].key == key {
			group = append(group, *m.ahead[i])
			if err := m.pull(i); err != nil {
				return nil, err
			}
		}
	}
	return group, nil
}

func (m *merger) pull(i int) error {
	m.ahead[i] = nil
	f, err, ok := m.next[i]()
	if err != nil {
		return err
	}
	if m.over[i] = !ok; ok {
		m.ahead[i] = &f
	}
	return nil
}

// startAfter is a text of a key's characters that doesn't sort behind after.
func startAfter(after string) string {
	if end := strings.IndexFunc(after, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef/", r) }); end >= 0 {
		after = after[:end]
	}
	return after[:min(len(after), keyLength)]
}

// objects finds the objects whose names begin with a text and whose keys are above after.
func (s *S3) objects(ctx context.Context, prefix, after string) iter.Seq2[found, error] {
	return func(yield func(found, error) bool) {
		in := &s3.ListObjectsV2Input{Bucket: s.bucket(), Prefix: s.name(prefix)}
		if start := startAfter(after); start != "" {
			in.StartAfter = s.name(start)
		}
		for {
			out, err := s.client.ListObjectsV2(ctx, in)
			if err != nil {
				yield(found{}, s.s3Error(err))
				return
			}
			for _, o := range out.Contents {
				f := found{size: aws.ToInt64(o.Size), modified: aws.ToTime(o.LastModified)}
				name, tail, isTail := strings.Cut(strings.TrimPrefix(aws.ToString(o.Key), s.place.prefix), tailMark)
				f.key, f.tail = name, tail
				if !ValidKey(f.key) || f.key <= after || isTail && !isTailID(tail) {
					continue
				}
				if !yield(f, nil) {
					return
				}
			}
			if !aws.ToBool(out.IsTruncated) || out.NextContinuationToken == nil {
				return
			}
			in.ContinuationToken = out.NextContinuationToken
		}
	}
}

// uploads finds the multipart uploads whose names begin with a text and whose keys are above after.
func (s *S3) uploads(ctx context.Context, prefix, after string) iter.Seq2[found, error] {
	return func(yield func(found, error) bool) {
		in := &s3.ListMultipartUploadsInput{Bucket: s.bucket(), Prefix: s.name(prefix)}
		if start := startAfter(after); start != "" {
			in.KeyMarker = s.name(start)
		}
		for {
			out, err := s.client.ListMultipartUploads(ctx, in)
			if err != nil {
				yield(found{}, s.s3Error(err))
				return
			}
			for _, u := range out.Uploads {
				f := found{key: strings.TrimPrefix(aws.ToString(u.Key), s.place.prefix), upload: aws.ToString(u.UploadId), modified: aws.ToTime(u.Initiated)}
				if !ValidKey(f.key) || f.key <= after {
					continue
				}
				if !yield(f, nil) {
					return
				}
			}
			if !aws.ToBool(out.IsTruncated) || aws.ToString(out.NextKeyMarker) == "" {
				return
			}
			in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
		}
	}
}
