package iam

import (
	"fmt"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// trustOf is a trust policy for principals of AWS.
func trustOf(principals ...string) string {
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":["` + strings.Join(principals, `","`) + `"]},"Action":"sts:AssumeRole"}}`
}

// createRole makes a role.
func createRole(t *testing.T, s *Store, name, trust string) (r Role) {
	t.Helper()
	s.mustUpdate(t, func(tx *store.Tx) (err error) {
		r, err = s.CreateRole(tx, Role{Account: account, Name: name, Trust: trust})
		return err
	})
	return r
}

// trusts asks whether the trust policy of a role lets a user or a session of a role assume it.
func trusts(t *testing.T, s *Store, role Role, p policy.Principal) bool {
	t.Helper()
	st, err := s.Standing(t.Context(), role.Account, role.ID)
	if err != nil {
		t.Fatal(err)
	}
	resource := policy.Resource{ARN: role.ARN(), Account: role.Account}
	return policy.Evaluate(policy.Request{Principal: p, Questions: policy.Ask([]string{"sts:AssumeRole"}, resource)},
		policy.PolicySet{Resources: map[policy.Resource]policy.ResourceSet{resource: {Policies: []*policy.Policy{st.Trust}}}}).Allowed
}

// Trust is in one user or role: under whatever name it has, and in no other that comes to have its name.
func TestTrustIsByID(t *testing.T) {
	s, ann := withUser(t)
	caller := createRole(t, s, "caller", trustOf(account))
	asUser := func(u User) policy.Principal {
		return policy.Principal{ARN: u.ARN(), Account: account, ID: u.ID}
	}
	asSession := func(r Role) policy.Principal {
		return policy.Principal{ARN: "arn:aws:sts::" + account + ":assumed-role/" + r.Name + "/run1", Account: account, Role: r.ARN(), ID: r.ID}
	}
	written := trustOf(ann.ARN(), caller.ARN())
	target := createRole(t, s, "target", written)
	if target.Trust != trustOf(ann.ID, caller.ID) {
		t.Errorf("it is kept as %s", target.Trust)
	}
	shown := func() (text string) {
		s.mustView(t, func(tx *store.Tx) (err error) { text, err = s.ShownTrust(tx, target); return err })
		return text
	}
	if shown() != written {
		t.Errorf("it is shown as %s", shown())
	}
	if !trusts(t, s, target, asUser(ann)) || !trusts(t, s, target, asSession(caller)) {
		t.Error("those who are trusted are not")
	}
	s.mustUpdate(t, func(tx *store.Tx) (err error) { ann, err = s.UpdateUser(tx, ann, "/x/", "anna"); return err })
	if want := trustOf("arn:aws:iam::"+account+":user/x/anna", caller.ARN()); shown() != want || !trusts(t, s, target, asUser(ann)) {
		t.Errorf("after a new name it is shown as %s", shown())
	}
	s.mustUpdate(t, func(tx *store.Tx) error {
		if err := s.DeleteUser(tx, ann); err != nil {
			return err
		}
		return s.DeleteRole(tx, caller)
	})
	var again User
	s.mustUpdate(t, func(tx *store.Tx) (err error) { again, err = s.CreateUser(tx, account, "/x/", "anna"); return err })
	anew := createRole(t, s, "caller", trustOf(account))
	if trusts(t, s, target, asUser(again)) || trusts(t, s, target, asSession(anew)) {
		t.Error("others of the same names are trusted")
	}
	if want := trustOf(ann.ID, caller.ID); shown() != want {
		t.Errorf("those who are gone are shown as %s", shown())
	}
	s.mustUpdate(t, func(tx *store.Tx) error {
		return s.UpdateTrust(tx, target, trustOf("arn:aws:iam::"+account+":user/x/anna"))
	})
	if !trusts(t, s, target, asUser(again)) || trusts(t, s, target, asSession(anew)) {
		t.Error("another trust policy does not count at once")
	}
}

// Who doesn't exist can't be trusted, in whatever way it is written.
func TestTrustInNobody(t *testing.T) {
	s, ann := withUser(t)
	role := createRole(t, s, "ci", trustOf(account))
	for principal, known := range map[string]bool{
		ann.ARN(): true, ann.ID: true, role.ARN(): true, role.ID: true, account: true, "arn:aws:iam::" + account + ":root": true, "*": true,
		"999999999999": true, // of accounts elsewhere nothing is known
		"arn:aws:sts::" + account + ":assumed-role/ci/run1": true,
		"arn:aws:iam::" + account + ":user/ANN":             false,
		"arn:aws:iam::" + account + ":user/x/ann":           false,
		"arn:aws:iam::" + account + ":role/ann":             false,
		"arn:aws:iam::999999999999:user/ann":                false,
		"arn:aws:iam::" + account + ":group/devs":           false,
		"arn:aws:iam::" + account + ":user/*":               false,
		"AIDA" + strings.Repeat("A", 17):                    false,
		"AROA" + strings.Repeat("A", 17):                    false,
		"AGPA" + strings.Repeat("A", 17):                    false,
		"ann":                                               false,
	} {
		err := s.update(t, func(tx *store.Tx) error { return s.UpdateTrust(tx, role, trustOf(principal)) })
		want := &Error{MalformedPolicyDocument, fmt.Sprintf(`Invalid principal in policy: "AWS":"%s"`, principal)}
		if known {
			want = nil
		}
		wantRefusal(t, principal, err, want)
	}
}

func TestQuotaOfRoles(t *testing.T) {
	s, _ := withUser(t)
	exec(t, s.db, `WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < $1)
		INSERT INTO iam_role (id, account, name, name_key, path, created_at, boundary, trust, description, max_session, linked_service, used_region)
		SELECT 'x' || i, $2, 'x' || i, 'x' || i, '/', 0, '', '', '', 3600, '', '' FROM n`, rolesPerAccount-1, account)
	createRole(t, s, "last", trustOf(account))
	wantRefusal(t, "one more role", s.update(t, func(tx *store.Tx) error {
		_, err := s.CreateRole(tx, Role{Account: account, Name: "more", Trust: trustOf(account)})
		return err
	}), &Error{LimitExceeded, "Cannot exceed quota for RolesPerAccount: 1000"})
}

// What a role has hinders its deletion, save its boundary and its tags, which go with it.
func TestDeleteRoleIsHindered(t *testing.T) {
	s, _ := withUser(t)
	r := createRole(t, s, "ci", trustOf(account))
	owner := Entity{Kind: KindRole, ID: r.ID, Account: account, Name: r.Name, Path: r.Path}
	drop := func() error { return s.update(t, func(tx *store.Tx) error { return s.DeleteRole(tx, r) }) }
	s.mustUpdate(t, func(tx *store.Tx) error {
		if err := s.PutInline(tx, owner, "p", readOnly); err != nil {
			return err
		}
		return s.Attach(tx, owner, administratorAccess)
	})
	wantRefusal(t, "with an attached policy", drop(), &Error{DeleteConflict, "Cannot delete entity, must detach all policies first."})
	s.mustUpdate(t, func(tx *store.Tx) error { return s.Detach(tx, owner, administratorAccess) })
	wantRefusal(t, "with an inline policy", drop(), &Error{DeleteConflict, "Cannot delete entity, must delete policies first."})
	s.mustUpdate(t, func(tx *store.Tx) error { return s.DeleteInline(tx, owner, "p") })
	s.mustUpdate(t, func(tx *store.Tx) error { return s.SetBoundary(tx, KindRole, account, r.ID, administratorAccess) })
	tagged(t, s, r.ID, Tag{"k", "v"})
	exec(t, s.db, `INSERT INTO iam_access (entity, service, action, at, region) VALUES ($1, 'ecr', '', 0, '')`, r.ID)
	wantRefusal(t, "with a boundary", drop(), nil)
	for _, table := range []string{"iam_role", "iam_tag", "iam_access"} {
		var n int
		s.mustView(t, func(tx *store.Tx) error { return tx.QueryRow(`SELECT count(*) FROM ` + table).Scan(&n) })
		if n != 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
	if _, err := s.Standing(t.Context(), account, r.ID); err != ErrGone {
		t.Errorf("its standing: %v", err)
	}
}

// A service's role is made and deleted by ways of its own, and of its deletions only the last is remembered.
func TestLinkedRoles(t *testing.T) {
	s, _ := withUser(t)
	const service = "replication.ecr.amazonaws.com"
	var tasks []string
	for range 3 {
		s.mustUpdate(t, func(tx *store.Tx) error {
			r, err := s.CreateLinkedRole(tx, account, service, "", "")
			if err != nil {
				return err
			}
			task, err := s.DeleteLinkedRole(tx, account, r.Name)
			tx.OnCommit(func() { tasks = append(tasks, task) })
			return err
		})
	}
	s.mustView(t, func(tx *store.Tx) error {
		for i, task := range tasks {
			var want *Error
			if i < 2 {
				want = &Error{NoSuchEntity, "The deletion task " + task + " cannot be found."}
			}
			wantRefusal(t, task, s.LinkedRoleDeleted(tx, account, task), want)
		}
		wantRefusal(t, "another account", s.LinkedRoleDeleted(tx, "999999999999", tasks[2]), &Error{NoSuchEntity, "The deletion task " + tasks[2] + " cannot be found."})
		return nil
	})
	createRole(t, s, "ci", trustOf(account))
	wantRefusal(t, "an ordinary role", s.update(t, func(tx *store.Tx) error { _, err := s.DeleteLinkedRole(tx, account, "ci"); return err }),
		&Error{InvalidInput, "The role ci is not a service-linked role."})
	for service, about := range linked {
		s.mustUpdate(t, func(tx *store.Tx) error {
			r, err := s.CreateLinkedRole(tx, account, service, "", "")
			if err == nil && r.ARN() != "arn:aws:iam::"+account+":role/aws-service-role/"+service+"/"+about.name {
				t.Errorf("the role of %s is %s", service, r.ARN())
			}
			return err
		})
		if awsByARN[about.policy].document == "" {
			t.Errorf("the role of %s has the policy %s, which does not exist", service, about.policy)
		}
	}
}
