package iam

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/storetest"
)

// check checks a store, with a reader of metadata that takes one word.
func check(t testing.TB, s *Store) (done Checked, faults []string) {
	t.Helper()
	metadata := func(document string) error {
		if document != "metadata" {
			return errors.New("it isn't the word")
		}
		return nil
	}
	done, err := s.Check(t.Context(), metadata, func(text string) { faults = append(faults, text) })
	if err != nil {
		t.Fatal(err)
	}
	return done, faults
}

// full is a store in a folder, with everything that a check looks at, and how the table of damages calls it.
func full(t *testing.T, dir string) (*Store, *strings.Replacer) {
	t.Helper()
	s, ann := withUserIn(t, dir)
	if err := errors.Join(s.setPassword(t, ann, true, "Correct-1-horse"), s.setPassword(t, ann, false, "Correct-2-horse")); err != nil {
		t.Fatal(err)
	}
	p := createPolicy(t, s, "/x/", "p", readOnly)
	r := createRole(t, s, "r", trustOf(ann.ARN()))
	var g Group
	var d MFADevice
	var key string
	s.mustUpdate(t, func(tx *store.Tx) (err error) {
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		must(s.CreateAccount(tx, "999999999999", "other", "other@example.com"))
		must(s.PutPasswordPolicy(tx, account, PasswordPolicy{MinimumLength: 8}))
		g, err = s.CreateGroup(tx, account, "", "devs")
		must(err)
		must(s.AddMember(tx, g, ann))
		_, err = s.CreateVersion(tx, p, allowAll, false)
		must(err)
		for _, owner := range []Entity{entityOf(ann), {Kind: KindGroup, ID: g.ID, Account: account}, {Kind: KindRole, ID: r.ID, Account: account}} {
			must(s.Attach(tx, owner, p.ARN()))
			must(s.PutInline(tx, owner, "inline", readOnly))
		}
		must(s.Attach(tx, entityOf(ann), awsPolicies+"ReadOnlyAccess"))
		must(s.SetBoundary(tx, KindUser, account, ann.ID, p.ARN()))
		must(s.SetBoundary(tx, KindRole, account, r.ID, awsPolicies+"PowerUserAccess"))
		_, err = s.CreateLinkedRole(tx, account, "replication.ecr.amazonaws.com", "", "")
		must(err)
		key, _, err = s.CreateAccessKey(tx, account, &ann)
		must(err)
		must(s.UpdateAccessKey(tx, account, &ann, key, false))
		d, _, err = createDevice(s, tx, "", "phone")
		must(err)
		_, _, err = createDevice(s, tx, "", "root")
		must(err)
		_, err = tx.Exec(`UPDATE iam_mfa SET enabled_at = 1, owner = CASE WHEN serial = $1 THEN $2 ELSE $3 END`, d.Serial(), ann.ID, account)
		must(err)
		oidc, err := s.CreateProvider(tx, Provider{Kind: ProviderOIDC, Account: account, URL: "https://idp.example.com", Clients: []string{"app"}, Thumbprints: []string{strings.Repeat("ab", 20)}})
		must(err)
		saml, err := s.CreateProvider(tx, Provider{Kind: ProviderSAML, Account: account, URL: "corp", Metadata: "metadata"})
		must(err)
		for _, owner := range []string{ann.ID, r.ID, p.ID, d.Serial(), oidc.ARN(), saml.ARN()} {
			must(s.PutTags(tx, account, owner, []Tag{{"a", "b"}, {"c", "d"}}))
		}
		return nil
	})
	return s, strings.NewReplacer("ANN", ann.ID, "ROLE", r.ID, "GROUP", g.ID, "POLICY", p.ID, "KEY", key)
}

// Check finds nothing in what the store itself does, and counts all of it.
func TestCheckCounts(t *testing.T) {
	s, _ := full(t, t.TempDir())
	done, faults := check(t, s)
	// Identities: a user, a group, two roles and two providers. Policies: two of trust, three inline ones, two versions.
	// Links: a membership, five attachments, and six that have tags.
	want := Checked{Identities: 6, Policies: 7, AccessKeys: 2, Passwords: 1, Devices: 2, Links: 12}
	if diff := cmp.Diff(want, done); diff != "" || len(faults) > 0 {
		t.Errorf("-want +got\n%s%q", diff, faults)
	}
}

// Check names each damage in one sentence.
func TestCheckNamesFaults(t *testing.T) {
	const user, role, group, policy = "user arn:aws:iam::123456789012:user/ann: ", "role arn:aws:iam::123456789012:role/r: ",
		"group arn:aws:iam::123456789012:group/devs: ", "policy arn:aws:iam::123456789012:policy/x/p: "
	const phone, oidc, saml = "MFA device arn:aws:iam::123456789012:mfa/phone", "identity provider arn:aws:iam::123456789012:oidc-provider/idp.example.com: ",
		"identity provider arn:aws:iam::123456789012:saml-provider/corp: "
	dir := t.TempDir()
	original, ids := full(t, dir)
	if err := original.db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, damage string
		want         []string
		args         []any
	}{
		{"password policy", `UPDATE account SET password_policy = '{' WHERE id = '123456789012'`, []string{"account 123456789012: its password policy can't be read: "}, nil},
		{"password", `UPDATE iam_user SET password = $1`, []string{user + "its password can't be read: a password hash of an unknown form"}, []any{[]byte("plain")}},
		{"short hash", `UPDATE iam_user SET password = $1`, []string{user + "its password can't be read: a password hash of 3 bytes"}, []any{[]byte("pbkdf2-sha256$2$AAAA$AAAA")}},
		{"earlier password", `UPDATE iam_user SET password_history = '["pbkdf2-sha256$x$AAAA$AAAA"]'`, []string{user + "number 1 of its earlier passwords can't be read: "}, nil},
		{"earlier passwords", `UPDATE iam_user SET password_history = '['`, []string{user + "its passwords can't be read: "}, nil},
		{"boundary that is gone", `UPDATE iam_user SET boundary = 'arn:aws:iam::123456789012:policy/gone'`,
			[]string{user + "its permissions boundary is arn:aws:iam::123456789012:policy/gone, which does not exist"}, nil},
		{"boundary that AWS does not have", `UPDATE iam_role SET boundary = 'arn:aws:iam::aws:policy/Gone' WHERE id = 'ROLE'`,
			[]string{role + "its permissions boundary is arn:aws:iam::aws:policy/Gone, which does not exist"}, nil},
		{"trust policy", `UPDATE iam_role SET trust = '{' WHERE id = 'ROLE'`, []string{role + "its trust policy can't be read, so that nobody can assume it: "}, nil},
		{"inline policy", `UPDATE iam_inline SET document = '' WHERE owner = 'GROUP'`, []string{group + "its inline policy inline can't be read and denies everything: "}, nil},
		{"inline policy of nobody", `UPDATE iam_inline SET owner = 'AIDAGONE' WHERE owner = 'ANN'`, []string{"inline policy inline belongs to AIDAGONE, which does not exist"}, nil},
		{"version", `UPDATE iam_policy_version SET document = 'x' WHERE number = 2`, []string{policy + "its version v2 can't be read and denies everything: "}, nil},
		{"default version", `UPDATE iam_policy SET default_version = 7`, []string{policy + "its default version v7 does not exist, so that it denies everything"}, nil},
		{"name of a policy", `UPDATE iam_policy SET path = '/y/'`, []string{"policy arn:aws:iam::123456789012:policy/y/p: it is kept as arn:aws:iam::123456789012:policy/x/p"}, nil},
		{"account of a policy", `UPDATE iam_policy SET account = '999999999999', arn = 'arn:aws:iam::999999999999:policy/x/p'`, []string{
			user + "its permissions boundary is arn:aws:iam::123456789012:policy/x/p, which does not exist",
			user + "it has policy arn:aws:iam::123456789012:policy/x/p, which does not exist",
			group + "it has policy arn:aws:iam::123456789012:policy/x/p, which does not exist",
			role + "it has policy arn:aws:iam::123456789012:policy/x/p, which does not exist"}, nil},
		{"secret of an access key", `UPDATE access_key SET secret = $1 WHERE id = 'KEY'`, []string{"access key KEY: its secret can't be opened: "}, []any{[]byte("x")}},
		{"access key of nobody", `UPDATE access_key SET principal = 'AIDAGONE' WHERE id = 'KEY'`, []string{"access key KEY belongs to AIDAGONE, which does not exist"}, nil},
		{"access key of a role", `UPDATE access_key SET principal = 'ROLE' WHERE id = 'KEY'`,
			[]string{"access key KEY belongs to arn:aws:iam::123456789012:role/r, which is no user"}, nil},
		{"access key of another account", `UPDATE access_key SET account = '999999999999' WHERE id = 'KEY'`,
			[]string{"access key KEY belongs to account 999999999999 and to arn:aws:iam::123456789012:user/ann"}, nil},
		{"seed", `UPDATE iam_mfa SET seed = $1 WHERE name = 'phone'`, []string{phone + ": its seed can't be opened: "}, []any{[]byte("x")}},
		{"seed of another device", `UPDATE iam_mfa SET seed = (SELECT o.seed FROM iam_mfa o WHERE o.name = 'root')`, []string{phone + ": its seed can't be opened: "}, nil},
		{"name of a device", `UPDATE iam_mfa SET name = 'other' WHERE name = 'phone'`, []string{phone + ": its account, path and name make arn:aws:iam::123456789012:mfa/other"}, nil},
		{"device of nobody", `UPDATE iam_mfa SET owner = 'AIDAGONE' WHERE name = 'phone'`, []string{phone + " belongs to AIDAGONE, which does not exist"}, nil},
		{"device without a time", `UPDATE iam_mfa SET enabled_at = NULL WHERE name = 'phone'`, []string{phone + ": it has only one of an owner and a time since when"}, nil},
		{"audiences", `UPDATE iam_provider SET clients = '{' WHERE kind = 'oidc'`, []string{oidc + "its audiences or thumbprints can't be read: "}, nil},
		{"thumbprint", `UPDATE iam_provider SET thumbprints = '["x"]' WHERE kind = 'oidc'`, []string{oidc + "A thumbprint must be 40 hexadecimal digits."}, nil},
		{"URL", `UPDATE iam_provider SET url = 'https://idp.example.com?a' WHERE kind = 'oidc'`, []string{
			oidc + "its kind, account and name make arn:aws:iam::123456789012:oidc-provider/idp.example.com?a",
			oidc + "Invalid Open ID Connect Provider URL: https://idp.example.com?a"}, nil},
		{"metadata", `UPDATE iam_provider SET metadata = '<' WHERE kind = 'saml'`, []string{saml + "its metadata can't be read: it isn't the word"}, nil},
		{"kind of a provider", `UPDATE iam_provider SET kind = 'x' WHERE kind = 'saml'`, []string{saml + "its kind, account and name make arn:aws:iam::123456789012:/corp"}, nil},
		{"member that is gone", `UPDATE iam_membership SET member = 'AIDAGONE'`,
			[]string{"a membership of group arn:aws:iam::123456789012:group/devs belongs to AIDAGONE, which does not exist"}, nil},
		{"group that is gone", `UPDATE iam_membership SET group_id = 'AGPAGONE'`, []string{"ANN is a member of group AGPAGONE, which does not exist"}, nil},
		{"group that is a role", `UPDATE iam_membership SET group_id = 'ROLE'`, []string{"ANN is a member of arn:aws:iam::123456789012:role/r, which is no group"}, nil},
		{"attachment to nobody", `UPDATE iam_attachment SET owner = 'AROAGONE' WHERE owner = 'ROLE'`,
			[]string{"policy arn:aws:iam::123456789012:policy/x/p is attached to AROAGONE, which does not exist"}, nil},
		{"attachment of another account", `UPDATE iam_attachment SET account = '999999999999' WHERE owner = 'GROUP'`,
			[]string{group + "the attachment of policy arn:aws:iam::123456789012:policy/x/p says that it belongs to account 999999999999"}, nil},
		{"policy of AWS", `UPDATE iam_attachment SET policy = 'arn:aws:iam::aws:policy/Gone' WHERE policy LIKE '%ReadOnlyAccess'`,
			[]string{user + "it has policy arn:aws:iam::aws:policy/Gone, which does not exist"}, nil},
		{"tags of a user", `UPDATE iam_tag SET owner = 'AIDAGONE' WHERE owner = 'ANN'`, []string{"tags belong to AIDAGONE, which does not exist or has none"}, nil},
		{"tags of a provider", `UPDATE iam_tag SET owner = 'arn:gone' WHERE owner LIKE '%saml-provider/corp'`, []string{"tags belong to arn:gone, which does not exist or has none"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			copied := filepath.Join(t.TempDir(), "copy")
			storetest.Clone(t, dir, copied)
			s := New(Config{DB: openDBIn(t, copied), Secrets: original.secrets})
			exec(t, s.db, ids.Replace(c.damage), c.args...)
			_, faults := check(t, s)
			for i, want := range c.want {
				c.want[i] = ids.Replace(want)
				if i < len(faults) && strings.HasSuffix(want, ": ") && strings.HasPrefix(faults[i], c.want[i]) {
					c.want[i] = faults[i]
				}
			}
			slices.Sort(c.want)
			slices.Sort(faults)
			if diff := cmp.Diff(c.want, faults); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// With the wrong key nothing that is sealed opens; what is hashed has no key.
func TestCheckWithAnotherKey(t *testing.T) {
	s, _ := full(t, t.TempDir())
	_, faults := check(t, New(Config{DB: s.db, Secrets: seal.NewKey()}))
	if len(faults) != 4 || strings.Count(strings.Join(faults, "\n"), "can't be opened") != 4 {
		t.Errorf("faults %q", faults)
	}
}

// Nothing is left out or told twice where one page ends and the next begins.
func TestCheckGoesOverAllPages(t *testing.T) {
	s, ann := withUser(t)
	const n = 2*checkPage + 1
	s.mustUpdate(t, func(tx *store.Tx) error {
		for i := range n {
			for _, query := range []string{
				`INSERT INTO iam_inline (owner, name, document) VALUES ($2, 'inline-' || $1, '')`,
				`INSERT INTO iam_tag (owner, name_key, name, value) VALUES ('AIDAGONE' || $1, 'k', 'k', $2)`,
				`INSERT INTO iam_attachment (owner, policy, account) VALUES ($2, 'policy-' || $1, '123456789012')`,
			} {
				if _, err := tx.Exec(query, fmt.Sprintf("%05d", i), ann.ID); err != nil {
					return err
				}
			}
		}
		return nil
	})
	done, faults := check(t, s)
	if done.Policies != n || done.Links != 2*n {
		t.Errorf("%+v", done)
	}
	slices.Sort(faults)
	if len(faults) != 3*n || len(slices.Compact(faults)) != 3*n {
		t.Errorf("%d faults", len(faults))
	}
}

func TestCheckIsBrokenOff(t *testing.T) {
	s, _ := full(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Check(ctx, func(string) error { return nil }, func(text string) { t.Error(text) })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
