package federation

import (
	"context"
	"errors"
	"fmt"
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
func (v *Verifier) keys(ctx context.Context, url string, do func(*keySet) bool) (*keySet, error) {
	v.mu.Lock()
	i := v.issuer(url)
	now := v.now()
	if set := i.set; set != nil && now.Sub(set.fetchedAt) < keysFresh && do(set) {
		v.mu.Unlock()
		return set, nil
	}
	f := i.flight
	if f == nil && !v.closed && (i.triedAt.IsZero() || now.Sub(i.triedAt) >= retryAfter) {
		f = v.takeOff(i, url, now)
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

// issuer finds what is known of a provider, and forgets another one if there are too many.
func (v *Verifier) issuer(url string) *issuer {
	v.turn++
	if i := v.issuers[url]; i != nil {
		i.used = v.turn
		return i
	}
	if len(v.issuers) >= maxIssuers {
		oldest := ""
		for url, i := range v.issuers {
			if oldest == "" || i.used < v.issuers[oldest].used {
				oldest = url
			}
		}
		delete(v.issuers, oldest)
	}
	i := &issuer{used: v.turn}
	v.issuers[url] = i
	return i
}

// takeOff begins to fetch the keys of a provider, for all who wait for them: none of them can call it off.
func (v *Verifier) takeOff(i *issuer, url string, now time.Time) *flight {
	f := &flight{done: make(chan struct{})}
	i.flight, i.triedAt = f, now
	v.flights.Go(func() {
		set, err := v.fetcher.keySet(v.running, url)
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
func (f *fetcher) keySet(ctx context.Context, url string) (*keySet, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	at, err := f.discover(ctx, url)
	if err != nil {
		return nil, err
	}
	body, thumbprints, err := f.get(ctx, at, maxKeySet)
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys(body)
	if err != nil {
		return nil, noKey(fmt.Errorf("%s: %w", at, err))
	}
	return &keySet{keys: keys, thumbprints: thumbprints}, nil
}

// discover asks a provider where its keys are.
func (f *fetcher) discover(ctx context.Context, url string) (string, error) {
	at := strings.TrimSuffix(url, "/") + "/.well-known/openid-configuration"
	body, _, err := f.get(ctx, at, maxDiscovery)
	if err != nil {
		return "", err
	}
	document, err := strictjson.Parse(body, maxTokenDepth)
	if err != nil {
		return "", noKey(fmt.Errorf("%s: %w", at, err))
	}
	if named := document.Member("issuer"); named.Kind() != strictjson.String || named.String() != url {
		return "", noKey(fmt.Errorf("%s: the issuer is another", at))
	}
	keys := document.Member("jwks_uri")
	if keys.Kind() != strictjson.String {
		return "", noKey(fmt.Errorf("%s: there is no jwks_uri", at))
	}
	return keys.String(), nil
}
