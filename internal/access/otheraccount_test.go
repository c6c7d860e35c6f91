package access

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/organization"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

const stranger = "999999999999"

// members makes the organization, of which account is the management account and stranger a member.
func (h *house) members() {
	h.t.Helper()
	s := h.policies
	err := h.db.Update(h.t.Context(), func(tx *store.Tx) error {
		for _, id := range []string{account, stranger} {
			if err := s.IAM.CreateAccount(tx, id, id, id+"@example.com"); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = s.Organization.Ensure(h.t.Context(), account)
	}
	if err == nil {
		err = h.db.Update(h.t.Context(), func(tx *store.Tx) error {
			return s.Organization.Tag(tx, stranger, []organization.Tag{{Key: "kind", Value: "guest"}})
		})
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// What a question takes for the caller's own although its ARN is of another account has no tags: the caller's own policies
// could ask for them by conditions.
func TestTagsOfOtherAccounts(t *testing.T) {
	h := build(t, nil)
	h.members()
	provider := iam.Provider{Kind: iam.ProviderOIDC, Account: account, URL: "https://idp.example.com", Clients: []string{"x"}}
	err := h.db.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := h.policies.IAM.CreateProvider(tx, provider); err != nil {
			return err
		}
		return h.policies.IAM.PutTags(tx, account, provider.ARN(), []iam.Tag{{Key: "team", Value: "red"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		owner string
		want  policy.Context
	}{
		{account, policy.Context{"aws:resourcetag/team": {"red"}, "iam:resourcetag/team": {"red"}}},
		{stranger, nil},
	} {
		set, err := IAMResources(h.policies.IAM)(t.Context(), region,
			policy.Question{Action: "iam:GetOpenIDConnectProvider", Resource: policy.Resource{ARN: provider.ARN(), Account: tt.owner}})
		if diff := cmp.Diff(tt.want, set.Context); err != nil || diff != "" {
			t.Errorf("%s: %v %s", tt.owner, err, diff)
		}
	}
}

// Members of the organization find out their own tags, and the management account those of all.
func TestTagsOfTheOrganization(t *testing.T) {
	h := build(t, nil)
	h.members()
	for _, tt := range []struct {
		owner, id string
		want      policy.Context
	}{
		{account, stranger, policy.Context{"aws:resourcetag/kind": {"guest"}}},
		{stranger, stranger, policy.Context{"aws:resourcetag/kind": {"guest"}}},
		{"888888888888", stranger, nil},
	} {
		set, err := OrganizationResources(h.policies.Organization)(t.Context(), region, policy.Question{Action: "organizations:DescribeAccount",
			Resource: policy.Resource{ARN: "arn:aws:organizations::" + account + ":account/o-example/" + tt.id, Account: tt.owner}})
		if diff := cmp.Diff(tt.want, set.Context); err != nil || diff != "" {
			t.Errorf("%s of %s: %v %s", tt.owner, tt.id, err, diff)
		}
	}
}

// A closed account lets nobody in, whatever its policies say.
func TestResourcesOfClosedAccounts(t *testing.T) {
	h := build(t, nil)
	h.members()
	h.attach(resourcePolicy(t, policy.KindRepository, "Allow", "ecr:*"))
	r := push()
	r.Account, r.Questions = stranger, policy.Ask([]string{"ecr:PutImage"}, policy.Repository(region, stranger, "app"))
	allowed := func() bool {
		t.Helper()
		decision, err := h.decide(context.Background(), r, r.Questions, nil)
		if err != nil {
			t.Fatal(err)
		}
		return decision.Allowed
	}
	if !allowed() {
		t.Fatal("the policy allows nothing")
	}
	if err := h.db.Update(t.Context(), func(tx *store.Tx) error { return h.policies.IAM.CloseAccount(tx, stranger) }); err != nil {
		t.Fatal(err)
	}
	var denied *DeniedError
	if _, err := h.Enter(t.Context(), r, "AccessDenied"); !errors.As(err, &denied) || allowed() {
		t.Errorf("a closed account lets in: %v", err)
	}
}
