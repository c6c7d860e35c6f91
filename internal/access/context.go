package access

import (
	"strconv"
	"time"

	"github.com/coffer-registry/coffer/internal/organization"
	"github.com/coffer-registry/coffer/internal/policy"
)

// Values of condition keys that are there in every request.
var (
	yes = []string{"true"}
	no  = []string{"false"}
)

// contextOf are the condition keys of a request: those that the operation gives, and those that every request has. The
// keys of the principal and of the resources are found apart. Keys are written in lower case, as policy.Context has them.
func (d *Door) contextOf(r *Request) policy.Context {
	c := make(policy.Context, len(r.Context)+16)
	for key, values := range r.Context {
		c[key] = values
	}
	now := d.now()
	c["aws:currenttime"] = []string{now.UTC().Format(time.RFC3339)}
	c["aws:epochtime"] = []string{strconv.FormatInt(now.Unix(), 10)}
	c["aws:sourceip"] = []string{r.SourceIP}
	c["aws:securetransport"] = no
	if r.TLS != nil {
		c["aws:securetransport"] = yes
	}
	c["aws:requestedregion"] = []string{r.Region}
	c["aws:viaawsservice"] = no
	if r.UserAgent != "" {
		c["aws:useragent"] = []string{r.UserAgent}
	}
	if r.Referer != "" {
		c["aws:referer"] = []string{r.Referer}
	}
	if r.Caller.Keys == nil {
		putNobody(c)
	}
	age(c, r, now)
	return c
}

// putNobody adds the keys of the principal for a request by nobody, or by who has no identity here yet.
func putNobody(c policy.Context) {
	c["aws:principalaccount"] = []string{"anonymous"}
	c["aws:principaltype"] = []string{"Anonymous"}
	c["aws:userid"] = []string{"anonymous"}
}

// age adds how long ago the second factor of the caller's session was proved, in seconds.
func age(c policy.Context, r *Request, now time.Time) {
	if s := r.Caller.Session; s != nil && s.MFA != 0 {
		seconds := int64(now.Sub(time.UnixMicro(s.MFA)) / time.Second)
		c["aws:multifactorauthage"] = []string{strconv.FormatInt(seconds, 10)}
	}
}

// putOrganization adds the place of an account in the organization; who is "principal" or "resource".
func putOrganization(c policy.Context, who string, s *organization.Standing) {
	if s.Organization != "" {
		c["aws:"+who+"orgid"] = []string{s.Organization}
		c["aws:"+who+"orgpaths"] = []string{s.Path}
	}
}

// putOwner adds the account of a resource and its place in the organization.
func putOwner(c policy.Context, account string, s *organization.Standing) {
	if s == nil {
		return
	}
	c["aws:resourceaccount"] = []string{account}
	putOrganization(c, "resource", s)
}
