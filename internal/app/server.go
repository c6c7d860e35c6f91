package app

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coffer-registry/coffer/internal/access"
	"github.com/coffer-registry/coffer/internal/audit"
	"github.com/coffer-registry/coffer/internal/awsapi"
	"github.com/coffer-registry/coffer/internal/federation"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/job"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/ociserver"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/service/ecr"
	"github.com/coffer-registry/coffer/internal/service/iam"
	kmsapi "github.com/coffer-registry/coffer/internal/service/kms"
	"github.com/coffer-registry/coffer/internal/service/organizations"
	"github.com/coffer-registry/coffer/internal/service/sts"
)

// drainTimeout is how long a stopping server waits for requests that are under way.
const drainTimeout = 30 * time.Second

// Options are what tests and commands set beside the configuration.
type Options struct {
	Log *slog.Logger
	// Evaluate replaces the policies; nil is the real ones.
	Evaluate func(policy.Request) policy.Decision
	// Now is the clock; nil is that of the database, by which all servers that share it go.
	Now func() time.Time
	// MachineClock is this machine's clock; nil is time.Now.
	MachineClock func() time.Time
	// Roots vouch for the servers that are spoken to; nil is the system's, among them those of SSL_CERT_FILE.
	Roots *x509.CertPool
	// PasswordRounds is how often passwords are hashed; 0 is as often as is safe.
	PasswordRounds int
	// Watch says how the root of trust is watched, but for the grace, which is the configuration's.
	Watch kms.Watch
	// HeaderTimeout is how long a client may take to send the headers of a request; 0 is ten seconds.
	HeaderTimeout time.Duration

	// BeforeCommit is of tests, for store.Options.
	BeforeCommit func(attempt int) error

	// existing opens only an installation that is there.
	existing bool
	blobs    *blobMetrics
	// blobCache is how many bytes of objects of a bucket may stay in memory: none for commands, which look at what is there.
	blobCache int
}

// blobCacheSize is how many bytes of small objects a server keeps in memory, where they lie in a bucket.
const blobCacheSize = 32 << 20

// Server is a running server.
type Server struct {
	Registry *registry.Registry
	Services []*awsapi.Service

	config      Config
	log         *slog.Logger
	state       *state
	trail       *audit.Log
	work        *job.Runner
	jobMetrics  jobMetrics
	blobMetrics *blobMetrics
	federation  *federation.Verifier
	public      *http.Server
	tls         *tlsSide // nil without TLS
	admin       *http.Server
	control     *http.Server
	// ending ends when the server is told to stop, for requests that would go on for ever.
	ending   context.Context
	listener net.Listener
	noted    bool // the address is in the data folder
	adminURL string
	stop     context.CancelFunc
	running  sync.WaitGroup
	failed   chan error
	sweep    time.Duration
	watch    kms.Watch
	now      func() time.Time
	stopping atomic.Bool
}

// Start starts a server: it either serves or returns an error of one line, and leaves nothing half done. Stop it.
func Start(ctx context.Context, c Config, o Options) (*Server, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	s := &Server{config: c, log: o.Log, watch: o.Watch, failed: make(chan error, 8)}
	s.ending, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.start(ctx, o); err != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, o Options) (err error) {
	if s.listener, err = listen("--listen", s.config.Listen); err != nil {
		return err
	}
	o.blobs = newBlobMetrics()
	s.blobMetrics = o.blobs
	o.blobCache = blobCacheSize
	if s.state, err = openState(ctx, s.config, o); err != nil {
		return err
	}
	if o.Now == nil { // All servers of a database go by its clock.
		o.Now = s.state.db.Now
	}
	s.now = o.Now
	s.work = s.newRunner()
	if err := s.build(ctx, o); err != nil {
		return err
	}
	if err := s.openTLS(o); err != nil {
		return err
	}
	if err := s.serveAdmin(); err != nil {
		return err
	}
	if err := s.serveChallenges(); err != nil {
		return err
	}
	if err := s.serveControl(); err != nil {
		return err
	}
	if err := writeEndpoint(s.config.Data, Endpoint{URL: s.URL(), Region: s.config.Region[0], CA: s.CAPath()}); err != nil {
		return err
	}
	s.noted = true
	s.run()
	return nil
}

func listen(flag, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", flag, address, unwrapListen(err))
	}
	return l, nil
}

// unwrapListen leaves of "listen tcp 127.0.0.1:5000: bind: address already in use" the end.
func unwrapListen(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// URL is where the server answers, such as http://127.0.0.1:5000, by a name that its certificate is good for.
func (s *Server) URL() string {
	host, port, err := net.SplitHostPort(s.listener.Addr().String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http://"
	if s.tls != nil {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(s.reachableHost(host), port)
}

func (s *Server) build(ctx context.Context, o Options) error {
	st, c := s.state, s.config
	limits, err := registry.NewLimits(c.Limits)
	if err != nil {
		return err
	}
	s.sweep = time.Duration(limits.Get(registry.SweepSeconds)) * time.Second
	proxies, err := access.ParseProxies(c.TrustedProxy)
	if err != nil {
		return err
	}
	trailKey, err := st.trailKey()
	if err != nil {
		return err
	}
	if s.trail, err = audit.New(st.db, trailKey); err != nil {
		return err
	}
	tokenKey, err := st.keys.Key(kms.Scope{Purpose: kms.PurposeToken})
	if err != nil {
		return err
	}
	if err := st.ensureAccounts(ctx, c); err != nil {
		return err
	}
	s.Registry = registry.New(registry.Config{DB: st.db, Blobs: st.blobs, Keyring: st.keys, Limits: limits,
		Customer: access.NewServiceKeys(st.customer, s.trail, o.Now),
		Resolve:  st.iam.Resolve, PrincipalName: st.iam.Name, Now: o.Now})
	directory := identity.NewDirectory(st.iam, tokenKey, o.Now)
	policies := &access.Policies{IAM: st.iam, Organization: st.organization, Resources: map[string]access.Attached{
		"ecr": access.ECRResources(s.Registry), "iam": access.IAMResources(st.iam),
		"organizations": access.OrganizationResources(st.organization), "kms": access.KMSResources(st.customer),
	}}
	door := access.New(access.Config{DB: st.db, Trail: s.trail, Policies: policies, Evaluate: o.Evaluate, Rates: rates(limits),
		Usage: st.iam.Usage(), Now: o.Now})
	s.federation = federation.NewVerifier(federation.Config{Now: o.Now, Roots: o.Roots})
	s.Services = []*awsapi.Service{
		ecr.New(ecr.Config{Registry: s.Registry, Directory: directory, IAM: st.iam, Keys: st.customer, Domain: c.Domain, Now: o.Now,
			DownloadURL: func(call awsapi.Call, id registry.ID, repository, digest string) (string, error) {
				return ociserver.DownloadURL(directory, call.Caller, call.BaseURL, id, repository, oci.Digest(digest))
			}}),
		sts.New(sts.Config{IAM: st.iam, Directory: directory, Federation: s.federation, Log: s.log, Now: o.Now}),
		iam.New(iam.Config{IAM: st.iam, Gather: policies.Gather, Now: o.Now}),
		organizations.New(organizations.Config{Organization: st.organization, Accounts: st.accounts(c)}),
		kmsapi.New(kmsapi.Config{Keys: st.customer, Rotated: s.recordRotated}),
	}
	aws := awsapi.NewServer(awsapi.Config{Services: s.Services, Door: door, Directory: directory, Account: c.Account,
		Regions: c.Region, Proxies: proxies, Fresh: st.fresh, Log: s.log, Now: o.Now})
	v2 := ociserver.NewServer(ociserver.Config{Registry: s.Registry, Door: door, Directory: directory,
		Accounts: st.iam.AccountExists, Account: c.Account, Regions: c.Region, AllowAnonymous: c.AllowAnonymous,
		Proxies: proxies, Fresh: st.fresh, Log: s.log})
	s.public = &http.Server{
		Handler:           s.outermost(aws, v2),
		ReadHeaderTimeout: cmp.Or(o.HeaderTimeout, 10*time.Second),
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          newServerLog(s.log),
	}
	return nil
}

// rates are the limits per second by the action that they limit.
func rates(l registry.Limits) map[string]int64 {
	out := map[string]int64{}
	for action, limit := range map[string]registry.Limit{
		"ecr:GetAuthorizationToken":       registry.RateGetAuthorizationToken,
		"ecr:BatchCheckLayerAvailability": registry.RateBatchCheckLayer,
		"ecr:InitiateLayerUpload":         registry.RateInitiateLayerUpload,
		"ecr:UploadLayerPart":             registry.RateUploadLayerPart,
		"ecr:CompleteLayerUpload":         registry.RateCompleteLayerUpload,
		"ecr:PutImage":                    registry.RatePutImage,
		"ecr:BatchGetImage":               registry.RateBatchGetImage,
		"ecr:GetDownloadUrlForLayer":      registry.RateGetDownloadURL,
	} {
		if rate := l.Get(limit); rate > 0 {
			out[action] = rate
		}
	}
	return out
}

// bodyStall bounds how long a request's body may stall before its handler reads it, or after it decided not to.
const bodyStall = 60 * time.Second

// outermost sends a request to its interface, and keeps a panic from ending more than the request.
func (s *Server) outermost(aws, v2 http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				s.panicked(w, r, p)
			}
		}()
		setHeaders(w.Header(), r)
		if r.ContentLength != 0 {
			// A connection that knows no deadlines, as in tests, has none to set.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyStall))
		}
		if r.URL.Path == "/v2" || strings.HasPrefix(r.URL.Path, "/v2/") {
			v2.ServeHTTP(w, r)
			return
		}
		w.Header()["Cache-Control"] = noStore
		aws.ServeHTTP(w, r)
	})
}

// usageInterval is how often it is written who used what.
const usageInterval = 5 * time.Second

// pollInterval is how often a server looks for what others changed, such as policies and keys.
const pollInterval = 500 * time.Millisecond

// run starts what a server does beside its requests, and then the requests.
func (s *Server) run() {
	ctx := s.ending
	s.running.Go(func() {
		if err := s.trail.Run(ctx, func(err error) { s.log.Error("write the trail", "error", err) }); err != nil {
			s.failed <- fmt.Errorf("write the rest of the trail: %w", err)
		}
	})
	s.watchRoot()
	s.running.Go(func() { s.state.keys.Run(ctx) })
	s.running.Go(func() { s.every(ctx, time.Second, "record the time of pulls", s.Registry.FlushPulls) })
	s.running.Go(func() { s.every(ctx, usageInterval, "record who used what", s.state.iam.Usage().Flush) })
	s.running.Go(func() { s.every(ctx, usageInterval, "record which keys were used", s.state.customer.FlushUsage) })
	s.running.Go(func() { s.every(ctx, pollInterval, "look for changes of other servers", s.state.poll) })
	s.running.Go(func() { s.startOrphans(ctx) })
	for _, j := range s.jobs() {
		s.running.Go(func() { s.work.Run(ctx, j) })
	}
	if s.tls != nil {
		s.refreshTLS(ctx)
	}
	s.running.Go(func() {
		serve := s.public.Serve
		if s.tls != nil {
			serve = func(l net.Listener) error { return s.public.ServeTLS(l, "", "") }
		}
		if err := serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("serve: %w", err)
		}
	})
}

// every does a piece of background work again and again.
func (s *Server) every(ctx context.Context, pause time.Duration, what string, work func(context.Context) error) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.attempt(ctx, what, work)
	}
}

// attempt does a piece of background work, whose error is reported. It will be tried again.
func (s *Server) attempt(ctx context.Context, what string, work func(context.Context) error) {
	if err := work(ctx); err != nil && ctx.Err() == nil {
		s.log.Error(what, "error", err)
	}
}

// Failed gives the error that ended the server, if something other than Stop did.
func (s *Server) Failed() <-chan error { return s.failed }

// Stop stops accepting, lets requests finish for a while, writes what is still to be written, and releases everything.
func (s *Server) Stop() error {
	s.stopping.Store(true)
	s.awaitDrained()
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	err := s.public.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("requests were still under way after %v: %w", drainTimeout, err), s.public.Close())
	}
	err = errors.Join(err, s.release())
	select {
	case failed := <-s.failed:
		err = errors.Join(err, failed)
	default:
	}
	return err
}

// awaitDrained goes on serving for as long as load balancers may take to find out that the server is about to stop. What fails
// meanwhile ends it at once.
func (s *Server) awaitDrained() {
	if s.config.DrainDelay == 0 {
		return
	}
	delay := time.NewTimer(s.config.DrainDelay)
	defer delay.Stop()
	select {
	case <-delay.C:
	case err := <-s.failed:
		s.failed <- err
	}
}

// release gives up what Start took, as far as it came.
func (s *Server) release() error {
	var errs []error
	s.stop()
	for _, h := range []*http.Server{s.public, s.control, s.admin} {
		if h != nil {
			errs = append(errs, h.Close())
		}
	}
	if s.tls != nil {
		errs = append(errs, s.tls.close())
	}
	if s.listener != nil {
		if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if s.federation != nil {
		s.federation.Close()
	}
	s.running.Wait()
	if s.Registry != nil {
		errs = append(errs, s.trail.Flush(context.Background()), s.Registry.FlushPulls(context.Background()), s.state.iam.Usage().Flush(context.Background()),
			s.state.customer.FlushUsage(context.Background()))
	}
	if s.noted {
		errs = append(errs, removeEndpoint(s.config.Data))
	}
	if s.state != nil {
		errs = append(errs, s.state.close())
	}
	return errors.Join(errs...)
}
