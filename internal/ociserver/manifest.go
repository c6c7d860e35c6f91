package ociserver

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/store"
)

func (x *exchange) ping(context.Context) (*response, error) {
	return &response{status: http.StatusOK, contentType: "application/json", body: []byte("{}")}, nil
}

// find returns the repository of the request. The error is registry.ErrRepositoryNotFound.
func (x *exchange) find(ctx context.Context) (registry.Repository, error) {
	return x.Registry.Find(ctx, x.id, x.req.Name)
}

func (x *exchange) manifest(ctx context.Context) (registry.Repository, *registry.Manifest, error) {
	repo, err := x.find(ctx)
	if err != nil {
		return repo, nil, err
	}
	digest := x.req.Digest
	if x.req.Tag != "" {
		if digest, err = x.Registry.ResolveTag(ctx, repo, x.req.Tag); err != nil {
			return repo, nil, err
		}
	}
	m, err := x.Registry.Manifest(ctx, repo, digest)
	return repo, m, err
}

func (x *exchange) manifestHead(ctx context.Context) (*response, error) {
	_, m, err := x.manifest(ctx)
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusOK, contentType: m.MediaType, digest: string(m.Digest), length: int64(len(m.Body))}, nil
}

func (x *exchange) manifestGet(ctx context.Context) (*response, error) {
	repo, m, err := x.manifest(ctx)
	if err != nil {
		return nil, err
	}
	x.Registry.RecordPull(repo, m.Digest)
	return &response{status: http.StatusOK, contentType: m.MediaType, digest: string(m.Digest), body: m.Body}, nil
}

func (x *exchange) manifestPut(ctx context.Context) (*response, error) {
	if x.r.ContentLength > oci.MaxManifestSize {
		return nil, errManifestTooLarge
	}
	in := newBody(x.w, x.r)
	defer in.done()
	text, err := io.ReadAll(io.LimitReader(in, oci.MaxManifestSize+1))
	if err != nil {
		return nil, &registry.ReadError{Err: err}
	}
	if len(text) > oci.MaxManifestSize {
		return nil, errManifestTooLarge
	}
	push, err := x.Registry.NewPush(text, contentType(x.r), x.req.Tag, x.req.Digest)
	if err != nil {
		return nil, err
	}
	repo, err := x.find(ctx)
	if err != nil {
		return nil, err
	}
	err = x.change(ctx, func(tx *store.Tx) (json.RawMessage, error) {
		_, err := x.Registry.PutImage(tx, repo, push)
		var exists *registry.ImageExistsError
		if errors.As(err, &exists) {
			err = nil // pushing what is there already succeeds
		}
		return x.shown("imageDigest", string(push.Digest), "imageTag", push.Tag, "imageManifestMediaType", push.Parsed.MediaType), err
	})
	if err != nil {
		return nil, err
	}
	p := &response{
		status: http.StatusCreated, digest: string(push.Digest),
		location: "/v2/" + x.req.Name + "/manifests/" + string(push.Digest),
	}
	if push.Parsed.Subject != nil {
		p.subject = string(push.Parsed.Subject.Digest)
	}
	return p, nil
}

// contentType is the media type that the client declared, without parameters.
func contentType(r *http.Request) string {
	mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.TrimSpace(mediaType)
}

func (x *exchange) manifestDelete(ctx context.Context) (*response, error) {
	err := x.change(ctx, func(tx *store.Tx) (json.RawMessage, error) {
		id := registry.ImageID{Digest: string(x.req.Digest), Tag: x.req.Tag}
		deleted, failures, err := x.Registry.DeleteImages(tx, x.id, x.req.Name, []registry.ImageID{id})
		if err != nil {
			return nil, err
		}
		if len(failures) > 0 {
			return nil, &deleteError{failures[0]}
		}
		return x.shown("imageDigest", deleted[0].Digest, "imageTag", x.req.Tag), registry.CheckDeleted(deleted, x.deleting)
	})
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusAccepted}, nil
}

// deleteError is the failure of a delete.
type deleteError struct{ registry.Failure }

func (e *deleteError) Error() string { return e.Reason }
