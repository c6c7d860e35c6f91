package ociserver

import (
	"errors"

	"github.com/coffer-registry/coffer/internal/access"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/oci"
)

// pulls are the kinds of requests that whoever has no credentials may make where the deployment allows it, each only on
// repositories whose policy allows it to everyone. The bare GET /v2/ is not among them: it is how docker login finds out that
// there is something to log in to.
var pulls = map[oci.Kind]bool{
	oci.ManifestHead: true, oci.ManifestGet: true, oci.BlobHead: true, oci.BlobGet: true, oci.TagsList: true, oci.Referrers: true,
}

// nobody is who comes without credentials.
var nobody = identity.Caller{Type: "Unknown", PrincipalID: "anonymous"}

// admitNobody lets a request without credentials go on to the gate, if it is one that anybody may make. err is that of
// authentication, and what it returns if it doesn't.
func (x *exchange) admitNobody(err error) error {
	if !x.AllowAnonymous || !errors.Is(err, errNoCredentials) {
		return err
	}
	req, malformed := oci.ParseRequest(x.r.Method, x.r.URL)
	if malformed != nil || !pulls[req.Kind] {
		return err
	}
	x.anonymous = true
	x.setCaller(nobody)
	return nil
}

// toldNobody is what whoever has no credentials is told of a refusal: to log in, whatever the policies say.
func (x *exchange) toldNobody(err error) error {
	var denied *access.DeniedError
	if x.anonymous && errors.As(err, &denied) {
		return errNoCredentials
	}
	return err
}
