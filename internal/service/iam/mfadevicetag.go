package iam

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// addDeviceTags adds the operations on tags of MFA devices.
func (s *service) addDeviceTags(out *awsapi.Service) {
	devices := tagged{"", func(tx *store.Tx, c awsapi.Call, serial string) (account, owner string, err error) {
		d, err := s.device(tx, c, serial)
		return d.Account, d.Serial(), err
	}}
	awsapi.Add(out, onDevice(awsapi.Op[api.TagMFADeviceRequest, nothing]{
		Action:  "iam:TagMFADevice",
		Context: func(_ awsapi.Call, in *api.TagMFADeviceRequest) policy.Context { return requestTags(in.Tags) },
		Write: func(tx *store.Tx, c awsapi.Call, in *api.TagMFADeviceRequest) (*nothing, error) {
			return s.tag(tx, c, devices, in.SerialNumber, in.Tags)
		},
	}, func(in *api.TagMFADeviceRequest) string { return in.SerialNumber }))
	awsapi.Add(out, onDevice(awsapi.Op[api.UntagMFADeviceRequest, nothing]{
		Action:  "iam:UntagMFADevice",
		Context: func(_ awsapi.Call, in *api.UntagMFADeviceRequest) policy.Context { return tagKeys(in.TagKeys) },
		Write: func(tx *store.Tx, c awsapi.Call, in *api.UntagMFADeviceRequest) (*nothing, error) {
			return s.untag(tx, c, devices, in.SerialNumber, in.TagKeys)
		},
	}, func(in *api.UntagMFADeviceRequest) string { return in.SerialNumber }))
	awsapi.Add(out, onDevice(awsapi.Op[api.ListMFADeviceTagsRequest, api.ListMFADeviceTagsResponse]{
		Action: "iam:ListMFADeviceTags",
		Read: func(ctx context.Context, c awsapi.Call, in *api.ListMFADeviceTagsRequest) (*api.ListMFADeviceTagsResponse, error) {
			p, err := s.listTags(ctx, c, devices, in.SerialNumber, in.Marker, in.MaxItems)
			return &api.ListMFADeviceTagsResponse{Tags: p.items, IsTruncated: p.more, Marker: p.marker}, err
		},
	}, func(in *api.ListMFADeviceTagsRequest) string { return in.SerialNumber }))
}
