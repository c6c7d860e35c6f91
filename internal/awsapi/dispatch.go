package awsapi

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/access"
	"github.com/coffer-registry/coffer/internal/audit"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/sigv4"
	"github.com/coffer-registry/coffer/internal/store"
)

// Config is what a Server works with.
type Config struct {
	Services  []*Service
	Door      *access.Door
	Directory *identity.Directory
	// Account is the first account; records of requests by nobody go to it.
	Account string
	// Regions are those that are served; the first is the default.
	Regions []string
	// Proxies are trusted to tell where requests come from.
	Proxies access.Proxies
	Log     *slog.Logger
	// Fresh brings what is remembered up to what other servers have changed, before a request is judged; nil if there are none.
	Fresh func(context.Context) error
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Server serves the AWS protocols of all its services on one endpoint.
type Server struct {
	Config
	keys *sigv4.KeyCache
	// large lets only so many large bodies into memory at once.
	large chan struct{}
	// forms does so with forms above smallForm, which are read before it is known whose they are.
	forms chan struct{}
}

// NewServer returns the server of c.
func NewServer(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Fresh == nil {
		c.Fresh = func(context.Context) error { return nil }
	}
	return &Server{Config: c, keys: sigv4.NewKeyCache(), large: make(chan struct{}, largeBodies), forms: make(chan struct{}, largeForms)}
}

// exchange is one request on its way through the server.
type exchange struct {
	server  *Server
	w       http.ResponseWriter
	r       *http.Request
	id      string
	service *Service
	name    string // of the operation
	op      operation
	query   bool   // the query protocol, and not awsJson
	version string // of awsJson
	body    []byte
	form    url.Values
	entry   *access.Request
}

// ServeHTTP answers one call. What is not a call in any AWS protocol is 404.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{server: s, w: w, r: r, id: audit.NewUUID()}
	address, secure := s.Proxies.Client(r)
	x.entry = &access.Request{
		ID: x.id, Arrived: time.Now(), Account: s.Account, Region: s.Regions[0], SourceIP: address, UserAgent: r.UserAgent(),
		Referer: r.Referer(), Secure: secure, TLS: r.TLS, Host: r.Host,
	}
	defer x.abandon()
	err := x.serve(r.Context())
	if err == nil {
		return
	}
	x.fail(err)
}

// abandon records a request whose handling panicked, and lets the panic go on.
func (x *exchange) abandon() {
	p := recover()
	if p == nil {
		return
	}
	if err := x.server.Door.Abandon(x.entry); err != nil {
		x.server.Log.Error("record a panic", "request", x.id, "error", err)
	}
	panic(p)
}

// errUnknownTarget means that the request is no call of an AWS protocol.
var errUnknownTarget = errors.New("not an AWS call")

// refusal is an error before the request could enter, which is recorded on its way out.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

func (x *exchange) serve(ctx context.Context) error {
	if err := x.route(); err != nil {
		return refusal{err}
	}
	if err := x.server.Fresh(ctx); err != nil {
		return err
	}
	call, err := x.authenticate(ctx)
	if err != nil {
		return refusal{err}
	}
	in := x.op.newInput()
	if err := x.decode(in); err != nil {
		return refusal{err}
	}
	if err := x.ask(ctx, &call, in); err != nil {
		return refusal{err}
	}
	pass, err := x.server.Door.Enter(ctx, x.entry, x.accessDenied())
	if err != nil {
		return err
	}
	call.MayAgain, call.Forward, call.RecordForwarded = pass.MayAgain, pass.Forward, pass.RecordForwarded
	out, err := x.run(ctx, pass, call, in)
	if err != nil {
		problem := x.problem(err)
		if err := pass.Fail(problem.Code, problem.Message); err != nil {
			return err
		}
		return problem
	}
	x.answer(out)
	return nil
}

// route finds out which operation of which service, in which protocol, is called.
func (x *exchange) route() error {
	if target := x.r.Header.Get("X-Amz-Target"); target != "" {
		return x.routeJSON(target)
	}
	return x.routeQuery()
}

func (x *exchange) routeJSON(target string) error {
	mediaType, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	version, ok := strings.CutPrefix(mediaType, "application/x-amz-json-")
	if err != nil || !ok || x.r.Method != http.MethodPost || x.r.URL.Path != "/" {
		return errUnknownTarget
	}
	x.version = version
	dot := strings.LastIndexByte(target, '.')
	if dot < 0 {
		return UnknownOperation(target)
	}
	prefix := target[:dot]
	for _, s := range x.server.Services {
		if s.Model.TargetPrefix != "" && s.Model.TargetPrefix == prefix {
			return x.choose(s, target[dot+1:])
		}
	}
	return UnknownOperation(target)
}

func (x *exchange) routeQuery() error {
	x.query = true
	form, err := x.readForm()
	if err != nil {
		return err
	}
	action, version := form.Get("Action"), form.Get("Version")
	if action == "" {
		return errUnknownTarget
	}
	x.form = form
	for _, s := range x.server.Services {
		if s.Model.Protocol == Query && s.Model.Version == version {
			return x.choose(s, action)
		}
	}
	return InvalidAction(action, version)
}

// readForm reads the parameters of a query call, from the URL or the body.
func (x *exchange) readForm() (url.Values, error) {
	if x.r.URL.Path != "/" {
		return nil, errUnknownTarget
	}
	if x.r.URL.RawQuery != "" && strings.Contains(x.r.URL.RawQuery, "Action=") {
		form, err := url.ParseQuery(x.r.URL.RawQuery)
		if err != nil {
			return nil, &Error{Code: "MalformedQueryString", Message: "The query string contains a syntax error.", Status: http.StatusBadRequest}
		}
		return form, x.readBody(DefaultMaxBody)
	}
	mediaType, _, _ := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if x.r.Method != http.MethodPost || mediaType != "application/x-www-form-urlencoded" {
		return nil, errUnknownTarget
	}
	if err := x.readBody(DefaultMaxBody); err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(x.body))
	if err != nil {
		return nil, &Error{Code: "MalformedInput", Message: "The request body is not a valid form.", Status: http.StatusBadRequest}
	}
	return form, nil
}

func (x *exchange) choose(s *Service, name string) error {
	x.service, x.name = s, name
	x.entry.Source, x.entry.Name = s.EventSource, name
	op, served := s.operations[name]
	if !served {
		x.entry.Name = "" // of the client's making: nothing to name a record by
		if s.Model.Protocol == Query {
			return InvalidAction(name, s.Model.Version)
		}
		return UnknownOperation(name)
	}
	x.op = op
	x.entry.ReadOnly = !op.mutates
	return nil
}

// authenticate checks the signature, if the operation takes one. The body is read only when the access key is known.
func (x *exchange) authenticate(ctx context.Context) (Call, error) {
	if x.op.model.Unsigned {
		return Call{Region: x.entry.Region, BaseURL: x.baseURL()}, nil
	}
	signed, err := sigv4.Parse(x.r)
	if err != nil {
		return Call{}, err
	}
	x.entry.Caller.AccessKeyID = signed.AccessKeyID
	key, err := x.server.Directory.Authenticate(ctx, signed.AccessKeyID, signed.SessionToken)
	if err != nil {
		return Call{}, err
	}
	if !x.query {
		if err := x.readBody(x.op.maxBody); err != nil {
			return Call{}, err
		}
	}
	err = signed.Verify(x.r, sigv4.Check{
		Secret: key.Secret, Now: x.server.Now(), Skew: x.skew(), Service: x.service.Model.SigningName,
		Regions: x.regions(), BodySHA256: sha256.Sum256(x.body), Keys: x.server.keys,
	})
	if err != nil {
		return Call{}, err
	}
	x.entry.Caller = key.Caller
	x.entry.Account = key.Caller.Principal.Account
	region := signed.Region
	if !slices.Contains(x.server.Regions, region) {
		region = x.server.Regions[0]
	}
	x.entry.Region = region
	if x.service.Admit != nil {
		if refused := x.service.Admit(key.Caller, x.name); refused != nil {
			return Call{}, refused
		}
	}
	return Call{Caller: key.Caller, Region: region, BaseURL: x.baseURL()}, nil
}

// skew is how far the client's clock may be off: the query services of AWS allow more.
func (x *exchange) skew() time.Duration {
	if x.query {
		return 15 * time.Minute
	}
	return 5 * time.Minute
}

// regions are those that a call may be signed for; services that are global take any.
func (x *exchange) regions() []string {
	if x.query || x.service.Global {
		return nil
	}
	return x.server.Regions
}

func (x *exchange) decode(in any) error {
	if x.query {
		return DecodeQuery(x.service.Model, x.op.model, x.form, in)
	}
	return DecodeJSON(x.service.Model, x.op.model, x.body, in)
}

// ask finds out what the policies are asked, and what the trail shows of the input.
func (x *exchange) ask(ctx context.Context, call *Call, in any) error {
	var err error
	if x.entry.Parameters, err = x.op.shown(x.op.parameters(in)); err != nil {
		return err
	}
	asked, err := x.op.ask(ctx, *call, in)
	if asked.Account != "" {
		x.entry.Account = asked.Account
	}
	if err != nil {
		return err
	}
	if asked.Caller != nil {
		call.Caller, x.entry.Caller = *asked.Caller, *asked.Caller
	}
	x.entry.Questions, x.entry.Context, call.Found = asked.Questions, asked.Context, asked.Found
	x.entry.EncryptionContext = asked.EncryptionContext
	return nil
}

func (x *exchange) run(ctx context.Context, pass *access.Pass, call Call, in any) (out any, err error) {
	if !x.op.mutates {
		out, shown, err := x.op.read(ctx, call, in)
		if err != nil {
			return nil, err
		}
		return out, pass.Answer(shown)
	}
	change, err := x.op.stage(ctx, call, in)
	if err != nil {
		return nil, err
	}
	err = pass.Change(ctx, func(tx *store.Tx) (shown json.RawMessage, err error) {
		out, shown, err = change.save(tx)
		return shown, err
	})
	if closing := change.close(); closing != nil {
		x.server.Log.Warn("release what a change held", "request", x.id, "error", closing)
	}
	return out, err
}

func (x *exchange) answer(out any) {
	if x.query && x.op.json && acceptsJSON(x.r) {
		WriteQueryJSON(x.w, x.op.model, x.id, out)
		return
	}
	if x.query {
		WriteQuery(x.w, x.service.Model, x.op.model, x.id, out)
		return
	}
	WriteJSON(x.w, x.id, x.version, out)
}

// baseURL is the address of this server as the client knows it.
func (x *exchange) baseURL() string {
	if x.entry.Secure {
		return "https://" + x.r.Host
	}
	return "http://" + x.r.Host
}
