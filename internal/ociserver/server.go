// Package ociserver serves /v2/, the registry's interface of the OCI distribution specification 1.1, which docker and its
// like speak.
//
// Where the specification and Amazon ECR differ, the specification wins; error codes and texts stay ECR's where ECR
// defines them. Each route is an entry of one table that names the action it is authorised for and its event in the
// trail; the server asks the door before a route's handler runs. The package turns requests into calls of the domain and
// holds no state of its own.
package ociserver

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/access"
	"github.com/coffer-registry/coffer/internal/audit"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/store"
)

// Config is what a Server works with.
type Config struct {
	Registry  *registry.Registry
	Door      *access.Door
	Directory *identity.Directory
	// Accounts reports whether an account exists, for hosts that name one.
	Accounts func(context.Context, string) (bool, error)
	// Account is that of a host that names none.
	Account string
	// Regions are those that are served; the first is that of a host that names none.
	Regions []string
	// AllowAnonymous lets requests without credentials pull from repositories whose policy allows it to everyone.
	AllowAnonymous bool
	// Proxies are trusted to tell where requests come from.
	Proxies access.Proxies
	// Fresh brings what is remembered up to what other servers have changed, before a request is looked at; nil if there are none.
	Fresh func(context.Context) error
	Log   *slog.Logger
}

// Server serves /v2/. It is safe for concurrent use.
type Server struct{ Config }

// NewServer returns the server of c.
func NewServer(c Config) *Server {
	if c.Fresh == nil {
		c.Fresh = func(context.Context) error { return nil }
	}
	return &Server{c}
}

// exchange is one request on its way through the server.
type exchange struct {
	*Server
	w       http.ResponseWriter
	r       *http.Request
	req     oci.Request
	route   route
	id      registry.ID
	caller  identity.Caller
	pass    *access.Pass
	entry   *access.Request
	changed bool
	// anonymous is set for a request without credentials that may go to the gate all the same.
	anonymous bool
	// deleting are the tags that a deletion was said to take.
	deleting []string
}

// ServeHTTP answers one request under /v2.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{Server: s, w: w, r: r, id: registry.ID{Account: s.Account, Region: s.Regions[0]}}
	address, secure := s.Proxies.Client(r)
	x.entry = &access.Request{
		ID: audit.NewUUID(), Arrived: time.Now(), Account: x.id.Account, Region: x.id.Region, Source: "ecr.amazonaws.com",
		SourceIP: address, UserAgent: r.UserAgent(), Referer: r.Referer(), Secure: secure, TLS: r.TLS, Host: r.Host,
	}
	h := w.Header()
	h["Docker-Distribution-Api-Version"] = apiVersion
	h["X-Amzn-Requestid"] = []string{x.entry.ID}
	defer x.abandon()
	response, err := x.serve(r.Context())
	if err != nil {
		response = x.explain(err)
	}
	response.write(w, r)
}

// abandon records a request whose handling panicked, and lets the panic go on.
func (x *exchange) abandon() {
	p := recover()
	if p == nil {
		return
	}
	if err := x.Door.Abandon(x.entry); err != nil {
		x.Log.Error("record a panic", "request", x.entry.ID, "error", err)
	}
	panic(p)
}

var apiVersion = []string{"registry/2.0"}

func (x *exchange) serve(ctx context.Context) (*response, error) {
	if err := x.Fresh(ctx); err != nil {
		return nil, err
	}
	if err := x.selectRegistry(ctx); err != nil {
		return nil, x.refuse(err)
	}
	if err := x.admitNobody(x.authenticate(ctx)); err != nil {
		return nil, x.refuse(err)
	}
	req, err := oci.ParseRequest(x.r.Method, x.r.URL)
	if err != nil {
		return nil, x.refuse(err)
	}
	x.req, x.route = req, routes[req.Kind]
	if err := x.bindDownload(ctx); err != nil {
		return nil, x.refuse(err)
	}
	x.entry.Name, x.entry.ReadOnly = x.route.event, !x.route.change
	x.entry.Questions = x.questions()
	x.entry.Parameters = x.parameters()
	if x.entry.Context, err = x.conditionKeys(ctx); err != nil {
		return nil, x.refuse(err)
	}
	if x.pass, err = x.Door.Enter(ctx, x.entry, "AccessDenied"); err != nil {
		return nil, x.toldNobody(err)
	}
	response, err := x.route.serve(x, ctx)
	if err != nil {
		problem := x.explain(err)
		if err := x.pass.Fail(trailCode(err, problem), problem.message); err != nil {
			return nil, errors.Join(err, problem.close())
		}
		return problem, nil
	}
	if x.changed {
		return response, nil
	}
	if err := x.pass.Done(); err != nil {
		return nil, errors.Join(err, response.close())
	}
	return response, nil
}

// change runs fn in a transaction together with the request's record. fn may run more than once.
func (x *exchange) change(ctx context.Context, fn func(*store.Tx) (json.RawMessage, error)) error {
	err := x.pass.Change(ctx, fn)
	x.changed = err == nil
	return err
}

// refuse records a request that is turned away before it could enter. A bare request for the challenge, with which every
// client begins, leaves no record.
func (x *exchange) refuse(err error) error {
	if errors.Is(err, errNoCredentials) && isPing(x.r.URL.Path) {
		return err
	}
	problem := x.explain(err)
	x.nameEntry()
	refuse := x.Door.Refuse
	if errors.Is(err, errBadCredentials) {
		refuse = func(r *access.Request, code, message string) error {
			return x.Door.RefuseSignIn(x.r.Context(), r, code, message)
		}
	}
	if recording := refuse(x.entry, trailCode(err, problem), problem.message); recording != nil {
		return recording
	}
	return err
}

// nameEntry gives the record of a request that was turned away early the name of what it wanted.
func (x *exchange) nameEntry() {
	if req, err := oci.ParseRequest(x.r.Method, x.r.URL); err == nil {
		x.entry.Name, x.entry.ReadOnly = routes[req.Kind].event, !routes[req.Kind].change
		return
	}
	x.entry.Name = "UnknownOperation"
}

func isPing(path string) bool { return path == "/v2" || path == "/v2/" }

// selectRegistry takes account and region from a host such as 123456789012.dkr.ecr.eu-central-1.example.com. The error
// is *hostError.
func (x *exchange) selectRegistry(ctx context.Context) error {
	account, region, named := ParseHost(x.r.Host)
	if !named {
		return nil
	}
	known := false
	for _, served := range x.Regions {
		known = known || served == region
	}
	if known && account != x.Account {
		var err error
		if known, err = x.Accounts(ctx, account); err != nil {
			return err
		}
	}
	if !known {
		return &hostError{x.r.Host}
	}
	x.id = registry.ID{Account: account, Region: region}
	x.entry.Account, x.entry.Region = account, region
	return nil
}

// ParseHost finds the account and the region in a registry host: <account>.dkr.ecr.<region>.<anything>, or the forms
// with dkr-ecr and with ecr-fips.
func ParseHost(host string) (account, region string, ok bool) {
	account, rest, ok := strings.Cut(host, ".")
	if !ok || len(account) != 12 || strings.Trim(account, "0123456789") != "" {
		return "", "", false
	}
	for _, service := range [...]string{"dkr.ecr.", "dkr-ecr.", "dkr.ecr-fips.", "dkr-ecr-fips."} {
		if after, found := strings.CutPrefix(rest, service); found {
			region, _, ok = strings.Cut(after, ".")
			return account, region, ok && region != ""
		}
	}
	return "", "", false
}

// hostError means that the host names no registry of this server.
type hostError struct{ host string }

func (e *hostError) Error() string { return "Could not resolve registry id from host " + e.host }

// Errors of authentication.
var (
	errNoCredentials  = errors.New("no credentials")
	errBadCredentials = errors.New("bad credentials")
)

// downloadParameter carries the token of a download address in place of credentials.
const downloadParameter = "X-Coffer-Token"

// authenticate finds out who is calling, by the registry token in Basic authentication, or by the token of a download
// address.
func (x *exchange) authenticate(ctx context.Context) error {
	if strings.Contains(x.r.URL.RawQuery, downloadParameter+"=") {
		return nil // bindDownload checks it against the path
	}
	user, token, ok := x.r.BasicAuth()
	if !ok {
		if x.r.Header.Get("Authorization") != "" {
			return errBadCredentials
		}
		return errNoCredentials
	}
	if user == "" && token == "" {
		return errNoCredentials // which some clients send where they have none
	}
	if user != "AWS" {
		return errBadCredentials
	}
	checked, err := x.Directory.CheckRegistryToken(ctx, token)
	if errors.Is(err, identity.ErrTokenInvalid) || err == nil && checked.Region != x.id.Region {
		return errBadCredentials
	}
	if err != nil {
		return err
	}
	x.setCaller(checked.Caller)
	return nil
}

func (x *exchange) setCaller(c identity.Caller) { x.caller, x.entry.Caller = c, c }

// bindDownload checks the token of a download address, which is good for one layer of one repository only.
func (x *exchange) bindDownload(ctx context.Context) error {
	if !x.caller.Anonymous() || x.anonymous {
		return nil
	}
	if x.req.Kind != oci.BlobGet && x.req.Kind != oci.BlobHead {
		return errNoCredentials
	}
	caller, subject, err := x.Directory.CheckDownload(ctx, x.r.URL.Query().Get(downloadParameter))
	if errors.Is(err, identity.ErrTokenInvalid) {
		return errBadCredentials
	}
	if err != nil {
		return err
	}
	account, rest, _ := strings.Cut(subject, "/")
	region, target, _ := strings.Cut(rest, "/")
	if target != downloadTarget(x.req.Name, x.req.Digest) {
		return errBadCredentials
	}
	x.id = registry.ID{Account: account, Region: region}
	x.entry.Account, x.entry.Region = account, region
	x.setCaller(caller)
	return nil
}

func downloadTarget(repository string, digest oci.Digest) string {
	return repository + "@" + string(digest)
}

// DownloadLifetime is how long a download address is good for.
const DownloadLifetime = time.Hour

// DownloadURL returns an address at which the bytes of a layer can be had without further credentials, for a while, with
// the rights that the caller has then.
func DownloadURL(directory *identity.Directory, c identity.Caller, base string, id registry.ID, repository string, digest oci.Digest) (string, error) {
	subject := id.Account + "/" + id.Region + "/" + downloadTarget(repository, digest)
	token, err := directory.IssueDownload(c, subject, DownloadLifetime)
	if err != nil {
		return "", err
	}
	return base + "/v2/" + repository + "/blobs/" + string(digest) + "?" + downloadParameter + "=" + token.Reveal(), nil
}

// scheme is that by which the client came.
func scheme(secure bool) string {
	if secure {
		return "https"
	}
	return "http"
}
