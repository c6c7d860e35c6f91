package federation

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/coffer-registry/coffer/internal/secret"
)

// OIDCProvider is an OpenID Connect provider whose tokens an account takes.
type OIDCProvider struct {
	// URL is the issuer, exactly as its tokens name it.
	URL string
	// ClientIDs are the audiences that a token may be for.
	ClientIDs []string
	// Thumbprints are SHA-1 hashes of certificates in hexadecimal. One of the topmost certificate that a server sends makes up
	// for an authority that is not trusted; of a server that is trusted anyway they say nothing, as with AWS.
	Thumbprints []string
}

// Config says how a Verifier works.
type Config struct {
	// Now is the clock; time.Now if nil.
	Now func() time.Time
	// Roots are the certificates that vouch for providers' servers. If nil, they are those of the system, or of the files
	// that SSL_CERT_FILE and SSL_CERT_DIR name.
	Roots *x509.CertPool
	// AllowLoopback lets providers on this machine be spoken to without TLS, for tests and development.
	AllowLoopback bool
}

// Verifier verifies tokens of OpenID Connect providers and responses of SAML providers. It remembers the keys of the former,
// which it fetches through the proxy that the environment names, if it names one. It is safe for concurrent use; Close it at
// the end.
type Verifier struct {
	now     func() time.Time
	fetcher *fetcher

	stop    context.CancelFunc
	running context.Context
	flights sync.WaitGroup

	mu      sync.Mutex
	issuers map[string]*issuer
	// metadata is what documents of SAML providers say, by their hashes.
	metadata map[[sha256.Size]byte]*Metadata
	turn     uint64 // counts uses, to tell which issuer was not used for longest
	closed   bool
}

// NewVerifier returns a Verifier that knows no keys yet.
func NewVerifier(c Config) *Verifier {
	if c.Now == nil {
		c.Now = time.Now
	}
	running, stop := context.WithCancel(context.Background())
	return &Verifier{now: c.Now, fetcher: newFetcher(c), running: running, stop: stop, issuers: map[string]*issuer{}}
}

// Close ends what is being fetched, and waits for it.
func (v *Verifier) Close() {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	v.stop()
	v.flights.Wait()
}

// Verify verifies a token of a provider. The error is an *Error, or that of ctx.
//
// A provider's keys are fetched when they are first needed, again when they are older than 15 minutes, and again, but not
// more often than each 10 seconds, when a token names a key that is not among them. While the provider can't be reached,
// the last keys count for 24 hours; after that the error is an IDPCommunicationError until it can be.
func (v *Verifier) Verify(ctx context.Context, p OIDCProvider, token secret.Text) (Claims, error) {
	t, err := parseToken(token.Reveal())
	if err != nil {
		return Claims{}, err
	}
	if t.text("iss") != p.URL {
		return Claims{}, invalid("Issuer of the token doesn't match the provider", errors.New("the token is of another issuer"))
	}
	set, err := v.keys(ctx, p, func(s *keySet) bool { return len(s.fitting(t)) > 0 })
	if err != nil {
		return Claims{}, err
	}
	if err := t.verifySignature(set); err != nil {
		return Claims{}, err
	}
	if err := t.verifyTimes(v.now()); err != nil {
		return Claims{}, err
	}
	return t.claims(p)
}

// algorithms are those that a token may be signed with. None of them takes a secret, and none is "none".
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512,
}

// verifySignature tries the keys that the token may be signed with.
func (t *token) verifySignature(set *keySet) error {
	keys := set.fitting(t)
	if len(keys) == 0 {
		return noKey(cmp.Or(set.refused[t.keyID()], errors.New("the provider has no key that fits the token")))
	}
	if slices.ContainsFunc(keys, func(k jose.JSONWebKey) bool {
		_, err := t.signed.Verify(k.Key)
		return err == nil
	}) {
		return nil
	}
	return notJWT(errors.New("the signature is not of the provider's key"))
}

// invalid, notJWT, noKey, badThumbprint and unreachable are refusals.
func invalid(message string, reason error) *Error {
	return &Error{InvalidIdentityToken, message, reason}
}

func notJWT(reason error) *Error {
	return invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)", reason)
}

// noKey has two spaces after the comma, as AWS has.
func noKey(reason error) *Error {
	return invalid("Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements", reason)
}

func badThumbprint(reason error) *Error {
	return invalid("OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint", reason)
}

// unreachable's sentence is not known of AWS.
func unreachable(reason error) *Error {
	return &Error{IDPCommunicationError, "The identity provider that was asked to verify the identity token could not be reached", reason}
}
