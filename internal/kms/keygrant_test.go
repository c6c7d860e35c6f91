package kms

import (
	"slices"
	"testing"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

func (e *keysEnv) grant(key Key, n NewGrant) (g Grant, err error) {
	err = e.change(func(tx *store.Tx) error {
		g, err = e.CreateGrant(tx, key, n)
		return err
	})
	return g, err
}

func TestGrants(t *testing.T) {
	e := newKeysEnv(t)
	e.principals["arn:aws:iam::123456789012:user/ann"] = "AIDAIOSFODNN7EXAMPLE1"
	key := e.create(NewKey{})
	subset := map[string]string{"aws:ecr:arn": "arn:aws:ecr:us-east-1:123456789012:repository/app"}
	ecr := NewGrant{Grantee: "ecr.us-east-1.amazonaws.com", Retiring: "ecr.us-east-1.amazonaws.com", Operations: []string{"GenerateDataKey", "Decrypt"},
		Constraints: Constraints{Subset: subset}}
	_, err := e.grant(key, ecr)
	refused(t, err, CodeInvalidArn, "ARN does not refer to a valid principal: ecr.us-east-1.amazonaws.com")
	ecr.Internal = true
	g, err := e.grant(key, ecr)
	e.must(err)
	if len(g.ID) != 64 || g.Issuer != account {
		t.Errorf("the grant is %+v", g)
	}
	again, err := e.grant(key, ecr)
	if err != nil || again.ID == g.ID {
		t.Errorf("a grant without a name is the same again: %v", err)
	}
	got, err := e.GrantOf(t.Context(), key.ARN, g.ID)
	if err != nil || got.Grantee != ecr.Grantee || !slices.Equal(got.Operations, []string{"Decrypt", "GenerateDataKey"}) || got.Constraints.Subset["aws:ecr:arn"] == "" {
		t.Errorf("found %+v: %v", got, err)
	}
	e.must(e.change(func(tx *store.Tx) error { return e.RetireGrant(tx, key, g.ID) }))
	_, err = e.GrantOf(t.Context(), key.ARN, g.ID)
	refused(t, err, CodeNotFound, "Grant ID "+g.ID+" not found")
	refused(t, e.change(func(tx *store.Tx) error { return e.RevokeGrant(tx, key, g.ID) }), CodeNotFound, "Grant ID "+g.ID+" not found")

	ann := NewGrant{Grantee: "arn:aws:iam::123456789012:user/ann", Operations: []string{"Encrypt"}, Name: "ann"}
	first, err := e.grant(key, ann)
	e.must(err)
	if twin, err := e.grant(key, ann); err != nil || twin.ID != first.ID {
		t.Errorf("a grant with the same name and content is another: %v", err)
	}
	ann.Operations = []string{"Decrypt"}
	if other, err := e.grant(key, ann); err != nil || other.ID == first.ID {
		t.Errorf("a grant with the same name and other content is the same: %v", err)
	}
	if first.Grantee != "AIDAIOSFODNN7EXAMPLE1" {
		t.Errorf("the grantee is kept as %s", first.Grantee)
	}
	token, err := e.GrantToken(key, first.ID)
	e.must(err)
	if keyID, id, err := e.ReadGrantToken(token); err != nil || keyID != key.ID || id != first.ID {
		t.Errorf("the token stands for %s, %s: %v", keyID, id, err)
	}
	for _, bad := range []string{"", "x", "AAAA", token[:len(token)-8]} {
		_, _, err := e.ReadGrantToken(bad)
		refused(t, err, CodeInvalidGrantToken, "")
	}
}

func TestGrantsThatAreRefused(t *testing.T) {
	e := newKeysEnv(t)
	root := "arn:aws:iam::123456789012:root"
	symmetric, sign := e.create(NewKey{}), e.create(NewKey{Spec: "ECC_NIST_P256", Usage: UsageSign})
	many := map[string]string{"1": "", "2": "", "3": "", "4": "", "5": "", "6": "", "7": "", "8": "", "9": ""}
	for _, tt := range []struct {
		key  Key
		n    NewGrant
		code string
	}{
		{symmetric, NewGrant{Grantee: root}, CodeValidation},
		{symmetric, NewGrant{Grantee: root, Operations: []string{"Sign"}}, CodeValidation},
		{sign, NewGrant{Grantee: root, Operations: []string{"Encrypt"}}, CodeValidation},
		{sign, NewGrant{Grantee: root, Operations: []string{"Sign"}, Constraints: Constraints{Subset: map[string]string{"a": "b"}}}, CodeValidation},
		{symmetric, NewGrant{Grantee: root, Operations: []string{"Decrypt"}, Constraints: Constraints{Subset: many}}, CodeValidation},
		{symmetric, NewGrant{Grantee: root, Operations: []string{"Decrypt"}, Constraints: Constraints{Equals: map[string]string{"a": string(make([]byte, 385))}}}, CodeValidation},
		{symmetric, NewGrant{Grantee: root, Operations: []string{"Decrypt"}, Constraints: Constraints{Equals: map[string]string{"a": ""}, Subset: map[string]string{"a": ""}}}, CodeValidation},
		{symmetric, NewGrant{Grantee: "*", Operations: []string{"Decrypt"}}, CodeInvalidArn},
		{symmetric, NewGrant{Grantee: "ann", Operations: []string{"Decrypt"}}, CodeInvalidArn},
		{symmetric, NewGrant{Grantee: "arn:aws:iam::123456789012:user/nobody", Operations: []string{"Decrypt"}}, CodeInvalidArn},
		{symmetric, NewGrant{Grantee: "arn:aws:iam::123456789012:group/devs", Operations: []string{"Decrypt"}}, CodeInvalidArn},
		{symmetric, NewGrant{Grantee: root, Retiring: "nobody", Operations: []string{"Decrypt"}}, CodeInvalidArn},
	} {
		_, err := e.grant(tt.key, tt.n)
		refused(t, err, tt.code, "")
	}
}

// A change is known to the keys that made it before it returns, and to those of other processes after they looked.
func TestChangesAreKnown(t *testing.T) {
	e := newKeysEnv(t)
	key := e.create(NewKey{})
	other := e.open(e.db)
	ctx := t.Context()
	resource := policy.Resource{ARN: key.ARN, Account: account}
	if set, err := other.Attached(ctx, region, resource); err != nil || len(set.Grants) != 0 || len(set.Policies) != 1 {
		t.Fatalf("attached is %+v: %v", set, err)
	}
	blob, err := other.Encrypt(ctx, key.ARN, []byte("x"), nil)
	e.must(err)
	g, err := e.grant(key, grantToAccount())
	e.must(err)
	e.must(e.change(func(tx *store.Tx) error { return e.CreateAlias(tx, key, "app") }))
	e.must(e.change(func(tx *store.Tx) error { return e.Tag(tx, key, []Tag{{"Team", "red"}}) }))
	set, err := other.Attached(ctx, region, resource)
	if err != nil || len(set.Grants) != 1 || set.Grants[0].ID != g.ID || !slices.Equal(set.Context["kms:resourcealiases"], []string{"alias/app"}) ||
		!slices.Equal(set.Context["aws:resourcetag/team"], []string{"red"}) {
		t.Errorf("attached is %+v: %v", set, err)
	}
	if found, err := other.Find(ctx, account, region, "alias/app"); err != nil || found.ID != key.ID {
		t.Errorf("found %s: %v", found.ID, err)
	}
	e.must(e.change(func(tx *store.Tx) error { return e.RevokeGrant(tx, key, g.ID) }))
	if grants, err := other.Grants(ctx, key.ARN); err != nil || len(grants) != 0 {
		t.Errorf("grants are %+v: %v", grants, err)
	}
	e.must(e.change(func(tx *store.Tx) error { return e.SetEnabled(tx, key, false) }))
	_, _, _, err = other.Decrypt(ctx, blob, nil)
	refused(t, err, CodeDisabled, "")
}
