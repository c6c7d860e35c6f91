package kms

import (
	"fmt"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/store"
)

func TestAliasNames(t *testing.T) {
	for text, want := range map[string]string{
		"alias/app":                         "",
		"alias/a/b_c-D9":                    "",
		"app":                               "ValidationException: Invalid identifier",
		"alias/":                            "ValidationException: Invalid identifier",
		"alias/a:b":                         "ValidationException: alias/a:b contains invalid characters for an alias",
		"alias/aws/ecr":                     "NotAuthorizedException",
		"alias/" + strings.Repeat("x", 251): "ValidationException: Invalid identifier",
	} {
		got := ""
		if _, err := CheckAliasName(text); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestAliases(t *testing.T) {
	e := newKeysEnv(t)
	key, other, sign := e.create(NewKey{}), e.create(NewKey{}), e.create(NewKey{Spec: "ECC_NIST_P256", Usage: UsageSign})
	alias := func(key Key, name string) error {
		return e.change(func(tx *store.Tx) error { return e.CreateAlias(tx, key, name) })
	}
	move := func(key Key, name string) error {
		return e.change(func(tx *store.Tx) error { return e.UpdateAlias(tx, key, name) })
	}
	e.must(alias(key, "app"))
	refused(t, alias(other, "app"), CodeAlreadyExists, "An alias with the name arn:aws:kms:us-east-1:123456789012:alias/app already exists")
	for _, text := range []string{"alias/app", "arn:aws:kms:us-east-1:123456789012:alias/app"} {
		if found, err := e.Find(t.Context(), account, region, text); err != nil || found.ID != key.ID {
			t.Errorf("%s is %s: %v", text, found.ID, err)
		}
	}
	_, err := e.Find(t.Context(), "999999999999", region, "alias/app")
	refused(t, err, CodeNotFound, "Alias arn:aws:kms:us-east-1:999999999999:alias/app is not found.")
	e.must(move(other, "app"))
	if found, err := e.Find(t.Context(), account, region, "alias/app"); err != nil || found.ID != other.ID {
		t.Errorf("the alias is of %s after it was moved: %v", found.ID, err)
	}
	refused(t, move(sign, "app"), CodeValidation, "cannot be changed")
	refused(t, move(key, "missing"), CodeNotFound, "is not found.")
	e.schedule(key, 7)
	refused(t, move(key, "app"), CodeInvalidState, "is pending deletion.")
	e.schedule(other, 7)
	third := e.create(NewKey{})
	e.must(move(third, "app"))
	for i := range MaxAliases - 1 {
		e.must(alias(third, fmt.Sprint("n", i)))
	}
	refused(t, alias(third, "one-too-many"), CodeLimitExceeded, "")
	e.must(e.change(func(tx *store.Tx) error { return e.DeleteAlias(tx, account, region, "app") }))
	_, err = e.Find(t.Context(), account, region, "alias/app")
	refused(t, err, CodeNotFound, "is not found.")
	refused(t, e.change(func(tx *store.Tx) error { return e.DeleteAlias(tx, account, region, "app") }), CodeNotFound, "is not found.")
}

func TestReferences(t *testing.T) {
	const id = "1234abcd-12ab-34cd-56ef-1234567890ab"
	for text, want := range map[string]string{
		id:                                     KeyARN(account, region, id),
		KeyARN("999999999999", region, id):     KeyARN("999999999999", region, id),
		"alias/a/b":                            AliasARN(account, region, "a/b"),
		AliasARN("999999999999", region, "x"):  AliasARN("999999999999", region, "x"),
		"mrk-1234abcd12ab34cd56ef1234567890ab": KeyARN(account, region, "mrk-1234abcd12ab34cd56ef1234567890ab"),
		"x":                                    "NotFoundException: Invalid keyId 'x'",
		strings.ToUpper(id):                    "NotFoundException: Invalid keyId '" + strings.ToUpper(id) + "'",
		"arn:aws:kms":                          "InvalidArnException: Invalid arn arn:aws:kms",
		"arn:aws:s3:us-east-1:123456789012:key/" + id:     "InvalidArnException: Invalid arn arn:aws:s3:us-east-1:123456789012:key/" + id,
		"arn:aws-cn:kms:us-east-1:123456789012:key/" + id: "InvalidArnException: Invalid arn arn:aws-cn:kms:us-east-1:123456789012:key/" + id,
		"arn:aws:kms:us-east-1:123456789012:key/x":        "InvalidArnException: Invalid arn arn:aws:kms:us-east-1:123456789012:key/x",
		KeyARN(account, "eu-central-1", id):               "NotFoundException: Invalid arn eu-central-1",
	} {
		got := ""
		if r, err := ParseReference(account, region, text); err != nil {
			got = err.Error()
		} else {
			got = r.ARN()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestManagedKeys(t *testing.T) {
	e := newKeysEnv(t)
	var first, second Key
	e.must(e.change(func(tx *store.Tx) (err error) {
		first, err = e.EnsureManaged(tx, account, region, "ecr")
		return err
	}))
	e.must(e.change(func(tx *store.Tx) (err error) {
		second, err = e.EnsureManaged(tx, account, region, "ecr")
		return err
	}))
	if first.ID != second.ID || second.Manager != ManagerAWS || second.RotationDays != 365 {
		t.Errorf("the keys are %+v and %+v", first, second)
	}
	if found, err := e.Find(t.Context(), account, region, "alias/aws/ecr"); err != nil || found.ID != first.ID {
		t.Errorf("the alias is of %s: %v", found.ID, err)
	}
	for what, err := range map[string]error{
		"disabled":  e.change(func(tx *store.Tx) error { return e.SetEnabled(tx, first, false) }),
		"destroyed": e.change(func(tx *store.Tx) error { _, err := e.ScheduleDeletion(tx, first, 7); return err }),
		"described": e.change(func(tx *store.Tx) error { return e.SetDescription(tx, first, "x") }),
		"tagged":    e.change(func(tx *store.Tx) error { return e.Tag(tx, first, []Tag{{"k", "v"}}) }),
		"named":     e.change(func(tx *store.Tx) error { return e.CreateAlias(tx, first, "mine") }),
	} {
		if err == nil {
			t.Errorf("a key that AWS manages can be %s", what)
		}
	}
	if _, err := e.Encrypt(t.Context(), first.ARN, []byte("x"), nil); err != nil {
		t.Error(err)
	}
	if _, err := e.grant(first, NewGrant{Grantee: "ecr.us-east-1.amazonaws.com", Internal: true, Operations: []string{"Decrypt"}}); err != nil {
		t.Error(err)
	}
}
