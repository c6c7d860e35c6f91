package oci

import (
	"fmt"
	"iter"
	"strconv"

	"github.com/coffer-registry/coffer/internal/strictjson"
)

const (
	// MaxManifestSize is the greatest length of a manifest in bytes.
	MaxManifestSize = 4 << 20

	maxDepth        = 64
	maxMediaType    = 255
	maxReferences   = 100_000
	maxAnnotations  = 10_000
	schemaVersion1  = "1"
	schemaVersion2  = "2"
	whereConfig     = "config"
	whereLayers     = "layers"
	whereManifests  = "manifests"
	whereSubject    = "subject"
	whereFsLayers   = "fsLayers"
	memberMediaType = "mediaType"
)

// ManifestError says what is wrong with a manifest.
type ManifestError struct {
	Reason string
	// NoMediaType is set if nothing says what kind of manifest it is.
	NoMediaType bool
}

// Error is the reason, a phrase that starts in lower case.
func (e *ManifestError) Error() string { return e.Reason }

func invalid(format string, args ...any) *ManifestError {
	return &ManifestError{Reason: fmt.Sprintf(format, args...)}
}

// Descriptor refers to a blob or to a manifest.
type Descriptor struct {
	MediaType string
	Digest    Digest
	// Size is in bytes; 0 for the layers of manifests of schema 1, which don't say.
	Size int64
	// Foreign is set for layers that may be had elsewhere and need not be in the registry.
	Foreign bool
}

// Manifest is what the registry has to know of a manifest.
type Manifest struct {
	MediaType string
	// Config is nil for indexes and for manifests of schema 1.
	Config *Descriptor
	Layers []Descriptor
	// Manifests are the images of an index.
	Manifests []Descriptor
	// Subject is what the manifest refers to, if anything; it need not exist.
	Subject *Descriptor
	// ArtifactType is that of the manifest, or else the config's media type.
	ArtifactType string
	Annotations  map[string]string
}

// ParseManifest checks a manifest that was sent with a media type, or with none if it names its own. The error is
// *ManifestError. Members whose names differ in letter case are other members, and an image that has an index's members
// too, or the other way round, is refused: another reader could take it for something else.
func ParseManifest(contentType string, body []byte) (*Manifest, error) {
	if len(body) > MaxManifestSize {
		return nil, invalid("the manifest is larger than %d bytes", MaxManifestSize)
	}
	root, err := strictjson.Parse(body, maxDepth)
	if err != nil {
		return nil, invalid("%v", err)
	}
	if root.Kind() != strictjson.Object {
		return nil, invalid("the manifest is not a JSON object")
	}
	members := map[string]strictjson.Value{}
	for name, value := range root.Members() {
		members[name] = value
	}
	m := &Manifest{}
	if m.MediaType, err = mediaTypeOf(contentType, members); err != nil {
		return nil, err
	}
	return m, m.read(forms[m.MediaType], members)
}

func mediaTypeOf(contentType string, members map[string]strictjson.Value) (string, error) {
	own := members[memberMediaType]
	switch {
	case own.Kind() != strictjson.Absent && own.Kind() != strictjson.String:
		return "", invalid("mediaType is not a string")
	case own.Kind() == strictjson.Absent && contentType == "":
		return "", &ManifestError{Reason: "the manifest names no mediaType, and it was sent without one", NoMediaType: true}
	case own.Kind() == strictjson.String && contentType != "" && own.String() != contentType:
		return "", invalid("the manifest has the mediaType %s, but it was sent as %s", clip(own.String()), clip(contentType))
	}
	mediaType := contentType
	if mediaType == "" {
		mediaType = own.String()
	}
	if forms[mediaType] == 0 {
		return "", invalid("manifests of the media type %s are not accepted", clip(mediaType))
	}
	return mediaType, nil
}

// clip keeps a text from the client short and on one line.
func clip(s string) string {
	const limit = 100
	quoted := strconv.QuoteToASCII(s[:min(len(s), limit)])
	return quoted[1 : len(quoted)-1]
}

func (m *Manifest) read(f form, members map[string]strictjson.Value) error {
	version, foreign := schemaVersion2, []string{whereManifests, whereFsLayers}
	switch f {
	case formIndex:
		foreign = []string{whereConfig, whereLayers, whereFsLayers}
	case formSchema1:
		version, foreign = schemaVersion1, []string{whereConfig, whereLayers, whereManifests}
	}
	if got := members["schemaVersion"]; got.Number() != version {
		return invalid("schemaVersion is not %s", version)
	}
	for _, name := range foreign {
		if members[name].Kind() != strictjson.Absent {
			return invalid("a manifest of the media type %s has no member %s", m.MediaType, name)
		}
	}
	var err error
	switch f {
	case formImage:
		err = m.readImage(members)
	case formIndex:
		m.Manifests, err = descriptors(whereManifests, members[whereManifests])
	case formSchema1:
		m.Layers, err = fsLayers(members[whereFsLayers])
		return err
	}
	if err != nil {
		return err
	}
	return m.readCommon(members)
}

func (m *Manifest) readImage(members map[string]strictjson.Value) (err error) {
	if m.Config, err = descriptor(whereConfig, members[whereConfig]); err != nil {
		return err
	}
	m.Layers, err = descriptors(whereLayers, members[whereLayers])
	return err
}

func (m *Manifest) readCommon(members map[string]strictjson.Value) (err error) {
	if subject := members[whereSubject]; subject.Kind() != strictjson.Absent && subject.Kind() != strictjson.Null {
		if m.Subject, err = descriptor(whereSubject, subject); err != nil {
			return err
		}
	}
	if artifactType := members["artifactType"]; artifactType.Kind() != strictjson.Absent {
		if artifactType.Kind() != strictjson.String || len(artifactType.String()) > maxMediaType {
			return invalid("artifactType is not a string of at most %d bytes", maxMediaType)
		}
		m.ArtifactType = artifactType.String()
	}
	if m.ArtifactType == "" && m.Config != nil {
		m.ArtifactType = m.Config.MediaType
	}
	m.Annotations, err = annotations(members["annotations"])
	return err
}

func annotations(v strictjson.Value) (map[string]string, error) {
	switch v.Kind() {
	case strictjson.Absent, strictjson.Null:
		return nil, nil
	case strictjson.Object:
	default:
		return nil, invalid("annotations is not an object")
	}
	all := map[string]string{}
	for name, value := range v.Members() {
		if value.Kind() != strictjson.String {
			return nil, invalid("the annotation %s is not a string", clip(name))
		}
		if len(all) == maxAnnotations {
			return nil, invalid("there are more than %d annotations", maxAnnotations)
		}
		all[name] = value.String()
	}
	return all, nil
}

func descriptors(where string, v strictjson.Value) ([]Descriptor, error) {
	if v.Kind() != strictjson.Array {
		return nil, invalid("%s is not an array", where)
	}
	list := []Descriptor{}
	for i, item := range v.Items() {
		if i == maxReferences {
			return nil, invalid("%s has more than %d elements", where, maxReferences)
		}
		d, err := descriptor(where+"["+strconv.Itoa(i)+"]", item)
		if err != nil {
			return nil, err
		}
		list = append(list, *d)
	}
	return list, nil
}

func descriptor(where string, v strictjson.Value) (*Descriptor, error) {
	if v.Kind() != strictjson.Object {
		return nil, invalid("%s is not an object", where)
	}
	var mediaType, digest, size, urls strictjson.Value
	for name, value := range v.Members() {
		switch name {
		case memberMediaType:
			mediaType = value
		case "digest":
			digest = value
		case "size":
			size = value
		case "urls":
			urls = value
		}
	}
	d := &Descriptor{MediaType: mediaType.String()}
	if mediaType.Kind() != strictjson.String || d.MediaType == "" || len(d.MediaType) > maxMediaType {
		return nil, invalid("%s.mediaType is not a string of 1 to %d bytes", where, maxMediaType)
	}
	var err error
	if d.Digest, err = ParseDigest(digest.String()); err != nil || digest.Kind() != strictjson.String {
		return nil, invalid("%s.digest is %v", where, ErrDigest)
	}
	if d.Size, err = strconv.ParseInt(size.Number(), 10, 64); err != nil || d.Size < 0 {
		return nil, invalid("%s.size is not a number of bytes", where)
	}
	d.Foreign = isForeign(d.MediaType) && urls.Kind() == strictjson.Array && urls.Len() > 0
	return d, nil
}

// fsLayers reads the layers of a manifest of schema 1, which lists the newest first and empty ones more than once.
func fsLayers(v strictjson.Value) ([]Descriptor, error) {
	if v.Kind() != strictjson.Array {
		return nil, invalid("fsLayers is not an array")
	}
	list := []Descriptor{}
	for i, item := range v.Items() {
		if i == maxReferences {
			return nil, invalid("fsLayers has more than %d elements", maxReferences)
		}
		sum := item.Member("blobSum")
		digest, err := ParseDigest(sum.String())
		if err != nil || sum.Kind() != strictjson.String {
			return nil, invalid("fsLayers[%d].blobSum is %v", i, ErrDigest)
		}
		list = append(list, Descriptor{MediaType: "application/vnd.docker.container.image.rootfs.diff+x-gtar", Digest: digest})
	}
	return list, nil
}

// Blobs are the config and the layers that must be in the repository, each once.
func (m *Manifest) Blobs() iter.Seq[Descriptor] {
	return func(yield func(Descriptor) bool) {
		seen := make(map[Digest]bool, len(m.Layers)+1)
		if m.Config != nil {
			seen[m.Config.Digest] = true
			if !yield(*m.Config) {
				return
			}
		}
		for _, l := range m.Layers {
			if l.Foreign || seen[l.Digest] {
				continue
			}
			seen[l.Digest] = true
			if !yield(l) {
				return
			}
		}
	}
}

// LayerSize is the size of config and layers together, as the manifest gives it, which is what Amazon ECR calls the size
// of an image.
func (m *Manifest) LayerSize() int64 {
	var size int64
	for d := range m.Blobs() {
		if size += d.Size; size < 0 {
			return 1<<63 - 1
		}
	}
	return size
}
