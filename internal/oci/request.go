package oci

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Kind is what a request wants.
type Kind int

// The kinds of requests.
const (
	Ping Kind = iota + 1
	Catalog
	TagsList
	Referrers
	ManifestHead
	ManifestGet
	ManifestPut
	ManifestDelete
	BlobHead
	BlobGet
	BlobDelete
	UploadStart  // POST
	UploadMount  // POST with mount
	UploadSingle // POST with digest: the body is the blob
	UploadStatus
	UploadChunk
	UploadFinish
	UploadCancel
)

// Kinds are all kinds.
func Kinds() []Kind {
	var all []Kind
	for k := Ping; k <= UploadCancel; k++ {
		all = append(all, k)
	}
	return all
}

// Request is what a request under /v2/ asks for.
type Request struct {
	Kind Kind
	Name string
	// Tag or Digest is what a manifest is referred to by; Digest is also that of a blob or a subject.
	Tag      string
	Digest   Digest
	UploadID string
	// From is the repository that a blob is to be mounted from. It may be empty or no valid name.
	From string
	// N is the size of page that is wanted, or -1; Last is where it begins.
	N             int
	Last          string
	ArtifactTypes []string
}

// RequestError says why a request can't be served, in terms of the distribution specification.
type RequestError struct {
	Status        int
	Code, Message string
	// Allow are the methods that would do, if the one of the request is the problem.
	Allow []string
}

func (e *RequestError) Error() string { return e.Message }

func badRequest(code, message string) *RequestError {
	return &RequestError{Status: http.StatusBadRequest, Code: code, Message: message}
}

// resource is something that a path names.
type resource map[string]Kind

var (
	pingResource     = resource{http.MethodGet: Ping, http.MethodHead: Ping}
	catalogResource  = resource{http.MethodGet: Catalog}
	tagsResource     = resource{http.MethodGet: TagsList}
	referrersList    = resource{http.MethodGet: Referrers}
	manifestResource = resource{
		http.MethodHead: ManifestHead, http.MethodGet: ManifestGet, http.MethodPut: ManifestPut, http.MethodDelete: ManifestDelete,
	}
	blobResource    = resource{http.MethodHead: BlobHead, http.MethodGet: BlobGet, http.MethodDelete: BlobDelete}
	uploadsResource = resource{http.MethodPost: UploadStart}
	uploadResource  = resource{
		http.MethodGet: UploadStatus, http.MethodPatch: UploadChunk, http.MethodPut: UploadFinish, http.MethodDelete: UploadCancel,
	}
)

const (
	maxParameters = 20
	maxParameter  = 1024
)

// ParseRequest says what a request wants. The path counts as it was sent: nothing in it is cleaned, and what is
// percent-encoded can only be part of a reference. Names may hold words like "blobs", since paths are read from their end.
// The error is *RequestError.
func ParseRequest(method string, u *url.URL) (Request, error) {
	name, reference, what, err := splitPath(u.EscapedPath())
	if err != nil {
		return Request{}, err
	}
	r := Request{Kind: what[method], Name: name, N: -1}
	if r.Kind == 0 {
		return Request{}, &RequestError{
			Status: http.StatusMethodNotAllowed, Code: "UNSUPPORTED",
			Message: "The method is not supported at this path", Allow: slices.Sorted(maps.Keys(what)),
		}
	}
	if r.Kind == Ping {
		return r, nil
	}
	if r.Kind != Catalog && !ValidRepositoryName(name) {
		return Request{}, badRequest("NAME_INVALID", nameMessage)
	}
	if err := r.readReference(reference); err != nil {
		return Request{}, err
	}
	if err := r.readQuery(u.RawQuery); err != nil {
		return Request{}, err
	}
	return r, nil
}

const nameMessage = "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must be 2 to 256 characters and satisfy regular expression " +
	"'(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*''"

// splitPath takes a path apart from its end.
func splitPath(path string) (name, reference string, what resource, err error) {
	rest, ok := strings.CutPrefix(path, "/v2")
	if ok && (rest == "" || rest == "/") {
		return "", "", pingResource, nil
	}
	if ok && rest == "/_catalog" {
		return "", "", catalogResource, nil
	}
	segments := strings.Split(strings.TrimPrefix(rest, "/"), "/")
	n := len(segments)
	before := func(last int) string { return strings.Join(segments[:n-last], "/") }
	switch {
	case !ok || !strings.HasPrefix(rest, "/") || n < 3:
	case segments[n-2] == "tags" && segments[n-1] == "list":
		return before(2), "", tagsResource, nil
	case segments[n-2] == "manifests":
		return before(2), segments[n-1], manifestResource, nil
	case segments[n-2] == "referrers":
		return before(2), segments[n-1], referrersList, nil
	case n > 3 && segments[n-3] == "blobs" && segments[n-2] == "uploads" && segments[n-1] == "":
		return before(3), "", uploadsResource, nil
	case n > 3 && segments[n-3] == "blobs" && segments[n-2] == "uploads":
		return before(3), segments[n-1], uploadResource, nil
	case segments[n-2] == "blobs" && segments[n-1] == "uploads":
		return before(2), "", uploadsResource, nil
	case segments[n-2] == "blobs":
		return before(2), segments[n-1], blobResource, nil
	}
	return "", "", nil, &RequestError{
		Status: http.StatusNotFound, Code: "UNSUPPORTED", Message: "The distribution specification has nothing at this path",
	}
}

// readReference reads the last part of the path.
func (r *Request) readReference(text string) error {
	decoded, err := url.PathUnescape(text)
	if err != nil {
		return badRequest("UNSUPPORTED", "The path is not percent-encoded as it should be")
	}
	switch r.Kind {
	case ManifestHead, ManifestGet, ManifestPut, ManifestDelete:
		return r.readManifestReference(decoded)
	case BlobHead, BlobGet, BlobDelete, Referrers:
		if r.Digest, err = ParseDigest(decoded); err != nil {
			return badDigest()
		}
	case UploadStatus, UploadChunk, UploadFinish, UploadCancel:
		r.UploadID = decoded
		if !validUploadID(decoded) {
			return &RequestError{Status: http.StatusNotFound, Code: "BLOB_UPLOAD_UNKNOWN", Message: "The upload could not be found"}
		}
	}
	return nil
}

func badDigest() *RequestError {
	return badRequest("DIGEST_INVALID", "The digest is "+ErrDigest.Error())
}

func (r *Request) readManifestReference(text string) error {
	if strings.Contains(text, ":") {
		digest, err := ParseDigest(text)
		if err != nil {
			return badDigest()
		}
		r.Digest = digest
		return nil
	}
	if r.Tag = text; ValidTag(text) {
		return nil
	}
	if r.Kind == ManifestPut {
		return badRequest("TAG_INVALID", "Invalid parameter at 'imageTag' failed to satisfy constraint: "+
			"'must be 1 to 128 characters and satisfy regular expression '[a-zA-Z0-9_][a-zA-Z0-9._-]*''")
	}
	// No image can have it.
	return &RequestError{Status: http.StatusNotFound, Code: "MANIFEST_UNKNOWN", Message: "Requested image not found"}
}

const maxUploadID = 64

func validUploadID(s string) bool {
	if s == "" || len(s) > maxUploadID {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func (r *Request) readQuery(raw string) error {
	if raw == "" {
		return r.requireDigest("")
	}
	if strings.Count(raw, "&") >= maxParameters {
		return badRequest("UNSUPPORTED", "The query has too many parameters")
	}
	q, err := url.ParseQuery(raw)
	if err != nil {
		return badRequest("UNSUPPORTED", "The query is not percent-encoded as it should be")
	}
	switch r.Kind {
	case Catalog, TagsList, Referrers:
		if err := r.readPage(q); err != nil {
			return err
		}
		r.ArtifactTypes = q["artifactType"]
	case UploadStart:
		return r.readUpload(q)
	case UploadFinish:
		return r.requireDigest(q.Get("digest"))
	}
	return nil
}

func (r *Request) requireDigest(text string) (err error) {
	if r.Kind != UploadFinish {
		return nil
	}
	if r.Digest, err = ParseDigest(text); err != nil {
		return badDigest()
	}
	return nil
}

func (r *Request) readPage(q url.Values) error {
	if q.Has("n") {
		n, err := strconv.ParseInt(q.Get("n"), 10, 32)
		if err != nil || n < 0 {
			return badRequest("PAGINATION_NUMBER_INVALID", "n is not a number of entries")
		}
		r.N = int(n)
	}
	if r.Last = q.Get("last"); len(r.Last) > maxParameter {
		return badRequest("UNSUPPORTED", "last is too long")
	}
	return nil
}

// readUpload finds out which way a POST begins an upload. A mount of what can't be mounted is an upload, as the
// specification has it.
func (r *Request) readUpload(q url.Values) (err error) {
	if text := q.Get("digest"); text != "" {
		r.Kind = UploadSingle
		if r.Digest, err = ParseDigest(text); err != nil {
			return badDigest()
		}
		return nil
	}
	if digest, err := ParseDigest(q.Get("mount")); err == nil {
		r.Kind, r.Digest, r.From = UploadMount, digest, q.Get("from")
	}
	if len(r.From) > maxName {
		r.From = ""
	}
	return nil
}

// ParseContentRange reads the Content-Range of a chunk, "first-last" in bytes, where the specification has no unit; one in
// front, as HTTP has it, and a total at the end do no harm. The error is *RequestError.
func ParseContentRange(s string) (first, last int64, err error) {
	s = strings.TrimSpace(strings.TrimPrefix(s, "bytes"))
	s, _, _ = strings.Cut(strings.TrimPrefix(s, "="), "/")
	from, to, ok := strings.Cut(s, "-")
	first, errFirst := decimal(from)
	last, errLast := decimal(to)
	if !ok || errFirst != nil || errLast != nil || last < first || last == 1<<63-1 {
		return 0, 0, badRequest("BLOB_UPLOAD_INVALID", "Content-Range is not of the form 0-99")
	}
	return first, last, nil
}

// decimal reads digits alone, where strconv would allow a sign.
func decimal(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err
}
