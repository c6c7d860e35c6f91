package ociserver

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/coffer-registry/coffer/internal/audit"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/registry"
)

// route is what there is to know of one kind of request.
type route struct {
	// event is the request's name in the trail: ECR's operation where there is one.
	event string
	// actions must all be allowed on the repository, or on all repositories where the request names none. A request
	// without actions needs valid credentials only.
	actions []string
	change  bool
	serve   func(*exchange, context.Context) (*response, error)
}

// routes is the table of all kinds of requests.
var routes = map[oci.Kind]route{
	oci.Ping:           {"PingRegistry", nil, false, (*exchange).ping},
	oci.Catalog:        {"DescribeRepositories", []string{"ecr:DescribeRepositories"}, false, (*exchange).catalog},
	oci.TagsList:       {"ListImages", []string{"ecr:ListImages"}, false, (*exchange).tagsList},
	oci.Referrers:      {"ListImageReferrers", []string{"ecr:BatchGetImage"}, false, (*exchange).referrers},
	oci.ManifestHead:   {"BatchGetImage", []string{"ecr:BatchGetImage"}, false, (*exchange).manifestHead},
	oci.ManifestGet:    {"BatchGetImage", []string{"ecr:BatchGetImage"}, false, (*exchange).manifestGet},
	oci.ManifestPut:    {"PutImage", []string{"ecr:PutImage"}, true, (*exchange).manifestPut},
	oci.ManifestDelete: {"BatchDeleteImage", []string{"ecr:BatchDeleteImage"}, true, (*exchange).manifestDelete},
	oci.BlobHead:       {"BatchCheckLayerAvailability", []string{"ecr:BatchCheckLayerAvailability"}, false, (*exchange).blobHead},
	oci.BlobGet:        {"GetDownloadUrlForLayer", []string{"ecr:GetDownloadUrlForLayer"}, false, (*exchange).blobGet},
	oci.BlobDelete:     {"DeleteLayer", []string{"ecr:BatchDeleteImage"}, true, (*exchange).blobDelete},
	oci.UploadStart:    {"InitiateLayerUpload", []string{"ecr:InitiateLayerUpload"}, true, (*exchange).uploadStart},
	oci.UploadMount:    {"InitiateLayerUpload", []string{"ecr:InitiateLayerUpload"}, true, (*exchange).uploadMount},
	oci.UploadSingle: {"CompleteLayerUpload", []string{"ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload"}, true,
		(*exchange).uploadSingle},
	oci.UploadStatus: {"DescribeLayerUpload", []string{"ecr:UploadLayerPart"}, false, (*exchange).uploadStatus},
	oci.UploadChunk:  {"UploadLayerPart", []string{"ecr:UploadLayerPart"}, true, (*exchange).uploadChunk},
	oci.UploadFinish: {"CompleteLayerUpload", []string{"ecr:UploadLayerPart", "ecr:CompleteLayerUpload"}, true, (*exchange).uploadFinish},
	oci.UploadCancel: {"AbortLayerUpload", []string{"ecr:InitiateLayerUpload"}, true, (*exchange).uploadCancel},
}

// questions are what the policies are asked about the request.
func (x *exchange) questions() []policy.Question {
	if len(x.route.actions) == 0 {
		return nil
	}
	name := x.req.Name
	if x.req.Kind == oci.Catalog {
		name = "*"
	}
	return policy.Ask(x.route.actions, policy.Repository(x.id.Region, x.id.Account, name))
}

// conditionKeys are the condition keys of the request's own.
func (x *exchange) conditionKeys(ctx context.Context) (keys policy.Context, err error) {
	image := registry.ImageID{Digest: string(x.req.Digest), Tag: x.req.Tag}
	switch x.req.Kind {
	case oci.ManifestHead, oci.ManifestGet, oci.ManifestPut:
		return registry.KeysOf(image), nil
	case oci.Referrers:
		return registry.ImageKeys(nil, true), nil
	case oci.ManifestDelete:
		keys, x.deleting, err = x.Registry.DeletionKeys(ctx, x.id, x.req.Name, []registry.ImageID{image})
		return keys, err
	}
	return nil, nil
}

// mountQuestion asks whether the caller may read the layer that it wants to mount.
func (x *exchange) mountQuestion() policy.Question {
	return policy.Question{Action: "ecr:GetDownloadUrlForLayer", Resource: policy.Repository(x.id.Region, x.id.Account, x.req.From)}
}

// parameters is what the trail shows of the request, in the form of ECR's operation of that name.
func (x *exchange) parameters() json.RawMessage {
	if x.req.Kind == oci.Ping {
		return nil
	}
	b := make([]byte, 0, 256)
	b = append(b, `{"registryId":`...)
	b = audit.AppendString(b, x.id.Account)
	if x.req.Name != "" {
		b = append(b, `,"repositoryName":`...)
		b = audit.AppendString(b, x.req.Name)
	}
	switch x.req.Kind {
	case oci.ManifestHead, oci.ManifestGet, oci.ManifestDelete:
		b = append(b, `,"imageIds":[{`...)
		b = x.appendReference(b, "")
		b = append(b, `}]`...)
		b = x.appendAccepted(b)
	case oci.ManifestPut:
		b = x.appendReference(b, ",")
	case oci.Referrers:
		b = append(b, `,"subjectId":{"imageDigest":`...)
		b = audit.AppendString(b, string(x.req.Digest))
		b = append(b, '}')
	case oci.BlobHead, oci.UploadFinish, oci.UploadSingle:
		b = append(b, `,"layerDigests":[`...)
		b = audit.AppendString(b, string(x.req.Digest))
		b = append(b, ']')
	case oci.BlobGet, oci.BlobDelete, oci.UploadMount:
		b = append(b, `,"layerDigest":`...)
		b = audit.AppendString(b, string(x.req.Digest))
	}
	if x.req.From != "" {
		b = append(b, `,"sourceRepositoryName":`...)
		b = audit.AppendString(b, x.req.From)
	}
	if x.req.UploadID != "" {
		b = append(b, `,"uploadId":`...)
		b = audit.AppendString(b, x.req.UploadID)
	}
	return append(b, '}')
}

func (x *exchange) appendReference(b []byte, before string) []byte {
	b = append(b, before...)
	if x.req.Tag != "" {
		b = append(b, `"imageTag":`...)
		return audit.AppendString(b, x.req.Tag)
	}
	b = append(b, `"imageDigest":`...)
	return audit.AppendString(b, string(x.req.Digest))
}

func (x *exchange) appendAccepted(b []byte) []byte {
	accepted := oci.ParseAccept(x.r.Header["Accept"])
	if len(accepted) == 0 {
		return b
	}
	b = append(b, `,"acceptedMediaTypes":[`...)
	for i, a := range accepted {
		if i > 0 {
			b = append(b, ',')
		}
		b = audit.AppendString(b, a)
	}
	return append(b, ']')
}

// shown is what the trail shows of a change's outcome: names and their values, texts or whole numbers, in turn.
func (x *exchange) shown(pairs ...any) json.RawMessage {
	b := append(make([]byte, 0, 256), `{"registryId":`...)
	b = audit.AppendString(b, x.id.Account)
	b = append(b, `,"repositoryName":`...)
	b = audit.AppendString(b, x.req.Name)
	for i := 0; i+1 < len(pairs); i += 2 {
		b = append(b, ',')
		b = audit.AppendString(b, pairs[i].(string))
		b = append(b, ':')
		switch value := pairs[i+1].(type) {
		case string:
			b = audit.AppendString(b, value)
		case int64:
			b = strconv.AppendInt(b, value, 10)
		}
	}
	return append(b, '}')
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
