package ociserver

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/coffer-registry/coffer/internal/store"
)

func (x *exchange) blobHead(ctx context.Context) (*response, error) {
	repo, err := x.find(ctx)
	if err != nil {
		return nil, err
	}
	layer, err := x.Registry.Layer(ctx, repo, x.req.Digest)
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusOK, contentType: octetStream[0], digest: string(layer.Digest), length: layer.Size}, nil
}

func (x *exchange) blobGet(ctx context.Context) (*response, error) {
	repo, err := x.find(ctx)
	if err != nil {
		return nil, err
	}
	layer, err := x.Registry.Layer(ctx, repo, x.req.Digest)
	if err != nil {
		return nil, err
	}
	reader, err := x.Registry.OpenLayer(ctx, repo, layer)
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusOK, digest: string(layer.Digest), content: reader}, nil
}

func (x *exchange) blobDelete(ctx context.Context) (*response, error) {
	err := x.change(ctx, func(tx *store.Tx) (json.RawMessage, error) {
		repo, err := x.Registry.Repository(tx, x.id, x.req.Name)
		if err != nil {
			return nil, err
		}
		return x.shown("layerDigest", string(x.req.Digest)), x.Registry.DeleteLayer(tx, repo, x.req.Digest)
	})
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusAccepted}, nil
}
