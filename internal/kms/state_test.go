package kms

import (
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/store"
)

// stateTable is the table of the documentation: of each operation what keys of the state of each column answer. The numbers
// are those of the documentation's notes; "-" is for what can't come about.
const stateTable = `
CancelKeyDeletion                4  4  ok 4  4  4  4
CreateAlias                      ok ok 3  ok ok ok ok
CreateGrant                      ok 1  3  5  ok 14 ok
Encrypt                          ok 1  3  5  11 14 ok
Decrypt                          ok 1  3  5  11 14 ok
ReEncrypt                        ok 1  3  5  11 14 ok
GenerateDataKey                  ok 1  3  5  11 14 ok
GenerateDataKeyWithoutPlaintext  ok 1  3  5  11 14 ok
GenerateMac                      ok 1  3  -  -  14 ok
VerifyMac                        ok 1  3  -  -  14 ok
Sign                             ok 1  3  -  -  14 ok
Verify                           ok 1  3  -  -  14 ok
GetPublicKey                     ok 1  3  -  -  14 ok
DeleteAlias                      ok ok ok ok ok ok ok
DescribeKey                      ok ok ok ok ok ok ok
GetKeyPolicy                     ok ok ok ok ok ok ok
ListAliases                      ok ok ok ok ok ok ok
ListGrants                       ok ok ok ok ok ok ok
ListKeyPolicies                  ok ok ok ok ok ok ok
ListResourceTags                 ok ok ok ok ok ok ok
PutKeyPolicy                     ok ok ok ok ok ok ok
RetireGrant                      ok ok ok ok ok ok ok
RevokeGrant                      ok ok ok ok ok ok ok
DeleteImportedKeyMaterial        9  9  9  ok -  9  9
DisableKey                       ok ok 3  5  ok 14 15
EnableKey                        ok ok 3  5  ok 14 15
EnableKeyRotation                ok 1  3  6  -  14 ok
DisableKeyRotation               ok 1  3  6  -  14 ok
GetKeyRotationStatus             ok ok ok 6  -  ok ok
RotateKeyOnDemand                ok 1  3  5  11 14 15
ListKeyRotations                 ok ok ok ok ok ok ok
GetParametersForImport           9  9  9  ok 9  9  9
ImportKeyMaterial                9  9  9  ok 9  9  9
ScheduleKeyDeletion              ok ok 3  ok ok ok 15
TagResource                      ok ok 3  ok ok ok ok
UntagResource                    ok ok 3  ok ok ok ok
UpdateKeyDescription             ok ok 3  ok ok ok ok
UpdateAlias                      ok ok 3  ok ok ok ok
`

// imported is the table for keys whose material was imported, where that makes a difference.
const importedTable = `
DeleteImportedKeyMaterial        ok ok ok ok -  14 15
EnableKeyRotation                6  6  6  6  6  6  6
DisableKeyRotation               6  6  6  6  6  6  6
GetParametersForImport           ok ok 3  ok -  14 15
ImportKeyMaterial                ok ok 3  ok -  14 ok
`

// notes are the errors of the documentation's notes.
var notes = map[string]string{
	"ok": "",
	"1":  "DisabledException: KEY is disabled.",
	"3":  "KMSInvalidStateException: KEY is pending deletion.",
	"4":  "KMSInvalidStateException: KEY is not pending deletion.",
	"5":  "KMSInvalidStateException: KEY is pending import.",
	"6":  "UnsupportedOperationException: KEY origin is EXTERNAL which is not valid for this operation.",
	"9":  "UnsupportedOperationException: KEY origin is AWS_KMS which is not valid for this operation.",
	"11": "KMSInvalidStateException: KEY is unavailable.",
	"14": "KMSInvalidStateException: KEY is creating.",
	"15": "KMSInvalidStateException: KEY is updating.",
}

func TestStates(t *testing.T) {
	states := []State{Enabled, Disabled, PendingDeletion, PendingImport, Unavailable, Creating, Updating}
	for origin, table := range map[string]string{OriginKMS: stateTable, OriginExternal: importedTable} {
		for line := range strings.Lines(strings.TrimSpace(table)) {
			fields := strings.Fields(line)
			for i, note := range fields[1:] {
				if note == "-" {
					continue
				}
				key := Key{ARN: "KEY", State: states[i], Origin: origin}
				if states[i] == PendingImport {
					key.Origin = OriginExternal
				}
				got := ""
				if err := key.Check(Operation(fields[0])); err != nil {
					got = err.Error()
				}
				if want, ok := notes[note]; !ok || got != want {
					t.Errorf("%s of a key that is %s with origin %s: %q, want %q", fields[0], states[i], key.Origin, got, want)
				}
			}
		}
	}
	for _, r := range stateRules {
		for _, op := range r.operations {
			if !strings.Contains(stateTable, "\n"+string(op)+" ") && op != ListKeyRotations && op != RotateKeyOnDemand {
				t.Errorf("%s is in no table", op)
			}
		}
	}
	if err := (Key{ARN: "KEY", State: "Odd", Origin: OriginKMS}).Check(Encrypt); err == nil {
		t.Error("a key in an unknown state encrypts")
	}
	if err := (Key{ARN: "KEY", State: Enabled, Origin: OriginKMS}).Check("Odd"); err == nil {
		t.Error("an unknown operation is allowed")
	}
}

// TestStatesOfKeys tries the operations on a key that goes through the states.
func TestStatesOfKeys(t *testing.T) {
	e := newKeysEnv(t)
	key := e.create(NewKey{})
	operations := map[Operation]func(tx *store.Tx) error{
		CreateAlias:          func(tx *store.Tx) error { return e.CreateAlias(tx, key, newKeyID()) },
		CreateGrant:          func(tx *store.Tx) error { _, err := e.CreateGrant(tx, key, grantToAccount()); return err },
		TagResource:          func(tx *store.Tx) error { return e.Tag(tx, key, []Tag{{"k", "v"}}) },
		UntagResource:        func(tx *store.Tx) error { return e.Untag(tx, key, []string{"k"}) },
		UpdateKeyDescription: func(tx *store.Tx) error { return e.SetDescription(tx, key, "x") },
		PutKeyPolicy: func(tx *store.Tx) error {
			p, err := e.NewPolicy(tx, defaultPolicy(account, region))
			if err != nil {
				return err
			}
			return e.PutPolicy(tx, key, p)
		},
	}
	try := func(state State, want map[Operation]string) {
		t.Helper()
		for op, fn := range operations {
			got := ""
			if err := e.change(fn); err != nil {
				got = err.Error()
			}
			if want := strings.ReplaceAll(notes[want[op]], "KEY", key.ARN); got != want {
				t.Errorf("%s of a key that is %s: %q, want %q", op, state, got, want)
			}
		}
	}
	try(Enabled, nil)
	e.must(e.change(func(tx *store.Tx) error { return e.SetEnabled(tx, key, false) }))
	e.must(e.change(func(tx *store.Tx) error { return e.SetEnabled(tx, key, false) }))
	try(Disabled, map[Operation]string{CreateGrant: "1"})
	refused(t, e.change(func(tx *store.Tx) error { return e.CancelDeletion(tx, key) }), CodeInvalidState, "is not pending deletion.")
	e.must(e.change(func(tx *store.Tx) error { _, err := e.ScheduleDeletion(tx, key, 7); return err }))
	try(PendingDeletion, map[Operation]string{CreateAlias: "3", CreateGrant: "3", TagResource: "3", UntagResource: "3", UpdateKeyDescription: "3"})
	refused(t, e.change(func(tx *store.Tx) error { return e.SetEnabled(tx, key, true) }), CodeInvalidState, "is pending deletion.")
	e.must(e.change(func(tx *store.Tx) error { return e.CancelDeletion(tx, key) }))
	if now, err := e.Find(t.Context(), account, region, key.ID); err != nil || now.State != Disabled || !now.DeletionDate.IsZero() {
		t.Errorf("after its deletion was cancelled the key is %s: %v", now.State, err)
	}
	e.must(e.change(func(tx *store.Tx) error { return e.SetEnabled(tx, key, true) }))
	try(Enabled, nil)
}

func grantToAccount() NewGrant {
	return NewGrant{Grantee: "arn:aws:iam::123456789012:root", Operations: []string{"Decrypt"}}
}
