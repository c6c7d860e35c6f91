package federation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/strictjson"
)

// issuer is what a Verifier knows of one provider. Its fields are guarded by the Verifier's lock.
type issuer struct {
	set *keySet // the last; nil before the first
	// triedAt is when keys were last asked for, and err how that failed; nil if it did not.
	triedAt time.Time
	err     error
	flight  *flight // nil unless keys are being fetched
	used    uint64
}

// flight is a fetch that is under way.
type flight struct{ done chan struct{} }

// keys returns the keys of a provider: the remembered ones while they are fresh and will do, else new ones. The keys may not
// do either. The error is an *Error or that of ctx.
func (v *Verifier) keys(ctx context.Context, p OIDCProvider, do func(*keySet) bool) (*keySet, error) {
	v.mu.Lock()
	i := v.issuer(p.source())
	now := v.now()
	if set := i.set; set != nil && now.Sub(set.fetchedAt) < keysFresh && do(set) {
		v.mu.Unlock()
		return set, nil
	}
	f := i.flight
	if f == nil && !v.closed && (i.triedAt.IsZero() || now.Sub(i.triedAt) >= retryAfter) {
		f = v.takeOff(i, p, now)
	}
	v.mu.Unlock()
	if f != nil {
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch set := i.set; {
	case set != nil && v.now().Sub(set.fetchedAt) < keyLifetime && (i.err == nil || do(set)):
		return set, nil
	case i.err != nil:
		return nil, i.err
	}
	return nil, unreachable(errors.New("the keys are too old"))
}

// source names where keys come from. Whose server is trusted by a thumbprint is trusted for the sake of those providers alone
// that name it, so that accounts that name others have other keys.
func (p OIDCProvider) source() string {
	return p.URL + " " + strings.ToLower(strings.Join(slices.Sorted(slices.Values(p.Thumbprints)), " "))
}

// issuer finds what is known of a provider, and forgets another one if there are too many.
func (v *Verifier) issuer(source string) *issuer {
	v.turn++
	if i := v.issuers[source]; i != nil {
		i.used = v.turn
		return i
	}
	if len(v.issuers) >= maxIssuers {
		oldest := ""
		for source, i := range v.issuers {
			if oldest == "" || i.used < v.issuers[oldest].used {
				oldest = source
			}
		}
		delete(v.issuers, oldest)
	}
	i := &issuer{used: v.turn}
	v.issuers[source] = i
	return i
}

// takeOff begins to fetch the keys of a provider, for all who wait for them: none of them can call it off.
func (v *Verifier) takeOff(i *issuer, p OIDCProvider, now time.Time) *flight {
	f := &flight{done: make(chan struct{})}
	i.flight, i.triedAt = f, now
	v.flights.Go(func() {
		set, err := v.fetcher.keySet(v.running, p)
		v.mu.Lock()
		defer v.mu.Unlock()
		if err == nil {
			set.fetchedAt = now
			i.set = set
		}
		i.err, i.flight = err, nil
		close(f.done)
	})
	return f
}

// keySet fetches the keys of a provider. The error is an *Error.
func (f *fetcher) keySet(ctx context.Context, p OIDCProvider) (*keySet, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	at, err := f.discover(ctx, p)
	if err != nil {
		return nil, err
	}
	found, err := f.get(ctx, at, maxKeySet, p.Thumbprints)
	if err != nil {
		return nil, err
	}
	set, err := parseKeys(found)
	if err != nil {
		return nil, noKey(fmt.Errorf("%s: %w", at, err))
	}
	return set, nil
}

// discover asks a provider where its keys are.
func (f *fetcher) discover(ctx context.Context, p OIDCProvider) (string, error) {
	at := strings.TrimSuffix(p.URL, "/") + "/.well-known/openid-configuration"
	found, err := f.get(ctx, at, maxDiscovery, p.Thumbprints)
	if err != nil {
		return "", err
	}
	configuration, err := strictjson.Parse(found, maxTokenDepth)
	if err != nil {
		return "", noKey(fmt.Errorf("%s: %w", at, err))
	}
	if named := configuration.Member("issuer"); named.Kind() != strictjson.String || named.String() != p.URL {
		return "", noKey(fmt.Errorf("%s: the issuer is another", at))
	}
	keys := configuration.Member("jwks_uri")
	if keys.Kind() != strictjson.String {
		return "", noKey(fmt.Errorf("%s: there is no jwks_uri", at))
	}
	return keys.String(), nil
}
