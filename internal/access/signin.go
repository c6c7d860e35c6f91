package access

import (
	"context"
	"net/netip"
	"time"
)

// Failed sign-ins are limited by where they come from and by the access key that they name: so many at once, and so many
// per second for longer. A sign-in is judged before it is counted, so that whoever has the secret gets in however often
// others guess.
const (
	sourceFailures, sourceFailuresPerSecond = 100, 5
	keyFailures, keyFailuresPerSecond       = 30, 1
)

// Refusals of who gave no credentials, or none that were judged, are recorded by where they come from: so many at once, and so
// many per second for longer. They are answered all the same, since clients ask without credentials first; but what costs
// nobody anything must not fill the disk.
const strangerRefusals, strangerRefusalsPerSecond = 300, 10

// failureTime is how long after its arrival a failed sign-in is answered. All that can be found out about it, such as
// whether the key exists, is found out in less, so that the time of the answer tells nothing.
const failureTime = 15 * time.Millisecond

// signIns counts failed sign-ins, and refusals of strangers.
type signIns struct {
	sources, keys, strangers buckets[string]
}

// refused counts the refusal of a stranger, as failed does.
func (s *signIns) refused(source string, now time.Time) (ok, first bool) {
	return s.strangers.take(network(source), strangerRefusalsPerSecond, strangerRefusals, now)
}

// failed counts a failed sign-in. It reports whether it may be answered as what it is, and if not, whether it is the first
// that may not.
func (s *signIns) failed(source, key string, now time.Time) (ok, first bool) {
	ok, first = s.sources.take(network(source), sourceFailuresPerSecond, sourceFailures, now)
	if key == "" || !ok {
		return ok, first
	}
	return s.keys.take(key, keyFailuresPerSecond, keyFailures, now)
}

// network is what a source is counted as: an IPv6 host has a network of addresses.
func network(source string) string {
	addr, err := netip.ParseAddr(source)
	if err != nil || addr.Is4() || addr.Is4In6() {
		return source
	}
	// A prefix of 64 bits is one of any IPv6 address.
	prefix, _ := addr.WithZone("").Prefix(64)
	return prefix.String()
}

// RefuseSignIn records a request whose caller could not be authenticated, as Refuse does, and returns when the answer may
// be given. The error is ErrThrottled after too many, of which only the first is recorded, or audit.ErrBacklog.
func (d *Door) RefuseSignIn(ctx context.Context, r *Request, code, message string) error {
	defer waitUntil(ctx, r.Arrived.Add(failureTime))
	ok, first := d.signIns.failed(r.SourceIP, r.Caller.AccessKeyID, d.now())
	switch {
	case ok:
		return d.recordRefusal(r, code, message)
	case first:
		err := d.recordRefusal(r, "ThrottlingException", "Too many failed sign-ins; further ones are not recorded until there are fewer.")
		return firstError(err, ErrThrottled)
	}
	return ErrThrottled
}

func waitUntil(ctx context.Context, at time.Time) {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
