package iam

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/store"
)

const allowAll = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`

// createPolicy makes a managed policy.
func createPolicy(t *testing.T, s *Store, path, name, document string) (p Policy) {
	t.Helper()
	s.mustUpdate(t, func(tx *store.Tx) (err error) {
		p, err = s.CreatePolicy(tx, Policy{Account: account, Path: path, Name: name}, document)
		return err
	})
	return p
}

// entityOf is a user as one that has policies.
func entityOf(u User) Entity {
	return Entity{Kind: KindUser, ID: u.ID, Account: u.Account, Name: u.Name, Path: u.Path}
}

// A version that begins to count does so for everybody who has the policy, by whatever way.
func TestVersionCountsForAll(t *testing.T) {
	s, ann := withUser(t)
	p := createPolicy(t, s, "", "p", readOnly)
	var bob User
	s.mustUpdate(t, func(tx *store.Tx) (err error) {
		if bob, err = s.CreateUser(tx, account, "/x/", "bob"); err != nil {
			return err
		}
		g, err := s.CreateGroup(tx, account, "", "devs")
		if err != nil {
			return err
		}
		if err := s.AddMember(tx, g, bob); err != nil {
			return err
		}
		if err := s.Attach(tx, entityOf(ann), p.ARN()); err != nil {
			return err
		}
		return s.Attach(tx, Entity{Kind: KindGroup, ID: g.ID, Account: account, Name: g.Name, Path: g.Path}, p.ARN())
	})
	for _, step := range []struct {
		what string
		do   func(tx *store.Tx, p Policy) error
		may  bool
	}{
		{"at first", func(*store.Tx, Policy) error { return nil }, false},
		{"a version that does not count", func(tx *store.Tx, p Policy) error { _, err := s.CreateVersion(tx, p, allowAll, false); return err }, false},
		{"it counts", func(tx *store.Tx, p Policy) error { return s.SetDefaultVersion(tx, p, "v2") }, true},
		{"one that counts at once", func(tx *store.Tx, p Policy) error { _, err := s.CreateVersion(tx, p, readOnly, true); return err }, false},
	} {
		s.mustUpdate(t, func(tx *store.Tx) error {
			p, err := s.Policy(tx, account, p.ARN())
			if err != nil {
				return err
			}
			return step.do(tx, p)
		})
		for _, u := range []User{ann, bob} {
			if mayList(t, s, u) != step.may {
				t.Errorf("%s: what %s may do is not %t", step.what, u.Name, step.may)
			}
		}
	}
}

// Each quota lets through what reaches it, and refuses one more.
func TestQuotasOfPolicies(t *testing.T) {
	s, ann := withUser(t)
	g, r := Group{}, Role{}
	s.mustUpdate(t, func(tx *store.Tx) (err error) {
		if g, err = s.CreateGroup(tx, account, "", "devs"); err != nil {
			return err
		}
		r, err = s.CreateRole(tx, Role{Account: account, Name: "ci", Trust: trustOf(account)})
		return err
	})
	var arns []string
	for i := range 21 {
		arns = append(arns, createPolicy(t, s, "", fmt.Sprint("p", i), readOnly).ARN())
	}
	for _, test := range []struct {
		owner Entity
		quota int
		want  string
	}{
		{entityOf(ann), 10, "Cannot exceed quota for PoliciesPerUser: 10"},
		{Entity{Kind: KindGroup, ID: g.ID, Account: account, Name: g.Name, Path: g.Path}, 10, "Cannot exceed quota for PoliciesPerGroup: 10"},
		{Entity{Kind: KindRole, ID: r.ID, Account: account, Name: r.Name, Path: r.Path}, 20, "Cannot exceed quota for PoliciesPerRole: 20"},
	} {
		for _, arn := range arns[:test.quota] {
			s.mustUpdate(t, func(tx *store.Tx) error { return s.Attach(tx, test.owner, arn) })
		}
		wantRefusal(t, test.want, s.update(t, func(tx *store.Tx) error { return s.Attach(tx, test.owner, arns[test.quota]) }), &Error{LimitExceeded, test.want})
		wantRefusal(t, "one that is attached", s.update(t, func(tx *store.Tx) error { return s.Attach(tx, test.owner, arns[0]) }), nil)
	}

	exec(t, s.db, `WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < $1)
		INSERT INTO iam_policy (id, account, name, name_key, path, arn, description, created_at, updated_at, default_version, last_version)
		SELECT 'x' || i, $2, 'x' || i, 'x' || i, '/', 'x' || i, '', 0, 0, 1, 1 FROM n`, policiesPerAccount-len(arns)-1, account)
	createPolicy(t, s, "", "last", readOnly)
	wantRefusal(t, "one more policy", s.update(t, func(tx *store.Tx) error {
		_, err := s.CreatePolicy(tx, Policy{Account: account, Name: "more"}, readOnly)
		return err
	}), &Error{LimitExceeded, "Cannot exceed quota for PoliciesPerAccount: 1500"})
}

// A document may have as many characters as the quota says, white space aside.
func TestSizesOfDocuments(t *testing.T) {
	s, ann := withUser(t)
	// sized is a document of so many characters that count, and some that don't.
	sized := func(n int, form string) string {
		document := strings.ReplaceAll(form, "%", strings.Repeat("a", n-len(form)+1))
		return "\n\t " + document + strings.Repeat(" ", 100)
	}
	const managed = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ecr:*","Resource":"arn:aws:ecr:*:*:repository/%"}}`
	const trust = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"%"}}}}`
	role := func(tx *store.Tx, document string) error {
		_, err := s.CreateRole(tx, Role{Account: account, Name: "ci", Trust: document})
		return err
	}
	for _, test := range []struct {
		what, form string
		quota      int
		do         func(tx *store.Tx, document string) error
		want       string
	}{
		{"a managed policy", managed, 6144, func(tx *store.Tx, document string) error {
			_, err := s.CreatePolicy(tx, Policy{Account: account, Name: "p"}, document)
			return err
		}, "Cannot exceed quota for PolicySize: 6144"},
		{"a trust policy", trust, 2048, role, "Cannot exceed quota for ACLSizePerRole: 2048"},
		{"an inline policy", managed, 2048, func(tx *store.Tx, document string) error { return s.PutInline(tx, entityOf(ann), "p", document) },
			"Maximum policy size of 2048 bytes exceeded for user ann"},
	} {
		wantRefusal(t, test.what+", too large", s.update(t, func(tx *store.Tx) error { return test.do(tx, sized(test.quota+1, test.form)) }), &Error{LimitExceeded, test.want})
		wantRefusal(t, test.what, s.update(t, func(tx *store.Tx) error { return test.do(tx, sized(test.quota, test.form)) }), nil)
	}
	wantRefusal(t, "in place of itself", s.update(t, func(tx *store.Tx) error { return s.PutInline(tx, entityOf(ann), "p", sized(2048, managed)) }), nil)
}

// Pages of policies have each of them once, those of AWS first, whatever their size and the filter.
func TestPolicyPages(t *testing.T) {
	s, ann := withUser(t)
	var arns []string
	for _, p := range [][2]string{{"/", "B"}, {"/", "a"}, {"/x/", "c"}, {"/x/y/", "d"}, {"/z/", "e"}} {
		arns = append(arns, createPolicy(t, s, p[0], p[1], readOnly).ARN())
	}
	exec(t, s.db, `INSERT INTO account (id, name, created_at) VALUES ('999999999999', 'other', 0)`)
	s.mustUpdate(t, func(tx *store.Tx) error {
		_, err := s.CreatePolicy(tx, Policy{Account: "999999999999", Name: "strange"}, readOnly)
		if err != nil {
			return err
		}
		for _, arn := range []string{administratorAccess, arns[2], arns[4]} {
			if err := s.Attach(tx, entityOf(ann), arn); err != nil {
				return err
			}
		}
		return s.SetBoundary(tx, KindUser, account, ann.ID, arns[3])
	})
	var ofAWS []string
	for _, p := range awsManaged {
		ofAWS = append(ofAWS, p.arn())
	}
	local := []string{arns[1], arns[0], arns[2], arns[3], arns[4]}
	for _, test := range []struct {
		filter PolicyFilter
		want   []string
	}{
		{PolicyFilter{Prefix: "/", AWS: true, Local: true}, slices.Concat(ofAWS, local)},
		{PolicyFilter{Prefix: "/", AWS: true}, ofAWS},
		{PolicyFilter{Prefix: "/", Local: true}, local},
		{PolicyFilter{Prefix: "/x/", AWS: true, Local: true}, []string{arns[2], arns[3]}},
		{PolicyFilter{Prefix: "/aws-service-role/", AWS: true, Local: true}, ofAWS[len(ofAWS)-3:]},
		{PolicyFilter{Prefix: "/", AWS: true, Local: true, Attached: true}, []string{administratorAccess, arns[2], arns[4]}},
		{PolicyFilter{Prefix: "/", AWS: true, Local: true, Usage: UsedAsPermissions}, []string{administratorAccess, arns[2], arns[4]}},
		{PolicyFilter{Prefix: "/", AWS: true, Local: true, Usage: UsedAsBoundary}, []string{arns[3]}},
		{PolicyFilter{Prefix: "/none/", AWS: true, Local: true}, nil},
	} {
		for n := 1; n < 30; n++ {
			var got []string
			after := []string{"", "", ""}
			for more := true; more; {
				var page []Policy
				s.mustView(t, func(tx *store.Tx) (err error) {
					page, more, err = s.PolicyPage(tx, account, test.filter, after, n)
					return err
				})
				if len(page) > n || more && len(page) == 0 {
					t.Fatalf("%+v: a page of %d has %d", test.filter, n, len(page))
				}
				for _, p := range page {
					got = append(got, p.ARN())
					after = []string{p.Account, p.Path, p.Name}
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%+v, pages of %d:\n%s", test.filter, n, diff)
			}
		}
	}
}

// Pages of those who use a policy have each of them once, whatever the size, and nobody of another account.
func TestEntityPages(t *testing.T) {
	s, _ := withUser(t)
	exec(t, s.db, `INSERT INTO account (id, name, created_at) VALUES ('999999999999', 'other', 0)`)
	var users, roles, groups, bounded []string
	s.mustUpdate(t, func(tx *store.Tx) error {
		users, roles, groups, bounded = nil, nil, nil, nil
		for i := range 3 {
			name := fmt.Sprint("n", i)
			for _, a := range []string{account, "999999999999"} {
				u, err := s.CreateUser(tx, a, fmt.Sprintf("/p%d/", i), name)
				if err != nil {
					return err
				}
				g, err := s.CreateGroup(tx, a, "", name)
				if err != nil {
					return err
				}
				r, err := s.CreateRole(tx, Role{Account: a, Name: name, Trust: trustOf(account)})
				if err != nil {
					return err
				}
				for _, e := range []Entity{entityOf(u), {Kind: KindGroup, ID: g.ID, Account: a, Name: name}, {Kind: KindRole, ID: r.ID, Account: a, Name: name}} {
					if err := s.Attach(tx, e, administratorAccess); err != nil {
						return err
					}
				}
				if i == 0 {
					if err := s.SetBoundary(tx, KindUser, a, u.ID, administratorAccess); err != nil {
						return err
					}
				}
				if a == account {
					users, roles, groups = append(users, u.ID), append(roles, r.ID), append(groups, g.ID)
				}
			}
			// It is the boundary of some to whom it isn't attached.
			r, err := s.CreateRole(tx, Role{Account: account, Name: "b" + name, Trust: trustOf(account)})
			if err != nil {
				return err
			}
			bounded = append(bounded, r.ID)
			if err := s.SetBoundary(tx, KindRole, account, r.ID, administratorAccess); err != nil {
				return err
			}
		}
		return nil
	})
	for _, test := range []struct {
		usage  string
		kind   Kind
		prefix string
		want   []string
	}{
		{"", "", "/", slices.Concat(users, roles, groups, bounded)},
		{UsedAsPermissions, "", "/", slices.Concat(users, roles, groups)},
		{UsedAsBoundary, "", "/", slices.Concat(bounded, users[:1])},
		{UsedAsBoundary, KindGroup, "/", nil},
		{"", KindUser, "/", users},
		{"", KindRole, "/", slices.Concat(roles, bounded)},
		{"", KindGroup, "/", groups},
		{"", "", "/p1/", users[1:2]},
	} {
		want := slices.Sorted(slices.Values(test.want))
		for n := 1; n < 15; n++ {
			var got []string
			after := ""
			for more := true; more; {
				var page []Entity
				s.mustView(t, func(tx *store.Tx) (err error) {
					page, more, err = s.AttachedTo(tx, account, administratorAccess, test.usage, test.kind, test.prefix, after, n)
					return err
				})
				if len(page) > n || more && len(page) == 0 {
					t.Fatalf("%+v: a page of %d has %d", test, n, len(page))
				}
				for _, e := range page {
					got, after = append(got, e.ID), e.ID
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q of kind %q under %s, pages of %d:\n%s", test.usage, test.kind, test.prefix, n, diff)
			}
		}
	}
}
