package registry

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Limit names a quota. The name is that of the configuration file.
type Limit string

// The limits.
const (
	RepositoriesPerRegistry   Limit = "repositories-per-registry"
	ImagesPerRepository       Limit = "images-per-repository"
	TagsPerImage              Limit = "tags-per-image"
	LayerBytes                Limit = "layer-bytes"
	LayerParts                Limit = "layer-parts"
	PartBytesMin              Limit = "part-bytes-min"
	PartBytesMax              Limit = "part-bytes-max"
	BlobsPerImage             Limit = "blobs-per-image"
	ManifestBytes             Limit = "manifest-bytes"
	ExclusionFilters          Limit = "exclusion-filters"
	ResourceTags              Limit = "resource-tags"
	ConcurrentUploads         Limit = "concurrent-uploads"
	UploadExpirySeconds       Limit = "upload-expiry-seconds"
	LayerGraceSeconds         Limit = "layer-grace-seconds"
	SweepSeconds              Limit = "sweep-seconds"
	RateGetAuthorizationToken Limit = "rate-get-authorization-token"
	RateBatchCheckLayer       Limit = "rate-batch-check-layer-availability"
	RateInitiateLayerUpload   Limit = "rate-initiate-layer-upload"
	RateUploadLayerPart       Limit = "rate-upload-layer-part"
	RateCompleteLayerUpload   Limit = "rate-complete-layer-upload"
	RatePutImage              Limit = "rate-put-image"
	RateBatchGetImage         Limit = "rate-batch-get-image"
	RateGetDownloadURL        Limit = "rate-get-download-url-for-layer"
)

// Definition is one row of the table of limits.
type Definition struct {
	Limit Limit
	// ECR is Amazon ECR's value; 0 where it has none.
	ECR int64
	// Default is Coffer's. For a rate, 0 means that it isn't limited.
	Default int64
	Unit    string
	// Max bounds what the configuration may set; 0 is no bound.
	Max int64
}

// Definitions is the table of all limits. The rates of ECR protect a shared service; on one's own machines they are off
// unless they are configured.
func Definitions() []Definition {
	return []Definition{
		{RepositoriesPerRegistry, 100_000, 100_000, "repositories of an account in a region", 0},
		{ImagesPerRepository, 100_000, 100_000, "images", 0},
		{TagsPerImage, 1_000, 1_000, "tags", 0},
		{LayerBytes, 52_000 << 20, 52_000 << 20, "bytes", 1 << 42},
		{LayerParts, 4_200, 4_200, "parts sent with UploadLayerPart", 0},
		{PartBytesMin, 5 << 20, 5 << 20, "bytes of a part that is not the last", 20_971_520},
		{PartBytesMax, 10 << 20, 10 << 20, "bytes of a part", 20_971_520},
		{BlobsPerImage, 4_200, 4_200, "layers and config of an image, or images of an index", 4_200},
		{ManifestBytes, 4_194_304, 4_194_304, "bytes", 4_194_304},
		{ExclusionFilters, 5, 5, "filters of a repository", 5},
		{ResourceTags, 50, 50, "resource tags of a repository", 200},
		{ConcurrentUploads, 0, 256, "requests that send layer bytes at once", 4_096},
		{UploadExpirySeconds, 0, 24 * 3600, "seconds without a new part until an upload is discarded", 0},
		{LayerGraceSeconds, 0, 24 * 3600, "seconds that a layer stays though no image refers to it", 0},
		{SweepSeconds, 0, 60, "seconds between two sweeps for what is not needed any more", 24 * 3600},
		{RateGetAuthorizationToken, 500, 0, "requests a second of an account in a region", 0},
		{RateBatchCheckLayer, 1_000, 0, "requests a second of an account in a region", 0},
		{RateInitiateLayerUpload, 100, 0, "requests a second of an account in a region", 0},
		{RateUploadLayerPart, 500, 0, "requests a second of an account in a region", 0},
		{RateCompleteLayerUpload, 100, 0, "requests a second of an account in a region", 0},
		{RatePutImage, 10, 0, "requests a second of an account in a region", 0},
		{RateBatchGetImage, 2_000, 0, "requests a second of an account in a region", 0},
		{RateGetDownloadURL, 3_000, 0, "requests a second of an account in a region", 0},
	}
}

// Limits holds the values in force. The zero value holds the defaults.
type Limits struct{ set map[Limit]int64 }

// NewLimits returns the defaults, changed by the values of a configuration. The error names the entry that is wrong.
func NewLimits(changes map[string]int64) (Limits, error) {
	l := Limits{set: map[Limit]int64{}}
	definitions := Definitions()
	for _, d := range definitions {
		l.set[d.Limit] = d.Default
	}
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		value := changes[name]
		i := slices.IndexFunc(definitions, func(d Definition) bool { return string(d.Limit) == name })
		if i < 0 {
			return Limits{}, fmt.Errorf("there is no limit named %q; the limits are %s", name, limitNames(definitions))
		}
		d := definitions[i]
		switch {
		case value < 0, value == 0 && !d.mayBeZero():
			return Limits{}, fmt.Errorf("limit %s can't be %d", name, value)
		case d.Max > 0 && value > d.Max:
			return Limits{}, fmt.Errorf("limit %s can't be above %d", name, d.Max)
		}
		l.set[d.Limit] = value
	}
	return l, nil
}

// mayBeZero reports whether 0 makes sense: for a rate it is no limit, for a time that something is kept it is not at all.
func (d Definition) mayBeZero() bool {
	return d.Default == 0 || d.Limit == UploadExpirySeconds || d.Limit == LayerGraceSeconds
}

func limitNames(definitions []Definition) string {
	names := make([]string, len(definitions))
	for i, d := range definitions {
		names[i] = string(d.Limit)
	}
	return strings.Join(names, ", ")
}

// Get returns the value in force.
func (l Limits) Get(limit Limit) int64 {
	if v, ok := l.set[limit]; ok {
		return v
	}
	for _, d := range Definitions() {
		if d.Limit == limit {
			return d.Default
		}
	}
	return 0
}

func (l Limits) seconds(limit Limit) time.Duration { return time.Duration(l.Get(limit)) * time.Second }
