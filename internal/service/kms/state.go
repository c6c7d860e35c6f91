package kms

import (
	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/kms"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addStates(out *awsapi.Service) {
	awsapi.Add(out, onKey(s, about[api.EnableKeyRequest]{key: func(in *api.EnableKeyRequest) string { return in.KeyID }},
		awsapi.Op[api.EnableKeyRequest, struct{}]{
			Action: "kms:EnableKey",
			Write: func(tx *store.Tx, c awsapi.Call, _ *api.EnableKeyRequest) (*struct{}, error) {
				return nil, change(c, func(key kms.Key) error { return s.Keys.SetEnabled(tx, key, true) })
			},
		}))
	awsapi.Add(out, onKey(s, about[api.DisableKeyRequest]{key: func(in *api.DisableKeyRequest) string { return in.KeyID }},
		awsapi.Op[api.DisableKeyRequest, struct{}]{
			Action: "kms:DisableKey",
			Write: func(tx *store.Tx, c awsapi.Call, _ *api.DisableKeyRequest) (*struct{}, error) {
				return nil, change(c, func(key kms.Key) error { return s.Keys.SetEnabled(tx, key, false) })
			},
		}))
	awsapi.Add(out, onKey(s, about[api.ScheduleKeyDeletionRequest]{
		key: func(in *api.ScheduleKeyDeletionRequest) string { return in.KeyID },
		context: func(in *api.ScheduleKeyDeletionRequest, c policy.Context) {
			c.Put("kms:ScheduleKeyDeletionPendingWindowInDays", number(deletionDays(in)))
		},
	}, awsapi.Op[api.ScheduleKeyDeletionRequest, api.ScheduleKeyDeletionResponse]{
		Action: "kms:ScheduleKeyDeletion",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.ScheduleKeyDeletionRequest) (*api.ScheduleKeyDeletionResponse, error) {
			out := &api.ScheduleKeyDeletionResponse{}
			return out, change(c, func(key kms.Key) error {
				key, err := s.Keys.ScheduleDeletion(tx, key, deletionDays(in))
				at := awsapi.NewTime(key.DeletionDate)
				out.KeyID, out.DeletionDate, out.KeyState, out.PendingWindowInDays = key.ARN, &at, string(key.State), &key.DeletionDays
				return err
			})
		},
	}))
	awsapi.Add(out, onKey(s, about[api.CancelKeyDeletionRequest]{key: func(in *api.CancelKeyDeletionRequest) string { return in.KeyID }},
		awsapi.Op[api.CancelKeyDeletionRequest, api.CancelKeyDeletionResponse]{
			Action: "kms:CancelKeyDeletion",
			Write: func(tx *store.Tx, c awsapi.Call, _ *api.CancelKeyDeletionRequest) (*api.CancelKeyDeletionResponse, error) {
				out := &api.CancelKeyDeletionResponse{}
				return out, change(c, func(key kms.Key) error {
					out.KeyID = key.ARN
					return s.Keys.CancelDeletion(tx, key)
				})
			},
		}))
}

// deletionDays is how many days a key that is to be destroyed has left.
func deletionDays(in *api.ScheduleKeyDeletionRequest) int64 {
	if in.PendingWindowInDays == nil {
		return kms.DefaultDeletionDays
	}
	return *in.PendingWindowInDays
}
