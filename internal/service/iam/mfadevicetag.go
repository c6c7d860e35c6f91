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
	tag := onDevice(awsapi.Op[api.TagMFADeviceRequest, nothing]{
		Action: "iam:TagMFADevice",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.TagMFADeviceRequest) (*nothing, error) {
			d, err := s.device(tx, c, in.SerialNumber)
			if err != nil {
				return nil, err
			}
			return &nothing{}, s.IAM.PutTags(tx, d.Account, d.Serial(), tagsFrom(in.Tags))
		},
	}, func(in *api.TagMFADeviceRequest) string { return in.SerialNumber })
	tag.Context = func(_ awsapi.Call, in *api.TagMFADeviceRequest) policy.Context {
		keys := policy.Context{}
		putTags(keys, in.Tags)
		return keys
	}
	awsapi.Add(out, tag)
	untag := onDevice(awsapi.Op[api.UntagMFADeviceRequest, nothing]{
		Action: "iam:UntagMFADevice",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.UntagMFADeviceRequest) (*nothing, error) {
			d, err := s.device(tx, c, in.SerialNumber)
			if err != nil {
				return nil, err
			}
			return &nothing{}, s.IAM.DeleteTags(tx, d.Account, d.Serial(), in.TagKeys)
		},
	}, func(in *api.UntagMFADeviceRequest) string { return in.SerialNumber })
	untag.Context = func(_ awsapi.Call, in *api.UntagMFADeviceRequest) policy.Context {
		keys := policy.Context{}
		keys.Put("aws:TagKeys", in.TagKeys...)
		return keys
	}
	awsapi.Add(out, untag)
	awsapi.Add(out, onDevice(awsapi.Op[api.ListMFADeviceTagsRequest, api.ListMFADeviceTagsResponse]{
		Action: "iam:ListMFADeviceTags",
		Read:   s.listDeviceTags,
	}, func(in *api.ListMFADeviceTagsRequest) string { return in.SerialNumber }))
}

func (s *service) listDeviceTags(ctx context.Context, c awsapi.Call, in *api.ListMFADeviceTagsRequest) (*api.ListMFADeviceTagsResponse, error) {
	list := "tags of " + in.SerialNumber
	after, n, err := paging(list, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &api.ListMFADeviceTagsResponse{Tags: []api.Tag{}, IsTruncated: new(bool)}
	return out, s.IAM.View(ctx, func(tx *store.Tx) error {
		d, err := s.device(tx, c, in.SerialNumber)
		if err != nil {
			return err
		}
		tags, more, err := s.IAM.TagPage(tx, d.Serial(), first(after), n)
		out.Tags = tagsTo(tags)
		if *out.IsTruncated = more; more {
			out.Marker = nextMarker(list, tags[len(tags)-1].Key)
		}
		return err
	})
}
