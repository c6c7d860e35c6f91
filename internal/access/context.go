package access

import (
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coffer-registry/coffer/internal/organization"
	"github.com/coffer-registry/coffer/internal/policy"
)

// Values of condition keys that are there in every request.
var (
	yes = []string{"true"}
	no  = []string{"false"}
)

// circumstances are the condition keys of one request, and what is attached to its resources. They are used again for
// other requests, since every request needs some, and must not be kept.
type circumstances struct {
	keys policy.Context
	// texts holds the values of keys that have one.
	texts     [24]string
	n         int
	resources map[policy.Resource]policy.ResourceSet
}

var unused = sync.Pool{New: func() any {
	return &circumstances{keys: make(policy.Context, 32), resources: make(map[policy.Resource]policy.ResourceSet, 4)}
}}

// release gives circumstances back.
func (c *circumstances) release() {
	clear(c.keys)
	clear(c.resources)
	clear(c.texts[:])
	c.n = 0
	unused.Put(c)
}

// put sets a key, in lower case, to one value.
func (c *circumstances) put(key, value string) {
	if c.n == len(c.texts) {
		c.keys[key] = []string{value}
		return
	}
	c.texts[c.n] = value
	c.n++
	c.keys[key] = c.texts[c.n-1 : c.n : c.n]
}

// circumstancesOf are the condition keys of a request: those that the operation gives, and those that every request has.
// The keys of the principal and of the resources are found apart. Release them.
func (d *Door) circumstancesOf(r *Request) *circumstances {
	c := unused.Get().(*circumstances)
	for key, values := range r.Context {
		c.keys[key] = values
	}
	now := d.now()
	c.putMoment(now, r.Region)
	c.put("aws:sourceip", r.SourceIP)
	c.keys["aws:securetransport"] = no
	if r.Secure {
		c.keys["aws:securetransport"] = yes
	}
	if subject := clientSubject(r.TLS); subject != "" {
		c.put("coffer:clientcertsubject", subject)
	}
	if r.UserAgent != "" {
		c.put("aws:useragent", r.UserAgent)
	}
	if r.Referer != "" {
		c.put("aws:referer", r.Referer)
	}
	if r.Caller.Keys == nil {
		c.putNobody()
	}
	c.putAge(r, now)
	if r.via != "" {
		c.putVia(r)
	}
	return c
}

// putVia adds to a request that a service makes with the rights of its caller which one it is. It comes from the service's
// network, and not from the caller's.
func (c *circumstances) putVia(r *Request) {
	delete(c.keys, "aws:sourceip")
	c.keys["aws:viaawsservice"] = yes
	for _, key := range []string{"aws:calledvia", "aws:calledviafirst", "aws:calledvialast"} {
		c.put(key, r.via)
	}
	name, _, _ := strings.Cut(r.via, ".")
	c.put("kms:viaservice", name+"."+r.Region+".amazonaws.com")
	c.put("kms:calleraccount", r.Caller.Principal.Account)
}

// replace puts a policy in place of the one of its kind that is attached to each resource.
func (c *circumstances) replace(next *policy.Policy) {
	for resource, set := range c.resources {
		policies := []*policy.Policy{next}
		for _, p := range set.Policies {
			if p.Kind() != next.Kind() {
				policies = append(policies, p)
			}
		}
		set.Policies = policies
		c.resources[resource] = set
	}
}

// putMoment adds what is known of every request, whoever makes it and from where.
func (c *circumstances) putMoment(now time.Time, region string) {
	c.put("aws:currenttime", now.UTC().Format(time.RFC3339))
	c.put("aws:epochtime", strconv.FormatInt(now.Unix(), 10))
	c.put("aws:requestedregion", region)
	c.keys["aws:viaawsservice"] = no
}

// putNobody adds the keys of the principal for a request by nobody, or by who has no identity here yet.
func (c *circumstances) putNobody() {
	c.put("aws:principalaccount", "anonymous")
	c.put("aws:principaltype", "Anonymous")
	c.put("aws:userid", "anonymous")
}

// putAge adds how long ago the second factor of the caller's session was proved, in seconds.
func (c *circumstances) putAge(r *Request, now time.Time) {
	if r.Caller.Session == nil || c.keys["aws:multifactorauthage"] != nil {
		return
	}
	if at, ok := r.Caller.Session.SecondFactor(); ok {
		c.put("aws:multifactorauthage", strconv.FormatInt(int64(now.Sub(at)/time.Second), 10))
	}
}

// putPrincipal adds the place of the principal's account in the organization.
func (c *circumstances) putPrincipal(s *organization.Standing) {
	if s.Organization != "" {
		c.put("aws:principalorgid", s.Organization)
		c.put("aws:principalorgpaths", s.Path)
	}
}

// putOwner adds the account of the resources and its place in the organization.
func (c *circumstances) putOwner(account string, s *organization.Standing) {
	if s == nil {
		return
	}
	c.put("aws:resourceaccount", account)
	if s.Organization != "" {
		c.put("aws:resourceorgid", s.Organization)
		c.put("aws:resourceorgpaths", s.Path)
	}
}

// withOwner are the condition keys of a resource that belongs to another account than the first one of its request.
func withOwner(keys policy.Context, account string, s *organization.Standing) policy.Context {
	keys = maps.Clone(keys)
	if keys == nil {
		keys = policy.Context{}
	}
	keys["aws:resourceaccount"] = []string{account}
	if s != nil && s.Organization != "" {
		keys["aws:resourceorgid"] = []string{s.Organization}
		keys["aws:resourceorgpaths"] = []string{s.Path}
	}
	return keys
}
