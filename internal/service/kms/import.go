package kms

import (
	"context"
	"time"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/kms"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addImport(out *awsapi.Service) {
	awsapi.Add(out, onKey(s, about[api.GetParametersForImportRequest]{
		key: func(in *api.GetParametersForImportRequest) string { return in.KeyID },
		context: func(in *api.GetParametersForImportRequest, c policy.Context) {
			c.Put("kms:WrappingAlgorithm", in.WrappingAlgorithm)
			c.Put("kms:WrappingKeySpec", in.WrappingKeySpec)
		},
	}, awsapi.Op[api.GetParametersForImportRequest, api.GetParametersForImportResponse]{
		Action: "kms:GetParametersForImport",
		Read:   s.getParametersForImport,
	}))
	awsapi.Add(out, onKey(s, about[api.ImportKeyMaterialRequest]{
		key: func(in *api.ImportKeyMaterialRequest) string { return in.KeyID },
		context: func(in *api.ImportKeyMaterialRequest, c policy.Context) {
			c.Put("kms:ExpirationModel", expirationModel(in))
			if in.ValidTo != nil {
				c.Put("kms:ValidTo", in.ValidTo.Time().UTC().Format(time.RFC3339))
			}
		},
	}, awsapi.Op[api.ImportKeyMaterialRequest, api.ImportKeyMaterialResponse]{
		Action: "kms:ImportKeyMaterial",
		Parameters: func(in *api.ImportKeyMaterialRequest) any {
			shown := *in
			shown.ImportToken, shown.EncryptedKeyMaterial = nil, nil
			return &shown
		},
		Stage: s.importKeyMaterial,
	}))
	awsapi.Add(out, onKey(s, about[api.DeleteImportedKeyMaterialRequest]{key: func(in *api.DeleteImportedKeyMaterialRequest) string { return in.KeyID }},
		awsapi.Op[api.DeleteImportedKeyMaterialRequest, api.DeleteImportedKeyMaterialResponse]{
			Action: "kms:DeleteImportedKeyMaterial",
			Write: func(tx *store.Tx, c awsapi.Call, in *api.DeleteImportedKeyMaterialRequest) (*api.DeleteImportedKeyMaterialResponse, error) {
				out := &api.DeleteImportedKeyMaterialResponse{}
				return out, change(c, func(key kms.Key) (err error) {
					out.KeyID = key.ARN
					id, err := s.Keys.DeleteImported(tx, key, in.KeyMaterialID)
					if key.Symmetric() {
						out.KeyMaterialID = id
					}
					return err
				})
			},
		}))
}

func expirationModel(in *api.ImportKeyMaterialRequest) string {
	if in.ExpirationModel == "" {
		return kms.MaterialExpires
	}
	return in.ExpirationModel
}

func (s *service) getParametersForImport(ctx context.Context, c awsapi.Call, in *api.GetParametersForImportRequest) (*api.GetParametersForImportResponse, error) {
	key, err := keyOf(c)
	if err != nil {
		return nil, err
	}
	p, err := s.Keys.ImportParameters(ctx, key, in.WrappingKeySpec, in.WrappingAlgorithm)
	if err != nil {
		return nil, err
	}
	until := awsapi.NewTime(p.ValidTo)
	return &api.GetParametersForImportResponse{KeyID: key.ARN, ImportToken: p.Token, PublicKey: p.PublicKey, ParametersValidTo: &until}, nil
}

func (s *service) importKeyMaterial(_ context.Context, c awsapi.Call, in *api.ImportKeyMaterialRequest) (staged awsapi.Staged[api.ImportKeyMaterialResponse], err error) {
	key, err := keyOf(c)
	if err != nil {
		return staged, err
	}
	request := kms.Import{Token: in.ImportToken, Wrapped: in.EncryptedKeyMaterial, Expiration: expirationModel(in), Type: in.ImportType,
		Description: in.KeyMaterialDescription, MaterialID: in.KeyMaterialID}
	if in.ValidTo != nil {
		request.ValidTo = in.ValidTo.Time()
	}
	d, err := s.Keys.DraftImport(key, request)
	if err != nil {
		return staged, err
	}
	staged.Save = func(tx *store.Tx) (*api.ImportKeyMaterialResponse, error) {
		id, err := s.Keys.Import(tx, key, d)
		out := &api.ImportKeyMaterialResponse{KeyID: key.ARN}
		if key.Symmetric() {
			out.KeyMaterialID = id
		}
		return out, err
	}
	return staged, nil
}
