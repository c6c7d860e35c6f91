package access

import (
	"context"
	"encoding/json"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// Forwarded is a call of another service that a service makes with the rights of who called it: a forward access session.
type Forwarded struct {
	// Via is the service that makes the call, such as "ecr.amazonaws.com".
	Via string
	// Source and Name are the service and the operation that are called, such as "kms.amazonaws.com" and "CreateGrant".
	Source, Name string
	// Account owns what is asked for, and keeps the record.
	Account           string
	ReadOnly          bool
	Questions         []policy.Question
	Context           policy.Context
	EncryptionContext map[string]string
	// Parameters and Response are what the trail shows; nil is null.
	Parameters, Response json.RawMessage
}

// request is the call as a request of its own, by the same caller.
func (f Forwarded) request(r *Request) *Request {
	return &Request{
		ID: r.ID, Arrived: r.Arrived, Caller: r.Caller, Account: f.Account, Region: r.Region, Source: f.Source, Name: f.Name,
		ReadOnly: f.ReadOnly, Questions: f.Questions, Context: f.Context, EncryptionContext: f.EncryptionContext,
		Parameters: f.Parameters, SourceIP: r.SourceIP, UserAgent: r.UserAgent, Secure: r.Secure, TLS: r.TLS, Host: r.Host, via: f.Via,
	}
}

// Forward authorises a call that a service makes on behalf of a request that was let in. The error is *DeniedError, or another
// if the policies could not be found.
func (p *Pass) Forward(ctx context.Context, f Forwarded) error {
	r := f.request(p.request)
	decision, err := p.door.decide(ctx, r, r.Questions, nil)
	if err != nil {
		return err
	}
	if !decision.Allowed {
		return &DeniedError{Principal: r.Caller.Principal, Decision: decision}
	}
	return nil
}

// RecordForwarded records a call that was forwarded, in the transaction of the request that it belongs to.
func (p *Pass) RecordForwarded(tx *store.Tx, f Forwarded) error {
	other := &Pass{door: p.door, request: f.request(p.request)}
	for _, record := range other.records(f.Response) {
		record.Identity.InvokedBy, record.SourceIP, record.UserAgent, record.TLS = f.Via, f.Via, f.Via, nil
		if err := p.door.trail.Append(tx, record); err != nil {
			return err
		}
	}
	return nil
}
