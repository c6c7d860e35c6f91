// Package access is the one way in: whatever a client asks for, in whatever protocol, enters here, is authorised here,
// and leaves its record in the trail from here.
//
// An edge describes a request, calls Enter, and gets a Pass or a refusal. A change runs through Pass.Change, which writes
// the record in the change's own transaction; everything else ends with Pass.Done or Pass.Fail before the client gets its
// answer. No domain code runs before Enter. The package decides nothing itself: policies do.
package access

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/audit"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// ErrThrottled means that an account used up the rate of an action.
var ErrThrottled = errors.New("rate exceeded")

// DeniedError is the refusal of a request by policy.
type DeniedError struct {
	Principal policy.Principal
	Decision  policy.Decision
}

// Error is AWS's own sentence.
func (e *DeniedError) Error() string { return e.Decision.Message(e.Principal) }

// Config is what a Door works with.
type Config struct {
	DB    *store.DB
	Trail *audit.Log
	// Policies finds what decides about a request.
	Policies *Policies
	// Evaluate answers in place of the policies, in tests; nil is the policies.
	Evaluate func(policy.Request) policy.Decision
	// Rates holds requests per second by action, for each account and region; an action that isn't in it has no limit.
	Rates map[string]int64
	// Usage notes who asked for what; nil is for nobody.
	Usage *iam.Usage
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Door lets requests in. It is safe for concurrent use.
type Door struct {
	db       *store.DB
	trail    *audit.Log
	policies *Policies
	evaluate func(policy.Request) policy.Decision
	rates    *rates
	signIns  signIns
	usage    *iam.Usage
	now      func() time.Time
}

// New returns the door of c.
func New(c Config) *Door {
	d := &Door{db: c.DB, trail: c.Trail, policies: c.Policies, evaluate: c.Evaluate, rates: newRates(c.Rates), usage: c.Usage, now: c.Now}
	if d.now == nil {
		d.now = time.Now
	}
	return d
}

// Request is what a client asks for.
type Request struct {
	// ID is the request's UUID, which the client is told too.
	ID string
	// Arrived is when the request came, by the clock of the machine.
	Arrived time.Time
	Caller  identity.Caller
	// Account owns what is asked for, and Region is where; the record goes to them.
	Account, Region string
	// Source and Name are the service and the operation in the trail, such as "ecr.amazonaws.com" and "PutImage".
	Source, Name string
	ReadOnly     bool
	// Questions are for the policies. A request that needs no permission but an identity has none.
	Questions []policy.Question
	Context   policy.Context
	// EncryptionContext is that of a request for a key of KMS, which grants constrain.
	EncryptionContext map[string]string
	// Parameters is a JSON object for the trail, without secrets; nil is null.
	Parameters                   json.RawMessage
	SourceIP, UserAgent, Referer string
	// Secure is set if the request came over TLS, be it to this server or to a proxy that is trusted: Proxies.Client. TLS is
	// what is known of the connection to this server.
	Secure bool
	TLS    *tls.ConnectionState
	Host   string

	recorded bool
	// via is the service that makes the request with the rights of the caller, such as "ecr.amazonaws.com".
	via string
}

// Abandon records a request whose handling broke down, unless it has its record. The error is audit.ErrBacklog.
func (d *Door) Abandon(r *Request) error {
	if r.recorded {
		return nil
	}
	return d.recordRefusal(r, "InternalFailure", "The request was broken off by an error in the server.")
}

// Pass is a request that was let in. Exactly one of its methods ends it.
type Pass struct {
	door    *Door
	request *Request
}

// Enter authorises a request. The error is *DeniedError, ErrThrottled, audit.ErrBacklog if the refusal could not be
// recorded, or another if the policies could not be found; deniedCode is what the trail calls a refusal in the edge's
// protocol.
func (d *Door) Enter(ctx context.Context, r *Request, deniedCode string) (*Pass, error) {
	p := &Pass{door: d, request: r}
	d.noteUse(r)
	decision, err := d.decide(ctx, r, r.Questions, nil)
	if err != nil {
		return nil, firstError(p.Fail("InternalFailure", "The policies could not be read."), err)
	}
	if !decision.Allowed {
		denied := &DeniedError{Principal: r.Caller.Principal, Decision: decision}
		return nil, firstError(d.Refuse(r, deniedCode, denied.Error()), denied)
	}
	for i, q := range r.Questions {
		// A request counts once, however many things it is about.
		if slices.ContainsFunc(r.Questions[:i], func(earlier policy.Question) bool { return earlier.Action == q.Action }) {
			continue
		}
		if !d.rates.allow(bucketKey{r.Account, r.Region, q.Action}, d.now()) {
			return nil, firstError(p.Fail("ThrottlingException", "Rate exceeded"), ErrThrottled)
		}
	}
	return p, nil
}

// decide puts questions to the policies, with another policy in place of the one of its kind of each resource, unless that
// is nil.
func (d *Door) decide(ctx context.Context, r *Request, questions []policy.Question, instead *policy.Policy) (policy.Decision, error) {
	request := policy.Request{Principal: r.Caller.Principal, Questions: questions, Context: r.Context, EncryptionContext: r.EncryptionContext}
	if d.evaluate != nil {
		return d.evaluate(request), nil
	}
	place := d.circumstancesOf(r)
	defer place.release()
	request.Context = place.keys
	set, principal, err := d.policies.gather(ctx, r.Caller, r.Region, questions, place)
	if err != nil {
		return policy.Decision{}, err
	}
	if instead != nil {
		place.replace(instead)
	}
	request.Principal = principal
	return policy.Evaluate(request, set), nil
}

// May asks further questions on behalf of a request that was let in, whose answer changes what it does and not whether it
// may. What can't be found out is a no.
func (p *Pass) May(ctx context.Context, questions ...policy.Question) bool {
	decision, err := p.door.decide(ctx, p.request, questions, nil)
	return err == nil && decision.Allowed
}

// MayAgain reports whether the request would be let in again if its resources had this policy in place of the one of its
// kind, for changes of policies that would lock out who makes them. Other questions, if there are any, take the place of
// the request's. What can't be found out is a no.
func (p *Pass) MayAgain(ctx context.Context, next *policy.Policy, instead ...policy.Question) bool {
	if len(instead) == 0 {
		instead = p.request.Questions
	}
	decision, err := p.door.decide(ctx, p.request, instead, next)
	return err == nil && decision.Allowed
}

// Refuse records a request that was turned away before it could enter, such as one whose caller could not be
// authenticated. Of too many from strangers only the first is recorded. The error is audit.ErrBacklog.
func (d *Door) Refuse(r *Request, code, message string) error {
	if !r.Caller.Anonymous() {
		return d.recordRefusal(r, code, message)
	}
	switch ok, first := d.signIns.refused(r.SourceIP, d.now()); {
	case ok:
		return d.recordRefusal(r, code, message)
	case first:
		return d.recordRefusal(r, code, "Too many refused requests without credentials; further ones are not recorded until there are fewer.")
	}
	return nil
}

func (d *Door) recordRefusal(r *Request, code, message string) error {
	return (&Pass{door: d, request: r}).Fail(code, message)
}

// Change runs fn, which changes something, in a transaction together with the record of the request. fn returns what the
// trail shows as the response, a JSON object or nil. It may run more than once and touches nothing but tx. If it fails,
// nothing is changed, and the caller still has to Fail the pass.
func (p *Pass) Change(ctx context.Context, fn func(*store.Tx) (json.RawMessage, error)) error {
	err := p.door.db.Update(ctx, func(tx *store.Tx) error {
		response, err := fn(tx)
		if err != nil {
			return err
		}
		for _, record := range p.records(response) {
			if err := p.door.trail.Append(tx, record); err != nil {
				return err
			}
		}
		return nil
	})
	p.request.recorded = err == nil
	return err
}

// Done records a request that succeeded and changed nothing. Only when it returns nil may the client get its answer; the
// error is audit.ErrBacklog.
func (p *Pass) Done() error { return p.Answer(nil) }

// Answer records a request as Done does, and shows what it was answered, a JSON object or nil.
func (p *Pass) Answer(response json.RawMessage) error {
	for _, record := range p.records(response) {
		if err := p.note(record); err != nil {
			return err
		}
	}
	return nil
}

// records are those of a request that succeeded: one, and a copy for the other account where the caller is of another one
// than what it asked for.
func (p *Pass) records(response json.RawMessage) []*audit.Record {
	record := p.record()
	record.Response = response
	other := p.request.otherAccount()
	if other == "" {
		return []*audit.Record{record}
	}
	record.SharedID = audit.NewUUID()
	shared := *record
	shared.Account = other
	if other != record.Identity.AccountID { // which learns no more than whose principal it was
		shared.Identity = audit.Identity{Type: "AWSAccount", PrincipalID: record.Identity.PrincipalID, AccountID: record.Identity.AccountID}
	}
	return []*audit.Record{record, &shared}
}

// otherAccount is the account beside the one that receives the record that the request concerns: that of the caller, or the
// owner of what is asked for; empty for none.
func (r *Request) otherAccount() string {
	caller := r.Caller.Principal.Account
	if caller != "" && caller != r.Account {
		return caller
	}
	for _, q := range r.Questions {
		if q.Resource.Account != "" && q.Resource.Account != r.Account {
			return q.Resource.Account
		}
	}
	return ""
}

// Fail records a request that failed, with the code and text that the client is told. The error is audit.ErrBacklog.
func (p *Pass) Fail(code, message string) error {
	record := p.record()
	record.ErrorCode, record.ErrorMessage = code, message
	return p.note(record)
}

func (p *Pass) note(record *audit.Record) error {
	err := p.door.trail.Note(record)
	p.request.recorded = err == nil
	return err
}

func (p *Pass) record() *audit.Record {
	r := p.request
	record := &audit.Record{
		Identity: userIdentity(r.Caller), Time: p.door.now(), Source: r.Source, Name: r.Name, Region: r.Region,
		SourceIP: r.SourceIP, UserAgent: r.UserAgent, Parameters: r.Parameters, RequestID: r.ID, ReadOnly: r.ReadOnly,
		Account: r.Account,
	}
	for _, q := range r.Questions {
		resource := audit.Resource{ARN: q.Resource.ARN, Account: q.Resource.Account, Type: resourceType(q.Resource.ARN)}
		if resource.ARN == "*" || slices.Contains(record.Resources, resource) {
			continue
		}
		record.Resources = append(record.Resources, resource)
	}
	if r.TLS != nil {
		record.TLS = &audit.TLS{State: *r.TLS, Host: r.Host, ClientSubject: clientSubject(r.TLS)}
	}
	return record
}

// resourceTypes are the types of resources in the trail, by the beginning of what stands in their ARNs behind the account.
var resourceTypes = map[string]string{
	"ecr:repository": "AWS::ECR::Repository", "iam:user": "AWS::IAM::User", "iam:role": "AWS::IAM::Role", "iam:group": "AWS::IAM::Group",
	"iam:policy": "AWS::IAM::ManagedPolicy", "iam:mfa": "AWS::IAM::VirtualMFADevice", "iam:oidc-provider": "AWS::IAM::OIDCProvider",
	"iam:saml-provider":     "AWS::IAM::SAMLProvider",
	"organizations:account": "AWS::Organizations::Account", "organizations:ou": "AWS::Organizations::OrganizationalUnit",
	"organizations:policy": "AWS::Organizations::Policy",
	"kms:key":              "AWS::KMS::Key", "kms:alias": "AWS::KMS::Alias",
}

func resourceType(text string) string {
	a, err := arn.Parse(text)
	if err != nil {
		return ""
	}
	kind, _, _ := strings.Cut(a.Resource, "/")
	return resourceTypes[a.Service+":"+kind]
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
