package oci

import (
	"slices"
	"strings"
)

// Media types of manifests.
const (
	MediaTypeOCIManifest     = "application/vnd.oci.image.manifest.v1+json"
	MediaTypeOCIIndex        = "application/vnd.oci.image.index.v1+json"
	MediaTypeDockerManifest  = "application/vnd.docker.distribution.manifest.v2+json"
	MediaTypeDockerList      = "application/vnd.docker.distribution.manifest.list.v2+json"
	MediaTypeDockerSchema1   = "application/vnd.docker.distribution.manifest.v1+json"
	MediaTypeDockerSignedOne = "application/vnd.docker.distribution.manifest.v1+prettyjws"
)

// form is which members a manifest of a media type has.
type form int

const (
	formImage form = iota + 1
	formIndex
	formSchema1
)

var forms = map[string]form{
	MediaTypeOCIManifest: formImage, MediaTypeDockerManifest: formImage,
	MediaTypeOCIIndex: formIndex, MediaTypeDockerList: formIndex,
	MediaTypeDockerSchema1: formSchema1, MediaTypeDockerSignedOne: formSchema1,
}

// isForeign reports whether a layer of the media type may stay with whoever distributes it.
func isForeign(mediaType string) bool {
	return strings.Contains(mediaType, ".nondistributable.") || strings.Contains(mediaType, ".foreign.")
}

const maxAccepted = 100

// ParseAccept reads the media types of Accept headers (RFC 9110, section 12.5.1) or of a list of media types, without
// their parameters; those with a weight of zero are left out.
func ParseAccept(values []string) []string {
	var types []string
	for _, value := range values {
		for one := range strings.SplitSeq(value, ",") {
			mediaType, parameters, _ := strings.Cut(one, ";")
			mediaType = strings.ToLower(strings.TrimSpace(mediaType))
			if mediaType == "" || refused(parameters) || len(types) == maxAccepted {
				continue
			}
			types = append(types, mediaType)
		}
	}
	return types
}

func refused(parameters string) bool {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, weight, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if strings.EqualFold(name, "q") && weight != "" && strings.Trim(weight, "0.") == "" {
			return true
		}
	}
	return false
}

// AcceptAllows reports whether a list that ParseAccept made allows a media type. An empty list allows all.
func AcceptAllows(accepted []string, mediaType string) bool {
	group, _, _ := strings.Cut(mediaType, "/")
	return len(accepted) == 0 || slices.ContainsFunc(accepted, func(a string) bool {
		return a == mediaType || a == "*/*" || a == group+"/*"
	})
}
