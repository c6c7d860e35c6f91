package ociserver

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/store"
)

func (x *exchange) uploadStart(ctx context.Context) (*response, error) {
	var upload registry.Upload
	err := x.change(ctx, func(tx *store.Tx) (json.RawMessage, error) {
		repo, err := x.Registry.Repository(tx, x.id, x.req.Name)
		if err != nil {
			return nil, err
		}
		upload, err = x.Registry.StartUpload(tx, repo)
		return x.shown("uploadId", upload.ID), err
	})
	if err != nil {
		return nil, err
	}
	return x.progress(http.StatusAccepted, upload), nil
}

// progress answers with how far an upload is.
func (x *exchange) progress(status int, u registry.Upload) *response {
	return &response{
		status: status, uploadID: u.ID, byteRange: "0-" + decimal(max(0, u.Size-1)),
		location: "/v2/" + x.req.Name + "/blobs/uploads/" + u.ID,
	}
}

// uploadMount takes a layer from another repository of the registry, if the registry does that and the caller may read it
// there, and otherwise begins an upload.
func (x *exchange) uploadMount(ctx context.Context) (*response, error) {
	if mounts, err := x.Registry.Mounts(ctx, x.id); err != nil {
		return nil, err
	} else if !mounts {
		return x.uploadStart(ctx)
	}
	if x.req.From == "" || !oci.ValidRepositoryName(x.req.From) || !x.pass.May(ctx, x.mountQuestion()) {
		return x.uploadStart(ctx)
	}
	from, err := x.Registry.Find(ctx, x.id, x.req.From)
	if errors.Is(err, registry.ErrRepositoryNotFound) {
		return x.uploadStart(ctx)
	}
	if err != nil {
		return nil, err
	}
	x.entry.Name = "MountLayer"
	err = x.change(ctx, func(tx *store.Tx) (json.RawMessage, error) {
		to, err := x.Registry.Repository(tx, x.id, x.req.Name)
		if err != nil {
			return nil, err
		}
		_, err = x.Registry.MountLayer(tx, from, to, x.req.Digest)
		return x.shown("layerDigest", string(x.req.Digest), "sourceRepositoryName", x.req.From), err
	})
	if errors.Is(err, registry.ErrLayerNotFound) {
		x.entry.Name = x.route.event
		return x.uploadStart(ctx)
	}
	if err != nil {
		return nil, err
	}
	return x.created(x.req.Digest), nil
}

// created answers that a layer is complete.
func (x *exchange) created(digest oci.Digest) *response {
	return &response{
		status: http.StatusCreated, digest: string(digest),
		location: "/v2/" + x.req.Name + "/blobs/" + string(digest),
	}
}

// uploadSingle takes a whole layer in one POST.
func (x *exchange) uploadSingle(ctx context.Context) (*response, error) {
	repo, err := x.find(ctx)
	if err != nil {
		return nil, err
	}
	t, err := x.Registry.Begin(ctx, repo, x.req.Digest)
	if err != nil {
		return nil, err
	}
	return x.finish(ctx, t)
}

// finish takes the rest of a layer and completes it.
func (x *exchange) finish(ctx context.Context, t *registry.Transfer) (p *response, err error) {
	defer func() {
		if closing := t.Close(); closing != nil && err == nil {
			x.Log.Warn("close an upload", "request", x.entry.ID, "error", closing)
		}
	}()
	if err := x.receive(t); err != nil {
		return nil, err
	}
	if err := t.Finish(ctx, []oci.Digest{x.req.Digest}, false); err != nil {
		return nil, err
	}
	err = x.change(ctx, func(tx *store.Tx) (json.RawMessage, error) {
		layer, _, err := t.SaveLayer(tx)
		return x.shown("layerDigest", string(layer.Digest)), err
	})
	if err != nil {
		return nil, err
	}
	return x.created(x.req.Digest), nil
}

// receive takes the bytes of the request into the transfer. With a Content-Range they must begin where the upload ended.
func (x *exchange) receive(t *registry.Transfer) error {
	size := x.r.ContentLength
	if text := x.r.Header.Get("Content-Range"); text != "" {
		first, last, err := oci.ParseContentRange(text)
		if err != nil {
			return &rangeSyntaxError{text}
		}
		if first != t.Size() {
			return &registry.RangeError{Size: t.Size()}
		}
		if size >= 0 && size != last-first+1 {
			return registry.ErrSizeMismatch
		}
		size = last - first + 1
	}
	if size == 0 {
		return nil
	}
	in := newBody(x.w, x.r)
	defer in.done()
	return t.Append(in, size)
}

// rangeSyntaxError means that a Content-Range is not one.
type rangeSyntaxError struct{ text string }

func (e *rangeSyntaxError) Error() string {
	return "the Content-Range " + e.text + " is not of the form 0-99"
}

// resume opens the upload of the request for writing, and if it is to be finished, under the digests.
func (x *exchange) resume(ctx context.Context, digests ...oci.Digest) (*registry.Transfer, error) {
	repo, err := x.find(ctx)
	if err != nil {
		return nil, err
	}
	return x.Registry.Resume(ctx, repo, x.req.UploadID, digests...)
}

func (x *exchange) upload(ctx context.Context) (repo registry.Repository, upload registry.Upload, err error) {
	if repo, err = x.find(ctx); err != nil {
		return repo, upload, err
	}
	err = x.Registry.View(ctx, func(tx *store.Tx) error {
		upload, err = x.Registry.Upload(tx, repo, x.req.UploadID)
		return err
	})
	return repo, upload, err
}

func (x *exchange) uploadChunk(ctx context.Context) (p *response, err error) {
	t, err := x.resume(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closing := t.Close(); closing != nil && err == nil {
			x.Log.Warn("close an upload", "request", x.entry.ID, "error", closing)
		}
	}()
	if err := x.receive(t); err != nil {
		return nil, err
	}
	if err := t.Pause(ctx); err != nil {
		return nil, err
	}
	var upload registry.Upload
	err = x.change(ctx, func(tx *store.Tx) (json.RawMessage, error) {
		upload, err = t.SaveProgress(tx)
		return x.shown("uploadId", upload.ID, "lastByteReceived", upload.Size-1), err
	})
	if err != nil {
		return nil, err
	}
	return x.progress(http.StatusAccepted, upload), nil
}

func (x *exchange) uploadFinish(ctx context.Context) (*response, error) {
	t, err := x.resume(ctx, x.req.Digest)
	if err != nil {
		return nil, err
	}
	return x.finish(ctx, t)
}

func (x *exchange) uploadStatus(ctx context.Context) (*response, error) {
	_, upload, err := x.upload(ctx)
	if err != nil {
		return nil, err
	}
	return x.progress(http.StatusNoContent, upload), nil
}

func (x *exchange) uploadCancel(ctx context.Context) (*response, error) {
	err := x.change(ctx, func(tx *store.Tx) (json.RawMessage, error) {
		repo, err := x.Registry.Repository(tx, x.id, x.req.Name)
		if err != nil {
			return nil, err
		}
		return x.shown("uploadId", x.req.UploadID), x.Registry.CancelUpload(tx, repo, x.req.UploadID)
	})
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusNoContent}, nil
}
