// Package policy is IAM's policy language: it parses policy documents and decides whether a principal may do what it asks.
//
// Parse judges a document as AWS does when somebody saves it, and says what is wrong in AWS's words. Load compiles one
// that was saved before; what it cannot understand allows nothing and denies all that it might have denied. Either returns
// a Policy, which never changes and may be used from anywhere at once. Evaluate answers a Request by the policies of a
// PolicySet: explicit denials anywhere, the limits of the organization, of the endpoint, of boundaries and sessions, and
// then what identity and resource policies allow, within an account and across. The Decision names the statement that
// decided, and its Message is AWS's own sentence.
//
// The package is pure: a decision is a function of the request and of the policies that apply to it, and what it cannot
// decide is a denial. It knows nothing of accounts, tokens or protocols: who is calling is settled before, the keys of the
// context are gathered before, and how a denial is shown is settled after. Whoever stores documents asks for their sizes, by
// CheckManagedSize and its like; nothing here reads one that is larger than MaxDocument.
//
// Explain says how a decision came about, for IAM's policy simulator, and AuthorizationMessage tells an administrator.
// Format, RewritePrincipals and Size have to do with the text of a document alone.
package policy

// Kind says what a policy is for, on which depends what it may contain.
type Kind uint8

// The kinds of policies.
const (
	// KindIdentity is an inline policy of a user, group or role.
	KindIdentity Kind = iota
	// KindManaged is a managed policy, which may also be a permissions boundary.
	KindManaged
	// KindSession is passed with a call that makes a session, and limits it.
	KindSession
	// KindTrust says who may assume a role.
	KindTrust
	// KindResource belongs to a resource of a service that has no kind of its own here.
	KindResource
	// KindRepository belongs to a repository of ECR.
	KindRepository
	// KindRegistry belongs to a registry of ECR: an account in a region.
	KindRegistry
	// KindKey belongs to a key of KMS.
	KindKey
	// KindSCP is a service control policy, which limits principals of an organization.
	KindSCP
	// KindRCP is a resource control policy, which limits access to resources of an organization.
	KindRCP
	// KindEndpoint limits what passes through a VPC endpoint.
	KindEndpoint
)

// kindNames are for messages about the project's own use; AWS's sentences never name a kind.
var kindNames = [...]string{
	KindIdentity: "identity", KindManaged: "managed", KindSession: "session", KindTrust: "trust", KindResource: "resource",
	KindRepository: "repository", KindRegistry: "registry", KindKey: "key", KindSCP: "scp", KindRCP: "rcp", KindEndpoint: "endpoint",
}

// String returns the kind's name, such as "repository".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Options are what a document alone does not say.
type Options struct {
	// Name is what a Decision calls the policy: its ARN if it has one. The name of a policy that AWS's sentences may show
	// begins with "arn:".
	Name string
	// Resource is the ARN of the repository, or "arn:aws:ecr:<region>:<account>:repository/*" for a registry: a document
	// of these kinds may name no resource beyond it. Empty checks nothing.
	Resource string
	// RegistryV1 is set for a registry whose policy has scope V1, which knows three actions only.
	RegistryV1 bool
	// Resolve finds the unique id of a user or role, such as "AROA...", by its ARN. The policy then matches by that id, so
	// that one who is created anew under an old name has no part in it. For Parse, a principal that is not found makes the
	// document malformed; for Load, it is one that is gone. Parse also asks it about unique ids that a document has in place
	// of ARNs, which must be those of users and roles that exist: a document that was read after one was deleted has its id.
	// Nil matches by ARN.
	Resolve func(principal string) (id string, ok bool)
}

// Policy is a compiled document. It is immutable.
type Policy struct {
	name       string
	kind       Kind
	statements []*statement
	index      index
	// text is the document as it was given, for what explains; empty if it was too large to be read.
	text      string
	warnings  []string
	strangers bool
}

// Name returns what Options called the policy.
func (p *Policy) Name() string { return p.name }

// Kind returns what the policy was parsed as.
func (p *Policy) Kind() Kind { return p.kind }

// Document returns the text that the policy was made of; empty if it was too large to be read.
func (p *Policy) Document() string { return p.text }

// Warnings returns sentences about what is allowed but hardly meant, such as a value that no request can match.
func (p *Policy) Warnings() []string { return append([]string(nil), p.warnings...) }

// TrustsStrangers reports whether a trust policy lets in everybody to whom an issuer issues tokens that many organizations
// share, such as GitHub's. IAM does not save one like that.
func (p *Policy) TrustsStrangers() bool { return p.strangers }

// Parse compiles a document that somebody wants to save. The error is a *MalformedError.
func Parse(kind Kind, document []byte, o Options) (*Policy, error) {
	d, err := decode(document)
	if err == nil {
		err = check(kind, d, o)
	}
	if err != nil {
		return nil, spoken(kind, err)
	}
	return compile(kind, d, o).of(document), nil
}

// Load compiles a document that was saved before, by whatever rules held then. It always returns a policy. One that it
// cannot read at all denies everything, and the error, a *MalformedError, says why.
func Load(kind Kind, document []byte, o Options) (*Policy, error) {
	d, err := decode(document)
	if err != nil {
		return denyAll(kind, o).of(document), spoken(kind, err)
	}
	return compile(kind, d, o).of(document), nil
}

// of notes the text that the policy was compiled from.
func (p *Policy) of(document []byte) *Policy {
	if len(document) <= MaxDocument {
		p.text = string(document)
	}
	return p
}

// denyAll stands for a document that cannot be read.
func denyAll(kind Kind, o Options) *Policy {
	everything := elements{present: true, values: []string{"*"}}
	return compile(kind, &document{version: version2012, statements: []rawStatement{{
		effect: effectDeny, principal: &rawPrincipal{everyone: true}, actions: everything, resources: everything,
	}}}, o)
}
