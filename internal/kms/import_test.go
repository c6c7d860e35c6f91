package kms

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/keymaterial"
	"github.com/coffer-registry/coffer/internal/store"
)

// wrap gets parameters and wraps material by them.
func (e *keysEnv) wrap(key Key, raw []byte) Import {
	e.t.Helper()
	p, err := e.ImportParameters(e.t.Context(), key, "RSA_2048", keymaterial.OAEPSHA256)
	e.must(err)
	if !p.ValidTo.Equal(e.at.Add(24*time.Hour)) || len(p.Token) > 6144 {
		e.t.Errorf("parameters valid to %v, token of %d bytes", p.ValidTo, len(p.Token))
	}
	public, err := x509.ParsePKIXPublicKey(p.PublicKey)
	e.must(err)
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), raw, nil)
	e.must(err)
	return Import{Token: p.Token, Wrapped: wrapped, Expiration: MaterialRemains}
}

func (e *keysEnv) importInto(key Key, in Import) (id string, err error) {
	e.t.Helper()
	d, err := e.DraftImport(e.now(key), in)
	if err != nil {
		return "", err
	}
	err = e.change(func(tx *store.Tx) error { id, err = e.Import(tx, key, d); return err })
	return id, err
}

// mustImport wraps and imports material.
func (e *keysEnv) mustImport(key Key, raw []byte, more func(*Import)) string {
	e.t.Helper()
	in := e.wrap(key, raw)
	if more != nil {
		more(&in)
	}
	id, err := e.importInto(key, in)
	e.must(err)
	return id
}

func (e *keysEnv) deleteImported(key Key, id string) error {
	return e.change(func(tx *store.Tx) error { _, err := e.DeleteImported(tx, key, id); return err })
}

func (e *keysEnv) expire() (ids []string) {
	e.t.Helper()
	n, err := e.Expire(e.t.Context(), func(tx *store.Tx, _ Key, id string) error {
		tx.OnCommit(func() { ids = append(ids, id) })
		return nil
	})
	e.must(err)
	if n != len(ids) {
		e.t.Errorf("%d pieces of material were recorded as %d", n, len(ids))
	}
	return ids
}

func fill(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func isNew(in *Import) { in.Type = ImportNew }

func TestImport(t *testing.T) {
	e := newKeysEnv(t)
	key := e.create(NewKey{Origin: OriginExternal})
	_, err := e.Encrypt(t.Context(), key.ARN, []byte("a"), nil)
	refused(t, err, CodeInvalidState, "is pending import")
	id := e.mustImport(key, fill(1), nil)
	if now := e.now(key); now.State != Enabled || now.Current != id || len(id) != 64 || !now.ValidTo.IsZero() {
		t.Errorf("the key is %+v", now)
	}
	blob := e.encrypt(key)
	e.must(e.opens(blob))

	other := e.create(NewKey{Origin: OriginExternal})
	if e.mustImport(other, fill(1), nil) == id {
		t.Error("the same material has the same id in two keys")
	}
	if e.opens(blob); len(e.rotations(key, true)) != 1 || len(e.rotations(key, false)) != 0 {
		t.Errorf("material %+v", e.rotations(key, true))
	}

	e.must(e.deleteImported(key, ""))
	if now := e.now(key); now.State != PendingImport || now.Current != id {
		t.Errorf("without material the key is %+v", now)
	}
	refused(t, e.opens(blob), CodeInvalidState, "is pending import")
	e.must(e.deleteImported(key, id)) // once more does nothing
	_, err = e.importInto(key, e.wrap(key, fill(2)))
	refused(t, err, CodeIncorrectKeyMaterial, "not the one")
	in := e.wrap(key, fill(1))
	in.MaterialID = string(bytes.Repeat([]byte("0"), 64))
	_, err = e.importInto(key, in)
	refused(t, err, CodeIncorrectKeyMaterial, "not the one")
	in.MaterialID, in.Type = "", ImportNew
	_, err = e.importInto(key, in)
	refused(t, err, CodeIncorrectKeyMaterial, "already")
	if again := e.mustImport(key, fill(1), func(in *Import) { in.MaterialID = id }); again != id {
		t.Errorf("the same material has the id %s now", again)
	}
	e.must(e.opens(blob))
	refused(t, e.deleteImported(key, in.MaterialID+string(bytes.Repeat([]byte("0"), 64))), CodeNotFound, "is not found")
}

func TestImportTokens(t *testing.T) {
	e := newKeysEnv(t)
	key, other := e.create(NewKey{Origin: OriginExternal}), e.create(NewKey{Origin: OriginExternal})
	in := e.wrap(key, fill(1))
	_, err := e.importInto(other, in)
	refused(t, err, CodeInvalidImportToken, "different KMS key")
	for _, i := range []int{0, 1, 20, len(in.Token) - 1} {
		altered := in
		altered.Token = bytes.Clone(in.Token)
		altered.Token[i] ^= 1
		_, err := e.importInto(key, altered)
		refused(t, err, CodeInvalidImportToken, "invalid")
	}
	_, err = e.importInto(key, Import{Wrapped: in.Wrapped, Expiration: MaterialRemains})
	refused(t, err, CodeInvalidImportToken, "invalid")
	mixed := in
	mixed.Token = e.wrap(key, fill(1)).Token
	_, err = e.importInto(key, mixed)
	refused(t, err, CodeInvalidCiphertext, "")
	_, err = e.importInto(key, e.wrap(key, make([]byte, 31)))
	refused(t, err, CodeIncorrectKeyMaterial, "32 bytes")
	e.at = e.at.Add(24 * time.Hour)
	_, err = e.importInto(key, in)
	refused(t, err, CodeExpiredImportToken, "expired")
	e.at = e.at.Add(-time.Second)
	_, err = e.importInto(key, in)
	e.must(err)

	own := e.create(NewKey{})
	_, err = e.ImportParameters(t.Context(), own, "RSA_2048", keymaterial.OAEPSHA256)
	refused(t, err, CodeUnsupportedOperation, "origin is AWS_KMS")
	_, err = e.ImportParameters(t.Context(), key, "RSA_2048", "RSAES_PKCS1_V1_5")
	refused(t, err, CodeUnsupportedOperation, "RSAES_PKCS1_V1_5")
	_, err = e.ImportParameters(t.Context(), key, "SM2", "SM2PKE")
	refused(t, err, CodeUnsupportedOperation, "SM2")
	refused(t, e.deleteImported(own, ""), CodeUnsupportedOperation, "origin is AWS_KMS")
}

func TestWhatAnImportSays(t *testing.T) {
	e := newKeysEnv(t)
	key, mac := e.create(NewKey{Origin: OriginExternal}), e.create(NewKey{Origin: OriginExternal, Spec: "HMAC_256", Usage: UsageMac})
	in, macIn := e.wrap(key, fill(1)), e.wrap(mac, fill(1))
	for part, tt := range map[string]struct {
		key Key
		in  Import
	}{
		"must be set":           {key, Import{}},
		"must not be set":       {key, Import{Expiration: MaterialRemains, ValidTo: e.at.Add(time.Hour)}},
		"in the future":         {key, Import{ValidTo: e.at}},
		"within 365 days":       {key, Import{ValidTo: e.at.AddDate(0, 0, 366)}},
		"KeyMaterialId can't":   {key, Import{Expiration: MaterialRemains, Type: ImportNew, MaterialID: "a"}},
		"symmetric encryption":  {mac, Import{Expiration: MaterialRemains, Type: ImportNew}},
		"for symmetric encrypt": {mac, Import{Expiration: MaterialRemains, Description: "a"}},
	} {
		tt.in.Token, tt.in.Wrapped = in.Token, in.Wrapped
		_, err := e.importInto(tt.key, tt.in)
		refused(t, err, CodeValidation, part)
	}
	_, err := e.importInto(mac, macIn)
	e.must(err)
	if _, err := e.GenerateMac(t.Context(), mac.ARN, "HMAC_SHA_256", []byte("a")); err != nil {
		t.Error(err)
	}
	_, err = e.importInto(mac, e.wrap(mac, fill(2)))
	refused(t, err, CodeIncorrectKeyMaterial, "not the one")
}

func TestImportedPairsSign(t *testing.T) {
	e := newKeysEnv(t)
	key := e.create(NewKey{Origin: OriginExternal, Spec: "ECC_NIST_P256", Usage: UsageSign})
	m, err := keymaterial.Generate(keymaterial.P256)
	e.must(err)
	e.mustImport(key, m.Bytes(), nil)
	signature, err := e.Sign(t.Context(), key.ARN, Message{Algorithm: "ECDSA_SHA_256", Text: []byte("a")})
	e.must(err)
	e.must(m.Verify("ECDSA_SHA_256", "RAW", []byte("a"), signature))
	e.must(e.deleteImported(key, ""))
	_, err = e.Sign(t.Context(), key.ARN, Message{Algorithm: "ECDSA_SHA_256", Text: []byte("a")})
	refused(t, err, CodeInvalidState, "is pending import")
}

func TestImportedMaterialExpires(t *testing.T) {
	e := newKeysEnv(t)
	key := e.create(NewKey{Origin: OriginExternal})
	until := e.at.Add(48 * time.Hour)
	id := e.mustImport(key, fill(1), func(in *Import) { in.Expiration, in.ValidTo = MaterialExpires, until })
	blob := e.encrypt(key)
	if now := e.now(key); !now.ValidTo.Equal(until) {
		t.Errorf("it is valid to %v", now.ValidTo)
	}
	e.at = until.Add(-time.Second)
	if ids := e.expire(); ids != nil {
		t.Errorf("%v expired too early", ids)
	}
	e.must(e.opens(blob))
	e.at = until
	refused(t, e.opens(blob), CodeInvalidState, "is pending import")
	if ids := e.expire(); len(ids) != 1 || ids[0] != id {
		t.Errorf("%v expired", ids)
	}
	if ids := e.expire(); ids != nil {
		t.Errorf("%v expired twice", ids)
	}
	if now := e.now(key); now.State != PendingImport || !now.ValidTo.IsZero() {
		t.Errorf("the key is %+v", now)
	}
	e.at = until.Add(-24 * time.Hour)
	refused(t, e.opens(blob), CodeInvalidState, "is pending import") // what is gone stays gone when the clock goes back
	e.mustImport(key, fill(1), nil)
	e.must(e.opens(blob))
	e.days(400)
	if ids := e.expire(); ids != nil {
		t.Errorf("%v expired, which it never should", ids)
	}
}

// All that was ever current must be there for the key to be usable.
func TestRotateToImportedMaterial(t *testing.T) {
	e := newKeysEnv(t)
	key := e.create(NewKey{Origin: OriginExternal})
	demand := func() error {
		return e.change(func(tx *store.Tx) error { _, err := e.RotateOnDemand(tx, key); return err })
	}
	first := e.mustImport(key, fill(1), nil)
	old := e.encrypt(key)
	refused(t, demand(), CodeInvalidState, "pending rotation")
	dropped := e.mustImport(key, fill(2), isNew)
	if now := e.now(key); now.Current != first || now.State != Enabled {
		t.Errorf("what waits for a rotation is used: %+v", now)
	}
	_, err := e.importInto(key, func() Import { in := e.wrap(key, fill(3)); in.Type = ImportNew; return in }())
	refused(t, err, CodeInvalidState, "pending rotation already")
	e.must(e.deleteImported(key, dropped))
	if list := e.rotations(key, true); len(list) != 1 || e.now(key).State != Enabled {
		t.Errorf("what waited is there still: %+v", list)
	}
	second := e.mustImport(key, fill(3), func(in *Import) { in.Type, in.Description = ImportNew, "the second" })
	e.must(demand())
	if now := e.now(key); now.Current != second {
		t.Errorf("the current material is %s", now.Current)
	}
	young := e.encrypt(key)
	e.must(e.opens(old))
	e.must(e.opens(young))
	list := e.rotations(key, false)
	if len(list) != 1 || list[0].ID != second || list[0].Description != "the second" || list[0].Rotated.IsZero() {
		t.Errorf("rotations %+v", list)
	}
	refused(t, demand(), CodeInvalidState, "pending rotation")

	e.must(e.deleteImported(key, first))
	if now := e.now(key); now.State != PendingImport {
		t.Errorf("without its first material the key is %s", now.State)
	}
	e.must(e.deleteImported(key, second))
	e.mustImport(key, fill(3), nil)
	if now := e.now(key); now.State != PendingImport {
		t.Errorf("with half of its material the key is %s", now.State)
	}
	e.mustImport(key, fill(1), nil)
	if now := e.now(key); now.State != Enabled || now.Current != second {
		t.Errorf("with all of its material the key is %+v", now)
	}
	e.must(e.opens(old))
	e.must(e.opens(young))
}

func TestImportAndDeletion(t *testing.T) {
	e := newKeysEnv(t)
	key := e.create(NewKey{Origin: OriginExternal})
	e.mustImport(key, fill(1), nil)
	schedule := func(tx *store.Tx) error { _, err := e.ScheduleDeletion(tx, key, 7); return err }
	cancel := func(tx *store.Tx) error { return e.CancelDeletion(tx, key) }
	e.must(e.change(schedule))
	_, err := e.ImportParameters(t.Context(), e.now(key), "RSA_2048", keymaterial.OAEPSHA256)
	refused(t, err, CodeInvalidState, "pending deletion")
	e.must(e.change(cancel))
	if now := e.now(key); now.State != Disabled {
		t.Errorf("a kept key is %s", now.State)
	}
	e.must(e.change(schedule))
	e.must(e.deleteImported(key, ""))
	if now := e.now(key); now.State != PendingDeletion {
		t.Errorf("a key without material that is to be destroyed is %s", now.State)
	}
	e.must(e.change(cancel))
	if now := e.now(key); now.State != PendingImport {
		t.Errorf("a kept key without material is %s", now.State)
	}
	e.must(e.change(schedule))
	e.days(8)
	if n, err := e.Destroy(t.Context(), func(*store.Tx, Key) error { return nil }); n != 1 || err != nil {
		t.Errorf("%d keys destroyed: %v", n, err)
	}
}

// The wrapped material is nowhere on the disk once it is deleted, nor once it expired.
func TestImportedMaterialIsPhysicallyGone(t *testing.T) {
	e := newKeysEnv(t)
	for name, gone := range map[string]func(Key){
		"deleted": func(key Key) {
			e.must(e.deleteImported(key, ""))
			if _, err := e.Destroy(t.Context(), func(*store.Tx, Key) error { return nil }); err != nil {
				t.Fatal(err)
			}
		},
		"expired": func(Key) { e.days(2); e.expire() },
	} {
		key := e.create(NewKey{Origin: OriginExternal})
		e.mustImport(key, fill(1), func(in *Import) { in.Expiration, in.ValidTo = MaterialExpires, e.at.Add(24*time.Hour) })
		wrapped := e.wrapped(key)
		part := wrapped[len(wrapped)-24:]
		if !e.onDisk(part) {
			t.Fatalf("%s: material is nowhere while it is there", name)
		}
		gone(key)
		if e.onDisk(part) {
			t.Errorf("%s: material is on the disk still", name)
		}
	}
}

// A check finds nothing wrong with keys that lack material, and finds material that is another or in the wrong state.
func TestCheckImported(t *testing.T) {
	for damage, fault := range map[string]string{
		``:                                       "",
		`UPDATE kms_material SET wrapped = NULL`: "lacks imported material",
		`UPDATE kms_material SET state = 'PENDING_ROTATION'`:                        "is PENDING_ROTATION, while its current",
		`UPDATE kms_key SET import_key = NULL`:                                      "can't be checked",
		`UPDATE kms_key SET import_key = (SELECT wrapped FROM service_key LIMIT 1)`: "does not open",
	} {
		e := newKeysEnv(t)
		e.create(NewKey{Origin: OriginExternal})
		key, gone := e.create(NewKey{Origin: OriginExternal}), e.create(NewKey{Origin: OriginExternal})
		e.mustImport(key, fill(1), nil)
		e.mustImport(gone, fill(1), nil)
		e.must(e.deleteImported(gone, ""))
		if damage != "" {
			e.must(e.change(func(tx *store.Tx) error { _, err := tx.Exec(damage); return err }))
		}
		if got := e.faults(); (fault == "") != (got == "") || !strings.Contains(got, fault) {
			t.Errorf("%s: %q, want %q", damage, got, fault)
		}
	}
}
