package policy

import (
	"slices"
	"strings"

	"github.com/coffer-registry/coffer/internal/arn"
)

// Principal is who asks, as the policies see it. Which fields are set says what it is; a principal with none of Root,
// Role, User, Service and Provider is an IAM user.
type Principal struct {
	// ARN identifies the principal, such as arn:aws:iam::123456789012:root, or a session's
	// arn:aws:sts::123456789012:assumed-role/Builder/run1. A service is named by itself, such as
	// replication.ecr.amazonaws.com, and an identity provider by its ARN or host name. Empty is nobody.
	ARN string
	// Account is the 12-digit id of the account that the principal belongs to. Services and providers have none.
	Account string
	// ID is the unique id of the user or role that the principal is or acts as, such as AIDA... or AROA...; it may be
	// empty where no policy was resolved to ids.
	ID string
	// Root is set for the account itself, which its own policies need not allow.
	Root bool
	// Role is set for a session of a role: the role's ARN, with its path.
	Role string
	// User is set for a federated user: the ARN of the user, or of the root, that made it with GetFederationToken.
	User string
	// Service is set for a service of AWS that acts for itself.
	Service bool
	// Provider is set for a caller who has no identity but a token of the identity provider that ARN names.
	Provider bool
	// ServiceLinked is set for a session of a service-linked role, which the organization's policies do not limit.
	ServiceLinked bool
	// Management is set if the account manages its organization, whose service control policies do not limit it.
	Management bool
}

// principalKind is what the fields of a Principal amount to.
type principalKind uint8

const (
	nobody principalKind = iota
	user
	session
	federated
	root
	service
	provider
)

func (p *Principal) kind() principalKind {
	switch {
	case p.ARN == "":
		return nobody
	case p.Root:
		return root
	case p.Service:
		return service
	case p.Provider:
		return provider
	case p.Role != "":
		return session
	case p.User != "":
		return federated
	}
	return user
}

// Context holds the condition keys of a request. Keys are lower case, since condition keys compare without case. A key
// that does not apply to the request must not be in it: that a key is absent has a meaning.
type Context map[string][]string

// ambiguous is the value of a key that was given twice. No header, tag or ARN can hold it.
const ambiguous = "\x00"

// Put sets a key, in any case, to its values. A key that already has others, which was spelled with another case, becomes
// ambiguous: a statement that looks at it allows nothing and denies.
func (c Context) Put(key string, values ...string) {
	key = strings.ToLower(key)
	if old, ok := c[key]; ok && !slices.Equal(old, values) {
		values = []string{ambiguous}
	}
	c[key] = values
}

// SameKey reports whether two tags have one condition key, by their keys: whether Put would take one for the other. Some
// characters are the same to strings.EqualFold and not to it, and the other way round.
func SameKey(a, b string) bool {
	key := strings.ToLower(a)
	return key == strings.ToLower(b)
}

// Request is what a principal wants to do.
type Request struct {
	Principal Principal
	// Questions must all be answered with yes. A request that needs no permission but an identity has none.
	Questions []Question
	Context   Context
	// EncryptionContext is that of a cryptographic operation of KMS, which grants look at.
	EncryptionContext map[string]string
}

// Question asks whether one action is allowed on one resource.
type Question struct {
	// Action is an IAM action such as "ecr:PutImage".
	Action   string
	Resource Resource
	// Own is what this question alone has; nil for nothing.
	Own *Own
}

// Own is what one of several questions of a request has for itself.
type Own struct {
	// Context holds condition keys, which come before those of the resource and the request.
	Context Context
	// EncryptionContext takes the place of the request's, unless it is nil.
	EncryptionContext map[string]string
	// Grants are added to those of the resource.
	Grants []Grant
}

// Ask makes the questions of several actions on several resources.
func Ask(actions []string, resources ...Resource) []Question {
	questions := make([]Question, 0, len(actions)*len(resources))
	for _, action := range actions {
		for _, resource := range resources {
			questions = append(questions, Question{Action: action, Resource: resource})
		}
	}
	return questions
}

// Resource is one thing that a request touches.
type Resource struct {
	// ARN names the resource; "*" where the action has no resource of its own.
	ARN string
	// Account owns the resource.
	Account string
}

// Repository returns the resource of a repository.
func Repository(region, account, name string) Resource {
	return Resource{ARN: arn.Repository(region, account, name).String(), Account: account}
}

// Registry returns the resource of an action that concerns the registry of an account as a whole.
func Registry(account string) Resource { return Resource{ARN: "*", Account: account} }

// PolicySet is what applies to a request. The zero value is that of a principal to whom nothing is attached; the rule that
// an account's root principal may do everything in its own account needs no policy.
type PolicySet struct {
	// Identity are the policies of the user and its groups, or of the role, at the time of the request.
	Identity []*Policy
	// Boundary is the permissions boundary of the user or role; nil is none.
	Boundary []*Policy
	// Session are the policies that were passed when the session was made; nil is none. A federated user without any has
	// no permissions but those of resources that name it.
	Session []*Policy
	// SCP holds the service control policies of each level from the organization's root down to the account; nil outside
	// of an organization.
	SCP [][]*Policy
	// Endpoint is the policy of the VPC endpoint that the request came through; nil if it came through none.
	Endpoint []*Policy
	// Resources holds what is attached to the resources that are asked about. A resource that isn't in it has nothing.
	Resources map[Resource]ResourceSet
	// Context holds the condition keys that every request of the principal has alike, such as its tags, so that they are
	// gathered once and not for each request. Of a key that the request or the resource gives too, theirs counts.
	Context Context
}

// ResourceSet is what is attached to a resource.
type ResourceSet struct {
	// Policies are the resource's own: repository policy and registry policy, key policy, or a role's trust policy.
	Policies []*Policy
	// RegistryV1 is set where the registry policy has scope V1: it then counts for three actions only.
	RegistryV1 bool
	// RCP holds the resource control policies of each level above the resource's account, RCPFullAWSAccess among them; nil
	// outside of an organization, in its management account, and for keys that AWS manages.
	RCP [][]*Policy
	// Grants are those of a key.
	Grants []Grant
	// Context holds the condition keys of this resource alone, such as its tags. They come before those of the request.
	Context Context
}
