package kms

import (
	"context"
	"errors"
	"strings"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/kms"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addGrants(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.CreateGrantRequest, api.CreateGrantResponse]{
		Action: "kms:CreateGrant",
		Ask:    s.askCreateGrant,
		Parameters: func(in *api.CreateGrantRequest) any {
			shown := *in
			shown.GrantTokens = nil
			return &shown
		},
		Response: func(out *api.CreateGrantResponse) any { return &api.CreateGrantResponse{GrantID: out.GrantID} },
		Write:    s.createGrant,
	})
	awsapi.Add(out, onKey(s, about[api.ListGrantsRequest]{key: func(in *api.ListGrantsRequest) string { return in.KeyID }},
		awsapi.Op[api.ListGrantsRequest, api.ListGrantsResponse]{Action: "kms:ListGrants", Read: s.listGrants}))
	awsapi.Add(out, awsapi.Op[api.ListRetirableGrantsRequest, api.ListGrantsResponse]{
		Action: "kms:ListRetirableGrants",
		Resources: func(c awsapi.Call, _ *api.ListRetirableGrantsRequest) []policy.Resource {
			return []policy.Resource{anyKey(c)}
		},
		Read: s.listRetirableGrants,
	})
	awsapi.Add(out, onKey(s, about[api.RevokeGrantRequest]{key: func(in *api.RevokeGrantRequest) string { return in.KeyID }},
		awsapi.Op[api.RevokeGrantRequest, struct{}]{
			Action: "kms:RevokeGrant",
			Write: func(tx *store.Tx, c awsapi.Call, in *api.RevokeGrantRequest) (*struct{}, error) {
				return nil, change(c, func(key kms.Key) error {
					if err := s.Keys.RevokeGrant(tx, key, in.GrantID); err != nil {
						return err
					}
					return rehearse(in.DryRun)
				})
			},
		}))
	awsapi.Add(out, awsapi.Op[api.RetireGrantRequest, struct{}]{
		Action: "kms:RetireGrant",
		Ask:    s.askRetireGrant,
		Parameters: func(in *api.RetireGrantRequest) any {
			shown := *in
			shown.GrantToken = ""
			return &shown
		},
		Write: func(tx *store.Tx, c awsapi.Call, in *api.RetireGrantRequest) (*struct{}, error) {
			f := c.Found.(retired)
			if f.err != nil {
				return nil, f.err
			}
			if err := s.Keys.RetireGrant(tx, f.key, f.grant); err != nil {
				return nil, err
			}
			return nil, rehearse(in.DryRun)
		},
	})
}

// askCreateGrant asks for a grant. Who may make grants by one of theirs may make only those that stay within it.
func (s *service) askCreateGrant(ctx context.Context, c awsapi.Call, in *api.CreateGrantRequest) (a awsapi.Asked, err error) {
	f, err := s.find(ctx, c, in.KeyID, false)
	if err != nil {
		return a, err
	}
	grant := newGrant(c, in)
	question := policy.Question{Action: "kms:CreateGrant", Resource: f.resource}
	if f.err == nil {
		own := &policy.Own{}
		if own.Grants, err = s.Keys.Delegated(ctx, f.key, grant); err != nil {
			return a, err
		}
		question.Own = own
	}
	a = awsapi.Asked{Questions: []policy.Question{question}, Context: requestContext(c, f), Found: f}
	grant.PutKeys(a.Context)
	return a, nil
}

// newGrant is what a grant is made from.
func newGrant(c awsapi.Call, in *api.CreateGrantRequest) kms.NewGrant {
	return kms.NewGrant{Grantee: in.GranteePrincipal, Retiring: in.RetiringPrincipal, Operations: in.Operations, Constraints: constraints(in),
		Name: in.Name, Issuer: c.Caller.Principal.Account}
}

func constraints(in *api.CreateGrantRequest) kms.Constraints {
	if in.Constraints == nil {
		return kms.Constraints{}
	}
	return kms.Constraints{Subset: in.Constraints.EncryptionContextSubset, Equals: in.Constraints.EncryptionContextEquals}
}

func (s *service) createGrant(tx *store.Tx, c awsapi.Call, in *api.CreateGrantRequest) (*api.CreateGrantResponse, error) {
	out := &api.CreateGrantResponse{}
	return out, change(c, func(key kms.Key) error {
		if err := s.checkTokens(in.GrantTokens); err != nil {
			return err
		}
		g, err := s.Keys.CreateGrant(tx, key, newGrant(c, in))
		if err != nil {
			return err
		}
		if err := rehearse(in.DryRun); err != nil {
			return err
		}
		out.GrantID = g.ID
		out.GrantToken, err = s.Keys.GrantToken(key, g.ID)
		return err
	})
}

// entries are grants as the API shows them.
func (s *service) entries(tx *store.Tx, grants []kms.Grant) (all []api.GrantListEntry, err error) {
	all = []api.GrantListEntry{}
	for _, g := range grants {
		created := awsapi.NewTime(g.Created)
		e := api.GrantListEntry{KeyID: g.KeyARN, GrantID: g.ID, Name: g.Name, CreationDate: &created, IssuingAccount: rootOf(g.Issuer), Operations: g.Operations}
		if e.GranteePrincipal, err = s.Keys.ShownPrincipal(tx, g.Grantee); err != nil {
			return nil, err
		}
		if g.Retiring != "" {
			if e.RetiringPrincipal, err = s.Keys.ShownPrincipal(tx, g.Retiring); err != nil {
				return nil, err
			}
		}
		if len(g.Constraints.Subset)+len(g.Constraints.Equals) > 0 {
			e.Constraints = &api.GrantConstraints{EncryptionContextSubset: g.Constraints.Subset, EncryptionContextEquals: g.Constraints.Equals}
		}
		all = append(all, e)
	}
	return all, nil
}

func (s *service) listGrants(ctx context.Context, c awsapi.Call, in *api.ListGrantsRequest) (*api.ListGrantsResponse, error) {
	p, err := readPage(in.Marker, "grants "+in.KeyID)
	if err != nil {
		return nil, err
	}
	return view(ctx, s, c, func(tx *store.Tx, key kms.Key) (*api.ListGrantsResponse, error) {
		most, out := size(in.Limit, 50, 100), &api.ListGrantsResponse{}
		grants, err := s.grantsOf(tx, key, in, p.After, most+1)
		if err != nil {
			return nil, err
		}
		grants, out.NextMarker, out.Truncated = paged(grants, most, func(last kms.Grant) page { return page{List: p.List, After: last.ID} })
		out.Grants, err = s.entries(tx, grants)
		return out, err
	})
}

// grantsOf are the grants of a key that a request wants: all, one, or those of a grantee.
func (s *service) grantsOf(tx *store.Tx, key kms.Key, in *api.ListGrantsRequest, after string, limit int) ([]kms.Grant, error) {
	if in.GrantID != "" {
		g, err := s.Keys.Grant(tx, key, in.GrantID)
		return []kms.Grant{g}, err
	}
	grantee := in.GranteePrincipal
	if grantee != "" && !strings.HasSuffix(grantee, ".amazonaws.com") {
		var err error
		if grantee, err = s.Keys.StoredPrincipal(tx, grantee); err != nil {
			return nil, err
		}
	}
	return s.Keys.ListGrants(tx, key, grantee, after, limit)
}

func (s *service) listRetirableGrants(ctx context.Context, c awsapi.Call, in *api.ListRetirableGrantsRequest) (*api.ListGrantsResponse, error) {
	p, err := readPage(in.Marker, "retirable "+in.RetiringPrincipal)
	if err != nil {
		return nil, err
	}
	most, out := size(in.Limit, 50, 100), &api.ListGrantsResponse{}
	err = s.Keys.View(ctx, func(tx *store.Tx) error {
		stored, err := s.Keys.StoredPrincipal(tx, in.RetiringPrincipal)
		if err != nil {
			return err
		}
		grants, err := s.Keys.RetirableGrants(tx, c.Caller.Principal.Account, c.Region, stored, p.After, p.Then, most+1)
		if err != nil {
			return err
		}
		grants, out.NextMarker, out.Truncated = paged(grants, most, func(last kms.Grant) page { return page{List: p.List, After: last.KeyID, Then: last.ID} })
		out.Grants, err = s.entries(tx, grants)
		return err
	})
	return out, err
}

// retired is the grant that a request is to end.
type retired struct {
	found
	grant string
}

// askRetireGrant asks whether the caller may retire a grant: the principals that it names may, and whom the policies of the
// key's account let, whatever the key policy says.
func (s *service) askRetireGrant(ctx context.Context, c awsapi.Call, in *api.RetireGrantRequest) (a awsapi.Asked, err error) {
	f, err := s.findRetired(ctx, c, in)
	if err != nil {
		return a, err
	}
	question := policy.Question{Action: "kms:RetireGrant", Resource: f.resource}
	if f.err == nil {
		var g kms.Grant
		err = s.Keys.View(ctx, func(tx *store.Tx) error {
			g, err = s.Keys.Grant(tx, f.key, f.grant)
			return err
		})
		var refused *kms.Error
		switch {
		case errors.As(err, &refused):
			f.err = refused
		case err != nil:
			return a, err
		default:
			question.Own = &policy.Own{Grants: g.RetiredBy()}
		}
	}
	return awsapi.Asked{Questions: []policy.Question{question}, Context: requestContext(c, f.found), Found: f}, nil
}

// findRetired finds the key of a grant that is named by its token, or by its id and the key's ARN.
func (s *service) findRetired(ctx context.Context, c awsapi.Call, in *api.RetireGrantRequest) (f retired, err error) {
	keyID := in.KeyID
	f.grant = in.GrantID
	switch {
	case in.GrantToken != "" && (in.KeyID != "" || in.GrantID != ""), in.GrantToken == "" && (in.KeyID == "" || in.GrantID == ""):
		return f, kms.Errorf(kms.CodeValidation, "Either GrantToken, or KeyId and GrantId must be given")
	case in.GrantToken != "":
		if keyID, f.grant, err = s.Keys.ReadGrantToken(in.GrantToken); err != nil {
			return f, err
		}
		if key, err := s.Keys.ByID(ctx, keyID); err == nil && key.Region == c.Region {
			keyID = key.ARN
		}
	}
	f.found, err = s.find(ctx, c, keyID, false)
	return f, err
}
