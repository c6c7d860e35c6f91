package iam

import (
	"crypto/rand"

	"github.com/coffer-registry/coffer/internal/store"
)

// linked are the services that have roles of their own in an account: what their role is called, and its policy.
var linked = map[string]struct{ name, policy string }{
	"replication.ecr.amazonaws.com":      {"AWSServiceRoleForECRReplication", awsPolicies + "aws-service-role/ECRReplicationServiceRolePolicy"},
	"pullthroughcache.ecr.amazonaws.com": {"AWSServiceRoleForECRPullThroughCache", awsPolicies + "aws-service-role/AWSECRPullThroughCache_ServiceRolePolicy"},
	"ecr.amazonaws.com":                  {"AWSServiceRoleForECRTemplate", awsPolicies + "aws-service-role/ECRTemplateServiceRolePolicy"},
}

// LinkedRolePath is the path of the role of a service, and LinkedRoleName its name; empty for a service that has none.
func LinkedRolePath(service string) string { return "/aws-service-role/" + service + "/" }

// LinkedRoleName is the name of the role of a service; empty for a service that has none.
func LinkedRoleName(service string) string { return linked[service].name }

// CreateLinkedRole makes the role of a service. The error is of code InvalidInput.
func (s *Store) CreateLinkedRole(tx *store.Tx, account, service, description, suffix string) (Role, error) {
	about, ok := linked[service]
	if !ok {
		// The sentence of IAM is not known.
		return Role{}, Errorf(InvalidInput, "The service %s has no service-linked role here.", service)
	}
	if suffix != "" {
		return Role{}, Errorf(InvalidInput, "Custom suffix is not allowed for %s", service)
	}
	r, err := s.insertRole(tx, Role{
		Account: account, Name: about.name, Path: LinkedRolePath(service), Description: description, LinkedService: service,
		Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole"}]}`,
	})
	if isOf(err, EntityAlreadyExists) {
		return Role{}, Errorf(InvalidInput, "Service role name %s has been taken in this account, please try a different suffix.", about.name)
	}
	if err != nil {
		return Role{}, err
	}
	_, err = tx.Exec(`INSERT INTO iam_attachment (owner, policy, account) VALUES ($1, $2, $3)`, r.ID, about.policy, account)
	return r, err
}

// taskDeletion is the kind of tasks that delete service-linked roles.
const taskDeletion = "role-deletion"

// DeleteLinkedRole deletes the role of a service, and returns the id under which its deletion is asked for later. Nothing
// here needs such a role to go on, so it succeeds at once. The error is of code NoSuchEntity or InvalidInput.
func (s *Store) DeleteLinkedRole(tx *store.Tx, account, name string) (task string, err error) {
	r, err := s.Role(tx, account, name)
	if err != nil {
		return "", err
	}
	if r.LinkedService == "" {
		// The sentence of IAM is not known.
		return "", Errorf(InvalidInput, "The role %s is not a service-linked role.", r.Name)
	}
	before := "task" + r.Path + r.Name
	task = before + "/" + rand.Text()
	// Earlier deletions of the role are forgotten, of which there is no end. '0' comes after '/'.
	if _, err := tx.Exec(`DELETE FROM iam_task WHERE account = $1 AND kind = $2 AND id > $3 AND id < $4`, account, taskDeletion, before+"/", before+"0"); err != nil {
		return "", err
	}
	if _, err := tx.Exec(`INSERT INTO iam_task (account, kind, id, created_at, body) VALUES ($1, $2, $3, $4, '')`,
		account, taskDeletion, task, s.now().UnixMicro()); err != nil {
		return "", err
	}
	return task, s.dropRole(tx, r)
}

// LinkedRoleDeleted wants a deletion to have been asked for, which has then succeeded. The error is of code NoSuchEntity.
func (s *Store) LinkedRoleDeleted(tx *store.Tx, account, task string) error {
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM iam_task WHERE account = $1 AND kind = $2 AND id = $3`, account, taskDeletion, task).Scan(&n); err != nil {
		return err
	}
	if n == 0 {
		return Errorf(NoSuchEntity, "The deletion task %s cannot be found.", task)
	}
	return nil
}
