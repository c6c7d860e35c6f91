//go:build pkcs11

package rootkey

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"

	"github.com/coffer-registry/coffer/internal/kms"
)

const tokenPIN = "918273"

// TestPKCS11Conforms uses a token of SoftHSM. It is one test, since a module is initialised once in a process.
func TestPKCS11Conforms(t *testing.T) {
	module := cmp.Or(os.Getenv("COFFER_PKCS11_MODULE"), "/usr/lib/softhsm/libsofthsm2.so")
	dir := t.TempDir()
	config := filepath.Join(dir, "softhsm2.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", dir), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", config)
	if out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "coffer", "--pin", tokenPIN, "--so-pin", "5647382910").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ctx := pkcs11.New(module)
	if ctx == nil {
		t.Fatalf("the module %s can't be loaded", module)
	}
	if err := ctx.Initialize(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := ctx.Finalize(); err != nil {
			t.Error(err)
		}
		ctx.Destroy()
	}()
	pin := writeTemp(t, tokenPIN+"\n")
	uri := func(object string) string {
		return "pkcs11:token=coffer;object=" + object + "?module-path=" + module + "&pin-source=file:" + pin
	}
	wrong := writeTemp(t, "000000")
	refused := opener(t, strings.Replace(uri("root"), pin, wrong, 1), Options{})()
	for want := range strings.SplitSeq("CKR_PIN_INCORRECT,is not tried again,is not tried again", ",") {
		if err := wraps(t, refused); !errors.Is(err, kms.ErrRootUnavailable) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "000000") {
			t.Errorf("with a wrong PIN: %v", err)
		}
	}
	for what, uri := range map[string]string{"no module": strings.Replace(uri("root"), module, "/missing.so", 1), "no token": strings.Replace(uri("root"), "token=coffer", "token=x", 1)} {
		if err := wraps(t, opener(t, uri, Options{})()); !errors.Is(err, kms.ErrRootUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	destroy := makeKeys(t, ctx, "root", "other")
	conforms(t, subject{
		open: opener(t, uri("root"), Options{}), other: opener(t, uri("other"), Options{}), secrets: []string{tokenPIN},
		away: func() {
			if err := os.Rename(pin, pin+".away"); err != nil {
				t.Fatal(err)
			}
		},
		back: func() {
			if err := os.Rename(pin+".away", pin); err != nil {
				t.Fatal(err)
			}
		},
		gone: destroy,
	})
}

// makeKeys makes keys in the token that never leave it, and returns what destroys the first.
func makeKeys(t *testing.T, ctx *pkcs11.Ctx, names ...string) (destroy func()) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	slots, err := ctx.GetSlotList(true)
	must(err)
	s, err := ctx.OpenSession(slots[0], pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	must(err)
	must(ctx.Login(s, pkcs11.CKU_USER, tokenPIN))
	var made []pkcs11.ObjectHandle
	for _, name := range names {
		key, err := ctx.GenerateKey(s, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_GEN, nil)}, []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_LABEL, name), pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, 32), pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
			pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true), pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, true),
			pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		})
		must(err)
		made = append(made, key)
	}
	return func() { must(ctx.DestroyObject(s, made[0])) }
}
