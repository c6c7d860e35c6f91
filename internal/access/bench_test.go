package access

import (
	"fmt"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/store"
)

// statements are those of a policy of a busy user: about repositories of projects, some with conditions, some that deny.
func statements(project int) string {
	var list []string
	for j := range 20 {
		resource := fmt.Sprintf("arn:aws:ecr:*:%s:repository/p-%d-%d/*", account, project, j)
		switch j % 4 {
		case 0:
			list = append(list, fmt.Sprintf(`{"Effect":"Allow","Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"],"Resource":"%s"}`, resource))
		case 1:
			list = append(list, fmt.Sprintf(`{"Effect":"Allow","Action":["ecr:Batch*","ecr:Get*"],"Resource":"%s"}`, resource))
		case 2:
			list = append(list, fmt.Sprintf(`{"Effect":"Deny","Action":"ecr:*","Resource":"%s","Condition":{"NotIpAddress":{"aws:SourceIp":"203.0.113.0/24"}}}`, resource))
		case 3:
			list = append(list, fmt.Sprintf(`{"Effect":"Allow","Action":"ecr:PutImage","Resource":"%s","Condition":{"StringEquals":{"aws:RequestedRegion":"us-east-1"}}}`, resource))
		}
	}
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(list, ",") + `]}`
}

// busyUser makes a user with ten policies of twenty statements, and returns it as it comes from its access key.
func busyUser(b *testing.B, h *house) identity.Caller {
	b.Helper()
	var id string
	var text secret.Text
	s := h.policies.IAM
	err := h.db.Update(b.Context(), func(tx *store.Tx) error {
		if err := s.CreateAccount(tx, account, "bench", ""); err != nil {
			return err
		}
		u, err := s.CreateUser(tx, account, "", "busy")
		if err != nil {
			return err
		}
		for i := range 10 {
			if _, err := tx.Exec(`INSERT INTO iam_inline (owner, name, document) VALUES ($1, $2, $3)`, u.ID, fmt.Sprint(i), statements(i)); err != nil {
				return err
			}
		}
		id, text, err = s.CreateAccessKey(tx, account, &u)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	found, err := identity.NewDirectory(s, seal.NewKey(), nil).Authenticate(b.Context(), id, secret.Text{})
	if err != nil || !found.Secret.Equal(text) {
		b.Fatal(err)
	}
	return found.Caller
}

// BenchmarkDecision is all that the gate does to let in a request of a user with ten policies of twenty statements, once
// nothing has changed for a while. The goal is 5 µs.
func BenchmarkDecision(b *testing.B) {
	h := build(b, nil)
	r := push()
	r.Caller = busyUser(b, h)
	r.Questions = policy.Ask([]string{"ecr:BatchGetImage"}, policy.Repository(region, account, "p-9-17/app"))
	decision, err := h.decide(b.Context(), r, r.Questions, nil)
	if err != nil || !decision.Allowed {
		b.Fatal(decision, err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if decision, err := h.decide(b.Context(), r, r.Questions, nil); err != nil || !decision.Allowed {
			b.Fatal(decision, err)
		}
	}
}

// BenchmarkDecisionWithResources is the same on a repository that has a policy of twenty statements and tags, in a registry
// that has such a policy too.
func BenchmarkDecisionWithResources(b *testing.B) {
	h := build(b, nil)
	r := push()
	r.Caller = busyUser(b, h)
	r.Questions = policy.Ask([]string{"ecr:BatchGetImage"}, policy.Repository(region, account, "p-9-17/app"))
	rules := registry.New(registry.Config{DB: h.db})
	h.policies.Resources = map[string]Attached{"ecr": ECRResources(rules)}
	err := h.db.Update(b.Context(), func(tx *store.Tx) error {
		if _, err := tx.Exec(`INSERT INTO repository (id, account, region, name, created_at, tag_mutability, mutability_filters, scan_on_push,
			encryption_type, data_key, images) VALUES (1, $1, $2, 'p-9-17/app', 0, 'MUTABLE', '[]', 0, 'AES256', 'key', 0)`, account, region); err != nil {
			return err
		}
		of := func(resource string) string {
			var list []string
			for i := range 20 {
				list = append(list, fmt.Sprintf(`{"Effect":"Allow","Principal":{"AWS":"%012d"},"Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"],"Resource":"%s"}`, i, resource))
			}
			return `{"Version":"2012-10-17","Statement":[` + strings.Join(list, ",") + `]}`
		}
		for _, insert := range []struct {
			query string
			args  []any
		}{
			{`INSERT INTO repository_policy (repository, document) VALUES (1, $1)`, []any{of("*")}},
			{`INSERT INTO registry_policy (account, region, document) VALUES ($1, $2, $3)`, []any{account, region, of("arn:aws:ecr:" + region + ":" + account + ":repository/*")}},
			{`INSERT INTO resource_tag (repository, name, value) VALUES (1, 'Team', 'payments'), (1, 'Stage', 'test')`, nil},
		} {
			if _, err := tx.Exec(insert.query, insert.args...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	set, err := rules.Attached(b.Context(), region, r.Questions[0].Resource)
	if err != nil || len(set.Policies) != 2 || len(set.Context) != 4 {
		b.Fatal(set, err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if decision, err := h.decide(b.Context(), r, r.Questions, nil); err != nil || !decision.Allowed {
			b.Fatal(decision, err)
		}
	}
}

// BenchmarkPolicyChange is from the change of one of a user's ten policies, committed, to the first decision by it: the
// credentials are looked up again, and all policies of the user are read and compiled.
func BenchmarkPolicyChange(b *testing.B) {
	h := build(b, nil)
	r := push()
	r.Caller = busyUser(b, h)
	s := h.policies.IAM
	r.Questions = policy.Ask([]string{"ecr:BatchGetImage"}, policy.Repository(region, account, "p-9-17/app"))
	for i := 0; b.Loop(); i++ {
		want := i%2 == 0
		document := statements(9)
		if !want {
			document = statements(10)
		}
		err := h.db.Update(b.Context(), func(tx *store.Tx) error {
			if _, err := tx.Exec(`UPDATE iam_inline SET document = $1 WHERE owner = $2 AND name = '9'`, document, r.Caller.Principal.ID); err != nil {
				return err
			}
			return tx.Touch("iam/" + account)
		})
		if err != nil {
			b.Fatal(err)
		}
		if r.Caller.Standing, err = s.Standing(b.Context(), account, r.Caller.Principal.ID); err != nil {
			b.Fatal(err)
		}
		if decision, err := h.decide(b.Context(), r, r.Questions, nil); err != nil || decision.Allowed != want {
			b.Fatal(decision, err)
		}
	}
}
