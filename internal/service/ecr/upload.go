package ecr

import (
	"context"
	"errors"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/ecr"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/store"
)

// maxPartBody bounds the body of UploadLayerPart: the largest part that the model allows, in base64, and the rest.
const maxPartBody = 20_971_520/3*4 + 64<<10

func (s *service) addUploads(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.InitiateLayerUploadRequest, api.InitiateLayerUploadResponse]{
		Action: "ecr:InitiateLayerUpload",
		Resources: func(c awsapi.Call, in *api.InitiateLayerUploadRequest) []policy.Resource {
			return onRepository(c, in.RegistryID, in.RepositoryName)
		},
		Write: s.initiateLayerUpload,
	})
	awsapi.Add(out, awsapi.Op[api.UploadLayerPartRequest, api.UploadLayerPartResponse]{
		Action: "ecr:UploadLayerPart",
		Resources: func(c awsapi.Call, in *api.UploadLayerPartRequest) []policy.Resource {
			return onRepository(c, in.RegistryID, in.RepositoryName)
		},
		Parameters: func(in *api.UploadLayerPartRequest) any {
			shown := *in
			shown.LayerPartBlob = nil
			return shown
		},
		MaxBody: maxPartBody,
		Stage:   s.uploadLayerPart,
	})
	awsapi.Add(out, awsapi.Op[api.CompleteLayerUploadRequest, api.CompleteLayerUploadResponse]{
		Action: "ecr:CompleteLayerUpload",
		Resources: func(c awsapi.Call, in *api.CompleteLayerUploadRequest) []policy.Resource {
			return onRepository(c, in.RegistryID, in.RepositoryName)
		},
		Stage: s.completeLayerUpload,
	})
}

func (s *service) initiateLayerUpload(tx *store.Tx, c awsapi.Call, in *api.InitiateLayerUploadRequest) (*api.InitiateLayerUploadResponse, error) {
	id := registryID(c, in.RegistryID)
	repo, err := s.Registry.Repository(tx, id, in.RepositoryName)
	if err != nil {
		return nil, about(id, in.RepositoryName, err)
	}
	upload, err := s.Registry.StartUpload(tx, repo)
	if err != nil {
		return nil, err
	}
	partSize := s.Registry.Limits().Get(registry.PartBytesMax)
	return &api.InitiateLayerUploadResponse{UploadID: upload.ID, PartSize: &partSize}, nil
}

// resume opens an upload for writing, and if it is to be finished, under the digests. fail makes an error that knows the upload.
func (s *service) resume(ctx context.Context, id registry.ID, name, uploadID string, digests ...oci.Digest) (t *registry.Transfer, fail func(error) error, err error) {
	fail = failing(id, name, uploadID, 0)
	repo, err := s.Registry.Find(ctx, id, name)
	if err != nil {
		return nil, fail, fail(err)
	}
	if t, err = s.Registry.Resume(ctx, repo, uploadID, digests...); err != nil {
		return nil, fail, fail(err)
	}
	return t, failing(id, name, uploadID, t.Upload().Size), nil
}

// failing returns what makes an error know its upload; it leaves nil alone.
func failing(id registry.ID, name, uploadID string, size int64) func(error) error {
	return func(err error) error {
		var layer *layerError
		if err == nil || errors.As(err, &layer) {
			return about(id, name, err)
		}
		return about(id, name, &layerError{uploadID: uploadID, size: size, err: err})
	}
}

func (s *service) uploadLayerPart(ctx context.Context, c awsapi.Call, in *api.UploadLayerPartRequest) (awsapi.Staged[api.UploadLayerPartResponse], error) {
	var staged awsapi.Staged[api.UploadLayerPartResponse]
	id := registryID(c, in.RegistryID)
	t, fail, err := s.resume(ctx, id, in.RepositoryName, in.UploadID)
	if err != nil {
		return staged, err
	}
	if err = t.AppendPart(in.LayerPartBlob, in.PartFirstByte, in.PartLastByte); err == nil {
		err = t.Pause(ctx)
	}
	if err != nil {
		t.Close()
		return staged, fail(err)
	}
	staged.Close = t.Close
	staged.Save = func(tx *store.Tx) (*api.UploadLayerPartResponse, error) {
		upload, err := t.SaveProgress(tx)
		last := upload.Size - 1
		return &api.UploadLayerPartResponse{RegistryID: id.Account, RepositoryName: in.RepositoryName, UploadID: in.UploadID, LastByteReceived: &last}, fail(err)
	}
	return staged, nil
}

func (s *service) completeLayerUpload(ctx context.Context, c awsapi.Call, in *api.CompleteLayerUploadRequest) (awsapi.Staged[api.CompleteLayerUploadResponse], error) {
	var staged awsapi.Staged[api.CompleteLayerUploadResponse]
	id := registryID(c, in.RegistryID)
	digests := make([]oci.Digest, len(in.LayerDigests))
	for i, d := range in.LayerDigests {
		digests[i] = oci.Digest(d)
	}
	t, fail, err := s.resume(ctx, id, in.RepositoryName, in.UploadID, digests...)
	if err != nil {
		return staged, err
	}
	if err := t.Finish(ctx, digests, true); err != nil {
		t.Close()
		return staged, fail(err)
	}
	var existed bool
	staged.Close = func() error {
		if !existed {
			return t.Close()
		}
		// What the client is told undid the end of the upload, too.
		return errors.Join(t.Discard(ctx), t.Close())
	}
	staged.Save = func(tx *store.Tx) (*api.CompleteLayerUploadResponse, error) {
		var layer registry.Layer
		var err error
		layer, existed, err = t.SaveLayer(tx)
		if err == nil && existed {
			err = &layerError{digest: string(layer.Digest), err: registry.ErrLayerExists}
		}
		return &api.CompleteLayerUploadResponse{RegistryID: id.Account, RepositoryName: in.RepositoryName, UploadID: in.UploadID, LayerDigest: string(layer.Digest)}, fail(err)
	}
	return staged, nil
}
