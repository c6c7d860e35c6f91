package iam

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/arn"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/policy"
)

// Bounds of a simulation: how many answers may be asked for in all, and how many bytes of documents are read for a page of
// them, since each answer reads all that has a say in it. A page is cut there, as IAM may answer fewer than were asked for.
const (
	maxAnswers      = 10_000
	maxSimulatedDoc = 4 << 20
)

// simulation is what a simulation works with.
type simulation struct {
	service            *service
	actions, resources []string
	// given are the condition keys that the client gives.
	given policy.Context
	// source has the policies that are simulated; it is nil where all policies are given.
	source *identity.Caller
	// caller is who asks, as policies of resources see it.
	caller identity.Caller
	// policies come beside those of the source; boundary takes the place of the source's, unless it is nil.
	policies, boundary []*policy.Policy
	// resourcePolicy takes the place of those that resources have, unless it is empty. compiled has it by its kinds.
	resourcePolicy string
	compiled       map[policy.Kind]*policy.Policy
	// owner is the account of resources whose ARNs don't say it.
	owner, region string
	now           time.Time
}

// simulationList names the list of the answers of a simulation.
const simulationList = "simulation"

// page answers a page of the combinations of actions with resources.
func (m *simulation) page(ctx context.Context, in *api.SimulateCustomPolicyRequest) (*api.SimulatePolicyResponse, error) {
	after, n, err := paging(simulationList, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	all, next := len(m.actions)*len(m.resources), 0
	if after != nil {
		// What isn't a number of an answer fails below.
		next, _ = strconv.Atoi(after[0])
		if next <= 0 || next >= all {
			return nil, iam.Errorf(iam.ValidationError, "Invalid Marker.")
		}
	}
	out := &api.SimulatePolicyResponse{EvaluationResults: []api.EvaluationResult{}}
	for read := 0; next < all && len(out.EvaluationResults) < n && read < maxSimulatedDoc && ctx.Err() == nil; next++ {
		action, resource := m.actions[next/len(m.resources)], m.resources[next%len(m.resources)]
		x, size, err := m.explain(ctx, action, resource)
		if err != nil {
			return nil, err
		}
		read += size
		out.EvaluationResults = append(out.EvaluationResults, evaluationResult(action, resource, x))
	}
	more := next < all
	if out.IsTruncated = &more; more {
		out.Marker = nextMarker(simulationList, strconv.Itoa(next))
	}
	return out, ctx.Err()
}

// explain answers whether an action is allowed on a resource, and says how many bytes of documents that took.
func (m *simulation) explain(ctx context.Context, action, resource string) (x policy.Explanation, size int, err error) {
	q := policy.Question{Action: action, Resource: policy.Resource{ARN: resource, Account: m.owner}}
	region := m.region
	if a, err := arn.Parse(resource); err == nil {
		region = cmp.Or(a.Region, region)
		if len(a.Account) == 12 {
			q.Resource.Account = a.Account
		}
	}
	r := policy.Request{Questions: []policy.Question{q}, Context: m.given}
	var set policy.PolicySet
	if m.source != nil {
		if r, set, err = m.service.Gather(ctx, *m.source, region, q, m.given, m.now); err != nil {
			return x, 0, err
		}
		set.Context = m.caller.Keys
	}
	r.Principal = m.principal(r.Principal)
	set.Identity = append(slices.Clip(set.Identity), m.policies...)
	if m.boundary != nil {
		set.Boundary = m.boundary
	}
	if err := m.attach(&set, q); err != nil {
		return x, 0, err
	}
	return policy.Explain(r, set), sizeOf(set, q), nil
}

// principal is who asks, by what was found of whose policies are simulated: the account's organization limits both.
func (m *simulation) principal(found policy.Principal) policy.Principal {
	p := m.caller.Principal
	p.Management, p.ServiceLinked = found.Management, found.ServiceLinked
	return p
}

// attach puts the policy that was given in place of those of the resource.
func (m *simulation) attach(set *policy.PolicySet, q policy.Question) error {
	if m.resourcePolicy == "" {
		return nil
	}
	kind := kindOfResource(q)
	if m.compiled[kind] == nil {
		p, err := policy.Parse(kind, []byte(m.resourcePolicy), policy.Options{Name: "ResourcePolicy"})
		if err != nil {
			return invalidPolicy("ResourcePolicy", err)
		}
		m.compiled[kind] = p
	}
	own := set.Resources[q.Resource]
	own.Policies, own.Grants = []*policy.Policy{m.compiled[kind]}, nil
	set.Resources = maps.Clone(set.Resources)
	if set.Resources == nil {
		set.Resources = map[policy.Resource]policy.ResourceSet{}
	}
	set.Resources[q.Resource] = own
	return nil
}

// kindOfResource is the kind of policies that the resource of a question has.
func kindOfResource(q policy.Question) policy.Kind {
	service, _, _ := strings.Cut(strings.ToLower(q.Action), ":")
	switch service {
	case "ecr":
		return policy.KindRepository
	case "kms":
		return policy.KindKey
	case "sts":
		return policy.KindTrust
	}
	return policy.KindResource
}

// sizeOf is how many bytes the documents have that have a say in a question, and 1 KiB for the question itself.
func sizeOf(set policy.PolicySet, q policy.Question) int {
	size := 1 << 10
	own := set.Resources[q.Resource]
	for _, level := range slices.Concat([][]*policy.Policy{set.Identity, set.Boundary, set.Session, own.Policies}, set.SCP, own.RCP) {
		for _, p := range level {
			size += len(p.Document())
		}
	}
	return size
}

// evaluationResult is an answer as the API has it.
func evaluationResult(action, resource string, x policy.Explanation) api.EvaluationResult {
	r := api.EvaluationResult{EvalActionName: action, EvalResourceName: resource, EvalDecision: string(x.Outcome()),
		MatchedStatements: matchedStatements(x), MissingContextValues: []string{}}
	if scp, limited := x.Layers[policy.ReasonSCP]; limited {
		allowed := scp == policy.OutcomeAllowed
		r.OrganizationsDecisionDetail = &api.OrganizationsDecisionDetail{AllowedByOrganizations: &allowed}
	}
	if boundary, limited := x.Layers[policy.ReasonBoundary]; limited {
		allowed := boundary == policy.OutcomeAllowed
		r.PermissionsBoundaryDecisionDetail = &api.PermissionsBoundaryDecisionDetail{AllowedByPermissionsBoundary: &allowed}
	}
	if resource == "*" {
		r.MissingContextValues = append(r.MissingContextValues, x.Missing...)
		return r
	}
	if x.Reason != policy.ReasonSCP || x.Allowed {
		r.EvalDecisionDetails = decisionDetails(x)
	}
	r.ResourceSpecificResults = []api.ResourceSpecificResult{{EvalResourceName: resource, EvalResourceDecision: r.EvalDecision,
		MatchedStatements: r.MatchedStatements, MissingContextValues: append([]string{}, x.Missing...),
		EvalDecisionDetails: r.EvalDecisionDetails, PermissionsBoundaryDecisionDetail: r.PermissionsBoundaryDecisionDetail}}
	return r
}

// Types of policies in answers. The model knows others, which IAM doesn't answer.
const (
	typeIdentity = "IAM Policy"
	typeResource = "Resource Policy"
)

// decisionDetails say what the policies of either account come to if these differ, and nothing if they don't. The keys of
// IAM are not known.
func decisionDetails(x policy.Explanation) map[string]string {
	details := map[string]string{}
	if !x.Foreign {
		return details
	}
	for layer, name := range map[policy.Reason]string{policy.ReasonIdentity: typeIdentity, policy.ReasonResource: typeResource, policy.ReasonTrust: typeResource} {
		if outcome, ok := x.Layers[layer]; ok {
			details[name] = string(outcome)
		}
	}
	if details[typeResource] == "" {
		details[typeResource] = string(policy.OutcomeImplicitDeny)
	}
	return details
}

// matchedStatements are the statements that decide, but for those of the organization, which show only in what they come
// to.
func matchedStatements(x policy.Explanation) []api.Statement {
	out := []api.Statement{}
	for _, m := range x.Deciding() {
		s := api.Statement{SourcePolicyID: m.Policy[strings.LastIndexByte(m.Policy, '/')+1:], SourcePolicyType: typeIdentity,
			StartPosition: position(m.Start), EndPosition: position(m.End)}
		switch m.Layer {
		case policy.ReasonSCP, policy.ReasonRCP, policy.ReasonGrant:
			continue
		case policy.ReasonResource, policy.ReasonTrust:
			s.SourcePolicyID, s.SourcePolicyType = cmp.Or(m.Policy, "ResourcePolicy"), typeResource
		}
		out = append(out, s)
	}
	return out
}

// position is a place in a document; nil for none.
func position(p policy.Position) *api.Position {
	if p == (policy.Position{}) {
		return nil
	}
	line, column := int64(p.Line), int64(p.Column)
	return &api.Position{Line: &line, Column: &column}
}
