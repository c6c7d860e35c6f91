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

func (s *service) addRotation(out *awsapi.Service) {
	awsapi.Add(out, onKey(s, about[api.EnableKeyRotationRequest]{
		key: func(in *api.EnableKeyRotationRequest) string { return in.KeyID },
		context: func(in *api.EnableKeyRotationRequest, c policy.Context) {
			c.Put("kms:RotationPeriodInDays", number(rotationDays(in)))
		},
	}, awsapi.Op[api.EnableKeyRotationRequest, struct{}]{
		Action: "kms:EnableKeyRotation",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.EnableKeyRotationRequest) (*struct{}, error) {
			return nil, change(c, func(key kms.Key) error { return s.Keys.EnableRotation(tx, key, rotationDays(in)) })
		},
	}))
	awsapi.Add(out, onKey(s, about[api.DisableKeyRotationRequest]{key: func(in *api.DisableKeyRotationRequest) string { return in.KeyID }},
		awsapi.Op[api.DisableKeyRotationRequest, struct{}]{
			Action: "kms:DisableKeyRotation",
			Write: func(tx *store.Tx, c awsapi.Call, _ *api.DisableKeyRotationRequest) (*struct{}, error) {
				return nil, change(c, func(key kms.Key) error { return s.Keys.DisableRotation(tx, key) })
			},
		}))
	awsapi.Add(out, onKey(s, about[api.GetKeyRotationStatusRequest]{key: func(in *api.GetKeyRotationStatusRequest) string { return in.KeyID }},
		awsapi.Op[api.GetKeyRotationStatusRequest, api.GetKeyRotationStatusResponse]{Action: "kms:GetKeyRotationStatus", Read: s.getKeyRotationStatus}))
	awsapi.Add(out, onKey(s, about[api.RotateKeyOnDemandRequest]{key: func(in *api.RotateKeyOnDemandRequest) string { return in.KeyID }},
		awsapi.Op[api.RotateKeyOnDemandRequest, api.RotateKeyOnDemandResponse]{
			Action: "kms:RotateKeyOnDemand",
			Write: func(tx *store.Tx, c awsapi.Call, _ *api.RotateKeyOnDemandRequest) (*api.RotateKeyOnDemandResponse, error) {
				out := &api.RotateKeyOnDemandResponse{}
				return out, change(c, func(key kms.Key) error {
					out.KeyID = key.ID
					r, err := s.Keys.RotateOnDemand(tx, key)
					if err != nil || s.Rotated == nil {
						return err
					}
					return s.Rotated(tx, r)
				})
			},
		}))
	awsapi.Add(out, onKey(s, about[api.ListKeyRotationsRequest]{key: func(in *api.ListKeyRotationsRequest) string { return in.KeyID }},
		awsapi.Op[api.ListKeyRotationsRequest, api.ListKeyRotationsResponse]{Action: "kms:ListKeyRotations", Read: s.listKeyRotations}))
}

// rotationDays are those between two rotations that a request asks for.
func rotationDays(in *api.EnableKeyRotationRequest) int64 {
	if in.RotationPeriodInDays == nil {
		return kms.DefaultRotationDays
	}
	return *in.RotationPeriodInDays
}

func (s *service) getKeyRotationStatus(ctx context.Context, c awsapi.Call, _ *api.GetKeyRotationStatusRequest) (*api.GetKeyRotationStatusResponse, error) {
	return view(ctx, s, c, func(tx *store.Tx, key kms.Key) (*api.GetKeyRotationStatusResponse, error) {
		status, err := s.Keys.RotationStatus(tx, key)
		out := &api.GetKeyRotationStatusResponse{KeyID: key.ARN, KeyRotationEnabled: &status.Enabled}
		if status.Enabled {
			next := awsapi.NewTime(status.Next)
			out.RotationPeriodInDays, out.NextRotationDate = &status.Days, &next
		}
		return out, err
	})
}

func (s *service) listKeyRotations(ctx context.Context, c awsapi.Call, in *api.ListKeyRotationsRequest) (*api.ListKeyRotationsResponse, error) {
	return view(ctx, s, c, func(tx *store.Tx, key kms.Key) (*api.ListKeyRotationsResponse, error) {
		all := in.IncludeKeyMaterial == "ALL_KEY_MATERIAL"
		p, err := readPage(in.Marker, "rotations "+in.IncludeKeyMaterial+" "+key.ID)
		if err != nil {
			return nil, err
		}
		var after kms.MaterialPlace
		if p.After != "" {
			if after.At, err = time.Parse(time.RFC3339Nano, p.After); err != nil {
				return nil, &kms.Error{Code: kms.CodeInvalidMarker}
			}
			after.ID = p.Then
		}
		most := size(in.Limit, 100, 1000)
		materials, err := s.Keys.Rotations(tx, key, all, after, most+1)
		if err != nil {
			return nil, err
		}
		out := &api.ListKeyRotationsResponse{Rotations: []api.RotationsListEntry{}}
		materials, out.NextMarker, out.Truncated = paged(materials, most, func(last kms.MaterialInfo) page {
			return page{List: p.List, After: last.Place().At.UTC().Format(time.RFC3339Nano), Then: last.ID}
		})
		for _, m := range materials {
			out.Rotations = append(out.Rotations, rotationEntry(key, m))
		}
		return out, nil
	})
}

// rotationEntry is how the API shows material of a key.
func rotationEntry(key kms.Key, m kms.MaterialInfo) api.RotationsListEntry {
	e := api.RotationsListEntry{KeyID: key.ARN, KeyMaterialID: m.ID, KeyMaterialState: m.State}
	if !m.Rotated.IsZero() {
		at := awsapi.NewTime(m.Rotated)
		e.RotationDate, e.RotationType = &at, kms.MaterialOnDemand
		if m.Kind == kms.MaterialAutomatic {
			e.RotationType = kms.MaterialAutomatic
		}
	}
	if key.Origin != kms.OriginExternal {
		return e
	}
	e.KeyMaterialDescription = m.Description
	if e.ImportState = "PENDING_IMPORT"; m.Here {
		e.ImportState, e.ExpirationModel = "IMPORTED", kms.MaterialRemains
		if !m.ValidTo.IsZero() {
			at := awsapi.NewTime(m.ValidTo)
			e.ExpirationModel, e.ValidTo = kms.MaterialExpires, &at
		}
	}
	return e
}
