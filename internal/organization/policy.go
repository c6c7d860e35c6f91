package organization

import (
	"cmp"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// PolicyType is a type of policies, as the API calls it.
type PolicyType string

// The types that there are here. AWS has others, which are of no use to a registry.
const (
	ServiceControl  PolicyType = "SERVICE_CONTROL_POLICY"
	ResourceControl PolicyType = "RESOURCE_CONTROL_POLICY"
)

// PolicyTypes are all of them.
var PolicyTypes = []PolicyType{ServiceControl, ResourceControl}

// grammars are the rules for the documents of each type.
var grammars = map[PolicyType]policy.Kind{ServiceControl: policy.KindSCP, ResourceControl: policy.KindRCP}

// checkType refuses the types that there aren't here.
func checkType(t PolicyType) error {
	if _, ok := grammars[t]; !ok {
		return Errorf(PolicyTypeNotAvailable, "You can't use the specified policy type with the feature set currently enabled for this organization.")
	}
	return nil
}

// Policy is a service or resource control policy.
type Policy struct {
	ID                          string
	Type                        PolicyType
	Name, Description, Document string
	// Managed is set for those of AWS, which never change.
	Managed bool
}

// The policies that allow everything, which hang everywhere from the start.
const (
	fullAccess         = "p-FullAWSAccess"
	fullResourceAccess = "p-RCPFullAWSAccess"
)

// defaults are the policies of each type that are attached to whatever is new.
var defaults = map[PolicyType]string{ServiceControl: fullAccess, ResourceControl: fullResourceAccess}

// builtIn are the policies of AWS.
var builtIn = []Policy{
	{ID: fullAccess, Type: ServiceControl, Name: "FullAWSAccess", Description: "Allows access to every operation", Managed: true,
		Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`},
	{ID: fullResourceAccess, Type: ResourceControl, Name: "RCPFullAWSAccess", Description: "Allows access to every resource", Managed: true,
		Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`},
}

// Quotas of AWS.
const (
	maxPolicies = 2000 // of each type
	maxDocument = 5120 // characters
)

const (
	policyNotFound  = "You specified a policy that doesn't exist."
	duplicatePolicy = "A policy with the specified name and type already exists."
)

const policyColumns = `p.id, p.type, p.name, p.description, p.document, p.managed`

func scanPolicy(row store.Scanner) (p Policy, err error) {
	return p, row.Scan(&p.ID, &p.Type, &p.Name, &p.Description, &p.Document, &p.Managed)
}

// Policy finds a policy. The error is of code PolicyNotFoundException.
func (s *Store) Policy(tx *store.Tx, id string) (Policy, error) {
	p, err := scanPolicy(tx.QueryRow(`SELECT `+policyColumns+` FROM organization_policy p WHERE p.id = $1`, id))
	if errors.Is(err, store.ErrNoRows) {
		return Policy{}, Errorf(PolicyNotFound, policyNotFound)
	}
	return p, err
}

// Policies lists the policies of a type by name, after one name.
func (s *Store) Policies(tx *store.Tx, t PolicyType, after string, n int) ([]Policy, error) {
	rows, err := tx.Query(`SELECT `+policyColumns+` FROM organization_policy p WHERE p.type = $1 AND p.name > $2 ORDER BY p.name LIMIT $3`, string(t), after, n)
	if err != nil {
		return nil, err
	}
	return store.Collect(rows, scanPolicy)
}

// CreatePolicy makes a policy. The error is of code MalformedPolicyDocumentException, DuplicatePolicyException,
// ConstraintViolationException or PolicyTypeNotAvailableForOrganizationException.
func (s *Store) CreatePolicy(tx *store.Tx, t PolicyType, name, description, document string) (Policy, error) {
	p := Policy{ID: newID("p-", 10), Type: t, Name: name, Description: description, Document: document}
	if err := checkType(t); err != nil {
		return Policy{}, err
	}
	if err := checkDocument(t, document); err != nil {
		return Policy{}, err
	}
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM organization_policy WHERE type = $1`, string(t)).Scan(&n); err != nil {
		return Policy{}, err
	}
	if n > maxPolicies { // that of AWS doesn't count
		return Policy{}, violated("POLICY_NUMBER_LIMIT_EXCEEDED", "You have exceeded the number of policies that you can have in an organization.")
	}
	if err := s.checkPolicyName(tx, p); err != nil {
		return Policy{}, err
	}
	return p, s.insertPolicy(tx, p)
}

// checkPolicyName refuses a name that another policy of the type has.
func (s *Store) checkPolicyName(tx *store.Tx, p Policy) error {
	var n int
	err := tx.QueryRow(`SELECT count(*) FROM organization_policy WHERE type = $1 AND name = $2 AND id <> $3`, string(p.Type), p.Name, p.ID).Scan(&n)
	if err == nil && n > 0 {
		return Errorf(DuplicatePolicy, duplicatePolicy)
	}
	return err
}

func (s *Store) insertPolicy(tx *store.Tx, p Policy) error {
	if err := s.changed(tx); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO organization_policy (id, type, name, description, document, managed, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		p.ID, string(p.Type), p.Name, p.Description, p.Document, p.Managed, s.now().UnixMicro())
	if err != nil {
		return fmt.Errorf("create policy %s: %w", p.ID, err)
	}
	return nil
}

// checkDocument refuses a document that is too long or none of its type. AWS counts white space of those that come by the
// API.
func checkDocument(t PolicyType, document string) error {
	if utf8.RuneCountInString(document) > maxDocument {
		return violated("POLICY_CONTENT_LIMIT_EXCEEDED", "You have exceeded the maximum policy size.") // (unverified)
	}
	if _, err := policy.Parse(grammars[t], []byte(document), policy.Options{}); err != nil {
		return Errorf(MalformedPolicyDocument, "The provided policy document does not meet the requirements of the specified policy type.")
	}
	return nil
}

// UpdatePolicy changes what of a policy is given; empty leaves it. The error is of code PolicyNotFoundException,
// MalformedPolicyDocumentException, DuplicatePolicyException, ConstraintViolationException or InvalidInputException.
func (s *Store) UpdatePolicy(tx *store.Tx, id, name, description, document string) (Policy, error) {
	p, err := s.own(tx, id)
	if err != nil {
		return Policy{}, err
	}
	p.Name, p.Description = cmp.Or(name, p.Name), cmp.Or(description, p.Description)
	if err := s.checkPolicyName(tx, p); err != nil {
		return Policy{}, err
	}
	if document != "" {
		p.Document = document
		if err := checkDocument(p.Type, document); err != nil {
			return Policy{}, err
		}
	}
	if err := s.changed(tx); err != nil {
		return Policy{}, err
	}
	_, err = tx.Exec(`UPDATE organization_policy SET name = $2, description = $3, document = $4 WHERE id = $1`, id, p.Name, p.Description, p.Document)
	return p, err
}

// own finds a policy that may be changed: not one of AWS.
func (s *Store) own(tx *store.Tx, id string) (Policy, error) {
	p, err := s.Policy(tx, id)
	if err == nil && p.Managed {
		err = &Error{InvalidInput, "IMMUTABLE_POLICY", "You specified a policy that is managed by AWS and can't be modified."}
	}
	return p, err
}

// DeletePolicy removes a policy that hangs nowhere. The error is of code PolicyNotFoundException, PolicyInUseException or
// InvalidInputException.
func (s *Store) DeletePolicy(tx *store.Tx, id string) error {
	if _, err := s.own(tx, id); err != nil {
		return err
	}
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM organization_attachment WHERE policy = $1`, id).Scan(&n); err != nil {
		return err
	}
	if n > 0 {
		return Errorf(PolicyInUse, "The policy is attached to one or more entities. You must detach it from all roots, OUs, and accounts before performing this operation.")
	}
	if err := s.changed(tx); err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM organization_tag WHERE owner = $1`, id); err != nil {
		return err
	}
	_, err := tx.Exec(`DELETE FROM organization_policy WHERE id = $1`, id)
	return err
}
